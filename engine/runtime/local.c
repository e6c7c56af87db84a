// SPDX-License-Identifier: Apache-2.0
//
// The embedded runtime: the two real cores, driven by the threads that execute the tasks.
//
// There is no thread that only schedules. A thread that has finished a task takes the lock, feeds
// the completion to the worker's core, pumps actions between the cores, takes the next task and
// leaves; so a chain of small tasks costs no switch between threads. The session's thread pumps too
// when it submits, cancels or releases.

#include "engine/runtime/local.h"

#include "engine/base/clock.h"
#include "engine/base/machine.h"
#include "engine/base/pages.h"
#include "engine/program/codec.h"

// Bytes of the program if it were sent; 0 where there is no memory to find out.
static uint64_t
program_bytes(const struct tsi_program *program)
{
    struct tsi_error error = {.status = TESS_OK};
    unsigned char *bytes = NULL;
    size_t count = 0;
    if (tsi_program_encode(program, &bytes, &count, &error) != TESS_OK) {
        return 0;
    }
    tsi_free(bytes);
    return count;
}

static void
local_submit(struct tsi_backend *backend, struct tess_future *future)
{
    struct tsi_local *local = (struct tsi_local *)backend;
    struct tsi_local_job *job = tsi_calloc(1, sizeof *job);
    future->progress.workers = 1;
    future->report.program_bytes = program_bytes(future->plan.program);
    pthread_mutex_lock(&local->lock);
    if (job == NULL ||
        !tsi_map_put(&local->jobs_by_token, local->next_token, (uint64_t)(uintptr_t)job)) {
        pthread_mutex_unlock(&local->lock);
        tsi_free(job);
        tsi_future_end(future, TESS_ENOMEM, "compute: out of memory");
        tsi_future_unref(future);
        return;
    }
    job->token = local->next_token++;
    job->future = future;
    job->plan = future->plan;
    future->plan_taken = true;
    job->held_by_sched = true;
    future->backend_data = job;
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_SUBMITTED, .peer = TSI_LOCAL_CLIENT};
    event.job_submitted.token = job->token;
    event.job_submitted.program = job->plan.program;
    tsi_local_join_worker(local);
    tsi_local_sched_event(local, &event);
    tsi_local_pump(local);
    if (!local->joined && future->backend_data != NULL) {
        tsi_local_fail_job(local, job, "compute: out of memory");
        tsi_local_pump(local);
    }
    pthread_mutex_unlock(&local->lock);
}

static void
local_cancel(struct tsi_backend *backend, struct tess_future *future)
{
    struct tsi_local *local = (struct tsi_local *)backend;
    pthread_mutex_lock(&local->lock);
    const struct tsi_local_job *job = future->backend_data;
    if (job != NULL) {
        struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_CANCELLED, .peer = TSI_LOCAL_CLIENT};
        event.job.job = job->number;
        tsi_local_sched_event(local, &event);
        tsi_local_pump(local);
    }
    pthread_mutex_unlock(&local->lock);
}

static void
local_release(struct tsi_backend *backend, uint64_t number)
{
    struct tsi_local *local = (struct tsi_local *)backend;
    pthread_mutex_lock(&local->lock);
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_RELEASED, .peer = TSI_LOCAL_CLIENT};
    event.job.job = (uint32_t)number;
    tsi_local_sched_event(local, &event);
    tsi_local_pump(local);
    pthread_mutex_unlock(&local->lock);
}

static int
local_threads(struct tsi_backend *backend)
{
    return ((struct tsi_local *)backend)->thread_count;
}

static uint64_t
local_memory(struct tsi_backend *backend)
{
    return ((struct tsi_local *)backend)->memory_bytes;
}

static void
release_chunk(void *context, void *handle)
{
    (void)context;
    tsi_buf_unref(handle);
}

static void
free_jobs(struct tsi_local *local)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    while (tsi_map_next(&local->jobs_by_token, &cursor, &key, &value)) {
        struct tsi_local_job *job = (struct tsi_local_job *)(uintptr_t)value;
        if (job->future != NULL) {
            tsi_future_end(job->future, TESS_ECLOSED, "compute: the session was closed");
            tsi_future_unref(job->future);
        }
        tsi_local_free_job(job);
    }
    tsi_map_fini(&local->jobs_by_token);
    tsi_map_fini(&local->jobs_by_number);
}

// What the session takes at most, of which there may be several: its chunks, and what their blocks
// are larger than they. Threads that write to disk would else wait for what nobody gives back.
static int64_t
expected_bytes(const struct tsi_local *local)
{
    const uint64_t most = (uint64_t)1 << 50;
    const uint64_t bytes = local->memory_bytes < most ? local->memory_bytes : most;
    return (int64_t)(bytes + bytes / 32);
}

