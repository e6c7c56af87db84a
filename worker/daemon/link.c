// SPDX-License-Identifier: Apache-2.0
//
// The connection to the scheduler. Each connection has sockets of its own: nothing that was queued
// for an old scheduler can reach a new one. When the scheduler is lost, the worker says hello to
// the next one as a new incarnation. If the old one kept a journal, the next may know its jobs: for
// a while chunks are kept and offered, and what runs goes on; everything else is forgotten.
//
// A worker obeys schedulers whose epochs do not fall. One with a lower epoch than it has seen is an
// older one that still runs, and learns of the newer one by the hello.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/interface.h"
#include "tessera/version.h"
#include "worker/daemon/loop.h"
#include "worker/daemon/nanny.h"

#define HEARTBEAT_DEFAULT_NS (1 * TSI_SECOND)

// The silence of the scheduler that means its end. Long: one that is only slow must not lose its
// workers.
#define SILENCE_NS (15 * TSI_SECOND)
#define HEARTBEATS_MISSED_MAX 15

// Between looks at the connection file while the scheduler does not answer.
#define LOOK_NS (200 * TSI_MILLISECOND)

// Between tries to reach a scheduler; each pause is twice as long as the one before.
#define PAUSE_MIN_NS (200 * TSI_MILLISECOND)
#define PAUSE_MAX_NS (2 * TSI_SECOND)

// How long chunks are kept for a scheduler that may come back.
#define GRACE_NS (60 * TSI_SECOND)

static void
say_hello(struct tsi_worker_loop *loop)
{
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .epoch = loop->epoch_obeyed,
                                .hello = {.role = TSI_ROLE_WORKER,
                                          .name = loop->name,
                                          .library = tess_version(),
                                          .threads = (uint32_t)loop->threads,
                                          .memory_bytes = loop->room.chunk_bytes,
                                          .spill_bytes = loop->options->spill_bytes,
                                          .endpoint = loop->endpoint,
                                          .host = loop->host,
                                          .pid = (uint32_t)getpid(),
                                          .is_watched = tsi_nanny_watches()}};
    if (tsi_message_encode(&hello, &loop->out)) {
        tsi_net_send(loop->socket, NULL, loop->out.bytes, loop->out.count);
    }
}

static tess_status
open_sockets(struct tsi_worker_loop *loop, struct tsi_error *error)
{
    char host[TSI_WIRE_ENDPOINT_MAX];
    char address[TSI_WIRE_ENDPOINT_MAX];
    const struct tsi_connection *connection = &loop->connection;
    if (loop->options->host[0] != '\0') {
        snprintf(host, sizeof host, "%s", loop->options->host);
    } else {
        tsi_address_towards(connection->address, host, sizeof host);
    }
    const tess_status status =
        tsi_net_data_address(connection->address, host, address, sizeof address, error);
    loop->net = status == TESS_OK ? tsi_net_new(connection, NULL, error) : NULL;
    if (loop->net == NULL) {
        return error->status;
    }
    loop->server =
        tsi_server_new(loop->net, address, tsi_worker_loop_lookup, loop, loop->endpoint, error);
    loop->fetcher = tsi_fetcher_new(loop->net, tsi_worker_loop_fetched, loop);
    if (loop->fetcher != NULL) {
        tsi_fetcher_bound(loop->fetcher, loop->room.wire_bytes);
    }
    loop->socket = loop->server == NULL
                       ? NULL
                       : tsi_net_connect(loop->net, TSI_NET_CONTROL, connection->address,
                                         connection->scheduler_public, error);
    loop->monitor = loop->socket == NULL ? NULL : tsi_net_monitor(loop->net, loop->socket, error);
    if (loop->fetcher == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory");
    }
    return loop->monitor != NULL ? TESS_OK : error->status;
}

static void end_link(struct tsi_worker_loop *loop, int linger_ms, enum tsi_worker_event_kind kind);

tess_status
tsi_link_open(struct tsi_worker_loop *loop, struct tsi_error *error)
{
    tess_status status = tsi_connection_find(loop->options->scheduler, loop->options->insecure, 0,
                                             NULL, &loop->connection, error);
    if (status == TESS_OK) {
        status = open_sockets(loop, error);
    }
    loop->pause_ns = loop->pause_ns == 0 ? PAUSE_MIN_NS : 2 * loop->pause_ns;
    loop->pause_ns = loop->pause_ns < PAUSE_MAX_NS ? loop->pause_ns : PAUSE_MAX_NS;
    loop->next_try_ns = tsi_clock_ns() + loop->pause_ns;
    if (status != TESS_OK) {
        end_link(loop, 0, TSI_WORKER_PARTED); // what is kept stays
        return status;
    }
    loop->heartbeat_ns = HEARTBEAT_DEFAULT_NS;
    loop->heard_ns = tsi_clock_ns();
    loop->next_heartbeat_ns = loop->heard_ns + loop->heartbeat_ns;
    loop->next_look_ns = loop->heard_ns + LOOK_NS;
    say_hello(loop);
    return TESS_OK;
}

// Adds what the data plane of this connection has counted.
static void
count_transfers(struct tsi_worker_loop *loop)
{
    if (loop->fetcher != NULL) {
        loop->borrowed += tsi_fetcher_borrowed(loop->fetcher);
        loop->damaged += tsi_fetcher_damaged(loop->fetcher);
    }
    if (loop->server != NULL) {
        loop->bad_frames += tsi_server_bad_frames(loop->server);
    }
}

