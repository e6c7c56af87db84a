// SPDX-License-Identifier: Apache-2.0
//
// The worker's core as its driver sees it: events in, actions out.
//
// Nothing that an action points to is touched before the next call; what was told is settled at the
// start of that call.

#include "worker/core/worker.h"

#include "engine/base/check.h"
#include "worker/core/worker_state.h"

enum { FETCHES_DEFAULT = 64 };

static void
free_records(struct tsi_worker *worker)
{
    while (worker->job_list != NULL) {
        struct tsi_worker_job *job = worker->job_list;
        worker->job_list = job->next;
        tsi_free(job->workspaces);
        for (struct tsi_worker_task *task = job->tasks; task != NULL; task = task->next) {
            tsi_free(task->text);
            tsi_vec_fini(&task->inputs);
        }
    }
    // Records that are not in use keep the memory of their last use.
    while (worker->task_pool.unused_count > 0) {
        struct tsi_worker_task *task = tsi_worker_pool_take(&worker->task_pool);
        tsi_vec_fini(&task->inputs);
    }
    tsi_worker_pool_fini(&worker->task_pool);
    tsi_worker_pool_fini(&worker->chunk_pool);
    tsi_worker_pool_fini(&worker->job_pool);
}

static void
release_all(struct tsi_worker *worker, void (*release_chunk)(void *context, void *handle),
            void (*release_program)(void *context, const struct tsi_program *program),
            void *context)
{
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = chunk->next) {
            if (chunk->state == TSI_WORKER_HELD && release_chunk != NULL) {
                release_chunk(context, chunk->handle);
            }
        }
        if (job->program != NULL && release_program != NULL) {
            release_program(context, job->program);
        }
    }
    for (size_t i = 0; i < worker->releases.count && release_chunk != NULL; i++) {
        release_chunk(context, worker->releases.items[i]);
    }
    for (size_t i = 0; i < worker->programs.count && release_program != NULL; i++) {
        release_program(context, worker->programs.items[i]);
    }
}

// Records that belong to no job.
static void
free_orphans(struct tsi_worker *worker)
{
    struct tsi_worker_task *next = NULL;
    for (struct tsi_worker_task *task = worker->ended.first; task != NULL; task = next) {
        next = task->next_report;
        if (task->job == NULL) {
            tsi_worker_task_recycle(worker, task);
        }
    }
}

void
tsi_worker_free(struct tsi_worker *worker, void (*release_chunk)(void *context, void *handle),
                void (*release_program)(void *context, const struct tsi_program *program),
                void *context)
{
    if (worker == NULL) {
        return;
    }
    if (worker->told != NULL) {
        tsi_worker_task_recycle(worker, worker->told);
    }
    release_all(worker, release_chunk, release_program, context);
    free_orphans(worker);
    free_records(worker);
    tsi_map_fini(&worker->jobs);
    tsi_map_fini(&worker->chunks);
    tsi_map_fini(&worker->sequences);
    tsi_worker_queue_fini(&worker->ready);
    tsi_worker_queue_fini(&worker->fetches);
    tsi_vec_fini(&worker->releases);
    tsi_vec_fini(&worker->programs);
    tsi_vec_fini(&worker->copied);
    tsi_vec_fini(&worker->lost_copies);
    tsi_vec_fini(&worker->input_handles);
    tsi_vec_fini(&worker->input_keys);
    tsi_vec_fini(&worker->scratch);
    tsi_free((void *)worker->runs);
    tsi_free(worker->free_runs);
    tsi_free(worker->cancels);
    tsi_free(worker);
}

