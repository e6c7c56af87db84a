// SPDX-License-Identifier: Apache-2.0
//
// Chunks from one thread to another over ipc and over tcp with keys: they arrive bit by bit as they
// are, what cannot be had is reported, and neither garbage nor a reader that is slow nor a
// connection that breaks does harm.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "tests/support/random.h"
#include "tests/support/transfer_case.h"

enum { PEER = 5, SEGMENT = 4 << 20, MANY = 500 };

#define PATIENCE_NS (60 * TSI_SECOND)

static struct tsi_connection connection = {.insecure =
                                               true}; // what is tried here is not who gets in
static const char *place;                             // what is listened at
static bool borrows;                                  // large chunks are lent
static struct tsi_net *net;
static struct tsi_fetcher *fetcher;

static int right;  // chunks that arrived as they are
static int failed; // fetches that were reported as failed
static char why[TSI_ERROR_TEXT_MAX];

static void
require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s: %s (%d right, %d failed: %s)\n", place, what, right, failed, why);
        exit(EXIT_FAILURE);
    }
}

static void
take(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk, const char *text)
{
    (void)context;
    require(peer == PEER || chunk == NULL, "a chunk from nobody");
    if (chunk == NULL) {
        failed++;
        snprintf(why, sizeof why, "%s", text);
        return;
    }
    require(text == NULL && test_transfer_is_right(chunk, key), "a chunk arrived changed");
    right++;
    tsi_buf_unref(chunk);
}

// Lets the fetcher run until `count` fetches have ended.
static void
run_until(int count)
{
    const uint64_t end = tsi_clock_ns() + PATIENCE_NS;
    while (right + failed < count) {
        void *sockets[4];
        zmq_pollitem_t items[5];
        int socket_count = tsi_fetcher_sockets(fetcher, sockets, 4);
        for (int i = 0; i < socket_count; i++) {
            items[i] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
        }
        items[socket_count++] =
            (zmq_pollitem_t){.fd = tsi_fetcher_fd(fetcher), .events = ZMQ_POLLIN};
        const uint64_t now = tsi_clock_ns();
        const uint64_t deadline = tsi_fetcher_deadline(fetcher);
        require(now < end, "it takes too long");
        require(deadline != UINT64_MAX, "nothing is under way");
        zmq_poll(items, socket_count,
                 deadline <= now ? 0 : (long)((deadline - now) / TSI_MILLISECOND) + 1);
        tsi_fetcher_turn(fetcher, tsi_clock_ns());
    }
}

static void
start_fetch(tsi_key key, uint32_t peer)
{
    require(tsi_fetcher_start(fetcher, key, peer, (uint32_t)key, NULL), "a fetch cannot start");
}

static void
forget_counts(void)
{
    right = failed = 0;
    why[0] = '\0';
}

static void
start_fetcher(const char *endpoint)
{
    struct tsi_error error = {.status = TESS_OK};
    net = tsi_net_new(&connection, NULL, &error);
    fetcher = net != NULL ? tsi_fetcher_new(net, take, NULL) : NULL;
    require(fetcher != NULL && tsi_fetcher_peer(fetcher, PEER, endpoint, borrows), error.text);
    forget_counts();
}

static void
stop_fetcher(void)
{
    tsi_fetcher_free(fetcher);
    tsi_net_free(net);
}

static void
fetch_all_sizes(void)
{
    const uint64_t sizes[] = {0, 1, 255, SEGMENT - 1, SEGMENT, SEGMENT + 1, 10 * SEGMENT};
    const int count = sizeof sizes / sizeof *sizes;
    for (int i = 0; i < count; i++) { // one after the other
        forget_counts();
        start_fetch(test_transfer_key(10, sizes[i]), PEER);
        run_until(1);
        require(right == 1, "a chunk did not arrive");
    }
    forget_counts();
    for (int i = 0; i < count; i++) { // all at once
        start_fetch(test_transfer_key(11, sizes[i]), PEER);
    }
    run_until(count);
    require(right == count, "not all chunks arrived");
}

// More fetches than any queue holds.
static void
fetch_many(void)
{
    forget_counts();
    for (uint32_t i = 0; i < MANY; i++) {
        start_fetch(i % 7 == 3 ? TEST_TRANSFER_MISSING : test_transfer_key(100 + i, i), PEER);
        if (i % 7 == 3) {
            run_until((int)i + 1); // one key is fetched once at a time
        }
    }
    run_until(MANY);
    require(failed == (MANY + 3) / 7 && right == MANY - failed, "not all ended as they should");
}

