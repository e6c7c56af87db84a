// SPDX-License-Identifier: Apache-2.0
//
// The invariants of the worker's core, by number, and the hash of its state.
//
//   W1  the ledger is the sum over what is held, reserved and on its way
//   W2  each chunk has one pin for each use
//   W3  a task waits exactly for its inputs that are not held, each of which is on its way
//   W4  a chunk is recorded only for a reason, and queued exactly in the state of that name
//   W5  running tasks and runs name each other
//   W6  the maps and lists have the same members
//   W7  both queues are in order
//   W8  chunks on disk, on their way there and back, and in memory are in the lists and sums of
//   those
//
// Uses are compared with pins by sums of a hash of the chunk, so that one pass without memory does
// it.

#include "worker/core/worker.h"

#include "worker/core/worker_state.h"

struct count {
    uint64_t bytes_held;
    uint64_t bytes_counted;
    uint64_t bytes_fetching;
    uint64_t bytes_spilled;
    uint64_t bytes_leaving;
    uint64_t locks;     // a sum of hashes
    uint64_t lock_uses; // the same sum, if all is well
    size_t extents;
    size_t spill_runs;
    size_t resident;
    uint64_t bytes_reserved;
    uint64_t pins; // a sum of hashes
    uint64_t uses; // the same sum, if all is well
    size_t held;
    size_t fetching;
    size_t queued;
    size_t mapped;
    size_t copying;
    size_t ready;
    size_t unstarted;
    size_t running;
    size_t along;
    size_t assignments;
    size_t jobs;
    uint64_t programs;
};

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t
hash_of(const struct tsi_worker_chunk *chunk)
{
    return mix(mix(1, (uint64_t)(uintptr_t)chunk), chunk->key);
}

static const char *
check_spill(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk,
            struct count *count)
{
    const bool is_held = chunk->state == TSI_WORKER_HELD;
    const bool is_read = chunk->io == TSI_WORKER_READING;
    count->locks += hash_of(chunk) * chunk->locks;
    count->spill_runs += chunk->io != TSI_WORKER_NO_IO;
    count->resident += is_held && chunk->bytes > 0;
    if (chunk->extent != NULL || chunk->leaving) {
        count->extents++;
        count->bytes_spilled += chunk->bytes;
    }
    count->bytes_leaving += chunk->leaving ? chunk->bytes : 0;
    if (chunk->io != TSI_WORKER_NO_IO && worker->spill_runs[chunk->spill_run] != chunk) {
        return "W8: a chunk that is written or read is on no run";
    }
    if ((chunk->locks > 0 || chunk->leaving) && !is_held) {
        return "W8: a chunk that tasks run with, or that is written, is not in memory";
    }
    if (is_held && chunk->bytes > 0 && worker->resident.items[chunk->resident_at] != chunk) {
        return "W8: a chunk in memory is not in the list of those";
    }
    if (chunk->state == TSI_WORKER_ON_DISK && (chunk->users != NULL || chunk->extent == NULL)) {
        return "W8: a chunk that is on disk alone is not there, or tasks wait for it";
    }
    return is_read && chunk->extent == NULL ? "W8: a chunk is read and is not there" : NULL;
}

static const char *
check_chunk(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk,
            struct count *count)
{
    count->pins += hash_of(chunk) * chunk->pins;
    count->held += chunk->state == TSI_WORKER_HELD;
    count->bytes_held += chunk->state == TSI_WORKER_HELD ? chunk->bytes : 0;
    count->fetching += chunk->state == TSI_WORKER_FETCHING;
    count->bytes_fetching += chunk->state == TSI_WORKER_FETCHING ? chunk->bytes : 0;
    count->bytes_counted += chunk->counted;
    count->queued += chunk->state == TSI_WORKER_QUEUED;
    count->copying += chunk->copying;
    count->mapped += chunk->mapped;
    if (chunk->mapped && tsi_worker_chunk_find(worker, chunk->key) != chunk) {
        return "W6: a chunk is not found by its key";
    }
    const bool is_queued = chunk->entry.at != TSI_WORKER_NOT_QUEUED;
    if (is_queued != (chunk->state == TSI_WORKER_QUEUED)) {
        return "W4: the queue of fetches and the states of chunks differ";
    }
    const bool has_reason = chunk->pins > 0 || chunk->copying ||
                            chunk->state == TSI_WORKER_FETCHING || chunk->io != TSI_WORKER_NO_IO ||
                            ((chunk->state == TSI_WORKER_HELD || chunk->extent != NULL) &&
                             (chunk->known || chunk->unclaimed));
    if (!has_reason) {
        return "W4: a chunk that nobody needs";
    }
    if (chunk->state == TSI_WORKER_NOWHERE && chunk->pins > 0) {
        return "W3: a chunk that tasks wait for is not on its way";
    }
    return check_spill(worker, chunk, count);
}