struct tsi_worker *
tsi_worker_new(const struct tsi_worker_config *config)
{
    TSI_CHECK(config->threads > 0);
    struct tsi_worker *worker = tsi_calloc(1, sizeof *worker);
    if (worker == NULL) {
        return NULL;
    }
    const size_t threads = (size_t)config->threads;
    worker->threads = config->threads;
    worker->memory_bytes = config->memory_bytes;
    worker->fetches_max = config->fetches_max > 0 ? (size_t)config->fetches_max : FETCHES_DEFAULT;
    worker->job_pool.record_bytes = sizeof(struct tsi_worker_job);
    worker->chunk_pool.record_bytes = sizeof(struct tsi_worker_chunk);
    worker->task_pool.record_bytes = sizeof(struct tsi_worker_task);
    worker->runs = (struct tsi_worker_task **)tsi_calloc(threads, sizeof *worker->runs);
    worker->free_runs = tsi_calloc(threads, sizeof *worker->free_runs);
    worker->cancels = tsi_calloc(threads, sizeof *worker->cancels);
    if (worker->runs == NULL || worker->free_runs == NULL || worker->cancels == NULL) {
        tsi_worker_free(worker, NULL, NULL, NULL);
        return NULL;
    }
    for (size_t i = 0; i < threads; i++) {
        worker->free_runs[worker->free_run_count++] = (uint32_t)(threads - 1 - i);
    }
    return worker;
}

static bool
take_program(struct tsi_worker *worker, uint32_t number, const struct tsi_program *program)
{
    if (!tsi_vec_reserve(&worker->programs, worker->programs_live + 1)) {
        return false;
    }
    uint64_t *workspaces = tsi_calloc((size_t)program->op_count, sizeof *workspaces);
    struct tsi_worker_job *job = workspaces != NULL ? tsi_worker_job_add(worker, number) : NULL;
    if (job == NULL) {
        tsi_free(workspaces);
        return false;
    }
    if (job->program != NULL) {
        tsi_free(workspaces);
        (void)tsi_vec_push(&worker->programs, program);
        return true;
    }
    for (int i = 0; i < program->op_count; i++) {
        workspaces[i] = UINT64_MAX;
    }
    job->program = program;
    job->workspaces = workspaces;
    worker->programs_live++;
    return true;
}

// Asks for one chunk to keep; what it needs to remember was reserved, but for the record.
static bool
copy_chunk(struct tsi_worker *worker, const struct tsi_location *place)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_add(worker, place->key);
    if (chunk == NULL) {
        return false;
    }
    if (chunk->state == TSI_WORKER_NOWHERE) {
        const uint32_t task = tsi_key_task(place->key);
        const struct tsi_program *program = chunk->job->program;
        const bool is_known = program != NULL && task < program->task_count;
        const struct tsi_chunk_op *op =
            is_known ? &program->ops[tsi_program_op_of(program, task)] : NULL;
        chunk->bytes = is_known ? tsi_chunk_op_bytes(op, (int64_t)(task - op->task_base)) : 0;
    }
    // A worker that wants to leave waits for copies, so they are first.
    if (!tsi_worker_chunk_want(worker, chunk, 0, place)) {
        (void)tsi_vec_push(&worker->lost_copies,
                           ((struct tsi_worker_lost_copy){place->key, TSI_PEER_NONE}));
        tsi_worker_chunk_settle(worker, chunk);
    } else if (chunk->state == TSI_WORKER_HELD) {
        chunk->known = true;
        chunk->temporary = false;
        (void)tsi_vec_push(&worker->copied, place->key);
    } else if (!chunk->copying) {
        chunk->copying = true;
        worker->copying_count++;
    }
    return true;
}

static bool
copy_chunks(struct tsi_worker *worker, const struct tsi_location *places, size_t count)
{
    const size_t owed = worker->copying_count + count;
    if (!tsi_vec_reserve(&worker->copied, owed) || !tsi_vec_reserve(&worker->lost_copies, owed)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!copy_chunk(worker, &places[i])) {
            (void)tsi_vec_push(&worker->lost_copies, ((struct tsi_worker_lost_copy){
                                                         places[i].key, places[i].peer}));
        }
    }
    return true;
}

static void
free_chunks(struct tsi_worker *worker, const tsi_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, keys[i]);
        if (chunk != NULL) {
            tsi_worker_chunk_free(worker, chunk);
        }
    }
}

static bool
is_from(const struct tsi_worker_chunk *chunk, uint32_t peer)
{
    return chunk->peer == peer &&
           (chunk->state == TSI_WORKER_QUEUED || chunk->state == TSI_WORKER_FETCHING);
}

