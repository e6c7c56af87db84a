// SPDX-License-Identifier: Apache-2.0
//
// Fetches chunks. The fetches from one peer are asked for one after the other, segment by segment, with a
// bounded number of segments under way; each segment is copied to its place in a fresh chunk. What does
// not fit what was asked for fails the fetch: sizes come from the program, never from the peer.
//
// A peer answers in the order in which it was asked, and each GET by one SEGMENT or MISSING. So a segment
// that is not the next one of its fetch is an answer to a fetch that ended long ago, and is dropped. When
// a connection breaks, what was under way is asked for again over a new one.

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/net/transfer.h"

enum {
    // Questions to one peer under way. With the 31 that libzmq may not have counted off yet they are fewer
    // than the 64 of the queues, so that neither side's queue fills.
    GETS_MAX = 32,
    MESSAGES_PER_TURN = 32, // of one peer
    BREAKS_MAX = 3,         // of a connection, one after the other without a segment in between
};

#define BYTES_AHEAD (4 * (uint64_t)TSI_WIRE_SEGMENT_MAX)
#define TIMEOUT_NS (60 * TSI_SECOND)
#define CHECK_NS (1 * TSI_SECOND)

struct fetch {
    tsi_key key;
    uint32_t peer;
    struct fetch *next; // in the list of its source, or of those that failed
    struct fetch *before;
    struct tsi_buf *chunk;
    uint64_t asked;   // up to here
    uint64_t arrived; // up to here
    uint32_t gets;    // under way
    uint64_t heard_ns;
    const char *failed; // why, once it has
};

struct source {
    uint32_t peer;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    void *socket; // NULL until it is needed
    void *monitor;
    struct fetch *first; // in order of their start
    struct fetch *last;
    struct fetch *asking; // all before it have been asked for to their end
    struct tsi_map by_key;
    uint32_t gets; // under way
    uint64_t bytes_ahead;
    int breaks;
};

struct tsi_fetcher {
    struct tsi_net *net;
    tsi_fetcher_done *done;
    void *context;
    TSI_VEC(struct source *) sources;
    struct tsi_map by_peer;
    struct fetch *failed; // to be reported
    size_t fetch_count;   // without those
    uint64_t next_check_ns;
    struct tsi_arena scratch;
    struct tsi_wire_buf out;
};

struct tsi_fetcher *
tsi_fetcher_new(struct tsi_net *net, tsi_fetcher_done *done, void *context)
{
    struct tsi_fetcher *fetcher = tsi_calloc(1, sizeof *fetcher);
    if (fetcher != NULL) {
        fetcher->net = net;
        fetcher->done = done;
        fetcher->context = context;
    }
    return fetcher;
}

static void
free_fetches(struct fetch *fetch)
{
    while (fetch != NULL) {
        struct fetch *next = fetch->next;
        tsi_buf_unref(fetch->chunk);
        tsi_free(fetch);
        fetch = next;
    }
}

static void
disconnect(struct source *source)
{
    tsi_net_unwatch(source->socket, source->monitor);
    tsi_net_close(source->socket, 0);
    source->socket = NULL;
    source->monitor = NULL;
}

static void
free_source(struct source *source)
{
    disconnect(source);
    free_fetches(source->first);
    tsi_map_fini(&source->by_key);
    tsi_free(source);
}

void
tsi_fetcher_free(struct tsi_fetcher *fetcher)
{
    if (fetcher == NULL) {
        return;
    }
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        free_source(fetcher->sources.items[i]);
    }
    free_fetches(fetcher->failed);
    tsi_vec_fini(&fetcher->sources);
    tsi_map_fini(&fetcher->by_peer);
    tsi_arena_fini(&fetcher->scratch);
    tsi_wire_buf_fini(&fetcher->out);
    tsi_free(fetcher);
}

static struct source *
find_source(const struct tsi_fetcher *fetcher, uint32_t peer)
{
    const uint64_t *found = tsi_map_get(&fetcher->by_peer, peer);
    return found != NULL ? (struct source *)(uintptr_t)*found : NULL;
}

bool
tsi_fetcher_peer(struct tsi_fetcher *fetcher, uint32_t peer, const char *endpoint)
{
    if (find_source(fetcher, peer) != NULL) {
        return true;
    }
    struct source *source = tsi_calloc(1, sizeof *source);
    if (source == NULL || !tsi_vec_reserve(&fetcher->sources, 1) ||
        !tsi_map_put(&fetcher->by_peer, peer, (uint64_t)(uintptr_t)source)) {
        tsi_free(source);
        return false;
    }
    source->peer = peer;
    snprintf(source->endpoint, sizeof source->endpoint, "%s", endpoint);
    tsi_vec_push(&fetcher->sources, source);
    return true;
}

// Puts a fetch that is in no list to those that are reported as failed in the next turn.
static void
put_to_failed(struct tsi_fetcher *fetcher, struct fetch *fetch, const char *why)
{
    tsi_buf_unref(fetch->chunk);
    fetch->chunk = NULL;
    fetch->failed = why;
    fetch->next = fetcher->failed;
    fetcher->failed = fetch;
}

