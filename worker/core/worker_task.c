// SPDX-License-Identifier: Apache-2.0
//
// Assignments: from the batch that brings them to the report that ends them.
//
// A task is ready when all its inputs are in memory. Ready tasks run by rank, then by sequence. The
// first one starts when a run is free and its output and workspace fit beside what is held; later
// ones never overtake it. What it cannot have room for at all is given back (worker_stuck.c).

#include "worker/core/worker_state.h"

#include "engine/base/check.h"
#include "engine/base/planted.h"

static void
push_report(struct tsi_worker_reports *reports, struct tsi_worker_task *task)
{
    task->next_report = NULL;
    if (reports->last != NULL) {
        reports->last->next_report = task;
    } else {
        reports->first = task;
    }
    reports->last = task;
    reports->count++;
}

struct tsi_worker_task *
tsi_worker_task_report(struct tsi_worker_reports *reports)
{
    struct tsi_worker_task *task = reports->first;
    if (task != NULL) {
        reports->first = task->next_report;
        reports->last = reports->first != NULL ? reports->last : NULL;
        reports->count--;
    }
    return task;
}

void
tsi_worker_task_recycle(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    struct tsi_worker_job *job = task->job;
    tsi_free(task->text);
    task->text = NULL;
    if (task->next != NULL) {
        task->next->previous = task->previous;
    }
    if (task->previous != NULL) {
        task->previous->next = task->next;
    } else if (job != NULL) {
        job->tasks = task->next;
    }
    tsi_worker_pool_give(&worker->task_pool, task);
    if (job != NULL) {
        tsi_worker_job_settle(worker, job);
    }
}

// Takes the use out of the list of its chunk.
static void
unlink_use(struct tsi_worker_input *input)
{
    if (input->next != NULL) {
        input->next->previous = input->previous;
    }
    if (input->previous != NULL) {
        input->previous->next = input->next;
    } else {
        input->chunk->users = input->next;
    }
    input->task = NULL;
    input->next = NULL;
    input->previous = NULL;
}

// Lets go of all inputs; with `known`, those that were fetched stay.
static void
release_inputs(struct tsi_worker *worker, struct tsi_worker_task *task, bool known)
{
    const bool ran = task->state == TSI_WORKER_RUNNING;
    for (size_t i = 0; i < task->inputs.count; i++) {
        struct tsi_worker_input *input = &task->inputs.items[i];
        struct tsi_worker_chunk *chunk = input->chunk;
        if (input->task != NULL) {
            unlink_use(input);
        }
        if (known && !chunk->freed) {
            tsi_worker_chunk_know(chunk, task->job);
        }
        chunk->locks -= ran ? 1 : 0;
        tsi_worker_chunk_unpin(worker, chunk);
    }
    tsi_vec_clear(&task->inputs);
    task->missing = 0;
}

uint64_t
tsi_worker_task_priority(const struct tsi_worker_task *task)
{
    return (uint64_t)task->rank << 32 | task->sequence;
}

void
tsi_worker_task_input_left(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    task->missing++;
    if (task->state == TSI_WORKER_READY) {
        tsi_worker_queue_remove(&worker->ready, &task->entry);
        task->state = TSI_WORKER_NEEDS_INPUTS;
    }
}

void
tsi_worker_task_withdraw(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    if (tsi_table_get(&worker->sequences, task->sequence) == task) {
        tsi_table_remove(&worker->sequences, task->sequence);
    }
    if (task->entry.at != TSI_WORKER_NOT_QUEUED) {
        tsi_worker_queue_remove(&worker->ready, &task->entry);
    }
    release_inputs(worker, task, TSI_PLANTED(worker_kept_input));
}

void
tsi_worker_task_end(struct tsi_worker *worker, struct tsi_worker_task *task,
                    enum tsi_attempt_end end, tess_status status, const char *text)
{
    task->state = TSI_WORKER_ENDED;
    task->text = text != NULL ? tsi_strdup(text) : NULL;
    task->end = (struct tsi_attempt){
        .job = task->end.job,
        .task = task->task,
        .sequence = task->sequence,
        .end = end,
        .status = status,
        .text = task->text,
    };
    if (!TSI_PLANTED(worker_lost_report)) {
        push_report(&worker->ended, task);
    }
    tsi_worker_offer_again(worker, tsi_key_of(task->end.job, task->task));
}

