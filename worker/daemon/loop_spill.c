// SPDX-License-Identifier: Apache-2.0
//
// The disk of the worker daemon. The threads of the spill wake the loop by a descriptor.

#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "worker/daemon/loop.h"

static void
wake(void *context)
{
    const struct tsi_worker_loop *loop = context;
    (void)!write(loop->spill_fd, &(uint64_t){1}, sizeof(uint64_t));
}

tess_status
tsi_worker_loop_spill_open(struct tsi_worker_loop *loop, struct tsi_error *error)
{
    const struct tsi_worker_options *options = loop->options;
    loop->spill_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->spill_fd < 0) {
        return tsi_error_set(error, TESS_ENOMEM, "out of descriptors");
    }
    if (options->spill_bytes == 0) {
        return TESS_OK;
    }
    loop->spill = tsi_spill_new(options->spill_directory, options->spill_bytes, wake, loop);
    if (loop->spill == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory");
    }
    // A directory that was named has to be usable; another may never be needed.
    return options->spill_directory[0] != '\0' ? tsi_spill_check(loop->spill, error) : TESS_OK;
}

static void
free_extent(void *context, void *extent)
{
    (void)context;
    tsi_free(extent);
}

void
tsi_worker_loop_spill_close(struct tsi_worker_loop *loop)
{
    tsi_spill_free(loop->spill);
    loop->spill = NULL;
    if (loop->core != NULL) {
        tsi_worker_free_extents(loop->core, free_extent, NULL);
    }
    if (loop->spill_fd >= 0) {
        close(loop->spill_fd);
    }
}

static void
feed_spilled(struct tsi_worker_loop *loop, uint32_t run, struct tsi_extent *extent,
             const struct tsi_error *error)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_SPILLED};
    event.spilled.run = run;
    event.spilled.status = error->status;
    event.spilled.extent = extent;
    event.spilled.text = error->text;
    if (error->status != TESS_OK) {
        tsi_log(TSI_LOG_WARNING, "cannot spill", "%s", error->text);
    }
    tsi_worker_loop_event(loop, &event);
}

static void
feed_loaded(struct tsi_worker_loop *loop, uint32_t run, struct tsi_buf *chunk,
            const struct tsi_error *error)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_LOADED};
    event.loaded.run = run;
    event.loaded.status = error->status;
    event.loaded.handle = chunk;
    event.loaded.text = error->text;
    if (error->status != TESS_OK) {
        tsi_log(TSI_LOG_WARNING, "a spilled chunk is lost", "lost=%" PRIu64 " %s",
                tsi_worker_stats(loop->core).chunks_lost + 1, error->text);
    }
    tsi_worker_loop_event(loop, &event);
}

void
tsi_worker_loop_spill(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    struct tsi_error error = {.status = TESS_OK};
    const uint32_t run = action->spill.run;
    if (tsi_spill_write(loop->spill, run, action->spill.handle, &error) != TESS_OK) {
        feed_spilled(loop, run, NULL, &error);
    }
}

void
tsi_worker_loop_load(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    struct tsi_error error = {.status = TESS_OK};
    const uint32_t run = action->load.run;
    if (tsi_spill_read(loop->spill, run, action->load.extent, &error) != TESS_OK) {
        feed_loaded(loop, run, NULL, &error);
    }
}

void
tsi_worker_loop_spilled(struct tsi_worker_loop *loop)
{
    uint64_t count;
    if (loop->spill == NULL) {
        return;
    }
    (void)!read(loop->spill_fd, &count, sizeof count);
    for (struct tsi_spill_run *run = tsi_spill_ended(loop->spill); run != NULL;
         run = tsi_spill_ended(loop->spill)) {
        if (run->is_write) {
            feed_spilled(loop, run->run, run->extent, &run->error);
        } else {
            feed_loaded(loop, run->run, run->buf, &run->error);
        }
        tsi_spill_run_free(run);
    }
}
