// SPDX-License-Identifier: Apache-2.0
//
// What the worker's core tells its driver, and in which order: memory is given back first, then
// tasks and fetches start and chunks are written, and completions come last, so that one round of
// polling tells them together; only chunks that went are told after them, since a completion tells
// that its inputs are here.

#include "worker/core/worker.h"

#include "engine/base/planted.h"
#include "worker/core/worker_state.h"

void
tsi_worker_tell_peak(struct tsi_worker *worker)
{
    const uint64_t now = worker->bytes_held + worker->bytes_reserved + worker->bytes_fetching;
    if (now > worker->bytes_peak) {
        worker->bytes_peak = now;
    }
    if (worker->bytes_counted > worker->counted_peak) {
        worker->counted_peak = worker->bytes_counted;
    }
}

void
tsi_worker_tell_end(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    struct tsi_worker_chunk *output = task->output;
    tsi_worker_task_recycle(worker, task);
    if (output != NULL) {
        tsi_worker_chunk_unlock(worker, output);
    }
}

void
tsi_worker_tell_settle(struct tsi_worker *worker)
{
    for (size_t i = 0; i < worker->batch_count; i++) {
        tsi_worker_chunk_unlock(worker, worker->batch_outputs[i]);
    }
    worker->batch_count = 0;
    if (worker->told != NULL) {
        tsi_worker_task_recycle(worker, worker->told);
        worker->told = NULL;
    }
    if (worker->dropped_told) {
        tsi_vec_clear(&worker->dropped);
        worker->dropped_told = false;
    }
    if (worker->copied_told) {
        tsi_vec_clear(&worker->copied);
        worker->copied_told = false;
    }
}

static bool
tell_cancel(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    if (worker->cancel_count == 0) {
        return false;
    }
    uint32_t run = 0;
    while (!worker->cancels[run]) {
        run++;
    }
    worker->cancels[run] = false;
    worker->cancel_count--;
    action->kind = TSI_WORKER_CANCEL_RUN;
    action->cancel_run.run = run;
    return true;
}

static bool
tell_release(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    if (worker->releases.count > 0) {
        action->kind = TSI_WORKER_RELEASE_CHUNK;
        action->release_chunk.handle = tsi_vec_pop(&worker->releases);
        return true;
    }
    if (worker->extents.count > 0) {
        action->kind = TSI_WORKER_RELEASE_EXTENT;
        action->release_extent.extent = tsi_vec_pop(&worker->extents);
        return true;
    }
    if (worker->programs.count > 0) {
        action->kind = TSI_WORKER_RELEASE_PROGRAM;
        action->release_program.program = tsi_vec_pop(&worker->programs);
        return true;
    }
    return false;
}

static bool
tell_ended(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    action->kind = TSI_WORKER_REPORT_ENDED;
    while (worker->ended.count > 0) {
        struct tsi_worker_task *task = tsi_worker_task_report(&worker->ended);
        if (task->job != NULL && task->job->detached) {
            tsi_worker_tell_end(worker, task);
            continue;
        }
        worker->assignments--;
        worker->told = task;
        action->ended = task->end;
        return true;
    }
    if (worker->lost_copies.count > 0) {
        const struct tsi_worker_lost_copy lost = tsi_vec_pop(&worker->lost_copies);
        action->ended = (struct tsi_attempt){
            .job = tsi_key_job(lost.key),
            .task = tsi_key_task(lost.key),
            .end = TSI_ATTEMPT_FETCH_FAILED,
            .status = TESS_ELOST,
            .input = lost.key,
            .peer = lost.peer,
        };
        return true;
    }
    return false;
}

static bool
tell_execute(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    const struct tsi_worker_task *task = tsi_worker_task_start(worker);
    if (task == NULL) {
        return false;
    }
    tsi_worker_tell_peak(worker);
    const size_t count = task->inputs.count;
    for (size_t i = 0; i < count; i++) {
        const size_t from = TSI_PLANTED(worker_swapped_inputs) ? count - 1 - i : i;
        worker->input_handles.items[i] = task->inputs.items[from].chunk->handle;
        worker->input_keys.items[i] = task->inputs.items[from].chunk->key;
    }
    action->kind = TSI_WORKER_EXECUTE;
    action->execute.run = task->run;
    action->execute.job = task->job->number;
    action->execute.task = task->task;
    action->execute.program = task->job->program;
    action->execute.op = task->op;
    action->execute.chunk = task->chunk;
    action->execute.inputs = worker->input_handles.items;
    action->execute.input_keys = worker->input_keys.items;
    action->execute.input_count = count;
    action->execute.output_bytes = task->output_bytes;
    action->execute.cost_ns = tsi_worker_job_needs(task->job, task->op)->cost_ns;
    action->execute.is_along = task->is_along;
    return true;
}

