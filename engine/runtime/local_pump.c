// SPDX-License-Identifier: Apache-2.0
//
// Carries what one core wants to the other. All of it happens under the lock; what takes time
// (running tasks, copying results) becomes work for the threads.
//
// What an action points to is good only until its core is called again, so an action of one core is
// handed to the other core at once, and what must go back to the same core is copied first.

#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/exec/files.h"
#include "engine/runtime/local.h"
#include "engine/runtime/scatter.h"

// Below this, another thread would take longer to come and to hand over what it did than it saves.
#define LITTLE_NS 50000
// A task that is expected to take longer than this is long.
#define LONG_NS 20000
// What is added to the expected time of any task (program_cost.c).
#define TINY_NS 1000

void
tsi_local_sched_event(struct tsi_local *local, struct tsi_sched_event *event)
{
    event->now_ns = tsi_clock_ns();
    tsi_sched_step(local->sched, event);
}

struct tsi_local_job *
tsi_local_job(struct tsi_local *local, uint32_t number)
{
    if (local->last_job != NULL && local->last_job->number == number) {
        return local->last_job;
    }
    const uint64_t *found = tsi_map_get(&local->jobs_by_number, number);
    struct tsi_local_job *job = found == NULL ? NULL : (struct tsi_local_job *)(uintptr_t)*found;
    local->last_job = job;
    return job;
}

void
tsi_local_free_job(struct tsi_local_job *job)
{
    tsi_files_remove_temporaries(NULL, job->plan.program);
    tsi_plan_fini(&job->plan);
    tsi_free(job);
}

void
tsi_local_settle_job(struct tsi_local *local, struct tsi_local_job *job)
{
    job->waits_for_pins = atomic_load_explicit(&job->pins, memory_order_acquire) > 0;
    if (job->waits_for_pins) {
        local->some_wait_for_pins = true;
        return;
    }
    if (job->ends && job->future != NULL) {
        struct tess_future *future = job->future;
        job->future = NULL;
        future->backend_data = NULL;
        tsi_future_end(future, job->ending.status, job->ending.text);
        tsi_future_unref(future);
    }
    if (!job->held_by_sched && !job->held_by_worker && job->future == NULL) {
        tsi_map_remove(&local->jobs_by_token, job->token);
        tsi_map_remove(&local->jobs_by_number, job->number);
        local->last_job = NULL;
        tsi_local_free_job(job);
    }
}

static struct tsi_local_job *
job_of_program(struct tsi_local *local, const struct tsi_program *program)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    while (tsi_map_next(&local->jobs_by_token, &cursor, &key, &value)) {
        struct tsi_local_job *job = (struct tsi_local_job *)(uintptr_t)value;
        if (job->plan.program == program) {
            return job;
        }
    }
    return NULL;
}

void
tsi_local_end_job(struct tsi_local *local, struct tsi_local_job *job, tess_status status,
                  const char *text)
{
    if (!job->ends) {
        job->ends = true;
        tsi_error_set(&job->ending, status, "%s", text != NULL ? text : "");
    }
    tsi_local_settle_job(local, job);
}

void
tsi_local_fail_job(struct tsi_local *local, struct tsi_local_job *job, const char *text)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_CANCELLED, .peer = TSI_LOCAL_CLIENT};
    event.job.job = job->number;
    tsi_local_end_job(local, job, TESS_ENOMEM, text);
    tsi_local_sched_event(local, &event);
}

static void
job_accepted(struct tsi_local *local, const struct tsi_sched_action *action)
{
    const uint64_t *found = tsi_map_get(&local->jobs_by_token, action->accepted.token);
    if (found == NULL) {
        return;
    }
    struct tsi_local_job *job = (struct tsi_local_job *)(uintptr_t)*found;
    job->number = action->job;
    if (!tsi_map_put(&local->jobs_by_number, job->number, (uint64_t)(uintptr_t)job)) {
        tsi_local_fail_job(local, job, "compute: out of memory");
        return;
    }
    if (job->future != NULL) {
        tsi_future_set_job(job->future, job->number);
    }
}

static void
job_ended(struct tsi_local *local, const struct tsi_sched_action *action)
{
    struct tsi_local_job *job = tsi_local_job(local, action->job);
    if (job == NULL || job->future == NULL) {
        return;
    }
    tsi_future_set_costs(job->future, &action->ended.costs);
    tsi_local_end_job(local, job, action->ended.status, action->ended.text);
}

