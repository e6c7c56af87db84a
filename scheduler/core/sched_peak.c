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
// A worker's line in the report of a job is written when it leaves, or when the job is over; one
// that comes back is another worker, with another line.
//
// Beyond its limit a worker has chunks on disk alone, but for what came inside messages: that is in
// memory before anybody is asked.
//
// Where something may be at a worker that the books do not know of, the bound is its limit for as
// long as it lives. So it is for a worker that has worked for a scheduler before, since what runs
// there for that one is not told, and for one that was to copy a chunk that nobody waits for now.

#include "engine/base/saturate.h"
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
    worker->is_unsure = true;
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
    if (worker->is_unsure) {
        tsi_sched_peak_doubt(worker);
    }
}

void
tsi_sched_peak_measured(struct tsi_sched_worker *worker, struct tsi_sched_job *job, uint64_t bytes)
{
    if (job->ended) {
        return; // as its lines: what is made again of what it keeps is not in them
    }
    job->peak_bytes_measured = larger(job->peak_bytes_measured, bytes);
    if (tsi_sched_worker_knows(worker, job)) {
        struct tsi_sched_known *known = &worker->known.items[job->slot];
        known->peak_bytes_measured = larger(known->peak_bytes_measured, bytes);
    }
}

// Adds what `worker` was given while it knew `job`, if it knows it. Without memory for its line the
// maximum of all is right all the same.
static void
add(struct tsi_sched_job *job, const struct tsi_sched_worker *worker)
{
    if (worker->peer == TSI_PEER_NONE || !tsi_sched_worker_knows(worker, job)) {
        return;
    }
    const struct tsi_sched_known *known = &worker->known.items[job->slot];
    const uint64_t most = larger(known->peak_bytes, worker->peak_bytes);
    const uint64_t limit = tsi_saturate_add(worker->memory_bytes, worker->inlined_bytes);
    struct tsi_worker_peak peak = {.peer = worker->peer,
                                   .name = tsi_strdup(worker->name),
                                   .predicted = most < limit ? most : limit,
                                   .measured = known->peak_bytes_measured};
    job->peak_bytes = larger(job->peak_bytes, peak.predicted);
    if (peak.name == NULL || !tsi_vec_push(&job->peaks, peak)) {
        tsi_free((void *)(uintptr_t)peak.name);
    }
}

// Takes the lines of workers that are there out: they are written anew. False for a job that has
// ended: its lines stay as they were told.
static bool
reopen(struct tsi_sched_job *job)
{
    while (!job->ended && job->peaks.count > job->peaks_left) {
        tsi_free((void *)(uintptr_t)tsi_vec_last(&job->peaks).name);
        job->peaks.count--;
    }
    return !job->ended;
}

void
tsi_sched_peak_of_job(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    const bool is_open = reopen(job);
    for (size_t i = 0; is_open && i < sched->workers.count; i++) {
        add(job, sched->workers.items[i]);
    }
}

void
tsi_sched_peak_forget(struct tsi_sched_job *job)
{
    for (size_t i = 0; i < job->peaks.count; i++) {
        tsi_free((void *)(uintptr_t)job->peaks.items[i].name);
    }
    tsi_vec_fini(&job->peaks);
}

void
tsi_sched_peak_of_worker(struct tsi_sched *sched, const struct tsi_sched_worker *worker)
{
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && reopen(job)) {
            add(job, worker);
            job->peaks_left = job->peaks.count;
        }
    }
}
