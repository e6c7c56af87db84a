// SPDX-License-Identifier: Apache-2.0
//
// Two lists under one lock. The loop is woken when there is nothing left to execute, when a task
// took long enough that its end is news, or when a batch of ends has gathered; so a burst of small
// tasks costs few wake-ups, and the loop reports them in few messages.

#include "worker/daemon/pool.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/exec/attempt.h"

// Ends that gather before the loop is woken, and the time of a task whose end does not wait for
// others.
#define WAKE_BATCH 16
#define WAKE_US 50

struct queue {
    struct tsi_run *first;
    struct tsi_run *last;
    size_t count;
};

struct tsi_pool {
    pthread_t threads[TSI_THREADS_MAX];
    int thread_count;
    struct tsi_files *files;
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue waiting;
    struct queue ended;
    int idle;   // threads that wait for work
    bool woken; // the loop has been told of what is in `ended`
    bool closing;
};

static void
put(struct queue *queue, struct tsi_run *run)
{
    run->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = run;
    } else {
        queue->first = run;
    }
    queue->last = run;
    queue->count++;
}

static struct tsi_run *
take(struct queue *queue)
{
    struct tsi_run *run = queue->first;
    queue->first = run->next;
    queue->count--;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    return run;
}

static void
execute(const struct tsi_pool *pool, struct tsi_run *run)
{
    struct tsi_exec_task task = {.program = run->program,
                                 .op = run->op,
                                 .chunk = run->chunk,
                                 .chunks = run->inputs,
                                 .chunk_count = run->input_count,
                                 .cancelled = &run->cancelled,
                                 .files = pool->files};
    const uint64_t start = tsi_clock_ns();
    run->status = tsi_attempt_run(&task, run->output_bytes, &run->output, &run->error);
    run->duration_us = (uint32_t)((tsi_clock_ns() - start) / 1000);
}

static void
wake_loop(struct tsi_pool *pool, const struct tsi_run *run)
{
    if (!pool->woken && (pool->waiting.first == NULL || pool->ended.count >= WAKE_BATCH ||
                         run->duration_us >= WAKE_US || run->status != TESS_OK)) {
        pool->woken = true;
        (void)!write(pool->fd, &(uint64_t){1}, sizeof(uint64_t));
    }
}

static void *
run_tasks(void *argument)
{
    struct tsi_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        if (pool->waiting.first == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
            continue;
        }
        struct tsi_run *run = take(&pool->waiting);
        pthread_mutex_unlock(&pool->lock);
        execute(pool, run);
        pthread_mutex_lock(&pool->lock);
        put(&pool->ended, run);
        wake_loop(pool, run);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct tsi_pool *
tsi_pool_new(int threads, struct tsi_files *files)
{
    struct tsi_pool *pool = tsi_calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->files = files;
    pool->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    while (pool->fd >= 0 && pool->thread_count < threads &&
           pthread_create(&pool->threads[pool->thread_count], NULL, run_tasks, pool) == 0) {
        pool->thread_count++;
    }
    if (pool->thread_count < threads) {
        tsi_pool_free(pool);
        return NULL;
    }
    return pool;
}

static void
drop_runs(struct queue *queue)
{
    while (queue->first != NULL) {
        struct tsi_run *run = take(queue);
        tsi_buf_unref(run->output);
        tsi_free(run->inputs);
        tsi_free(run);
    }
}

void
tsi_pool_free(struct tsi_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    drop_runs(&pool->waiting);
    drop_runs(&pool->ended);
    if (pool->fd >= 0) {
        close(pool->fd);
    }
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    tsi_free(pool);
}

void
tsi_pool_start(struct tsi_pool *pool, struct tsi_run *run)
{
    pthread_mutex_lock(&pool->lock);
    put(&pool->waiting, run);
    if (pool->idle > 0) {
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
}

struct tsi_run *
tsi_pool_ended(struct tsi_pool *pool)
{
    uint64_t count;
    pthread_mutex_lock(&pool->lock);
    if (pool->woken) {
        pool->woken = false;
        (void)!read(pool->fd, &count, sizeof count);
    }
    struct tsi_run *first = pool->ended.first;
    pool->ended = (struct queue){NULL, NULL, 0};
    pthread_mutex_unlock(&pool->lock);
    return first;
}

int
tsi_pool_fd(const struct tsi_pool *pool)
{
    return pool->fd;
}