static const char *
check_inputs(const struct tsi_worker_task *task)
{
    size_t missing = 0;
    for (size_t i = 0; i < task->inputs.count; i++) {
        const struct tsi_worker_input *input = &task->inputs.items[i];
        const bool waits =
            task->state == TSI_WORKER_READY || task->state == TSI_WORKER_NEEDS_INPUTS;
        if (input->task != (waits ? task : NULL)) {
            return "W3: a task and the users of its input disagree";
        }
        missing += input->chunk->state != TSI_WORKER_HELD;
    }
    return missing != task->missing ? "W3: the count of missing inputs is wrong" : NULL;
}

static const char *
check_task(const struct tsi_worker *worker, const struct tsi_worker_task *task, struct count *count)
{
    for (size_t i = 0; i < task->inputs.count; i++) {
        const uint64_t hash = hash_of(task->inputs.items[i].chunk);
        count->uses += hash;
        count->lock_uses += task->state == TSI_WORKER_RUNNING ? hash : 0;
    }
    count->uses += task->output != NULL ? hash_of(task->output) : 0;
    count->lock_uses += task->output != NULL ? hash_of(task->output) : 0;
    count->assignments +=
        task != worker->told && !task->orphan && (task->job == NULL || !task->job->detached);
    count->ready += task->state == TSI_WORKER_READY;
    count->unstarted += task->state == TSI_WORKER_READY || task->state == TSI_WORKER_NEEDS_INPUTS;
    if ((task->entry.at != TSI_WORKER_NOT_QUEUED) != (task->state == TSI_WORKER_READY)) {
        return "W4: the queue of ready tasks and the states of tasks differ";
    }
    if ((task->state == TSI_WORKER_NEEDS_INPUTS) != (task->missing > 0)) {
        return "W3: a task's state and its missing inputs disagree";
    }
    if (task->state == TSI_WORKER_RUNNING) {
        count->running++;
        count->along += task->is_along;
        count->bytes_reserved += task->reserved;
        const bool is_apart = task->orphan || (task->job != NULL && task->job->detached);
        count->bytes_counted += is_apart ? 0 : task->reserved;
        if (worker->runs[task->run] != task) {
            return "W5: a running task is on no run";
        }
    }
    return check_inputs(task);
}

static const char *
check_job(const struct tsi_worker *worker, const struct tsi_worker_job *job, struct count *count)
{
    const size_t running_before = count->running;
    for (const struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = chunk->next) {
        const char *broken = check_chunk(worker, chunk, count);
        if (broken != NULL) {
            return broken;
        }
    }
    for (const struct tsi_worker_task *task = job->tasks; task != NULL; task = task->next) {
        const char *broken = check_task(worker, task, count);
        if (broken != NULL) {
            return broken;
        }
    }
    count->jobs += !job->detached;
    count->programs += job->program != NULL;
    if (!job->detached && tsi_worker_job_find(worker, job->number) != job) {
        return "W6: a job is not found by its number";
    }
    if (job->program == NULL && job->chunks == NULL && job->tasks == NULL) {
        return "W4: a job of which nothing is left";
    }
    return count->running - running_before != job->running
               ? "W5: the count of a job's running tasks is wrong"
               : NULL;
}

