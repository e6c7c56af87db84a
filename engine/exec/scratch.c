// SPDX-License-Identifier: Apache-2.0
//
// A thread runs many small tasks, one after another, and each needs a few registers. So each thread
// keeps one block, made at its first task and freed when the thread ends; a task takes from its
// start. What does not fit in it, such as an assembled input, is taken for the one task: pages like
// those of chunks if it is large, so that the next task finds them filled.

#include "engine/exec/scratch.h"

#include <pthread.h>
#include <stdbool.h>

#include "engine/base/buf.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"

// Room for the registers of usual tasks; pages that no task touches cost nothing.
#define BLOCK_BYTES ((size_t)512 << 10)

// Lies before the memory that it stands for.
struct tsi_scratch_extra {
    struct tsi_scratch_extra *next;
    size_t bytes; // with this
};

static _Thread_local unsigned char *thread_block;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void
free_block(void *block)
{
    tsi_free(block);
}

static void
make_key(void)
{
    has_key = pthread_key_create(&key, free_block) == 0;
}

// This thread's block. Without a key nothing would free it, so then there is none and all memory is
// extra.
static unsigned char *
make_block(void)
{
    (void)pthread_once(&key_once, make_key);
    if (!has_key) {
        return NULL;
    }
    unsigned char *const block = tsi_alloc_aligned(TSI_BUF_ALIGN, BLOCK_BYTES);
    if (block == NULL) {
        return NULL;
    }
    if (pthread_setspecific(key, block) != 0) {
        tsi_free(block);
        return NULL;
    }
    thread_block = block;
    return block;
}

void
tsi_scratch_open(struct tsi_scratch *scratch)
{
    scratch->block = thread_block;
    scratch->used = 0;
    scratch->extra = NULL;
}

static void *
take_memory(size_t bytes)
{
    return bytes < TSI_BUF_PAGES_MIN ? tsi_alloc_aligned(TSI_BUF_ALIGN, bytes)
                                     : tsi_pages_take(bytes);
}

static void
give_memory(void *memory, size_t bytes)
{
    if (bytes < TSI_BUF_PAGES_MIN) {
        tsi_free(memory);
    } else {
        tsi_pages_give(memory, bytes);
    }
}

// Frees what was allocated since `last` was.
static void
free_extra(struct tsi_scratch *scratch, const struct tsi_scratch_extra *last)
{
    while (scratch->extra != last) {
        struct tsi_scratch_extra *const next = scratch->extra->next;
        give_memory(scratch->extra, scratch->extra->bytes);
        scratch->extra = next;
    }
}

void
tsi_scratch_close(struct tsi_scratch *scratch)
{
    free_extra(scratch, NULL);
}

struct tsi_scratch_mark
tsi_scratch_mark(const struct tsi_scratch *scratch)
{
    return (struct tsi_scratch_mark){scratch->used, scratch->extra};
}

void
tsi_scratch_rewind(struct tsi_scratch *scratch, struct tsi_scratch_mark mark)
{
    scratch->used = mark.used;
    free_extra(scratch, mark.extra);
}

static void *
take_extra(struct tsi_scratch *scratch, size_t bytes)
{
    if (bytes > SIZE_MAX - 2 * TSI_BUF_ALIGN) {
        return NULL;
    }
    unsigned char *const memory = take_memory(bytes + TSI_BUF_ALIGN);
    if (memory == NULL) {
        return NULL;
    }
    struct tsi_scratch_extra *const extra = (struct tsi_scratch_extra *)(void *)memory;
    extra->next = scratch->extra;
    extra->bytes = bytes + TSI_BUF_ALIGN;
    scratch->extra = extra;
    return memory + TSI_BUF_ALIGN;
}

void *
tsi_scratch_take(struct tsi_scratch *scratch, size_t bytes)
{
    if (bytes <= BLOCK_BYTES - scratch->used) {
        if (scratch->block == NULL) {
            scratch->block = make_block();
        }
        if (scratch->block != NULL) {
            unsigned char *const memory = scratch->block + scratch->used;
            scratch->used += (bytes + TSI_BUF_ALIGN - 1) / TSI_BUF_ALIGN * TSI_BUF_ALIGN;
            return memory;
        }
    }
    return take_extra(scratch, bytes);
}
