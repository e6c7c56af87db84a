// SPDX-License-Identifier: Apache-2.0
//
// A worker's records to bytes. Chunks, and what is on disk of them, are the driver's pointers,
// which the core hands back as they came: they are recorded as numbers. The bytes of chunks are not
// recorded, since the core does not see them.
//
// The switches have no default, so that the compiler names whoever adds an event or an action and
// forgets it here.

#include <string.h>

#include "engine/base/checksum.h"
#include "scheduler/record/record_parts.h"

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    return tsi_record_put_mix(hash, value);
}

static void
put_pointer(struct tsi_put *put, const void *pointer)
{
    tsi_put_u64(put, (uint64_t)(uintptr_t)pointer);
}

static void
put_locations(struct tsi_put *put, const struct tsi_location *places, size_t count)
{
    tsi_put_u32(put, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        tsi_put_u64(put, places[i].key);
        tsi_put_u32(put, places[i].peer);
        tsi_put_u32(put, places[i].bytes);
        tsi_put_u8(put, places[i].data != NULL);
    }
}

static void
put_assigned(struct tsi_put *put, const struct tsi_worker_event *event)
{
    tsi_put_u32(put, (uint32_t)event->assigned.count);
    for (size_t i = 0; i < event->assigned.count; i++) {
        const struct tsi_assignment *item = &event->assigned.items[i];
        tsi_put_u32(put, item->job);
        tsi_put_u32(put, item->task);
        tsi_put_u32(put, item->sequence);
        tsi_put_u32(put, item->rank);
        tsi_put_u32(put, item->location_count);
    }
    put_locations(put, event->assigned.locations, event->assigned.location_count);
}

static void
put_retract(struct tsi_put *put, const struct tsi_worker_event *event)
{
    tsi_put_u32(put, (uint32_t)event->retract.count);
    for (size_t i = 0; i < event->retract.count; i++) {
        tsi_put_u32(put, event->retract.sequences[i]);
    }
}

static void
put_executed(struct tsi_put *put, const struct tsi_worker_event *event)
{
    tsi_put_u32(put, event->executed.run);
    tsi_put_u32(put, (uint32_t)event->executed.status);
    put_pointer(put, event->executed.handle);
    tsi_put_u64(put, event->executed.bytes);
    tsi_put_u32(put, event->executed.duration_us);
    tsi_record_put_text(put, event->executed.text);
}

static void
put_event(struct tsi_put *put, const struct tsi_worker_event *event)
{
    tsi_put_u8(put, (uint8_t)event->kind);
    tsi_put_u64(put, event->now_ns);
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        tsi_put_u32(put, event->program.job);
        tsi_put_u64(put, event->program.token);
        tsi_record_put_program(put, event->program.program);
        return;
    case TSI_WORKER_ASSIGNED:
        put_assigned(put, event);
        return;
    case TSI_WORKER_RETRACT:
        put_retract(put, event);
        return;
    case TSI_WORKER_FREE:
        tsi_record_put_keys(put, event->free.keys, event->free.count);
        return;
    case TSI_WORKER_COPY:
        put_locations(put, event->copy.locations, event->copy.count);
        return;
    case TSI_WORKER_DROP_JOB:
        tsi_put_u32(put, event->drop_job.job);
        return;
    case TSI_WORKER_PEER_LEFT:
        tsi_put_u32(put, event->peer_left.peer);
        return;
    case TSI_WORKER_FETCHED:
        tsi_put_u64(put, event->fetched.key);
        tsi_put_u32(put, event->fetched.peer);
        put_pointer(put, event->fetched.handle);
        tsi_put_u64(put, event->fetched.bytes);
        return;
    case TSI_WORKER_FETCH_FAILED:
        tsi_put_u64(put, event->fetch_failed.key);
        tsi_put_u32(put, event->fetch_failed.peer);
        tsi_record_put_text(put, event->fetch_failed.text);
        return;
    case TSI_WORKER_EXECUTED:
        put_executed(put, event);
        return;
    case TSI_WORKER_SPILLED:
        tsi_put_u32(put, event->spilled.run);
        tsi_put_u32(put, (uint32_t)event->spilled.status);
        put_pointer(put, event->spilled.extent);
        tsi_record_put_text(put, event->spilled.text);
        return;
    case TSI_WORKER_LOADED:
        tsi_put_u32(put, event->loaded.run);
        tsi_put_u32(put, (uint32_t)event->loaded.status);
        put_pointer(put, event->loaded.handle);
        tsi_record_put_text(put, event->loaded.text);
        return;
    case TSI_WORKER_LIMITED:
        tsi_put_u64(put, event->limited.memory_bytes);
        return;
    case TSI_WORKER_RESET:
    case TSI_WORKER_PARTED:
        return;
    }
}