// Loses all that was to come from `peer`. Losing one chunk can take records of others away, so their
// keys are noted first.
static bool
lose_peer(struct tsi_worker *worker, uint32_t peer)
{
    tsi_vec_clear(&worker->scratch);
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = chunk->next) {
            if (is_from(chunk, peer) && !tsi_vec_push(&worker->scratch, chunk->key)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < worker->scratch.count; i++) {
        struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, worker->scratch.items[i]);
        if (chunk != NULL && is_from(chunk, peer)) {
            chunk->late = chunk->late || chunk->state == TSI_WORKER_FETCHING;
            tsi_worker_chunk_lost(worker, chunk, "the peer that had it has left");
        }
    }
    return true;
}

static bool
take_chunk(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    if (!tsi_worker_chunk_reserve_release(worker)) {
        return false;
    }
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, event->fetched.key);
    const bool is_expected = chunk != NULL;
    if (!is_expected) {
        chunk = tsi_worker_chunk_add(worker, event->fetched.key);
    }
    if (chunk == NULL) {
        return false;
    }
    if (chunk->state == TSI_WORKER_HELD) {
        (void)tsi_vec_push(&worker->releases, event->fetched.handle);
        return true;
    }
    chunk->temporary = !is_expected;
    tsi_worker_chunk_arrived(worker, chunk, event->fetched.handle, event->fetched.bytes);
    if (is_expected) {
        tsi_worker_chunk_settle(worker, chunk);
    }
    return true;
}

static void
take_fetch_failure(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, event->fetch_failed.key);
    if (chunk == NULL) {
        return;
    }
    if (chunk->state == TSI_WORKER_FETCHING && chunk->peer == event->fetch_failed.peer) {
        tsi_worker_chunk_lost(worker, chunk, event->fetch_failed.text);
    } else if (chunk->late) {
        chunk->late = false;
        tsi_worker_chunk_settle(worker, chunk);
    }
}

// The completion was told, or nobody wants to hear it.
static void
end_report(struct tsi_worker *worker, struct tsi_worker_task *task)
{
    struct tsi_worker_chunk *output = task->output;
    tsi_worker_task_recycle(worker, task);
    if (output != NULL) {
        tsi_worker_chunk_unpin(worker, output);
    }
}

static void
reset(struct tsi_worker *worker)
{
    struct tsi_worker_job *next_job = NULL;
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = next_job) {
        next_job = job->next;
        if (!job->detached) {
            tsi_worker_job_drop(worker, job);
        }
    }
    while (worker->done.count > 0) {
        end_report(worker, tsi_worker_task_report(&worker->done));
    }
    while (worker->ended.count > 0) {
        end_report(worker, tsi_worker_task_report(&worker->ended));
    }
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = next_job) {
        next_job = job->next;
        struct tsi_worker_chunk *next = NULL;
        for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = next) {
            next = chunk->next;
            tsi_worker_chunk_detach(worker, chunk);
        }
    }
    tsi_vec_clear(&worker->copied);
    tsi_vec_clear(&worker->lost_copies);
    worker->assignments = 0;
}

// Lets go of what the last action pointed to.
static void
settle(struct tsi_worker *worker)
{
    for (size_t i = 0; i < worker->batch_count; i++) {
        tsi_worker_chunk_unpin(worker, worker->batch_outputs[i]);
    }
    worker->batch_count = 0;
    if (worker->told != NULL) {
        tsi_worker_task_recycle(worker, worker->told);
        worker->told = NULL;
    }
    if (worker->copied_told) {
        tsi_vec_clear(&worker->copied);
        worker->copied_told = false;
    }
}

static void
note_peak(struct tsi_worker *worker)
{
    const uint64_t now = worker->bytes_held + worker->bytes_reserved;
    if (now > worker->bytes_peak) {
        worker->bytes_peak = now;
    }
}

