// SPDX-License-Identifier: Apache-2.0
//
// Fetches chunks from many peers; source.c asks one of them. Each segment is copied to its place in
// a chunk, which is fresh memory or where the caller wants it. What does not fit what was asked for
// fails the fetch: sizes come from the program, never from the peer.
//
// A segment is held against its checksum before it is copied to its place, which may have the same
// chunk from elsewhere already. One that does not fit it fails the fetch; whoever asked for the
// chunk asks again, here or elsewhere.
//
// A peer answers in the order in which it was asked, and each GET by one SEGMENT or MISSING. So a
// segment that is not the next one of its fetch answers a fetch that ended long ago, and is
// dropped. When a connection breaks, what was under way is asked for again over a new one.
//
// A chunk gets its memory when it is first asked for, and what is large is not asked for before
// there is room for it.
//
// A chunk that is large enough for pages of its own, of a peer on this host, is asked of its lender
// first. What that refuses comes in segments, and so does everything once the lender is gone.
//
// The callback is called only from the turn, with the fetch in no list any more.

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/base/checksum.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/base/vec.h"
#include "engine/net/source.h"

enum {
    MESSAGES_PER_TURN = 32, // of one peer
    EVENTS_PER_TURN = 64,
};

// Bytes of a segment that is asked for. Fewer than a segment may have: libzmq makes memory for each
// message, and what the C library takes from the kernel anew each time costs more than all copies.
#define SEGMENT_BYTES ((uint64_t)1 << 20)

// When what waits for memory is looked at again.
#define WAIT_NS (2 * TSI_MILLISECOND)

#define TIMEOUT_NS (60 * TSI_SECOND)
#define CHECK_NS (1 * TSI_SECOND)

// Connections over which nothing was fetched for so long are closed; they are made again when they
// are needed.
#define IDLE_NS (60 * TSI_SECOND)

struct tsi_fetcher {
    struct tsi_net *net;
    tsi_fetcher_done *done;
    void *context;
    struct tsi_source_bounds bounds;
    TSI_VEC(struct tsi_source *) sources;
    struct tsi_map by_peer;
    struct tsi_fetch *failed; // to be reported
    size_t under_way;         // without those
    int events;               // of borrowers
    uint64_t borrowed;        // chunks
    uint64_t damaged;         // segments that did not fit their checksums
    uint64_t next_check_ns;
    struct tsi_arena scratch;
};

struct tsi_fetcher *
tsi_fetcher_new(struct tsi_net *net, tsi_fetcher_done *done, void *context)
{
    struct tsi_fetcher *fetcher = tsi_calloc(1, sizeof *fetcher);
    if (fetcher != NULL) {
        fetcher->net = net;
        fetcher->done = done;
        fetcher->context = context;
        fetcher->bounds = (struct tsi_source_bounds){SEGMENT_BYTES, UINT64_MAX, 0};
        fetcher->events = epoll_create1(EPOLL_CLOEXEC);
    }
    return fetcher;
}

void
tsi_fetcher_bound(struct tsi_fetcher *fetcher, uint64_t bytes)
{
    const uint64_t least = (uint64_t)128 << 10;
    const uint64_t part = bytes / 4;
    fetcher->bounds.ahead_bytes_max = bytes;
    fetcher->bounds.segment_bytes = part < least           ? least
                                    : part < SEGMENT_BYTES ? part
                                                           : SEGMENT_BYTES;
}

void
tsi_fetcher_free(struct tsi_fetcher *fetcher)
{
    if (fetcher == NULL) {
        return;
    }
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        tsi_source_free(fetcher->sources.items[i]);
    }
    tsi_source_free_fetches(fetcher->failed);
    if (fetcher->events >= 0) {
        close(fetcher->events);
    }
    tsi_vec_fini(&fetcher->sources);
    tsi_map_fini(&fetcher->by_peer);
    tsi_arena_fini(&fetcher->scratch);
    tsi_free(fetcher);
}

static struct tsi_source *
find_source(const struct tsi_fetcher *fetcher, uint32_t peer)
{
    const uint64_t *found = tsi_map_get(&fetcher->by_peer, peer);
    return found != NULL ? (struct tsi_source *)(uintptr_t)*found : NULL;
}

bool
tsi_fetcher_peer(struct tsi_fetcher *fetcher, uint32_t peer, const char *endpoint, bool is_here)
{
    if (find_source(fetcher, peer) != NULL) {
        return true;
    }
    struct tsi_source *source = tsi_source_new(fetcher->net, &fetcher->bounds, peer, endpoint,
                                               is_here && fetcher->events >= 0);
    if (source == NULL || !tsi_vec_reserve(&fetcher->sources, 1) ||
        !tsi_map_put(&fetcher->by_peer, peer, (uint64_t)(uintptr_t)source)) {
        tsi_source_free(source);
        return false;
    }
    tsi_vec_push(&fetcher->sources, source);
    return true;
}

