// SPDX-License-Identifier: Apache-2.0
//
// Bytes to messages. The bytes come from strangers: every count is held against what is left of the
// frame before anything is allocated for it, every enumeration against its range, and nothing may
// follow the last field.

#include "engine/base/checksum.h"
#include "engine/base/limits.h"
#include "scheduler/wire/cursor.h"
#include "scheduler/wire/format.h"
#include "scheduler/wire/message.h"

// More threads than this, or none, no worker has.
#define THREADS_MAX 4096

// The status of something that went wrong.
static tess_status
take_error_status(struct tsi_take *take)
{
    const uint16_t status = tsi_take_u16(take);
    tsi_take_check(take, status > TESS_RUNNING && status < TESS_STATUS_COUNT);
    return take->failed ? TESS_EPROTOCOL : (tess_status)status;
}

static bool
take_bool(struct tsi_take *take)
{
    const uint8_t value = tsi_take_u8(take);
    tsi_take_check(take, value <= 1);
    return value == 1;
}

static void
take_hello(struct tsi_take *take, struct tsi_hello *hello)
{
    hello->role = tsi_take_u8(take);
    hello->library = tsi_take_text(take, TSI_WIRE_NAME_MAX);
    hello->name = tsi_take_text(take, TSI_WIRE_NAME_MAX);
    hello->threads = tsi_take_u32(take);
    hello->memory_bytes = tsi_take_u64(take);
    hello->spill_bytes = tsi_take_u64(take);
    hello->endpoint = tsi_take_text(take, TSI_WIRE_ENDPOINT_MAX - 1);
    hello->host = tsi_take_text(take, TSI_WIRE_NAME_MAX);
    hello->pid = tsi_take_u32(take);
    hello->is_watched = take_bool(take);
    tsi_take_check(take, hello->role == TSI_ROLE_WORKER || hello->role == TSI_ROLE_CLIENT);
    tsi_take_check(take, hello->role != TSI_ROLE_WORKER ||
                             (hello->threads >= 1 && hello->threads <= THREADS_MAX));
}

static void
take_news(struct tsi_take *take, struct tsi_peer_news *news)
{
    news->peer = tsi_take_u32(take);
    news->is_there = take_bool(take);
    news->threads = tsi_take_u32(take);
    news->memory_bytes = tsi_take_u64(take);
    news->endpoint = tsi_take_text(take, TSI_WIRE_ENDPOINT_MAX - 1);
    news->host = tsi_take_text(take, TSI_WIRE_NAME_MAX);
}

// Bytes that follow the records of an array, one run and its checksum for each record that has
// some; NULL for those that were damaged on the way, which are counted.
static const void *
take_data(struct tsi_take *take, struct tsi_message *message, uint64_t bytes)
{
    tsi_take_check(take, bytes <= TSI_INLINE_BYTES_MAX &&
                             bytes + TSI_FORMAT_CHECKSUM <= tsi_take_left(take));
    if (take->failed) {
        return NULL;
    }
    const unsigned char *data = take->at;
    take->at += bytes;
    if (tsi_take_u64(take) != tsi_checksum(data, (size_t)bytes)) {
        message->damaged++;
        return NULL;
    }
    return data;
}

static const struct tsi_location *
take_locations(struct tsi_take *take, struct tsi_message *message, size_t count)
{
    struct tsi_location *locations = tsi_take_array(take, count, sizeof *locations);
    const unsigned char *records = take->at;
    tsi_take_check(take, count <= tsi_take_left(take) / TSI_FORMAT_LOCATION);
    if (take->failed) {
        return NULL;
    }
    take->at += count * TSI_FORMAT_LOCATION;
    for (size_t i = 0; i < count; i++, records += TSI_FORMAT_LOCATION) {
        const uint32_t data = tsi_load_u32(records + 12);
        locations[i].key = tsi_load_u64(records);
        locations[i].peer = tsi_load_u32(records + 8);
        locations[i].data = data > 0 ? take_data(take, message, data - 1) : NULL;
        locations[i].bytes = locations[i].data != NULL ? data - 1 : 0;
    }
    return locations;
}