// Closes the connection and tells the core: `kind` is RESET, or PARTED if what is held may be
// wanted.
static void
end_link(struct tsi_worker_loop *loop, int linger_ms, enum tsi_worker_event_kind kind)
{
    struct tsi_worker_event event = {.kind = kind};
    tsi_net_unwatch(loop->socket, loop->monitor);
    tsi_net_close(loop->socket, linger_ms);
    loop->monitor = loop->socket = NULL;
    loop->peer = 0;
    // What is borrowed goes back first, and what stays becomes the worker's own: others may wait
    // for it to end as this worker does.
    tsi_worker_loop_event(loop, &event);
    tsi_worker_loop_act(loop);
    count_transfers(loop);
    tsi_fetcher_free(loop->fetcher);
    loop->fetcher = NULL;
    tsi_server_free(loop->server);
    tsi_net_free(loop->net);
    loop->server = NULL;
    loop->net = NULL;
}

void
tsi_link_close(struct tsi_worker_loop *loop, int linger_ms)
{
    loop->keep_until_ns = 0;
    end_link(loop, linger_ms, TSI_WORKER_RESET);
}

void
tsi_link_part(struct tsi_worker_loop *loop)
{
    if (loop->peer != 0 && (!loop->may_return || loop->draining)) {
        tsi_link_close(loop, 0);
        return;
    }
    if (loop->peer != 0) {
        loop->keep_until_ns = tsi_clock_ns() + GRACE_NS;
    }
    end_link(loop, 0, TSI_WORKER_PARTED);
}

// The first thing that a scheduler hears after its welcome is what the worker has of earlier jobs.
static void
offer(struct tsi_worker_loop *loop)
{
    struct tsi_worker_offer held;
    if (tsi_worker_loop_offer(loop, &held)) {
        tsi_link_send_held(loop, &held);
    } else {
        tsi_log(TSI_LOG_ERROR, "out of memory", "what is held cannot be offered");
        loop->stopping = true;
        loop->exit_code = EXIT_FAILURE;
    }
}

void
tsi_link_watch_grace(struct tsi_worker_loop *loop, uint64_t now)
{
    if (loop->keep_until_ns != 0 && now > loop->keep_until_ns) {
        struct tsi_worker_event event = {.kind = TSI_WORKER_RESET};
        tsi_log(TSI_LOG_INFO, "chunks dropped", "no scheduler came back for them");
        loop->keep_until_ns = 0;
        tsi_worker_loop_event(loop, &event);
    }
}

bool
tsi_link_welcome(struct tsi_worker_loop *loop, const struct tsi_message *message)
{
    if (message->epoch < loop->epoch_obeyed) {
        tsi_log(TSI_LOG_WARNING, "older scheduler", "scheduler=%s epoch=%u is not obeyed after %u",
                loop->connection.address, message->epoch, loop->epoch_obeyed);
        loop->heard_ns = 0;
        return false;
    }
    const bool has_obeyed = loop->epoch_obeyed != 0;
    loop->peer = message->welcome.peer;
    loop->connection.epoch = loop->epoch_obeyed = message->epoch;
    loop->may_return = message->welcome.keeps_journal;
    loop->pause_ns = 0;
    loop->keep_until_ns = 0;
    if (has_obeyed) {
        offer(loop);
    }
    return true;
}

void
tsi_link_send(struct tsi_worker_loop *loop, struct tsi_message *message)
{
    if (loop->socket == NULL || loop->peer == 0) {
        return;
    }
    message->epoch = loop->connection.epoch;
    message->peer = loop->peer;
    // A message that is not sent would leave the scheduler waiting for ever: the worker starts
    // anew, and the scheduler gives its tasks to others.
    if (!tsi_message_encode(message, &loop->out) ||
        !tsi_net_send(loop->socket, NULL, loop->out.bytes, loop->out.count)) {
        tsi_log(TSI_LOG_ERROR, "cannot send", "%s: out of memory or too large",
                tsi_message_name(message->type));
        loop->heard_ns = 0;
    }
}

void
tsi_link_send_held(struct tsi_worker_loop *loop, const struct tsi_worker_offer *offer)
{
    struct tsi_message message = {.type = TSI_MESSAGE_HOLDS,
                                  .holds = {.items = offer->holdings,
                                            .count = offer->count,
                                            .ranges = offer->ranges,
                                            .range_count = offer->range_count}};
    tsi_link_send(loop, &message);
}

bool
tsi_link_is_lost(const struct tsi_worker_loop *loop, uint64_t now)
{
    const uint64_t beats = HEARTBEATS_MISSED_MAX * loop->heartbeat_ns;
    return loop->socket != NULL && now > loop->heard_ns + (beats > SILENCE_NS ? beats : SILENCE_NS);
}

bool
tsi_link_is_stale(struct tsi_worker_loop *loop, uint64_t now)
{
    struct tsi_connection found;
    if (loop->socket == NULL || loop->peer != 0 || now < loop->next_look_ns) {
        return false;
    }
    loop->next_look_ns = now + LOOK_NS;
    const bool is_new = tsi_connection_find(loop->options->scheduler, loop->options->insecure, 0,
                                            NULL, &found, NULL) == TESS_OK &&
                        (found.epoch != loop->connection.epoch ||
                         strcmp(found.address, loop->connection.address) != 0 ||
                         strcmp(found.scheduler_public, loop->connection.scheduler_public) != 0);
    explicit_bzero(&found, sizeof found);
    return is_new;
}
