// SPDX-License-Identifier: Apache-2.0
//
// Fetches from one peer are asked for one after the other, segment by segment, with a bounded
// number of segments under way. Everything before `asking` has been asked for to its end, nothing
// after it has been asked for, so the list needs no search.
//
// The bound on GETs under way keeps the queues of both sides from ever being full. Their bound is
// 64 messages, of which libzmq may have counted up to 31 that have long left.

#include "engine/net/source.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"

// Bytes under way from one peer.
#define AHEAD_BYTES_MAX ((uint64_t)4 << 20)

// Bytes of a segment that libzmq encrypts, for which it makes memory three times.
#define ENCRYPTED_BYTES_MAX ((uint64_t)256 << 10)

enum {
    GETS_MAX = 32,
    WANTS_MAX = 64, // fewer than fit into the queue of a socket of the kernel's
    BREAKS_MAX = 3,
};

struct tsi_source *
tsi_source_new(struct tsi_net *net, struct tsi_source_bounds *bounds, uint32_t peer,
               const char *endpoint, bool may_borrow)
{
    struct tsi_source *source = tsi_calloc(1, sizeof *source);
    if (source != NULL) {
        source->net = net;
        source->bounds = bounds;
        source->peer = peer;
        source->may_borrow = may_borrow;
        source->is_encrypted = tsi_net_encrypts(net, endpoint);
        snprintf(source->endpoint, sizeof source->endpoint, "%s", endpoint);
    }
    return source;
}

// `bytes` more are under way.
static void
count_ahead(struct tsi_source *source, uint64_t bytes)
{
    source->bytes_ahead += bytes;
    source->bounds->ahead_bytes += bytes;
}

static void
uncount_ahead(struct tsi_source *source, uint64_t bytes)
{
    source->bytes_ahead -= bytes;
    source->bounds->ahead_bytes -= bytes;
}

// What is asked for counts as if it were here: it can come at any time, and nobody asks for room
// then.
static bool
want(struct tsi_source *source, struct tsi_fetch *fetch)
{
    if (!tsi_borrower_want(source->borrower, fetch->key, fetch->bytes)) {
        return false;
    }
    fetch->gets = 1;
    fetch->heard_ns = tsi_clock_ns();
    source->wanted_asked++;
    tsi_pages_count((int64_t)fetch->bytes);
    return true;
}

static void
uncount_wanted(struct tsi_source *source, struct tsi_fetch *fetch)
{
    source->wanted_asked -= fetch->gets;
    tsi_pages_count(fetch->gets > 0 ? -(int64_t)fetch->bytes : 0);
    fetch->gets = 0;
}

void
tsi_source_free_fetches(struct tsi_fetch *fetch)
{
    while (fetch != NULL) {
        struct tsi_fetch *next = fetch->next;
        tsi_buf_unref(fetch->chunk);
        tsi_free(fetch);
        fetch = next;
    }
}

void
tsi_source_disconnect(struct tsi_source *source)
{
    tsi_net_unwatch(source->socket, source->monitor);
    tsi_net_close(source->socket, 0);
    source->socket = NULL;
    source->monitor = NULL;
}

void
tsi_source_free(struct tsi_source *source)
{
    if (source == NULL) {
        return;
    }
    uncount_ahead(source, source->bytes_ahead);
    tsi_source_disconnect(source);
    tsi_borrower_free(source->borrower, true);
    tsi_source_free_fetches(source->first);
    for (struct tsi_fetch *fetch = source->wanted_first; fetch != NULL; fetch = fetch->next) {
        uncount_wanted(source, fetch);
    }
    tsi_source_free_fetches(source->wanted_first);
    tsi_map_fini(&source->by_key);
    tsi_wire_buf_fini(&source->out);
    tsi_free(source);
}

struct tsi_fetch *
tsi_source_find(const struct tsi_source *source, tsi_key key)
{
    const uint64_t *found = tsi_map_get(&source->by_key, key);
    return found != NULL ? (struct tsi_fetch *)(uintptr_t)*found : NULL;
}

