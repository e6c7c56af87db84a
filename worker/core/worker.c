// SPDX-License-Identifier: Apache-2.0
//
// The worker's core as its driver sees it: events in, actions out.
//
// Nothing that an action points to is touched before the next call; what was told is settled at the
// start of that call.

#include "worker/core/worker.h"

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "worker/core/worker_state.h"

enum { FETCHES_DEFAULT = 64 };

static void
free_records(struct tsi_worker *worker)
{
    while (worker->job_list != NULL) {
        struct tsi_worker_job *job = worker->job_list;
        worker->job_list = job->next;
        tsi_free(job->needs);
        tsi_free(job->drops);
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
    tsi_table_fini(&worker->chunks);
    tsi_table_fini(&worker->sequences);
    tsi_worker_queue_fini(&worker->ready);
    tsi_worker_queue_fini(&worker->fetches);
    tsi_vec_fini(&worker->releases);
    tsi_vec_fini(&worker->programs);
    tsi_vec_fini(&worker->copied);
    tsi_vec_fini(&worker->lost_copies);
    tsi_vec_fini(&worker->holdings);
    tsi_vec_fini(&worker->ranges);
    tsi_vec_fini(&worker->late);
    tsi_vec_fini(&worker->input_handles);
    tsi_vec_fini(&worker->input_keys);
    tsi_vec_fini(&worker->scratch);
    tsi_vec_fini(&worker->resident);
    tsi_vec_fini(&worker->spills);
    tsi_vec_fini(&worker->victims);
    tsi_vec_fini(&worker->extents);
    tsi_vec_fini(&worker->dropped);
    tsi_free((void *)worker->spill_runs);
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
    const size_t runs = (size_t)config->threads + (size_t)config->runs_ahead;
    worker->threads = config->threads;
    worker->run_count = runs;
    worker->memory_bytes = config->memory_bytes;
    worker->fetches_max = config->fetches_max > 0 ? (size_t)config->fetches_max : FETCHES_DEFAULT;
    worker->job_pool.record_bytes = sizeof(struct tsi_worker_job);
    worker->chunk_pool.record_bytes = sizeof(struct tsi_worker_chunk);
    worker->task_pool.record_bytes = sizeof(struct tsi_worker_task);
    worker->runs = (struct tsi_worker_task **)tsi_calloc(runs, sizeof *worker->runs);
    worker->free_runs = tsi_calloc(runs, sizeof *worker->free_runs);
    worker->cancels = tsi_calloc(runs, sizeof *worker->cancels);
    worker->spills_max = config->spills_max > 0 ? (size_t)config->spills_max : 0;
    worker->spill_limit = config->spill_bytes;
    worker->spill_runs =
        (struct tsi_worker_chunk **)tsi_calloc(worker->spills_max + 1, sizeof *worker->spill_runs);
    if (worker->spill_runs == NULL || worker->runs == NULL || worker->free_runs == NULL ||
        worker->cancels == NULL) {
        tsi_worker_free(worker, NULL, NULL, NULL);
        return NULL;
    }
    for (size_t i = 0; i < runs; i++) {
        worker->free_runs[worker->free_run_count++] = (uint32_t)(runs - 1 - i);
    }
    return worker;
}

// The peaks of the jobs that are there start to be counted apart from that of the next one.
static void
fold_peaks(struct tsi_worker *worker)
{
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        if (job->peak_bytes < worker->counted_peak) {
            job->peak_bytes = worker->counted_peak;
        }
    }
    worker->counted_peak = worker->bytes_counted;
}

bool
tsi_worker_has_program(const struct tsi_worker *worker, uint32_t job)
{
    const struct tsi_worker_job *found = tsi_worker_job_find(worker, job);
    return found != NULL && found->program != NULL;
}

static bool
take_program(struct tsi_worker *worker, uint32_t number, uint64_t token,
             const struct tsi_program *program)
{
    if (!tsi_vec_reserve(&worker->programs, worker->programs_live + 1)) {
        return false;
    }
    struct tsi_worker_needs *needs = tsi_calloc((size_t)program->op_count, sizeof *needs);
    struct tsi_worker_job *job = needs != NULL ? tsi_worker_job_add(worker, number) : NULL;
    if (job == NULL) {
        tsi_free(needs);
        return false;
    }
    if (job->program != NULL) {
        tsi_free(needs);
        (void)tsi_vec_push(&worker->programs, program);
        return true;
    }
    for (int i = 0; i < program->op_count; i++) {
        needs[i].workspace = UINT64_MAX;
    }
    fold_peaks(worker);
    job->program = program;
    job->token = token;
    job->needs = needs;
    job->peak_bytes = 0;
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
        chunk->told = false; // COPIED is yet to be told
        chunk->unclaimed = false;
        (void)tsi_vec_push(&worker->copied, place->key);
    } else if (!chunk->copying) {
        chunk->copying = true;
        worker->copying_count++;
        tsi_worker_chunk_count(worker, chunk);
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
            (void)tsi_vec_push(&worker->lost_copies,
                               ((struct tsi_worker_lost_copy){places[i].key, places[i].peer}));
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
    return chunk->peer == peer && chunk->extent == NULL && !TSI_PLANTED(worker_deaf_to_leaving) &&
           (chunk->state == TSI_WORKER_QUEUED || chunk->state == TSI_WORKER_FETCHING);
}

