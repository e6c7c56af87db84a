// SPDX-License-Identifier: Apache-2.0
//
// The connection to the scheduler. Each connection has sockets of its own: nothing that was queued
// for an old scheduler can reach a new one. When the scheduler is lost, everything that it said is
// forgotten, and the worker says hello to the next one as a new incarnation.

#include <stdio.h>
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

static void
say_hello(struct tsi_worker_loop *loop)
{
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_WORKER,
                                          .name = loop->name,
                                          .library = tess_version(),
                                          .threads = (uint32_t)loop->threads,
                                          .memory_bytes = loop->memory_bytes,
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

tess_status
tsi_link_open(struct tsi_worker_loop *loop, struct tsi_error *error)
{
    tess_status status =
        tsi_connection_find(loop->options->scheduler, 0, NULL, &loop->connection, error);
    if (status == TESS_OK) {
        status = open_sockets(loop, error);
    }
    if (status != TESS_OK) {
        tsi_link_close(loop, 0);
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

void
tsi_link_close(struct tsi_worker_loop *loop, int linger_ms)
{
    struct tsi_worker_event event = {.kind = TSI_WORKER_RESET};
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
    const bool is_new =
        tsi_connection_find(loop->options->scheduler, 0, NULL, &found, NULL) == TESS_OK &&
        (found.epoch != loop->connection.epoch ||
         strcmp(found.address, loop->connection.address) != 0 ||
         strcmp(found.scheduler_public, loop->connection.scheduler_public) != 0);
    explicit_bzero(&found, sizeof found);
    return is_new;
}
