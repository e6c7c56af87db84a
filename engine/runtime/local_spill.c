// SPDX-License-Identifier: Apache-2.0
//
// The disk of the embedded runtime. The threads of the spill take the lock and pump, as all others
// do, when something was written or read.

#include "engine/runtime/local.h"

static void
feed_spilled(struct tsi_local *local, uint32_t run, struct tsi_extent *extent,
             const struct tsi_error *error)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_SPILLED};
    event.spilled.run = run;
    event.spilled.status = error->status;
    event.spilled.extent = extent;
    event.spilled.text = error->text;
    tsi_local_worker_event(local, &event);
}

static void
feed_loaded(struct tsi_local *local, uint32_t run, struct tsi_buf *chunk,
            const struct tsi_error *error)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_LOADED};
    event.loaded.run = run;
    event.loaded.status = error->status;
    event.loaded.handle = chunk;
    event.loaded.text = error->text;
    tsi_local_worker_event(local, &event);
}

// Targets that were read back become work, before the worker's core can put them away again.
static void
deliver_awaited(struct tsi_local *local)
{
    const size_t count = local->awaited.count;
    local->awaited.count = 0;
    for (size_t i = 0; i < count; i++) {
        const tsi_key key = local->awaited.items[i];
        struct tsi_local_job *job = tsi_local_job(local, tsi_key_job(key));
        // What still has to wait goes to a place that was looked at.
        if (job != NULL && !tsi_local_deliver(local, job, tsi_key_task(key))) {
            tsi_local_fail_job(local, job, "compute: out of memory while gathering the result");
        }
    }
}

// On a thread of the spill.
static void
wake(void *context)
{
    struct tsi_local *local = context;
    pthread_mutex_lock(&local->lock);
    struct tsi_spill_run *run = local->closing ? NULL : tsi_spill_ended(local->spill);
    while (run != NULL) {
        if (run->is_write) {
            feed_spilled(local, run->run, run->extent, &run->error);
        } else {
            feed_loaded(local, run->run, run->buf, &run->error);
        }
        tsi_spill_run_free(run);
        run = tsi_spill_ended(local->spill);
    }
    if (!local->closing) {
        deliver_awaited(local);
        tsi_local_pump(local);
    }
    pthread_mutex_unlock(&local->lock);
}

bool
tsi_local_spill_open(struct tsi_local *local, const struct tess_session_options *options)
{
    const int64_t limit = options->spill_limit_bytes;
    local->spill_bytes = limit < 0 ? 0 : limit == 0 ? UINT64_MAX : (uint64_t)limit;
    if (local->spill_bytes > 0) {
        local->spill = tsi_spill_new(options->spill_directory, local->spill_bytes, wake, local);
    }
    return limit < 0 || local->spill != NULL;
}

static void
free_extent(void *context, void *extent)
{
    (void)context;
    tsi_free(extent);
}

void
tsi_local_spill_close(struct tsi_local *local)
{
    tsi_spill_free(local->spill);
    local->spill = NULL;
    if (local->worker != NULL) {
        tsi_worker_free_extents(local->worker, free_extent, NULL);
    }
}

void
tsi_local_spill(struct tsi_local *local, const struct tsi_worker_action *action)
{
    struct tsi_error error = {.status = TESS_OK};
    const uint32_t run = action->spill.run;
    struct tsi_buf *chunk = tsi_local_run_of(action->spill.handle);
    if (chunk == NULL) {
        tsi_error_set(&error, TESS_ENOMEM, "out of memory for a chunk that is to be written");
    } else {
        (void)tsi_spill_write(local->spill, run, chunk, &error);
    }
    tsi_buf_unref(chunk);
    if (error.status != TESS_OK) {
        feed_spilled(local, run, NULL, &error);
    }
}

void
tsi_local_load(struct tsi_local *local, const struct tsi_worker_action *action)
{
    struct tsi_error error = {.status = TESS_OK};
    const uint32_t run = action->load.run;
    if (tsi_spill_read(local->spill, run, action->load.extent, &error) != TESS_OK) {
        feed_loaded(local, run, NULL, &error);
    }
}
