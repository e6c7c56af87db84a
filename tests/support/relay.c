// SPDX-License-Identifier: Apache-2.0
//
// One thread with one poll() serves all connections. Of each direction a bounded queue of pieces is
// held, every piece with the moment at which it is due; a full queue is not read into, so that the
// sender feels it.

#include "tests/support/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/processes.h"

enum { PAIRS = 64, PIECES = 32, PIECE_BYTES = 16384, TURN_MS = 5 };

struct piece {
    uint64_t due;
    size_t at;
    size_t count;
    unsigned char bytes[PIECE_BYTES];
};

// What goes from socket `from` of a pair to the other.
struct way {
    struct piece pieces[PIECES];
    int first;
    int count;
};

struct pair {
    int sockets[2];
    struct way ways[2];
};

static int
open_socket(const char *host, int port, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    test_check(inet_pton(AF_INET, host, &address->sin_addr) == 1, "%s is no address", host);
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    test_check(made >= 0, "socket: %s", strerror(errno));
    return made;
}

static int
bound_port(int bound)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    test_check(getsockname(bound, (struct sockaddr *)&address, &size) == 0, "getsockname: %s",
               strerror(errno));
    return ntohs(address.sin_port);
}

static int
bind_any(const char *host)
{
    struct sockaddr_in address;
    const int bound = open_socket(host, 0, &address);
    test_check(bind(bound, (struct sockaddr *)&address, sizeof address) == 0, "bind to %s: %s",
               host, strerror(errno));
    return bound;
}

int
test_free_port(const char *host)
{
    const int bound = bind_any(host);
    const int port = bound_port(bound);
    close(bound);
    return port;
}

static void
close_pair(struct pair **pair)
{
    close((*pair)->sockets[0]);
    close((*pair)->sockets[1]);
    free(*pair);
    *pair = NULL;
}

// A new connection from a member; where the target does not answer, it is closed again.
static void
accept_one(struct test_relay *relay, struct pair **pairs)
{
    const int member = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (member < 0) {
        return;
    }
    int slot = 0;
    while (slot < PAIRS && pairs[slot] != NULL) {
        slot++;
    }
    struct pair *pair = slot < PAIRS && !relay->is_cut ? calloc(1, sizeof *pair) : NULL;
    if (pair == NULL) {
        close(member);
        return;
    }
    struct sockaddr_in address;
    pair->sockets[0] = member;
    pair->sockets[1] = open_socket(relay->host, relay->target_port, &address);
    pairs[slot] = pair;
    if (connect(pair->sockets[1], (struct sockaddr *)&address, sizeof address) != 0) {
        close_pair(&pairs[slot]);
    }
}

// Takes in what has come; false at the end of the connection.
static bool
take(struct way *way, int from, int delay_ms)
{
    struct piece *piece = &way->pieces[(way->first + way->count) % PIECES];
    const ssize_t got = recv(from, piece->bytes, PIECE_BYTES, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    piece->at = 0;
    piece->count = (size_t)got;
    piece->due = test_now_ms() + (uint64_t)delay_ms;
    way->count++;
    return true;
}

// Hands on what is due; false when the other side is gone.
static bool
give(struct way *way, int to)
{
    while (way->count > 0 && way->pieces[way->first].due <= test_now_ms()) {
        struct piece *piece = &way->pieces[way->first];
        const ssize_t sent = send(to, piece->bytes + piece->at, piece->count - piece->at,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN;
        }
        piece->at += (size_t)sent;
        if (piece->at < piece->count) {
            return true;
        }
        way->first = (way->first + 1) % PIECES;
        way->count--;
    }
    return true;
}

static bool
serve_pair(struct pair *pair, int delay_ms)
{
    for (int i = 0; i < 2; i++) {
        struct way *way = &pair->ways[i];
        if (way->count < PIECES && !take(way, pair->sockets[i], delay_ms)) {
            return false;
        }
        if (!give(way, pair->sockets[1 - i])) {
            return false;
        }
    }
    return true;
}

// Sleeps until something comes. While pieces wait for their moment, a turn is short.
static void
wait_for_bytes(const struct test_relay *relay, struct pair *const *pairs)
{
    struct pollfd polled[2 * PAIRS + 1];
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    for (int i = 0; i < PAIRS && !relay->is_silent; i++) {
        for (int side = 0; pairs[i] != NULL && side < 2; side++) {
            if (pairs[i]->ways[side].count < PIECES) {
                polled[count++] = (struct pollfd){.fd = pairs[i]->sockets[side], .events = POLLIN};
            }
        }
    }
    poll(polled, count, TURN_MS);
}

static void *
serve(void *argument)
{
    struct test_relay *relay = argument;
    struct pair *pairs[PAIRS] = {NULL};
    for (;;) {
        wait_for_bytes(relay, pairs);
        struct pollfd arrival = {.fd = relay->listener, .events = POLLIN};
        if (poll(&arrival, 1, 0) == 1) {
            accept_one(relay, pairs);
        }
        for (int i = 0; i < PAIRS; i++) {
            const bool stays =
                pairs[i] == NULL ||
                (!relay->is_cut && (relay->is_silent || serve_pair(pairs[i], relay->delay_ms)));
            if (!stays) {
                close_pair(&pairs[i]);
            }
        }
    }
    return NULL;
}

void
test_relay_start(struct test_relay *relay, const char *host, int target_port)
{
    pthread_t thread;
    *relay = (struct test_relay){.target_port = target_port};
    test_check(strlen(host) < sizeof relay->host, "%s is too long", host);
    strcpy(relay->host, host);
    relay->listener = bind_any(host);
    relay->port = bound_port(relay->listener);
    test_check(listen(relay->listener, PAIRS) == 0, "listen: %s", strerror(errno));
    test_check(pthread_create(&thread, NULL, serve, relay) == 0 && pthread_detach(thread) == 0,
               "a relay cannot start its thread");
}
