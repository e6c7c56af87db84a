// SPDX-License-Identifier: Apache-2.0
//
// One ROUTER in front, and behind it a DEALER for each connection, so that the server sees as many
// connections as there are.

#include "tests/support/snoop.h"

#include <stdio.h>
#include <string.h>

enum { ROUTES_MAX = 32, QUEUE = 0, TURN_MS = 20 };

struct route {
    unsigned char bytes[16];
    size_t count;
    void *socket;
};

struct routes {
    struct route items[ROUTES_MAX];
    int count;
};

static void
set(void *socket, int option, int value)
{
    zmq_setsockopt(socket, option, &value, sizeof value);
}

static void *
open_socket(struct test_snoop *snoop, int type)
{
    void *socket = zmq_socket(snoop->context, type);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_SNDHWM, QUEUE);
    set(socket, ZMQ_RCVHWM, QUEUE);
    // Whoever it stands before has a limit too.
    const int64_t most = (int64_t)1 << 27;
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
    return socket;
}

static struct route *
find_route(struct test_snoop *snoop, struct routes *routes, zmq_msg_t *name)
{
    for (int i = 0; i < routes->count; i++) {
        struct route *route = &routes->items[i];
        if (route->count == zmq_msg_size(name) &&
            memcmp(route->bytes, zmq_msg_data(name), route->count) == 0) {
            return route;
        }
    }
    if (routes->count == ROUTES_MAX || zmq_msg_size(name) > sizeof routes->items[0].bytes) {
        return NULL;
    }
    struct route *route = &routes->items[routes->count++];
    route->count = zmq_msg_size(name);
    memcpy(route->bytes, zmq_msg_data(name), route->count);
    route->socket = open_socket(snoop, ZMQ_DEALER);
    zmq_connect(route->socket, snoop->back);
    return route;
}

// All frames of one message; 0 if there is none.
static int
receive(void *socket, zmq_msg_t *frames)
{
    int count = 0;
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            return count;
        }
        more = zmq_msg_more(&frame) != 0;
        if (count <= TEST_SNOOP_FRAMES_MAX) {
            zmq_msg_init(&frames[count]);
            zmq_msg_move(&frames[count++], &frame);
        }
        zmq_msg_close(&frame);
    }
    return count;
}

// Sends copies, `times` times.
static void
pass(void *socket, const struct route *route, zmq_msg_t *frames, int count, int times)
{
    for (int t = 0; t < times; t++) {
        if (route != NULL) {
            zmq_send(socket, route->bytes, route->count, ZMQ_SNDMORE | ZMQ_DONTWAIT);
        }
        for (int i = 0; i < count; i++) {
            zmq_msg_t copy;
            zmq_msg_init(&copy);
            zmq_msg_copy(&copy, &frames[i]);
            if (zmq_msg_send(&copy, socket, ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0)) < 0) {
                zmq_msg_close(&copy);
            }
        }
    }
}

static void
close_frames(zmq_msg_t *frames, int count)
{
    for (int i = 0; i < count; i++) {
        zmq_msg_close(&frames[i]);
    }
}

static void
pass_from_front(struct test_snoop *snoop, struct routes *routes)
{
    zmq_msg_t frames[TEST_SNOOP_FRAMES_MAX + 1];
    int count;
    while ((count = receive(snoop->front, frames)) > 0) {
        const struct route *route = find_route(snoop, routes, &frames[0]);
        if (route != NULL && count > 1) {
            const int times = snoop->look(snoop->look_context, true, frames + 1, count - 1);
            pass(route->socket, NULL, frames + 1, count - 1, times);
        }
        close_frames(frames, count);
    }
}

static void
pass_from_back(struct test_snoop *snoop, const struct route *route)
{
    zmq_msg_t frames[TEST_SNOOP_FRAMES_MAX + 1];
    int count;
    while ((count = receive(route->socket, frames)) > 0) {
        const int times = snoop->look(snoop->look_context, false, frames, count);
        pass(snoop->front, route, frames, count, times);
        close_frames(frames, count);
    }
}

static void *
run(void *argument)
{
    struct test_snoop *snoop = argument;
    struct routes routes = {.count = 0};
    while (!atomic_load(&snoop->stop)) {
        zmq_pollitem_t items[1 + ROUTES_MAX] = {{.socket = snoop->front, .events = ZMQ_POLLIN}};
        for (int i = 0; i < routes.count; i++) {
            items[1 + i] = (zmq_pollitem_t){.socket = routes.items[i].socket, .events = ZMQ_POLLIN};
        }
        zmq_poll(items, 1 + routes.count, TURN_MS);
        pass_from_front(snoop, &routes);
        for (int i = 0; i < routes.count; i++) {
            pass_from_back(snoop, &routes.items[i]);
        }
    }
    for (int i = 0; i < routes.count; i++) {
        zmq_close(routes.items[i].socket);
    }
    zmq_close(snoop->front);
    return NULL;
}

bool
test_snoop_start(struct test_snoop *snoop, const char *front, const char *back,
                 test_snoop_look *look, void *context)
{
    *snoop = (struct test_snoop){.look = look, .look_context = context};
    snprintf(snoop->back, sizeof snoop->back, "%s", back);
    snoop->context = zmq_ctx_new();
    snoop->front = open_socket(snoop, ZMQ_ROUTER);
    return zmq_bind(snoop->front, front) == 0 &&
           pthread_create(&snoop->thread, NULL, run, snoop) == 0;
}

void
test_snoop_stop(struct test_snoop *snoop)
{
    atomic_store(&snoop->stop, true);
    pthread_join(snoop->thread, NULL);
    zmq_ctx_term(snoop->context);
}

bool
test_snoop_interpose(struct test_snoop *snoop, const char *path, test_snoop_look *look,
                     void *context)
{
    char front[256];
    char back[256];
    const int length = snprintf(back, sizeof back, "ipc://%s.behind", path);
    snprintf(front, sizeof front, "ipc://%s", path);
    return length > 0 && (size_t)length < sizeof back && rename(path, back + 6) == 0 &&
           test_snoop_start(snoop, front, back, look, context);
}