bool
tsi_source_link(struct tsi_source *source, struct tsi_fetch *fetch)
{
    if (!tsi_map_put(&source->by_key, fetch->key, (uint64_t)(uintptr_t)fetch)) {
        return false;
    }
    fetch->before = source->last;
    *(source->last != NULL ? &source->last->next : &source->first) = fetch;
    source->last = fetch;
    source->asking = source->asking != NULL ? source->asking : fetch;
    return true;
}

void
tsi_source_unlink(struct tsi_source *source, struct tsi_fetch *fetch)
{
    *(fetch->before != NULL ? &fetch->before->next : &source->first) = fetch->next;
    *(fetch->next != NULL ? &fetch->next->before : &source->last) = fetch->before;
    if (source->asking == fetch) {
        source->asking = fetch->next;
    }
    source->gets -= fetch->gets;
    uncount_ahead(source, fetch->asked - fetch->arrived);
    tsi_map_remove(&source->by_key, fetch->key);
}

bool
tsi_source_link_wanted(struct tsi_source *source, struct tsi_fetch *fetch)
{
    if (!tsi_map_put(&source->by_key, fetch->key, (uint64_t)(uintptr_t)fetch)) {
        return false;
    }
    fetch->is_wanted = true;
    fetch->before = source->wanted_last;
    *(source->wanted_last != NULL ? &source->wanted_last->next : &source->wanted_first) = fetch;
    source->wanted_last = fetch;
    source->wanted_asking = source->wanted_asking != NULL ? source->wanted_asking : fetch;
    return true;
}

void
tsi_source_unlink_wanted(struct tsi_source *source, struct tsi_fetch *fetch)
{
    *(fetch->before != NULL ? &fetch->before->next : &source->wanted_first) = fetch->next;
    *(fetch->next != NULL ? &fetch->next->before : &source->wanted_last) = fetch->before;
    if (source->wanted_asking == fetch) {
        source->wanted_asking = fetch->next;
    }
    uncount_wanted(source, fetch);
    fetch->is_wanted = false;
    fetch->next = fetch->before = NULL;
    tsi_map_remove(&source->by_key, fetch->key);
}

// Frees the fetches of `job` among `fetch` and those after it.
static size_t
give_up_from(struct tsi_source *source, struct tsi_fetch *fetch,
             void (*take_out)(struct tsi_source *, struct tsi_fetch *), uint32_t job,
             uint64_t *bytes)
{
    size_t count = 0;
    while (fetch != NULL) {
        struct tsi_fetch *next = fetch->next;
        if (tsi_key_job(fetch->key) == job) {
            take_out(source, fetch);
            *bytes += fetch->bytes;
            count++;
            fetch->next = NULL;
            tsi_source_free_fetches(fetch);
        }
        fetch = next;
    }
    return count;
}

size_t
tsi_source_give_up(struct tsi_source *source, uint32_t job, uint64_t *bytes)
{
    return give_up_from(source, source->first, tsi_source_unlink, job, bytes) +
           give_up_from(source, source->wanted_first, tsi_source_unlink_wanted, job, bytes);
}

bool
tsi_source_ask_wanted(struct tsi_source *source)
{
    while (source->wanted_asking != NULL && source->wanted_asked < WANTS_MAX) {
        struct tsi_fetch *fetch = source->wanted_asking;
        if (!tsi_pages_has_room((size_t)fetch->bytes)) {
            source->waits = true;
            break;
        }
        if (!want(source, fetch)) {
            return false;
        }
        source->wanted_asking = fetch->next;
    }
    return true;
}

static bool
is_connected(struct tsi_source *source)
{
    if (source->socket == NULL) {
        source->socket = tsi_net_connect(source->net, TSI_NET_DATA, source->endpoint,
                                         tsi_net_member_public(source->net), NULL);
    }
    if (source->socket != NULL && source->monitor == NULL) {
        source->monitor = tsi_net_monitor(source->net, source->socket, NULL);
    }
    return source->monitor != NULL;
}

