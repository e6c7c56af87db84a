// SPDX-License-Identifier: Apache-2.0
//
// Blocks of records that stay where they are until the pool ends. Records are handed out in the
// order of the list of unused ones, which depends on nothing but the calls.

#include "worker/core/worker_pool.h"

#include <stdalign.h>
#include <string.h>

#include "engine/base/memory.h"

enum { BLOCK_RECORDS = 64, LINE_BYTES = 64 };

struct tsi_worker_block {
    struct tsi_worker_block *next;
    alignas(max_align_t) unsigned char records[];
};

static bool
add_block(struct tsi_worker_pool *pool)
{
    struct tsi_worker_block *block =
        tsi_calloc(1, sizeof *block + BLOCK_RECORDS * pool->record_bytes);
    if (block == NULL) {
        return false;
    }
    block->next = pool->blocks;
    pool->blocks = block;
    // From the last to the first, so that the first is on top.
    for (size_t i = BLOCK_RECORDS; i > 0; i--) {
        void *record = block->records + (i - 1) * pool->record_bytes;
        memcpy(record, &pool->unused, sizeof pool->unused);
        pool->unused = record;
    }
    pool->unused_count += BLOCK_RECORDS;
    return true;
}

bool
tsi_worker_pool_reserve(struct tsi_worker_pool *pool, size_t count)
{
    while (pool->unused_count < count) {
        if (!add_block(pool)) {
            return false;
        }
    }
    return true;
}

void *
tsi_worker_pool_take(struct tsi_worker_pool *pool)
{
    void *record = pool->unused;
    memcpy(&pool->unused, record, sizeof pool->unused);
    memset(record, 0, sizeof pool->unused);
    // Whoever takes one often takes another soon.
    for (size_t i = 0; i < pool->record_bytes && pool->unused != NULL; i += LINE_BYTES) {
        __builtin_prefetch((const char *)pool->unused + i, 1);
    }
    pool->unused_count--;
    pool->used_count++;
    return record;
}

void *
tsi_worker_pool_take_clear(struct tsi_worker_pool *pool)
{
    // By a size that the compiler does not know: for one that it knows it makes an instruction that
    // takes longer than the call.
    return memset(tsi_worker_pool_take(pool), 0, pool->record_bytes);
}

void
tsi_worker_pool_give(struct tsi_worker_pool *pool, void *record)
{
    memcpy(record, &pool->unused, sizeof pool->unused);
    pool->unused = record;
    pool->unused_count++;
    pool->used_count--;
}

void
tsi_worker_pool_fini(struct tsi_worker_pool *pool)
{
    while (pool->blocks != NULL) {
        struct tsi_worker_block *next = pool->blocks->next;
        tsi_free(pool->blocks);
        pool->blocks = next;
    }
    *pool = (struct tsi_worker_pool){.record_bytes = pool->record_bytes};
}
