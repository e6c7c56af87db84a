// SPDX-License-Identifier: Apache-2.0
//
// What a reader of chunks may cost that asks and does not read: so many questions in line, so many
// bytes in the queue, so many bytes of chunks that are held for them. Each bound is met exactly,
// and others are served meanwhile. How chunks arrive is for tests/race.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/net/transfer.h"

enum { LINE_MAX = 1024 };

#define MIB ((size_t)1 << 20)
#define QUEUED_MAX (8 * (size_t)TSI_WIRE_SEGMENT_MAX)
#define PINNED_MAX (64 * MIB)
#define PATIENCE (20 * TSI_SECOND)

static char directory[64];
static unsigned char *memory; // of all chunks
static size_t chunk_bytes;
static bool is_later; // nothing is there yet
static atomic_int live;
static int live_most;

static struct tsi_net *net;
static struct tsi_server *server;
static char endpoint[TSI_WIRE_ENDPOINT_MAX];

static void
begin(void)
{
    snprintf(directory, sizeof directory, "/tmp/tessera-test-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void
finish(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0) {
        fprintf(stderr, "%s stays\n", directory);
    }
}

TestSuite(server, .init = begin, .fini = finish);

static void
free_chunk(void *owner)
{
    (void)owner;
    atomic_fetch_sub(&live, 1);
}

// A chunk for any key but 0.
static struct tsi_buf *
look_up(void *context, tsi_key key, const char **text)
{
    (void)context;
    if (is_later) {
        *text = tsi_server_later;
        return NULL;
    }
    if (key == 0) {
        return NULL;
    }
    const int now = atomic_fetch_add(&live, 1) + 1;
    live_most = now > live_most ? now : live_most;
    return tsi_buf_wrap(memory, chunk_bytes, free_chunk, NULL);
}

static void
start(size_t bytes)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[TSI_WIRE_ENDPOINT_MAX];
    chunk_bytes = bytes;
    memory = calloc(1, bytes + 1);
    live_most = 0;
    net = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    server = tsi_server_new(net, address, look_up, NULL, endpoint, &error);
    cr_assert(server != NULL && memory != NULL, "%s", error.text);
}

static void
end(void)
{
    tsi_server_free(server);
    tsi_net_free(net);
    cr_assert(atomic_load(&live) == 0, "%d chunks are still held", atomic_load(&live));
    free(memory);
}

// A reader that takes one message at a time from the transport, in a context of its own.
struct reader {
    void *context;
    void *socket;
};

static struct reader
open_reader(void)
{
    const int few = 1;
    const int linger = 0;
    struct reader reader = {.context = zmq_ctx_new()};
    reader.socket = zmq_socket(reader.context, ZMQ_DEALER);
    zmq_setsockopt(reader.socket, ZMQ_RCVHWM, &few, sizeof few);
    zmq_setsockopt(reader.socket, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert(zmq_connect(reader.socket, endpoint) == 0);
    return reader;
}

static void
close_reader(struct reader *reader)
{
    zmq_close(reader->socket);
    zmq_ctx_term(reader->context);
}

static void
ask(const struct reader *reader, tsi_key key, uint64_t length)
{
    const struct tsi_message get = {.type = TSI_MESSAGE_GET, .get = {.key = key, .length = length}};
    struct tsi_wire_buf out = {NULL, 0, 0};
    cr_assert(tsi_message_encode(&get, &out));
    cr_assert(zmq_send(reader->socket, out.bytes, out.count, 0) >= 0);
    tsi_wire_buf_fini(&out);
}

// Takes what has come, which may be nothing; how many messages.
static int
read_all(const struct reader *reader)
{
    int count = 0;
    int more = 0;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, reader->socket, ZMQ_DONTWAIT) >= 0) {
        more = zmq_msg_more(&frame);
        count += more == 0;
    }
    zmq_msg_close(&frame);
    return count;
}

static uint64_t end_ns;

// One turn of the server, a little later; the test fails when there were too many.
static void
turn(void)
{
    zmq_pollitem_t item = {.socket = tsi_server_socket(server), .events = ZMQ_POLLIN};
    zmq_poll(&item, 1, 1);
    tsi_server_turn(server);
    cr_assert(tsi_clock_ns() < end_ns, "it takes too long");
}

static void
read_until(const struct reader *reader, int count)
{
    for (int read = 0; read < count;) {
        turn();
        read += read_all(reader);
        cr_assert(read <= count, "%d answers are more than questions that were taken", read);
    }
}

Test(server, so_many_questions_of_a_reader_wait_and_the_others_are_dropped)
{
    enum { TOO_MANY = 100 };
    end_ns = tsi_clock_ns() + PATIENCE;
    start(8);
    struct reader greedy = open_reader();
    struct reader modest = open_reader();
    is_later = true;
    for (int i = 0; i < LINE_MAX + TOO_MANY; i++) {
        ask(&greedy, 0, 0);
    }
    while (tsi_server_bad_frames(server) < TOO_MANY) {
        turn();
    }
    cr_assert(tsi_server_deadline(server) < UINT64_MAX, "nobody waits");
    // Another one is answered, behind whose questions there are none of the first any more.
    is_later = false;
    ask(&modest, 1, 0);
    read_until(&modest, 1);
    cr_assert(tsi_server_bad_frames(server) == TOO_MANY, "%d were dropped",
              (int)tsi_server_bad_frames(server));
    read_until(&greedy, LINE_MAX);
    turn();
    cr_assert(tsi_server_deadline(server) == UINT64_MAX && read_all(&greedy) == 0);
    close_reader(&greedy);
    close_reader(&modest);
    end();
}

// Asks for `count` chunks without reading, then reads; at most `most` of the chunks were held at a
// time, and as many as that. The lookup of a question that has to wait holds one more.
static void
hold(int count, uint64_t length, int most)
{
    struct reader reader = open_reader();
    end_ns = tsi_clock_ns() + PATIENCE;
    for (int i = 0; i < count; i++) {
        ask(&reader, 1 + (tsi_key)i, length);
    }
    for (int i = 0; i < 200; i++) {
        turn();
    }
    cr_assert(live_most == most + 1, "%d chunks were held at a time", live_most - 1);
    struct reader other = open_reader();
    ask(&other, 999, length);
    read_until(&other, 1);
    close_reader(&other);
    read_until(&reader, count);
    close_reader(&reader);
}

Test(server, so_many_bytes_wait_for_a_reader)
{
    start(TSI_WIRE_SEGMENT_MAX);
    hold(40, 0, (int)(QUEUED_MAX / TSI_WIRE_SEGMENT_MAX));
    end();
}

// Small parts of large chunks.
Test(server, so_many_bytes_of_chunks_are_held_for_a_reader)
{
    start(16 * MIB);
    hold(400, 2000, (int)(PINNED_MAX / (16 * MIB)));
    end();
}