static uint64_t
segment_bytes(const struct tsi_source *source, const struct tsi_fetch *fetch, uint64_t offset)
{
    const uint64_t left = fetch->bytes - offset;
    uint64_t most = source->bounds->segment_bytes;
    if (source->is_encrypted && most > ENCRYPTED_BYTES_MAX) {
        most = ENCRYPTED_BYTES_MAX;
    }
    return left < most ? left : most;
}

uint64_t
tsi_source_next_bytes(const struct tsi_source *source, const struct tsi_fetch *fetch)
{
    return segment_bytes(source, fetch, fetch->arrived);
}

// Sends the next GET of `fetch`; false if that cannot be done now.
static bool
send_get(struct tsi_source *source, struct tsi_fetch *fetch)
{
    const uint64_t length = segment_bytes(source, fetch, fetch->asked);
    const struct tsi_message message = {
        .type = TSI_MESSAGE_GET,
        .get = {.key = fetch->key, .offset = fetch->asked, .length = length}};
    if (!tsi_message_encode(&message, &source->out) ||
        !tsi_net_send(source->socket, NULL, source->out.bytes, source->out.count)) {
        return false;
    }
    if (fetch->gets == 0) {
        fetch->heard_ns = tsi_clock_ns();
    }
    fetch->asked += length;
    fetch->gets++;
    count_ahead(source, length);
    source->gets++;
    return true;
}

static bool
may_ask(const struct tsi_source *source)
{
    const struct tsi_source_bounds *bounds = source->bounds;
    return source->gets < GETS_MAX &&
           (source->bytes_ahead == 0 || (source->bytes_ahead < AHEAD_BYTES_MAX &&
                                         bounds->ahead_bytes < bounds->ahead_bytes_max));
}

// Whether there is room for the chunk of a fetch that is asked for next. What others still read of
// this process's memory is in its way, and comes back soon.
static bool
has_room(const struct tsi_fetch *fetch)
{
    return fetch->chunk != NULL || fetch->place != NULL || fetch->bytes < TSI_BUF_PAGES_MIN ||
           tsi_pages_has_room((size_t)fetch->bytes);
}

// The memory of a place is not ours to give back.
static void
leave_place(void *owner)
{
    (void)owner;
}

static struct tsi_buf *
make_chunk(const struct tsi_fetch *fetch)
{
    return fetch->place != NULL
               ? tsi_buf_wrap(fetch->place, (size_t)fetch->bytes, leave_place, NULL)
               : tsi_buf_new((size_t)fetch->bytes);
}

// An empty chunk is asked for once, so that a peer that lost it can say so.
bool
tsi_source_ask(struct tsi_source *source)
{
    if (source->asking != NULL && !is_connected(source)) {
        return false;
    }
    while (source->asking != NULL && may_ask(source)) {
        struct tsi_fetch *fetch = source->asking;
        if (!has_room(fetch)) {
            source->waits = true;
            break;
        }
        fetch->chunk = fetch->chunk != NULL ? fetch->chunk : make_chunk(fetch);
        if (fetch->chunk == NULL) {
            return false;
        }
        if (!send_get(source, fetch)) {
            break;
        }
        if (fetch->asked == fetch->bytes) {
            source->asking = fetch->next;
        }
    }
    return true;
}

void
tsi_source_arrived(struct tsi_source *source, struct tsi_fetch *fetch, uint64_t bytes)
{
    fetch->arrived += bytes;
    fetch->heard_ns = tsi_clock_ns();
    fetch->gets--;
    source->gets--;
    uncount_ahead(source, bytes);
    source->breaks = 0;
}

bool
tsi_source_broke(const struct tsi_source *source)
{
    return source->monitor != NULL && tsi_net_broke(source->monitor);
}

bool
tsi_source_start_again(struct tsi_source *source)
{
    tsi_source_disconnect(source);
    for (struct tsi_fetch *fetch = source->first; fetch != NULL; fetch = fetch->next) {
        fetch->asked = fetch->arrived;
        fetch->gets = 0;
    }
    source->gets = 0;
    uncount_ahead(source, source->bytes_ahead);
    source->asking = source->first;
    if (source->breaks == BREAKS_MAX) {
        source->breaks = 0;
        return false;
    }
    source->breaks++;
    return tsi_source_ask(source);
}
