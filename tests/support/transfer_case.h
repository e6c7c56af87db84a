// SPDX-License-Identifier: Apache-2.0
//
// A peer that serves chunks on a thread of its own, for tests of the data plane.

#ifndef TESS_TEST_TRANSFER_CASE_H
#define TESS_TEST_TRANSFER_CASE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/net/transfer.h"

// Chunks are made when they are asked for: their bytes follow from their key, and the key says how
// many there are.
tsi_key test_transfer_key(uint32_t number, uint64_t bytes);
#define TEST_TRANSFER_MISSING ((tsi_key)1)

// Whether `chunk` is exactly the chunk of `key`.
bool test_transfer_is_right(const struct tsi_buf *chunk, tsi_key key);

// The value of one byte of a chunk.
unsigned char test_transfer_byte(tsi_key key, uint64_t offset);

struct test_transfer_server {
    struct tsi_net *net;
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    char address[TSI_WIRE_ENDPOINT_MAX]; // asked for
    pthread_t thread;
    atomic_bool stop;
    atomic_bool ready;
    atomic_int lookups;
    atomic_int pause_after; // stops once there were so many lookups; 0: never
};

// Starts a thread that serves at `address`; false if it cannot.
bool test_transfer_start(struct test_transfer_server *server,
                         const struct tsi_connection *connection, const char *address);
void test_transfer_stop(struct test_transfer_server *server);

#endif
