// SPDX-License-Identifier: Apache-2.0
//
// Grids against a list of chunk sizes that is written out.

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grid.h"
#include "engine/base/memory.h"
#include "tests/support/random.h"

enum { CHUNKS_MAX = 64 };

// An axis and what it should be.
struct listed {
    struct tsi_axis axis;
    int64_t count;
    int64_t sizes[CHUNKS_MAX];
};

static void
check_axis(const struct listed *listed, const char *name)
{
    const struct tsi_axis *axis = &listed->axis;
    cr_assert(tsi_axis_is_valid(axis), "%s", name);
    cr_assert(axis->count == listed->count, "%s: %lld chunks", name, (long long)axis->count);
    int64_t start = 0;
    int64_t largest = 0;
    for (int64_t i = 0; i < listed->count; i++) {
        cr_assert(tsi_axis_start(axis, i) == start, "%s: start of chunk %lld", name, (long long)i);
        cr_assert(tsi_axis_chunk_size(axis, i) == listed->sizes[i], "%s: size of chunk %lld", name,
                  (long long)i);
        for (int64_t k = 0; k < listed->sizes[i]; k++) {
            cr_assert(tsi_axis_find(axis, start + k) == i, "%s: chunk of element %lld", name,
                      (long long)(start + k));
        }
        start += listed->sizes[i];
        largest = listed->sizes[i] > largest ? listed->sizes[i] : largest;
    }
    cr_assert(axis->size == start, "%s", name);
    cr_assert(tsi_axis_start(axis, listed->count) == start, "%s", name);
    cr_assert(tsi_axis_chunk_size_max(axis) == largest, "%s", name);
}

