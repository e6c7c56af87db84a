// SPDX-License-Identifier: Apache-2.0
//
// Records to bytes, and what is kept of actions: a hash. The switches have no default, so that the
// compiler names whoever adds an event or an action and forgets it here.

#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "scheduler/record/record_parts.h"

static const unsigned char magic[8] = {'T', 'E', 'S', 'S', 'R', 'E', 'C', '\n'};

void
tsi_record_put_head(struct tsi_put *put)
{
    unsigned char *at = tsi_put_room(put, sizeof magic);
    if (at != NULL) {
        memcpy(at, magic, sizeof magic);
    }
    tsi_put_u32(put, TSI_RECORD_VERSION);
    tsi_put_u32(put, 0);
}

void
tsi_record_put_text(struct tsi_put *put, const char *text)
{
    tsi_put_u8(put, text != NULL);
    tsi_put_text(put, text, UINT16_MAX);
}

static void
put_config(struct tsi_put *put, const struct tsi_sched_config *config)
{
    tsi_put_u64(put, config->seed);
    tsi_put_u64(put, config->suspect_ns);
    tsi_put_u64(put, config->lost_ns);
    tsi_put_u32(put, (uint32_t)config->kills_max);
    tsi_put_u32(put, (uint32_t)config->retries_max);
    tsi_put_u64(put, config->retry_pause_ns);
    tsi_put_u32(put, (uint32_t)config->prefetch);
    tsi_put_u64(put, config->client_lease_ns);
    tsi_put_u64(put, config->result_lease_ns);
    tsi_put_u64(put, config->result_bytes_max);
}

void
tsi_record_put_program(struct tsi_put *put, const struct tsi_program *program)
{
    unsigned char *bytes = NULL;
    size_t count = 0;
    struct tsi_error error;
    if (tsi_program_encode(program, &bytes, &count, &error) != TESS_OK) {
        put->failed = true;
        return;
    }
    tsi_put_run(put, bytes, count);
    tsi_free(bytes);
}

static void
put_done(struct tsi_put *put, const struct tsi_sched_event *event)
{
    tsi_put_u32(put, (uint32_t)event->done.count);
    for (size_t i = 0; i < event->done.count; i++) {
        const struct tsi_completion *item = &event->done.items[i];
        tsi_put_u32(put, item->job);
        tsi_put_u32(put, item->task);
        tsi_put_u32(put, item->sequence);
        tsi_put_u32(put, item->duration_us);
        tsi_put_u64(put, item->bytes);
        tsi_put_u64(put, item->peak_bytes);
        tsi_put_u8(put, item->data != NULL);
        tsi_put_run(put, item->data, item->data != NULL ? (size_t)item->bytes : 0);
    }
}

static void
put_attempt(struct tsi_put *put, const struct tsi_attempt *attempt)
{
    tsi_put_u32(put, attempt->job);
    tsi_put_u32(put, attempt->task);
    tsi_put_u32(put, attempt->sequence);
    tsi_put_u32(put, (uint32_t)attempt->end);
    tsi_put_u32(put, (uint32_t)attempt->status);
    tsi_put_u64(put, attempt->input);
    tsi_put_u32(put, attempt->peer);
    tsi_record_put_text(put, attempt->text);
}

static void
put_ranges(struct tsi_put *put, const struct tsi_task_range *ranges, size_t count)
{
    tsi_put_u32(put, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        tsi_put_u32(put, ranges[i].first);
        tsi_put_u32(put, ranges[i].count);
    }
}

void
tsi_record_put_keys(struct tsi_put *put, const tsi_key *keys, size_t count)
{
    tsi_put_u32(put, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        tsi_put_u64(put, keys[i]);
    }
}

