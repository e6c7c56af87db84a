// SPDX-License-Identifier: Apache-2.0
//
// Futures and their public functions.
//
// A future ends once, under its lock; whoever waits is woken by the condition, whoever polls sees
// the status, and the event descriptor becomes readable and stays so. The backend's threads write
// results into the caller's memory before they end the future, so a caller that sees the end sees
// the results.

#include "engine/runtime/future.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/scatter.h"

#define PROGRESS_INTERVAL_NS (100 * TSI_MILLISECOND)

// How long a caller looks whether its compute has ended before it sleeps, and how many computes at
// most are waited for asleep after one that took longer.
#define LOOK_NS (TSI_MILLISECOND / 2)
#define ASLEEP_MAX 64

static void
enlist(struct tess_future *future)
{
    if (future->session != NULL) {
        future->next = future->session->futures;
        if (future->next != NULL) {
            future->next->previous = future;
        }
        future->session->futures = future;
    }
}

static void
delist(struct tess_future *future)
{
    if (future->session == NULL) {
        return;
    }
    if (future->previous != NULL) {
        future->previous->next = future->next;
    } else {
        future->session->futures = future->next;
    }
    if (future->next != NULL) {
        future->next->previous = future->previous;
    }
    future->next = NULL;
    future->previous = NULL;
    future->session = NULL;
    future->backend = NULL;
}

struct tess_future *
tsi_future_new(struct tess_session *session, int target_count)
{
    struct tess_future *future = tsi_calloc(1, sizeof *future);
    if (future == NULL) {
        return NULL;
    }
    future->outputs = tsi_calloc((size_t)target_count + 1, sizeof *future->outputs);
    if (future->outputs == NULL) {
        tsi_free(future);
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&future->lock, NULL);
    pthread_cond_init(&future->ended_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&future->refs, 1);
    future->session = session;
    enlist(future);
    future->target_count = target_count;
    future->event_fd = -1;
    future->status = TESS_RUNNING;
    future->started_ns = tsi_clock_ns();
    return future;
}

struct tess_future *
tsi_future_ref(struct tess_future *future)
{
    atomic_fetch_add_explicit(&future->refs, 1, memory_order_relaxed);
    return future;
}

