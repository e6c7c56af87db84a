// SPDX-License-Identifier: Apache-2.0
//
// Tiles that gather in a block arrive where they go, whatever their sizes and their order, and
// nothing arrives beside them.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/exec/past.h"

enum { BYTES = 1 << 20 };

static unsigned char
byte_at(size_t i)
{
    return (unsigned char)(i * 131 + i / 251 + 1);
}

static void
put(struct tsi_past *past, unsigned char *out, size_t from, size_t count)
{
    unsigned char *place = tsi_past_place(past, out + from, count);
    for (size_t i = 0; i < count; i++) {
        place[i] = byte_at(from + i);
    }
}

// Tiles of `count` bytes, each `step` after the one before; bytes between them stay as they are.
static void
check(size_t count, size_t step, bool has_block)
{
    unsigned char *out = tsi_alloc(BYTES);
    struct tsi_past past = {.block = has_block ? tsi_alloc(TSI_PAST_BLOCK_BYTES) : NULL};
    cr_assert(out != NULL);
    memset(out, 0, BYTES);
    size_t end = 0;
    for (size_t at = 8; at + count <= BYTES - 8; at += step) {
        put(&past, out, at, count);
        end = at + count;
    }
    tsi_past_close(&past);
    for (size_t i = 0; i < BYTES; i++) {
        const bool is_written = i >= 8 && i < end && (i - 8) % step < count;
        cr_assert_eq(out[i], is_written ? byte_at(i) : 0, "tiles of %zu, byte %zu", count, i);
    }
    tsi_free(past.block);
    tsi_free(out);
}

Test(exec_past, tiles_one_after_the_other)
{
    check(16384, 16384, true);
    check(1504 * 8, 1504 * 8, true);
    check(1000, 1000, true);
    check(24, 24, true);
    check(TSI_PAST_BLOCK_BYTES, TSI_PAST_BLOCK_BYTES, true);
}

Test(exec_past, tiles_with_gaps)
{
    check(4096, 5000, true);
    check(8, 24, true);
}

Test(exec_past, tiles_larger_than_the_block)
{
    check(TSI_PAST_BLOCK_BYTES + 8, TSI_PAST_BLOCK_BYTES + 8, true);
}

Test(exec_past, without_a_block_in_place)
{
    check(1000, 1000, false);
    check(1000, 1500, false);
}

Test(exec_past, large_and_small_in_turn)
{
    unsigned char *out = tsi_alloc(BYTES);
    struct tsi_past past = {.block = tsi_alloc(TSI_PAST_BLOCK_BYTES)};
    cr_assert(out != NULL && past.block != NULL);
    put(&past, out, 0, 100);
    put(&past, out, 100, TSI_PAST_BLOCK_BYTES + 100);
    put(&past, out, TSI_PAST_BLOCK_BYTES + 200, 300);
    tsi_past_close(&past);
    for (size_t i = 0; i < TSI_PAST_BLOCK_BYTES + 500; i++) {
        cr_assert_eq(out[i], byte_at(i), "byte %zu", i);
    }
    tsi_free(past.block);
    tsi_free(out);
}