static void
put_restored(struct tsi_put *put, const struct tsi_sched_event *event)
{
    tsi_put_u32(put, event->job_restored.job);
    tsi_put_u64(put, event->job_restored.token);
    tsi_put_u8(put, event->job_restored.detached);
    tsi_put_u8(put, event->job_restored.ended);
    put_ranges(put, event->job_restored.taken, event->job_restored.taken_count);
    tsi_record_put_program(put, event->job_restored.program);
}

static void
put_taken(struct tsi_put *put, const struct tsi_sched_event *event)
{
    tsi_put_u32(put, event->targets_taken.job);
    tsi_put_u32(put, (uint32_t)event->targets_taken.count);
    for (size_t i = 0; i < event->targets_taken.count; i++) {
        tsi_put_u32(put, event->targets_taken.tasks[i]);
    }
}

static void
put_event(struct tsi_put *put, const struct tsi_sched_event *event)
{
    tsi_put_u8(put, (uint8_t)event->kind);
    tsi_put_u64(put, event->now_ns);
    tsi_put_u32(put, event->peer);
    switch (event->kind) {
    case TSI_SCHED_WORKER_JOINED:
        tsi_put_u32(put, (uint32_t)event->worker_joined.threads);
        tsi_put_u64(put, event->worker_joined.memory_bytes);
        tsi_put_u64(put, event->worker_joined.spill_bytes);
        tsi_record_put_text(put, event->worker_joined.name);
        break;
    case TSI_SCHED_WORKER_LEFT:
        tsi_put_u8(put, event->worker_left.clean);
        tsi_record_put_text(put, event->worker_left.text);
        break;
    case TSI_SCHED_CLIENT_LEFT:
        tsi_put_u8(put, event->client_left.clean);
        break;
    case TSI_SCHED_JOB_SUBMITTED:
        tsi_put_u64(put, event->job_submitted.token);
        tsi_put_u8(put, event->job_submitted.detached);
        tsi_put_u32(put, event->job_submitted.job);
        tsi_record_put_program(put, event->job_submitted.program);
        break;
    case TSI_SCHED_JOB_RESTORED:
        put_restored(put, event);
        break;
    case TSI_SCHED_WORKER_HOLDS:
        tsi_put_u32(put, event->holds.job);
        put_ranges(put, event->holds.ranges, event->holds.count);
        break;
    case TSI_SCHED_JOB_CANCELLED:
    case TSI_SCHED_JOB_RELEASED:
    case TSI_SCHED_JOB_CLAIMED:
        tsi_put_u32(put, event->job.job);
        break;
    case TSI_SCHED_TARGETS_TAKEN:
        put_taken(put, event);
        break;
    case TSI_SCHED_TASKS_DONE:
        put_done(put, event);
        break;
    case TSI_SCHED_ATTEMPT_ENDED:
        put_attempt(put, &event->attempt);
        break;
    case TSI_SCHED_COPIED:
        tsi_record_put_keys(put, event->copied.keys, event->copied.count);
        break;
    case TSI_SCHED_DROPPED:
        tsi_record_put_keys(put, event->dropped.keys, event->dropped.count);
        break;
    case TSI_SCHED_WORKER_HEARD:
    case TSI_SCHED_WORKER_DRAINING:
    case TSI_SCHED_CLIENT_JOINED:
    case TSI_SCHED_RESTORED:
    case TSI_SCHED_TICK:
        break;
    }
}

void
tsi_record_put(struct tsi_put *put, const struct tsi_record *record)
{
    tsi_put_u8(put, (uint8_t)record->type);
    switch (record->type) {
    case TSI_RECORD_CONFIG:
        put_config(put, &record->config);
        break;
    case TSI_RECORD_EVENT:
        put_event(put, &record->event);
        break;
    case TSI_RECORD_POLL:
        tsi_put_u64(put, record->now_ns);
        tsi_put_u64(put, record->hash);
        break;
    case TSI_RECORD_DIGEST:
        tsi_put_u64(put, record->hash);
        break;
    case TSI_RECORD_WORKER:
    case TSI_RECORD_TOLD:
    case TSI_RECORD_DEMAND:
    case TSI_RECORD_SERVED:
    case TSI_RECORD_OFFER:
        tsi_record_worker_put(put, record);
        break;
    }
}