static void
take_assign(struct tsi_take *take, struct tsi_message *message)
{
    const size_t count = tsi_take_u32(take);
    const size_t location_count = tsi_take_u32(take);
    tsi_take_check(take, count <= tsi_take_left(take) / TSI_FORMAT_ASSIGNMENT);
    struct tsi_assignment *items = tsi_take_array(take, take->failed ? 0 : count, sizeof *items);
    if (items == NULL) {
        return;
    }
    uint64_t locations = 0;
    for (size_t i = 0; i < count; i++, take->at += TSI_FORMAT_ASSIGNMENT) {
        items[i] = (struct tsi_assignment){tsi_load_u32(take->at), tsi_load_u32(take->at + 4),
                                           tsi_load_u32(take->at + 8), tsi_load_u32(take->at + 12),
                                           tsi_load_u32(take->at + 16)};
        locations += items[i].location_count;
    }
    tsi_take_check(take, locations == location_count &&
                             location_count <= tsi_take_left(take) / TSI_FORMAT_LOCATION);
    message->assign.items = items;
    message->assign.count = count;
    message->assign.location_count = take->failed ? 0 : location_count;
    message->assign.locations = take_locations(take, message, message->assign.location_count);
}

static void
take_done(struct tsi_take *take, struct tsi_message *message)
{
    const size_t count = tsi_take_count(take, TSI_FORMAT_COMPLETION);
    struct tsi_completion *items = tsi_take_array(take, count, sizeof *items);
    if (items == NULL) {
        return;
    }
    const unsigned char *at = take->at;
    take->at += count * TSI_FORMAT_COMPLETION;
    for (size_t i = 0; i < count; i++, at += TSI_FORMAT_COMPLETION) {
        const uint32_t has_data = tsi_load_u32(at + 32);
        items[i] = (struct tsi_completion){.job = tsi_load_u32(at),
                                           .task = tsi_load_u32(at + 4),
                                           .sequence = tsi_load_u32(at + 8),
                                           .duration_us = tsi_load_u32(at + 12),
                                           .bytes = tsi_load_u64(at + 16),
                                           .peak_bytes = tsi_load_u64(at + 24)};
        tsi_take_check(take, has_data <= 1);
        items[i].data = has_data == 1 ? take_data(take, message, items[i].bytes) : NULL;
    }
    message->done.items = items;
    message->done.count = count;
}

static struct tsi_job_costs
take_costs(struct tsi_take *take)
{
    struct tsi_job_costs costs;
    costs.tasks_run = tsi_take_u64(take);
    costs.peak_bytes_predicted = tsi_take_u64(take);
    costs.peak_bytes_measured = tsi_take_u64(take);
    const size_t count = tsi_take_count(take, TSI_FORMAT_PEAK);
    struct tsi_worker_peak *workers = tsi_take_array(take, count, sizeof *workers);
    for (size_t i = 0; i < count && !take->failed; i++) {
        workers[i].peer = tsi_take_u32(take);
        workers[i].name = tsi_take_text(take, TSI_WIRE_NAME_MAX);
        workers[i].predicted = tsi_take_u64(take);
        workers[i].measured = tsi_take_u64(take);
    }
    costs.workers = workers;
    costs.worker_count = take->failed ? 0 : count;
    return costs;
}

