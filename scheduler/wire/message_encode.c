// SPDX-License-Identifier: Apache-2.0
//
// Messages to bytes. The order of the fields is that of docs/PROTOCOL.md and of message_decode.c.

#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/limits.h"
#include "engine/base/memory.h"
#include "scheduler/wire/cursor.h"
#include "scheduler/wire/format.h"
#include "scheduler/wire/message.h"

static void
put_hello(struct tsi_put *put, const struct tsi_hello *hello)
{
    tsi_put_u8(put, hello->role);
    tsi_put_text(put, hello->library, TSI_WIRE_NAME_MAX);
    tsi_put_text(put, hello->name, TSI_WIRE_NAME_MAX);
    tsi_put_u32(put, hello->threads);
    tsi_put_u64(put, hello->memory_bytes);
    tsi_put_u64(put, hello->spill_bytes);
    tsi_put_text(put, hello->endpoint, TSI_WIRE_ENDPOINT_MAX - 1);
    tsi_put_text(put, hello->host, TSI_WIRE_NAME_MAX);
    tsi_put_u32(put, hello->pid);
    tsi_put_u8(put, hello->is_watched ? 1 : 0);
}

static void
put_news(struct tsi_put *put, const struct tsi_peer_news *news)
{
    tsi_put_u32(put, news->peer);
    tsi_put_u8(put, news->is_there ? 1 : 0);
    tsi_put_u32(put, news->threads);
    tsi_put_u64(put, news->memory_bytes);
    tsi_put_text(put, news->endpoint, TSI_WIRE_ENDPOINT_MAX - 1);
    tsi_put_text(put, news->host, TSI_WIRE_NAME_MAX);
}

// The bytes of a chunk, and their checksum.
static void
put_data(struct tsi_put *put, const void *data, size_t bytes)
{
    unsigned char *at = tsi_put_room(put, bytes + TSI_FORMAT_CHECKSUM);
    if (at == NULL) {
        return;
    }
    if (bytes > 0) {
        memcpy(at, data, bytes);
    }
    tsi_store_u64(at + bytes, tsi_checksum(data, bytes));
}

static void
put_locations(struct tsi_put *put, const struct tsi_location *locations, size_t count)
{
    unsigned char *at = tsi_put_room(put, count * TSI_FORMAT_LOCATION);
    for (size_t i = 0; i < count && at != NULL; i++, at += TSI_FORMAT_LOCATION) {
        tsi_store_u64(at, locations[i].key);
        tsi_store_u32(at + 8, locations[i].peer);
        tsi_store_u32(at + 12, locations[i].data != NULL ? locations[i].bytes + 1 : 0);
    }
    for (size_t i = 0; i < count; i++) {
        if (locations[i].data != NULL) {
            put_data(put, locations[i].data, locations[i].bytes);
        }
    }
}

static void
put_assign(struct tsi_put *put, const struct tsi_message *message)
{
    const size_t count = message->assign.count;
    tsi_put_u32(put, (uint32_t)count);
    tsi_put_u32(put, (uint32_t)message->assign.location_count);
    unsigned char *at = tsi_put_room(put, count * TSI_FORMAT_ASSIGNMENT);
    for (size_t i = 0; i < count && at != NULL; i++, at += TSI_FORMAT_ASSIGNMENT) {
        const struct tsi_assignment *item = &message->assign.items[i];
        tsi_store_u32(at, item->job);
        tsi_store_u32(at + 4, item->task);
        tsi_store_u32(at + 8, item->sequence);
        tsi_store_u32(at + 12, item->rank);
        tsi_store_u32(at + 16, item->location_count);
    }
    put_locations(put, message->assign.locations, message->assign.location_count);
}