static void
job_dropped(struct tsi_local *local, const struct tsi_program *program)
{
    struct tsi_local_job *job = job_of_program(local, program);
    if (job != NULL) {
        job->held_by_sched = false;
        tsi_local_end_job(local, job, TESS_EINTERNAL, "compute: the job was dropped");
    }
}

bool
tsi_local_deliver(struct tsi_local *local, struct tsi_local_job *job, uint32_t task)
{
    uint64_t bytes;
    const tsi_key key = tsi_key_of(job->number, task);
    struct tsi_buf *chunk = tsi_worker_chunk(local->worker, key, &bytes);
    if (chunk == NULL) {
        // What is neither in memory nor on disk was lost there; the scheduler's core will say again
        // when it is ready.
        return !tsi_worker_chunk_demand(local->worker, key) || tsi_vec_push(&local->awaited, key);
    }
    const struct tsi_local_delivery delivery = {job, job->number, task, tsi_buf_ref(chunk)};
    if (!tsi_vec_push(&local->deliveries, delivery)) {
        tsi_buf_unref(chunk);
        return false;
    }
    return true;
}

// Makes target chunks work for the threads. What is lost for want of memory fails the job.
static void
targets_ready(struct tsi_local *local, const struct tsi_sched_action *action)
{
    struct tsi_local_job *job = tsi_local_job(local, action->job);
    bool failed = job == NULL;
    for (size_t i = 0; i < action->ready.count && !failed; i++) {
        failed = !tsi_local_deliver(local, job, action->ready.items[i].task);
    }
    if (failed && job != NULL) {
        tsi_local_fail_job(local, job, "compute: out of memory while gathering the result");
    }
}

static void
send_program(struct tsi_local *local, const struct tsi_sched_action *action)
{
    struct tsi_local_job *job = tsi_local_job(local, action->job);
    struct tsi_worker_event event = {.kind = TSI_WORKER_PROGRAM};
    event.program.job = action->job;
    event.program.program = action->program.program;
    job->held_by_worker = true;
    tsi_local_worker_event(local, &event);
}

static void
assign(struct tsi_local *local, const struct tsi_sched_action *action)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_ASSIGNED};
    event.assigned.items = action->assign.items;
    event.assigned.count = action->assign.count;
    event.assigned.locations = action->assign.locations;
    event.assigned.location_count = action->assign.location_count;
    tsi_local_worker_event(local, &event);
}

static void
take_sched_action(struct tsi_local *local, const struct tsi_sched_action *action)
{
    struct tsi_worker_event event = {0};
    switch (action->kind) {
    case TSI_SCHED_SEND_PROGRAM:
        send_program(local, action);
        break;
    case TSI_SCHED_ASSIGN:
        assign(local, action);
        break;
    case TSI_SCHED_RETRACT:
        event.kind = TSI_WORKER_RETRACT;
        event.retract.sequences = action->retract.sequences;
        event.retract.count = action->retract.count;
        tsi_local_worker_event(local, &event);
        break;
    case TSI_SCHED_FREE:
        event.kind = TSI_WORKER_FREE;
        event.free.keys = action->free.keys;
        event.free.count = action->free.count;
        tsi_local_worker_event(local, &event);
        break;
    case TSI_SCHED_DROP_JOB:
        event.kind = TSI_WORKER_DROP_JOB;
        event.drop_job.job = action->job;
        tsi_local_worker_event(local, &event);
        break;
    case TSI_SCHED_JOB_ACCEPTED:
        job_accepted(local, action);
        break;
    case TSI_SCHED_TARGETS_READY:
        targets_ready(local, action);
        break;
    case TSI_SCHED_JOB_PROGRESS: {
        const struct tsi_local_job *job = tsi_local_job(local, action->job);
        if (job != NULL && job->future != NULL) {
            tsi_future_set_progress(job->future, action->progress.tasks_done,
                                    action->progress.tasks_total, 1);
        }
        break;
    }
    case TSI_SCHED_JOB_ENDED:
        job_ended(local, action);
        break;
    case TSI_SCHED_JOB_DROPPED:
        job_dropped(local, action->program.program);
        break;
    case TSI_SCHED_DROP_WORKER:
        local->joined = false;
        break;
    default: // One worker that never drains has no others.
        break;
    }
}

