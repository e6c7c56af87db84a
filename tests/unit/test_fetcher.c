// SPDX-License-Identifier: Apache-2.0
//
// What a fetcher asks of a peer before it has an answer: so many questions, each for so many bytes,
// one after the other from the start of the chunk. And chunks that land where the caller wants
// them: what comes is there and nowhere else, what is damaged is not, and nothing is written there
// any more once the fetch was given up. How other chunks arrive is for tests/race.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/checksum.h"
#include "engine/base/clock.h"
#include "engine/net/transfer.h"

#define KIB ((uint64_t)1 << 10)
#define PATIENCE_MS 20000
#define QUIET_MS 200
#define SEGMENT (1024 * KIB)
#define CHUNK (SEGMENT + 300 * KIB)

enum { PEER = 7, KEY = 42, JOB = 3, OTHER = 4, GUARD = 64, UNTOUCHED = 0xa5 };

static char directory[64];
static struct tsi_net *net;
static struct tsi_fetcher *fetcher;
static void *peer;
static struct tsi_route route; // of the fetcher, once it has asked

static unsigned char sent[CHUNK];              // what a chunk is that is sent
static unsigned char place[CHUNK + 2 * GUARD]; // with guards around
static int reports;
static tsi_key reported;
static const unsigned char *landed; // NULL: it failed
static char why[128];

static void
note(void *context, tsi_key key, uint32_t from, struct tsi_buf *chunk, const char *text)
{
    (void)context;
    (void)from;
    reports++;
    reported = key;
    landed = chunk != NULL ? chunk->data : NULL;
    snprintf(why, sizeof why, "%s", text != NULL ? text : "");
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
    fetcher = tsi_fetcher_new(net, note, NULL);
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

// Takes the next question, which must be for `count` bytes of a chunk from `offset` on; false if
// none comes.
static bool
is_asked(tsi_key key, uint64_t offset, uint64_t count, int patience_ms)
{
    zmq_pollitem_t item = {.socket = peer, .events = ZMQ_POLLIN};
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
    cr_assert(message.type == TSI_MESSAGE_GET && message.get.key == key);
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
        cr_assert(is_asked(KEY, (uint64_t)i * count, count, PATIENCE_MS), "only %d questions", i);
    }
    cr_assert(!is_asked(KEY, (uint64_t)gets * count, count, QUIET_MS), "more than %d questions",
              gets);
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

static void
make_place(void)
{
    for (size_t i = 0; i < CHUNK; i++) {
        sent[i] = (unsigned char)(i * 7 + i / 1000);
    }
    memset(place, UNTOUCHED, sizeof place);
}

// Whether the place is as it was from byte `from` on, and before its first one.
static bool
is_untouched(size_t from)
{
    bool same = true;
    for (size_t i = 0; i < GUARD; i++) {
        same = same && place[i] == UNTOUCHED;
    }
    for (size_t i = GUARD + from; i < CHUNK + 2 * GUARD; i++) {
        same = same && place[i] == UNTOUCHED;
    }
    return same;
}

// Starts to fetch a chunk, and lets the peer hear the two questions for it.
static void
start(tsi_key key, void *where)
{
    cr_assert(tsi_fetcher_start(fetcher, key, PEER, CHUNK, where));
    tsi_fetcher_turn(fetcher, tsi_clock_ns());
    cr_assert(is_asked(key, 0, SEGMENT, PATIENCE_MS));
    cr_assert(is_asked(key, SEGMENT, CHUNK - SEGMENT, PATIENCE_MS));
}

// Answers the question for the bytes from `offset` on; `damage` is added to the checksum.
static void
answer(tsi_key key, size_t offset, uint64_t damage)
{
    const size_t count = CHUNK - offset < SEGMENT ? CHUNK - offset : SEGMENT;
    const struct tsi_message message = {
        .type = TSI_MESSAGE_SEGMENT,
        .segment = {.key = key,
                    .offset = offset,
                    .total = CHUNK,
                    .count = count,
                    .checksum = tsi_checksum(sent + offset, count) + damage}};
    unsigned char head[TSI_WIRE_SEGMENT_HEAD];
    zmq_msg_t frames[2];
    const size_t head_bytes = tsi_message_segment_head(&message, head);
    cr_assert(zmq_msg_init_size(&frames[0], head_bytes) == 0);
    cr_assert(zmq_msg_init_size(&frames[1], count) == 0);
    memcpy(zmq_msg_data(&frames[0]), head, head_bytes);
    memcpy(zmq_msg_data(&frames[1]), sent + offset, count);
    cr_assert(tsi_net_send_part(peer, &route, &frames[0], true));
    cr_assert(zmq_msg_send(&frames[1], peer, 0) >= 0);
}

// Answers both questions; `damage` is of the second answer.
static void
answer_all(tsi_key key, uint64_t damage)
{
    answer(key, 0, 0);
    answer(key, SEGMENT, damage);
}

static void
await_reports(int count)
{
    const uint64_t end = tsi_clock_ns() + PATIENCE_MS * TSI_MILLISECOND;
    while (reports < count && tsi_clock_ns() < end) {
        tsi_fetcher_turn(fetcher, tsi_clock_ns());
    }
    cr_assert(reports == count, "%d reports instead of %d", reports, count);
}

Test(fetcher, a_chunk_is_where_it_was_wanted)
{
    const tsi_key key = tsi_key_of(JOB, 1);
    make_place();
    start(key, place + GUARD);
    answer_all(key, 0);
    await_reports(1);
    cr_assert(landed == place + GUARD && reported == key);
    cr_assert(memcmp(landed, sent, CHUNK) == 0 && is_untouched(CHUNK));
}

Test(fetcher, what_is_damaged_does_not_get_there)
{
    const tsi_key key = tsi_key_of(JOB, 1);
    make_place();
    start(key, place + GUARD);
    answer_all(key, 1);
    await_reports(1);
    cr_assert(landed == NULL && strstr(why, "damaged") != NULL, "%s", why);
    cr_assert(memcmp(place + GUARD, sent, SEGMENT) == 0 && is_untouched(SEGMENT));
}

Test(fetcher, nothing_is_written_once_it_was_given_up)
{
    const tsi_key given_up[] = {tsi_key_of(JOB, 1), tsi_key_of(JOB, 2)};
    const tsi_key other = tsi_key_of(OTHER, 1);
    uint64_t bytes = 0;
    make_place();
    start(given_up[0], place + GUARD);
    start(given_up[1], NULL);
    start(other, NULL);
    cr_assert(tsi_fetcher_give_up(fetcher, JOB, &bytes) == 2 && bytes == 2 * CHUNK);
    cr_assert(tsi_fetcher_give_up(fetcher, JOB, &bytes) == 0 && bytes == 0);
    for (int i = 0; i < 2; i++) {
        answer_all(given_up[i], 0);
    }
    answer_all(other, 0);
    await_reports(1);
    cr_assert(reported == other && landed != NULL, "what came after it did come");
    cr_assert(is_untouched(0));
}
