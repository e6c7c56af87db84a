// SPDX-License-Identifier: Apache-2.0
//
// Threads take runs from a ring and gather their ends; the lock is only for handing those over and
// for sleep. The loop is woken when a thread has gathered enough, when that took long enough, or
// when there is nothing left to execute; so a burst of small tasks costs few wake-ups, and the loop
// reports them in few messages. A short task alone, when all threads sleep, is executed by the loop
// itself: that saves two switches between threads, which take longer than it does.

#include "worker/daemon/pool.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"

// What the loop executes itself may take so long, as expected; and when it took longer than the
// second, it leaves that to the threads for a while.
#define HERE_NS 20000
#define HERE_TOOK_NS_MAX 200000
#define HERE_PAUSE_NS (100 * TSI_MILLISECOND)

struct tsi_pool {
    struct tsi_attempts attempts;
    uint64_t started_ns;   // the loop's: expected time of what was started and nobody was woken for
    uint64_t here_from_ns; // likewise: the loop executes nothing before
    pthread_t threads[TSI_THREADS_MAX];
    int thread_count;
    int fd;
    atomic_int idle; // threads that wait for work; changed under the lock

    pthread_mutex_t lock; // of all that follows
    pthread_cond_t work;
    uint32_t ended[TSI_ATTEMPT_SLOTS];
    size_t ended_count;
    bool woken; // the loop has been told of what is in `ended`
    bool closing;
};

static void
add_ended(struct tsi_pool *pool, const struct tsi_attempt_batch *batch)
{
    memcpy(pool->ended + pool->ended_count, batch->runs, batch->count * sizeof batch->runs[0]);
    pool->ended_count += batch->count;
}

// Executes tasks, without the lock, and hands their ends over.
static void
run_some(struct tsi_pool *pool)
{
    struct tsi_attempt_batch batch;
    pthread_mutex_unlock(&pool->lock);
    tsi_attempt_batch_begin(&batch);
    // Somebody who has nothing to do may get something when the loop hears of an end.
    while (tsi_attempt_batch_next(&batch, &pool->attempts) &&
           atomic_load_explicit(&pool->idle, memory_order_relaxed) == 0) {
    }
    tsi_attempt_batch_end(&batch, &pool->attempts);
    pthread_mutex_lock(&pool->lock);
    add_ended(pool, &batch);
    if (batch.count > 0 && !pool->woken) {
        pool->woken = true;
        (void)!write(pool->fd, &(uint64_t){1}, sizeof(uint64_t));
    }
}

static void *
run_tasks(void *argument)
{
    struct tsi_pool *pool = argument;
    tsi_pages_may_wait();
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        if (tsi_ring_count(&pool->attempts.ring) > 0) {
            run_some(pool);
            continue;
        }
        pool->idle++;
        pthread_cond_wait(&pool->work, &pool->lock);
        pool->idle--;
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
    pool->attempts.files = files;
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

void
tsi_pool_free(struct tsi_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    tsi_attempts_cancel(&pool->attempts);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    for (size_t i = 0; i < pool->ended_count; i++) {
        tsi_buf_unref(pool->attempts.slots[pool->ended[i]].output);
    }
    tsi_attempts_fini(&pool->attempts);
    if (pool->fd >= 0) {
        close(pool->fd);
    }
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    tsi_free(pool);
}

struct tsi_attempts *
tsi_pool_attempts(struct tsi_pool *pool)
{
    return &pool->attempts;
}

void
tsi_pool_start(struct tsi_pool *pool, uint32_t run, uint64_t cost_ns, bool is_along)
{
    const uint64_t room = UINT64_MAX - pool->started_ns;
    pool->started_ns += cost_ns < room ? cost_ns : room;
    tsi_attempts_start(&pool->attempts, run, is_along);
}

bool
tsi_pool_run_here(struct tsi_pool *pool)
{
    struct tsi_attempt_batch batch;
    if (tsi_ring_count(&pool->attempts.ring) == 0 || pool->started_ns > HERE_NS ||
        atomic_load_explicit(&pool->idle, memory_order_relaxed) < pool->thread_count) {
        return false;
    }
    tsi_attempt_batch_begin(&batch);
    if (batch.first_ns < pool->here_from_ns) {
        return false;
    }
    while (tsi_attempt_batch_next(&batch, &pool->attempts)) {
    }
    tsi_attempt_batch_end(&batch, &pool->attempts);
    if (batch.last_ns - batch.first_ns > HERE_TOOK_NS_MAX) {
        pool->here_from_ns = batch.last_ns + HERE_PAUSE_NS;
    }
    pthread_mutex_lock(&pool->lock);
    add_ended(pool, &batch);
    pthread_mutex_unlock(&pool->lock);
    return batch.count > 0;
}

void
tsi_pool_wake(struct tsi_pool *pool)
{
    pool->started_ns = 0;
    const uint32_t started = tsi_ring_count(&pool->attempts.ring);
    if (started == 0) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    const int idle = pool->idle;
    for (uint32_t i = 0; i < started && (int)i < idle; i++) {
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
}

size_t
tsi_pool_ended(struct tsi_pool *pool, uint32_t runs[TSI_ATTEMPT_SLOTS])
{
    uint64_t wakes;
    pthread_mutex_lock(&pool->lock);
    if (pool->woken) {
        pool->woken = false;
        (void)!read(pool->fd, &wakes, sizeof wakes);
    }
    const size_t count = pool->ended_count;
    memcpy(runs, pool->ended, count * sizeof runs[0]);
    pool->ended_count = 0;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

int
tsi_pool_fd(const struct tsi_pool *pool)
{
    return pool->fd;
}
