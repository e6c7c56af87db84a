// SPDX-License-Identifier: Apache-2.0
//
// What a thread of the embedded runtime does: deliver a result chunk, or execute a task, or wait.

#include <errno.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/exec/attempt.h"
#include "engine/runtime/local.h"

static void
copy_chunk(struct tsi_local *local, const struct tsi_local_delivery *delivery)
{
    struct tsi_local_job *job = delivery->job;
    const struct tsi_program *program = job->plan.program;
    const int op = tsi_program_op_of(program, delivery->task);
    const int64_t chunk = delivery->task - program->ops[op].task_base;
    job->pins++;
    pthread_mutex_unlock(&local->lock);
    tsi_future_deliver(job->future, op, chunk, delivery->chunk->data,
                       tsi_chunk_op_bytes(&program->ops[op], chunk));
    pthread_mutex_lock(&local->lock);
    job->pins--;
}

// Copies one chunk into the caller's memory, outside the lock, and tells the scheduler's core. A
// job with a delivery to come stays, because the scheduler waits for this.
static void
deliver(struct tsi_local *local)
{
    const struct tsi_local_delivery delivery = tsi_vec_pop(&local->deliveries);
    struct tsi_sched_event event = {.kind = TSI_SCHED_TARGETS_TAKEN, .peer = TSI_LOCAL_CLIENT};
    event.targets_taken.job = delivery.number;
    event.targets_taken.tasks = &delivery.task;
    event.targets_taken.count = 1;
    if (tsi_local_job(local, delivery.number) == delivery.job && delivery.job->future != NULL &&
        !delivery.job->ends) {
        copy_chunk(local, &delivery);
        tsi_local_settle_job(local, delivery.job);
    }
    tsi_buf_unref(delivery.chunk);
    tsi_local_sched_event(local, &event);
}

static struct tsi_local_run
take_run(struct tsi_local *local)
{
    const struct tsi_local_run run = local->runs.items[local->runs_taken++];
    if (local->runs_taken == local->runs.count) {
        tsi_vec_clear(&local->runs);
        local->runs_taken = 0;
    }
    return run;
}

// Runs one task outside the lock and feeds its end to the worker's core.
static void
execute(struct tsi_local *local)
{
    const struct tsi_local_run run = take_run(local);
    struct tsi_exec_task task = {.program = run.job->plan.program,
                                 .op = run.op,
                                 .chunk = run.chunk,
                                 .chunks = run.inputs,
                                 .chunk_count = run.input_count,
                                 .cancelled = &local->slots[run.run].cancelled,
                                 .files = local->files};
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_buf *output = NULL;
    struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
    pthread_mutex_unlock(&local->lock);

    const uint64_t start = tsi_clock_ns();
    event.executed.status = tsi_attempt_run(&task, run.output_bytes, &output, &error);
    event.now_ns = tsi_clock_ns();

    pthread_mutex_lock(&local->lock);
    event.executed.run = run.run;
    event.executed.handle = output;
    event.executed.bytes = output != NULL ? run.output_bytes : 0;
    event.executed.text = event.executed.status != TESS_OK ? error.text : NULL;
    event.executed.duration_us = (uint32_t)((event.now_ns - start) / 1000);
    tsi_local_worker_event(local, &event);
}

// Waits for work, or until the scheduler's core wants to be called.
static void
wait_for_work(struct tsi_local *local)
{
    const uint64_t deadline = tsi_sched_deadline(local->sched);
    local->idle++;
    local->armed_ns = deadline < local->armed_ns ? deadline : local->armed_ns;
    if (deadline == UINT64_MAX) {
        pthread_cond_wait(&local->work, &local->lock);
        local->idle--;
        return;
    }
    const uint64_t now = tsi_clock_ns();
    const uint64_t wall = tsi_clock_wall_ns() + (deadline > now ? deadline - now : 0);
    const struct timespec until = {.tv_sec = (time_t)(wall / TSI_SECOND),
                                   .tv_nsec = (long)(wall % TSI_SECOND)};
    const int result = pthread_cond_timedwait(&local->work, &local->lock, &until);
    local->idle--;
    local->armed_ns = UINT64_MAX; // others may wait for less, and are woken once too often
    if (result == ETIMEDOUT) {
        struct tsi_sched_event event = {.kind = TSI_SCHED_TICK};
        tsi_local_sched_event(local, &event);
        tsi_local_pump(local);
    }
}

void *
tsi_local_thread(void *argument)
{
    struct tsi_local *local = argument;
    pthread_mutex_lock(&local->lock);
    while (!local->closing) {
        if (local->deliveries.count > 0) {
            deliver(local);
            tsi_local_pump(local);
        } else if (local->runs.count > local->runs_taken) {
            execute(local);
            tsi_local_pump(local);
        } else {
            wait_for_work(local);
        }
    }
    pthread_mutex_unlock(&local->lock);
    return NULL;
}
