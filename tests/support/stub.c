// SPDX-License-Identifier: Apache-2.0

#include "tests/support/stub.h"

#include <errno.h>
#include <string.h>

void
test_stub_send(struct test_stub *stub, struct tsi_message *message)
{
    message->epoch = stub->epoch;
    message->peer = stub->peer;
    test_check(tsi_message_encode(message, &stub->out), "a message");
    test_check(zmq_send(stub->socket, stub->out.bytes, stub->out.count, 0) >= 0, "%s",
               zmq_strerror(errno));
}

// The bytes of the next message are in `frame`.
static void
receive_message(struct test_stub *stub, zmq_msg_t *frame, struct tsi_arena *scratch,
                struct tsi_message *message)
{
    zmq_msg_init(frame);
    test_check(zmq_msg_recv(frame, stub->socket, 0) >= 0, "%s", zmq_strerror(errno));
    test_check(tsi_message_decode(zmq_msg_data(frame), zmq_msg_size(frame), scratch, message,
                                  NULL) == TESS_OK,
               "a message that can be read");
}

static void
set_keys(void *socket, const char *address, const struct tsi_connection *connection)
{
    const char *server = strcmp(address, connection->address) == 0 ? connection->scheduler_public
                                                                   : connection->member_public;
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, strlen(server));
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, connection->member_public, TSI_KEY_TEXT - 1);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, connection->member_secret, TSI_KEY_TEXT - 1);
}

struct test_stub
test_stub_open(const char *address, const struct tsi_connection *connection)
{
    const int few = 1;
    const int linger = 0;
    const int timeout = 10000;
    struct test_stub stub = {.context = zmq_ctx_new()};
    stub.socket = zmq_socket(stub.context, ZMQ_DEALER);
    zmq_setsockopt(stub.socket, ZMQ_RCVHWM, &few, sizeof few);
    zmq_setsockopt(stub.socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(stub.socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(stub.socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    if (connection != NULL && connection->has_keys) {
        set_keys(stub.socket, address, connection);
    }
    test_check(zmq_connect(stub.socket, address) == 0, "%s", address);
    return stub;
}

void
test_stub_close(struct test_stub *stub)
{
    zmq_close(stub->socket);
    zmq_ctx_term(stub->context);
    tsi_wire_buf_fini(&stub->out);
}

// Joins the cluster as a member that reads the welcome and nothing afterwards.
struct test_stub
test_stub_join(const struct test_cluster *cluster, uint8_t role)
{
    struct tsi_connection connection;
    struct tsi_arena scratch;
    struct tsi_message message;
    zmq_msg_t frame;
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = role,
                                          .name = "stub",
                                          .library = "0",
                                          .endpoint = "ipc:///nowhere",
                                          .host = "nowhere",
                                          .threads = 1,
                                          .memory_bytes = (uint64_t)1 << 33}};
    test_check(tsi_connection_read(cluster->file, &connection, NULL) == TESS_OK, "no file");
    struct test_stub stub = test_stub_open(connection.address, &connection);
    tsi_arena_init(&scratch);
    test_stub_send(&stub, &hello);
    receive_message(&stub, &frame, &scratch, &message);
    test_check(message.type == TSI_MESSAGE_WELCOME, "no welcome");
    stub.epoch = message.epoch;
    stub.peer = message.welcome.peer;
    zmq_msg_close(&frame);
    tsi_arena_fini(&scratch);
    struct tsi_message heartbeat = {.type = TSI_MESSAGE_HEARTBEAT};
    test_stub_send(&stub, &heartbeat);
    return stub;
}