static void
take_ready(struct tsi_take *take, struct tsi_message *message)
{
    message->ready.job = tsi_take_u32(take);
    const uint32_t is_last = tsi_take_u32(take);
    tsi_take_check(take, is_last <= 1);
    message->ready.is_last = is_last == 1;
    message->ready.costs = take_costs(take);
    const size_t count = tsi_take_count(take, TSI_FORMAT_READY);
    struct tsi_ready_item *items = tsi_take_array(take, count, sizeof *items);
    if (items == NULL) {
        return;
    }
    const unsigned char *at = take->at;
    take->at += count * TSI_FORMAT_READY;
    for (size_t i = 0; i < count; i++, at += TSI_FORMAT_READY) {
        const uint32_t has_data = tsi_load_u32(at + 16);
        items[i] = (struct tsi_ready_item){
            .task = tsi_load_u32(at), .peer = tsi_load_u32(at + 4), .bytes = tsi_load_u64(at + 8)};
        tsi_take_check(take, has_data <= 1);
        items[i].data = has_data == 1 ? take_data(take, message, items[i].bytes) : NULL;
    }
    message->ready.items = items;
    message->ready.count = count;
}

static const uint32_t *
take_numbers(struct tsi_take *take, size_t *count)
{
    *count = tsi_take_count(take, 4);
    uint32_t *numbers = tsi_take_array(take, *count, sizeof *numbers);
    for (size_t i = 0; i < *count && numbers != NULL; i++) {
        numbers[i] = tsi_take_u32(take);
    }
    return numbers;
}

static const tsi_key *
take_keys(struct tsi_take *take, size_t *count)
{
    *count = tsi_take_count(take, 8);
    tsi_key *keys = tsi_take_array(take, *count, sizeof *keys);
    for (size_t i = 0; i < *count && keys != NULL; i++) {
        keys[i] = tsi_take_u64(take);
    }
    return keys;
}

static void
take_ended(struct tsi_take *take, struct tsi_attempt *ended)
{
    ended->job = tsi_take_u32(take);
    ended->task = tsi_take_u32(take);
    ended->sequence = tsi_take_u32(take);
    const uint8_t end = tsi_take_u8(take);
    const uint16_t status = tsi_take_u16(take);
    ended->input = tsi_take_u64(take);
    ended->peer = tsi_take_u32(take);
    ended->text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
    tsi_take_check(take, end <= TSI_ATTEMPT_RETRACTED && status < TESS_STATUS_COUNT &&
                             (end != TSI_ATTEMPT_FAILED || status > TESS_RUNNING));
    if (!take->failed) {
        ended->end = (enum tsi_attempt_end)end;
        ended->status = (tess_status)status;
    }
}

static void
take_job_ended(struct tsi_take *take, struct tsi_message *message)
{
    message->job_ended.job = tsi_take_u32(take);
    message->job_ended.token = tsi_take_u64(take);
    const uint16_t status = tsi_take_u16(take);
    message->job_ended.text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
    message->job_ended.costs = take_costs(take);
    tsi_take_check(take, status < TESS_STATUS_COUNT && status != TESS_RUNNING);
    message->job_ended.status = take->failed ? TESS_EPROTOCOL : (tess_status)status;
}

static void
take_holds(struct tsi_take *take, struct tsi_message *message)
{
    const size_t count = tsi_take_count(take, TSI_FORMAT_HOLDING);
    const size_t range_count = tsi_take_u32(take);
    tsi_take_check(take, range_count <= tsi_take_left(take) / TSI_FORMAT_RANGE);
    struct tsi_holding *items = tsi_take_array(take, count, sizeof *items);
    struct tsi_task_range *ranges = tsi_take_array(take, range_count, sizeof *ranges);
    size_t owned = 0;
    for (size_t i = 0; i < count && !take->failed; i++) {
        items[i].job = tsi_take_u32(take);
        items[i].token = tsi_take_u64(take);
        items[i].range_count = tsi_take_u32(take);
        tsi_take_check(take, items[i].range_count <= range_count - owned);
        owned += take->failed ? 0 : items[i].range_count;
    }
    tsi_take_check(take, owned == range_count);
    for (size_t i = 0; i < range_count && !take->failed; i++) {
        ranges[i].first = tsi_take_u32(take);
        ranges[i].count = tsi_take_u32(take);
        tsi_take_check(take,
                       ranges[i].count > 0 && ranges[i].count <= UINT32_MAX - ranges[i].first);
    }
    message->holds.items = items;
    message->holds.count = take->failed ? 0 : count;
    message->holds.ranges = ranges;
    message->holds.range_count = take->failed ? 0 : range_count;
}

