// SPDX-License-Identifier: Apache-2.0
//
// Carries out the actions of the core: tasks go to the pool, fetches to the data plane, reports to
// the scheduler.

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/exec/files.h"
#include "worker/daemon/loop.h"

// Times in one turn that the loop executes short tasks itself, each for the ends of those before.
enum { ROUNDS_HERE = 8 };

static void
fail_run(struct tsi_worker_loop *loop, uint32_t run, const char *text)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
    event.executed.run = run;
    event.executed.status = TESS_ENOMEM;
    event.executed.text = text;
    tsi_worker_loop_event(loop, &event);
}

static bool
touches_files(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    bool any = op->target_file.path != NULL;
    for (int i = 0; i < op->input_count; i++) {
        any = any || program->ops[op->inputs[i].op].work == TSI_WORK_FILE;
    }
    return any;
}

static void
execute(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    const uint32_t run = action->execute.run;
    const size_t count = action->execute.input_count;
    struct tsi_attempts *attempts = tsi_pool_attempts(loop->pool);
    struct tsi_attempt_slot *slot = tsi_attempts_prepare(attempts, run, count);
    if (slot == NULL) {
        fail_run(loop, run, "out of memory before the task could start");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct tsi_buf *chunk = action->execute.inputs[i];
        const bool is_lent = chunk != NULL && chunk->is_sound != NULL;
        const bool is_own = chunk != NULL && chunk->on_free == NULL;
        slot->inputs[i] = (struct tsi_exec_chunk){.data = chunk != NULL ? chunk->data : NULL,
                                                  .lent = is_lent ? chunk : NULL,
                                                  .own = is_own ? chunk : NULL};
    }
    slot->program = action->execute.program;
    slot->op = action->execute.op;
    slot->chunk = action->execute.chunk;
    slot->output_bytes = (size_t)action->execute.output_bytes;
    const struct tsi_chunk_op *op = &slot->program->ops[slot->op];
    tsi_pool_start(loop->pool, run,
                   touches_files(slot->program, op) ? UINT64_MAX : action->execute.cost_ns,
                   action->execute.is_along);
}

// A task that has read memory that was taken back meanwhile has read anything. The worker starts
// anew, since what it holds is not what the scheduler believes.
static void
check_lent(struct tsi_worker_loop *loop, struct tsi_attempt_slot *slot)
{
    for (size_t i = 0; i < slot->input_count; i++) {
        if (slot->inputs[i].lent == NULL || tsi_buf_is_sound(slot->inputs[i].lent)) {
            continue;
        }
        tsi_log(TSI_LOG_ERROR, "memory was taken back",
                "a chunk that another process lent is gone");
        loop->heard_ns = 0;
        tsi_buf_unref(slot->output);
        slot->output = NULL;
        tsi_error_set(&slot->error, TESS_EIO,
                      "an input was taken back by the process that lent it");
        return;
    }
}

void
tsi_worker_loop_collect(struct tsi_worker_loop *loop)
{
    uint32_t runs[TSI_ATTEMPT_SLOTS];
    const size_t count = tsi_pool_ended(loop->pool, runs);
    for (size_t i = 0; i < count; i++) {
        struct tsi_attempt_slot *slot = &tsi_pool_attempts(loop->pool)->slots[runs[i]];
        struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
        check_lent(loop, slot);
        event.executed.run = runs[i];
        event.executed.status = slot->error.status;
        event.executed.handle = slot->output;
        event.executed.bytes = slot->output != NULL ? slot->output->bytes : 0;
        event.executed.duration_us = slot->duration_us;
        event.executed.text = slot->error.status != TESS_OK ? slot->error.text : NULL;
        tsi_worker_loop_event(loop, &event);
    }
}

static void
fetch(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    if (loop->fetcher == NULL ||
        !tsi_fetcher_start(loop->fetcher, action->fetch.key, action->fetch.peer,
                           action->fetch.bytes, NULL)) {
        tsi_worker_loop_fetched(loop, action->fetch.key, action->fetch.peer, NULL,
                                "out of memory for the chunk");
    }
}

