// SPDX-License-Identifier: Apache-2.0
//
// Serves chunks. Each GET is answered by SEGMENTs of at most TSI_WIRE_SEGMENT_MAX bytes, or by
// MISSING; the bytes go out from the chunk's own memory, which a reference keeps until libzmq has
// sent them.
//
// A reader gets its answers in the order of its questions. What waits in libzmq's queue for it is
// bounded, in bytes and in the memory of the chunks that these bytes are of; beyond that its
// questions wait in a line, and all later ones join that line. A question holds no chunk: it is
// looked up when its turn comes. So a reader that asks and never reads costs a bounded amount,
// whatever it asks for.

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/net/lender.h"

enum {
    REQUESTS_PER_TURN = 256,
    LINE_MAX_REQUESTS = 1024, // that wait for one reader; more are dropped
};

// Bytes of segments that may wait for one reader, more than a fetcher asks for at once, and bytes
// of the chunks that they are parts of. One chunk may be larger.
#define QUEUED_BYTES_MAX (8 * (uint64_t)TSI_WIRE_SEGMENT_MAX)
#define PINNED_BYTES_MAX ((uint64_t)64 << 20)

// Lines are looked at again after so long. A queue has no descriptor to poll for room.
#define RETRY_NS (2 * TSI_MILLISECOND)

struct request {
    tsi_key key;
    uint64_t offset;
    uint64_t length; // 0: to the end
};

// One connection that asks. It is there while anything waits for it.
struct reader {
    struct tsi_route route;
    TSI_VEC(struct request) line;
    tsi_key last; // whose segment was sent last
    atomic_uint_fast64_t queued_bytes;
    atomic_uint_fast64_t pinned_bytes;
    atomic_uint refs; // the server's, and one for each segment in the queue
};

// A segment in the queue. Of those of one chunk in a row, the first stands for the chunk's memory.
struct payload {
    atomic_bool is_made; // handed over with what is written before it
    struct reader *reader;
    struct tsi_buf *chunk;
    uint64_t queued_bytes;
    uint64_t pinned_bytes;
};

const char tsi_server_later[] = "not yet";

struct tsi_server {
    void *socket;
    struct tsi_lender *lender; // NULL: nothing is lent
    tsi_server_lookup *lookup;
    void *context;
    TSI_VEC(struct reader *) readers;
    struct tsi_arena scratch;
    struct tsi_wire_buf out;
    uint64_t bad_frames;
};

struct tsi_server *
tsi_server_new(struct tsi_net *net, const char *address, tsi_server_lookup *lookup, void *context,
               char endpoint[TSI_WIRE_ENDPOINT_MAX], struct tsi_error *error)
{
    struct tsi_server *server = tsi_calloc(1, sizeof *server);
    if (server == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "data server: out of memory");
        return NULL;
    }
    server->lookup = lookup;
    server->context = context;
    server->socket =
        tsi_net_bind(net, TSI_NET_DATA, address, endpoint, TSI_WIRE_ENDPOINT_MAX, error);
    if (server->socket == NULL) {
        tsi_free(server);
        return NULL;
    }
    server->lender = tsi_lender_new(endpoint, tsi_net_member_public(net), lookup, context);
    return server;
}

static void
unref_reader(struct reader *reader)
{
    if (atomic_fetch_sub_explicit(&reader->refs, 1, memory_order_acq_rel) == 1) {
        tsi_vec_fini(&reader->line);
        tsi_free(reader);
    }
}

void
tsi_server_free(struct tsi_server *server)
{
    if (server == NULL) {
        return;
    }
    tsi_lender_free(server->lender);
    for (size_t i = 0; i < server->readers.count; i++) {
        unref_reader(server->readers.items[i]);
    }
    tsi_net_close(server->socket, 0);
    tsi_vec_fini(&server->readers);
    tsi_arena_fini(&server->scratch);
    tsi_wire_buf_fini(&server->out);
    tsi_free(server);
}

void *
tsi_server_socket(const struct tsi_server *server)
{
    return server->socket;
}

int
tsi_server_fd(const struct tsi_server *server)
{
    return server->lender != NULL ? tsi_lender_fd(server->lender) : -1;
}

enum sent { SENT, FULL, GONE };

// What the failure of a send means.
static enum sent
failure(void)
{
    return errno == EAGAIN ? FULL : GONE;
}

// Called on a thread of libzmq when the bytes have been sent.
static void
free_payload(void *data, void *hint)
{
    struct payload *payload = hint;
    (void)data;
    (void)atomic_load_explicit(&payload->is_made, memory_order_acquire);
    struct reader *reader = payload->reader;
    tsi_buf_unref(payload->chunk);
    atomic_fetch_sub_explicit(&reader->queued_bytes, payload->queued_bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&reader->pinned_bytes, payload->pinned_bytes, memory_order_relaxed);
    tsi_free(payload);
    unref_reader(reader);
}