void
tsi_future_unref(struct tess_future *future)
{
    if (future == NULL || atomic_fetch_sub_explicit(&future->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (future->event_fd >= 0) {
        close(future->event_fd);
    }
    pthread_cond_destroy(&future->ended_cond);
    pthread_mutex_destroy(&future->lock);
    if (!future->plan_taken) {
        tsi_plan_fini(&future->plan);
    }
    tsi_free(future->outputs);
    tsi_free(future->worker_reports);
    tsi_free(future);
}

void
tsi_future_drop(struct tess_future *future)
{
    delist(future);
    tsi_future_unref(future);
}

void
tsi_future_orphan_all(struct tess_session *session)
{
    while (session->futures != NULL) {
        delist(session->futures);
    }
}

// Whether somebody wants to know of it if chunk memory was taken that was not predicted.
static bool
checks_memory(void)
{
    const char *wanted = getenv("TESSERA_CHECK_MEMORY");
    return wanted != NULL && wanted[0] != '\0' && strcmp(wanted, "0") != 0;
}

static bool
is_broken(uint64_t measured, uint64_t predicted, const char *who, char *out, size_t bytes)
{
    if (measured <= predicted) {
        return false;
    }
    snprintf(out, bytes,
             "compute: %s took %" PRIu64 " bytes of chunk memory, predicted were %" PRIu64, who,
             measured, predicted);
    return true;
}

// Whether a worker took more than was predicted for it, and which, in `out`.
static bool
broke_prediction(const struct tess_future *future, char *out, size_t bytes)
{
    const struct tess_report *report = &future->report;
    bool is_bad = is_broken(report->peak_bytes_measured, report->peak_bytes_predicted, "a worker",
                            out, bytes);
    for (int i = 0; i < report->workers && !is_bad; i++) {
        const struct tess_worker_report *worker = &future->worker_reports[i];
        is_bad = is_broken(worker->peak_bytes_measured, worker->peak_bytes_predicted, worker->name,
                           out, bytes);
    }
    return is_bad;
}

void
tsi_future_end(struct tess_future *future, tess_status status, const char *text)
{
    char broken[TSI_ERROR_TEXT_MAX];
    pthread_mutex_lock(&future->lock);
    if (!future->ended) {
        if (status == TESS_OK && checks_memory() &&
            broke_prediction(future, broken, sizeof broken)) {
            status = TESS_EINTERNAL;
            text = broken;
        }
        future->ended = true;
        future->status = status;
        future->report.elapsed_ns = tsi_clock_ns() - future->started_ns;
        if (status != TESS_OK) {
            tsi_error_set(&future->error, status, "%s", text != NULL ? text : "");
        }
        if (future->event_fd >= 0) {
            // The counter of a fresh descriptor takes a one without blocking; nothing else writes
            // it.
            (void)!write(future->event_fd, &(uint64_t){1}, sizeof(uint64_t));
        }
        pthread_cond_broadcast(&future->ended_cond);
    }
    pthread_mutex_unlock(&future->lock);
}

void
tsi_future_set_job(struct tess_future *future, uint64_t job)
{
    pthread_mutex_lock(&future->lock);
    future->job = job;
    pthread_mutex_unlock(&future->lock);
}

void
tsi_future_set_progress(struct tess_future *future, uint64_t done, uint64_t total, int workers)
{
    pthread_mutex_lock(&future->lock);
    future->progress.tasks_done = done;
    future->progress.tasks_total = total;
    future->progress.workers = workers;
    pthread_mutex_unlock(&future->lock);
}

// The lines of the workers and, behind them, their names; NULL when memory is out.
static struct tess_worker_report *
copy_peaks(const struct tsi_worker_peak *peaks, size_t count)
{
    size_t bytes = count * sizeof(struct tess_worker_report);
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(peaks[i].name) + 1;
    }
    struct tess_worker_report *copy = tsi_alloc(bytes + 1);
    char *names = (char *)(copy + count);
    for (size_t i = 0; i < count && copy != NULL; i++) {
        const size_t length = strlen(peaks[i].name) + 1;
        memcpy(names, peaks[i].name, length);
        copy[i] = (struct tess_worker_report){.name = names,
                                              .peak_bytes_predicted = peaks[i].predicted,
                                              .peak_bytes_measured = peaks[i].measured};
        names += length;
    }
    return copy;
}

void
tsi_future_set_costs(struct tess_future *future, const struct tsi_job_costs *costs)
{
    struct tess_worker_report *copy = copy_peaks(costs->workers, costs->worker_count);
    pthread_mutex_lock(&future->lock);
    future->report.tasks = costs->tasks_run;
    future->report.peak_bytes_predicted = costs->peak_bytes_predicted;
    future->report.peak_bytes_measured = costs->peak_bytes_measured;
    future->report.workers = copy != NULL ? (int)costs->worker_count : 0;
    tsi_free(future->worker_reports);
    future->worker_reports = copy;
    pthread_mutex_unlock(&future->lock);
}

// Where the whole array that `op` makes goes; NULL if to nobody, or to several.
static void *
find_output(const struct tess_future *future, int op)
{
    void *found = NULL;
    for (int i = 0; i < future->target_count; i++) {
        if (future->plan.target_ops[i] == op && future->outputs[i].out != NULL) {
            if (found != NULL) {
                return NULL;
            }
            found = future->outputs[i].out;
        }
    }
    return found;
}

void *
tsi_future_place(const struct tess_future *future, int op)
{
    const struct tsi_chunk_op *source = &future->plan.program->ops[op];
    void *out = find_output(future, op);
    return (uintptr_t)out % tess_dtype_bytes((tess_dtype)source->dtype) == 0 ? out : NULL;
}

bool
tsi_future_deliver(struct tess_future *future, int op, int64_t chunk, const void *data,
                   size_t bytes, struct tsi_helper *helper)
{
    const struct tsi_chunk_op *source = &future->plan.program->ops[op];
    if (bytes != tsi_chunk_op_bytes(source, chunk)) {
        return false;
    }
    for (int i = 0; i < future->target_count; i++) {
        if (future->plan.target_ops[i] == op && future->outputs[i].out != NULL) {
            tsi_scatter_chunk(&source->array, chunk, tess_dtype_bytes((tess_dtype)source->dtype),
                              data, future->outputs[i].out, helper);
        }
    }
    return true;
}

static struct timespec
timespec_at(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / TSI_SECOND),
                             .tv_nsec = (long)(ns % TSI_SECOND)};
}

static struct tess_progress
progress_now(const struct tess_future *future)
{
    struct tess_progress progress = future->progress;
    progress.elapsed_ns =
        future->ended ? future->report.elapsed_ns : tsi_clock_ns() - future->started_ns;
    if (future->ended && future->status == TESS_OK) {
        progress.tasks_done = progress.tasks_total;
    }
    return progress;
}

// Waits until the future has ended or the clock shows `until_ns`.
static void
wait_until(struct tess_future *future, uint64_t until_ns)
{
    const struct timespec until = timespec_at(until_ns);
    while (!future->ended &&
           pthread_cond_timedwait(&future->ended_cond, &future->lock, &until) != ETIMEDOUT) {
    }
}