static void
report_done(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    tsi_vec_clear(&loop->completions);
    if (!tsi_vec_reserve(&loop->completions, action->done.count)) {
        tsi_log(TSI_LOG_ERROR, "out of memory", "%zu completions cannot be reported",
                action->done.count);
        loop->heard_ns = 0; // start anew: the scheduler will give the tasks to others
        return;
    }
    for (size_t i = 0; i < action->done.count; i++) {
        struct tsi_completion completion = action->done.items[i].completion;
        const struct tsi_buf *chunk = action->done.items[i].handle;
        completion.data =
            chunk != NULL && completion.bytes <= TSI_INLINE_BYTES_MAX ? chunk->data : NULL;
        tsi_vec_push(&loop->completions, completion);
    }
    struct tsi_message message = {
        .type = TSI_MESSAGE_DONE,
        .done = {.items = loop->completions.items, .count = loop->completions.count}};
    tsi_link_send(loop, &message);
}

// The scheduler drops a program when its job has ended. One of a scheduler that was lost may be
// that of a job that goes on elsewhere, whose files are not to be touched.
static void
release_program(struct tsi_worker_loop *loop, const struct tsi_program *program)
{
    const uint64_t key = (uint64_t)(uintptr_t)program;
    const uint64_t *peer = tsi_map_get(&loop->programs, key);
    if (peer != NULL && loop->peer != 0 && *peer == loop->peer) {
        tsi_files_remove_temporaries(loop->files, program);
    }
    tsi_map_remove(&loop->programs, key);
    tsi_program_free((struct tsi_program *)(uintptr_t)program);
}

static void
act(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    struct tsi_message message = {.type = TSI_MESSAGE_NONE};
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        execute(loop, action);
        break;
    case TSI_WORKER_CANCEL_RUN:
        atomic_store(&tsi_pool_attempts(loop->pool)->slots[action->cancel_run.run].cancelled, true);
        break;
    case TSI_WORKER_FETCH:
        fetch(loop, action);
        break;
    case TSI_WORKER_RELEASE_CHUNK:
        tsi_buf_unref(action->release_chunk.handle);
        break;
    case TSI_WORKER_RELEASE_PROGRAM:
        release_program(loop, action->release_program.program);
        break;
    case TSI_WORKER_SPILL:
        tsi_worker_loop_spill(loop, action);
        break;
    case TSI_WORKER_LOAD:
        tsi_worker_loop_load(loop, action);
        break;
    case TSI_WORKER_RELEASE_EXTENT:
        tsi_spill_release(loop->spill, action->release_extent.extent);
        break;
    case TSI_WORKER_REPORT_DONE:
        report_done(loop, action);
        break;
    case TSI_WORKER_REPORT_DROPPED:
        message.type = TSI_MESSAGE_DROPPED;
        message.keys.keys = action->dropped.keys;
        message.keys.count = action->dropped.count;
        tsi_link_send(loop, &message);
        break;
    case TSI_WORKER_REPORT_ENDED:
        message.type = TSI_MESSAGE_ENDED;
        message.ended = action->ended;
        tsi_link_send(loop, &message);
        break;
    case TSI_WORKER_REPORT_COPIED:
        message.type = TSI_MESSAGE_COPIED;
        message.keys.keys = action->copied.keys;
        message.keys.count = action->copied.count;
        tsi_link_send(loop, &message);
        break;
    case TSI_WORKER_REPORT_HELD:
        tsi_link_send_held(loop, &action->held);
        break;
    }
}

void
tsi_worker_loop_act(struct tsi_worker_loop *loop)
{
    struct tsi_worker_action action;
    bool goes_on = loop->core != NULL;
    for (int rounds = 0; goes_on; rounds++) {
        while (tsi_worker_loop_poll(loop, &action)) {
            act(loop, &action);
        }
        goes_on = rounds < ROUNDS_HERE && loop->pool != NULL && tsi_pool_run_here(loop->pool);
        if (goes_on) {
            tsi_worker_loop_collect(loop);
        }
    }
    tsi_recorder_flush(loop->recorder);
    if (loop->pool != NULL) {
        tsi_pool_wake(loop->pool);
    }
}