Test(grid, regular)
{
    const struct listed cases[] = {
        {tsi_axis_regular(0, 3), 1, {0}},          {tsi_axis_regular(0, -1), 1, {0}},
        {tsi_axis_regular(1, 1), 1, {1}},          {tsi_axis_regular(5, 1), 5, {1, 1, 1, 1, 1}},
        {tsi_axis_regular(5, 2), 3, {2, 2, 1}},    {tsi_axis_regular(6, 2), 3, {2, 2, 2}},
        {tsi_axis_regular(5, 5), 1, {5}},          {tsi_axis_regular(5, 6), 1, {5}},
        {tsi_axis_regular(5, INT64_MAX), 1, {5}},  {tsi_axis_regular(5, 0), 1, {5}},
        {tsi_axis_regular(5, INT64_MIN), 1, {5}},  {tsi_axis_shifted(5, 2, 2), 3, {2, 2, 1}},
        {tsi_axis_shifted(7, 1, 3), 3, {1, 3, 3}}, {tsi_axis_shifted(8, 1, 3), 4, {1, 3, 3, 1}},
        {tsi_axis_shifted(2, 2, 9), 1, {2}},       {tsi_axis_shifted(3, 1, 9), 2, {1, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "case %zu", i);
        check_axis(&cases[i], name);
    }
}

Test(grid, large_numbers_do_not_overflow)
{
    const struct tsi_axis axis = tsi_axis_regular(INT64_MAX, INT64_MAX - 1);
    cr_assert(tsi_axis_is_valid(&axis));
    cr_assert(axis.count == 2);
    cr_assert(tsi_axis_chunk_size(&axis, 1) == 1);
    cr_assert(tsi_axis_start(&axis, 2) == INT64_MAX);
    cr_assert(tsi_axis_find(&axis, INT64_MAX - 1) == 1);
    cr_assert(tsi_axis_find(&axis, INT64_MAX - 2) == 0);

    const struct tsi_axis ones = tsi_axis_regular(INT64_MAX, 1);
    const struct tsi_grid grid = {2, {ones, ones}};
    cr_assert(tsi_grid_chunk_count(&grid) == -1);
    cr_assert(tsi_grid_element_count(&grid) == -1);
    cr_assert(tsi_grid_chunk_elements_max(&grid) == 1);
    const struct tsi_grid none = {3, {ones, ones, tsi_axis_regular(0, 1)}};
    cr_assert(tsi_grid_element_count(&none) == 0);
    cr_assert(tsi_grid_chunk_elements_max(&none) == 0);
}

Test(grid, sizes)
{
    struct tsi_arena arena;
    tsi_arena_init(&arena);
    struct test_random random = {1};
    for (int round = 0; round < 3000; round++) {
        struct listed listed = {.count = test_random_between(&random, 1, 9)};
        int64_t size = 0;
        for (int64_t i = 0; i < listed.count; i++) {
            listed.sizes[i] = test_random_between(&random, 0, 3);
            size += listed.sizes[i];
        }
        struct tsi_error error;
        cr_assert(tsi_axis_from_sizes(&arena, size, listed.sizes, listed.count, &listed.axis,
                                      &error) == TESS_OK);
        if (size == 0) {
            // An axis without elements has one chunk, however it was cut.
            listed.count = 1;
        }
        char name[32];
        snprintf(name, sizeof name, "round %d", round);
        check_axis(&listed, name);
    }
    tsi_arena_fini(&arena);
}

Test(grid, sizes_take_the_closed_form)
{
    static const struct {
        int64_t count;
        int64_t sizes[5];
        bool is_closed;
    } cases[] = {
        {1, {4}, true},           {2, {4, 4}, true},     {2, {2, 4}, true},
        {2, {4, 2}, true},        {3, {4, 4, 1}, true},  {3, {1, 4, 4}, true},
        {4, {1, 4, 4, 2}, true},  {3, {5, 4, 4}, false}, {3, {4, 4, 5}, false},
        {3, {4, 0, 4}, false},    {2, {0, 4}, false},    {2, {4, 0}, false},
        {4, {4, 4, 3, 4}, false}, {0, {0}, true},        {2, {0, 0}, true},
    };
    struct tsi_arena arena;
    tsi_arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t size = 0;
        for (int64_t k = 0; k < cases[i].count; k++) {
            size += cases[i].sizes[k];
        }
        struct tsi_axis axis;
        cr_assert(tsi_axis_from_sizes(&arena, size, cases[i].sizes, cases[i].count, &axis, NULL) ==
                  TESS_OK);
        cr_assert((axis.bounds == NULL) == cases[i].is_closed, "case %zu", i);
        cr_assert(tsi_axis_is_valid(&axis), "case %zu", i);
    }
    tsi_arena_fini(&arena);
}

Test(grid, wrong_sizes)
{
    struct tsi_arena arena;
    struct tsi_axis axis;
    struct tsi_error error;
    tsi_arena_init(&arena);
    const int64_t negative[] = {3, -1, 3};
    cr_assert(tsi_axis_from_sizes(&arena, 5, negative, 3, &axis, &error) == TESS_ECHUNKS);
    cr_assert(strstr(error.text, "-1") != NULL, "%s", error.text);
    const int64_t some[] = {3, 1, 3};
    cr_assert(tsi_axis_from_sizes(&arena, 6, some, 3, &axis, &error) == TESS_ECHUNKS);
    cr_assert(tsi_axis_from_sizes(&arena, 8, some, 3, &axis, &error) == TESS_ECHUNKS);
    cr_assert(strstr(error.text, "7") != NULL, "%s", error.text);
    cr_assert(tsi_axis_from_sizes(&arena, 8, some, 0, &axis, &error) == TESS_ECHUNKS);
    const int64_t large[] = {INT64_MAX, INT64_MAX};
    cr_assert(tsi_axis_from_sizes(&arena, 8, large, 2, &axis, &error) == TESS_ECHUNKS);
    tsi_arena_fini(&arena);
}

