// SPDX-License-Identifier: Apache-2.0
//
// The most memory that any worker was given while a job ran: what it holds by the books, and what
// is reserved for what it was assigned. Nothing is given that is not in the books first, so no
// worker takes more for what it was told; it is a prediction, made when a task is admitted.
//
// A worker has one running maximum. When it is told of a job the maximum is added to those of the
// jobs that it knows, and starts anew; so the peak of a job is that of the time since the worker
// knows it, whatever else it did then.
//
// Beyond its limit a worker has chunks on disk alone, but for what came inside messages: that is in
// memory before anybody is asked.
//
// Where something may be at a worker that the books do not know of, the bound is its limit. So it
// is for a worker that has worked for a scheduler before: what runs there for that one is not told.

#include "scheduler/core/sched_state.h"

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void
tsi_sched_peak_note(struct tsi_sched_worker *worker)
{
    worker->peak_bytes = larger(worker->peak_bytes, worker->held_bytes + worker->reserved_bytes);
}

void
tsi_sched_peak_doubt(struct tsi_sched_worker *worker)
{
    worker->peak_bytes = larger(worker->peak_bytes, worker->memory_bytes);
}

void
tsi_sched_peak_fold(struct tsi_sched_worker *worker)
{
    for (size_t i = 0; i < worker->known.count; i++) {
        struct tsi_sched_known *known = &worker->known.items[i];
        known->peak_bytes = larger(known->peak_bytes, worker->peak_bytes);
    }
    worker->peak_bytes = worker->held_bytes + worker->reserved_bytes;
    if (worker->had_past) {
        tsi_sched_peak_doubt(worker);
    }
}

// Adds what `worker` was given while it knew `job`, if it knows it.
static void
add(struct tsi_sched_job *job, const struct tsi_sched_worker *worker)
{
    if (worker->peer != TSI_PEER_NONE && tsi_sched_worker_knows(worker, job)) {
        const uint64_t before = worker->known.items[job->slot].peak_bytes;
        const uint64_t most = larger(before, worker->peak_bytes);
        const uint64_t limit = worker->memory_bytes < UINT64_MAX - worker->inlined_bytes
                                   ? worker->memory_bytes + worker->inlined_bytes
                                   : UINT64_MAX;
        job->peak_bytes = larger(job->peak_bytes, most < limit ? most : limit);
    }
}

void
tsi_sched_peak_of_job(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    for (size_t i = 0; i < sched->workers.count; i++) {
        add(job, sched->workers.items[i]);
    }
}

void
tsi_sched_peak_of_worker(struct tsi_sched *sched, const struct tsi_sched_worker *worker)
{
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL) {
            add(sched->jobs.items[i], worker);
        }
    }
}