// Puts a fetch that is in no list to those that are reported as failed in the next turn.
static void
put_to_failed(struct tsi_fetcher *fetcher, struct tsi_fetch *fetch, const char *why)
{
    tsi_buf_unref(fetch->chunk);
    fetch->chunk = NULL;
    fetch->failed = why;
    fetch->next = fetcher->failed;
    fetcher->failed = fetch;
}

static void
unlink_fetch(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch)
{
    tsi_source_unlink(source, fetch);
    fetcher->under_way--;
}

static void
fail(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch,
     const char *why)
{
    unlink_fetch(fetcher, source, fetch);
    put_to_failed(fetcher, fetch, why);
}

static void
fail_all(struct tsi_fetcher *fetcher, struct tsi_source *source, const char *why)
{
    while (source->first != NULL) {
        fail(fetcher, source, source->first, why);
    }
    while (source->wanted_first != NULL) {
        struct tsi_fetch *fetch = source->wanted_first;
        tsi_source_unlink_wanted(source, fetch);
        fetcher->under_way--;
        put_to_failed(fetcher, fetch, why);
    }
}

static void
ask(struct tsi_fetcher *fetcher, struct tsi_source *source)
{
    while (!tsi_source_ask(source)) {
        struct tsi_fetch *next = source->asking;
        if (source->socket == NULL || source->monitor == NULL || next == NULL) {
            fail_all(fetcher, source, "cannot connect to the peer");
            break;
        }
        fail(fetcher, source, next, "out of memory for the chunk");
    }
}

// Fetches a chunk, which is in no list, in segments. False when memory is out.
static bool
start_segments(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch)
{
    if (!tsi_source_link(source, fetch)) {
        return false;
    }
    fetcher->under_way++;
    ask(fetcher, source);
    return true;
}

// Fetches in segments what was to be borrowed.
static void
give_up_borrowing(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch)
{
    tsi_source_unlink_wanted(source, fetch);
    fetcher->under_way--;
    if (!start_segments(fetcher, source, fetch)) {
        put_to_failed(fetcher, fetch, "out of memory for the chunk");
    }
}

static void
let_borrower_go(struct tsi_fetcher *fetcher, struct tsi_source *source)
{
    if (source->borrower != NULL) {
        epoll_ctl(fetcher->events, EPOLL_CTL_DEL, tsi_borrower_socket(source->borrower), NULL);
        tsi_borrower_free(source->borrower, true);
        source->borrower = NULL;
    }
}

static void
lose_lender(struct tsi_fetcher *fetcher, struct tsi_source *source)
{
    let_borrower_go(fetcher, source);
    source->may_borrow = false;
    while (source->wanted_first != NULL) {
        give_up_borrowing(fetcher, source, source->wanted_first);
    }
}

static void
ask_lender(struct tsi_fetcher *fetcher, struct tsi_source *source)
{
    if (source->borrower != NULL && !tsi_source_ask_wanted(source)) {
        lose_lender(fetcher, source);
    }
}

static bool
has_lender(struct tsi_fetcher *fetcher, struct tsi_source *source)
{
    if (source->borrower == NULL && source->may_borrow) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = source->peer};
        source->borrower = tsi_borrower_new(source->endpoint, tsi_net_member_public(source->net));
        source->may_borrow = source->borrower != NULL &&
                             epoll_ctl(fetcher->events, EPOLL_CTL_ADD,
                                       tsi_borrower_socket(source->borrower), &event) == 0;
    }
    return source->may_borrow;
}

// False if the chunk cannot be borrowed.
static bool
start_borrowing(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch)
{
    if (fetch->bytes < TSI_PAGES_SHARED_MIN || !has_lender(fetcher, source) ||
        !tsi_source_link_wanted(source, fetch)) {
        return false;
    }
    fetcher->under_way++;
    ask_lender(fetcher, source);
    return true;
}

void
tsi_fetcher_peer_gone(struct tsi_fetcher *fetcher, uint32_t peer)
{
    struct tsi_source *source = find_source(fetcher, peer);
    if (source == NULL) {
        return;
    }
    fail_all(fetcher, source, "the peer is gone");
    let_borrower_go(fetcher, source);
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        if (fetcher->sources.items[i] == source) {
            fetcher->sources.items[i] = tsi_vec_last(&fetcher->sources);
            fetcher->sources.count--;
            break;
        }
    }
    tsi_map_remove(&fetcher->by_peer, peer);
    tsi_source_free(source);
}

