// SPDX-License-Identifier: Apache-2.0
//
// A list of zeroed blocks; the newest hands out its bytes in order. A request that is large for a
// block gets a block of its own, put behind the newest so that the rest of that one is not lost.
// Every byte is handed out once, so all that is handed out is zero.

#include "engine/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

enum {
    ALIGNMENT = alignof(max_align_t),
    FIRST_BLOCK_BYTES = 4096,
    LAST_BLOCK_BYTES = 256 * 1024,
};

struct tsi_arena_block {
    struct tsi_arena_block *next;
    size_t capacity;
    alignas(ALIGNMENT) unsigned char bytes[];
};

void
tsi_arena_init(struct tsi_arena *arena)
{
    *arena = (struct tsi_arena){0};
}

void
tsi_arena_fini(struct tsi_arena *arena)
{
    struct tsi_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct tsi_arena_block *next = block->next;
        tsi_free(block);
        block = next;
    }
    tsi_arena_init(arena);
}

void
tsi_arena_reset(struct tsi_arena *arena)
{
    struct tsi_arena_block *kept = arena->blocks;
    if (kept == NULL) {
        return;
    }
    struct tsi_arena older = {.blocks = kept->next};
    tsi_arena_fini(&older);
    memset(kept->bytes, 0, arena->used);
    kept->next = NULL;
    arena->used = 0;
    arena->bytes = kept->capacity;
}

static struct tsi_arena_block *
new_block(struct tsi_arena *arena, size_t capacity)
{
    struct tsi_arena_block *block = tsi_calloc(1, sizeof *block + capacity);
    if (block != NULL) {
        block->capacity = capacity;
        arena->bytes += capacity;
    }
    return block;
}

// Blocks double from the first size to the last, so that a small arena is small and a large one has
// few blocks.
static size_t
next_capacity(const struct tsi_arena *arena)
{
    size_t capacity = FIRST_BLOCK_BYTES;
    while (capacity < arena->bytes && capacity < LAST_BLOCK_BYTES) {
        capacity *= 2;
    }
    return capacity;
}

static void *
alloc_alone(struct tsi_arena *arena, size_t bytes)
{
    struct tsi_arena_block *block = new_block(arena, bytes);
    if (block == NULL) {
        return NULL;
    }
    if (arena->blocks == NULL) {
        arena->blocks = block;
        arena->used = bytes;
    } else {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    }
    return block->bytes;
}

void *
tsi_arena_alloc(struct tsi_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t rounded = ((bytes == 0 ? 1 : bytes) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->blocks == NULL || arena->blocks->capacity - arena->used < rounded) {
        const size_t capacity = next_capacity(arena);
        if (rounded > capacity / 4) {
            return alloc_alone(arena, rounded);
        }
        struct tsi_arena_block *block = new_block(arena, capacity);
        if (block == NULL) {
            return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
    }
    void *memory = arena->blocks->bytes + arena->used;
    arena->used += rounded;
    return memory;
}

void *
tsi_arena_copy(struct tsi_arena *arena, const void *source, size_t bytes)
{
    void *copy = tsi_arena_alloc(arena, bytes);
    if (copy != NULL && bytes > 0) {
        memcpy(copy, source, bytes);
    }
    return copy;
}

char *
tsi_arena_strdup(struct tsi_arena *arena, const char *text)
{
    return tsi_arena_copy(arena, text, strlen(text) + 1);
}

char *
tsi_arena_printf(struct tsi_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (count < 0) {
        return NULL;
    }
    char *text = tsi_arena_alloc(arena, (size_t)count + 1);
    if (text != NULL) {
        va_start(arguments, format);
        vsnprintf(text, (size_t)count + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}