// Takes a fetch out of the list of its source.
static void
unlink_fetch(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch)
{
    *(fetch->before != NULL ? &fetch->before->next : &source->first) = fetch->next;
    *(fetch->next != NULL ? &fetch->next->before : &source->last) = fetch->before;
    if (source->asking == fetch) {
        source->asking = fetch->next;
    }
    source->gets -= fetch->gets;
    source->bytes_ahead -= fetch->asked - fetch->arrived;
    tsi_map_remove(&source->by_key, fetch->key);
    fetcher->fetch_count--;
}

static void
fail(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch, const char *why)
{
    unlink_fetch(fetcher, source, fetch);
    put_to_failed(fetcher, fetch, why);
}

static void
fail_all(struct tsi_fetcher *fetcher, struct source *source, const char *why)
{
    while (source->first != NULL) {
        fail(fetcher, source, source->first, why);
    }
}

void
tsi_fetcher_peer_gone(struct tsi_fetcher *fetcher, uint32_t peer)
{
    struct source *source = find_source(fetcher, peer);
    if (source == NULL) {
        return;
    }
    fail_all(fetcher, source, "the peer is gone");
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        if (fetcher->sources.items[i] == source) {
            fetcher->sources.items[i] = tsi_vec_last(&fetcher->sources);
            fetcher->sources.count--;
            break;
        }
    }
    tsi_map_remove(&fetcher->by_peer, peer);
    free_source(source);
}

static bool
connect_to(struct tsi_fetcher *fetcher, struct source *source)
{
    if (source->socket == NULL) {
        source->socket = tsi_net_connect(fetcher->net, TSI_NET_DATA, source->endpoint,
                                         tsi_net_member_public(fetcher->net), NULL);
    }
    if (source->socket != NULL && source->monitor == NULL) {
        source->monitor = tsi_net_monitor(fetcher->net, source->socket, NULL);
    }
    return source->monitor != NULL;
}

// Sends the next GET of `fetch`; false if that cannot be done now.
static bool
send_get(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch)
{
    const uint64_t left = fetch->chunk->bytes - fetch->asked;
    const uint64_t length = left < TSI_WIRE_SEGMENT_MAX ? left : TSI_WIRE_SEGMENT_MAX;
    const struct tsi_message message = {
        .type = TSI_MESSAGE_GET,
        .get = {.key = fetch->key, .offset = fetch->asked, .length = length}};
    if (!tsi_message_encode(&message, &fetcher->out) ||
        !tsi_net_send(source->socket, NULL, fetcher->out.bytes, fetcher->out.count)) {
        return false;
    }
    if (fetch->gets == 0) {
        fetch->heard_ns = tsi_clock_ns();
    }
    fetch->asked += length;
    fetch->gets++;
    source->bytes_ahead += length;
    source->gets++;
    return true;
}

// Asks for as much as may be under way. An empty chunk is asked for once, so that a peer that lost it can
// say so.
static void
ask(struct tsi_fetcher *fetcher, struct source *source)
{
    if (source->asking != NULL && !connect_to(fetcher, source)) {
        fail_all(fetcher, source, "cannot connect to the peer");
        return;
    }
    while (source->asking != NULL && source->gets < GETS_MAX &&
           source->bytes_ahead < BYTES_AHEAD && send_get(fetcher, source, source->asking)) {
        if (source->asking->asked == source->asking->chunk->bytes) {
            source->asking = source->asking->next;
        }
    }
}

// Puts a fetch to the end of the list of its source; false when memory is out.
static bool
link_fetch(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch)
{
    if (!tsi_map_put(&source->by_key, fetch->key, (uint64_t)(uintptr_t)fetch)) {
        return false;
    }
    fetch->before = source->last;
    *(source->last != NULL ? &source->last->next : &source->first) = fetch;
    source->last = fetch;
    source->asking = source->asking != NULL ? source->asking : fetch;
    fetcher->fetch_count++;
    return true;
}

bool
tsi_fetcher_start(struct tsi_fetcher *fetcher, tsi_key key, uint32_t peer, uint64_t bytes)
{
    struct source *source = find_source(fetcher, peer);
    struct fetch *fetch = tsi_calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        return false;
    }
    *fetch = (struct fetch){.key = key, .peer = peer};
    if (source == NULL || tsi_map_get(&source->by_key, key) != NULL) {
        put_to_failed(fetcher, fetch,
                      source == NULL ? "the peer is not known" : "is being fetched already");
        return true;
    }
    fetch->chunk = tsi_buf_new((size_t)bytes);
    if (fetch->chunk == NULL || !link_fetch(fetcher, source, fetch)) {
        tsi_buf_unref(fetch->chunk);
        tsi_free(fetch);
        return false;
    }
    ask(fetcher, source);
    return true;
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

static void
report_arrival(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch)
{
    unlink_fetch(fetcher, source, fetch);
    fetcher->done(fetcher->context, fetch->key, fetch->peer, fetch->chunk, NULL);
    tsi_free(fetch);
}

