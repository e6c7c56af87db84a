// SPDX-License-Identifier: Apache-2.0
//
// Fetches chunks. A fetch asks for segments, a few ahead of what has arrived, and copies each to its place
// in a fresh chunk. What does not fit what was asked for fails the fetch: sizes come from the program,
// never from the peer.

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/net/transfer.h"

enum {
    SEGMENTS_AHEAD = 4,
    MESSAGES_PER_TURN = 256,
};

#define TIMEOUT_NS (60 * TSI_SECOND)
#define CHECK_NS (1 * TSI_SECOND)

struct source {
    uint32_t peer;
    bool gone;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    void *socket; // NULL until it is needed
};

struct fetch {
    tsi_key key;
    uint32_t peer;
    struct tsi_buf *chunk;
    uint64_t asked;   // up to here
    uint64_t arrived; // bytes; segments of one peer arrive in order
    uint64_t heard_ns;
    const char *failed; // why, once it has
};

struct tsi_fetcher {
    struct tsi_net *net;
    char member_public[TSI_KEY_TEXT];
    tsi_fetcher_done *done;
    void *context;
    TSI_VEC(struct source *) sources;
    TSI_VEC(struct fetch *) fetches;
    struct tsi_map by_key;
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
        snprintf(fetcher->member_public, sizeof fetcher->member_public, "%s",
                 tsi_net_member_public(net));
    }
    return fetcher;
}

static void
free_source(struct source *source)
{
    tsi_net_close(source->socket, 0);
    tsi_free(source);
}

void
tsi_fetcher_free(struct tsi_fetcher *fetcher)
{
    if (fetcher == NULL) {
        return;
    }
    for (size_t i = 0; i < fetcher->fetches.count; i++) {
        tsi_buf_unref(fetcher->fetches.items[i]->chunk);
        tsi_free(fetcher->fetches.items[i]);
    }
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        free_source(fetcher->sources.items[i]);
    }
    tsi_vec_fini(&fetcher->fetches);
    tsi_vec_fini(&fetcher->sources);
    tsi_map_fini(&fetcher->by_key);
    tsi_arena_fini(&fetcher->scratch);
    tsi_wire_buf_fini(&fetcher->out);
    tsi_free(fetcher);
}

static struct source *
find_source(const struct tsi_fetcher *fetcher, uint32_t peer)
{
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        if (fetcher->sources.items[i]->peer == peer) {
            return fetcher->sources.items[i];
        }
    }
    return NULL;
}

bool
tsi_fetcher_peer(struct tsi_fetcher *fetcher, uint32_t peer, const char *endpoint)
{
    struct source *source = find_source(fetcher, peer);
    if (source != NULL) {
        return true;
    }
    source = tsi_calloc(1, sizeof *source);
    if (source == NULL || !tsi_vec_push(&fetcher->sources, source)) {
        tsi_free(source);
        return false;
    }
    source->peer = peer;
    snprintf(source->endpoint, sizeof source->endpoint, "%s", endpoint);
    return true;
}

void
tsi_fetcher_peer_gone(struct tsi_fetcher *fetcher, uint32_t peer)
{
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        if (fetcher->sources.items[i]->peer == peer) {
            free_source(fetcher->sources.items[i]);
            fetcher->sources.items[i] = tsi_vec_last(&fetcher->sources);
            fetcher->sources.count--;
            break;
        }
    }
    for (size_t i = 0; i < fetcher->fetches.count; i++) {
        if (fetcher->fetches.items[i]->peer == peer) {
            fetcher->fetches.items[i]->failed = "the peer is gone";
        }
    }
}

// Asks for more as long as fewer than SEGMENTS_AHEAD segments are under way. An empty chunk is asked for
// once, so that a peer that lost it can say so.
static void
ask(struct tsi_fetcher *fetcher, struct fetch *fetch)
{
    struct source *source = find_source(fetcher, fetch->peer);
    struct tsi_error error;
    if (source == NULL) {
        fetch->failed = "the peer is not known";
        return;
    }
    if (source->socket == NULL) {
        source->socket = tsi_net_connect(fetcher->net, TSI_NET_DATA, source->endpoint,
                                         fetcher->member_public, &error);
        if (source->socket == NULL) {
            fetch->failed = "cannot connect to the peer";
            return;
        }
    }
    const uint64_t ahead = (uint64_t)SEGMENTS_AHEAD * TSI_WIRE_SEGMENT_MAX;
    bool first = fetch->asked == 0;
    while (first || (fetch->asked < fetch->chunk->bytes && fetch->asked - fetch->arrived < ahead)) {
        const uint64_t left = fetch->chunk->bytes - fetch->asked;
        const uint64_t length = left < TSI_WIRE_SEGMENT_MAX ? left : TSI_WIRE_SEGMENT_MAX;
        const struct tsi_message message = {
            .type = TSI_MESSAGE_GET,
            .get = {.key = fetch->key, .offset = fetch->asked, .length = length}};
        if (!tsi_message_encode(&message, &fetcher->out) ||
            !tsi_net_send(source->socket, NULL, fetcher->out.bytes, fetcher->out.count)) {
            fetch->failed = first ? "cannot ask the peer" : NULL;
            return;
        }
        fetch->asked += length;
        first = false;
    }
}

