// SPDX-License-Identifier: Apache-2.0
//
// Memory for very many small things of few sizes, which may be freed by another thread than the one
// that took it. Each thread keeps some blocks, so that most calls take no lock. What no block is
// taken from goes back to the system.

#ifndef TSI_BASE_BLOCKS_H
#define TSI_BASE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

// Blocks begin at multiples of this.
#define TSI_BLOCKS_ALIGN 64
#define TSI_BLOCKS_BYTES_MAX ((size_t)1024)

struct tsi_slab;

// What a block begins with, which is not the taker's; the rest is.
struct tsi_block {
    struct tsi_slab *slab;
};

// A block of at least `bytes`, its head included, at most TSI_BLOCKS_BYTES_MAX; NULL when memory is
// out.
struct tsi_block *tsi_blocks_take(size_t bytes);
void tsi_blocks_give(struct tsi_block *block);

// Bytes of all slabs of this process.
uint64_t tsi_blocks_bytes(void);

#endif
