// SPDX-License-Identifier: Apache-2.0
//
// Bytes to records. A recording may be damaged, or cut off where its writer died, and is believed
// as far as its checksums hold; what they cover was written by tsi_record_put().

#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "scheduler/record/record_parts.h"

// Bytes of one completion without its data, and of other items of lists.
enum { COMPLETION_BYTES = 37, TASK_BYTES = 4, KEY_BYTES = 8, RANGE_BYTES = 8 };

tess_status
tsi_record_open(struct tsi_record_reader *reader, const unsigned char *bytes, size_t count,
                struct tsi_error *error)
{
    struct tsi_put head = {0};
    tsi_record_put_head(&head);
    const bool is_ours =
        !head.failed && count >= TSI_RECORD_HEAD && memcmp(bytes, head.bytes, 8) == 0;
    const bool is_version = is_ours && tsi_load_u32(bytes + 8) == TSI_RECORD_VERSION;
    tsi_free(head.bytes);
    if (!is_ours) {
        return tsi_error_set(error, TESS_EFORMAT, "this is no recording");
    }
    if (!is_version) {
        return tsi_error_set(error, TESS_EVERSION, "a recording of version %u, not %d",
                             tsi_load_u32(bytes + 8), TSI_RECORD_VERSION);
    }
    *reader = (struct tsi_record_reader){bytes, count, TSI_RECORD_HEAD, {0}, {0}};
    tsi_arena_init(&reader->scratch);
    return TESS_OK;
}

void
tsi_record_close(struct tsi_record_reader *reader)
{
    tsi_arena_fini(&reader->scratch);
}

const char *
tsi_record_take_text(struct tsi_take *take)
{
    const bool is_there = tsi_take_u8(take) != 0;
    const char *text = tsi_take_text(take, UINT16_MAX);
    return is_there ? text : NULL;
}

static void
take_config(struct tsi_take *take, struct tsi_sched_config *config)
{
    config->seed = tsi_take_u64(take);
    config->suspect_ns = tsi_take_u64(take);
    config->lost_ns = tsi_take_u64(take);
    config->kills_max = (int)tsi_take_u32(take);
    config->retries_max = (int)tsi_take_u32(take);
    config->retry_pause_ns = tsi_take_u64(take);
    config->prefetch = (int)tsi_take_u32(take);
    config->client_lease_ns = tsi_take_u64(take);
    config->result_lease_ns = tsi_take_u64(take);
    config->result_bytes_max = tsi_take_u64(take);
}

const struct tsi_program *
tsi_record_take_program(struct tsi_take *take)
{
    size_t count = 0;
    const unsigned char *bytes = tsi_take_run(take, &count);
    struct tsi_program *program = NULL;
    struct tsi_error error;
    const bool is_read =
        !take->failed && tsi_program_decode(bytes, count, &program, &error) == TESS_OK;
    take->failed = !is_read;
    return program;
}

static const struct tsi_task_range *
take_ranges(struct tsi_take *take, size_t *count)
{
    const size_t found = tsi_take_count(take, RANGE_BYTES);
    struct tsi_task_range *ranges = tsi_take_array(take, found, sizeof *ranges);
    for (size_t i = 0; i < found && ranges != NULL; i++) {
        ranges[i].first = tsi_take_u32(take);
        ranges[i].count = tsi_take_u32(take);
    }
    *count = ranges != NULL ? found : 0;
    return ranges;
}

static void
take_restored(struct tsi_take *take, struct tsi_sched_event *event)
{
    event->job_restored.job = tsi_take_u32(take);
    event->job_restored.token = tsi_take_u64(take);
    event->job_restored.detached = tsi_take_u8(take) != 0;
    event->job_restored.ended = tsi_take_u8(take) != 0;
    event->job_restored.taken = take_ranges(take, &event->job_restored.taken_count);
    event->job_restored.program = tsi_record_take_program(take);
}