bool
tsi_fetcher_start(struct tsi_fetcher *fetcher, tsi_key key, uint32_t peer, uint64_t bytes)
{
    struct fetch *fetch = tsi_calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        return false;
    }
    *fetch = (struct fetch){.key = key, .peer = peer, .heard_ns = tsi_clock_ns()};
    fetch->chunk = tsi_buf_new((size_t)bytes);
    if (fetch->chunk == NULL || !tsi_vec_push(&fetcher->fetches, fetch) ||
        !tsi_map_put(&fetcher->by_key, key, (uint64_t)(uintptr_t)fetch)) {
        if (fetcher->fetches.count > 0 && tsi_vec_last(&fetcher->fetches) == fetch) {
            fetcher->fetches.count--;
        }
        tsi_buf_unref(fetch->chunk);
        tsi_free(fetch);
        return false;
    }
    ask(fetcher, fetch);
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
take_segment(struct tsi_fetcher *fetcher, struct fetch *fetch, const struct tsi_message *message,
             zmq_msg_t *payload, uint64_t now_ns)
{
    const size_t count = payload != NULL ? zmq_msg_size(payload) : 0;
    if (count != message->segment.count || message->segment.total != fetch->chunk->bytes ||
        message->segment.offset != fetch->arrived || count > fetch->chunk->bytes - fetch->arrived ||
        (count == 0 && fetch->chunk->bytes > 0)) {
        fetch->failed = "the peer sent another chunk than was asked for";
        return;
    }
    if (count > 0) {
        memcpy(fetch->chunk->data + fetch->arrived, zmq_msg_data(payload), count);
    }
    fetch->arrived += count;
    fetch->heard_ns = now_ns;
    ask(fetcher, fetch);
}

static void
end_fetch(struct tsi_fetcher *fetcher, struct fetch *fetch, const char *failed)
{
    for (size_t i = 0; i < fetcher->fetches.count; i++) {
        if (fetcher->fetches.items[i] == fetch) {
            fetcher->fetches.items[i] = tsi_vec_last(&fetcher->fetches);
            fetcher->fetches.count--;
            break;
        }
    }
    tsi_map_remove(&fetcher->by_key, fetch->key);
    if (failed != NULL) {
        tsi_buf_unref(fetch->chunk);
        fetch->chunk = NULL;
    }
    fetcher->done(fetcher->context, fetch->key, fetch->peer, fetch->chunk, failed);
    tsi_free(fetch);
}

static void
take_message(struct tsi_fetcher *fetcher, const struct source *source, zmq_msg_t *frames, int count,
             uint64_t now_ns)
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
        tsi_map_get(&fetcher->by_key, is_segment ? message.segment.key : message.missing.key);
    struct fetch *fetch = found != NULL ? (struct fetch *)(uintptr_t)*found : NULL;
    if (fetch == NULL || fetch->peer != source->peer || fetch->failed != NULL) {
        return;
    }
    if (!is_segment) {
        end_fetch(fetcher, fetch, message.missing.text);
        return;
    }
    take_segment(fetcher, fetch, &message, count > 1 ? &frames[1] : NULL, now_ns);
    if (fetch->failed == NULL && fetch->arrived == fetch->chunk->bytes) {
        end_fetch(fetcher, fetch, NULL);
    }
}

static void
receive_from(struct tsi_fetcher *fetcher, uint32_t peer, uint64_t now_ns)
{
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        zmq_msg_t frames[2];
        const struct source *source = find_source(fetcher, peer);
        const int count =
            source != NULL && source->socket != NULL ? tsi_net_receive(source->socket, NULL, frames, 2)
                                                     : 0;
        if (count == 0) {
            return;
        }
        take_message(fetcher, source, frames, count, now_ns);
        tsi_net_close_frames(frames, count);
    }
}

static void
end_failed(struct tsi_fetcher *fetcher, uint64_t now_ns)
{
    for (size_t i = fetcher->fetches.count; i-- > 0;) {
        struct fetch *fetch = fetcher->fetches.items[i];
        if (fetch->failed == NULL && now_ns > fetch->heard_ns + TIMEOUT_NS) {
            fetch->failed = "the peer does not answer";
        }
        if (fetch->failed != NULL) {
            end_fetch(fetcher, fetch, fetch->failed);
            i = i < fetcher->fetches.count ? i : fetcher->fetches.count;
        }
    }
}

void
tsi_fetcher_turn(struct tsi_fetcher *fetcher, uint64_t now_ns)
{
    for (size_t i = 0; i < fetcher->sources.count; i++) {
        receive_from(fetcher, fetcher->sources.items[i]->peer, now_ns);
    }
    end_failed(fetcher, now_ns);
}

uint64_t
tsi_fetcher_deadline(const struct tsi_fetcher *fetcher)
{
    for (size_t i = 0; i < fetcher->fetches.count; i++) {
        if (fetcher->fetches.items[i]->failed != NULL) {
            return 0;
        }
    }
    return fetcher->fetches.count > 0 ? tsi_clock_ns() + CHECK_NS : UINT64_MAX;
}