// The head of a segment; its bytes are in the next frame.
static void
take_segment(struct tsi_take *take, struct tsi_message *message)
{
    message->segment.key = tsi_take_u64(take);
    message->segment.offset = tsi_take_u64(take);
    message->segment.total = tsi_take_u64(take);
    const uint64_t count = tsi_take_u64(take);
    tsi_take_check(take, message->segment.offset <= message->segment.total &&
                             count <= message->segment.total - message->segment.offset &&
                             count <= TSI_WIRE_SEGMENT_MAX);
    message->segment.count = (size_t)count;
    message->segment.checksum = tsi_take_u64(take);
}

static void
take_client_body(struct tsi_take *take, struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_SUBMIT:
        message->submit.token = tsi_take_u64(take);
        message->submit.detached = take_bool(take);
        message->submit.bytes = tsi_take_run(take, &message->submit.count);
        break;
    case TSI_MESSAGE_TAKEN:
        message->taken.job = tsi_take_u32(take);
        message->taken.tasks = take_numbers(take, &message->taken.count);
        break;
    case TSI_MESSAGE_ACCEPTED:
        message->accepted.token = tsi_take_u64(take);
        message->accepted.job = tsi_take_u32(take);
        break;
    case TSI_MESSAGE_READY:
        take_ready(take, message);
        break;
    case TSI_MESSAGE_PROGRESS:
        message->progress.job = tsi_take_u32(take);
        message->progress.done = tsi_take_u64(take);
        message->progress.total = tsi_take_u64(take);
        message->progress.workers = tsi_take_u32(take);
        break;
    case TSI_MESSAGE_JOB_ENDED:
        take_job_ended(take, message);
        break;
    case TSI_MESSAGE_GET:
        message->get.key = tsi_take_u64(take);
        message->get.offset = tsi_take_u64(take);
        message->get.length = tsi_take_u64(take);
        tsi_take_check(take, message->get.length <= UINT64_MAX - message->get.offset);
        break;
    case TSI_MESSAGE_SEGMENT:
        take_segment(take, message);
        break;
    case TSI_MESSAGE_MISSING:
        message->missing.key = tsi_take_u64(take);
        message->missing.text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_HOLDS:
        take_holds(take, message);
        break;
    case TSI_MESSAGE_CLAIM:
    case TSI_MESSAGE_ATTACH:
        message->claim.token = tsi_take_u64(take);
        break;
    case TSI_MESSAGE_HEARTBEAT:
    case TSI_MESSAGE_GOODBYE:
    case TSI_MESSAGE_DRAINED:
    case TSI_MESSAGE_DRAINING:
        break;
    default:
        take->failed = true;
        break;
    }
}