static void
put_done(struct tsi_put *put, const struct tsi_message *message)
{
    const size_t count = message->done.count;
    tsi_put_u32(put, (uint32_t)count);
    unsigned char *at = tsi_put_room(put, count * TSI_FORMAT_COMPLETION);
    for (size_t i = 0; i < count && at != NULL; i++, at += TSI_FORMAT_COMPLETION) {
        const struct tsi_completion *item = &message->done.items[i];
        tsi_store_u32(at, item->job);
        tsi_store_u32(at + 4, item->task);
        tsi_store_u32(at + 8, item->sequence);
        tsi_store_u32(at + 12, item->duration_us);
        tsi_store_u64(at + 16, item->bytes);
        tsi_store_u64(at + 24, item->peak_bytes);
        tsi_store_u32(at + 32, item->data != NULL ? 1 : 0);
    }
    for (size_t i = 0; i < count; i++) {
        const struct tsi_completion *item = &message->done.items[i];
        if (item->data != NULL) {
            put_data(put, item->data, (size_t)item->bytes);
        }
    }
}

static void
put_costs(struct tsi_put *put, const struct tsi_job_costs *costs)
{
    tsi_put_u64(put, costs->tasks_run);
    tsi_put_u64(put, costs->peak_bytes_predicted);
    tsi_put_u64(put, costs->peak_bytes_measured);
    tsi_put_u32(put, (uint32_t)costs->worker_count);
    for (size_t i = 0; i < costs->worker_count; i++) {
        const struct tsi_worker_peak *peak = &costs->workers[i];
        tsi_put_u32(put, peak->peer);
        tsi_put_text(put, peak->name, TSI_WIRE_NAME_MAX);
        tsi_put_u64(put, peak->predicted);
        tsi_put_u64(put, peak->measured);
    }
}

static void
put_ready(struct tsi_put *put, const struct tsi_message *message)
{
    const size_t count = message->ready.count;
    tsi_put_u32(put, message->ready.job);
    tsi_put_u32(put, message->ready.is_last ? 1 : 0);
    put_costs(put, &message->ready.costs);
    tsi_put_u32(put, (uint32_t)count);
    unsigned char *at = tsi_put_room(put, count * TSI_FORMAT_READY);
    for (size_t i = 0; i < count && at != NULL; i++, at += TSI_FORMAT_READY) {
        const struct tsi_ready_item *item = &message->ready.items[i];
        tsi_store_u32(at, item->task);
        tsi_store_u32(at + 4, item->peer);
        tsi_store_u64(at + 8, item->bytes);
        tsi_store_u32(at + 16, item->data != NULL ? 1 : 0);
    }
    for (size_t i = 0; i < count; i++) {
        const struct tsi_ready_item *item = &message->ready.items[i];
        if (item->data != NULL) {
            put_data(put, item->data, (size_t)item->bytes);
        }
    }
}

static void
put_numbers(struct tsi_put *put, const uint32_t *numbers, size_t count)
{
    tsi_put_u32(put, (uint32_t)count);
    unsigned char *at = tsi_put_room(put, count * 4);
    for (size_t i = 0; i < count && at != NULL; i++) {
        tsi_store_u32(at + 4 * i, numbers[i]);
    }
}

static void
put_keys(struct tsi_put *put, const tsi_key *keys, size_t count)
{
    tsi_put_u32(put, (uint32_t)count);
    unsigned char *at = tsi_put_room(put, count * 8);
    for (size_t i = 0; i < count && at != NULL; i++) {
        tsi_store_u64(at + 8 * i, keys[i]);
    }
}

static void
put_ended(struct tsi_put *put, const struct tsi_attempt *ended)
{
    tsi_put_u32(put, ended->job);
    tsi_put_u32(put, ended->task);
    tsi_put_u32(put, ended->sequence);
    tsi_put_u8(put, (uint8_t)ended->end);
    tsi_put_u16(put, (uint16_t)ended->status);
    tsi_put_u64(put, ended->input);
    tsi_put_u32(put, ended->peer);
    tsi_put_text(put, ended->text, TSI_ERROR_TEXT_MAX - 1);
}

