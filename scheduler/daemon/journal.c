// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler writes down for the one that comes after it, and what it makes of what it
// finds.
//
// A job is on the disk before anybody hears that it was accepted; all that were submitted in one
// turn share one sync. What clients have, and what ended, is written at once, which survives the
// process, and brought to the disk within a second; where such a record is lost, work is done
// twice, or a job waits for a client that does not come. A disk that is full refuses new jobs and
// leaves the others alone.
//
// The new scheduler writes the journal anew, since most of it is about jobs that are gone, and does
// so again when it has grown.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "scheduler/daemon/loop.h"

// How long workers have to come back before the jobs go on without them.
#define RESTORE_NS (5 * TSI_SECOND)
#define SYNC_NS (1 * TSI_SECOND)

// Growth that makes it worth to write the journal anew.
#define GROWTH_BYTES ((uint64_t)16 << 20)

tess_status
tsi_journal_open(struct tsi_loop *loop, struct tsi_error *error)
{
    loop->next_job = 1;
    if (loop->options->journal[0] == '\0') {
        return TESS_OK;
    }
    loop->has_journal = true;
    tess_status status = tsi_journal_file_open(&loop->journal, loop->options->journal, error);
    if (status == TESS_OK) {
        status = tsi_journal_read(loop->journal.found, loop->journal.found_bytes, &loop->restored,
                                  error);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "%s", loop->journal.path);
        }
    }
    if (status == TESS_OK) {
        loop->next_job = loop->restored.last_job + 1;
        loop->restore_workers = loop->restored.workers;
    }
    return status;
}

static void
tell_end(const struct tsi_loop *loop)
{
    const uint64_t left = loop->journal.found_bytes - loop->restored.trusted;
    if (loop->restored.end == TSI_JOURNAL_TORN) {
        tsi_log(TSI_LOG_WARNING, "journal torn",
                "file=%s the last record is not whole: %" PRIu64 " bytes are dropped",
                loop->journal.path, left);
    } else if (loop->restored.end == TSI_JOURNAL_CORRUPT) {
        tsi_log(TSI_LOG_ERROR, "journal damaged",
                "file=%s the record at byte %zu is damaged: it and the %" PRIu64
                " bytes behind it are not believed; the file is kept as %s.damaged",
                loop->journal.path, loop->restored.trusted, left, loop->journal.path);
    }
}

static void
remember(struct tsi_loop *loop, uint32_t number, uint64_t token, tess_status status, bool kept,
         char *text)
{
    if (loop->past.count == TSI_JOURNAL_DROPPED_MAX) {
        tsi_free(loop->past.items[0].text);
        memmove(&loop->past.items[0], &loop->past.items[1],
                (loop->past.count - 1) * sizeof *loop->past.items);
        loop->past.count--;
    }
    // Without memory for it the client hears that the job is not known.
    if (!tsi_vec_push(&loop->past, ((struct tsi_past_job){number, token, status, kept, text}))) {
        tsi_free(text);
    }
}

void
tsi_past_forget(struct tsi_loop *loop)
{
    for (size_t i = 0; i < loop->past.count; i++) {
        tsi_free(loop->past.items[i].text);
    }
    tsi_vec_fini(&loop->past);
}

static struct tsi_daemon_job *
copy_job(const struct tsi_journal_job *record)
{
    struct tsi_daemon_job *job = tsi_calloc(1, sizeof *job);
    unsigned char *bytes = tsi_alloc(record->program_bytes + 1);
    if (job == NULL || bytes == NULL || !tsi_vec_reserve(&job->taken, record->taken.count)) {
        tsi_free(job);
        tsi_free(bytes);
        return NULL;
    }
    if (record->program_bytes > 0) {
        memcpy(bytes, record->program, record->program_bytes);
    }
    for (size_t i = 0; i < record->taken.count; i++) {
        (void)tsi_vec_push(&job->taken, record->taken.items[i]);
    }
    job->bytes = bytes;
    job->count = record->program_bytes;
    job->token = record->token;
    job->number = record->number;
    job->detached = record->detached;
    job->ended = record->ended;
    return job;
}