static void
take_done(struct tsi_take *take, struct tsi_sched_event *event)
{
    const size_t count = tsi_take_count(take, COMPLETION_BYTES);
    struct tsi_completion *items = tsi_take_array(take, count, sizeof *items);
    for (size_t i = 0; i < count && items != NULL; i++) {
        items[i].job = tsi_take_u32(take);
        items[i].task = tsi_take_u32(take);
        items[i].sequence = tsi_take_u32(take);
        items[i].duration_us = tsi_take_u32(take);
        items[i].bytes = tsi_take_u64(take);
        items[i].peak_bytes = tsi_take_u64(take);
        const bool has_data = tsi_take_u8(take) != 0;
        size_t bytes = 0;
        const unsigned char *data = tsi_take_run(take, &bytes);
        tsi_take_check(take, bytes == (has_data ? items[i].bytes : 0));
        items[i].data = has_data ? data : NULL;
    }
    event->done.items = items;
    event->done.count = items != NULL ? count : 0;
}

static void
take_attempt(struct tsi_take *take, struct tsi_attempt *attempt)
{
    attempt->job = tsi_take_u32(take);
    attempt->task = tsi_take_u32(take);
    attempt->sequence = tsi_take_u32(take);
    attempt->end = (enum tsi_attempt_end)tsi_take_u32(take);
    attempt->status = (tess_status)tsi_take_u32(take);
    attempt->input = tsi_take_u64(take);
    attempt->peer = tsi_take_u32(take);
    attempt->text = tsi_record_take_text(take);
}

static void
take_tasks(struct tsi_take *take, struct tsi_sched_event *event)
{
    event->targets_taken.job = tsi_take_u32(take);
    const size_t count = tsi_take_count(take, TASK_BYTES);
    uint32_t *tasks = tsi_take_array(take, count, sizeof *tasks);
    for (size_t i = 0; i < count && tasks != NULL; i++) {
        tasks[i] = tsi_take_u32(take);
    }
    event->targets_taken.tasks = tasks;
    event->targets_taken.count = tasks != NULL ? count : 0;
}

const tsi_key *
tsi_record_take_keys(struct tsi_take *take, size_t *count)
{
    *count = tsi_take_count(take, KEY_BYTES);
    tsi_key *keys = tsi_take_array(take, *count, sizeof *keys);
    for (size_t i = 0; i < *count && keys != NULL; i++) {
        keys[i] = tsi_take_u64(take);
    }
    *count = keys != NULL ? *count : 0;
    return keys;
}

static void
take_event(struct tsi_take *take, struct tsi_sched_event *event)
{
    event->kind = (enum tsi_sched_event_kind)tsi_take_u8(take);
    event->now_ns = tsi_take_u64(take);
    event->peer = tsi_take_u32(take);
    switch (event->kind) {
    case TSI_SCHED_WORKER_JOINED:
        event->worker_joined.threads = (int)tsi_take_u32(take);
        event->worker_joined.memory_bytes = tsi_take_u64(take);
        event->worker_joined.spill_bytes = tsi_take_u64(take);
        event->worker_joined.name = tsi_record_take_text(take);
        return;
    case TSI_SCHED_WORKER_LEFT:
        event->worker_left.clean = tsi_take_u8(take) != 0;
        event->worker_left.text = tsi_record_take_text(take);
        return;
    case TSI_SCHED_CLIENT_LEFT:
        event->client_left.clean = tsi_take_u8(take) != 0;
        return;
    case TSI_SCHED_JOB_SUBMITTED:
        event->job_submitted.token = tsi_take_u64(take);
        event->job_submitted.detached = tsi_take_u8(take) != 0;
        event->job_submitted.job = tsi_take_u32(take);
        event->job_submitted.program = tsi_record_take_program(take);
        return;
    case TSI_SCHED_JOB_RESTORED:
        take_restored(take, event);
        return;
    case TSI_SCHED_WORKER_HOLDS:
        event->holds.job = tsi_take_u32(take);
        event->holds.ranges = take_ranges(take, &event->holds.count);
        return;
    case TSI_SCHED_JOB_CANCELLED:
    case TSI_SCHED_JOB_RELEASED:
    case TSI_SCHED_JOB_CLAIMED:
        event->job.job = tsi_take_u32(take);
        return;
    case TSI_SCHED_TARGETS_TAKEN:
        take_tasks(take, event);
        return;
    case TSI_SCHED_TASKS_DONE:
        take_done(take, event);
        return;
    case TSI_SCHED_ATTEMPT_ENDED:
        take_attempt(take, &event->attempt);
        return;
    case TSI_SCHED_COPIED:
        event->copied.keys = tsi_record_take_keys(take, &event->copied.count);
        return;
    case TSI_SCHED_DROPPED:
        event->dropped.keys = tsi_record_take_keys(take, &event->dropped.count);
        return;
    case TSI_SCHED_WORKER_HEARD:
    case TSI_SCHED_WORKER_DRAINING:
    case TSI_SCHED_CLIENT_JOINED:
    case TSI_SCHED_RESTORED:
    case TSI_SCHED_TICK:
        return;
    }
    take->failed = true; // no such event
}