static void
tell_progress(struct tess_future *future)
{
    const struct tess_session_options *options = &future->session->options;
    const struct tess_progress progress = progress_now(future);
    pthread_mutex_unlock(&future->lock);
    options->on_progress(options->on_progress_user, &progress);
    pthread_mutex_lock(&future->lock);
}

// Looks for a short while whether the future ends, giving way to whoever wants the processor. To
// wake a thread that sleeps, perhaps on a processor that sleeps too, takes a good part of a tiny
// compute. The more computes in a row took longer, the fewer are looked for.
static void
look_for_end(struct tess_future *future, uint64_t start, uint64_t end)
{
    struct tsi_backend *backend = future->backend;
    const uint64_t until = end < start + LOOK_NS ? end : start + LOOK_NS;
    if (backend == NULL || !backend->may_look || end <= start) {
        return;
    }
    if (backend->asleep_left > 0) {
        backend->asleep_left--;
        return;
    }
    while (!future->ended && tsi_clock_ns() < until) {
        sched_yield();
    }
    const int twice = 2 * backend->asleep + 1;
    backend->asleep = future->ended ? 0 : twice < ASLEEP_MAX ? twice : ASLEEP_MAX;
    backend->asleep_left = backend->asleep;
}

static tess_status
wait_for_end(struct tess_future *future, int64_t timeout_ms)
{
    // A future has no session if it had none to start in, or if that has been closed.
    const bool tells = future->session != NULL && future->session->options.on_progress != NULL;
    const uint64_t start = tsi_clock_ns();
    const uint64_t end = timeout_ms < 0 || (uint64_t)timeout_ms > UINT64_MAX / 2 / TSI_MILLISECOND
                             ? UINT64_MAX / 2
                             : start + (uint64_t)timeout_ms * TSI_MILLISECOND;
    look_for_end(future, start, end);
    pthread_mutex_lock(&future->lock);
    while (!future->ended && tsi_clock_ns() < end) {
        const uint64_t next = tsi_clock_ns() + PROGRESS_INTERVAL_NS;
        wait_until(future, tells && next < end ? next : end);
        if (tells && !future->ended) {
            tell_progress(future);
        }
    }
    const tess_status status = future->status;
    pthread_mutex_unlock(&future->lock);
    return status;
}

// The session's report is that of the compute that was seen to end last. One that was detached has
// not ended.
static void
report(struct tess_future *future)
{
    if (!future->detached) {
        future->session->report = future->report;
        tsi_free(future->session->worker_reports);
        future->session->worker_reports = future->worker_reports;
        future->worker_reports = NULL;
    }
}

tess_status
tsi_future_finish(struct tess_future *future, int64_t timeout_ms)
{
    const tess_status status = wait_for_end(future, timeout_ms);
    if (status != TESS_RUNNING && !future->reported && future->session != NULL) {
        future->reported = true;
        report(future);
        if (future->session->options.on_progress != NULL) {
            pthread_mutex_lock(&future->lock);
            tell_progress(future);
            pthread_mutex_unlock(&future->lock);
        }
        if (status != TESS_OK) {
            tsi_session_fail(future->session, status, future->error.text);
        }
    }
    return status;
}

tess_status
tess_future_poll(tess_future *future)
{
    return future == NULL ? TESS_EINVAL : tsi_future_finish(future, 0);
}

tess_status
tess_future_wait(tess_future *future, int64_t timeout_ms)
{
    return future == NULL ? TESS_EINVAL : tsi_future_finish(future, timeout_ms);
}

tess_progress
tess_future_progress(const tess_future *future)
{
    tess_progress progress = {0};
    if (future != NULL) {
        struct tess_future *locked = (struct tess_future *)(uintptr_t)future;
        pthread_mutex_lock(&locked->lock);
        progress = progress_now(locked);
        pthread_mutex_unlock(&locked->lock);
    }
    return progress;
}

void
tess_future_cancel(tess_future *future)
{
    if (future != NULL && future->backend != NULL) {
        future->backend->cancel(future->backend, future);
    }
}

int
tess_future_fd(const tess_future *future)
{
    if (future == NULL) {
        return -1;
    }
    struct tess_future *locked = (struct tess_future *)(uintptr_t)future;
    pthread_mutex_lock(&locked->lock);
    if (locked->event_fd < 0) {
        locked->event_fd = eventfd(locked->ended ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    pthread_mutex_unlock(&locked->lock);
    return locked->event_fd;
}

void
tess_future_free(tess_future *future)
{
    if (future == NULL) {
        return;
    }
    tess_future_cancel(future);
    wait_for_end(future, -1);
    tsi_future_drop(future);
}