Test(grid, too_many_sizes)
{
    struct tsi_arena arena;
    struct tsi_axis axis;
    struct tsi_error error;
    tsi_arena_init(&arena);
    const int64_t count = TSI_AXIS_BOUNDS_MAX + 1;
    int64_t *sizes = calloc((size_t)count, sizeof *sizes);
    cr_assert(sizes != NULL);
    sizes[0] = 2;
    sizes[1] = 3;
    sizes[2] = 2;
    cr_assert(tsi_axis_from_sizes(&arena, 7, sizes, count, &axis, &error) == TESS_ELIMIT);
    cr_assert(tsi_axis_from_sizes(&arena, 7, sizes, count - 1, &axis, &error) == TESS_OK);
    cr_assert(tsi_axis_is_valid(&axis));
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = 1;
    }
    cr_assert(tsi_axis_from_sizes(&arena, count, sizes, count, &axis, &error) == TESS_OK);
    cr_assert(axis.bounds == NULL && axis.count == count);
    free(sizes);
    tsi_arena_fini(&arena);
}

Test(grid, out_of_memory)
{
    struct tsi_arena arena;
    struct tsi_axis axis;
    struct tsi_error error;
    const int64_t sizes[] = {2, 3, 2, 3};
    tsi_arena_init(&arena);
    tsi_memory_fail_after(0);
    const tess_status status = tsi_axis_from_sizes(&arena, 10, sizes, 4, &axis, &error);
    tsi_memory_fail_after(-1);
    cr_assert(status == TESS_ENOMEM);
    cr_assert(tsi_axis_from_sizes(&arena, 10, sizes, 4, &axis, &error) == TESS_OK);
    const struct tsi_grid grid = {1, {axis}};
    struct tsi_grid copy;
    struct tsi_arena other;
    tsi_arena_init(&other);
    tsi_memory_fail_after(0);
    const bool copied = tsi_grid_copy(&other, &grid, &copy);
    tsi_memory_fail_after(-1);
    cr_assert(!copied);
    cr_assert(tsi_grid_copy(&other, &grid, &copy));
    tsi_arena_fini(&arena);
    cr_assert(tsi_axis_start(&copy.axis[0], 2) == 5);
    cr_assert(tsi_axis_is_valid(&copy.axis[0]));
    tsi_arena_fini(&other);
}

Test(grid, equality_is_of_cuts)
{
    static const int64_t even[] = {0, 2, 4, 6};
    static const int64_t even_too[] = {0, 2, 4, 6};
    static const int64_t uneven[] = {0, 2, 3, 6};
    const struct tsi_axis closed = tsi_axis_regular(6, 2);
    const struct tsi_axis listed = {6, 3, 0, 0, even};
    const struct tsi_axis listed_too = {6, 3, 0, 0, even_too};
    const struct tsi_axis other = {6, 3, 0, 0, uneven};
    cr_assert(tsi_axis_equal(&closed, &listed));
    cr_assert(tsi_axis_equal(&listed, &closed));
    cr_assert(tsi_axis_equal(&listed, &listed_too));
    cr_assert(tsi_axis_equal(&listed, &listed));
    cr_assert(!tsi_axis_equal(&listed, &other));
    cr_assert(!tsi_axis_equal(&closed, &other));

    // The step of an axis of two chunks does not show.
    const struct tsi_axis two = tsi_axis_shifted(5, 2, 3);
    const struct tsi_axis two_too = tsi_axis_shifted(5, 2, 7);
    const struct tsi_axis three = tsi_axis_shifted(5, 2, 2);
    cr_assert(tsi_axis_equal(&two, &two_too));
    cr_assert(!tsi_axis_equal(&two, &three));
    const struct tsi_axis wide = tsi_axis_shifted(9, 1, 3);
    const struct tsi_axis wider = tsi_axis_shifted(9, 1, 4);
    cr_assert(!tsi_axis_equal(&wide, &wider));

    const struct tsi_grid a = {1, {closed}};
    const struct tsi_grid b = {1, {listed}};
    const struct tsi_grid c = {2, {closed, closed}};
    cr_assert(tsi_grid_equal(&a, &b));
    cr_assert(!tsi_grid_equal(&a, &c));
    const struct tsi_grid point = {.ndim = 0};
    cr_assert(tsi_grid_equal(&point, &point));
    cr_assert(!tsi_grid_equal(&a, &point));
}

