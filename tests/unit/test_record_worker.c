// SPDX-License-Identifier: Apache-2.0
//
// Recordings of workers: every kind of event comes back with all its fields, which is seen by
// writing it once more, and an action with another content has another hash.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "scheduler/record/record.h"
#include "tests/support/sched_programs.h"

// PARTED is the last kind.
enum { KINDS = TSI_WORKER_PARTED + 1 };

static const unsigned char bytes_of_chunk[4] = {1, 2, 3, 4};
static const tsi_key keys[] = {1, UINT64_MAX, 7};
static const uint32_t sequences[] = {5, UINT32_MAX};
static const struct tsi_assignment items[] = {{1, 2, 3, 4, 2}, {5, 6, 7, UINT32_MAX, 0}};
static const struct tsi_location places[] = {{.key = 9, .peer = 8},
                                             {.key = 10, .bytes = 4, .data = bytes_of_chunk}};

static void *
pointer(uint64_t number)
{
    return (void *)(uintptr_t)number;
}

// What the driver answers to an action, with something in every field.
static void
answer(struct tsi_worker_event *event)
{
    if (event->kind == TSI_WORKER_EXECUTED) {
        event->executed.run = 17;
        event->executed.status = TESS_EIO;
        event->executed.handle = pointer(18);
        event->executed.bytes = 19;
        event->executed.duration_us = 20;
        event->executed.text = "a disk";
    } else if (event->kind == TSI_WORKER_SPILLED) {
        event->spilled.run = 21;
        event->spilled.status = TESS_EIO;
        event->spilled.extent = pointer(22);
        event->spilled.text = "full";
    } else {
        event->loaded.run = 23;
        event->loaded.status = TESS_EIO;
        event->loaded.handle = pointer(24);
        event->loaded.text = "";
    }
}

// An event of the kind with something in every field. The switch has no default: a new kind stops
// the compiler here.
static struct tsi_worker_event
example(enum tsi_worker_event_kind kind, const struct tsi_program *program)
{
    struct tsi_worker_event event = {.kind = kind, .now_ns = UINT64_MAX - kind};
    switch (kind) {
    case TSI_WORKER_PROGRAM:
        event.program.job = 3;
        event.program.token = UINT64_MAX - 1;
        event.program.program = program;
        break;
    case TSI_WORKER_ASSIGNED:
        event.assigned.items = items;
        event.assigned.count = 2;
        event.assigned.locations = places;
        event.assigned.location_count = 2;
        break;
    case TSI_WORKER_RETRACT:
        event.retract.sequences = sequences;
        event.retract.count = 2;
        break;
    case TSI_WORKER_FREE:
        event.free.keys = keys;
        event.free.count = 3;
        break;
    case TSI_WORKER_COPY:
        event.copy.locations = places;
        event.copy.count = 2;
        break;
    case TSI_WORKER_DROP_JOB:
        event.drop_job.job = 11;
        break;
    case TSI_WORKER_PEER_LEFT:
        event.peer_left.peer = 12;
        break;
    case TSI_WORKER_FETCHED:
        event.fetched.key = 13;
        event.fetched.peer = 14;
        event.fetched.handle = pointer(0x123456789a);
        event.fetched.bytes = UINT64_C(1) << 40;
        break;
    case TSI_WORKER_FETCH_FAILED:
        event.fetch_failed.key = 15;
        event.fetch_failed.peer = 16;
        event.fetch_failed.text = "gone";
        break;
    case TSI_WORKER_EXECUTED:
    case TSI_WORKER_SPILLED:
    case TSI_WORKER_LOADED:
        answer(&event);
        break;
    case TSI_WORKER_LIMITED:
        event.limited.memory_bytes = 25;
        break;
    case TSI_WORKER_RESET:
    case TSI_WORKER_PARTED:
        break;
    }
    return event;
}

// A recording of one record.
static struct tsi_put
record_of(const struct tsi_record *record)
{
    struct tsi_put put = {0};
    tsi_record_put_head(&put);
    (void)tsi_put_room(&put, TSI_RECORD_FRAME);
    tsi_record_put(&put, record);
    cr_assert(!put.failed);
    tsi_record_frame(put.bytes + TSI_RECORD_HEAD, put.count - TSI_RECORD_HEAD);
    return put;
}

