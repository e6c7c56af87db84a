// SPDX-License-Identifier: Apache-2.0
//
// The disks of workers: slow, and full, failing or forgetful where the run has such faults. What
// was written is kept as its value, so that a chunk that comes back as another one shows.

#include <stdlib.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

struct sim_extent {
    tsi_key key;
    uint64_t value;
    uint64_t bytes;
};

static void
end_later(struct sim_worker *worker, uint32_t run, const struct sim_extent *extent, bool is_write)
{
    struct sim_world *world = worker->world;
    struct sim_event *end =
        sim_at(world, world->now + sim_delay(world, 2 * world->task_ns), SIM_DISK_END);
    end->worker = worker;
    end->run = run;
    end->life = worker->life;
    end->is_write = is_write;
    end->extent = extent;
}

void
sim_disk_spill(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    struct sim_world *world = worker->world;
    const struct sim_handle *handle = action->spill.handle;
    if (handle == NULL || handle->bytes != action->spill.bytes || handle->bytes == 0) {
        sim_fail(world, "worker %d writes a chunk that it has not", worker->id);
    }
    struct sim_extent *extent = sim_alloc(sizeof *extent);
    *extent = (struct sim_extent){handle->key, handle->value, handle->bytes};
    world->extents++;
    sim_trace(world, "worker %d writes %u:%u", worker->id, tsi_key_job(handle->key),
              tsi_key_task(handle->key));
    end_later(worker, action->spill.run, extent, true);
}

void
sim_disk_load(struct sim_worker *worker, const struct tsi_worker_action *action)
{
    const struct sim_extent *extent = action->load.extent;
    if (extent->bytes != action->load.bytes) {
        sim_fail(worker->world, "worker %d reads another chunk", worker->id);
    }
    sim_trace(worker->world, "worker %d reads %u:%u", worker->id, tsi_key_job(extent->key),
              tsi_key_task(extent->key));
    end_later(worker, action->load.run, extent, false);
}

void
sim_disk_release(void *context, void *extent)
{
    struct sim_world *world = context;
    free(extent);
    world->extents--;
}

static bool
goes_wrong(struct sim_world *world)
{
    return world->faults.disk && !world->quiet && sim_chance(&world->random, 150);
}

void
sim_disk_end(const struct sim_event *event)
{
    struct sim_worker *worker = event->worker;
    struct sim_world *world = worker->world;
    const bool is_gone = worker->core == NULL || worker->life != event->life;
    struct tsi_worker_event ended = {.kind = TSI_WORKER_SPILLED};
    if (is_gone) {
        // What is read belongs to the core, which has given it back.
        if (event->is_write) {
            sim_disk_release(world, (void *)(uintptr_t)event->extent);
        }
        return;
    }
    if (event->is_write) {
        ended.spilled.run = event->run;
        ended.spilled.extent = (void *)(uintptr_t)event->extent;
        if (goes_wrong(world)) {
            sim_disk_release(world, ended.spilled.extent);
            ended.spilled.extent = NULL;
            ended.spilled.status = TESS_EIO;
            ended.spilled.text = "the disk is full";
        }
    } else {
        ended.kind = TSI_WORKER_LOADED;
        ended.loaded.run = event->run;
        ended.loaded.status = goes_wrong(world) ? TESS_EIO : TESS_OK;
        ended.loaded.text = "the bytes are not those that were written";
        if (ended.loaded.status == TESS_OK) {
            struct sim_handle *handle = sim_alloc(sizeof *handle);
            *handle = (struct sim_handle){worker, event->extent->key, event->extent->value,
                                          event->extent->bytes};
            ended.loaded.handle = handle;
            world->handles++;
        }
    }
    sim_worker_feed(worker, &ended);
}