Test(grid, invalid_axes)
{
    static const int64_t good[] = {0, 1, 1, 4};
    static const int64_t late[] = {1, 2, 3, 4};
    static const int64_t falling[] = {0, 3, 2, 4};
    static const int64_t empty[] = {0, 0};
    const struct tsi_axis right = {4, 3, 0, 0, good};
    cr_assert(tsi_axis_is_valid(&right));
    const struct tsi_axis wrong[] = {
        {-1, 1, -1, 1, NULL},
        {4, 0, 4, 4, NULL},
        {4, 1, 3, 4, NULL},
        {4, 1, 4, 0, NULL},
        {4, 2, 4, 4, NULL},
        {4, 2, 0, 4, NULL},
        {4, 3, 2, 2, NULL},
        {4, 1, 2, 2, NULL},
        {4, 2, 3, 2, NULL},
        {0, 2, 0, 1, NULL},
        {0, 1, 1, 1, NULL},
        {4, INT64_MAX, 1, 1, NULL},
        {4, -1, 4, 4, NULL},
        {5, 3, 0, 0, good},
        {4, 3, 0, 0, late},
        {4, 3, 0, 0, falling},
        {0, 1, 0, 0, empty},
        {4, INT64_MAX, 0, 0, good},
        {4, TSI_AXIS_BOUNDS_MAX + 1, 0, 0, good},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert(!tsi_axis_is_valid(&wrong[i]), "case %zu", i);
    }
}

Test(grid, chunks_in_c_order)
{
    const struct tsi_grid grid = {
        3, {tsi_axis_regular(5, 2), tsi_axis_shifted(7, 1, 3), tsi_axis_regular(4, 4)}};
    cr_assert(tsi_grid_chunk_count(&grid) == 9);
    cr_assert(tsi_grid_element_count(&grid) == 140);
    cr_assert(tsi_grid_chunk_elements_max(&grid) == 24);
    int64_t chunk = 0;
    for (int64_t i = 0; i < 3; i++) {
        for (int64_t j = 0; j < 3; j++) {
            const int64_t place[TESS_NDIM_MAX] = {i, j, 0};
            int64_t coords[TESS_NDIM_MAX];
            int64_t start[TESS_NDIM_MAX];
            int64_t size[TESS_NDIM_MAX];
            cr_assert(tsi_grid_chunk_at(&grid, place) == chunk);
            tsi_grid_coords(&grid, chunk, coords);
            cr_assert(coords[0] == i && coords[1] == j && coords[2] == 0);
            const int64_t rows = i == 2 ? 1 : 2;
            const int64_t columns = j == 0 ? 1 : 3;
            cr_assert(tsi_grid_box(&grid, chunk, start, size) == rows * columns * 4);
            cr_assert(start[0] == 2 * i && size[0] == rows);
            cr_assert(start[1] == (j == 0 ? 0 : 3 * j - 2) && size[1] == columns);
            cr_assert(start[2] == 0 && size[2] == 4);
            chunk++;
        }
    }
    const struct tess_shape shape = tsi_grid_shape(&grid);
    cr_assert(shape.ndim == 3 && shape.size[0] == 5 && shape.size[1] == 7 && shape.size[2] == 4);
}

Test(grid, point_and_nothing)
{
    const struct tsi_grid point = {.ndim = 0};
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    cr_assert(tsi_grid_chunk_count(&point) == 1);
    cr_assert(tsi_grid_element_count(&point) == 1);
    cr_assert(tsi_grid_chunk_elements_max(&point) == 1);
    cr_assert(tsi_grid_box(&point, 0, start, size) == 1);
    const struct tsi_grid none = {2, {tsi_axis_regular(0, 1), tsi_axis_regular(3, 1)}};
    cr_assert(tsi_grid_chunk_count(&none) == 3);
    cr_assert(tsi_grid_element_count(&none) == 0);
    cr_assert(tsi_grid_box(&none, 2, start, size) == 0);
    cr_assert(start[1] == 2 && size[1] == 1 && size[0] == 0);
}
