// SPDX-License-Identifier: Apache-2.0
//
// A cable that a test can damage: bytes that arrive at one tcp port go on to another, late, or not
// at all. Encryption passes through it unseen.

#ifndef TESS_TEST_RELAY_H
#define TESS_TEST_RELAY_H

#include <stdatomic.h>

struct test_relay {
    char host[64]; // where it listens
    int port;
    int target_port; // on the same host
    int listener;
    atomic_int delay_ms;   // that every byte is late
    atomic_bool is_silent; // nothing passes, nobody is told
    atomic_bool is_cut;    // connections are closed at once, also new ones
};

// Starts to listen on a free port of `host`, in a thread that ends with the process. The relay
// stays where it is in memory. Ends the test if it cannot.
void test_relay_start(struct test_relay *relay, const char *host, int target_port);

// A port of `host` that nobody listens on now.
int test_free_port(const char *host);

#endif