// Gives the core one job that was in the journal; `peer` stands for its client.
static tess_status
restore_job(struct tsi_loop *loop, const struct tsi_journal_job *record, uint32_t peer,
            struct tsi_error *error)
{
    struct tsi_daemon_job *job = copy_job(record);
    if (job == NULL || !tsi_vec_push(&loop->jobs, job)) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory for the jobs of the journal");
    }
    if (tsi_program_decode(job->bytes, job->count, &job->program, error) != TESS_OK) {
        tsi_log(TSI_LOG_ERROR, "job not restored", "job=%u its program cannot be read: %s",
                job->number, error->text);
        remember(loop, job->number, job->token, TESS_ELOST, false, NULL);
        tsi_loop_free_job(loop, job);
        return TESS_OK;
    }
    job->client = peer;
    struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_RESTORED, .peer = peer};
    event.job_restored.job = job->number;
    event.job_restored.token = job->token;
    event.job_restored.program = job->program;
    event.job_restored.detached = job->detached;
    event.job_restored.ended = job->ended;
    event.job_restored.taken = job->taken.items;
    event.job_restored.taken_count = job->taken.count;
    tsi_loop_event(loop, &event);
    return TESS_OK;
}

static int
compare_jobs(const void *a, const void *b)
{
    const uint32_t left = (*(const struct tsi_daemon_job *const *)a)->number;
    const uint32_t right = (*(const struct tsi_daemon_job *const *)b)->number;
    return left < right ? -1 : left > right;
}

static void
put(struct tsi_loop *loop, const struct tsi_journal_record *record)
{
    tsi_journal_put(&loop->records, record);
}

static void
put_job(struct tsi_loop *loop, const struct tsi_daemon_job *job)
{
    put(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_JOB,
                                           .number = job->number,
                                           .token = job->token,
                                           .detached = job->detached,
                                           .program = job->bytes,
                                           .program_bytes = job->count});
}

static void
put_live(struct tsi_loop *loop, const struct tsi_daemon_job *job)
{
    put_job(loop, job);
    if (job->taken.count > 0) {
        put(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_TAKEN,
                                               .number = job->number,
                                               .ranges = job->taken.items,
                                               .range_count = job->taken.count});
    }
    if (job->ended) {
        put(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_ENDED, .number = job->number});
    }
}

static void
put_past(struct tsi_loop *loop, const struct tsi_past_job *past)
{
    put(loop, &(struct tsi_journal_record){
                  .type = TSI_JOURNAL_JOB, .number = past->number, .token = past->token});
    if (past->kept) {
        put(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_ENDED, .number = past->number});
    }
    put(loop, &(struct tsi_journal_record){
                  .type = TSI_JOURNAL_DROPPED, .number = past->number, .status = past->status});
}

static int
compare_past(const void *a, const void *b)
{
    const uint32_t left = ((const struct tsi_past_job *)a)->number;
    const uint32_t right = ((const struct tsi_past_job *)b)->number;
    return left < right ? -1 : left > right;
}

// All that there is to tell, jobs in the order of their numbers.
static void
put_everything(struct tsi_loop *loop)
{
    size_t past = 0;
    loop->records.count = 0;
    tsi_journal_put_head(&loop->records);
    put(loop,
        &(struct tsi_journal_record){.type = TSI_JOURNAL_EPOCH, .number = loop->connection.epoch});
    if (loop->jobs.count > 0) {
        qsort((void *)loop->jobs.items, loop->jobs.count, sizeof *loop->jobs.items, compare_jobs);
    }
    if (loop->past.count > 0) {
        qsort(loop->past.items, loop->past.count, sizeof *loop->past.items, compare_past);
    }
    for (size_t i = 0; i < loop->jobs.count; i++) {
        const struct tsi_daemon_job *job = loop->jobs.items[i];
        for (; past < loop->past.count && loop->past.items[past].number < job->number; past++) {
            put_past(loop, &loop->past.items[past]);
        }
        if (!job->pending) {
            put_live(loop, job);
        }
    }
    for (; past < loop->past.count; past++) {
        put_past(loop, &loop->past.items[past]);
    }
}