static bool
make_payload(struct reader *reader, const struct request *request, struct tsi_buf *chunk,
             size_t count, zmq_msg_t *frame)
{
    struct payload *payload = tsi_alloc(sizeof *payload);
    if (payload == NULL) {
        return false;
    }
    const bool is_first = reader->last != request->key ||
                          atomic_load_explicit(&reader->pinned_bytes, memory_order_relaxed) == 0;
    *payload = (struct payload){.reader = reader,
                                .chunk = tsi_buf_ref(chunk),
                                .queued_bytes = count,
                                .pinned_bytes = is_first ? chunk->bytes : 0};
    atomic_fetch_add_explicit(&reader->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&reader->queued_bytes, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&reader->pinned_bytes, payload->pinned_bytes, memory_order_relaxed);
    reader->last = request->key;
    atomic_store_explicit(&payload->is_made, true, memory_order_release);
    if (zmq_msg_init_data(frame, chunk->data + request->offset, count, free_payload, payload) !=
        0) {
        free_payload(NULL, payload);
        return false;
    }
    return true;
}

// Makes both frames before anything is sent, so that a message is never sent in part.
static bool
make_segment(struct reader *reader, const struct request *request, struct tsi_buf *chunk,
             size_t count, zmq_msg_t *head, zmq_msg_t *payload)
{
    unsigned char bytes[TSI_WIRE_SEGMENT_HEAD];
    const struct tsi_message message = {
        .type = TSI_MESSAGE_SEGMENT,
        .segment = {.key = request->key,
                    .offset = request->offset,
                    .total = chunk->bytes,
                    .count = count,
                    .checksum = tsi_checksum(chunk->data + request->offset, count)}};
    // The checksum is that of the chunk, or of what nobody shall have.
    if (!tsi_buf_is_sound(chunk)) {
        return false;
    }
    const size_t head_bytes = tsi_message_segment_head(&message, bytes);
    if (zmq_msg_init_size(head, head_bytes) != 0) {
        return false;
    }
    memcpy(zmq_msg_data(head), bytes, head_bytes);
    if (!make_payload(reader, request, chunk, count, payload)) {
        zmq_msg_close(head);
        return false;
    }
    return true;
}

static bool
has_room(const struct reader *reader, const struct request *request, const struct tsi_buf *chunk,
         size_t count)
{
    const uint64_t queued = atomic_load_explicit(&reader->queued_bytes, memory_order_relaxed);
    const uint64_t pinned = atomic_load_explicit(&reader->pinned_bytes, memory_order_relaxed);
    return queued == 0 ||
           (queued + count <= QUEUED_BYTES_MAX && (pinned == 0 || reader->last == request->key ||
                                                   pinned + chunk->bytes <= PINNED_BYTES_MAX));
}