bool
tsi_fetcher_start(struct tsi_fetcher *fetcher, tsi_key key, uint32_t peer, uint64_t bytes,
                  void *place)
{
    struct tsi_source *source = find_source(fetcher, peer);
    struct tsi_fetch *fetch = tsi_calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        return false;
    }
    *fetch = (struct tsi_fetch){.key = key, .peer = peer, .bytes = bytes, .place = place};
    if (source != NULL) {
        source->used_ns = tsi_clock_ns();
    }
    if (source == NULL || tsi_source_find(source, key) != NULL) {
        put_to_failed(fetcher, fetch,
                      source == NULL ? "the peer is not known" : "is being fetched already");
        return true;
    }
    if (start_borrowing(fetcher, source, fetch) || start_segments(fetcher, source, fetch)) {
        return true;
    }
    tsi_free(fetch);
    return false;
}

size_t
tsi_fetcher_give_up(struct tsi_fetcher *fetcher, uint32_t job, uint64_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        count += tsi_source_give_up(fetcher->sources.items[i], job, bytes);
    }
    fetcher->under_way -= count;
    return count;
}

int
tsi_fetcher_sockets(struct tsi_fetcher *fetcher, void **sockets, int max)
{
    int count = 0;
    for (size_t i = 0; i < fetcher->sources.count && count < max; i++) {
        if (fetcher->sources.items[i]->socket != NULL) {
            sockets[count++] = fetcher->sources.items[i]->socket;
        }
    }
    return count;
}

// Hands a fetch to the callback: its chunk, or, without one, why not.
static void
report(struct tsi_fetcher *fetcher, struct tsi_fetch *fetch, const char *text)
{
    fetcher->done(fetcher->context, fetch->key, fetch->peer, fetch->chunk, text);
    tsi_free(fetch);
}

// Takes in what the lender of `peer` has answered. The callback may make the peer go.
static void
take_borrowed(struct tsi_fetcher *fetcher, uint32_t peer)
{
    struct tsi_source *source = find_source(fetcher, peer);
    for (int i = 0; i < MESSAGES_PER_TURN && source != NULL && source->borrower != NULL; i++) {
        struct tsi_borrowed borrowed;
        const enum tsi_lease_received received = tsi_borrower_next(source->borrower, &borrowed);
        if (received == TSI_LEASE_NOTHING) {
            break;
        }
        struct tsi_fetch *fetch =
            received == TSI_LEASE_GOT ? tsi_source_find(source, borrowed.key) : NULL;
        if (received == TSI_LEASE_END) {
            lose_lender(fetcher, source);
        } else if (fetch == NULL || !fetch->is_wanted ||
                   (borrowed.chunk != NULL && borrowed.chunk->bytes != fetch->bytes)) {
            tsi_buf_unref(borrowed.chunk);
        } else if (borrowed.chunk == NULL) {
            give_up_borrowing(fetcher, source, fetch);
        } else {
            tsi_source_unlink_wanted(source, fetch);
            fetcher->under_way--;
            fetcher->borrowed++;
            fetch->chunk = borrowed.chunk;
            report(fetcher, fetch, NULL);
        }
        source = find_source(fetcher, peer);
    }
}

static void
take_all_borrowed(struct tsi_fetcher *fetcher)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const int count = epoll_wait(fetcher->events, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < count; i++) {
        take_borrowed(fetcher, events[i].data.u32);
    }
}

static void
report_failures(struct tsi_fetcher *fetcher)
{
    struct tsi_fetch *fetch = fetcher->failed;
    fetcher->failed = NULL;
    while (fetch != NULL) {
        struct tsi_fetch *next = fetch->next;
        report(fetcher, fetch, fetch->failed);
        fetch = next;
    }
}

static void
take_segment(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch,
             const struct tsi_message *message, zmq_msg_t *payload)
{
    const size_t count = payload != NULL ? zmq_msg_size(payload) : 0;
    const bool fits =
        count == message->segment.count && message->segment.total == fetch->chunk->bytes;
    if (fits && message->segment.offset != fetch->arrived) {
        return;
    }
    if (!fits || count != tsi_source_next_bytes(source, fetch)) {
        fail(fetcher, source, fetch, "the peer sent another chunk than was asked for");
        return;
    }
    if (tsi_checksum(count > 0 ? zmq_msg_data(payload) : "", count) != message->segment.checksum) {
        fetcher->damaged++;
        fail(fetcher, source, fetch, "the chunk was damaged on the way: its checksum is wrong");
        return;
    }
    if (count > 0) {
        memcpy(fetch->chunk->data + fetch->arrived, zmq_msg_data(payload), count);
    }
    tsi_source_arrived(source, fetch, count);
    if (fetch->arrived == fetch->chunk->bytes) {
        unlink_fetch(fetcher, source, fetch);
        report(fetcher, fetch, NULL);
    }
}

