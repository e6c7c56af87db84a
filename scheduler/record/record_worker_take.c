// SPDX-License-Identifier: Apache-2.0
//
// Bytes to a worker's records. What was a pointer comes back as the same number: the core never
// looks behind one.

#include "scheduler/record/record_parts.h"

// Bytes of one item of each list.
enum { ASSIGNMENT_BYTES = 20, LOCATION_BYTES = 17, SEQUENCE_BYTES = 4 };

static void *
take_pointer(struct tsi_take *take)
{
    return (void *)(uintptr_t)tsi_take_u64(take);
}

// The bytes of small chunks are not recorded, but whether there were some.
static const struct tsi_location *
take_locations(struct tsi_take *take, size_t *count)
{
    static const unsigned char some[1];
    const size_t found = tsi_take_count(take, LOCATION_BYTES);
    struct tsi_location *places = tsi_take_array(take, found, sizeof *places);
    for (size_t i = 0; i < found && places != NULL; i++) {
        places[i].key = tsi_take_u64(take);
        places[i].peer = tsi_take_u32(take);
        places[i].bytes = tsi_take_u32(take);
        places[i].data = tsi_take_u8(take) != 0 ? some : NULL;
    }
    *count = places != NULL ? found : 0;
    return places;
}

static void
take_assigned(struct tsi_take *take, struct tsi_worker_event *event)
{
    const size_t count = tsi_take_count(take, ASSIGNMENT_BYTES);
    struct tsi_assignment *items = tsi_take_array(take, count, sizeof *items);
    for (size_t i = 0; i < count && items != NULL; i++) {
        items[i].job = tsi_take_u32(take);
        items[i].task = tsi_take_u32(take);
        items[i].sequence = tsi_take_u32(take);
        items[i].rank = tsi_take_u32(take);
        items[i].location_count = tsi_take_u32(take);
    }
    event->assigned.items = items;
    event->assigned.count = items != NULL ? count : 0;
    event->assigned.locations = take_locations(take, &event->assigned.location_count);
}

static void
take_retract(struct tsi_take *take, struct tsi_worker_event *event)
{
    const size_t count = tsi_take_count(take, SEQUENCE_BYTES);
    uint32_t *sequences = tsi_take_array(take, count, sizeof *sequences);
    for (size_t i = 0; i < count && sequences != NULL; i++) {
        sequences[i] = tsi_take_u32(take);
    }
    event->retract.sequences = sequences;
    event->retract.count = sequences != NULL ? count : 0;
}

static void
take_fetched(struct tsi_take *take, struct tsi_worker_event *event)
{
    event->fetched.key = tsi_take_u64(take);
    event->fetched.peer = tsi_take_u32(take);
    event->fetched.handle = take_pointer(take);
    event->fetched.bytes = tsi_take_u64(take);
}

static void
take_executed(struct tsi_take *take, struct tsi_worker_event *event)
{
    event->executed.run = tsi_take_u32(take);
    event->executed.status = (tess_status)tsi_take_u32(take);
    event->executed.handle = take_pointer(take);
    event->executed.bytes = tsi_take_u64(take);
    event->executed.duration_us = tsi_take_u32(take);
    event->executed.text = tsi_record_take_text(take);
}

static void
take_event(struct tsi_take *take, struct tsi_worker_event *event)
{
    event->kind = (enum tsi_worker_event_kind)tsi_take_u8(take);
    event->now_ns = tsi_take_u64(take);
    switch (event->kind) {
    case TSI_WORKER_PROGRAM:
        event->program.job = tsi_take_u32(take);
        event->program.token = tsi_take_u64(take);
        event->program.program = tsi_record_take_program(take);
        return;
    case TSI_WORKER_ASSIGNED:
        take_assigned(take, event);
        return;
    case TSI_WORKER_RETRACT:
        take_retract(take, event);
        return;
    case TSI_WORKER_FREE:
        event->free.keys = tsi_record_take_keys(take, &event->free.count);
        return;
    case TSI_WORKER_COPY:
        event->copy.locations = take_locations(take, &event->copy.count);
        return;
    case TSI_WORKER_DROP_JOB:
        event->drop_job.job = tsi_take_u32(take);
        return;
    case TSI_WORKER_PEER_LEFT:
        event->peer_left.peer = tsi_take_u32(take);
        return;
    case TSI_WORKER_FETCHED:
        take_fetched(take, event);
        return;
    case TSI_WORKER_FETCH_FAILED:
        event->fetch_failed.key = tsi_take_u64(take);
        event->fetch_failed.peer = tsi_take_u32(take);
        event->fetch_failed.text = tsi_record_take_text(take);
        return;
    case TSI_WORKER_EXECUTED:
        take_executed(take, event);
        return;
    case TSI_WORKER_SPILLED:
        event->spilled.run = tsi_take_u32(take);
        event->spilled.status = (tess_status)tsi_take_u32(take);
        event->spilled.extent = take_pointer(take);
        event->spilled.text = tsi_record_take_text(take);
        return;
    case TSI_WORKER_LOADED:
        event->loaded.run = tsi_take_u32(take);
        event->loaded.status = (tess_status)tsi_take_u32(take);
        event->loaded.handle = take_pointer(take);
        event->loaded.text = tsi_record_take_text(take);
        return;
    case TSI_WORKER_LIMITED:
        event->limited.memory_bytes = tsi_take_u64(take);
        return;
    case TSI_WORKER_RESET:
    case TSI_WORKER_PARTED:
        return;
    }
    take->failed = true; // no such event
}

void
tsi_record_worker_take(struct tsi_take *take, struct tsi_record *record)
{
    switch (record->type) {
    case TSI_RECORD_WORKER:
        record->worker.threads = (int)tsi_take_u32(take);
        record->worker.runs_ahead = (int)tsi_take_u32(take);
        record->worker.memory_bytes = tsi_take_u64(take);
        record->worker.fetches_max = (int)tsi_take_u32(take);
        record->worker.spills_max = (int)tsi_take_u32(take);
        record->worker.spill_bytes = tsi_take_u64(take);
        return;
    case TSI_RECORD_TOLD:
        take_event(take, &record->told);
        return;
    default:
        record->key = tsi_take_u64(take);
        record->hash = tsi_take_u64(take);
        return;
    }
}
