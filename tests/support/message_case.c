// SPDX-License-Identifier: Apache-2.0
//
// Random messages favour the edges: nothing, the most there may be, all bits set.

#include "tests/support/message_case.h"

#include <string.h>

static uint64_t
any(struct test_random *random)
{
    const uint64_t bits = test_random_bits(random);
    switch (bits % 4) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    default:
        return test_random_bits(random);
    }
}

static uint32_t
any32(struct test_random *random)
{
    return (uint32_t)any(random);
}

static size_t
any_count(struct test_random *random, size_t max)
{
    if (test_random_one_in(random, 5)) {
        return 0;
    }
    return test_random_one_in(random, 5) ? max
                                         : (size_t)test_random_between(random, 0, (int64_t)max);
}

static void *
any_bytes(struct test_random *random, struct tsi_arena *arena, size_t count)
{
    unsigned char *bytes = tsi_arena_alloc(arena, count + 1);
    for (size_t i = 0; bytes != NULL && i < count; i++) {
        bytes[i] = (unsigned char)test_random_bits(random);
    }
    return bytes;
}

static const char *
any_text(struct test_random *random, struct tsi_arena *arena, size_t max)
{
    const size_t length = any_count(random, max);
    char *text = tsi_arena_alloc(arena, length + 1);
    for (size_t i = 0; text != NULL && i < length; i++) {
        text[i] = (char)test_random_between(random, ' ', '~');
    }
    return text;
}

static void
fill_hello(struct test_random *random, struct tsi_arena *arena, struct tsi_hello *hello)
{
    hello->role = test_random_one_in(random, 2) ? TSI_ROLE_WORKER : TSI_ROLE_CLIENT;
    hello->name = any_text(random, arena, TSI_WIRE_NAME_MAX);
    hello->library = any_text(random, arena, TSI_WIRE_NAME_MAX);
    hello->threads = (uint32_t)test_random_between(random, 1, 64);
    hello->memory_bytes = any(random);
    hello->spill_bytes = any(random);
    hello->endpoint = any_text(random, arena, TSI_WIRE_ENDPOINT_MAX - 1);
    hello->host = any_text(random, arena, TSI_WIRE_NAME_MAX);
    hello->pid = any32(random);
    hello->is_watched = test_random_one_in(random, 2);
}

static void
fill_news(struct test_random *random, struct tsi_arena *arena, struct tsi_peer_news *news)
{
    news->peer = any32(random);
    news->is_there = test_random_one_in(random, 2);
    news->threads = any32(random);
    news->memory_bytes = any(random);
    news->endpoint = any_text(random, arena, TSI_WIRE_ENDPOINT_MAX - 1);
    news->host = any_text(random, arena, TSI_WIRE_NAME_MAX);
}

static const struct tsi_location *
any_locations(struct test_random *random, struct tsi_arena *arena, size_t count)
{
    struct tsi_location *locations = tsi_arena_alloc(arena, count * sizeof *locations + 1);
    for (size_t i = 0; locations != NULL && i < count; i++) {
        locations[i] = (struct tsi_location){.key = any(random), .peer = any32(random)};
        if (test_random_one_in(random, 2)) {
            locations[i].bytes = (uint32_t)any_count(random, TSI_INLINE_BYTES_MAX);
            locations[i].data = any_bytes(random, arena, locations[i].bytes);
        }
    }
    return locations;
}

static void
fill_assign(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    const size_t count = any_count(random, 9);
    struct tsi_assignment *items = tsi_arena_alloc(arena, count * sizeof *items + 1);
    size_t locations = 0;
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = (struct tsi_assignment){any32(random), any32(random), any32(random),
                                           any32(random), (uint32_t)any_count(random, 4)};
        locations += items[i].location_count;
    }
    message->assign.items = items;
    message->assign.count = count;
    message->assign.location_count = locations;
    message->assign.locations = any_locations(random, arena, locations);
}

static void
fill_done(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    const size_t count = any_count(random, 9);
    struct tsi_completion *items = tsi_arena_alloc(arena, count * sizeof *items + 1);
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] =
            (struct tsi_completion){any32(random), any32(random), any32(random), any32(random),
                                    any(random),   any(random),   NULL};
        if (test_random_one_in(random, 2)) {
            items[i].bytes = any_count(random, TSI_INLINE_BYTES_MAX);
            items[i].data = any_bytes(random, arena, (size_t)items[i].bytes);
        }
    }
    message->done.items = items;
    message->done.count = count;
}