static void
take_missing(struct tsi_fetcher *fetcher, struct tsi_source *source, struct tsi_fetch *fetch,
             const char *text)
{
    unlink_fetch(fetcher, source, fetch);
    tsi_buf_unref(fetch->chunk);
    fetch->chunk = NULL;
    report(fetcher, fetch, text);
}

static void
take_message(struct tsi_fetcher *fetcher, struct tsi_source *source, zmq_msg_t *frames, int count)
{
    struct tsi_message message;
    if (tsi_message_decode(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), &fetcher->scratch,
                           &message, NULL) != TESS_OK ||
        (message.type != TSI_MESSAGE_SEGMENT && message.type != TSI_MESSAGE_MISSING)) {
        return;
    }
    const bool is_segment = message.type == TSI_MESSAGE_SEGMENT;
    struct tsi_fetch *fetch =
        tsi_source_find(source, is_segment ? message.segment.key : message.missing.key);
    if (fetch == NULL || fetch->gets == 0 || fetch->is_wanted) {
        return;
    }
    if (is_segment) {
        take_segment(fetcher, source, fetch, &message, count > 1 ? &frames[1] : NULL);
    } else {
        take_missing(fetcher, source, fetch, message.missing.text);
    }
}

// Takes in what `peer` has sent, a bounded number of messages, and asks for more. The callback may
// make the peer go.
static void
receive_from(struct tsi_fetcher *fetcher, uint32_t peer)
{
    struct tsi_source *source = find_source(fetcher, peer);
    for (int i = 0; i < MESSAGES_PER_TURN && source != NULL && source->socket != NULL; i++) {
        zmq_msg_t frames[2];
        const int count = tsi_net_receive(source->socket, NULL, frames, 2);
        if (count == 0) {
            break;
        }
        take_message(fetcher, source, frames, count);
        tsi_net_close_frames(frames, count);
        source = find_source(fetcher, peer);
    }
    if (source != NULL) {
        source->waits = false;
        ask_lender(fetcher, source);
        ask(fetcher, source);
    }
}

static void
close_idle(struct tsi_fetcher *fetcher, struct tsi_source *source, uint64_t now_ns)
{
    if (source->first != NULL || source->wanted_first != NULL ||
        now_ns < source->used_ns + IDLE_NS) {
        return;
    }
    tsi_source_disconnect(source);
    if (source->borrower != NULL && tsi_borrower_is_idle(source->borrower)) {
        let_borrower_go(fetcher, source);
    }
}

// Fetches are asked for and answered in order, so the first is the one that has waited longest.
static void
check(struct tsi_fetcher *fetcher, struct tsi_source *source, uint64_t now_ns)
{
    if (tsi_source_broke(source) && !tsi_source_start_again(source)) {
        fail_all(fetcher, source, "the connection to the peer breaks again and again");
    }
    const struct tsi_fetch *wanted = source->wanted_first;
    if (wanted != NULL && wanted->gets > 0 && now_ns > wanted->heard_ns + TIMEOUT_NS) {
        lose_lender(fetcher, source);
    }
    const struct tsi_fetch *first = source->first;
    if (first != NULL && first->gets > 0 && now_ns > first->heard_ns + TIMEOUT_NS) {
        fail_all(fetcher, source, "the peer does not answer");
        tsi_source_disconnect(source);
    }
}

void
tsi_fetcher_turn(struct tsi_fetcher *fetcher, uint64_t now_ns)
{
    take_all_borrowed(fetcher);
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        receive_from(fetcher, fetcher->sources.items[i]->peer);
    }
    if (now_ns >= fetcher->next_check_ns) {
        fetcher->next_check_ns = now_ns + CHECK_NS;
        for (size_t i = 0; i < fetcher->sources.count; i++) {
            check(fetcher, fetcher->sources.items[i], now_ns);
            close_idle(fetcher, fetcher->sources.items[i], now_ns);
        }
    }
    report_failures(fetcher);
}

uint64_t
tsi_fetcher_deadline(const struct tsi_fetcher *fetcher)
{
    if (fetcher->failed != NULL) {
        return 0;
    }
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        if (fetcher->sources.items[i]->waits) {
            return tsi_clock_ns() + WAIT_NS;
        }
    }
    return fetcher->under_way > 0 ? fetcher->next_check_ns : UINT64_MAX;
}

int
tsi_fetcher_fd(const struct tsi_fetcher *fetcher)
{
    return fetcher->events;
}

uint64_t
tsi_fetcher_borrowed(const struct tsi_fetcher *fetcher)
{
    return fetcher->borrowed;
}

uint64_t
tsi_fetcher_damaged(const struct tsi_fetcher *fetcher)
{
    return fetcher->damaged;
}
