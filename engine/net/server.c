// SPDX-License-Identifier: Apache-2.0
//
// Serves chunks. Each GET is answered by SEGMENTs of at most TSI_WIRE_SEGMENT_MAX bytes, or by
// MISSING; the bytes go out from the chunk's own memory, which a reference keeps until libzmq has
// sent them.
//
// A peer gets its answers in the order of its questions. Where the queue to it is full, its answers
// wait in a line, and all later ones join that line.

#include <errno.h>
#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/net/transfer.h"

enum {
    REQUESTS_PER_TURN = 256,
    LINE_MAX_REQUESTS = 1024, // that wait for one peer; more are dropped
};

// Lines are looked at again after so long. A queue has no descriptor to poll for room.
#define RETRY_NS (2 * TSI_MILLISECOND)

struct request {
    tsi_key key;
    uint64_t offset;
    uint64_t end;
    struct tsi_buf *chunk; // a reference; NULL: MISSING is to be answered
    const char *text;      // of MISSING
};

struct line {
    struct tsi_route route;
    TSI_VEC(struct request) requests;
};

struct tsi_server {
    void *socket;
    tsi_server_lookup *lookup;
    void *context;
    TSI_VEC(struct line) lines;
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
    return server;
}

static void
free_line(struct line *line)
{
    for (size_t i = 0; i < line->requests.count; i++) {
        tsi_buf_unref(line->requests.items[i].chunk);
    }
    tsi_vec_fini(&line->requests);
}

void
tsi_server_free(struct tsi_server *server)
{
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < server->lines.count; i++) {
        free_line(&server->lines.items[i]);
    }
    tsi_net_close(server->socket, 0);
    tsi_vec_fini(&server->lines);
    tsi_arena_fini(&server->scratch);
    tsi_wire_buf_fini(&server->out);
    tsi_free(server);
}

void *
tsi_server_socket(const struct tsi_server *server)
{
    return server->socket;
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
    (void)data;
    tsi_buf_unref(hint);
}

// Makes both frames before anything is sent, so that a message is never sent in part.
static bool
make_segment(const struct request *request, size_t count, zmq_msg_t *head, zmq_msg_t *payload)
{
    unsigned char bytes[TSI_WIRE_SEGMENT_HEAD];
    const unsigned char *start = request->chunk->data + request->offset;
    const struct tsi_message message = {.type = TSI_MESSAGE_SEGMENT,
                                        .segment = {.key = request->key,
                                                    .offset = request->offset,
                                                    .total = request->chunk->bytes,
                                                    .count = count,
                                                    .checksum = tsi_checksum(start, count)}};
    const size_t head_bytes = tsi_message_segment_head(&message, bytes);
    if (zmq_msg_init_size(head, head_bytes) != 0) {
        return false;
    }
    memcpy(zmq_msg_data(head), bytes, head_bytes);
    if (zmq_msg_init_data(payload, (void *)(uintptr_t)start, count, free_payload,
                          tsi_buf_ref(request->chunk)) != 0) {
        tsi_buf_unref(request->chunk);
        zmq_msg_close(head);
        return false;
    }
    return true;
}

static enum sent
send_segment(struct tsi_server *server, const struct tsi_route *route,
             const struct request *request, size_t count)
{
    zmq_msg_t head;
    zmq_msg_t payload;
    if (!make_segment(request, count, &head, &payload)) {
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
send_missing(struct tsi_server *server, const struct tsi_route *route,
             const struct request *request)
{
    const struct tsi_message message = {
        .type = TSI_MESSAGE_MISSING,
        .missing = {.key = request->key,
                    .text = request->text != NULL ? request->text : "no such chunk"}};
    if (!tsi_message_encode(&message, &server->out)) {
        return GONE;
    }
    return tsi_net_send(server->socket, route, server->out.bytes, server->out.count) ? SENT
                                                                                     : failure();
}

// Sends what the queue takes. True if `request` is finished with, for good or bad.
static bool
serve(struct tsi_server *server, const struct tsi_route *route, struct request *request)
{
    enum sent sent = SENT;
    if (request->chunk == NULL) {
        return send_missing(server, route, request) != FULL;
    }
    do {
        const uint64_t left = request->end - request->offset;
        const size_t count = left < TSI_WIRE_SEGMENT_MAX ? (size_t)left : TSI_WIRE_SEGMENT_MAX;
        sent = send_segment(server, route, request, count);
        request->offset += sent == SENT ? count : 0;
    } while (sent == SENT && request->offset < request->end);
    if (sent != FULL) {
        tsi_buf_unref(request->chunk);
    }
    return sent != FULL;
}

static struct line *
find_line(struct tsi_server *server, const struct tsi_route *route)
{
    for (size_t i = 0; i < server->lines.count; i++) {
        struct line *line = &server->lines.items[i];
        if (line->route.count == route->count &&
            memcmp(line->route.bytes, route->bytes, route->count) == 0) {
            return line;
        }
    }
    return NULL;
}

// Puts a request to the end of the line of its peer; drops it if that is too long.
static void
wait_in_line(struct tsi_server *server, const struct tsi_route *route,
             const struct request *request)
{
    struct line *line = find_line(server, route);
    if (line == NULL && tsi_vec_reserve(&server->lines, 1)) {
        line = &server->lines.items[server->lines.count++];
        *line = (struct line){.route = *route};
    }
    if (line == NULL || line->requests.count == LINE_MAX_REQUESTS ||
        !tsi_vec_push(&line->requests, *request)) {
        server->bad_frames++;
        tsi_buf_unref(request->chunk);
    }
}

static void
answer(struct tsi_server *server, const struct tsi_route *route, const struct tsi_message *message)
{
    struct request request = {.key = message->get.key, .offset = message->get.offset};
    request.chunk = server->lookup(server->context, request.key, &request.text);
    if (request.chunk != NULL && request.offset > request.chunk->bytes) {
        tsi_buf_unref(request.chunk);
        request.chunk = NULL;
        request.text = "the chunk ends before that";
    }
    if (request.chunk != NULL) {
        const uint64_t left = request.chunk->bytes - request.offset;
        const uint64_t length = message->get.length;
        request.end = request.offset + (length == 0 || length > left ? left : length);
    }
    if (find_line(server, route) != NULL || !serve(server, route, &request)) {
        wait_in_line(server, route, &request);
    }
}

// Answers those in line as far as the queue of their peer takes it; true if nobody is left.
static bool
go_on_with(struct tsi_server *server, struct line *line)
{
    size_t served = 0;
    while (served < line->requests.count &&
           serve(server, &line->route, &line->requests.items[served])) {
        served++;
    }
    line->requests.count -= served;
    memmove(line->requests.items, line->requests.items + served,
            line->requests.count * sizeof *line->requests.items);
    return line->requests.count == 0;
}

static void
go_on(struct tsi_server *server)
{
    size_t kept = 0;
    for (size_t i = 0; i < server->lines.count; i++) {
        struct line *line = &server->lines.items[i];
        if (go_on_with(server, line)) {
            free_line(line);
        } else {
            server->lines.items[kept++] = *line;
        }
    }
    server->lines.count = kept;
}

void
tsi_server_turn(struct tsi_server *server)
{
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
        if (status == TESS_OK && message.type == TSI_MESSAGE_GET && route.count > 0) {
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
    return server->lines.count > 0 ? tsi_clock_ns() + RETRY_NS : UINT64_MAX;
}
