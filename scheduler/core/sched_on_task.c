// SPDX-License-Identifier: Apache-2.0
//
// Workers report on what they were assigned.
//
// A report is accepted if it names the attempt that the task is assigned to now: the worker is the
// one in the task's record, and its sequence is the one of the attempt that the record points to.
// Any other report is about the past. What a late completion left behind on its worker is freed.

#include <stdio.h>

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_trouble.h"

enum {
    FETCHES_MAX = 16,    // attempts of a task that may end for want of an input
    REFUSALS_MAX = 50,   // by workers with nothing else to do
    REPORTS_OF_LOSS = 2, // that make a holder no holder
    RETRY_DOUBLINGS_MAX = 6,
};

static const uint64_t refused_pause_ns = 20000000;
static const uint64_t ns_in_ms = 1000000;

// The attempt that a report is about; TSI_ATTEMPT_NONE if it is about the past.
static uint32_t
find_attempt(const struct tsi_sched_worker *worker, const struct tsi_sched_job *job, uint32_t task,
             uint32_t sequence)
{
    if (job == NULL || task >= job->program->task_count) {
        return TSI_ATTEMPT_NONE;
    }
    const struct tsi_sched_task *record = &job->tasks[task];
    if (tsi_sched_task_state(record) != TSI_TASK_ASSIGNED || record->where != worker->slot ||
        (worker->attempts.items[record->link].sequence != sequence && !TSI_PLANTED(stale_report))) {
        return TSI_ATTEMPT_NONE;
    }
    return record->link;
}

// A worker has the inputs of a task that it finished. The claims of the task on them are not
// dropped yet, so they are there, unless they were lost since: then the copy is of no use.
static void
adopt_inputs(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
             uint32_t op, uint32_t task)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        if (tsi_sched_task_is_there(chunk.record)) {
            if (!tsi_sched_chunk_is_at(sched, chunk.record, worker->slot) &&
                (!tsi_sched_worker_know(worker, chunk.job) ||
                 !tsi_sched_chunk_add(sched, &chunk, worker->slot))) {
                tsi_sched_job_doom_memory(sched, job);
            }
        } else {
            tsi_sched_chunk_stray(sched, &chunk, worker->slot);
        }
    }
}

// A completion about the past.
static void
on_stale(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
         const struct tsi_completion *completion)
{
    sched->stale_reports++;
    if (job == NULL || completion->task >= job->program->task_count) {
        tsi_sched_chunk_tell_free(sched, worker->slot,
                                  tsi_key_of(completion->job, completion->task));
        return;
    }
    const uint32_t op = tsi_sched_job_op(job, completion->task);
    struct tsi_sched_task *record = &job->tasks[completion->task];
    const struct tsi_sched_chunk chunk = {job, op, completion->task, record};
    const bool has_it =
        tsi_sched_task_is_there(record) && tsi_sched_chunk_is_at(sched, record, worker->slot);
    if (tsi_sched_op_runs(&job->ops[op]) && !has_it) {
        tsi_sched_chunk_stray(sched, &chunk, worker->slot);
    }
}

// Averages durations: of the operation by eighths, of all tasks by sixty-fourths. The first
// duration that is measured counts for more than the cost model.
static void
note_duration(struct tsi_sched *sched, struct tsi_sched_op *op, uint32_t duration_us)
{
    const uint64_t old = op->is_measured ? op->duration_us : duration_us;
    op->is_measured = true;
    const uint64_t mean = (old * 7 + duration_us + 4) / 8;
    op->duration_us = (uint32_t)(mean > 0 ? mean : 1);
    const uint64_t sixteenths = (uint64_t)duration_us * 16;
    const uint64_t all = sched->tasks_done <= 1 ? sixteenths : sched->duration_us;
    sched->duration_us = (all * 63 + sixteenths) / 64;
}

// The output is at the worker.
static void
store_output(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
             uint32_t op, const struct tsi_completion *completion)
{
    const uint32_t task = completion->task;
    struct tsi_sched_task *record = &job->tasks[task];
    const bool is_durable = job->ops[op].bytes_max == 0;
    tsi_sched_job_move(job, op, task, is_durable ? TSI_TASK_DURABLE : TSI_TASK_MEMORY);
    record->where = TSI_SLOT_NONE;
    record->link = 0;
    const struct tsi_sched_chunk chunk = {job, op, task, record};
    tsi_sched_chunk_add(sched, &chunk, worker->slot); // the first holder takes no memory
    if (completion->data != NULL && completion->bytes <= TSI_INLINE_BYTES_MAX && !is_durable) {
        const size_t bytes = tsi_chunk_op_bytes(&job->program->ops[op], task - job->ops[op].base);
        if (completion->bytes == bytes) {
            tsi_sched_chunk_keep_data(sched, record, completion->data, bytes);
        }
    }
}

