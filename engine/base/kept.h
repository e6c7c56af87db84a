// SPDX-License-Identifier: Apache-2.0
//
// Freed blocks of memory that wait for the next use, found by their size, and by their age. Nothing
// is written into them: another process may read what it was lent. Whoever uses a list locks it.

#ifndef TSI_BASE_KEPT_H
#define TSI_BASE_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/map.h"

struct tsi_kept_block;

struct tsi_kept {
    struct tsi_map by_bytes; // → the block of that size that came last
    struct tsi_kept_block *oldest;
    struct tsi_kept_block *newest;
    uint64_t bytes; // of all blocks
};

// Keeps a block; false when memory is out.
bool tsi_kept_put(struct tsi_kept *kept, void *memory, size_t bytes);

// Whether there is a block of exactly `bytes`.
bool tsi_kept_has(const struct tsi_kept *kept, size_t bytes);

// The block of exactly `bytes` that came last; NULL if there is none.
void *tsi_kept_take(struct tsi_kept *kept, size_t bytes);

// The block that came first, with its size; NULL if there is none.
void *tsi_kept_take_oldest(struct tsi_kept *kept, size_t *bytes);

#endif