static void
fail_as_told(void)
{
    forget_counts();
    start_fetch(TEST_TRANSFER_MISSING, PEER);
    run_until(1);
    require(failed == 1 && strcmp(why, "never heard of it") == 0, "the server's words");

    forget_counts();
    start_fetch(test_transfer_key(1, 5), PEER + 1);
    run_until(1);
    require(failed == 1 && strcmp(why, "the peer is not known") == 0, "an unknown peer");

    forget_counts();
    start_fetch(test_transfer_key(2, 2 * SEGMENT), PEER);
    start_fetch(test_transfer_key(2, 2 * SEGMENT), PEER);
    run_until(2);
    require(failed == 1 && right == 1, "one of two that are the same");

    forget_counts();
    require(tsi_fetcher_start(fetcher, test_transfer_key(3, 100), PEER, 99, NULL), "start");
    run_until(1);
    require(failed == 1 && strstr(why, "another chunk") != NULL, "another size");

    forget_counts();
    tsi_memory_fail_after(0);
    const bool started = tsi_fetcher_start(fetcher, test_transfer_key(3, 100), PEER, 100, NULL);
    tsi_memory_fail_after(-1);
    require(!started && tsi_fetcher_deadline(fetcher) == UINT64_MAX, "memory that runs out");
}

static void
lose_the_peer(const char *endpoint)
{
    forget_counts();
    start_fetch(test_transfer_key(20, 3 * SEGMENT), PEER);
    start_fetch(test_transfer_key(21, 10), PEER);
    tsi_fetcher_peer_gone(fetcher, PEER);
    require(tsi_fetcher_deadline(fetcher) == 0, "it is told at once");
    // The same chunk from the next incarnation, before the failure was told.
    require(tsi_fetcher_peer(fetcher, PEER, endpoint, borrows), "a peer");
    start_fetch(test_transfer_key(20, 3 * SEGMENT), PEER);
    run_until(3);
    require(failed == 2 && right == 1 && strcmp(why, "the peer is gone") == 0, "the peer is gone");
    tsi_fetcher_peer_gone(fetcher, 12345);
}

// A connection of a member that does not behave.
static void *
open_member(const char *endpoint)
{
    struct tsi_error error = {.status = TESS_OK};
    void *socket = tsi_net_connect(net, TSI_NET_DATA, endpoint, tsi_net_member_public(net), &error);
    require(socket != NULL, error.text);
    return socket;
}

static void
send_garbage(const char *endpoint)
{
    static const unsigned char header[] = {'T', 'S', TSI_WIRE_VERSION, TSI_MESSAGE_GET};
    struct test_random random = {42};
    void *socket = open_member(endpoint);
    for (int i = 0; i < 2000; i++) {
        unsigned char bytes[64];
        const int count = (int)test_random_between(&random, 0, sizeof bytes);
        for (int k = 0; k < count; k++) {
            bytes[k] = (unsigned char)test_random_bits(&random);
        }
        if (test_random_one_in(&random, 2)) { // a header that is nearly right
            memcpy(bytes, header, sizeof header);
        }
        zmq_send(socket, bytes, (size_t)count, test_random_one_in(&random, 3) ? ZMQ_SNDMORE : 0);
    }
    zmq_send(socket, "", 0, 0);
    forget_counts();
    start_fetch(test_transfer_key(30, SEGMENT + 1), PEER);
    run_until(1);
    require(right == 1, "served in spite of the garbage");
    tsi_net_close(socket, 0);
}

static void
send_get(void *socket, tsi_key key, uint64_t offset, uint64_t length)
{
    struct tsi_wire_buf out = {0};
    const struct tsi_message get = {.type = TSI_MESSAGE_GET, .get = {key, offset, length}};
    require(tsi_message_encode(&get, &out) && zmq_send(socket, out.bytes, out.count, 0) >= 0,
            "a GET");
    tsi_wire_buf_fini(&out);
}

// Reads the next answer and checks that it is the one to (key, offset, count).
static void
check_answer(void *socket, struct tsi_arena *scratch, tsi_key key, uint64_t offset, size_t count)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    struct tsi_message message;
    zmq_msg_t frames[2];
    require(zmq_poll(&item, 1, 10000) == 1, "an answer");
    const int frame_count = tsi_net_receive(socket, NULL, frames, 2);
    require(frame_count > 0 &&
                tsi_message_decode(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), scratch,
                                   &message, NULL) == TESS_OK,
            "an answer that can be read");
    if (key == TEST_TRANSFER_MISSING) {
        require(message.type == TSI_MESSAGE_MISSING && message.missing.key == key, "MISSING");
    } else {
        require(message.type == TSI_MESSAGE_SEGMENT && frame_count == 2, "SEGMENT");
        require(message.segment.key == key && message.segment.offset == offset &&
                    message.segment.count == count && zmq_msg_size(&frames[1]) == count,
                "the answers are in the order of the questions");
        const unsigned char *bytes = zmq_msg_data(&frames[1]);
        require(bytes[0] == test_transfer_byte(key, offset) &&
                    bytes[count - 1] == test_transfer_byte(key, offset + count - 1),
                "its bytes");
    }
    tsi_net_close_frames(frames, frame_count);
}