static void
put_holds(struct tsi_put *put, const struct tsi_message *message)
{
    tsi_put_u32(put, (uint32_t)message->holds.count);
    tsi_put_u32(put, (uint32_t)message->holds.range_count);
    for (size_t i = 0; i < message->holds.count; i++) {
        tsi_put_u32(put, message->holds.items[i].job);
        tsi_put_u64(put, message->holds.items[i].token);
        tsi_put_u32(put, (uint32_t)message->holds.items[i].range_count);
    }
    for (size_t i = 0; i < message->holds.range_count; i++) {
        tsi_put_u32(put, message->holds.ranges[i].first);
        tsi_put_u32(put, message->holds.ranges[i].count);
    }
}

static void
put_job_ended(struct tsi_put *put, const struct tsi_message *message)
{
    tsi_put_u32(put, message->job_ended.job);
    tsi_put_u64(put, message->job_ended.token);
    tsi_put_u16(put, (uint16_t)message->job_ended.status);
    tsi_put_text(put, message->job_ended.text, TSI_ERROR_TEXT_MAX - 1);
    put_costs(put, &message->job_ended.costs);
}

static void
put_client_body(struct tsi_put *put, const struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_SUBMIT:
        tsi_put_u64(put, message->submit.token);
        tsi_put_u8(put, message->submit.detached ? 1 : 0);
        tsi_put_run(put, message->submit.bytes, message->submit.count);
        break;
    case TSI_MESSAGE_TAKEN:
        tsi_put_u32(put, message->taken.job);
        put_numbers(put, message->taken.tasks, message->taken.count);
        break;
    case TSI_MESSAGE_ACCEPTED:
        tsi_put_u64(put, message->accepted.token);
        tsi_put_u32(put, message->accepted.job);
        break;
    case TSI_MESSAGE_READY:
        put_ready(put, message);
        break;
    case TSI_MESSAGE_PROGRESS:
        tsi_put_u32(put, message->progress.job);
        tsi_put_u64(put, message->progress.done);
        tsi_put_u64(put, message->progress.total);
        tsi_put_u32(put, message->progress.workers);
        break;
    case TSI_MESSAGE_JOB_ENDED:
        put_job_ended(put, message);
        break;
    case TSI_MESSAGE_GET:
        tsi_put_u64(put, message->get.key);
        tsi_put_u64(put, message->get.offset);
        tsi_put_u64(put, message->get.length);
        break;
    case TSI_MESSAGE_SEGMENT: // its bytes are a frame of their own
        tsi_put_u64(put, message->segment.key);
        tsi_put_u64(put, message->segment.offset);
        tsi_put_u64(put, message->segment.total);
        tsi_put_u64(put, message->segment.count);
        tsi_put_u64(put, message->segment.checksum);
        break;
    case TSI_MESSAGE_MISSING:
        tsi_put_u64(put, message->missing.key);
        tsi_put_text(put, message->missing.text, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_HOLDS:
        put_holds(put, message);
        break;
    case TSI_MESSAGE_CLAIM:
    case TSI_MESSAGE_ATTACH:
        tsi_put_u64(put, message->claim.token);
        break;
    default:
        break;
    }
}

