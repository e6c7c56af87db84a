// SPDX-License-Identifier: Apache-2.0
//
// Recordings: every kind of event comes back as it went in, a core does the same with what comes
// back, and bytes that no scheduler wrote are refused.

#include <criterion/criterion.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "scheduler/record/record.h"
#include "scheduler/record/recorder.h"
#include "tests/support/sched_programs.h"

// TICK is the last kind.
enum { KINDS = TSI_SCHED_TICK + 1 };

static const unsigned char data[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint32_t tasks[] = {3, 9, UINT32_MAX};
static const struct tsi_attempt attempt = {1, 2, 3, TSI_ATTEMPT_REFUSED, TESS_ENOMEM, 4, 5, "why"};
static const tsi_key keys[] = {1, UINT64_MAX};
static const struct tsi_task_range ranges[] = {{0, 1}, {7, UINT32_MAX}};

static const struct tsi_completion completions[] = {
    {.job = 1,
     .task = 2,
     .sequence = 3,
     .duration_us = 4,
     .bytes = 8,
     .peak_bytes = 5,
     .data = data},
    {.job = 6, .task = 7, .sequence = 8, .duration_us = UINT32_MAX, .bytes = UINT64_MAX},
};

static void
restore(struct tsi_sched_event *event)
{
    event->job_restored.job = 13;
    event->job_restored.token = 98;
    event->job_restored.program = sched_program_chain(4, 3, TSI_TARGET_DELIVER);
    event->job_restored.ended = true;
    event->job_restored.taken = ranges;
    event->job_restored.taken_count = sizeof ranges / sizeof *ranges;
}

// An event of the kind with something in every field. The switch has no default: a new kind stops
// the compiler here.
static struct tsi_sched_event
example(enum tsi_sched_event_kind kind)
{
    struct tsi_sched_event event = {.kind = kind, .now_ns = UINT64_MAX - kind, .peer = 77};
    switch (kind) {
    case TSI_SCHED_WORKER_JOINED:
        event.worker_joined.threads = 12;
        event.worker_joined.memory_bytes = UINT64_C(1) << 40;
        event.worker_joined.spill_bytes = UINT64_C(1) << 50;
        event.worker_joined.name = "worker";
        break;
    case TSI_SCHED_WORKER_LEFT:
        event.worker_left.clean = true;
        event.worker_left.text = "signal 9";
        break;
    case TSI_SCHED_JOB_SUBMITTED:
        event.job_submitted.token = 99;
        event.job_submitted.detached = true;
        event.job_submitted.job = 12;
        event.job_submitted.program = sched_program_chain(4, 3, TSI_TARGET_DELIVER);
        break;
    case TSI_SCHED_JOB_RESTORED:
        restore(&event);
        break;
    case TSI_SCHED_WORKER_HOLDS:
        event.holds.job = 14;
        event.holds.ranges = ranges;
        event.holds.count = sizeof ranges / sizeof *ranges;
        break;
    case TSI_SCHED_JOB_CANCELLED:
    case TSI_SCHED_JOB_RELEASED:
    case TSI_SCHED_JOB_CLAIMED:
        event.job.job = 5;
        break;
    case TSI_SCHED_TARGETS_TAKEN:
        event.targets_taken.job = 6;
        event.targets_taken.tasks = tasks;
        event.targets_taken.count = 3;
        break;
    case TSI_SCHED_TASKS_DONE:
        event.done.items = completions;
        event.done.count = 2;
        break;
    case TSI_SCHED_ATTEMPT_ENDED:
        event.attempt = attempt;
        break;
    case TSI_SCHED_COPIED:
    case TSI_SCHED_DROPPED: // its keys are in the same place
        event.copied.keys = keys;
        event.copied.count = sizeof keys / sizeof *keys;
        break;
    case TSI_SCHED_WORKER_HEARD:
    case TSI_SCHED_WORKER_DRAINING:
    case TSI_SCHED_CLIENT_JOINED:
    case TSI_SCHED_CLIENT_LEFT:
    case TSI_SCHED_RESTORED:
    case TSI_SCHED_TICK:
        break;
    }
    return event;
}

static void
free_program(const struct tsi_sched_event *event)
{
    const struct tsi_program *program = NULL;
    program = event->kind == TSI_SCHED_JOB_SUBMITTED ? event->job_submitted.program : program;
    program = event->kind == TSI_SCHED_JOB_RESTORED ? event->job_restored.program : program;
    tsi_program_free((struct tsi_program *)(uintptr_t)program);
}

// A recording of one block with `records`.
static struct tsi_put
record_of(const struct tsi_record *records, size_t count)
{
    struct tsi_put put = {0};
    tsi_record_put_head(&put);
    (void)tsi_put_room(&put, TSI_RECORD_FRAME);
    for (size_t i = 0; i < count; i++) {
        tsi_record_put(&put, &records[i]);
    }
    cr_assert(!put.failed);
    tsi_record_frame(put.bytes + TSI_RECORD_HEAD, put.count - TSI_RECORD_HEAD);
    return put;
}

static bool
is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
is_same_completion(const struct tsi_completion *a, const struct tsi_completion *b)
{
    const bool is_same_data =
        a->data == NULL ? b->data == NULL
                        : b->data != NULL && memcmp(a->data, b->data, (size_t)a->bytes) == 0;
    return a->job == b->job && a->task == b->task && a->sequence == b->sequence &&
           a->duration_us == b->duration_us && a->bytes == b->bytes &&
           a->peak_bytes == b->peak_bytes && is_same_data;
}

static bool
are_same_completions(const struct tsi_sched_event *a, const struct tsi_sched_event *b)
{
    bool same = a->done.count == b->done.count;
    for (size_t i = 0; same && i < a->done.count; i++) {
        same = is_same_completion(&a->done.items[i], &b->done.items[i]);
    }
    return same;
}

static bool
is_same(const struct tsi_sched_event *a, const struct tsi_sched_event *b)
{
    const bool same = a->kind == b->kind && a->now_ns == b->now_ns && a->peer == b->peer;
    switch (a->kind) {
    case TSI_SCHED_WORKER_JOINED:
        return same && a->worker_joined.threads == b->worker_joined.threads &&
               a->worker_joined.memory_bytes == b->worker_joined.memory_bytes &&
               a->worker_joined.spill_bytes == b->worker_joined.spill_bytes &&
               is_same_text(a->worker_joined.name, b->worker_joined.name);
    case TSI_SCHED_WORKER_LEFT:
        return same && a->worker_left.clean == b->worker_left.clean &&
               is_same_text(a->worker_left.text, b->worker_left.text);
    case TSI_SCHED_JOB_SUBMITTED:
        return same && a->job_submitted.token == b->job_submitted.token &&
               a->job_submitted.detached == b->job_submitted.detached &&
               a->job_submitted.job == b->job_submitted.job &&
               a->job_submitted.program->task_count == b->job_submitted.program->task_count;
    case TSI_SCHED_JOB_RESTORED:
        return same && a->job_restored.job == b->job_restored.job &&
               a->job_restored.token == b->job_restored.token &&
               a->job_restored.detached == b->job_restored.detached &&
               a->job_restored.ended == b->job_restored.ended &&
               a->job_restored.taken_count == b->job_restored.taken_count &&
               memcmp(a->job_restored.taken, b->job_restored.taken, sizeof ranges) == 0 &&
               a->job_restored.program->task_count == b->job_restored.program->task_count;
    case TSI_SCHED_WORKER_HOLDS:
        return same && a->holds.job == b->holds.job && a->holds.count == b->holds.count &&
               memcmp(a->holds.ranges, b->holds.ranges, sizeof ranges) == 0;
    case TSI_SCHED_JOB_CANCELLED:
    case TSI_SCHED_JOB_RELEASED:
    case TSI_SCHED_JOB_CLAIMED:
        return same && a->job.job == b->job.job;
    case TSI_SCHED_TARGETS_TAKEN:
        return same && a->targets_taken.job == b->targets_taken.job &&
               a->targets_taken.count == b->targets_taken.count &&
               memcmp(a->targets_taken.tasks, b->targets_taken.tasks, sizeof tasks) == 0;
    case TSI_SCHED_TASKS_DONE:
        return same && are_same_completions(a, b);
    case TSI_SCHED_ATTEMPT_ENDED:
        return same && a->attempt.job == b->attempt.job && a->attempt.task == b->attempt.task &&
               a->attempt.sequence == b->attempt.sequence && a->attempt.end == b->attempt.end &&
               a->attempt.status == b->attempt.status && a->attempt.input == b->attempt.input &&
               a->attempt.peer == b->attempt.peer && is_same_text(a->attempt.text, b->attempt.text);
    case TSI_SCHED_COPIED:
        return same && a->copied.count == b->copied.count &&
               memcmp(a->copied.keys, b->copied.keys, sizeof keys) == 0;
    case TSI_SCHED_DROPPED:
        return same && a->dropped.count == b->dropped.count &&
               memcmp(a->dropped.keys, b->dropped.keys, sizeof keys) == 0;
    case TSI_SCHED_WORKER_HEARD:
    case TSI_SCHED_WORKER_DRAINING:
    case TSI_SCHED_CLIENT_JOINED:
    case TSI_SCHED_CLIENT_LEFT:
    case TSI_SCHED_RESTORED:
    case TSI_SCHED_TICK:
        return same;
    }
    return false;
}

Test(record, every_kind_of_event_comes_back)
{
    for (int kind = 0; kind < KINDS; kind++) {
        const struct tsi_record record = {.type = TSI_RECORD_EVENT,
                                          .event = example((enum tsi_sched_event_kind)kind)};
        struct tsi_put put = record_of(&record, 1);
        struct tsi_record_reader reader;
        struct tsi_record back;
        struct tsi_error error;
        bool is_end = false;
        cr_assert_eq(tsi_record_open(&reader, put.bytes, put.count, &error), TESS_OK);
        cr_assert_eq(tsi_record_next(&reader, &back, &is_end, &error), TESS_OK, "kind %d: %s", kind,
                     error.text);
        cr_assert(!is_end && is_same(&record.event, &back.event), "kind %d is another", kind);
        free_program(&back.event);
        cr_assert_eq(tsi_record_next(&reader, &back, &is_end, &error), TESS_OK);
        cr_assert(is_end, "kind %d leaves bytes behind", kind);
        free_program(&record.event);
        tsi_record_close(&reader);
        tsi_free(put.bytes);
    }
}

Test(record, absent_texts_stay_absent)
{
    const struct tsi_record record = {.type = TSI_RECORD_EVENT,
                                      .event = {.kind = TSI_SCHED_WORKER_LEFT, .peer = 3}};
    struct tsi_put put = record_of(&record, 1);
    struct tsi_record_reader reader;
    struct tsi_record back;
    bool is_end = false;
    cr_assert_eq(tsi_record_open(&reader, put.bytes, put.count, NULL), TESS_OK);
    cr_assert_eq(tsi_record_next(&reader, &back, &is_end, NULL), TESS_OK);
    cr_assert(back.event.worker_left.text == NULL);
    tsi_record_close(&reader);
    tsi_free(put.bytes);
}

// Reads all of it: how many records, or −1 if it is refused.
static int
count_records(const unsigned char *bytes, size_t count)
{
    struct tsi_record_reader reader;
    struct tsi_record record;
    bool is_end = false;
    int records = 0;
    if (tsi_record_open(&reader, bytes, count, NULL) != TESS_OK) {
        return -1;
    }
    while (records >= 0 && !is_end) {
        const tess_status status = tsi_record_next(&reader, &record, &is_end, NULL);
        records = status != TESS_OK ? -1 : is_end ? records : records + 1;
    }
    tsi_record_close(&reader);
    return records;
}

Test(record, a_torn_end_is_an_end_and_damage_is_an_error)
{
    const struct tsi_record record = {.type = TSI_RECORD_POLL, .now_ns = 5, .hash = 7};
    const struct tsi_record records[] = {record, record};
    struct tsi_put put = record_of(records, 2);
    cr_assert_eq(count_records(put.bytes, put.count), 2);
    for (size_t count = 0; count < put.count; count++) {
        const int expected = count < TSI_RECORD_HEAD ? -1 : 0;
        cr_assert_eq(count_records(put.bytes, count), expected, "of %zu bytes", count);
    }
    for (size_t i = 0; i < put.count; i++) {
        const bool is_length = i >= TSI_RECORD_HEAD && i < TSI_RECORD_HEAD + 4;
        const bool is_reserved = i >= 12 && i < TSI_RECORD_HEAD;
        put.bytes[i] ^= 1;
        const int found = count_records(put.bytes, put.count);
        cr_assert(found == -1 || is_reserved || (is_length && found == 0), "byte %zu: %d", i,
                  found);
        put.bytes[i] ^= 1;
    }
    tsi_free(put.bytes);
}

Test(record, what_is_no_record_is_refused)
{
    struct tsi_put put = {0};
    tsi_record_put_head(&put);
    const size_t head = put.count;
    for (int type = 0; type < 256; type++) {
        put.count = head;
        (void)tsi_put_room(&put, TSI_RECORD_FRAME);
        tsi_put_u8(&put, (uint8_t)type);
        tsi_put_u32(&put, UINT32_MAX);
        tsi_record_frame(put.bytes + head, put.count - head);
        cr_assert_eq(count_records(put.bytes, put.count), -1, "type %d", type);
    }
    tsi_free(put.bytes);
}

// The hash of an action covers what it says.
Test(record, another_action_has_another_hash)
{
    const tsi_key other = 2;
    const struct tsi_sched_action actions[] = {
        {.kind = TSI_SCHED_DROP_JOB, .peer = 1, .job = 1},
        {.kind = TSI_SCHED_DROP_JOB, .peer = 2, .job = 1},
        {.kind = TSI_SCHED_DROP_JOB, .peer = 1, .job = 2},
        {.kind = TSI_SCHED_FREE, .peer = 1, .job = 1, .free = {keys, 1}},
        {.kind = TSI_SCHED_FREE, .peer = 1, .job = 1, .free = {keys, 2}},
        {.kind = TSI_SCHED_FREE, .peer = 1, .job = 1, .free = {&other, 1}},
        {.kind = TSI_SCHED_RETRACT, .peer = 1, .job = 1, .retract = {tasks, 1}},
        {.kind = TSI_SCHED_RETRACT, .peer = 1, .job = 1, .retract = {tasks, 2}},
    };
    const size_t count = sizeof actions / sizeof *actions;
    for (size_t i = 0; i < count; i++) {
        cr_assert_neq(tsi_record_hash(&actions[i]), 0);
        for (size_t k = 0; k < i; k++) {
            cr_assert_neq(tsi_record_hash(&actions[i]), tsi_record_hash(&actions[k]), "%zu and %zu",
                          i, k);
        }
    }
}

// What a recorder wrote is read back, a long stretch of it.
Test(record, a_recorder_writes_all_of_it)
{
    enum { EVENTS = 30000 };
    char path[] = "/tmp/test_record_XXXXXX";
    const int file = mkstemp(path);
    const struct tsi_sched_config config = tsi_sched_config_default();
    const struct tsi_record first = {.type = TSI_RECORD_CONFIG, .config = config};
    struct tsi_sched *sched = tsi_sched_new(&config);
    struct tsi_error error;
    struct tsi_recorder *recorder = tsi_recorder_open(path, &first, &error);
    cr_assert(file >= 0 && sched != NULL && recorder != NULL);
    for (uint32_t i = 0; i < EVENTS; i++) {
        const struct tsi_sched_event event = {.kind = TSI_SCHED_TICK, .now_ns = i};
        tsi_recorder_event(recorder, &event);
        tsi_recorder_poll(recorder, sched, i, NULL);
        if (i % 100 == 0) {
            tsi_recorder_flush(recorder);
        }
    }
    tsi_recorder_close(recorder, tsi_sched_digest(sched));
    const size_t bytes = (size_t)lseek(file, 0, SEEK_END);
    unsigned char *all = malloc(bytes);
    cr_assert(all != NULL && pread(file, all, bytes, 0) == (ssize_t)bytes);
    // The configuration, events, polls, and digests: one at the end and one now and then.
    const int found = count_records(all, bytes);
    cr_assert(found > 1 + 2 * EVENTS + 1 && found < 2 * EVENTS + 100, "%d records", found);
    free(all);
    tsi_sched_free(sched);
    close(file);
    unlink(path);
}

// The last event before the core gives up is what one wants to see.
Test(record, what_was_collected_is_written_when_the_process_aborts)
{
    char path[] = "/tmp/test_record_XXXXXX";
    const int file = mkstemp(path);
    const pid_t child = fork();
    if (child == 0) {
        const struct tsi_record first = {.type = TSI_RECORD_CONFIG,
                                         .config = tsi_sched_config_default()};
        const struct tsi_sched_event event = {.kind = TSI_SCHED_TICK, .now_ns = 1};
        struct tsi_recorder *recorder = tsi_recorder_open(path, &first, NULL);
        tsi_recorder_event(recorder, &event);
        abort();
    }
    int status = 0;
    cr_assert(file >= 0 && child > 0 && waitpid(child, &status, 0) == child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "it goes on to its end");
    unsigned char bytes[1024];
    const ssize_t count = pread(file, bytes, sizeof bytes, 0);
    cr_assert(count > 0 && count_records(bytes, (size_t)count) == 2);
    close(file);
    unlink(path);
}

Test(record, a_place_that_cannot_be_written_is_told)
{
    const struct tsi_record first = {.type = TSI_RECORD_CONFIG,
                                     .config = tsi_sched_config_default()};
    struct tsi_error error;
    cr_assert(tsi_recorder_open("/dev/full", &first, &error) == NULL);
    cr_assert_eq(error.status, TESS_EIO);
    cr_assert(strstr(error.text, "/dev/full") != NULL);
    cr_assert(tsi_recorder_open("/no/such/folder/file", &first, &error) == NULL);
    cr_assert_eq(error.status, TESS_EIO);
}

// No recorder is one that does nothing.
Test(record, nothing_is_recorded_without_a_recorder)
{
    const struct tsi_sched_event event = {.kind = TSI_SCHED_TICK};
    tsi_recorder_event(NULL, &event);
    tsi_recorder_poll(NULL, NULL, 0, NULL);
    tsi_recorder_flush(NULL);
    tsi_recorder_close(NULL, 0);
}
