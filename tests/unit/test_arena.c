// SPDX-License-Identifier: Apache-2.0
//
// What an arena hands out is zero, aligned, apart from all else, and stays where it is.

#include "engine/base/arena.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/memory.h"

enum { PIECES = 2000 };

Test(arena, pieces_are_zero_aligned_and_apart)
{
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    struct tsi_arena arena;
    tsi_arena_init(&arena);

    // Small ones, and now and then one that is larger than a block.
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = i % 97 == 96 ? 300000 : i * 37 % 700;
        pieces[i] = tsi_arena_alloc(&arena, sizes[i]);
        cr_assert(pieces[i] != NULL);
        cr_assert_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++) {
            cr_assert_eq(pieces[i][j], 0, "piece %zu, byte %zu", i, j);
        }
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            cr_assert_eq(pieces[i][j], i % 251, "piece %zu was written over", i);
        }
    }
    tsi_arena_fini(&arena);
    cr_assert(arena.blocks == NULL);
    cr_assert_eq(arena.bytes, 0);
}

Test(arena, a_piece_of_no_bytes_is_a_piece)
{
    struct tsi_arena arena;
    tsi_arena_init(&arena);

    const void *a = tsi_arena_alloc(&arena, 0);
    const void *b = tsi_arena_alloc(&arena, 0);

    cr_assert(a != NULL && b != NULL && a != b);
    cr_assert(tsi_arena_copy(&arena, NULL, 0) != NULL);
    tsi_arena_fini(&arena);
}

Test(arena, copies_and_formats)
{
    struct tsi_arena arena;
    tsi_arena_init(&arena);
    char name[] = "chunk";

    char *copy = tsi_arena_strdup(&arena, name);
    name[0] = 'X';
    const char *text = tsi_arena_printf(&arena, "%s %d", copy, 12);

    cr_assert_str_eq(copy, "chunk");
    cr_assert_str_eq(text, "chunk 12");
    cr_assert_str_eq(tsi_arena_printf(&arena, "%s", ""), "");
    tsi_arena_fini(&arena);
}

Test(arena, counts_the_bytes_of_its_blocks)
{
    struct tsi_arena arena;
    tsi_arena_init(&arena);

    cr_assert(tsi_arena_alloc(&arena, 1) != NULL);
    const size_t small = arena.bytes;
    cr_assert(tsi_arena_alloc(&arena, 1000000) != NULL);

    cr_assert(small > 0 && small < 10000, "%zu", small);
    cr_assert(arena.bytes >= small + 1000000);
    tsi_arena_fini(&arena);
}

Test(arena, says_when_memory_is_out)
{
    struct tsi_arena arena;
    tsi_arena_init(&arena);

    tsi_memory_fail_after(0);
    cr_assert(tsi_arena_alloc(&arena, 8) == NULL);
    cr_assert(tsi_arena_strdup(&arena, "x") == NULL);
    cr_assert(tsi_arena_printf(&arena, "x") == NULL);
    cr_assert(tsi_arena_alloc(&arena, 1000000) == NULL);
    tsi_memory_fail_after(-1);

    cr_assert(tsi_arena_alloc(&arena, SIZE_MAX) == NULL);
    cr_assert(tsi_arena_alloc(&arena, 8) != NULL);
    tsi_arena_fini(&arena);
}