void
tsi_record_frame(unsigned char *block, size_t count)
{
    const size_t bytes = count - TSI_RECORD_FRAME;
    tsi_store_u32(block, (uint32_t)bytes);
    tsi_store_u64(block + 4, tsi_checksum(block + TSI_RECORD_FRAME, bytes));
}

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

uint64_t
tsi_record_put_mix(uint64_t hash, uint64_t value)
{
    return mix(hash, value);
}

static uint64_t
mix_locations(uint64_t hash, const struct tsi_location *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = mix(mix(hash, places[i].key), places[i].peer);
        hash =
            mix(hash, places[i].data != NULL ? tsi_checksum(places[i].data, places[i].bytes) : 0);
    }
    return hash;
}

static uint64_t
mix_assign(uint64_t hash, const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->assign.count; i++) {
        const struct tsi_assignment *item = &action->assign.items[i];
        hash = mix(hash, (uint64_t)item->job << 32 | item->task);
        hash = mix(hash, (uint64_t)item->sequence << 32 | item->rank);
        hash = mix(hash, item->location_count);
    }
    return mix_locations(hash, action->assign.locations, action->assign.location_count);
}

static uint64_t
mix_ready(uint64_t hash, const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->ready.count; i++) {
        const struct tsi_sched_ready *item = &action->ready.items[i];
        hash = mix(hash, (uint64_t)item->task << 32 | item->peer);
        hash = mix(mix(hash, item->bytes), item->data != NULL);
    }
    return mix(mix(hash, action->ready.is_last), action->ready.costs.tasks_run);
}

static uint64_t
mix_action(uint64_t hash, const struct tsi_sched_action *action)
{
    switch (action->kind) {
    case TSI_SCHED_ASSIGN:
        return mix_assign(hash, action);
    case TSI_SCHED_RETRACT:
        for (size_t i = 0; i < action->retract.count; i++) {
            hash = mix(hash, action->retract.sequences[i]);
        }
        return hash;
    case TSI_SCHED_FREE:
        for (size_t i = 0; i < action->free.count; i++) {
            hash = mix(hash, action->free.keys[i]);
        }
        return hash;
    case TSI_SCHED_COPY:
        return mix_locations(hash, action->copy.locations, action->copy.count);
    case TSI_SCHED_JOB_ACCEPTED:
        return mix(hash, action->accepted.token);
    case TSI_SCHED_TARGETS_READY:
        return mix_ready(hash, action);
    case TSI_SCHED_JOB_PROGRESS:
        hash = mix(mix(hash, action->progress.tasks_done), action->progress.tasks_total);
        return mix(hash, (uint64_t)action->progress.workers);
    case TSI_SCHED_JOB_ENDED:
        hash = mix(mix(hash, (uint64_t)action->ended.status), action->ended.costs.tasks_run);
        for (size_t i = 0; i < action->ended.costs.worker_count; i++) {
            const struct tsi_worker_peak *peak = &action->ended.costs.workers[i];
            hash = mix(mix(hash, peak->peer), peak->predicted);
        }
        return mix(hash, action->ended.costs.peak_bytes_predicted);
    case TSI_SCHED_JOB_DROPPED:
        return mix(hash, (uint64_t)action->program.status);
    case TSI_SCHED_SEND_PROGRAM:
    case TSI_SCHED_DROP_JOB:
    case TSI_SCHED_DROP_WORKER:
    case TSI_SCHED_WORKER_DRAINED:
        return hash;
    }
    return hash;
}

uint64_t
tsi_record_hash(const struct tsi_sched_action *action)
{
    const uint64_t hash = mix(mix(1, action->kind), (uint64_t)action->peer << 32 | action->job);
    return mix_action(hash, action) | 1;
}
