// SPDX-License-Identifier: Apache-2.0
//
// What the worker's limit leaves to chunks. The limit is that of the process: its resident memory
// stays below. So what a worker takes before it has a chunk, and what it takes beside them, is
// reserved.

#ifndef TSI_WORKER_DAEMON_ROOM_H
#define TSI_WORKER_DAEMON_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

struct tsi_room {
    uint64_t limit_bytes;   // of resident memory, now
    uint64_t reserve_bytes; // of it, for all but chunks
    uint64_t library_bytes; // of that, for products of matrices, once there are some
    uint64_t most_bytes;    // the limit at the start
    uint64_t pages_bytes_now;
    uint64_t pages_bytes;     // what is left: all memory of chunks, in use or kept
    uint64_t chunk_bytes;     // of that, what chunks and workspaces may take together
    uint64_t chunk_bytes_now; // less than that after the limit became less
    uint64_t wire_bytes;      // of the reserve: chunks that are just being received
    bool has_addresses;       // enough to map what other processes lend
    uint64_t next_look_ns;
    uint64_t next_limit_ns;
};

// Makes the C library give back what is freed. Before there are threads.
void tsi_room_prepare(void);

// What a worker with so many threads may take. `wanted_bytes` 0 is as much as the machine, the
// control groups and the limits of the process allow; more than that is cut. Fails with
// TESS_EMEMLIMIT if nothing is left for chunks. The C library keeps free from then on what messages
// may take of that.
tess_status tsi_room_find(struct tsi_room *room, uint64_t wanted_bytes, int threads,
                          struct tsi_error *error);

// Reserves what a library takes that multiplies matrices, `bytes` on each of so many threads, and
// keeps from then on; 0 is nothing. True if less is left to chunks by that.
bool tsi_room_reserve(struct tsi_room *room, uint64_t bytes, int threads);

// Looks now and then whether the process comes near its limit; then gives back all that is free.
// True if the limit itself has changed. A higher one than at the start changes nothing.
bool tsi_room_watch(struct tsi_room *room, uint64_t wanted_bytes, uint64_t now_ns);

#endif