static void
on_done(struct tsi_sched *sched, struct tsi_sched_worker *worker,
        const struct tsi_completion *completion)
{
    struct tsi_sched_job *job = tsi_sched_job_find(sched, completion->job);
    const uint32_t attempt = find_attempt(worker, job, completion->task, completion->sequence);
    if (attempt == TSI_ATTEMPT_NONE) {
        on_stale(sched, worker, job, completion);
        return;
    }
    sched->last_job = job->slot;
    const uint32_t task = completion->task;
    const uint32_t rank = worker->attempts.items[attempt].rank;
    const uint32_t op = tsi_sched_job_op(job, task);
    struct tsi_sched_task *record = &job->tasks[task];
    tsi_sched_worker_remove_attempt(worker, attempt);
    tsi_sched_wake(sched, worker->slot);
    sched->tasks_assigned--;
    sched->tasks_done++;
    job->tasks_done++;
    job->tasks_run++;
    note_duration(sched, &job->ops[op], completion->duration_us);
    tsi_sched_peak_measured(worker, job, completion->peak_bytes);
    store_output(sched, worker, job, op, completion);
    if (tsi_sched_walk_has_deps(job, op)) {
        adopt_inputs(sched, worker, job, op, task);
        tsi_sched_hold_drop_inputs(sched, job, op, task);
    }
    if (record->users_left == 0) {
        tsi_sched_hold_unwanted(sched, job, op, task);
        return;
    }
    if (tsi_sched_walk_has_users(job, op)) {
        tsi_sched_activate_users(sched, job, op, task, rank);
    }
    if (job->ops[op].target_mode != TSI_SCHED_NO_TARGET) {
        tsi_sched_target_reached(sched, job, op, task);
    }
}

void
tsi_sched_on_tasks_done(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    if (worker == NULL) {
        sched->stale_reports += event->done.count;
        return;
    }
    for (size_t i = 0; i < event->done.count; i++) {
        on_done(sched, worker, &event->done.items[i]);
    }
    sched->drain_due = sched->drain_due || worker->draining;
}

// The task is tried again after a pause.
static void
retry_later(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task, uint32_t rank,
            uint64_t pause_ns)
{
    const struct tsi_sched_retry retry = {sched->now_ns + pause_ns, job->id, task, rank};
    if (!tsi_vec_push(&sched->retries, retry)) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    if (retry.due_ns < sched->retry_due_ns) {
        sched->retry_due_ns = retry.due_ns;
    }
}

// Whether the task is tried again after it failed; counts that.
static bool
may_retry(struct tsi_sched *sched, struct tsi_sched_job *job, const struct tsi_attempt *end)
{
    struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, end->task);
    if (end->status != TESS_EIO || (int)trouble.retries >= sched->config.retries_max) {
        return false;
    }
    trouble.retries++;
    return tsi_sched_trouble_put(job, end->task, trouble);
}

// The pause after the failure of which the task is tried for the `retry`th time again, from 1 on.
static uint64_t
retry_pause(const struct tsi_sched *sched, int retry)
{
    const int doublings = retry - 1 < RETRY_DOUBLINGS_MAX ? retry - 1 : RETRY_DOUBLINGS_MAX;
    return sched->config.retry_pause_ns << doublings;
}

// What was done about the failure of a task, in words.
static void
tell_tries(const struct tsi_sched *sched, tess_status status, int retries, char *out, size_t bytes)
{
    const unsigned long long first = retry_pause(sched, 1) / ns_in_ms;
    if (status != TESS_EIO) {
        snprintf(out, bytes, "not tried again: it would fail the same way");
    } else if (retries == 0) {
        snprintf(out, bytes, "tried once");
    } else if (retries == 1) {
        snprintf(out, bytes, "tried 2 times, with a pause of %llu ms", first);
    } else {
        snprintf(out, bytes, "tried %d times, with pauses that grew from %llu ms to %llu ms",
                 retries + 1, first, (unsigned long long)(retry_pause(sched, retries) / ns_in_ms));
    }
}