static struct tsi_job_costs
any_costs(struct test_random *random, struct tsi_arena *arena)
{
    const size_t count = (size_t)test_random_between(random, 0, 4);
    struct tsi_worker_peak *workers = tsi_arena_alloc(arena, count * sizeof *workers + 1);
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct tsi_worker_peak){.peer = any32(random),
                                              .name = any_text(random, arena, TSI_WIRE_NAME_MAX),
                                              .predicted = any(random),
                                              .measured = any(random)};
    }
    return (struct tsi_job_costs){any(random), any(random), any(random), workers, count};
}

static void
fill_ready(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    const size_t count = any_count(random, 9);
    struct tsi_ready_item *items = tsi_arena_alloc(arena, count * sizeof *items + 1);
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = (struct tsi_ready_item){any32(random), any32(random), any(random), NULL};
        if (test_random_one_in(random, 2)) {
            items[i].bytes = any_count(random, TSI_INLINE_BYTES_MAX);
            items[i].data = any_bytes(random, arena, (size_t)items[i].bytes);
        }
    }
    message->ready.job = any32(random);
    message->ready.is_last = test_random_one_in(random, 2);
    message->ready.costs = any_costs(random, arena);
    message->ready.items = items;
    message->ready.count = count;
}

static const uint32_t *
any_numbers(struct test_random *random, struct tsi_arena *arena, size_t count)
{
    uint32_t *numbers = tsi_arena_alloc(arena, count * sizeof *numbers + 1);
    for (size_t i = 0; numbers != NULL && i < count; i++) {
        numbers[i] = any32(random);
    }
    return numbers;
}

static const tsi_key *
any_keys(struct test_random *random, struct tsi_arena *arena, size_t count)
{
    tsi_key *keys = tsi_arena_alloc(arena, count * sizeof *keys + 1);
    for (size_t i = 0; keys != NULL && i < count; i++) {
        keys[i] = any(random);
    }
    return keys;
}

static tess_status
any_error(struct test_random *random)
{
    return (tess_status)test_random_between(random, TESS_RUNNING + 1, TESS_STATUS_COUNT - 1);
}

static void
fill_ended(struct test_random *random, struct tsi_arena *arena, struct tsi_attempt *ended)
{
    ended->job = any32(random);
    ended->task = any32(random);
    ended->sequence = any32(random);
    ended->end = (enum tsi_attempt_end)test_random_between(random, 0, TSI_ATTEMPT_RETRACTED);
    ended->status = any_error(random);
    ended->input = any(random);
    ended->peer = any32(random);
    ended->text = any_text(random, arena, TSI_ERROR_TEXT_MAX - 1);
}

static void
fill_job_ended(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    message->job_ended.job = any32(random);
    message->job_ended.token = any(random);
    message->job_ended.status = test_random_one_in(random, 2) ? TESS_OK : any_error(random);
    message->job_ended.text = any_text(random, arena, TSI_ERROR_TEXT_MAX - 1);
    message->job_ended.costs = any_costs(random, arena);
}

static void
fill_transfer(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    const uint64_t total = any(random);
    const uint64_t offset = total == 0 ? 0 : test_random_bits(random) % total;
    const uint64_t left = total - offset;
    switch (message->type) {
    case TSI_MESSAGE_GET:
        message->get.key = any(random);
        message->get.offset = offset;
        message->get.length = left;
        break;
    case TSI_MESSAGE_SEGMENT:
        message->segment.key = any(random);
        message->segment.offset = offset;
        message->segment.total = total;
        message->segment.count = left < TSI_WIRE_SEGMENT_MAX ? (size_t)left : TSI_WIRE_SEGMENT_MAX;
        message->segment.checksum = any(random);
        break;
    default:
        message->missing.key = any(random);
        message->missing.text = any_text(random, arena, TSI_ERROR_TEXT_MAX - 1);
        break;
    }
}

