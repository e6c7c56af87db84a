// SPDX-License-Identifier: Apache-2.0
//
// A slab is pages that are cut into blocks of one size. The slabs of a size that have a free block
// are a list, under a lock. Threads take from it and give to it many blocks at a time: in between a
// block goes through the thread's own *store* alone, which is a stack, so that what was just freed
// is taken next.
//
// A slab of which all blocks are free goes back at once, but for one of each size.

#include "engine/base/blocks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/base/memory.h"
#include "engine/base/pages.h"

enum {
    SIZES = TSI_BLOCKS_BYTES_MAX / TSI_BLOCKS_ALIGN,
    // Blocks that a thread keeps of one size at most, and how many go to and fro together.
    STORE_MAX = 128,
    MOVED = STORE_MAX / 2,
};

#define SLAB_BYTES ((size_t)64 << 10)

// A block that is free, in its slab.
struct free_block {
    struct tsi_block head;
    struct free_block *next;
};

// At the start of its pages.
struct tsi_slab {
    struct tsi_slab *next; // of those with a free block
    struct tsi_slab *previous;
    struct free_block *free;
    uint32_t size;  // of its blocks, in steps of the alignment, less one
    uint32_t taken; // blocks
    uint32_t cut;   // blocks that were ever taken; those after them are free as well
    uint32_t count; // blocks that fit
};

struct store {
    uint32_t count[SIZES];
    struct tsi_block *blocks[SIZES][STORE_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tsi_slab *open_slabs[SIZES];
static atomic_uint_fast64_t slab_bytes;

static _Thread_local struct store *thread_store;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void
link_slab(struct tsi_slab *slab)
{
    slab->previous = NULL;
    slab->next = open_slabs[slab->size];
    if (slab->next != NULL) {
        slab->next->previous = slab;
    }
    open_slabs[slab->size] = slab;
}

static void
unlink_slab(struct tsi_slab *slab)
{
    if (slab->next != NULL) {
        slab->next->previous = slab->previous;
    }
    if (slab->previous != NULL) {
        slab->previous->next = slab->next;
    } else {
        open_slabs[slab->size] = slab->next;
    }
}

static size_t
bytes_of(uint32_t size)
{
    return ((size_t)size + 1) * TSI_BLOCKS_ALIGN;
}

static struct tsi_slab *
add_slab(uint32_t size)
{
    struct tsi_slab *slab = tsi_pages_take(SLAB_BYTES);
    if (slab == NULL) {
        return NULL;
    }
    const size_t count = (SLAB_BYTES - TSI_BLOCKS_ALIGN) / bytes_of(size);
    *slab = (struct tsi_slab){.size = size, .count = (uint32_t)count};
    atomic_fetch_add_explicit(&slab_bytes, SLAB_BYTES, memory_order_relaxed);
    link_slab(slab);
    return slab;
}

static struct tsi_block *
take_from(struct tsi_slab *slab)
{
    struct free_block *block = slab->free;
    if (block != NULL) {
        slab->free = block->next;
    } else {
        unsigned char *first = (unsigned char *)slab + TSI_BLOCKS_ALIGN;
        block = (struct free_block *)(void *)(first + slab->cut++ * bytes_of(slab->size));
        block->head.slab = slab;
    }
    slab->taken++;
    if (slab->taken == slab->count) {
        unlink_slab(slab);
    }
    return &block->head;
}

// Takes up to `wanted` blocks; how many. The lock is held, as in the next two.
static uint32_t
take_some(uint32_t size, struct tsi_block **blocks, uint32_t wanted)
{
    uint32_t count = 0;
    while (count < wanted) {
        struct tsi_slab *slab = open_slabs[size] != NULL ? open_slabs[size] : add_slab(size);
        if (slab == NULL) {
            break;
        }
        blocks[count++] = take_from(slab);
    }
    return count;
}

static void
drop_slab(struct tsi_slab *slab)
{
    unlink_slab(slab);
    atomic_fetch_sub_explicit(&slab_bytes, SLAB_BYTES, memory_order_relaxed);
    tsi_pages_give(slab, SLAB_BYTES);
}

static void
give_some(struct tsi_block *const *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct tsi_slab *slab = blocks[i]->slab;
        struct free_block *block = (struct free_block *)(void *)blocks[i];
        block->next = slab->free;
        slab->free = block;
        if (slab->taken-- == slab->count) {
            link_slab(slab);
        }
        const bool is_only = open_slabs[slab->size] == slab && slab->next == NULL;
        if (slab->taken == 0 && !is_only) {
            drop_slab(slab);
        }
    }
}

// A thread ends.
static void
free_store(void *memory)
{
    struct store *store = memory;
    pthread_mutex_lock(&mutex);
    for (int size = 0; size < SIZES; size++) {
        give_some(store->blocks[size], store->count[size]);
    }
    pthread_mutex_unlock(&mutex);
    thread_store = NULL;
    tsi_free(store);
}

static void
make_key(void)
{
    has_key = pthread_key_create(&key, free_store) == 0;
}

// This thread's store; NULL when memory is out, and where nothing would empty it at the end.
static struct store *
make_store(void)
{
    (void)pthread_once(&key_once, make_key);
    struct store *store = has_key ? tsi_calloc(1, sizeof *store) : NULL;
    if (store != NULL && pthread_setspecific(key, store) != 0) {
        tsi_free(store);
        store = NULL;
    }
    thread_store = store;
    return store;
}

struct tsi_block *
tsi_blocks_take(size_t bytes)
{
    const uint32_t size = (uint32_t)((bytes - 1) / TSI_BLOCKS_ALIGN);
    if (!tsi_memory_may_take()) {
        return NULL;
    }
    struct store *store = thread_store != NULL ? thread_store : make_store();
    if (store != NULL && store->count[size] > 0) {
        return store->blocks[size][--store->count[size]];
    }
    struct tsi_block *alone = NULL;
    pthread_mutex_lock(&mutex);
    if (store != NULL) {
        store->count[size] = take_some(size, store->blocks[size], MOVED);
    } else {
        (void)take_some(size, &alone, 1);
    }
    pthread_mutex_unlock(&mutex);
    if (store != NULL && store->count[size] > 0) {
        return store->blocks[size][--store->count[size]];
    }
    return alone;
}

void
tsi_blocks_give(struct tsi_block *block)
{
    struct store *store = thread_store != NULL ? thread_store : make_store();
    if (store == NULL) {
        pthread_mutex_lock(&mutex);
        give_some(&block, 1);
        pthread_mutex_unlock(&mutex);
        return;
    }
    const uint32_t size = block->slab->size;
    if (store->count[size] == STORE_MAX) {
        store->count[size] -= MOVED;
        pthread_mutex_lock(&mutex);
        give_some(store->blocks[size] + store->count[size], MOVED);
        pthread_mutex_unlock(&mutex);
    }
    store->blocks[size][store->count[size]++] = block;
}

uint64_t
tsi_blocks_bytes(void)
{
    return atomic_load_explicit(&slab_bytes, memory_order_relaxed);
}
