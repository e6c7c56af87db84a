// SPDX-License-Identifier: Apache-2.0
//
// Two lists under one lock, as in the worker's pool of threads: runs to do, and runs that ended.
// Room in the slab is taken and given back by the caller's thread alone. Control groups get other
// limits while a process runs, so now and then a thread looks whether there is room for pages of
// the file.

#include "engine/io/spill.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/io/uncached.h"

#define LOOK_NS (1 * TSI_SECOND)

struct queue {
    struct tsi_spill_run *first;
    struct tsi_spill_run *last;
};

struct tsi_spill {
    char directory[PATH_MAX];
    uint64_t limit_bytes;
    void (*wake)(void *context);
    void *context;
    struct tsi_slab *slab; // NULL until the first run
    pthread_t threads[TSI_SPILL_THREADS];
    int thread_count;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t work;
    uint64_t next_look_ns;
    struct queue waiting;
    struct queue ended;
    bool closing;
};

static void
put(struct queue *queue, struct tsi_spill_run *run)
{
    run->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = run;
    } else {
        queue->first = run;
    }
    queue->last = run;
}

static struct tsi_spill_run *
take(struct queue *queue)
{
    struct tsi_spill_run *run = queue->first;
    if (run != NULL) {
        queue->first = run->next;
        queue->last = queue->first != NULL ? queue->last : NULL;
    }
    return run;
}

struct tsi_spill *
tsi_spill_new(const char *directory, uint64_t limit_bytes, void (*wake)(void *context),
              void *context)
{
    struct tsi_spill *spill = tsi_calloc(1, sizeof *spill);
    if (spill == NULL) {
        return NULL;
    }
    snprintf(spill->directory, sizeof spill->directory, "%s",
             directory != NULL && directory[0] != '\0' ? directory : tsi_slab_directory());
    spill->limit_bytes = limit_bytes;
    spill->wake = wake;
    spill->context = context;
    pthread_mutex_init(&spill->lock, NULL);
    pthread_cond_init(&spill->work, NULL);
    return spill;
}

// Whether to look now at what the control groups allow. The lock is held.
static bool
is_time_to_look(struct tsi_spill *spill)
{
    const uint64_t now = tsi_clock_ns();
    const bool is_time = now >= spill->next_look_ns;
    spill->next_look_ns = is_time ? now + LOOK_NS : spill->next_look_ns;
    return is_time;
}

static void
do_run(struct tsi_spill *spill, struct tsi_spill_run *run)
{
    if (run->is_write) {
        tsi_slab_write(spill->slab, run->extent, run->buf->data, &run->error);
        return;
    }
    run->buf = tsi_buf_new((size_t)run->extent->bytes);
    if (run->buf == NULL) {
        tsi_error_set(&run->error, TESS_ENOMEM, "spill: out of memory for a chunk to read");
    } else if (tsi_slab_read(spill->slab, run->extent, run->buf->data, &run->error) != TESS_OK) {
        tsi_buf_unref(run->buf);
        run->buf = NULL;
    }
}

static void *
run_all(void *argument)
{
    struct tsi_spill *spill = argument;
    tsi_pages_may_wait();
    pthread_mutex_lock(&spill->lock);
    while (!spill->closing) {
        struct tsi_spill_run *run = take(&spill->waiting);
        if (run == NULL) {
            pthread_cond_wait(&spill->work, &spill->lock);
            continue;
        }
        const bool looks = is_time_to_look(spill);
        pthread_mutex_unlock(&spill->lock);
        if (looks) {
            tsi_slab_pass_cache(spill->slab, tsi_uncached_is_wanted());
        }
        do_run(spill, run);
        pthread_mutex_lock(&spill->lock);
        put(&spill->ended, run);
        pthread_mutex_unlock(&spill->lock);
        spill->wake(spill->context);
        pthread_mutex_lock(&spill->lock);
    }
    pthread_mutex_unlock(&spill->lock);
    return NULL;
}

tess_status
tsi_spill_check(struct tsi_spill *spill, struct tsi_error *error)
{
    if (spill->slab == NULL) {
        spill->slab = tsi_slab_open(spill->directory, spill->limit_bytes, error);
    }
    return spill->slab != NULL ? TESS_OK : error->status;
}

