// SPDX-License-Identifier: Apache-2.0
//
// Between two schedulers. When the scheduler is lost, the next one may know the same jobs: what is
// held stays, with the programs, and is offered to it. Assignments that have not begun are
// forgotten; those that run go on as *orphans*: nobody waits for their report, but what they make
// is a chunk like others, and is offered too. What nobody could know of, such as inputs that were
// fetched ahead, goes.
//
// The scheduler does not listen to an offer of what it has given to the same worker to make; if
// that attempt ends without a chunk, the offer is repeated.
//
// Chunks of jobs whose program never came cannot be offered, since only the program comes with the
// token that tells one job of a number from another.

#include <stdlib.h>

#include "worker/core/worker_state.h"

static void
part_tasks(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    struct tsi_worker_task *next = NULL;
    for (struct tsi_worker_task *task = job->tasks; task != NULL; task = next) {
        next = task->next;
        if (task->state == TSI_WORKER_RUNNING) {
            worker->bytes_counted -= task->orphan ? 0 : task->reserved;
            task->orphan = true;
        } else if (task->state == TSI_WORKER_NEEDS_INPUTS || task->state == TSI_WORKER_READY) {
            tsi_worker_task_drop(worker, task);
        }
    }
}

// What is on its way will not come, and what is not known goes unless it is in use.
static void
part_chunks(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    struct tsi_worker_chunk *next = NULL;
    for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (job->detached) {
            tsi_worker_chunk_detach(worker, chunk); // its number may come to be a job's again
            continue;
        }
        const bool stays = chunk->known && job->program != NULL;
        chunk->known_by = TSI_JOB_NONE; // the offer tells of it
        chunk->doubtful = true;
        chunk->told = false;
        tsi_worker_chunk_call_off(worker, chunk);
        tsi_worker_chunk_count(worker, chunk);
        if (!stays) {
            tsi_worker_chunk_free(worker, chunk);
        }
    }
}

static void
drop_reports(struct tsi_worker *worker)
{
    while (worker->done.count > 0) {
        tsi_worker_tell_end(worker, tsi_worker_task_report(&worker->done));
    }
    while (worker->ended.count > 0) {
        tsi_worker_tell_end(worker, tsi_worker_task_report(&worker->ended));
    }
    tsi_vec_clear(&worker->copied);
    tsi_vec_clear(&worker->lost_copies);
    tsi_vec_clear(&worker->late);
    tsi_vec_clear(&worker->dropped);
    worker->assignments = 0;
}

void
tsi_worker_part(struct tsi_worker *worker)
{
    // A task of one job may be the last to use chunks of another: all records stay for the time.
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        job->running++;
    }
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        if (!job->detached) {
            part_tasks(worker, job);
        }
    }
    drop_reports(worker);
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        part_chunks(worker, job);
    }
    struct tsi_worker_job *next = NULL;
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = next) {
        next = job->next;
        job->running--;
        tsi_worker_job_settle(worker, job);
    }
    worker->offered = false;
}

bool
tsi_worker_task_orphaned(struct tsi_worker *worker, struct tsi_worker_task *task,
                         struct tsi_worker_chunk *output)
{
    const tsi_key key = tsi_key_of(task->job->number, task->task);
    output->known = true;
    output->freed = false;
    output->unclaimed = false;
    output->doubtful = true;
    tsi_worker_chunk_count(worker, output);
    return !worker->offered || tsi_vec_push(&worker->late, key);
}

void
tsi_worker_offer_again(struct tsi_worker *worker, tsi_key key)
{
    const struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
    if (chunk != NULL && tsi_worker_chunk_is_here(chunk) && chunk->known && worker->offered) {
        // Without memory for it the chunk stays until its job is dropped.
        (void)tsi_vec_push(&worker->late, key);
    }
}

static int
compare_keys(const void *a, const void *b)
{
    const tsi_key left = *(const tsi_key *)a;
    const tsi_key right = *(const tsi_key *)b;
    return left < right ? -1 : left > right;
}

// The keys of a job that the scheduler may have again, in order, in the scratch list.
static bool
collect(struct tsi_worker *worker, const struct tsi_worker_job *job)
{
    tsi_vec_clear(&worker->scratch);
    for (const struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = chunk->next) {
        if (tsi_worker_chunk_is_here(chunk) && chunk->known && chunk->mapped &&
            !tsi_vec_push(&worker->scratch, chunk->key)) {
            return false;
        }
    }
    if (worker->scratch.count > 0) {
        qsort(worker->scratch.items, worker->scratch.count, sizeof(tsi_key), compare_keys);
    }
    return true;
}

static bool
offer_job(struct tsi_worker *worker, const struct tsi_worker_job *job)
{
    struct tsi_holding holding = {.job = job->number, .token = job->token};
    if (!collect(worker, job)) {
        return false;
    }
    for (size_t i = 0; i < worker->scratch.count; i++) {
        const uint32_t task = tsi_key_task(worker->scratch.items[i]);
        if (holding.range_count > 0 &&
            tsi_vec_last(&worker->ranges).first + tsi_vec_last(&worker->ranges).count == task) {
            tsi_vec_last(&worker->ranges).count++;
            continue;
        }
        if (!tsi_vec_push(&worker->ranges, ((struct tsi_task_range){task, 1}))) {
            return false;
        }
        holding.range_count++;
    }
    return tsi_vec_push(&worker->holdings, holding);
}

bool
tsi_worker_offer(struct tsi_worker *worker, struct tsi_worker_offer *offer)
{
    tsi_vec_clear(&worker->holdings);
    tsi_vec_clear(&worker->ranges);
    for (const struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        if (!job->detached && job->program != NULL && !offer_job(worker, job)) {
            return false;
        }
    }
    worker->offered = true;
    *offer = (struct tsi_worker_offer){.holdings = worker->holdings.items,
                                       .count = worker->holdings.count,
                                       .ranges = worker->ranges.items,
                                       .range_count = worker->ranges.count};
    return true;
}

bool
tsi_worker_tell_late(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    while (worker->late.count > 0) {
        const tsi_key key = tsi_vec_pop(&worker->late);
        const struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
        if (chunk != NULL && tsi_worker_chunk_is_here(chunk) && chunk->known) {
            worker->late_holding = (struct tsi_holding){tsi_key_job(key), chunk->job->token, 1};
            worker->late_range = (struct tsi_task_range){tsi_key_task(key), 1};
            action->kind = TSI_WORKER_REPORT_HELD;
            action->held =
                (struct tsi_worker_offer){&worker->late_holding, 1, &worker->late_range, 1};
            return true;
        }
    }
    return false;
}
