// SPDX-License-Identifier: Apache-2.0
//
// Messages through sockets, in frames: a route first where the socket is a ROUTER. Nothing blocks,
// and a message is never sent in part: all its memory is there before its first frame goes.

#include <errno.h>
#include <string.h>

#include "engine/net/net.h"

bool
tsi_net_send_part(void *socket, const struct tsi_route *route, zmq_msg_t *frame, bool more)
{
    const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    if ((route != NULL &&
         zmq_send(socket, route->bytes, route->count, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) ||
        zmq_msg_send(frame, socket, flags) < 0) {
        const int reason = errno;
        zmq_msg_close(frame);
        errno = reason;
        return false;
    }
    return true;
}

bool
tsi_net_send_frame(void *socket, const struct tsi_route *route, zmq_msg_t *frame)
{
    return tsi_net_send_part(socket, route, frame, false);
}

bool
tsi_net_send(void *socket, const struct tsi_route *route, const void *bytes, size_t count)
{
    zmq_msg_t frame;
    // First of all, so that a route is never sent without what is for it.
    if (zmq_msg_init_size(&frame, count) != 0) {
        errno = ENOMEM;
        return false;
    }
    if (count > 0) {
        memcpy(zmq_msg_data(&frame), bytes, count);
    }
    return tsi_net_send_frame(socket, route, &frame);
}

bool
tsi_net_is_own_route(const struct tsi_route *route)
{
    return route->count == 5 && route->bytes[0] == 0;
}

void
tsi_net_close_frames(zmq_msg_t *frames, int count)
{
    for (int i = 0; i < count; i++) {
        zmq_msg_close(&frames[i]);
    }
}

// One frame into `frame`; false if there is none.
static bool
receive_frame(void *socket, zmq_msg_t *frame)
{
    zmq_msg_init(frame);
    while (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
        if (errno != EINTR) {
            zmq_msg_close(frame);
            return false;
        }
    }
    return true;
}

static bool
take_route(void *socket, struct tsi_route *route)
{
    zmq_msg_t frame;
    if (!receive_frame(socket, &frame)) {
        return false;
    }
    *route = (struct tsi_route){.count = zmq_msg_size(&frame)};
    if (route->count > sizeof route->bytes) {
        route->count = 0;
    }
    memcpy(route->bytes, zmq_msg_data(&frame), route->count);
    zmq_msg_close(&frame);
    return true;
}

int
tsi_net_receive(void *socket, struct tsi_route *route, zmq_msg_t *frames, int frame_count)
{
    int count = 0;
    bool more = true;
    if (route != NULL && !take_route(socket, route)) {
        return 0;
    }
    while (more) {
        zmq_msg_t frame;
        if (!receive_frame(socket, &frame)) {
            return count;
        }
        more = zmq_msg_more(&frame) != 0;
        if (count < frame_count) {
            zmq_msg_init(&frames[count]);
            zmq_msg_move(&frames[count++], &frame);
        }
        zmq_msg_close(&frame);
    }
    return count;
}