// The task itself failed.
static void
on_failed(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t attempt,
          const struct tsi_attempt *end)
{
    struct tsi_sched_job *job = sched->jobs.items[worker->attempts.items[attempt].job_slot];
    const uint32_t rank = worker->attempts.items[attempt].rank;
    job->tasks_run++;
    const bool is_retried = may_retry(sched, job, end);
    const int retries = (int)tsi_sched_trouble_get(job, end->task).retries;
    if (is_retried) {
        tsi_sched_lost_attempt(sched, worker, attempt, TSI_TASK_RELEASED);
        retry_later(sched, job, end->task, rank, retry_pause(sched, retries));
        return;
    }
    tsi_sched_lost_attempt(sched, worker, attempt, TSI_TASK_ERRED);
    const bool is_error = end->status > TESS_RUNNING && end->status < TESS_STATUS_COUNT;
    const tess_status status = is_error ? end->status : TESS_EINTERNAL;
    char place[TSI_ERROR_TEXT_MAX / 2];
    char tries[96];
    tell_tries(sched, status, retries, tries, sizeof tries);
    if (end->text != NULL && end->text[0] != '\0') {
        tsi_sched_job_doom(sched, job, status, "%s (%s)", end->text, tries);
        return;
    }
    tsi_sched_job_place(job, end->task, place, sizeof place);
    tsi_sched_job_doom(sched, job, status, "%s: %s (%s)", place, tess_status_text(status), tries);
}

// Counts a report that a holder does not have a chunk; true if it is no holder any more.
static bool
count_report(struct tsi_sched *sched, struct tsi_sched_job *maker, uint32_t task, uint32_t slot)
{
    const uint64_t key = (uint64_t)task << 32 | slot;
    const uint64_t *before = tsi_map_get(&maker->fetch_failures, key);
    const uint64_t reports = (before == NULL ? 0 : *before) + 1;
    if (reports >= REPORTS_OF_LOSS) {
        tsi_map_remove(&maker->fetch_failures, key);
        return true;
    }
    if (!tsi_map_put(&maker->fetch_failures, key, reports)) {
        tsi_sched_job_doom_memory(sched, maker);
    }
    return false;
}

// A worker has a chunk no more, whatever the books say.
static void
strike_holder(struct tsi_sched *sched, struct tsi_sched_job *maker, uint32_t task,
              struct tsi_sched_worker *holder)
{
    struct tsi_sched_task *record = &maker->tasks[task];
    const uint32_t op = tsi_sched_job_op(maker, task);
    const struct tsi_sched_chunk chunk = {maker, op, task, record};
    uint32_t bytes = 0;
    tsi_sched_chunk_remove(sched, &chunk, holder->slot);
    tsi_sched_chunk_tell_free(sched, holder->slot, tsi_key_of(maker->id, task));
    if (tsi_sched_chunk_holder(sched, record, 0) == TSI_SLOT_NONE &&
        maker->ops[op].work != TSI_WORK_HELD &&
        tsi_sched_chunk_data(sched, record, &bytes) == NULL) {
        tsi_sched_lost_chunk(sched, maker, task);
    }
}

// An input could not be had from its holder: after two reports it is no holder any more. Without a
// holder it is the worker itself that misses what it should have, and one report is enough.
static void
suspect_holder(struct tsi_sched *sched, struct tsi_sched_worker *worker,
               const struct tsi_attempt *end)
{
    struct tsi_sched_job *maker = tsi_sched_job_find(sched, tsi_key_job(end->input));
    const bool is_own = end->peer == TSI_PEER_NONE || end->peer == worker->peer;
    struct tsi_sched_worker *holder = is_own ? worker : tsi_sched_peer_worker(sched, end->peer);
    const uint32_t task = tsi_key_task(end->input);
    if (maker == NULL || holder == NULL || task >= maker->program->task_count) {
        return;
    }
    const struct tsi_sched_task *record = &maker->tasks[task];
    const uint32_t op = tsi_sched_job_op(maker, task);
    if (tsi_sched_task_is_there(record) && maker->ops[op].work != TSI_WORK_KEPT &&
        tsi_sched_chunk_is_at(sched, record, holder->slot) &&
        (is_own || count_report(sched, maker, task, holder->slot))) {
        strike_holder(sched, maker, task, holder);
    }
}

