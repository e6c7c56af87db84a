// SPDX-License-Identifier: Apache-2.0
//
// What a thread of the embedded runtime does: deliver result chunks, or execute tasks, or wait.
//
// Tasks are taken from a ring without the lock. A thread goes on to the next one while there is
// one, and gathers how they ended; it takes the lock to report them together when enough have
// gathered, when that took long enough, sooner when somebody waits for work, or when the ring is
// empty. So small tasks pay a part of one turn of the cores each, and the end of a long one is told
// at once. What is so little that another thread would only be in the way is left to one.

#include <errno.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/runtime/local.h"

enum {
    // Ends that a thread reports if nobody has the lock, and nanoseconds after which it does if
    // somebody waits for work.
    ENDS_ENOUGH = TSI_ATTEMPT_BATCH,
    ENDS_OLD_NS = 20000,
    // Deliveries that are made together, and the bytes after which there are no more of them.
    DELIVERIES_MAX = 64,
    DELIVERY_BYTES = 65536,
};

// Chunks of one job that are copied to its caller together.
struct deliveries {
    struct tsi_local_delivery items[DELIVERIES_MAX];
    uint32_t tasks[DELIVERIES_MAX];
    size_t count;
};

static void
take_deliveries(struct tsi_local *local, struct deliveries *taken)
{
    const uint32_t job = tsi_vec_last(&local->deliveries).number;
    size_t bytes = 0;
    taken->count = 0;
    while (local->deliveries.count > 0 && taken->count < DELIVERIES_MAX && bytes < DELIVERY_BYTES) {
        const struct tsi_local_delivery *next = &tsi_vec_last(&local->deliveries);
        if (next->number != job) {
            return;
        }
        bytes += next->chunk->bytes;
        taken->tasks[taken->count] = next->task;
        taken->items[taken->count++] = tsi_vec_pop(&local->deliveries);
    }
}

// Copies chunks into the caller's memory, outside the lock.
static void
copy_chunks(struct tsi_local *local, const struct deliveries *taken)
{
    struct tsi_local_job *job = taken->items[0].job;
    const struct tsi_program *program = job->plan.program;
    job->pins++;
    pthread_mutex_unlock(&local->lock);
    for (size_t i = 0; i < taken->count; i++) {
        const uint32_t task = taken->tasks[i];
        const int op = tsi_program_op_of(program, task);
        const int64_t chunk = task - program->ops[op].task_base;
        tsi_future_deliver(job->future, op, chunk, taken->items[i].chunk->data,
                           tsi_chunk_op_bytes(&program->ops[op], chunk), NULL);
    }
    pthread_mutex_lock(&local->lock);
    job->pins--;
}

// Delivers some chunks of one job, and tells the scheduler's core. A job with a delivery to come
// stays, because the scheduler waits for this.
static void
deliver(struct tsi_local *local)
{
    struct deliveries taken;
    take_deliveries(local, &taken);
    const struct tsi_local_delivery *first = &taken.items[0];
    struct tsi_sched_event event = {.kind = TSI_SCHED_TARGETS_TAKEN, .peer = TSI_LOCAL_CLIENT};
    event.targets_taken.job = first->number;
    event.targets_taken.tasks = taken.tasks;
    event.targets_taken.count = taken.count;
    if (tsi_local_job(local, first->number) == first->job && first->job->future != NULL &&
        !first->job->ends) {
        copy_chunks(local, &taken);
        tsi_local_settle_job(local, first->job);
    }
    for (size_t i = 0; i < taken.count; i++) {
        tsi_buf_unref(taken.items[i].chunk);
    }
    tsi_local_sched_event(local, &event);
}

// Feeds the end of a run to the worker's core.
static void
report(struct tsi_local *local, uint32_t run)
{
    struct tsi_attempt_slot *slot = &local->attempts.slots[run];
    struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
    event.executed.run = run;
    event.executed.status = slot->error.status;
    event.executed.handle = slot->output;
    event.executed.bytes = slot->output != NULL ? slot->output_bytes : 0;
    event.executed.text = slot->error.status != TESS_OK ? slot->error.text : NULL;
    event.executed.duration_us = slot->duration_us;
    local->long_runs -= slot->is_long ? 1 : 0;
    tsi_local_worker_event(local, &event);
}

// Notes how long the tasks of a batch took.
static void
note_duration(struct tsi_local *local, const struct tsi_attempt_batch *batch)
{
    if (batch->count > 0) {
        const uint64_t each = (batch->last_ns - batch->first_ns) / batch->count;
        local->each_ns = (local->each_ns * 7 + each) / 8;
    }
}

// Whether a thread that waits for work may get some when it hears of the batch.
static bool
is_waited_for(struct tsi_local *local, const struct tsi_attempt_batch *batch)
{
    return batch->last_ns - batch->first_ns >= ENDS_OLD_NS &&
           atomic_load_explicit(&local->idle, memory_order_relaxed) > 0;
}

// Executes tasks outside the lock and reports how they ended.
static void
execute(struct tsi_local *local)
{
    struct tsi_attempt_batch batch;
    bool is_locked = false;
    bool goes_on = true;
    pthread_mutex_unlock(&local->lock);
    tsi_attempt_batch_begin(&batch);
    while (goes_on && tsi_attempt_batch_next(&batch, &local->attempts)) {
        is_locked = batch.count >= ENDS_ENOUGH && pthread_mutex_trylock(&local->lock) == 0;
        goes_on = !is_locked && !is_waited_for(local, &batch);
    }
    tsi_attempt_batch_end(&batch, &local->attempts);
    if (!is_locked) {
        pthread_mutex_lock(&local->lock);
    }
    local->now_ns = batch.last_ns;
    note_duration(local, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        report(local, batch.runs[i]);
    }
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

// Whether there are tasks for this thread: not if they are few and tiny and another one comes.
static bool
has_tasks(const struct tsi_local *local)
{
    return tsi_ring_count(&local->attempts.ring) > 0 &&
           (tsi_local_awake(local) == 1 || !tsi_local_is_little(local));
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
        } else if (has_tasks(local)) {
            execute(local);
            tsi_local_pump(local);
        } else {
            wait_for_work(local);
        }
    }
    pthread_mutex_unlock(&local->lock);
    return NULL;
}