static void
put_body(struct tsi_put *put, const struct tsi_message *message)
{
    switch (message->type) {
    case TSI_MESSAGE_HELLO:
        put_hello(put, &message->hello);
        break;
    case TSI_MESSAGE_WELCOME:
        tsi_put_u32(put, message->welcome.peer);
        tsi_put_u32(put, message->welcome.heartbeat_ms);
        tsi_put_u8(put, message->welcome.keeps_journal ? 1 : 0);
        break;
    case TSI_MESSAGE_REFUSE:
        tsi_put_u16(put, (uint16_t)message->refuse.status);
        tsi_put_text(put, message->refuse.text, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_OBITUARY:
        tsi_put_text(put, message->obituary.host, TSI_WIRE_NAME_MAX);
        tsi_put_u32(put, message->obituary.pid);
        tsi_put_text(put, message->obituary.text, TSI_ERROR_TEXT_MAX - 1);
        break;
    case TSI_MESSAGE_PEER:
        put_news(put, &message->news);
        break;
    case TSI_MESSAGE_PROGRAM:
        tsi_put_u32(put, message->program.job);
        tsi_put_u64(put, message->program.token);
        tsi_put_run(put, message->program.bytes, message->program.count);
        break;
    case TSI_MESSAGE_ASSIGN:
        put_assign(put, message);
        break;
    case TSI_MESSAGE_RETRACT:
        put_numbers(put, message->retract.sequences, message->retract.count);
        break;
    case TSI_MESSAGE_FREE:
    case TSI_MESSAGE_COPIED:
    case TSI_MESSAGE_DROPPED:
        put_keys(put, message->keys.keys, message->keys.count);
        break;
    case TSI_MESSAGE_COPY:
        tsi_put_u32(put, (uint32_t)message->copy.count);
        put_locations(put, message->copy.locations, message->copy.count);
        break;
    case TSI_MESSAGE_DROP_JOB:
    case TSI_MESSAGE_CANCEL:
    case TSI_MESSAGE_RELEASE:
        tsi_put_u32(put, message->job.job);
        break;
    case TSI_MESSAGE_DONE:
        put_done(put, message);
        break;
    case TSI_MESSAGE_ENDED:
        put_ended(put, &message->ended);
        break;
    default:
        put_client_body(put, message);
        break;
    }
}

static void
put_header(struct tsi_put *put, const struct tsi_message *message)
{
    tsi_put_u8(put, TSI_FORMAT_MAGIC_0);
    tsi_put_u8(put, TSI_FORMAT_MAGIC_1);
    tsi_put_u8(put, TSI_WIRE_VERSION);
    tsi_put_u8(put, message->type);
    tsi_put_u32(put, message->epoch);
    tsi_put_u32(put, message->peer);
    tsi_put_u32(put, 0); // length of the body, once it is known
}

bool
tsi_message_encode(const struct tsi_message *message, struct tsi_wire_buf *buf)
{
    struct tsi_put put = {.bytes = buf->bytes, .capacity = buf->capacity};
    put_header(&put, message);
    put_body(&put, message);
    if (!put.failed) {
        tsi_store_u32(put.bytes + TSI_FORMAT_LENGTH_AT, (uint32_t)(put.count - TSI_FORMAT_HEADER));
    }
    *buf = (struct tsi_wire_buf){put.bytes, put.count, put.capacity};
    return !put.failed && put.count <= TSI_WIRE_MESSAGE_MAX;
}

size_t
tsi_message_segment_head(const struct tsi_message *message,
                         unsigned char out[TSI_WIRE_SEGMENT_HEAD])
{
    memset(out, 0, TSI_WIRE_SEGMENT_HEAD);
    out[0] = TSI_FORMAT_MAGIC_0;
    out[1] = TSI_FORMAT_MAGIC_1;
    out[2] = TSI_WIRE_VERSION;
    out[3] = TSI_MESSAGE_SEGMENT;
    tsi_store_u32(out + 4, message->epoch);
    tsi_store_u32(out + 8, message->peer);
    tsi_store_u32(out + TSI_FORMAT_LENGTH_AT, TSI_FORMAT_SEGMENT);
    tsi_store_u64(out + TSI_FORMAT_HEADER, message->segment.key);
    tsi_store_u64(out + TSI_FORMAT_HEADER + 8, message->segment.offset);
    tsi_store_u64(out + TSI_FORMAT_HEADER + 16, message->segment.total);
    tsi_store_u64(out + TSI_FORMAT_HEADER + 24, message->segment.count);
    tsi_store_u64(out + TSI_FORMAT_HEADER + 32, message->segment.checksum);
    return TSI_FORMAT_HEADER + TSI_FORMAT_SEGMENT;
}

void
tsi_wire_buf_fini(struct tsi_wire_buf *buf)
{
    tsi_free(buf->bytes);
    *buf = (struct tsi_wire_buf){0};
}