static const char *
check_sums(const struct tsi_worker *worker, const struct count *count)
{
    if (count->bytes_held != worker->bytes_held || count->held != worker->held_count ||
        count->bytes_reserved != worker->bytes_reserved ||
        count->fetching != worker->fetching_count ||
        count->bytes_fetching != worker->bytes_fetching ||
        count->bytes_counted != worker->bytes_counted) {
        return "W1: the ledger is not the sum of what it counts";
    }
    if (count->bytes_spilled != worker->bytes_spilled || count->extents != worker->extent_count ||
        count->bytes_leaving != worker->bytes_leaving ||
        count->spill_runs != worker->spill_run_count || count->resident != worker->resident.count ||
        count->locks != count->lock_uses) {
        return "W8: the ledger of what is on disk is not the sum of what it counts";
    }
    if (count->pins != count->uses) {
        return "W2: pins and uses differ";
    }
    if (count->running + worker->free_run_count != worker->run_count ||
        count->along != worker->along_count) {
        return "W5: runs are lost";
    }
    if (count->mapped != worker->chunks.count || count->unstarted != worker->sequences.count ||
        count->jobs != worker->jobs.count || count->copying != worker->copying_count ||
        count->assignments != worker->assignments || count->programs != worker->programs_live) {
        return "W6: a map or a count has other members than the lists";
    }
    if (count->queued != tsi_worker_queue_count(&worker->fetches) ||
        count->ready != tsi_worker_queue_count(&worker->ready) ||
        !tsi_worker_queue_verify(&worker->fetches) || !tsi_worker_queue_verify(&worker->ready)) {
        return "W7: a queue is out of order";
    }
    return NULL;
}

bool
tsi_worker_verify(const struct tsi_worker *worker, const char **broken)
{
    struct count count = {0};
    *broken = NULL;
    for (const struct tsi_worker_job *job = worker->job_list; job != NULL && *broken == NULL;
         job = job->next) {
        *broken = check_job(worker, job, &count);
    }
    for (const struct tsi_worker_task *task = worker->ended.first; task != NULL;
         task = task->next_report) {
        count.assignments += task->job == NULL;
    }
    for (size_t i = 0; i < worker->batch_count; i++) {
        count.uses += hash_of(worker->batch_outputs[i]);
        count.lock_uses += hash_of(worker->batch_outputs[i]);
    }
    if (*broken == NULL) {
        *broken = check_sums(worker, &count);
    }
    return *broken == NULL;
}

static uint64_t
mix_chunk(uint64_t hash, const struct tsi_worker_chunk *chunk)
{
    const uint64_t flags = (uint64_t)chunk->mapped | (uint64_t)chunk->known << 1 |
                           (uint64_t)chunk->freed << 2 | (uint64_t)chunk->unclaimed << 3 |
                           (uint64_t)chunk->copying << 4 | (uint64_t)chunk->told << 5;
    hash = mix(hash, chunk->key);
    hash = mix(hash, (uint64_t)chunk->state << 8 | flags);
    hash = mix(hash, chunk->bytes);
    return mix(hash, (uint64_t)chunk->pins << 32 | chunk->peer);
}

static uint64_t
mix_task(uint64_t hash, const struct tsi_worker_task *task)
{
    hash = mix(hash, (uint64_t)task->task << 32 | task->sequence);
    hash = mix(hash, (uint64_t)task->rank << 32 | task->run);
    return mix(hash, (uint64_t)task->state << 32 | task->missing);
}

uint64_t
tsi_worker_digest(const struct tsi_worker *worker)
{
    uint64_t hash = mix(1, worker->assignments);
    for (const struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        hash = mix(hash, (uint64_t)job->number << 1 | (uint64_t)job->detached);
        hash = mix(hash, job->program != NULL);
        for (const struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL;
             chunk = chunk->next) {
            hash = mix_chunk(hash, chunk);
        }
        for (const struct tsi_worker_task *task = job->tasks; task != NULL; task = task->next) {
            hash = mix_task(hash, task);
        }
    }
    hash = mix(hash, worker->bytes_held);
    hash = mix(hash, worker->bytes_reserved);
    hash = mix(hash, worker->bytes_fetching);
    hash = mix(hash, worker->bytes_spilled);
    hash = mix(hash, worker->spills_done);
    hash = mix(hash, worker->releases.count);
    return mix(hash, worker->copied.count);
}