void
tsi_record_worker_put(struct tsi_put *put, const struct tsi_record *record)
{
    switch (record->type) {
    case TSI_RECORD_WORKER:
        tsi_put_u32(put, (uint32_t)record->worker.threads);
        tsi_put_u32(put, (uint32_t)record->worker.runs_ahead);
        tsi_put_u64(put, record->worker.memory_bytes);
        tsi_put_u32(put, (uint32_t)record->worker.fetches_max);
        tsi_put_u32(put, (uint32_t)record->worker.spills_max);
        tsi_put_u64(put, record->worker.spill_bytes);
        return;
    case TSI_RECORD_TOLD:
        put_event(put, &record->told);
        return;
    default: // what peers and schedulers ask for, by its key
        tsi_put_u64(put, record->key);
        tsi_put_u64(put, record->hash);
        return;
    }
}

static uint64_t
mix_pointer(uint64_t hash, const void *pointer)
{
    return mix(hash, (uint64_t)(uintptr_t)pointer);
}

static uint64_t
mix_keys(uint64_t hash, const tsi_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = mix(hash, keys[i]);
    }
    return hash;
}

static uint64_t
mix_text(uint64_t hash, const char *text)
{
    return text == NULL ? hash : mix(hash, tsi_checksum(text, strlen(text)));
}

static uint64_t
mix_execute(uint64_t hash, const struct tsi_worker_action *action)
{
    hash = mix(hash, (uint64_t)action->execute.run << 32 | (uint32_t)action->execute.op);
    hash = mix(hash, (uint64_t)action->execute.job << 32 | action->execute.task);
    hash = mix(mix(hash, (uint64_t)action->execute.chunk), action->execute.output_bytes);
    hash = mix(hash, action->execute.is_along);
    for (size_t i = 0; i < action->execute.input_count; i++) {
        hash = mix_pointer(hash, action->execute.inputs[i]);
        hash = mix(hash, action->execute.input_keys[i]);
    }
    return hash;
}

static uint64_t
mix_done(uint64_t hash, const struct tsi_worker_action *action)
{
    for (size_t i = 0; i < action->done.count; i++) {
        const struct tsi_completion *item = &action->done.items[i].completion;
        hash = mix(hash, (uint64_t)item->job << 32 | item->task);
        hash = mix(hash, (uint64_t)item->sequence << 32 | item->duration_us);
        hash = mix(mix(hash, item->bytes), item->peak_bytes);
        hash = mix_pointer(hash, action->done.items[i].handle);
    }
    return hash;
}

static uint64_t
mix_ended(uint64_t hash, const struct tsi_attempt *ended)
{
    hash = mix(hash, (uint64_t)ended->job << 32 | ended->task);
    hash = mix(hash, (uint64_t)ended->sequence << 32 | (uint32_t)ended->end);
    hash = mix(hash, (uint64_t)ended->peer << 32 | (uint32_t)ended->status);
    return mix_text(mix(hash, ended->input), ended->text);
}

static uint64_t
mix_offer(uint64_t hash, const struct tsi_worker_offer *offer)
{
    for (size_t i = 0; i < offer->count; i++) {
        hash = mix(mix(hash, offer->holdings[i].job), offer->holdings[i].token);
        hash = mix(hash, offer->holdings[i].range_count);
    }
    for (size_t i = 0; i < offer->range_count; i++) {
        hash = mix(hash, (uint64_t)offer->ranges[i].first << 32 | offer->ranges[i].count);
    }
    return hash;
}

static uint64_t
mix_action(uint64_t hash, const struct tsi_worker_action *action)
{
    switch (action->kind) {
    case TSI_WORKER_EXECUTE:
        return mix_execute(hash, action);
    case TSI_WORKER_CANCEL_RUN:
        return mix(hash, action->cancel_run.run);
    case TSI_WORKER_FETCH:
        return mix(mix(mix(hash, action->fetch.key), action->fetch.peer), action->fetch.bytes);
    case TSI_WORKER_RELEASE_CHUNK:
        return mix_pointer(hash, action->release_chunk.handle);
    case TSI_WORKER_SPILL:
        hash = mix(mix(hash, action->spill.run), action->spill.bytes);
        return mix_pointer(hash, action->spill.handle);
    case TSI_WORKER_LOAD:
        hash = mix(mix(hash, action->load.run), action->load.bytes);
        return mix_pointer(hash, action->load.extent);
    case TSI_WORKER_RELEASE_EXTENT:
        return mix_pointer(hash, action->release_extent.extent);
    case TSI_WORKER_REPORT_DONE:
        return mix_done(hash, action);
    case TSI_WORKER_REPORT_ENDED:
        return mix_ended(hash, &action->ended);
    case TSI_WORKER_REPORT_DROPPED:
        return mix_keys(hash, action->dropped.keys, action->dropped.count);
    case TSI_WORKER_REPORT_COPIED:
        return mix_keys(hash, action->copied.keys, action->copied.count);
    case TSI_WORKER_REPORT_HELD:
        return mix_offer(hash, &action->held);
    case TSI_WORKER_RELEASE_PROGRAM: // it is another one in a replay
        return hash;
    }
    return hash;
}

uint64_t
tsi_record_worker_hash(const struct tsi_worker_action *action)
{
    return mix_action(mix(1, action->kind), action) | 1;
}

uint64_t
tsi_record_worker_hash_offer(const struct tsi_worker_offer *offer)
{
    return mix_offer(1, offer) | 1;
}
