// SPDX-License-Identifier: Apache-2.0
//
// A member that is made of nothing but its socket, for what no sound member does. It takes one
// message at a time from the transport, and only when it is asked to.

#ifndef TESS_TEST_STUB_H
#define TESS_TEST_STUB_H

#include <zmq.h>

#include "engine/net/connection.h"
#include "scheduler/wire/message.h"
#include "tests/support/processes.h"

struct test_stub {
    void *context;
    void *socket;
    uint32_t epoch; // of what it sends
    uint32_t peer;
    struct tsi_wire_buf out;
};

// A connection to `address`, with the keys of `connection` if that is not NULL and has some. The
// server's key is that of the scheduler where the address is the connection's, else the members'.
struct test_stub test_stub_open(const char *address, const struct tsi_connection *connection);

// A worker or client that has read the welcome, and confirmed it.
struct test_stub test_stub_join(const struct test_cluster *cluster, uint8_t role);

void test_stub_send(struct test_stub *stub, struct tsi_message *message);
void test_stub_close(struct test_stub *stub);

#endif