// Makes the file and the threads, if they are not there.
static tess_status
prepare(struct tsi_spill *spill, struct tsi_error *error)
{
    if (tsi_spill_check(spill, error) != TESS_OK) {
        return error->status;
    }
    while (spill->thread_count < TSI_SPILL_THREADS &&
           pthread_create(&spill->threads[spill->thread_count], NULL, run_all, spill) == 0) {
        spill->thread_count++;
    }
    return spill->thread_count > 0
               ? TESS_OK
               : tsi_error_set(error, TESS_ENOMEM, "spill: no thread can be started");
}

static void
drop_runs(struct queue *queue)
{
    for (struct tsi_spill_run *run = take(queue); run != NULL; run = take(queue)) {
        tsi_buf_unref(run->buf);
        if (run->is_write) {
            tsi_free(run->extent);
        }
        tsi_free(run);
    }
}

void
tsi_spill_free(struct tsi_spill *spill)
{
    if (spill == NULL) {
        return;
    }
    pthread_mutex_lock(&spill->lock);
    spill->closing = true;
    pthread_cond_broadcast(&spill->work);
    pthread_mutex_unlock(&spill->lock);
    for (int i = 0; i < spill->thread_count; i++) {
        pthread_join(spill->threads[i], NULL);
    }
    drop_runs(&spill->waiting);
    drop_runs(&spill->ended);
    tsi_slab_close(spill->slab);
    pthread_cond_destroy(&spill->work);
    pthread_mutex_destroy(&spill->lock);
    tsi_free(spill);
}

static void
queue_run(struct tsi_spill *spill, struct tsi_spill_run *run)
{
    pthread_mutex_lock(&spill->lock);
    put(&spill->waiting, run);
    pthread_cond_signal(&spill->work);
    pthread_mutex_unlock(&spill->lock);
}

tess_status
tsi_spill_write(struct tsi_spill *spill, uint32_t run, struct tsi_buf *chunk,
                struct tsi_error *error)
{
    if (prepare(spill, error) != TESS_OK) {
        return error->status;
    }
    struct tsi_spill_run *fresh = tsi_calloc(1, sizeof *fresh);
    struct tsi_extent *extent = tsi_calloc(1, sizeof *extent);
    const bool is_out = fresh == NULL || extent == NULL;
    if (is_out || tsi_slab_take(spill->slab, chunk->bytes, extent, error) != TESS_OK) {
        tsi_free(fresh);
        tsi_free(extent);
        return is_out ? tsi_error_set(error, TESS_ENOMEM, "spill: out of memory") : error->status;
    }
    *fresh = (struct tsi_spill_run){
        .run = run, .is_write = true, .buf = tsi_buf_ref(chunk), .extent = extent};
    queue_run(spill, fresh);
    return TESS_OK;
}

tess_status
tsi_spill_read(struct tsi_spill *spill, uint32_t run, struct tsi_extent *extent,
               struct tsi_error *error)
{
    struct tsi_spill_run *fresh = tsi_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "spill: out of memory");
    }
    *fresh = (struct tsi_spill_run){.run = run, .extent = extent};
    queue_run(spill, fresh);
    return TESS_OK;
}

struct tsi_spill_run *
tsi_spill_ended(struct tsi_spill *spill)
{
    pthread_mutex_lock(&spill->lock);
    struct tsi_spill_run *run = take(&spill->ended);
    pthread_mutex_unlock(&spill->lock);
    if (run != NULL && run->is_write) {
        tsi_buf_unref(run->buf);
        run->buf = NULL;
        if (run->error.status != TESS_OK && run->extent != NULL) {
            tsi_spill_release(spill, run->extent);
            run->extent = NULL;
        }
    }
    return run;
}

void
tsi_spill_run_free(struct tsi_spill_run *run)
{
    tsi_free(run);
}

void
tsi_spill_release(struct tsi_spill *spill, struct tsi_extent *extent)
{
    if (extent != NULL) {
        tsi_slab_give(spill->slab, extent);
        tsi_free(extent);
    }
}