static bool
tell_fetch(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    const struct tsi_worker_chunk *chunk = tsi_worker_chunk_next_fetch(worker);
    if (chunk == NULL) {
        return false;
    }
    tsi_worker_tell_peak(worker);
    if (chunk->io == TSI_WORKER_READING) {
        action->kind = TSI_WORKER_LOAD;
        action->load.run = chunk->spill_run;
        action->load.extent = chunk->extent;
        action->load.bytes = chunk->bytes;
        return true;
    }
    action->kind = TSI_WORKER_FETCH;
    action->fetch.key = chunk->key;
    action->fetch.peer = chunk->peer;
    action->fetch.bytes = chunk->bytes;
    return true;
}

static bool
tell_spill(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    const struct tsi_worker_chunk *chunk = tsi_worker_spill_next(worker);
    if (chunk == NULL) {
        return false;
    }
    action->kind = TSI_WORKER_SPILL;
    action->spill.run = chunk->spill_run;
    action->spill.handle = chunk->handle;
    action->spill.bytes = chunk->bytes;
    return true;
}

static bool
tell_done(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    while (worker->done.count > 0 && worker->batch_count < TSI_WORKER_BATCH) {
        struct tsi_worker_task *task = tsi_worker_task_report(&worker->done);
        if (task->job->detached) {
            tsi_worker_tell_end(worker, task);
            continue;
        }
        worker->assignments--;
        struct tsi_worker_done *done = &worker->batch[worker->batch_count];
        *done = (struct tsi_worker_done){.completion = task->completion,
                                         .handle = task->output->handle};
        done->completion.peak_bytes = task->job->peak_bytes > worker->counted_peak
                                          ? task->job->peak_bytes
                                          : worker->counted_peak;
        worker->batch_outputs[worker->batch_count] = task->output;
        worker->batch_count++;
        tsi_worker_task_recycle(worker, task);
    }
    action->kind = TSI_WORKER_REPORT_DONE;
    action->done.items = worker->batch;
    action->done.count = worker->batch_count;
    return worker->batch_count > 0;
}

static bool
tell_dropped(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    if (worker->dropped.count > 0 && tell_done(worker, action)) {
        return true;
    }
    action->kind = TSI_WORKER_REPORT_DROPPED;
    action->dropped.keys = worker->dropped.items;
    action->dropped.count = worker->dropped.count;
    worker->dropped_told = worker->dropped.count > 0;
    return worker->dropped_told;
}

static bool
tell_copied(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    action->kind = TSI_WORKER_REPORT_COPIED;
    action->copied.keys = worker->copied.items;
    action->copied.count = worker->copied.count;
    worker->copied_told = worker->copied.count > 0;
    return worker->copied_told;
}

bool
tsi_worker_poll(struct tsi_worker *worker, uint64_t now_ns, struct tsi_worker_action *action)
{
    worker->now_ns = now_ns;
    tsi_worker_tell_settle(worker);
    tsi_worker_spill_shed(worker);
    if (worker->done.count >= TSI_WORKER_BATCH && tell_done(worker, action)) {
        return true;
    }
    // What follows may release a chunk or end a task after that was looked at. What waits to be
    // written comes before what is read: reads that leave again at once, for somebody who waits for
    // that room, could otherwise keep the disk busy for ever.
    do {
        if (tell_cancel(worker, action) || tell_release(worker, action) ||
            tell_execute(worker, action) || tell_release(worker, action) ||
            tell_spill(worker, action) || tell_fetch(worker, action) ||
            tell_release(worker, action) || tell_spill(worker, action) ||
            tell_dropped(worker, action) || tell_ended(worker, action) ||
            tell_done(worker, action) || tell_copied(worker, action) ||
            tsi_worker_tell_late(worker, action) || tell_release(worker, action)) {
            return true;
        }
    } while (tsi_worker_stuck_relieve(worker));
    return false;
}
