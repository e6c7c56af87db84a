// SPDX-License-Identifier: Apache-2.0
//
// Chunks to and from their places in arrays, small ones and such as pass the caches, against loops
// over elements. Large ones with a helper too.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/runtime/scatter.h"

static uint8_t
byte_at(int64_t i)
{
    return (uint8_t)(i * 131 + i / 251);
}

// Brings all chunks of a grid into an array and back, for elements of `bytes`.
static void
check_with(const struct tsi_grid *grid, size_t bytes, struct tsi_helper *helper)
{
    const int64_t count = tsi_grid_element_count(grid);
    const size_t all = (size_t)count * bytes;
    uint8_t *array = tsi_alloc(all + 1);
    uint8_t *copy = tsi_alloc(all + 1);
    uint8_t *chunk = tsi_alloc(all + 1);
    int64_t strides[TESS_NDIM_MAX];
    int64_t step = (int64_t)bytes;
    cr_assert(array != NULL && copy != NULL && chunk != NULL);
    for (int a = grid->ndim - 1; a >= 0; a--) {
        strides[a] = step;
        step *= grid->axis[a].size;
    }
    for (size_t i = 0; i < all; i++) {
        array[i] = byte_at((int64_t)i);
    }
    memset(copy, 0xEE, all + 1);
    for (int64_t k = 0; k < tsi_grid_chunk_count(grid); k++) {
        int64_t start[TESS_NDIM_MAX];
        int64_t size[TESS_NDIM_MAX];
        const int64_t elements = tsi_grid_box(grid, k, start, size);
        tsi_gather_chunk(grid, k, bytes, array, strides, chunk, helper);
        int64_t at[TESS_NDIM_MAX] = {0};
        for (int64_t i = 0; i < elements; i++) {
            int64_t offset = 0;
            for (int a = 0; a < grid->ndim; a++) {
                offset += (start[a] + at[a]) * strides[a];
            }
            cr_assert(memcmp(chunk + (size_t)i * bytes, array + offset, bytes) == 0,
                      "chunk %lld, element %lld", (long long)k, (long long)i);
            for (int a = grid->ndim - 1; a >= 0 && ++at[a] == size[a]; a--) {
                at[a] = 0;
            }
        }
        tsi_scatter_chunk(grid, k, bytes, chunk, copy, helper);
    }
    cr_assert(memcmp(copy, array, all) == 0);
    cr_assert(copy[all] == 0xEE, "a byte behind the array has changed");
    tsi_free(array);
    tsi_free(copy);
    tsi_free(chunk);
}

static void
check_grid(const struct tsi_grid *grid, size_t bytes)
{
    struct tsi_helper *helper = tsi_helper_new();
    cr_assert_not_null(helper);
    check_with(grid, bytes, NULL);
    check_with(grid, bytes, helper);
    tsi_helper_free(helper);
}

Test(scatter, small_and_odd_chunks_find_their_places)
{
    for (size_t bytes = 1; bytes <= 8; bytes *= 2) {
        const struct tsi_grid grid = {
            .ndim = 3,
            .axis = {tsi_axis_regular(7, 3), tsi_axis_regular(5, 5), tsi_axis_regular(11, 4)}};
        check_grid(&grid, bytes);
    }
}

Test(scatter, chunks_of_whole_rows_find_their_places)
{
    const struct tsi_grid grid = {
        .ndim = 2, .axis = {tsi_axis_regular(1003, 600), tsi_axis_regular(1001, 1001)}};
    check_grid(&grid, 8);
}

Test(scatter, chunks_of_long_parts_of_rows_find_their_places)
{
    const struct tsi_grid grid = {
        .ndim = 2, .axis = {tsi_axis_regular(1003, 1003), tsi_axis_regular(1301, 700)}};
    check_grid(&grid, 8);
}

Test(scatter, chunks_of_four_axes_find_their_places)
{
    const struct tsi_grid grid = {.ndim = 4,
                                  .axis = {tsi_axis_regular(3, 2), tsi_axis_regular(5, 5),
                                           tsi_axis_regular(41, 40), tsi_axis_regular(4099, 3000)}};
    check_grid(&grid, 4);
}