static void
fill_holds(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    const size_t count = any_count(random, 9);
    struct tsi_holding *items = tsi_arena_alloc(arena, count * sizeof *items + 1);
    size_t range_count = 0;
    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = (struct tsi_holding){any32(random), any(random), any_count(random, 4)};
        range_count += items[i].range_count;
    }
    struct tsi_task_range *ranges = tsi_arena_alloc(arena, range_count * sizeof *ranges + 1);
    for (size_t i = 0; ranges != NULL && i < range_count; i++) {
        ranges[i] = (struct tsi_task_range){(uint32_t)test_random_between(random, 0, 1 << 30),
                                            (uint32_t)test_random_between(random, 1, 1 << 30)};
    }
    message->holds.items = items;
    message->holds.count = count;
    message->holds.ranges = ranges;
    message->holds.range_count = range_count;
}

static void
fill_client(struct test_random *random, struct tsi_arena *arena, struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_SUBMIT:
        message->submit.token = any(random);
        message->submit.detached = test_random_one_in(random, 2);
        message->submit.count = any_count(random, 300);
        message->submit.bytes = any_bytes(random, arena, message->submit.count);
        break;
    case TSI_MESSAGE_TAKEN:
        message->taken.job = any32(random);
        message->taken.count = any_count(random, 20);
        message->taken.tasks = any_numbers(random, arena, message->taken.count);
        break;
    case TSI_MESSAGE_ACCEPTED:
        message->accepted.token = any(random);
        message->accepted.job = any32(random);
        break;
    case TSI_MESSAGE_READY:
        fill_ready(random, arena, message);
        break;
    case TSI_MESSAGE_PROGRESS:
        message->progress.job = any32(random);
        message->progress.done = any(random);
        message->progress.total = any(random);
        message->progress.workers = any32(random);
        break;
    case TSI_MESSAGE_JOB_ENDED:
        fill_job_ended(random, arena, message);
        break;
    case TSI_MESSAGE_HOLDS:
        fill_holds(random, arena, message);
        break;
    case TSI_MESSAGE_CLAIM:
    case TSI_MESSAGE_ATTACH:
        message->claim.token = any(random);
        break;
    case TSI_MESSAGE_GET:
    case TSI_MESSAGE_SEGMENT:
    case TSI_MESSAGE_MISSING:
        fill_transfer(random, arena, message);
        break;
    default:
        break;
    }
}

void
test_message_fill(struct test_random *random, uint8_t type, struct tsi_arena *arena,
                  struct tsi_message *message)
{
    *message = (struct tsi_message){.type = type, .epoch = any32(random), .peer = any32(random)};
    switch (type) {
    case TSI_MESSAGE_HELLO:
        fill_hello(random, arena, &message->hello);
        break;
    case TSI_MESSAGE_WELCOME:
        message->welcome =
            (struct tsi_welcome){any32(random), any32(random), test_random_one_in(random, 2)};
        break;
    case TSI_MESSAGE_REFUSE:
        message->refuse.status = any_error(random);
        message->refuse.text = any_text(random, arena, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_OBITUARY:
        message->obituary.host = any_text(random, arena, TSI_WIRE_NAME_MAX);
        message->obituary.pid = any32(random);
        message->obituary.text = any_text(random, arena, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_PEER:
        fill_news(random, arena, &message->news);
        break;
    case TSI_MESSAGE_PROGRAM:
        message->program.job = any32(random);
        message->program.token = any(random);
        message->program.count = any_count(random, 300);
        message->program.bytes = any_bytes(random, arena, message->program.count);
        break;
    case TSI_MESSAGE_ASSIGN:
        fill_assign(random, arena, message);
        break;
    case TSI_MESSAGE_RETRACT:
        message->retract.count = any_count(random, 20);
        message->retract.sequences = any_numbers(random, arena, message->retract.count);
        break;
    case TSI_MESSAGE_FREE:
    case TSI_MESSAGE_COPIED:
    case TSI_MESSAGE_DROPPED:
        message->keys.count = any_count(random, 20);
        message->keys.keys = any_keys(random, arena, message->keys.count);
        break;
    case TSI_MESSAGE_COPY:
        message->copy.count = any_count(random, 9);
        message->copy.locations = any_locations(random, arena, message->copy.count);
        break;
    case TSI_MESSAGE_DROP_JOB:
    case TSI_MESSAGE_CANCEL:
    case TSI_MESSAGE_RELEASE:
        message->job.job = any32(random);
        break;
    case TSI_MESSAGE_DONE:
        fill_done(random, arena, message);
        break;
    case TSI_MESSAGE_ENDED:
        fill_ended(random, arena, &message->ended);
        break;
    default:
        fill_client(random, arena, message);
        break;
    }
}
