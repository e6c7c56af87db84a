// SPDX-License-Identifier: Apache-2.0
//
// Serves chunks. Each GET is answered by one SEGMENT, or by as many as fit the sending queue; the bytes
// go out from the chunk's own memory, which a reference keeps until libzmq has sent them. Where the queue
// to a peer is full, the rest of its request waits in a list and goes on in the next turn.

#include <errno.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/net/transfer.h"

enum {
    REQUESTS_PER_TURN = 256,
    WAITING_MAX = 4096, // requests that wait for room; more are refused
};

struct request {
    struct tsi_route route;
    tsi_key key;
    uint64_t offset;
    uint64_t end;
    struct tsi_buf *chunk; // a reference
};

struct tsi_server {
    void *socket;
    tsi_server_lookup *lookup;
    void *context;
    TSI_VEC(struct request) waiting;
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

void
tsi_server_free(struct tsi_server *server)
{
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < server->waiting.count; i++) {
        tsi_buf_unref(server->waiting.items[i].chunk);
    }
    tsi_net_close(server->socket, 0);
    tsi_vec_fini(&server->waiting);
    tsi_arena_fini(&server->scratch);
    tsi_wire_buf_fini(&server->out);
    tsi_free(server);
}

void *
tsi_server_socket(const struct tsi_server *server)
{
    return server->socket;
}

// Called on a thread of libzmq when the bytes have been sent.
static void
free_payload(void *data, void *hint)
{
    (void)data;
    tsi_buf_unref(hint);
}

enum sent { SENT, FULL, GONE };

static enum sent
send_segment(struct tsi_server *server, const struct request *request, size_t count)
{
    unsigned char head[TSI_WIRE_SEGMENT_HEAD];
    const struct tsi_message message = {.type = TSI_MESSAGE_SEGMENT,
                                        .segment = {.key = request->key,
                                                    .offset = request->offset,
                                                    .total = request->chunk->bytes,
                                                    .count = count}};
    const size_t head_bytes = tsi_message_segment_head(&message, head);
    zmq_msg_t payload;
    if (zmq_msg_init_data(&payload, request->chunk->data + request->offset, count, free_payload,
                          tsi_buf_ref(request->chunk)) != 0) {
        tsi_buf_unref(request->chunk);
        return GONE;
    }
    if (zmq_send(server->socket, request->route.bytes, request->route.count,
                 ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        const bool full = errno == EAGAIN;
        zmq_msg_close(&payload);
        return full ? FULL : GONE;
    }
    if (zmq_send(server->socket, head, head_bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send(&payload, server->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&payload);
        return GONE;
    }
    return SENT;
}

// Sends what the queue takes of `request`. True if it is finished with, for good or bad.
static bool
serve(struct tsi_server *server, struct request *request)
{
    do {
        const uint64_t left = request->end - request->offset;
        const size_t count = left < TSI_WIRE_SEGMENT_MAX ? (size_t)left : TSI_WIRE_SEGMENT_MAX;
        const enum sent sent = send_segment(server, request, count);
        if (sent != SENT) {
            return sent == GONE;
        }
        request->offset += count;
    } while (request->offset < request->end);
    return true;
}

static void
send_missing(struct tsi_server *server, const struct tsi_route *route, tsi_key key, const char *text)
{
    const struct tsi_message message = {
        .type = TSI_MESSAGE_MISSING,
        .missing = {.key = key, .text = text != NULL ? text : "no such chunk"}};
    if (tsi_message_encode(&message, &server->out)) {
        tsi_net_send(server->socket, route, server->out.bytes, server->out.count);
    }
}

static void
answer(struct tsi_server *server, const struct tsi_route *route, const struct tsi_message *message)
{
    const char *text = NULL;
    struct tsi_buf *chunk = server->lookup(server->context, message->get.key, &text);
    struct request request = {.route = *route,
                              .key = message->get.key,
                              .offset = message->get.offset,
                              .chunk = chunk};
    if (chunk == NULL || message->get.offset > chunk->bytes) {
        send_missing(server, route, message->get.key, text);
        tsi_buf_unref(chunk);
        return;
    }
    const uint64_t left = chunk->bytes - request.offset;
    request.end = request.offset + (message->get.length == 0 || message->get.length > left
                                        ? left
                                        : message->get.length);
    if (serve(server, &request)) {
        tsi_buf_unref(chunk);
    } else if (server->waiting.count == WAITING_MAX || !tsi_vec_push(&server->waiting, request)) {
        send_missing(server, route, message->get.key, "too many requests");
        tsi_buf_unref(chunk);
    }
}

static void
go_on(struct tsi_server *server)
{
    size_t kept = 0;
    for (size_t i = 0; i < server->waiting.count; i++) {
        struct request *request = &server->waiting.items[i];
        if (serve(server, request)) {
            tsi_buf_unref(request->chunk);
        } else {
            server->waiting.items[kept++] = *request;
        }
    }
    server->waiting.count = kept;
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
        const tess_status status =
            tsi_message_decode(zmq_msg_data(&frame), zmq_msg_size(&frame), &server->scratch,
                               &message, NULL);
        if (status == TESS_OK && message.type == TSI_MESSAGE_GET && route.count > 0) {
            answer(server, &route, &message);
        } else {
            server->bad_frames++;
        }
        tsi_net_close_frames(&frame, frames);
    }
}