// Loses all that was to come from `peer`. Losing one chunk can take records of others away, so
// their keys are noted first.
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
    const bool is_known = chunk != NULL;
    const bool is_late = !is_known && event->fetched.peer != TSI_PEER_NONE;
    if (is_late || (is_known && chunk->state == TSI_WORKER_HELD)) {
        (void)tsi_vec_push(&worker->releases, event->fetched.handle);
        return true;
    }
    chunk = tsi_worker_chunk_add(worker, event->fetched.key);
    if (chunk == NULL) {
        return false;
    }
    chunk->unclaimed = !is_known;
    tsi_worker_chunk_arrived(worker, chunk, event->fetched.handle, event->fetched.bytes);
    tsi_worker_chunk_settle(worker, chunk);
    return true;
}

static void
take_fetch_failure(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, event->fetch_failed.key);
    if (chunk != NULL && chunk->state == TSI_WORKER_FETCHING && chunk->extent == NULL &&
        chunk->peer == event->fetch_failed.peer) {
        tsi_worker_chunk_failed(worker, chunk, event->fetch_failed.text);
    }
}

static struct tsi_worker_job *
first_attached(const struct tsi_worker *worker)
{
    struct tsi_worker_job *job = worker->job_list;
    while (job != NULL && job->detached) {
        job = job->next;
    }
    return job;
}

static void
reset(struct tsi_worker *worker)
{
    // Dropping one job can take the record of another away that had but chunks for it.
    for (struct tsi_worker_job *job = first_attached(worker); job != NULL;
         job = first_attached(worker)) {
        tsi_worker_job_drop(worker, job);
    }
    while (worker->done.count > 0) {
        tsi_worker_tell_end(worker, tsi_worker_task_report(&worker->done));
    }
    while (worker->ended.count > 0) {
        tsi_worker_tell_end(worker, tsi_worker_task_report(&worker->ended));
    }
    struct tsi_worker_job *next_job = NULL;
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
    tsi_vec_clear(&worker->late);
    tsi_vec_clear(&worker->dropped);
    worker->assignments = 0;
}

static bool
take_event(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        return take_program(worker, event->program.job, event->program.token,
                            event->program.program);
    case TSI_WORKER_ASSIGNED:
        return tsi_worker_assign_batch(worker, event->assigned.items, event->assigned.count,
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
    case TSI_WORKER_SPILLED:
        return tsi_worker_spill_written(worker, event);
    case TSI_WORKER_LOADED:
        return tsi_worker_spill_loaded(worker, event);
    case TSI_WORKER_LIMITED:
        worker->memory_bytes =
            TSI_PLANTED(worker_deaf_to_limit) ? worker->memory_bytes : event->limited.memory_bytes;
        worker->is_over = true;
        return true;
    case TSI_WORKER_RESET:
        reset(worker);
        return true;
    case TSI_WORKER_PARTED:
        tsi_worker_part(worker);
        return true;
    }
    return true;
}

bool
tsi_worker_step(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    tsi_worker_tell_settle(worker);
    const bool is_taken = take_event(worker, event);
    tsi_worker_tell_peak(worker);
    return is_taken;
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

bool
tsi_worker_chunk_demand(struct tsi_worker *worker, tsi_key key)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
    if (chunk == NULL || chunk->extent == NULL || chunk->state == TSI_WORKER_HELD) {
        return false;
    }
    chunk->demanded = true;
    if (chunk->state == TSI_WORKER_ON_DISK) {
        tsi_worker_chunk_load(worker, chunk, 0);
    } else if (chunk->state == TSI_WORKER_QUEUED) {
        tsi_worker_queue_raise(&worker->fetches, &chunk->entry, 0);
    }
    return true;
}

void
tsi_worker_chunk_served(struct tsi_worker *worker, tsi_key key)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
    if (chunk != NULL && chunk->state == TSI_WORKER_HELD) {
        chunk->demanded = false;
    }
}

void
tsi_worker_free_extents(struct tsi_worker *worker,
                        void (*release_extent)(void *context, void *extent), void *context)
{
    for (struct tsi_worker_job *job = worker->job_list; job != NULL; job = job->next) {
        for (struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL; chunk = chunk->next) {
            if (chunk->extent != NULL) {
                release_extent(context, chunk->extent);
                chunk->extent = NULL;
            }
        }
    }
    while (worker->extents.count > 0) {
        release_extent(context, tsi_vec_pop(&worker->extents));
    }
}

struct tsi_worker_stats
tsi_worker_stats(const struct tsi_worker *worker)
{
    return (struct tsi_worker_stats){
        .assignments = worker->assignments,
        .running = worker->run_count - worker->free_run_count,
        .chunks = worker->held_count,
        .fetches = worker->fetching_count,
        .bytes_held = worker->bytes_held,
        .bytes_reserved = worker->bytes_reserved,
        .bytes_fetching = worker->bytes_fetching,
        .bytes_peak = worker->bytes_peak,
        .spills = worker->spill_run_count + worker->spills.count,
        .bytes_spilled = worker->bytes_spilled,
        .spills_done = worker->spills_done,
        .loads_done = worker->loads_done,
        .chunks_lost = worker->chunks_lost,
        .chunks_dropped = worker->chunks_dropped,
    };
}

void
tsi_worker_reset_peak(struct tsi_worker *worker)
{
    worker->bytes_peak = worker->bytes_held + worker->bytes_reserved + worker->bytes_fetching;
}