// The caller's memory is read where it is: the chunk is a view of it, with the strides of the
// array.
static void
fetch(struct tsi_local *local, tsi_key key)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_FETCHED};
    const struct tsi_local_job *job = tsi_local_job(local, tsi_key_job(key));
    const struct tsi_program *program = job != NULL ? job->plan.program : NULL;
    const uint32_t task = tsi_key_task(key);
    const int op = program != NULL ? tsi_program_op_of(program, task) : -1;
    struct tsi_buf *chunk = NULL;
    if (op >= 0 && program->ops[op].work == TSI_WORK_HELD) {
        const struct tess_array *array = job->plan.held[program->ops[op].held.array];
        const void *origin = tsi_chunk_origin(&array->grid, task - program->ops[op].task_base,
                                              array->memory.data, array->memory.stride);
        chunk = tsi_buf_wrap((void *)(uintptr_t)origin, 0, NULL, NULL);
    }
    if (chunk == NULL) {
        event.kind = TSI_WORKER_FETCH_FAILED;
        event.fetch_failed.key = key;
        event.fetch_failed.peer = TSI_LOCAL_CLIENT;
        event.fetch_failed.text = "out of memory";
    } else {
        event.fetched.key = key;
        event.fetched.handle = chunk;
    }
    tsi_local_worker_event(local, &event);
}

// Chunks in the caller's memory have the strides of their array; all others are in C order.
static void
fill_inputs(const struct tsi_local_job *job, const struct tsi_worker_action *action,
            struct tsi_exec_chunk *inputs)
{
    const struct tsi_program *program = job->plan.program;
    for (size_t i = 0; i < action->execute.input_count; i++) {
        struct tsi_buf *buf = action->execute.inputs[i];
        const tsi_key key = action->execute.input_keys[i];
        const bool is_own = buf != NULL && buf->on_free == NULL;
        inputs[i] = (struct tsi_exec_chunk){.data = buf != NULL ? buf->data : NULL,
                                            .own = is_own ? buf : NULL};
        if (job->plan.held_count > 0 && tsi_key_job(key) == job->number) {
            const struct tsi_chunk_op *op =
                &program->ops[tsi_program_op_of(program, tsi_key_task(key))];
            if (op->work == TSI_WORK_HELD) {
                inputs[i].strides = job->plan.held[op->held.array]->memory.stride;
            }
        }
    }
}

// Tiny tasks take less than they are taken for, as was measured; how much more others take by
// themselves is believed.
static void
note_cost(struct tsi_local *local, bool is_long, uint64_t cost_ns)
{
    const uint64_t own_ns = cost_ns > TINY_NS ? cost_ns - TINY_NS : 0;
    if (!is_long && own_ns > local->each_ns) {
        local->each_ns = own_ns;
    }
}

static void
execute(struct tsi_local *local, const struct tsi_worker_action *action)
{
    const uint32_t run = action->execute.run;
    struct tsi_local_job *job = tsi_local_job(local, action->execute.job);
    struct tsi_attempt_slot *slot =
        tsi_attempts_prepare(&local->attempts, run, action->execute.input_count);
    if (job == NULL || slot == NULL) {
        struct tsi_worker_event event = {.kind = TSI_WORKER_EXECUTED};
        event.executed.run = run;
        event.executed.status = TESS_ENOMEM;
        event.executed.text = "out of memory before the task could start";
        tsi_local_worker_event(local, &event);
        return;
    }
    slot->program = job->plan.program;
    slot->op = action->execute.op;
    slot->chunk = action->execute.chunk;
    slot->output_bytes = (size_t)action->execute.output_bytes;
    tsi_local_place(job, slot);
    slot->is_long = action->execute.cost_ns > LONG_NS;
    local->long_runs += slot->is_long ? 1 : 0;
    note_cost(local, slot->is_long, action->execute.cost_ns);
    fill_inputs(job, action, slot->inputs);
    tsi_attempts_start(&local->attempts, run, action->execute.is_along);
}

// Completions go to the scheduler's core as they are; small outputs need no copy in one process.
static void
report_done(struct tsi_local *local, const struct tsi_worker_action *action)
{
    enum { BATCH = 64 };
    struct tsi_completion batch[BATCH];
    size_t sent = 0;
    while (sent < action->done.count) {
        size_t count = 0;
        while (count < BATCH && sent < action->done.count) {
            batch[count++] = action->done.items[sent++].completion;
        }
        struct tsi_sched_event event = {.kind = TSI_SCHED_TASKS_DONE, .peer = TSI_LOCAL_WORKER};
        event.done.items = batch;
        event.done.count = count;
        tsi_local_sched_event(local, &event);
    }
}

static void
release_program(struct tsi_local *local, const struct tsi_program *program)
{
    struct tsi_local_job *job = job_of_program(local, program);
    if (job != NULL) {
        job->held_by_worker = false;
        tsi_local_settle_job(local, job);
    }
}