// What comes back gives the same bytes again, and is `found`; its program is the caller's.
static struct tsi_record
expect_back(const struct tsi_record *record)
{
    struct tsi_put put = record_of(record);
    struct tsi_record_reader reader;
    struct tsi_record back;
    struct tsi_record none;
    struct tsi_error error;
    bool is_end = false;
    cr_assert_eq(tsi_record_open(&reader, put.bytes, put.count, &error), TESS_OK);
    cr_assert_eq(tsi_record_next(&reader, &back, &is_end, &error), TESS_OK, "%s", error.text);
    cr_assert(!is_end);
    struct tsi_put again = record_of(&back);
    cr_assert_eq(again.count, put.count);
    cr_assert(memcmp(again.bytes, put.bytes, put.count) == 0);
    cr_assert_eq(tsi_record_next(&reader, &none, &is_end, &error), TESS_OK);
    cr_assert(is_end, "it leaves bytes behind");
    tsi_record_close(&reader);
    tsi_free(again.bytes);
    tsi_free(put.bytes);
    return back;
}

Test(record_worker, every_kind_of_event_comes_back)
{
    struct tsi_program *program = sched_program_chain(4, 3, TSI_TARGET_DELIVER);
    size_t sizes[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
        const struct tsi_record record = {
            .type = TSI_RECORD_TOLD, .told = example((enum tsi_worker_event_kind)kind, program)};
        struct tsi_put put = record_of(&record);
        sizes[kind] = put.count;
        tsi_free(put.bytes);
        const struct tsi_record back = expect_back(&record);
        cr_assert_eq(back.type, TSI_RECORD_TOLD);
        cr_assert_eq((int)back.told.kind, kind);
        cr_assert_eq(back.told.now_ns, record.told.now_ns);
        const bool is_empty = kind == TSI_WORKER_RESET || kind == TSI_WORKER_PARTED;
        cr_assert(is_empty || sizes[kind] > TSI_RECORD_HEAD + TSI_RECORD_FRAME + 10,
                  "nothing of kind %d is written", kind);
        if (kind == TSI_WORKER_FETCHED) {
            cr_assert(back.told.fetched.handle == record.told.fetched.handle);
        } else if (kind == TSI_WORKER_PROGRAM) {
            tsi_program_free((struct tsi_program *)(uintptr_t)back.told.program.program);
        }
    }
    tsi_program_free(program);
}

Test(record_worker, the_configuration_and_calls_come_back)
{
    const struct tsi_record worker = {.type = TSI_RECORD_WORKER,
                                      .worker = {.threads = 1,
                                                 .runs_ahead = 2,
                                                 .memory_bytes = 3,
                                                 .fetches_max = 4,
                                                 .spills_max = 5,
                                                 .spill_bytes = 6}};
    const struct tsi_record back = expect_back(&worker);
    cr_assert(back.type == TSI_RECORD_WORKER && back.worker.threads == 1 &&
              back.worker.runs_ahead == 2 && back.worker.memory_bytes == 3 &&
              back.worker.fetches_max == 4 && back.worker.spills_max == 5 &&
              back.worker.spill_bytes == 6);
    const struct tsi_record call = {.type = TSI_RECORD_DEMAND, .key = 7, .hash = 1};
    const struct tsi_record asked = expect_back(&call);
    cr_assert(asked.type == TSI_RECORD_DEMAND && asked.key == 7 && asked.hash == 1);
}

Test(record_worker, another_action_has_another_hash)
{
    const struct tsi_worker_action actions[] = {
        {.kind = TSI_WORKER_CANCEL_RUN, .cancel_run = {1}},
        {.kind = TSI_WORKER_CANCEL_RUN, .cancel_run = {2}},
        {.kind = TSI_WORKER_FETCH, .fetch = {1, 2, 3}},
        {.kind = TSI_WORKER_FETCH, .fetch = {1, 3, 2}},
        {.kind = TSI_WORKER_RELEASE_CHUNK, .release_chunk = {pointer(1)}},
        {.kind = TSI_WORKER_RELEASE_CHUNK, .release_chunk = {pointer(2)}},
        {.kind = TSI_WORKER_REPORT_COPIED, .copied = {keys, 1}},
        {.kind = TSI_WORKER_REPORT_COPIED, .copied = {keys, 2}},
        {.kind = TSI_WORKER_REPORT_DROPPED, .dropped = {keys, 2}},
        {.kind = TSI_WORKER_REPORT_ENDED, .ended = {1, 2, 3, TSI_ATTEMPT_REFUSED, 4, 5, 6, "a"}},
        {.kind = TSI_WORKER_REPORT_ENDED, .ended = {1, 2, 3, TSI_ATTEMPT_REFUSED, 4, 5, 6, "b"}},
    };
    const size_t count = sizeof actions / sizeof *actions;
    for (size_t i = 0; i < count; i++) {
        cr_assert_neq(tsi_record_worker_hash(&actions[i]), 0);
        for (size_t k = 0; k < i; k++) {
            cr_assert_neq(tsi_record_worker_hash(&actions[i]), tsi_record_worker_hash(&actions[k]),
                          "%zu and %zu", i, k);
        }
    }
}