static tess_status
rewrite(struct tsi_loop *loop, bool keeps_old, struct tsi_error *error)
{
    put_everything(loop);
    tess_status status = loop->records.failed
                             ? tsi_error_set(error, TESS_ENOMEM, "out of memory for the journal")
                             : tsi_journal_file_replace(&loop->journal, loop->records.bytes,
                                                        loop->records.count, keeps_old, error);
    loop->records.count = 0;
    loop->records.failed = false;
    // Where it fails, it is tried again when it has grown as much once more.
    loop->journal_whole = loop->journal.bytes;
    return status;
}

tess_status
tsi_journal_begin(struct tsi_loop *loop, struct tsi_error *error)
{
    if (!loop->has_journal) {
        return TESS_OK;
    }
    const uint32_t peer = loop->next_peer++;
    size_t count = 0;
    tell_end(loop);
    for (size_t i = 0; i < loop->restored.jobs.count; i++) {
        const struct tsi_journal_job *record = &loop->restored.jobs.items[i];
        if (record->dropped) {
            remember(loop, record->number, record->token, record->status, record->ended, NULL);
            continue;
        }
        const tess_status status = restore_job(loop, record, peer, error);
        if (status != TESS_OK) {
            return status;
        }
        count++;
    }
    if (count > 0) {
        loop->restore_until_ns = tsi_clock_ns() + RESTORE_NS;
        tsi_log(TSI_LOG_INFO, "jobs restored", "jobs=%zu workers_before=%u", count,
                loop->restore_workers);
    }
    const bool is_damaged = loop->restored.end == TSI_JOURNAL_CORRUPT;
    tsi_journal_fini(&loop->restored);
    return rewrite(loop, is_damaged, error);
}

static void
tell_trouble(struct tsi_loop *loop, const struct tsi_error *error)
{
    if (!loop->journal_fails) {
        tsi_log(TSI_LOG_ERROR, "journal fails", "%s", error->text);
    }
    loop->journal_fails = true;
}

// Writes the records that were put.
static tess_status
flush(struct tsi_loop *loop, bool sync, struct tsi_error *error)
{
    tess_status status = loop->records.failed
                             ? tsi_error_set(error, TESS_ENOMEM, "out of memory for the journal")
                             : tsi_journal_file_append(&loop->journal, loop->records.bytes,
                                                       loop->records.count, error);
    loop->records.count = 0;
    loop->records.failed = false;
    if (status == TESS_OK && sync) {
        status = tsi_journal_file_sync(&loop->journal, error);
    }
    if (status != TESS_OK) {
        tell_trouble(loop, error);
    } else if (loop->journal_fails) {
        loop->journal_fails = false;
        tsi_log(TSI_LOG_INFO, "journal works again", "file=%s", loop->journal.path);
    }
    return status;
}

static void
write_one(struct tsi_loop *loop, const struct tsi_journal_record *record)
{
    struct tsi_error error;
    if (loop->has_journal) {
        put(loop, record);
        (void)flush(loop, false, &error);
    }
}

static bool
is_pending(const struct tsi_loop *loop)
{
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->pending) {
            return true;
        }
    }
    return false;
}

static void
refuse_pending(struct tsi_loop *loop, const struct tsi_error *error)
{
    for (size_t i = loop->jobs.count; i-- > 0;) {
        struct tsi_daemon_job *job = loop->jobs.items[i];
        if (job->pending) {
            tsi_loop_refuse_job(loop, job->client, job->token, error->status, error->text);
            tsi_loop_free_job(loop, job);
        }
    }
}

void
tsi_journal_admit(struct tsi_loop *loop)
{
    struct tsi_error error = {.status = TESS_OK};
    if (!loop->has_journal || !is_pending(loop)) {
        return;
    }
    // Numbers rise in the journal; jobs may have changed their places in the list.
    qsort((void *)loop->jobs.items, loop->jobs.count, sizeof *loop->jobs.items, compare_jobs);
    for (size_t i = 0; i < loop->jobs.count; i++) {
        if (loop->jobs.items[i]->pending) {
            put_job(loop, loop->jobs.items[i]);
        }
    }
    if (flush(loop, true, &error) != TESS_OK) {
        tsi_error_prefix(&error, "the scheduler cannot take the job down");
        refuse_pending(loop, &error);
        return;
    }
    for (size_t i = 0; i < loop->jobs.count; i++) {
        struct tsi_daemon_job *job = loop->jobs.items[i];
        if (job->pending) {
            job->pending = false;
            tsi_loop_admit_job(loop, job);
        }
    }
}

