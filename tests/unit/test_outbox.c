// SPDX-License-Identifier: Apache-2.0
//
// Of what waits for a peer that does not read the bytes are known, and there are never more of them
// than may be.

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/net/outbox.h"

enum { OVERHEAD = 192, MIB = 1 << 20, MESSAGE = MIB - OVERHEAD };

// A peer that does not listen yet, so that nothing leaves.
struct outbox_case {
    struct tsi_net *net;
    void *socket;
    struct tsi_outbox *outbox;
    char address[256];
};

static void
start(struct outbox_case *c)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    c->net = tsi_net_new(&connection, NULL, &error);
    snprintf(c->address, sizeof c->address, "ipc:///tmp/tessera-test-outbox-%ld", (long)getpid());
    c->socket = tsi_net_connect(c->net, TSI_NET_CONTROL, c->address, NULL, &error);
    c->outbox = tsi_outbox_new();
    cr_assert(c->socket != NULL && c->outbox != NULL, "%s", error.text);
}

static void
end(struct outbox_case *c)
{
    tsi_outbox_free(c->outbox);
    tsi_net_close(c->socket, 0);
    tsi_net_free(c->net);
}

static int
fill(struct outbox_case *c, const unsigned char *bytes)
{
    int sent = 0;
    while (sent < 1000 && tsi_outbox_send(c->outbox, c->socket, NULL, bytes, MESSAGE)) {
        sent++;
    }
    return sent;
}

Test(outbox, takes_so_many_bytes_and_no_more)
{
    struct outbox_case c;
    unsigned char *bytes = calloc(1, MESSAGE);
    start(&c);
    errno = 0;
    cr_assert(fill(&c, bytes) == TSI_OUTBOX_BYTES_MAX / MIB && errno == EAGAIN);
    cr_assert(tsi_outbox_bytes(c.outbox) == TSI_OUTBOX_BYTES_MAX);
    cr_assert(!tsi_outbox_has_room(c.outbox, 0));

    // The peer comes and reads: there is room again, for as much as before.
    struct tsi_error error;
    char bound[256];
    void *peer = tsi_net_bind(c.net, TSI_NET_CONTROL, c.address, bound, sizeof bound, &error);
    cr_assert(peer != NULL, "%s", error.text);
    for (uint64_t i = 0; i < TSI_OUTBOX_BYTES_MAX / MIB; i++) {
        zmq_pollitem_t item = {.socket = peer, .events = ZMQ_POLLIN};
        struct tsi_route route;
        zmq_msg_t frame;
        cr_assert(zmq_poll(&item, 1, 10000) == 1 && tsi_net_receive(peer, &route, &frame, 1) == 1);
        cr_assert(zmq_msg_size(&frame) == MESSAGE);
        zmq_msg_close(&frame);
    }
    for (int i = 0; i < 10000 && tsi_outbox_bytes(c.outbox) > 0; i++) {
        zmq_poll(NULL, 0, 1);
    }
    cr_assert(tsi_outbox_bytes(c.outbox) == 0);
    tsi_net_close(peer, 0);
    end(&c);
    free(bytes);
}

Test(outbox, a_message_to_which_nothing_is_in_the_way_is_always_taken)
{
    struct outbox_case c;
    start(&c);
    const size_t large = TSI_OUTBOX_BYTES_MAX + MIB;
    cr_assert(tsi_outbox_has_room(c.outbox, large));
    cr_assert(tsi_outbox_send(c.outbox, c.socket, NULL, "x", 1));
    cr_assert(tsi_outbox_bytes(c.outbox) == 1 + OVERHEAD, "small ones count as what they cost");
    cr_assert(!tsi_outbox_has_room(c.outbox, large));
    const size_t rest = TSI_OUTBOX_BYTES_MAX - 1 - 2 * OVERHEAD;
    cr_assert(tsi_outbox_has_room(c.outbox, rest) && !tsi_outbox_has_room(c.outbox, rest + 1));
    end(&c);
}

// What waits when the outbox is freed goes with the connection.
Test(outbox, is_freed_while_messages_wait)
{
    struct outbox_case c;
    start(&c);
    for (int i = 0; i < 100; i++) {
        cr_assert(tsi_outbox_send(c.outbox, c.socket, NULL, "message", 8));
    }
    end(&c);
    tsi_outbox_free(NULL);
}