static void
report_failures(struct tsi_fetcher *fetcher)
{
    struct fetch *fetch = fetcher->failed;
    fetcher->failed = NULL;
    while (fetch != NULL) {
        struct fetch *next = fetch->next;
        fetcher->done(fetcher->context, fetch->key, fetch->peer, NULL, fetch->failed);
        tsi_free(fetch);
        fetch = next;
    }
}

static void
take_segment(struct tsi_fetcher *fetcher, struct source *source, struct fetch *fetch,
             const struct tsi_message *message, zmq_msg_t *payload)
{
    const size_t count = payload != NULL ? zmq_msg_size(payload) : 0;
    if (message->segment.offset != fetch->arrived && count == message->segment.count) {
        return;
    }
    if (count != message->segment.count || message->segment.total != fetch->chunk->bytes ||
        count > fetch->asked - fetch->arrived || (count == 0 && fetch->chunk->bytes > 0)) {
        fail(fetcher, source, fetch, "the peer sent another chunk than was asked for");
        return;
    }
    if (count > 0) {
        memcpy(fetch->chunk->data + fetch->arrived, zmq_msg_data(payload), count);
    }
    fetch->arrived += count;
    fetch->heard_ns = tsi_clock_ns();
    fetch->gets--;
    source->gets--;
    source->bytes_ahead -= count;
    source->breaks = 0;
    if (fetch->arrived == fetch->chunk->bytes) {
        report_arrival(fetcher, source, fetch);
    }
}

static void
take_message(struct tsi_fetcher *fetcher, struct source *source, zmq_msg_t *frames, int count)
{
    struct tsi_message message;
    if (tsi_message_decode(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), &fetcher->scratch,
                           &message, NULL) != TESS_OK) {
        return;
    }
    const bool is_segment = message.type == TSI_MESSAGE_SEGMENT;
    if (!is_segment && message.type != TSI_MESSAGE_MISSING) {
        return;
    }
    const uint64_t *found =
        tsi_map_get(&source->by_key, is_segment ? message.segment.key : message.missing.key);
    struct fetch *fetch = found != NULL ? (struct fetch *)(uintptr_t)*found : NULL;
    if (fetch == NULL || fetch->gets == 0) {
        return;
    }
    if (is_segment) {
        take_segment(fetcher, source, fetch, &message, count > 1 ? &frames[1] : NULL);
    } else {
        unlink_fetch(fetcher, source, fetch);
        tsi_buf_unref(fetch->chunk);
        fetcher->done(fetcher->context, fetch->key, fetch->peer, NULL, message.missing.text);
        tsi_free(fetch);
    }
}

// Takes in what `peer` has sent, a bounded number of messages. The callback may make a peer go.
static void
receive_from(struct tsi_fetcher *fetcher, uint32_t peer)
{
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        zmq_msg_t frames[2];
        struct source *source = find_source(fetcher, peer);
        if (source == NULL || source->socket == NULL) {
            return;
        }
        const int count = tsi_net_receive(source->socket, NULL, frames, 2);
        if (count == 0) {
            ask(fetcher, source);
            return;
        }
        take_message(fetcher, source, frames, count);
        tsi_net_close_frames(frames, count);
    }
    struct source *source = find_source(fetcher, peer);
    if (source != NULL) {
        ask(fetcher, source);
    }
}

// Begins anew after the connection to `source` broke.
static void
start_again(struct tsi_fetcher *fetcher, struct source *source)
{
    disconnect(source);
    source->breaks++;
    if (source->breaks > BREAKS_MAX) {
        source->breaks = 0;
        fail_all(fetcher, source, "the connection to the peer breaks again and again");
        return;
    }
    for (struct fetch *fetch = source->first; fetch != NULL; fetch = fetch->next) {
        fetch->asked = fetch->arrived;
        fetch->gets = 0;
    }
    source->gets = 0;
    source->bytes_ahead = 0;
    source->asking = source->first;
    ask(fetcher, source);
}

static void
check_source(struct tsi_fetcher *fetcher, struct source *source, uint64_t now_ns)
{
    if (source->monitor != NULL && tsi_net_broke(source->monitor)) {
        start_again(fetcher, source);
    }
    struct fetch *fetch = source->first;
    while (fetch != NULL && fetch->gets > 0) {
        struct fetch *next = fetch->next;
        if (now_ns > fetch->heard_ns && now_ns - fetch->heard_ns > TIMEOUT_NS) {
            fail(fetcher, source, fetch, "the peer does not answer");
        }
        fetch = next;
    }
}

void
tsi_fetcher_turn(struct tsi_fetcher *fetcher, uint64_t now_ns)
{
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        receive_from(fetcher, fetcher->sources.items[i]->peer);
    }
    if (now_ns >= fetcher->next_check_ns) {
        fetcher->next_check_ns = now_ns + CHECK_NS;
        for (size_t i = 0; i < fetcher->sources.count; i++) {
            check_source(fetcher, fetcher->sources.items[i], now_ns);
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
    return fetcher->fetch_count > 0 ? fetcher->next_check_ns : UINT64_MAX;
}