static enum sent
send_segment(struct tsi_server *server, struct reader *reader, const struct request *request,
             struct tsi_buf *chunk, size_t count)
{
    zmq_msg_t head;
    zmq_msg_t payload;
    const struct tsi_route *route = &reader->route;
    if (!has_room(reader, request, chunk, count)) {
        return FULL;
    }
    if (!make_segment(reader, request, chunk, count, &head, &payload)) {
        return GONE;
    }
    if (zmq_send(server->socket, route->bytes, route->count, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(&head, server->socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(&payload, server->socket, ZMQ_DONTWAIT) < 0) {
        const enum sent why = failure();
        zmq_msg_close(&head); // without effect on one that was sent
        zmq_msg_close(&payload);
        return why;
    }
    return SENT;
}

static enum sent
send_missing(struct tsi_server *server, const struct tsi_route *route, tsi_key key,
             const char *text)
{
    const struct tsi_message message = {
        .type = TSI_MESSAGE_MISSING,
        .missing = {.key = key, .text = text != NULL ? text : "no such chunk"}};
    if (!tsi_message_encode(&message, &server->out)) {
        return GONE;
    }
    return tsi_net_send(server->socket, route, server->out.bytes, server->out.count) ? SENT
                                                                                     : failure();
}

// Sends the segments of `chunk` that are asked for, as far as there is room; notes how far that is.
static enum sent
send_segments(struct tsi_server *server, struct reader *reader, struct request *request,
              struct tsi_buf *chunk)
{
    enum sent sent;
    bool is_whole;
    do {
        const uint64_t there = chunk->bytes - request->offset;
        const uint64_t left =
            request->length == 0 || request->length > there ? there : request->length;
        const size_t count = left < TSI_WIRE_SEGMENT_MAX ? (size_t)left : TSI_WIRE_SEGMENT_MAX;
        is_whole = count == left;
        sent = send_segment(server, reader, request, chunk, count);
        if (sent == SENT && !is_whole) {
            request->offset += count;
            request->length -= request->length == 0 ? 0 : count;
        }
    } while (sent == SENT && !is_whole);
    return sent;
}

// True if `request` is finished with, for good or bad.
static bool
serve(struct tsi_server *server, struct reader *reader, struct request *request)
{
    const char *text = NULL;
    struct tsi_buf *chunk = server->lookup(server->context, request->key, &text);
    enum sent sent;
    if (chunk == NULL && text == tsi_server_later) {
        sent = FULL;
    } else if (chunk == NULL) {
        sent = send_missing(server, &reader->route, request->key, text);
    } else if (request->offset > chunk->bytes) {
        sent = send_missing(server, &reader->route, request->key, "the chunk ends before that");
    } else {
        sent = send_segments(server, reader, request, chunk);
    }
    tsi_buf_unref(chunk);
    return sent != FULL;
}

static struct reader *
find_reader(struct tsi_server *server, const struct tsi_route *route)
{
    for (size_t i = 0; i < server->readers.count; i++) {
        struct reader *reader = server->readers.items[i];
        if (memcmp(reader->route.bytes, route->bytes, route->count) == 0) {
            return reader;
        }
    }
    return NULL;
}

static struct reader *
add_reader(struct tsi_server *server, const struct tsi_route *route)
{
    struct reader *reader = tsi_calloc(1, sizeof *reader);
    if (reader == NULL || !tsi_vec_push(&server->readers, reader)) {
        tsi_free(reader);
        return NULL;
    }
    reader->route = *route;
    atomic_init(&reader->refs, 1);
    return reader;
}

static void
answer(struct tsi_server *server, const struct tsi_route *route, const struct tsi_message *message)
{
    struct request request = {message->get.key, message->get.offset, message->get.length};
    struct reader *reader = find_reader(server, route);
    reader = reader != NULL ? reader : add_reader(server, route);
    if (reader == NULL) {
        server->bad_frames++;
        return;
    }
    if (reader->line.count == 0 && serve(server, reader, &request)) {
        return;
    }
    if (reader->line.count == LINE_MAX_REQUESTS || !tsi_vec_push(&reader->line, request)) {
        server->bad_frames++;
    }
}

// Answers those in line as far as there is room.
static void
go_on_with(struct tsi_server *server, struct reader *reader)
{
    size_t served = 0;
    while (served < reader->line.count && serve(server, reader, &reader->line.items[served])) {
        served++;
    }
    reader->line.count -= served;
    if (served > 0 && reader->line.count > 0) {
        memmove(reader->line.items, reader->line.items + served,
                reader->line.count * sizeof *reader->line.items);
    }
}

// Goes on with the lines, and forgets readers for which nothing waits.
static void
go_on(struct tsi_server *server)
{
    size_t kept = 0;
    for (size_t i = 0; i < server->readers.count; i++) {
        struct reader *reader = server->readers.items[i];
        go_on_with(server, reader);
        if (reader->line.count == 0 &&
            atomic_load_explicit(&reader->refs, memory_order_acquire) == 1) {
            unref_reader(reader);
        } else {
            server->readers.items[kept++] = reader;
        }
    }
    server->readers.count = kept;
}

void
tsi_server_turn(struct tsi_server *server)
{
    if (server->lender != NULL) {
        tsi_lender_turn(server->lender, tsi_clock_ns());
    }
    go_on(server);
    for (int i = 0; i < REQUESTS_PER_TURN; i++) {
        struct tsi_route route;
        struct tsi_message message;
        zmq_msg_t frame;
        const int frames = tsi_net_receive(server->socket, &route, &frame, 1);
        if (frames == 0) {
            return;
        }
        const tess_status status = tsi_message_decode(zmq_msg_data(&frame), zmq_msg_size(&frame),
                                                      &server->scratch, &message, NULL);
        if (status == TESS_OK && message.type == TSI_MESSAGE_GET && tsi_net_is_own_route(&route)) {
            answer(server, &route, &message);
        } else {
            server->bad_frames++;
        }
        tsi_net_close_frames(&frame, frames);
    }
}

uint64_t
tsi_server_deadline(const struct tsi_server *server)
{
    for (size_t i = 0; i < server->readers.count; i++) {
        if (server->readers.items[i]->line.count > 0) {
            return tsi_clock_ns() + RETRY_NS;
        }
    }
    return server->lender != NULL ? tsi_lender_deadline(server->lender) : UINT64_MAX;
}

uint64_t
tsi_server_bad_frames(const struct tsi_server *server)
{
    return server->bad_frames;
}
