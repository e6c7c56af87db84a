// SPDX-License-Identifier: Apache-2.0
//
// Jobs: the program of each, and lists of all that belongs to it.
//
// A job that is dropped loses its number at once; its record stays, detached, until the tasks that
// still run have ended. Only then the program goes, since they read it. A count of running tasks
// above zero keeps the record, which tsi_worker_job_drop() uses to hold on to it while it takes it
// apart.

#include "worker/core/worker_state.h"

struct tsi_worker_job *
tsi_worker_job_find(const struct tsi_worker *worker, uint32_t number)
{
    if (worker->last_job != NULL && worker->last_job->number == number) {
        return worker->last_job;
    }
    const uint64_t *value = tsi_map_get(&worker->jobs, number);
    return value != NULL ? (struct tsi_worker_job *)(uintptr_t)*value : NULL;
}

struct tsi_worker_job *
tsi_worker_job_add(struct tsi_worker *worker, uint32_t number)
{
    struct tsi_worker_job *job = tsi_worker_job_find(worker, number);
    if (job != NULL) {
        worker->last_job = job;
        return job;
    }
    if (!tsi_worker_pool_reserve(&worker->job_pool, 1)) {
        return NULL;
    }
    job = tsi_worker_pool_take(&worker->job_pool);
    if (!tsi_map_put(&worker->jobs, number, (uint64_t)(uintptr_t)job)) {
        tsi_worker_pool_give(&worker->job_pool, job);
        return NULL;
    }
    *job = (struct tsi_worker_job){.number = number, .next = worker->job_list};
    if (job->next != NULL) {
        job->next->previous = job;
    }
    worker->job_list = job;
    return job;
}

static void
remove_job(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    if (!job->detached) {
        tsi_map_remove(&worker->jobs, job->number);
        worker->last_job = NULL;
    }
    if (job->next != NULL) {
        job->next->previous = job->previous;
    }
    if (job->previous != NULL) {
        job->previous->next = job->next;
    } else {
        worker->job_list = job->next;
    }
    tsi_worker_pool_give(&worker->job_pool, job);
}

void
tsi_worker_job_settle(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    if (job->running > 0) {
        return;
    }
    if (job->detached && job->program != NULL) {
        (void)tsi_vec_push(&worker->programs, job->program); // reserved when it came
        worker->programs_live--;
        job->program = NULL;
        tsi_free(job->needs);
        job->needs = NULL;
        tsi_free(job->drops);
        job->drops = NULL;
    }
    if (job->program == NULL && job->tasks == NULL && job->chunks == NULL) {
        remove_job(worker, job);
    }
}

static void
drop_tasks(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    struct tsi_worker_task *next = NULL;
    for (struct tsi_worker_task *task = job->tasks; task != NULL; task = next) {
        next = task->next;
        worker->assignments -= task->orphan ? 0 : 1;
        if (task->state == TSI_WORKER_RUNNING) {
            worker->bytes_counted -= task->orphan ? 0 : task->reserved;
            worker->cancels[task->run] = true;
            worker->cancel_count++;
        } else if (task->state == TSI_WORKER_NEEDS_INPUTS || task->state == TSI_WORKER_READY) {
            tsi_worker_task_drop(worker, task);
        }
    }
}

// The scheduler does not look at completions of a job that it has dropped, so it may not know of
// kept chunks that were fetched for the job's tasks. It is told of them as of copies.
static void
tell_others(struct tsi_worker *worker, const struct tsi_worker_job *job)
{
    const struct tsi_worker_job *other = job->tells_others ? worker->job_list : NULL;
    for (; other != NULL; other = other->next) {
        for (struct tsi_worker_chunk *chunk = other->chunks; chunk != NULL; chunk = chunk->next) {
            if (chunk->known_by == job->number) {
                tsi_worker_chunk_tell_again(worker, chunk);
            }
        }
    }
}

void
tsi_worker_job_drop(struct tsi_worker *worker, struct tsi_worker_job *job)
{
    tsi_map_remove(&worker->jobs, job->number);
    worker->last_job = NULL;
    job->detached = true;
    job->running++;
    drop_tasks(worker, job);
    tell_others(worker, job);
    struct tsi_worker_chunk *next = NULL;
    for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        tsi_worker_chunk_free(worker, chunk);
    }
    job->running--;
    tsi_worker_job_settle(worker, job);
}

// A task that is expected to take no longer than this is short: about what it costs to hand one to
// a thread that sleeps.
#define SHORT_NS 20000

// More than any machine has, and so little that sums of it do not overflow.
#define WORKSPACE_MAX (UINT64_C(1) << 56)

// Bytes of each output of an operation, UINT64_MAX if not all have the same.
static uint64_t
even_bytes(const struct tsi_chunk_op *op)
{
    const int64_t largest = tsi_grid_chunk_elements_max(&op->array);
    int64_t all = 0;
    const bool is_even = !__builtin_mul_overflow(largest, (int64_t)op->task_count, &all) &&
                         all == tsi_grid_element_count(&op->array);
    return is_even ? tsi_chunk_op_bytes_max(op) : UINT64_MAX;
}

const struct tsi_worker_needs *
tsi_worker_job_needs(struct tsi_worker_job *job, int op)
{
    struct tsi_worker_needs *needs = &job->needs[op];
    if (needs->workspace == UINT64_MAX) {
        const struct tsi_chunk_op *chunk_op = &job->program->ops[op];
        const uint64_t workspace = tsi_chunk_op_workspace_max(job->program, chunk_op);
        needs->workspace = workspace < WORKSPACE_MAX ? workspace : WORKSPACE_MAX;
        needs->cost_ns = tsi_chunk_op_cost_ns(job->program, chunk_op);
        needs->even_bytes = even_bytes(chunk_op);
        needs->is_short = needs->cost_ns <= SHORT_NS;
        needs->mirror = tsi_mirror_find(chunk_op);
    }
    return needs;
}