static void
take_body(struct tsi_take *take, struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_HELLO:
        take_hello(take, &message->hello);
        break;
    case TSI_MESSAGE_WELCOME:
        message->welcome.peer = tsi_take_u32(take);
        message->welcome.heartbeat_ms = tsi_take_u32(take);
        message->welcome.keeps_journal = take_bool(take);
        break;
    case TSI_MESSAGE_REFUSE:
        message->refuse.status = take_error_status(take);
        message->refuse.text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_OBITUARY:
        message->obituary.host = tsi_take_text(take, TSI_WIRE_NAME_MAX);
        message->obituary.pid = tsi_take_u32(take);
        message->obituary.text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_PEER:
        take_news(take, &message->news);
        break;
    case TSI_MESSAGE_PROGRAM:
        message->program.job = tsi_take_u32(take);
        message->program.token = tsi_take_u64(take);
        message->program.bytes = tsi_take_run(take, &message->program.count);
        break;
    case TSI_MESSAGE_ASSIGN:
        take_assign(take, message);
        break;
    case TSI_MESSAGE_RETRACT:
        message->retract.sequences = take_numbers(take, &message->retract.count);
        break;
    case TSI_MESSAGE_FREE:
    case TSI_MESSAGE_COPIED:
    case TSI_MESSAGE_DROPPED:
        message->keys.keys = take_keys(take, &message->keys.count);
        break;
    case TSI_MESSAGE_COPY:
        message->copy.count = tsi_take_count(take, TSI_FORMAT_LOCATION);
        message->copy.locations = take_locations(take, message, message->copy.count);
        break;
    case TSI_MESSAGE_DROP_JOB:
    case TSI_MESSAGE_CANCEL:
    case TSI_MESSAGE_RELEASE:
        message->job.job = tsi_take_u32(take);
        break;
    case TSI_MESSAGE_DONE:
        take_done(take, message);
        break;
    case TSI_MESSAGE_ENDED:
        take_ended(take, &message->ended);
        break;
    default:
        take_client_body(take, message);
        break;
    }
}

// What stays the same in every version: the role and library of a HELLO, all of a REFUSE.
static tess_status
decode_foreign(struct tsi_take *take, uint8_t version, struct tsi_message *message,
               struct tsi_error *error)
{
    const char *library = "";
    if (message->type == TSI_MESSAGE_HELLO) {
        message->hello = (struct tsi_hello){.role = tsi_take_u8(take)};
        message->hello.library = library = tsi_take_text(take, TSI_WIRE_NAME_MAX);
    } else if (message->type == TSI_MESSAGE_REFUSE) {
        const uint16_t status = tsi_take_u16(take);
        const bool is_known = status > TESS_RUNNING && status < TESS_STATUS_COUNT;
        message->refuse.status = is_known ? (tess_status)status : TESS_EVERSION;
        message->refuse.text = tsi_take_text(take, TSI_ERROR_TEXT_MAX - 1);
    }
    return tsi_error_set(error, TESS_EVERSION,
                         "protocol version %d%s%s, but this side speaks version %d", version,
                         *library != '\0' ? " of Tessera " : "", library, TSI_WIRE_VERSION);
}

tess_status
tsi_message_decode(const unsigned char *frame, size_t count, struct tsi_arena *scratch,
                   struct tsi_message *message, struct tsi_error *error)
{
    tsi_arena_reset(scratch);
    *message = (struct tsi_message){.type = TSI_MESSAGE_NONE};
    if (count < TSI_FORMAT_HEADER) {
        return tsi_error_set(error, TESS_EPROTOCOL, "a frame of %zu bytes is no message", count);
    }
    struct tsi_take take = {.at = frame, .end = frame + count, .scratch = scratch};
    const bool is_ours =
        tsi_take_u8(&take) == TSI_FORMAT_MAGIC_0 && tsi_take_u8(&take) == TSI_FORMAT_MAGIC_1;
    const uint8_t version = tsi_take_u8(&take);
    const uint8_t type = tsi_take_u8(&take);
    message->epoch = tsi_take_u32(&take);
    message->peer = tsi_take_u32(&take);
    const uint32_t length = tsi_take_u32(&take);
    if (!is_ours || length != tsi_take_left(&take)) {
        return tsi_error_set(error, TESS_EPROTOCOL, "a frame of %zu bytes is no message", count);
    }
    message->type = type;
    if (version != TSI_WIRE_VERSION) {
        return decode_foreign(&take, version, message, error);
    }
    take_body(&take, message);
    if (take.no_memory) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: out of memory", tsi_message_name(type));
    }
    if (take.failed || take.at != take.end) {
        return tsi_error_set(error, TESS_EPROTOCOL, "malformed %s of %zu bytes",
                             tsi_message_name(type), count);
    }
    return TESS_OK;
}