// Whether the input is to be made again, as the books know by now: it was lost while the task was
// assigned.
static bool
is_lost(const struct tsi_sched *sched, tsi_key input)
{
    const struct tsi_sched_job *maker = tsi_sched_job_find(sched, tsi_key_job(input));
    const uint32_t task = tsi_key_task(input);
    return maker != NULL && task < maker->program->task_count &&
           !tsi_sched_task_is_there(&maker->tasks[task]);
}

// That is counted against the task, but for an input that somebody has told to be lost.
static void
on_fetch_failed(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t rank,
                const struct tsi_attempt *end)
{
    const uint32_t task = end->task;
    struct tsi_sched_job *job = tsi_sched_job_find(sched, end->job);
    struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, task);
    if (!is_lost(sched, end->input)) {
        trouble.fetches++;
    }
    if (!tsi_sched_trouble_put(job, task, trouble)) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    if (trouble.fetches > FETCHES_MAX) {
        char place[TSI_ERROR_TEXT_MAX / 2];
        tsi_sched_job_place(job, task, place, sizeof place);
        tsi_sched_job_doom(sched, job, TESS_EIO, "%s: an input could not be fetched %u times: %s",
                           place, (unsigned)trouble.fetches, end->text == NULL ? "" : end->text);
        return;
    }
    suspect_holder(sched, worker, end);
    if (trouble.fetches <= REPORTS_OF_LOSS) {
        tsi_sched_activate_again(sched, job, task, rank);
    } else {
        retry_later(sched, job, task, rank, sched->config.retry_pause_ns);
    }
}

// The worker had no memory for it: it gets nothing more for a while.
static void
on_refused(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
           uint32_t task, uint32_t rank, const char *text)
{
    worker->refused_until_ns = sched->now_ns + refused_pause_ns;
    if (worker->refused_until_ns < sched->refused_due_ns) {
        sched->refused_due_ns = worker->refused_until_ns;
    }
    if (worker->outstanding == 0) {
        struct tsi_sched_trouble trouble = tsi_sched_trouble_get(job, task);
        trouble.refusals++;
        if (!tsi_sched_trouble_put(job, task, trouble)) {
            tsi_sched_job_doom_memory(sched, job);
            return;
        }
        if (trouble.refusals > REFUSALS_MAX) {
            char place[TSI_ERROR_TEXT_MAX / 2];
            tsi_sched_job_place(job, task, place, sizeof place);
            tsi_sched_job_doom(sched, job, TESS_EMEMLIMIT, "%s: no worker has memory for it%s%s",
                               place, text != NULL && *text != '\0' ? ": " : "",
                               text != NULL ? text : "");
            return;
        }
    }
    tsi_sched_activate_again(sched, job, task, rank);
}

void
tsi_sched_on_attempt_ended(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    const struct tsi_attempt *end = &event->attempt;
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    struct tsi_sched_job *job = tsi_sched_job_find(sched, end->job);
    const uint32_t attempt =
        worker == NULL ? TSI_ATTEMPT_NONE : find_attempt(worker, job, end->task, end->sequence);
    if (attempt == TSI_ATTEMPT_NONE) {
        if (worker == NULL || !tsi_sched_drain_failed(sched, worker, end)) {
            sched->stale_reports++;
        }
        return;
    }
    const uint32_t rank = worker->attempts.items[attempt].rank;
    sched->drain_due = sched->drain_due || worker->draining;
    if (worker->attempts.items[attempt].has_copy) {
        tsi_sched_chunk_tell_free(sched, worker->slot, tsi_key_of(job->id, end->task));
    }
    if (end->end == TSI_ATTEMPT_FAILED) {
        on_failed(sched, worker, attempt, end);
        return;
    }
    tsi_sched_lost_attempt(sched, worker, attempt, TSI_TASK_RELEASED);
    switch (end->end) {
    case TSI_ATTEMPT_FETCH_FAILED:
        on_fetch_failed(sched, worker, rank, end);
        break;
    case TSI_ATTEMPT_REFUSED:
        on_refused(sched, worker, job, end->task, rank, end->text);
        break;
    default:
        if (!TSI_PLANTED(lost_retract)) {
            tsi_sched_activate_again(sched, job, end->task, rank);
        }
        break;
    }
}