void
tsi_worker_task_input_lost(struct tsi_worker *worker, struct tsi_worker_task *task, tsi_key key,
                           uint32_t peer, const char *text)
{
    tsi_worker_task_withdraw(worker, task);
    tsi_worker_task_end(worker, task, TSI_ATTEMPT_FETCH_FAILED, TESS_ELOST, text);
    task->end.input = key;
    task->end.peer = peer;
}

void
tsi_worker_task_drop(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    tsi_worker_task_withdraw(worker, task);
    tsi_worker_task_recycle(worker, task);
}

void
tsi_worker_task_make_ready(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    task->state = TSI_WORKER_READY;
    tsi_worker_queue_push(&worker->ready, &task->entry);
}

void
tsi_worker_task_input_arrived(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    task->missing--;
    if (task->missing == 0) {
        tsi_worker_task_make_ready(worker, task);
    }
}

void
tsi_worker_task_retract(struct tsi_worker *worker, uint32_t sequence)
{
    struct tsi_worker_task *task = tsi_table_get(&worker->sequences, sequence);
    if (task != NULL) {
        tsi_worker_task_withdraw(worker, task);
        tsi_worker_task_end(worker, task, TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
    }
}

// Whether a ready task is the mirror image (mirror.h) of the one that was started just before, and
// there are others for threads that have nothing: then both are best executed at once.
static bool
goes_along(const struct tsi_worker *worker, const struct tsi_worker_task *task,
           const struct tsi_worker_needs *needs)
{
    const struct tsi_worker_task *leader = worker->leader;
    const size_t busy = worker->run_count - worker->free_run_count - worker->along_count;
    const size_t idle = (size_t)worker->threads > busy ? (size_t)worker->threads - busy : 0;
    return leader != NULL && needs->mirror.low >= 0 && leader->job == task->job &&
           leader->op == task->op && leader->chunk != task->chunk &&
           tsi_worker_queue_count(&worker->ready) > idle &&
           tsi_mirror_chunk(&needs->mirror, &task->job->program->ops[task->op].loop,
                            leader->chunk) == task->chunk;
}

// The next task to run, if there is one and room for it.
static struct tsi_worker_task *
start_next(struct tsi_worker *worker)
{
    struct tsi_worker_entry *entry = tsi_worker_queue_first(&worker->ready);
    if (entry == NULL || worker->free_run_count == 0) {
        return NULL;
    }
    struct tsi_worker_task *task = (struct tsi_worker_task *)(void *)entry;
    struct tsi_worker_job *job = task->job;
    const struct tsi_worker_needs *needs = tsi_worker_job_needs(job, task->op);
    const uint64_t output = needs->even_bytes != UINT64_MAX
                                ? needs->even_bytes
                                : tsi_chunk_op_bytes(&job->program->ops[task->op], task->chunk);
    const uint64_t reserved = output + needs->workspace;
    const bool is_along = goes_along(worker, task, needs);
    const size_t busy = worker->run_count - worker->free_run_count - worker->along_count;
    const bool goes_ahead = busy >= (size_t)worker->threads && !is_along;
    if (goes_ahead && (!needs->is_short || worker->long_count > 0)) {
        return NULL;
    }
    // What left for it is released before it runs: otherwise both would be there for a moment.
    if (!tsi_worker_spill_room(worker, reserved, tsi_worker_task_priority(task)) ||
        worker->releases.count > 0) {
        return NULL;
    }
    for (size_t i = 0; i < task->inputs.count; i++) {
        unlink_use(&task->inputs.items[i]);
        task->inputs.items[i].chunk->locks++;
    }
    tsi_worker_queue_remove(&worker->ready, entry);
    tsi_table_remove(&worker->sequences, task->sequence);
    task->state = TSI_WORKER_RUNNING;
    task->output_bytes = output;
    task->reserved = reserved;
    task->run = worker->free_runs[--worker->free_run_count];
    worker->runs[task->run] = task;
    worker->bytes_reserved += reserved;
    worker->bytes_counted += reserved;
    task->is_short = needs->is_short;
    worker->long_count += needs->is_short ? 0 : 1;
    task->is_along = is_along;
    worker->along_count += is_along ? 1 : 0;
    job->running++;
    return task;
}

struct tsi_worker_task *
tsi_worker_task_start(struct tsi_worker *worker)
{
    struct tsi_worker_task *task = start_next(worker);
    worker->leader = task != NULL && !task->is_along ? task : NULL;
    return task;
}

static void
leave_run(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    if (worker->cancels[task->run]) {
        worker->cancels[task->run] = false;
        worker->cancel_count--;
    }
    worker->runs[task->run] = NULL;
    worker->free_runs[worker->free_run_count++] = task->run;
    worker->bytes_reserved -= TSI_PLANTED(worker_leaked_memory) ? 0 : task->reserved;
    worker->bytes_counted -= task->job->detached || task->orphan ? 0 : task->reserved;
    worker->long_count -= task->is_short ? 0 : 1;
    worker->along_count -= task->is_along ? 1 : 0;
    worker->leader = NULL;
    task->job->running--;
}

// Puts the output where its key says.
static void
put_output(struct tsi_worker *worker, struct tsi_worker_chunk *output,
           const struct tsi_worker_event *event)
{
    if (output->state == TSI_WORKER_HELD) {
        // A copy from elsewhere is as good: a chunk is the same wherever it was computed.
        (void)tsi_vec_push(&worker->releases, event->executed.handle);
        tsi_worker_chunk_count(worker, output);
    } else {
        tsi_worker_chunk_arrived(worker, output, event->executed.handle, event->executed.bytes);
    }
}

// A task that nobody waits for has ended: its output, if there is one, is offered.
static void
end_orphan(struct tsi_worker *worker, struct tsi_worker_task *task, struct tsi_worker_chunk *output,
           const struct tsi_worker_event *event)
{
    if (output != NULL) {
        put_output(worker, output, event);
        tsi_worker_task_orphaned(worker, task, output);
    }
    tsi_worker_task_recycle(worker, task);
}

static void
finish(struct tsi_worker *worker, struct tsi_worker_task *task, struct tsi_worker_chunk *output,
       const struct tsi_worker_event *event)
{
    output->freed = false;
    put_output(worker, output, event);
    output->known = true;
    output->told = true; // before it can leave, by its lock
    output->unclaimed = false;
    output->pins++;
    output->locks++;
    task->output = output;
    task->state = TSI_WORKER_DONE;
    task->completion = (struct tsi_completion){
        .job = task->job->number,
        .task = task->task,
        .sequence = task->sequence,
        .duration_us = event->executed.duration_us,
        .bytes = output->bytes,
    };
    push_report(&worker->done, task);
}

bool
tsi_worker_task_executed(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    const bool is_good = event->executed.status == TESS_OK;
    struct tsi_worker_task *task =
        event->executed.run < worker->run_count ? worker->runs[event->executed.run] : NULL;
    TSI_CHECK(task != NULL);
    if (is_good && (!tsi_worker_chunk_reserve_release(worker) ||
                    !tsi_vec_reserve(&worker->late, worker->run_count))) {
        return false;
    }
    struct tsi_worker_job *job = task->job;
    struct tsi_worker_chunk *output = NULL;
    if (is_good && !job->detached) {
        output = tsi_worker_chunk_add(worker, tsi_key_of(job->number, task->task));
        if (output == NULL) {
            return false;
        }
    }
    leave_run(worker, task);
    if (job->detached) {
        if (is_good) {
            (void)tsi_vec_push(&worker->releases, event->executed.handle);
        }
        release_inputs(worker, task, false);
        tsi_worker_task_recycle(worker, task);
        return true;
    }
    release_inputs(worker, task, is_good && !task->orphan);
    if (task->orphan) {
        end_orphan(worker, task, output, event);
    } else if (is_good) {
        finish(worker, task, output, event);
    } else {
        // What has no memory beside others may have it later, or elsewhere.
        const bool has_others = worker->free_run_count < worker->run_count;
        const bool is_refused = event->executed.status == TESS_ENOMEM && has_others;
        tsi_worker_task_end(worker, task, is_refused ? TSI_ATTEMPT_REFUSED : TSI_ATTEMPT_FAILED,
                            event->executed.status, event->executed.text);
    }
    return true;
}