void
tsi_journal_note_taken(struct tsi_loop *loop, struct tsi_daemon_job *job, const uint32_t *tasks,
                       size_t count)
{
    const size_t first = job->taken.count;
    if (!loop->has_journal || count == 0 || !tsi_vec_reserve(&job->taken, count)) {
        return;
    }
    struct tsi_task_range range = {0, 0};
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] == UINT32_MAX) {
            continue; // no program has so many tasks
        }
        if (range.count > 0 && tasks[i] == range.first + range.count) {
            range.count++;
            continue;
        }
        if (range.count > 0) {
            (void)tsi_vec_push(&job->taken, range); // there is room
        }
        range = (struct tsi_task_range){tasks[i], 1};
    }
    if (range.count > 0) {
        (void)tsi_vec_push(&job->taken, range);
    }
    write_one(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_TAKEN,
                                                 .number = job->number,
                                                 .ranges = job->taken.items + first,
                                                 .range_count = job->taken.count - first});
}

void
tsi_journal_note_ended(struct tsi_loop *loop, const struct tsi_daemon_job *job)
{
    write_one(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_ENDED, .number = job->number});
}

static bool
keeps(const struct tsi_program *program)
{
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].mode == TSI_TARGET_KEEP) {
            return true;
        }
    }
    return false;
}

void
tsi_journal_note_dropped(struct tsi_loop *loop, struct tsi_daemon_job *job, tess_status status)
{
    const bool kept = status == TESS_OK && keeps(job->program);
    remember(loop, job->number, job->token, status, kept, job->end_text);
    job->end_text = NULL;
    write_one(loop, &(struct tsi_journal_record){
                        .type = TSI_JOURNAL_DROPPED, .number = job->number, .status = status});
}

static uint32_t
count_workers(const struct tsi_loop *loop)
{
    uint32_t count = 0;
    for (size_t i = 0; i < loop->members.count; i++) {
        const struct tsi_member *member = loop->members.items[i];
        count += member->role == TSI_ROLE_WORKER && member->confirmed ? 1 : 0;
    }
    return count;
}

void
tsi_journal_note_workers(struct tsi_loop *loop)
{
    write_one(loop, &(struct tsi_journal_record){.type = TSI_JOURNAL_WORKERS,
                                                 .number = count_workers(loop)});
}

// The jobs go on when all workers that were there are back, or when they have had their time.
static void
end_restoring(struct tsi_loop *loop, uint64_t now)
{
    const uint32_t workers = count_workers(loop);
    if (loop->restore_until_ns == 0 ||
        (now < loop->restore_until_ns && (workers == 0 || workers < loop->restore_workers))) {
        return;
    }
    struct tsi_sched_event event = {.kind = TSI_SCHED_RESTORED};
    loop->restore_until_ns = 0;
    tsi_log(TSI_LOG_INFO, "jobs go on", "workers=%u of %u", workers, loop->restore_workers);
    tsi_loop_event(loop, &event);
}

void
tsi_journal_turn(struct tsi_loop *loop, uint64_t now)
{
    struct tsi_error error;
    if (!loop->has_journal) {
        return;
    }
    end_restoring(loop, now);
    if (loop->journal.dirty && now >= loop->journal_sync_ns) {
        loop->journal_sync_ns = now + SYNC_NS;
        (void)flush(loop, true, &error);
    }
    if (loop->journal.bytes > 2 * loop->journal_whole + GROWTH_BYTES &&
        rewrite(loop, false, &error) != TESS_OK) {
        tell_trouble(loop, &error);
    }
}

uint64_t
tsi_journal_deadline(const struct tsi_loop *loop)
{
    const uint64_t sync =
        loop->has_journal && loop->journal.dirty ? loop->journal_sync_ns : UINT64_MAX;
    const uint64_t restore = loop->restore_until_ns != 0 ? loop->restore_until_ns : UINT64_MAX;
    return sync < restore ? sync : restore;
}

void
tsi_journal_close(struct tsi_loop *loop)
{
    if (loop->has_journal) {
        tsi_journal_file_close(&loop->journal);
        tsi_journal_fini(&loop->restored);
        tsi_free(loop->records.bytes);
    }
}
