// SPDX-License-Identifier: Apache-2.0
//
// One lifetime for many small objects: allocate in order, free all at once.

#ifndef TSI_BASE_ARENA_H
#define TSI_BASE_ARENA_H

#include <stddef.h>

struct tsi_arena_block;

struct tsi_arena {
    struct tsi_arena_block *blocks; // newest first
    size_t used;                    // bytes taken of the newest
    size_t bytes;                   // of all blocks
};

void tsi_arena_init(struct tsi_arena *arena);
void tsi_arena_fini(struct tsi_arena *arena);

// Takes back all that was handed out and keeps the newest block for what comes.
void tsi_arena_reset(struct tsi_arena *arena);

// Zeroed and aligned for any type; NULL when memory is out.
void *tsi_arena_alloc(struct tsi_arena *arena, size_t bytes);
void *tsi_arena_copy(struct tsi_arena *arena, const void *source, size_t bytes);
char *tsi_arena_strdup(struct tsi_arena *arena, const char *text);
char *tsi_arena_printf(struct tsi_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
