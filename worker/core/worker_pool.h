// SPDX-License-Identifier: Apache-2.0
//
// Records of one size that come and go: taken from and given back to a list of free ones, so that a
// core that has been running for a while allocates nothing.

#ifndef TSI_WORKER_POOL_H
#define TSI_WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct tsi_worker_block;

// All zero but `record_bytes` is the empty pool.
struct tsi_worker_pool {
    size_t record_bytes; // at least a pointer
    struct tsi_worker_block *blocks;
    void *unused; // linked through the first bytes of each record
    size_t unused_count;
    size_t used_count;
};

// Makes sure that `count` records can be taken; false when memory is out.
bool tsi_worker_pool_reserve(struct tsi_worker_pool *pool, size_t count);

// A record, which must have been reserved. A fresh one is zero; one that was given back is as it
// was, but for its first pointer.
void *tsi_worker_pool_take(struct tsi_worker_pool *pool);
// The same with all of it zero.
void *tsi_worker_pool_take_clear(struct tsi_worker_pool *pool);
void tsi_worker_pool_give(struct tsi_worker_pool *pool, void *record);

// Frees all records, used ones too.
void tsi_worker_pool_fini(struct tsi_worker_pool *pool);

#endif