// Goes to the next block; false if there is none that is whole.
static bool
next_block(struct tsi_record_reader *reader, bool *is_damaged)
{
    const unsigned char *frame = reader->bytes + reader->at;
    const size_t left = reader->count - reader->at;
    const size_t bytes = left < TSI_RECORD_FRAME ? 0 : tsi_load_u32(frame);
    if (left < TSI_RECORD_FRAME || bytes > left - TSI_RECORD_FRAME) {
        return false;
    }
    const unsigned char *records = frame + TSI_RECORD_FRAME;
    *is_damaged = tsi_checksum(records, bytes) != tsi_load_u64(frame + 4);
    reader->at += TSI_RECORD_FRAME + bytes;
    reader->take = (struct tsi_take){.at = records, .end = records + bytes};
    return !*is_damaged;
}

static void
take_record(struct tsi_take *take, struct tsi_record *record)
{
    record->type = (enum tsi_record_type)tsi_take_u8(take);
    switch (record->type) {
    case TSI_RECORD_CONFIG:
        take_config(take, &record->config);
        return;
    case TSI_RECORD_EVENT:
        take_event(take, &record->event);
        return;
    case TSI_RECORD_POLL:
        record->now_ns = tsi_take_u64(take);
        record->hash = tsi_take_u64(take);
        return;
    case TSI_RECORD_DIGEST:
        record->hash = tsi_take_u64(take);
        return;
    case TSI_RECORD_WORKER:
    case TSI_RECORD_TOLD:
    case TSI_RECORD_DEMAND:
    case TSI_RECORD_SERVED:
    case TSI_RECORD_OFFER:
        tsi_record_worker_take(take, record);
        return;
    }
    take->failed = true; // no such record
}

tess_status
tsi_record_next(struct tsi_record_reader *reader, struct tsi_record *record, bool *is_end,
                struct tsi_error *error)
{
    bool is_damaged = false;
    *is_end = false;
    *record = (struct tsi_record){0};
    tsi_arena_reset(&reader->scratch);
    while (reader->take.at == reader->take.end) {
        const size_t place = reader->at;
        if (!next_block(reader, &is_damaged)) {
            *is_end = !is_damaged;
            return !is_damaged ? TESS_OK
                               : tsi_error_set(error, TESS_EFORMAT,
                                               "the block at byte %zu is damaged", place);
        }
    }
    reader->take.scratch = &reader->scratch;
    take_record(&reader->take, record);
    if (reader->take.failed) {
        return tsi_error_set(error, reader->take.no_memory ? TESS_ENOMEM : TESS_EFORMAT,
                             "a record before byte %zu cannot be read", reader->at);
    }
    return TESS_OK;
}
