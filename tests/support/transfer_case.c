// SPDX-License-Identifier: Apache-2.0
//
// The server has a context of its own, as a process would, so that nothing goes from it to the
// fetcher but bytes.

#include "tests/support/transfer_case.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"

tsi_key
test_transfer_key(uint32_t number, uint64_t bytes)
{
    return (uint64_t)number << 32 | bytes;
}

unsigned char
test_transfer_byte(tsi_key key, uint64_t offset)
{
    const uint64_t word = (key ^ offset >> 3) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned char)(word >> (8 * (offset & 7)));
}

static void
fill(unsigned char *bytes, tsi_key key, uint64_t count)
{
    uint64_t at = 0;
    for (; at + 8 <= count; at += 8) {
        const uint64_t word = (key ^ at >> 3) * UINT64_C(0x9E3779B97F4A7C15);
        memcpy(bytes + at, &word, 8);
    }
    for (; at < count; at++) {
        bytes[at] = test_transfer_byte(key, at);
    }
}

bool
test_transfer_is_right(const struct tsi_buf *chunk, tsi_key key)
{
    const uint64_t count = (uint32_t)key;
    if (chunk == NULL || chunk->bytes != count) {
        return false;
    }
    for (uint64_t at = 0; at + 8 <= count; at += 8) {
        const uint64_t word = (key ^ at >> 3) * UINT64_C(0x9E3779B97F4A7C15);
        if (memcmp(chunk->data + at, &word, 8) != 0) {
            return false;
        }
    }
    for (uint64_t at = count / 8 * 8; at < count; at++) {
        if (chunk->data[at] != test_transfer_byte(key, at)) {
            return false;
        }
    }
    return true;
}

// The chunk that was asked for last is kept, since its segments are asked for one by one.
struct kept {
    struct test_transfer_server *server;
    struct tsi_buf *chunk;
    tsi_key key;
};

static struct tsi_buf *
look_up(void *context, tsi_key key, const char **text)
{
    struct kept *kept = context;
    atomic_fetch_add(&kept->server->lookups, 1);
    if (key == TEST_TRANSFER_MISSING) {
        *text = "never heard of it";
        return NULL;
    }
    if (kept->chunk == NULL || kept->key != key) {
        tsi_buf_unref(kept->chunk);
        kept->chunk = tsi_buf_new((uint32_t)key);
        kept->key = key;
        if (kept->chunk == NULL) {
            return NULL;
        }
        fill(kept->chunk->data, key, kept->chunk->bytes);
    }
    return tsi_buf_ref(kept->chunk);
}

static bool
is_paused(struct test_transfer_server *server)
{
    const int after = atomic_load(&server->pause_after);
    return after > 0 && atomic_load(&server->lookups) >= after;
}

static void *
serve(void *argument)
{
    struct test_transfer_server *shared = argument;
    struct kept kept = {.server = shared};
    struct tsi_error error = {.status = TESS_OK};
    struct tsi_server *server =
        tsi_server_new(shared->net, shared->address, look_up, &kept, shared->endpoint, &error);
    if (server == NULL) {
        fprintf(stderr, "%s\n", error.text);
    }
    atomic_store(&shared->ready, true);
    while (server != NULL && !atomic_load(&shared->stop)) {
        zmq_pollitem_t items[] = {{.socket = tsi_server_socket(server), .events = ZMQ_POLLIN},
                                  {.fd = tsi_server_fd(server), .events = ZMQ_POLLIN}};
        const bool waits = tsi_server_deadline(server) != UINT64_MAX;
        zmq_poll(items, 2, waits || is_paused(shared) ? 2 : 20);
        if (!is_paused(shared)) {
            tsi_server_turn(server);
        }
    }
    tsi_server_free(server);
    tsi_buf_unref(kept.chunk);
    return NULL;
}

bool
test_transfer_start(struct test_transfer_server *server, const struct tsi_connection *connection,
                    const char *address)
{
    struct tsi_error error = {.status = TESS_OK};
    *server = (struct test_transfer_server){.net = tsi_net_new(connection, NULL, &error)};
    snprintf(server->address, sizeof server->address, "%s", address);
    if (server->net == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return false;
    }
    if (pthread_create(&server->thread, NULL, serve, server) != 0) {
        tsi_net_free(server->net);
        return false;
    }
    while (!atomic_load(&server->ready)) {
        zmq_poll(NULL, 0, 1);
    }
    return server->endpoint[0] != '\0';
}

void
test_transfer_stop(struct test_transfer_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    tsi_net_free(server->net);
}
