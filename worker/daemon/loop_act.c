// SPDX-License-Identifier: Apache-2.0
//
// Carries out the actions of the core: tasks go to the pool, fetches to the data plane, reports to
// the scheduler.

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "worker/daemon/loop.h"

static void
fail_run(struct tsi_worker_loop *loop, uint32_t run, const char *text)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
    event.executed.run = run;
    event.executed.status = TESS_ENOMEM;
    event.executed.text = text;
    tsi_worker_loop_event(loop, &event);
}

static void
execute(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    const size_t count = action->execute.input_count;
    struct tsi_run *run = tsi_calloc(1, sizeof *run);
    struct tsi_exec_chunk *inputs = tsi_calloc(count + 1, sizeof *inputs);
    if (run == NULL || inputs == NULL) {
        tsi_free(run);
        tsi_free(inputs);
        fail_run(loop, action->execute.run, "out of memory before the task could start");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct tsi_buf *chunk = action->execute.inputs[i];
        inputs[i].data = chunk != NULL ? chunk->data : NULL;
    }
    run->run = action->execute.run;
    run->program = action->execute.program;
    run->op = action->execute.op;
    run->chunk = action->execute.chunk;
    run->output_bytes = (size_t)action->execute.output_bytes;
    run->inputs = inputs;
    run->input_count = count;
    loop->runs[run->run] = run;
    tsi_pool_start(loop->pool, run);
}

void
tsi_worker_loop_collect(struct tsi_worker_loop *loop)
{
    struct tsi_run *run = tsi_pool_ended(loop->pool);
    while (run != NULL) {
        struct tsi_run *next = run->next;
        struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
        event.executed.run = run->run;
        event.executed.status = run->status;
        event.executed.handle = run->output;
        event.executed.bytes = run->output != NULL ? run->output->bytes : 0;
        event.executed.duration_us = run->duration_us;
        event.executed.text = run->status != TESS_OK ? run->error.text : NULL;
        loop->runs[run->run] = NULL;
        tsi_worker_loop_event(loop, &event);
        tsi_free(run->inputs);
        tsi_free(run);
        run = next;
    }
}

static void
fetch(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    if (loop->fetcher == NULL || !tsi_fetcher_start(loop->fetcher, action->fetch.key,
                                                    action->fetch.peer, action->fetch.bytes)) {
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

static void
act(struct tsi_worker_loop *loop, const struct tsi_worker_action *action)
{
    struct tsi_message message = {.type = TSI_MESSAGE_NONE};
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        execute(loop, action);
        break;
    case TSI_WORKER_CANCEL_RUN:
        if (loop->runs[action->cancel_run.run] != NULL) {
            atomic_store(&loop->runs[action->cancel_run.run]->cancelled, true);
        }
        break;
    case TSI_WORKER_FETCH:
        fetch(loop, action);
        break;
    case TSI_WORKER_RELEASE_CHUNK:
        tsi_buf_unref(action->release_chunk.handle);
        break;
    case TSI_WORKER_RELEASE_PROGRAM:
        tsi_program_free((struct tsi_program *)(uintptr_t)action->release_program.program);
        break;
    case TSI_WORKER_REPORT_DONE:
        report_done(loop, action);
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
    }
}

void
tsi_worker_loop_act(struct tsi_worker_loop *loop)
{
    struct tsi_worker_action action;
    while (loop->core != NULL && tsi_worker_poll(loop->core, tsi_clock_ns(), &action)) {
        act(loop, &action);
    }
}
