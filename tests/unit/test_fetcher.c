// SPDX-License-Identifier: Apache-2.0
//
// What a fetcher asks of a peer before it has an answer: so many questions, each for so many bytes,
// one after the other from the start of the chunk. How chunks arrive is for tests/race.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/net/transfer.h"

#define KIB ((uint64_t)1 << 10)
#define PATIENCE_MS 20000
#define QUIET_MS 200

enum { PEER = 7, KEY = 42 };

static char directory[64];
static struct tsi_net *net;
static struct tsi_fetcher *fetcher;
static void *peer;

static void
ignore(void *context, tsi_key key, uint32_t from, struct tsi_buf *chunk, const char *text)
{
    (void)context;
    (void)key;
    (void)from;
    (void)text;
    tsi_buf_unref(chunk);
}

static void
begin(void)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[TSI_WIRE_ENDPOINT_MAX];
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    snprintf(directory, sizeof directory, "/tmp/tessera-test-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    setenv("XDG_RUNTIME_DIR", directory, 1);
    net = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    peer = tsi_net_bind(net, TSI_NET_DATA, address, endpoint, sizeof endpoint, &error);
    fetcher = tsi_fetcher_new(net, ignore, NULL);
    cr_assert(peer != NULL && fetcher != NULL, "%s", error.text);
    cr_assert(tsi_fetcher_peer(fetcher, PEER, endpoint, false));
}

static void
finish(void)
{
    char command[128];
    tsi_fetcher_free(fetcher);
    tsi_net_close(peer, 0);
    tsi_net_free(net);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0) {
        fprintf(stderr, "%s stays\n", directory);
    }
}

TestSuite(fetcher, .init = begin, .fini = finish);

// Takes the next question, which must be for `count` bytes from `offset` on; false if none comes.
static bool
is_asked(uint64_t offset, uint64_t count, int patience_ms)
{
    zmq_pollitem_t item = {.socket = peer, .events = ZMQ_POLLIN};
    struct tsi_route route;
    struct tsi_arena scratch;
    struct tsi_message message;
    zmq_msg_t frame;
    if (zmq_poll(&item, 1, patience_ms) != 1) {
        return false;
    }
    tsi_arena_init(&scratch);
    cr_assert(tsi_net_receive(peer, &route, &frame, 1) == 1);
    cr_assert(tsi_message_decode(zmq_msg_data(&frame), zmq_msg_size(&frame), &scratch, &message,
                                 NULL) == TESS_OK);
    cr_assert(message.type == TSI_MESSAGE_GET && message.get.key == KEY);
    cr_assert(message.get.offset == offset && message.get.length == count,
              "%llu bytes from %llu on instead of %llu from %llu on",
              (unsigned long long)message.get.length, (unsigned long long)message.get.offset,
              (unsigned long long)count, (unsigned long long)offset);
    tsi_net_close_frames(&frame, 1);
    tsi_arena_fini(&scratch);
    return true;
}

// The peer gets exactly `gets` questions for `count` bytes each.
static void
check_window(int gets, uint64_t count)
{
    cr_assert(tsi_fetcher_start(fetcher, KEY, PEER, 1024 * KIB * KIB, NULL));
    tsi_fetcher_turn(fetcher, tsi_clock_ns());
    for (int i = 0; i < gets; i++) {
        cr_assert(is_asked((uint64_t)i * count, count, PATIENCE_MS), "only %d questions", i);
    }
    cr_assert(!is_asked((uint64_t)gets * count, count, QUIET_MS), "more than %d questions", gets);
}

Test(fetcher, so_much_is_asked_for_ahead)
{
    check_window(4, 1024 * KIB);
}

Test(fetcher, a_bound_on_what_is_under_way_is_kept)
{
    tsi_fetcher_bound(fetcher, 2048 * KIB);
    check_window(4, 512 * KIB);
}

Test(fetcher, little_memory_makes_small_segments)
{
    tsi_fetcher_bound(fetcher, 600 * KIB);
    check_window(4, 150 * KIB);
}

Test(fetcher, no_memory_makes_no_smaller_ones)
{
    tsi_fetcher_bound(fetcher, 1);
    check_window(1, 128 * KIB);
}