// Asks for far more than the queues hold before it reads anything.
static void
read_slowly(struct test_transfer_server *server)
{
    enum { PIECES = 400, PIECE = 64 << 10 };
    const tsi_key key = test_transfer_key(40, (uint64_t)PIECES * PIECE);
    const tsi_key whole = test_transfer_key(41, 5 * SEGMENT + 7);
    const int lookups = atomic_load(&server->lookups);
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    void *socket = open_member(server->endpoint);
    for (uint64_t i = 0; i < PIECES; i++) {
        send_get(socket, i % 100 == 50 ? TEST_TRANSFER_MISSING : key, i * PIECE, PIECE);
    }
    send_get(socket, whole, 0, 0);
    while (atomic_load(&server->lookups) < lookups + PIECES / 10) {
        zmq_poll(NULL, 0, 1);
    }
    forget_counts();
    start_fetch(test_transfer_key(42, SEGMENT), PEER);
    run_until(1);
    require(right == 1, "others are served meanwhile");
    for (uint64_t i = 0; i < PIECES; i++) {
        check_answer(socket, &scratch, i % 100 == 50 ? TEST_TRANSFER_MISSING : key, i * PIECE,
                     PIECE);
    }
    for (uint64_t i = 0; i < 5; i++) {
        check_answer(socket, &scratch, whole, i * SEGMENT, SEGMENT);
    }
    check_answer(socket, &scratch, whole, (uint64_t)5 * SEGMENT, 7);
    tsi_net_close(socket, 0);
    tsi_arena_fini(&scratch);
}

// One that asks for much and leaves.
static void
ask_and_leave(const char *endpoint)
{
    void *socket = open_member(endpoint);
    for (uint64_t i = 0; i < 50; i++) {
        send_get(socket, test_transfer_key(43, SEGMENT), 0, 0);
    }
    tsi_net_close(socket, 50);
    forget_counts();
    start_fetch(test_transfer_key(44, 1000), PEER);
    run_until(1);
    require(right == 1, "served after somebody left");
}

// The server goes away in the middle of a chunk, and another one takes its place.
static void
break_connection(struct test_transfer_server *server)
{
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    snprintf(endpoint, sizeof endpoint, "%s", server->endpoint);
    atomic_store(&server->pause_after, atomic_load(&server->lookups) + 3);
    forget_counts();
    start_fetch(test_transfer_key(50, 10 * SEGMENT), PEER);
    for (uint32_t i = 0; i < 50; i++) {
        start_fetch(test_transfer_key(51, i), PEER);
    }
    while (atomic_load(&server->lookups) < atomic_load(&server->pause_after)) {
        zmq_poll(NULL, 0, 1);
    }
    test_transfer_stop(server);
    require(test_transfer_start(server, &connection, endpoint), "a server at the same place");
    run_until(51);
    require(right == 51, "all arrive over the new connection");
}

// A connection that nobody needs is closed, and made again.
static void
leave_idle(void)
{
    void *sockets[4];
    require(tsi_fetcher_sockets(fetcher, sockets, 4) == 1, "a connection");
    tsi_fetcher_turn(fetcher, tsi_clock_ns() + 20 * TSI_SECOND);
    require(tsi_fetcher_sockets(fetcher, sockets, 4) == 1, "it stays for a minute");
    tsi_fetcher_turn(fetcher, tsi_clock_ns() + 70 * TSI_SECOND);
    require(tsi_fetcher_sockets(fetcher, sockets, 4) == 0, "it is closed then");
    stop_fetcher();
}

static void
test_place(const char *address)
{
    struct test_transfer_server server;
    place = address;
    require(test_transfer_start(&server, &connection, address), "the server cannot start");
    start_fetcher(server.endpoint);
    fetch_all_sizes();
    fetch_many();
    fail_as_told();
    send_garbage(server.endpoint);
    read_slowly(&server);
    ask_and_leave(server.endpoint);
    lose_the_peer(server.endpoint);
    fetch_all_sizes();
    leave_idle();
    start_fetcher(server.endpoint);
    fetch_all_sizes();
    break_connection(&server);

    require((tsi_fetcher_borrowed(fetcher) > 0) == borrows, "lent or not");

    // Fetches under way when the fetcher goes.
    start_fetch(test_transfer_key(60, 10 * SEGMENT), PEER);
    stop_fetcher();
    test_transfer_stop(&server);
    require(tsi_buf_bytes_now() == 0, "all memory is given back");
}

int
main(void)
{
    char directory[] = "/tmp/tessera-test-XXXXXX";
    char address[TSI_WIRE_ENDPOINT_MAX];
    char secret[TSI_KEY_TEXT];
    char made[128];
    place = "start";
    require(mkdtemp(directory) != NULL, "a directory");
    setenv("XDG_RUNTIME_DIR", directory, 1);
    require(tsi_net_data_address("ipc://", "", address, sizeof address, NULL) == TESS_OK,
            "an address");
    test_place(address);
    borrows = tsi_pages_share((uint64_t)1 << 30);
    test_place(address);
    require(tsi_net_make_keys(&connection, secret, NULL) == TESS_OK, "keys");
    test_place("tcp://127.0.0.1:*");
    snprintf(made, sizeof made, "%s/tessera", directory);
    require(remove(made) == 0 && remove(directory) == 0, "no socket is left behind");
    return EXIT_SUCCESS;
}