static void
local_free(struct tsi_local *local)
{
    tsi_local_spill_close(local);
    tsi_worker_free(local->worker, release_chunk, NULL, NULL);
    tsi_sched_free(local->sched);
    for (size_t i = 0; i < local->deliveries.count; i++) {
        tsi_buf_unref(local->deliveries.items[i].chunk);
    }
    tsi_attempts_fini(&local->attempts);
    free_jobs(local);
    tsi_vec_fini(&local->deliveries);
    tsi_vec_fini(&local->awaited);
    tsi_files_free(local->attempts.files);
    tsi_pages_expect(-expected_bytes(local));
    pthread_cond_destroy(&local->work);
    pthread_mutex_destroy(&local->lock);
    tsi_free(local);
}

static void
join_threads(struct tsi_local *local)
{
    pthread_mutex_lock(&local->lock);
    local->closing = true;
    tsi_attempts_cancel(&local->attempts);
    pthread_cond_broadcast(&local->work);
    pthread_mutex_unlock(&local->lock);
    for (int i = 0; i < local->thread_count; i++) {
        pthread_join(local->threads[i], NULL);
    }
}

static void
local_close(struct tsi_backend *backend)
{
    struct tsi_local *local = (struct tsi_local *)backend;
    join_threads(local);
    local_free(local);
}

// Tells the cores about each other: one worker, one client. False when memory is out.
static bool
introduce(struct tsi_local *local)
{
    struct tsi_sched_event event = {.kind = TSI_SCHED_CLIENT_JOINED, .peer = TSI_LOCAL_CLIENT};
    tsi_local_join_worker(local);
    tsi_local_sched_event(local, &event);
    tsi_local_pump(local);
    return local->joined && tsi_sched_stats(local->sched).clients == 1;
}

static bool
make_cores(struct tsi_local *local, uint64_t memory_bytes)
{
    struct tsi_sched_config sched = tsi_sched_config_default();
    sched.suspect_ns = 0;
    sched.lost_ns = 0;
    sched.client_lease_ns = 0;
    const struct tsi_worker_config worker = {
        .threads = local->thread_count,
        .runs_ahead = TSI_RUNS_AHEAD,
        .memory_bytes = memory_bytes,
        .spills_max = local->spill_bytes > 0 ? TSI_SPILL_RUNS : 0,
        .spill_bytes = local->spill_bytes,
    };
    local->sched = tsi_sched_new(&sched);
    local->worker = tsi_worker_new(&worker);
    local->attempts.files = tsi_files_new(NULL, 0);
    return local->sched != NULL && local->worker != NULL && local->attempts.files != NULL;
}

// Starts the threads; if not all start, those that did are joined.
static bool
start_threads(struct tsi_local *local, int count)
{
    bool is_good = true;
    pthread_mutex_lock(&local->lock); // which they wait for
    while (is_good && local->thread_count < count) {
        pthread_t *thread = &local->threads[local->thread_count];
        is_good = pthread_create(thread, NULL, tsi_local_thread, local) == 0;
        local->thread_count += is_good ? 1 : 0;
    }
    pthread_mutex_unlock(&local->lock);
    if (!is_good) {
        join_threads(local);
    }
    return is_good;
}

struct tsi_backend *
tsi_local_open(const struct tess_session_options *options, struct tsi_error *error)
{
    const int wanted = options->threads > 0 ? options->threads : tsi_machine_processors();
    const int count = wanted < TSI_THREADS_MAX ? wanted : TSI_THREADS_MAX;
    const uint64_t limit = options->memory_limit_bytes;
    const uint64_t most = tsi_machine_chunk_bytes();
    const uint64_t memory_bytes = limit == 0 || limit > most ? most : limit;
    struct tsi_local *local = tsi_calloc(1, sizeof *local);
    if (local == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
        return NULL;
    }
    local->backend = (struct tsi_backend){.submit = local_submit,
                                          .cancel = local_cancel,
                                          .release = local_release,
                                          .threads = local_threads,
                                          .memory = local_memory,
                                          .is_local = true,
                                          .close = local_close};
    pthread_mutex_init(&local->lock, NULL);
    pthread_cond_init(&local->work, NULL);
    local->next_token = 1;
    local->armed_ns = UINT64_MAX;
    local->thread_count = count;
    if (!tsi_local_spill_open(local, options) || !make_cores(local, memory_bytes)) {
        tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
        local_free(local);
        return NULL;
    }
    local->memory_bytes = memory_bytes;
    tsi_pages_expect(expected_bytes(local));
    if (!introduce(local)) {
        tsi_error_set(error, TESS_ENOMEM, "session: out of memory");
        local_free(local);
        return NULL;
    }
    local->thread_count = 0;
    if (!start_threads(local, count)) {
        tsi_error_set(error, TESS_ENOMEM, "session: cannot start %d threads", count);
        local_free(local);
        return NULL;
    }
    return &local->backend;
}
