// SPDX-License-Identifier: Apache-2.0
//
// What the embedded runtime does when the worker's core has no memory for an event. The two cores
// would not know the same any more, so it is as if the worker had been lost and another had come:
// all jobs fail, the worker forgets all, and joins anew. What arrays kept is computed again when it
// is needed. None of this needs memory but the joining, which is tried again at the next submit.

#include "engine/runtime/local.h"

static const char no_memory[] = "compute: out of memory";

// Takes back what an event carried that was not taken, so that nothing leaks.
static void
take_back(struct tsi_local *local, struct tsi_worker_event *event)
{
    struct tsi_local_job *job = NULL;
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        job = tsi_local_job(local, event->program.job);
        if (job != NULL) {
            job->held_by_worker = false;
        }
        break;
    case TSI_WORKER_FETCHED:
        tsi_buf_unref(event->fetched.handle);
        break;
    case TSI_WORKER_LOADED: // One that failed needs no memory.
        tsi_buf_unref(event->loaded.handle);
        event->loaded.status = TESS_ENOMEM;
        event->loaded.handle = NULL;
        event->loaded.text = no_memory;
        (void)tsi_worker_step(local->worker, event);
        break;
    case TSI_WORKER_EXECUTED: // A run that failed ends without memory.
        tsi_buf_unref(event->executed.handle);
        event->executed.status = TESS_ENOMEM;
        event->executed.handle = NULL;
        event->executed.bytes = 0;
        event->executed.text = no_memory;
        (void)tsi_worker_step(local->worker, event);
        break;
    default:
        break;
    }
}

void
tsi_local_worker_event(struct tsi_local *local, struct tsi_worker_event *event)
{
    event->now_ns = local->now_ns;
    if (!tsi_worker_step(local->worker, event)) {
        local->worker_failed = true;
        take_back(local, event);
    }
}

static void
fail_all_jobs(struct tsi_local *local)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    // None of them goes away here: the scheduler's core has them until it is asked for actions.
    while (tsi_map_next(&local->jobs_by_token, &cursor, &key, &value)) {
        struct tsi_local_job *job = (struct tsi_local_job *)(uintptr_t)value;
        if (job->held_by_sched && job->future != NULL && job->number != 0) {
            tsi_local_fail_job(local, job, no_memory);
        }
    }
}

void
tsi_local_renew_worker(struct tsi_local *local)
{
    struct tsi_worker_event reset = {.kind = TSI_WORKER_RESET};
    struct tsi_sched_event left = {.kind = TSI_SCHED_WORKER_LEFT, .peer = TSI_LOCAL_WORKER};
    local->worker_failed = false;
    tsi_attempts_cancel(&local->attempts);
    fail_all_jobs(local);
    tsi_local_worker_event(local, &reset);
    tsi_local_sched_event(local, &left);
    local->joined = false;
    tsi_local_join_worker(local);
}

void
tsi_local_join_worker(struct tsi_local *local)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_WORKER_JOINED, .peer = TSI_LOCAL_WORKER};
    if (local->joined) {
        return;
    }
    event.worker_joined.threads = local->thread_count;
    event.worker_joined.memory_bytes = local->memory_bytes;
    event.worker_joined.spill_bytes = local->spill_bytes;
    event.worker_joined.name = "embedded";
    local->joined = true; // until the core says otherwise
    tsi_local_sched_event(local, &event);
}