static bool
take_event(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        return take_program(worker, event->program.job, event->program.program);
    case TSI_WORKER_ASSIGNED:
        return tsi_worker_task_assign(worker, event->assigned.items, event->assigned.count,
                                      event->assigned.locations, event->assigned.location_count);
    case TSI_WORKER_RETRACT:
        for (size_t i = 0; i < event->retract.count; i++) {
            tsi_worker_task_retract(worker, event->retract.sequences[i]);
        }
        return true;
    case TSI_WORKER_FREE:
        free_chunks(worker, event->free.keys, event->free.count);
        return true;
    case TSI_WORKER_COPY:
        return copy_chunks(worker, event->copy.locations, event->copy.count);
    case TSI_WORKER_DROP_JOB: {
        struct tsi_worker_job *job = tsi_worker_job_find(worker, event->drop_job.job);
        if (job != NULL) {
            tsi_worker_job_drop(worker, job);
        }
        return true;
    }
    case TSI_WORKER_PEER_LEFT:
        return lose_peer(worker, event->peer_left.peer);
    case TSI_WORKER_FETCHED:
        return take_chunk(worker, event);
    case TSI_WORKER_FETCH_FAILED:
        take_fetch_failure(worker, event);
        return true;
    case TSI_WORKER_EXECUTED:
        return tsi_worker_task_executed(worker, event);
    case TSI_WORKER_RESET:
        reset(worker);
        return true;
    }
    return true;
}

bool
tsi_worker_step(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    settle(worker);
    const bool is_taken = take_event(worker, event);
    note_peak(worker);
    return is_taken;
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
            end_report(worker, task);
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
    note_peak(worker);
    const size_t count = task->inputs.count;
    for (size_t i = 0; i < count; i++) {
        worker->input_handles.items[i] = task->inputs.items[i].chunk->handle;
        worker->input_keys.items[i] = task->inputs.items[i].chunk->key;
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
    return true;
}

static bool
tell_fetch(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    const struct tsi_worker_chunk *chunk = tsi_worker_chunk_next_fetch(worker);
    if (chunk == NULL) {
        return false;
    }
    action->kind = TSI_WORKER_FETCH;
    action->fetch.key = chunk->key;
    action->fetch.peer = chunk->peer;
    action->fetch.bytes = chunk->bytes;
    return true;
}

static bool
tell_done(struct tsi_worker *worker, struct tsi_worker_action *action)
{
    while (worker->done.count > 0 && worker->batch_count < TSI_WORKER_BATCH) {
        struct tsi_worker_task *task = tsi_worker_task_report(&worker->done);
        if (task->job->detached) {
            end_report(worker, task);
            continue;
        }
        worker->assignments--;
        worker->batch[worker->batch_count] =
            (struct tsi_worker_done){.completion = task->completion, .handle = task->output->handle};
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
    (void)now_ns;
    settle(worker);
    if (worker->done.count >= TSI_WORKER_BATCH && tell_done(worker, action)) {
        return true;
    }
    // A report that nobody wants any more may release a chunk, after releases were looked at.
    return tell_cancel(worker, action) || tell_release(worker, action) ||
           tell_execute(worker, action) || tell_fetch(worker, action) ||
           tell_ended(worker, action) || tell_done(worker, action) ||
           tell_copied(worker, action) || tell_release(worker, action);
}

void *
tsi_worker_chunk(const struct tsi_worker *worker, tsi_key key, uint64_t *bytes)
{
    const struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
    if (chunk == NULL || chunk->state != TSI_WORKER_HELD) {
        return NULL;
    }
    *bytes = chunk->bytes;
    return chunk->handle;
}

struct tsi_worker_stats
tsi_worker_stats(const struct tsi_worker *worker)
{
    return (struct tsi_worker_stats){
        .assignments = worker->assignments,
        .running = (size_t)worker->threads - worker->free_run_count,
        .chunks = worker->held_count,
        .fetches = worker->fetching_count,
        .bytes_held = worker->bytes_held,
        .bytes_reserved = worker->bytes_reserved,
        .bytes_peak = worker->bytes_peak,
    };
}

void
tsi_worker_reset_peak(struct tsi_worker *worker)
{
    worker->bytes_peak = worker->bytes_held + worker->bytes_reserved;
}