static void
report_dropped(struct tsi_local *local, const struct tsi_worker_action *action)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_DROPPED, .peer = TSI_LOCAL_WORKER};
    event.dropped.keys = action->dropped.keys;
    event.dropped.count = action->dropped.count;
    tsi_local_sched_event(local, &event);
}

static void
report_ended(struct tsi_local *local, const struct tsi_worker_action *action)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_ATTEMPT_ENDED, .peer = TSI_LOCAL_WORKER};
    event.attempt = action->ended;
    tsi_local_sched_event(local, &event);
}

static void
report_copied(struct tsi_local *local, const struct tsi_worker_action *action)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_COPIED, .peer = TSI_LOCAL_WORKER};
    event.copied.keys = action->copied.keys;
    event.copied.count = action->copied.count;
    tsi_local_sched_event(local, &event);
}

static void
take_worker_action(struct tsi_local *local, const struct tsi_worker_action *action)
{
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        execute(local, action);
        break;
    case TSI_WORKER_CANCEL_RUN:
        atomic_store(&local->attempts.slots[action->cancel_run.run].cancelled, true);
        break;
    case TSI_WORKER_FETCH:
        fetch(local, action->fetch.key);
        break;
    case TSI_WORKER_RELEASE_CHUNK:
        tsi_buf_unref(action->release_chunk.handle);
        break;
    case TSI_WORKER_RELEASE_PROGRAM:
        release_program(local, action->release_program.program);
        break;
    case TSI_WORKER_SPILL:
        tsi_local_spill(local, action);
        break;
    case TSI_WORKER_LOAD:
        tsi_local_load(local, action);
        break;
    case TSI_WORKER_RELEASE_EXTENT:
        tsi_spill_release(local->spill, action->release_extent.extent);
        break;
    case TSI_WORKER_REPORT_DONE:
        report_done(local, action);
        break;
    case TSI_WORKER_REPORT_DROPPED:
        report_dropped(local, action);
        break;
    case TSI_WORKER_REPORT_ENDED:
        report_ended(local, action);
        break;
    case TSI_WORKER_REPORT_COPIED:
        report_copied(local, action);
        break;
    case TSI_WORKER_REPORT_HELD:
        break; // there was no scheduler before this one
    }
}

size_t
tsi_local_awake(const struct tsi_local *local)
{
    return (size_t)(local->thread_count - atomic_load_explicit(&local->idle, memory_order_relaxed));
}

bool
tsi_local_is_little(const struct tsi_local *local)
{
    return local->long_runs == 0 &&
           tsi_ring_count(&local->attempts.ring) * local->each_ns < LITTLE_NS;
}

// Wakes as many threads as have something to do; one that is awake comes to it by itself.
static void
wake_threads(struct tsi_local *local)
{
    const size_t tasks = tsi_ring_count(&local->attempts.ring);
    const size_t work = tasks + local->deliveries.count;
    const size_t idle = (size_t)atomic_load_explicit(&local->idle, memory_order_relaxed);
    size_t wanted = work;
    if (tasks > 0 && tsi_local_is_little(local)) {
        wanted = local->deliveries.count + (tsi_local_awake(local) == 0 ? 1 : 0);
    }
    for (size_t i = 0; i < wanted && i < idle; i++) {
        pthread_cond_signal(&local->work);
    }
    // Who waits for no time, or a later one, has to wait anew.
    if (work == 0 && idle > 0 && tsi_sched_deadline(local->sched) < local->armed_ns) {
        pthread_cond_signal(&local->work);
    }
}

void
tsi_local_pump(struct tsi_local *local)
{
    struct tsi_sched_action sched_action;
    struct tsi_worker_action worker_action;
    // At the close nothing new is begun, and tasks that were cancelled do not end their jobs as
    // such.
    bool moved = !local->closing;
    while (moved) {
        const uint64_t now = tsi_clock_ns();
        local->now_ns = now;
        moved = false;
        if (local->worker_failed) {
            tsi_local_renew_worker(local);
        }
        while (tsi_sched_poll(local->sched, now, &sched_action)) {
            take_sched_action(local, &sched_action);
            moved = true;
        }
        while (tsi_worker_poll(local->worker, now, &worker_action)) {
            take_worker_action(local, &worker_action);
            moved = true;
        }
        moved = moved || local->worker_failed;
    }
    tsi_local_settle_unpinned(local);
    wake_threads(local);
}
