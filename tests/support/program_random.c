// SPDX-License-Identifier: Apache-2.0
//
// Typical programs, and random ones. A random program grows operation by operation; each reads
// arrays of earlier ones through maps that are made to fit.

#include <stdlib.h>

#include "tests/support/program_build.h"

enum { AXES_MAX = 3, SIZE_MAX_OF_AXIS = 9, CHUNKS_MAX = 48, ARRAYS_MAX = 64 };

struct tsi_axis
test_random_axis(struct test_random *random, struct tsi_arena *arena, int64_t size)
{
    int64_t sizes[8];
    struct tsi_axis axis;
    switch (size == 0 ? 0 : test_random_between(random, 0, 3)) {
    case 0:
        return tsi_axis_regular(size, TESS_WHOLE_AXIS);
    case 1:
        return tsi_axis_regular(size, test_random_between(random, 1, size + 1));
    case 2: {
        const int64_t step = test_random_between(random, 1, size);
        return tsi_axis_shifted(size, test_random_between(random, 1, step), step);
    }
    default:
        break;
    }
    const int64_t count = test_random_between(random, 2, 8);
    int64_t left = size;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = i == count - 1 ? left : test_random_between(random, 0, left / 2 + 1);
        sizes[i] = sizes[i] < left ? sizes[i] : left;
        left -= sizes[i];
    }
    struct tsi_error error;
    if (tsi_axis_from_sizes(arena, size, sizes, count, &axis, &error) != TESS_OK) {
        abort();
    }
    return axis;
}

struct tsi_program *
test_program_reduction(int64_t size, int64_t step, int64_t fanin)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {1, {tsi_axis_regular(size, step)}};
    int op = test_build_reduce(&build, &grid, -1, NULL, TSI_REDUCE_MEAN, 1, false);
    op = test_build_folds(&build, op, 1, fanin);
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

struct tsi_program *
test_program_rechunk(int64_t rows, int64_t columns, int64_t step)
{
    struct test_build build = test_build_start();
    const struct tsi_grid from = {2, {tsi_axis_regular(rows, step), tsi_axis_regular(columns, -1)}};
    const struct tsi_grid to = {2, {tsi_axis_regular(rows, -1), tsi_axis_regular(columns, step)}};
    const struct tsi_index_map map = tsi_index_map_identity(&from);
    const int source = test_build_normal(&build, &from);
    const int op = test_build_sum(&build, &to, 1, &source, &map);
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

struct tsi_program *
test_program_matmul(int64_t n, int64_t step, int64_t fanin)
{
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(n, step);
    const struct tsi_grid matrix = {2, {axis, axis}};
    const struct tsi_grid loop = {3, {axis, axis, axis}};
    const int a = test_build_normal(&build, &matrix);
    const int b = test_build_normal(&build, &matrix);
    const int op = test_build_matmul(&build, &loop, a, b, fanin);
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

// A random program as it grows.
struct growth {
    struct test_random random;
    struct test_build build;
    const struct test_program_options *options;
    int arrays[ARRAYS_MAX]; // operations with elements of type float64
    int array_count;
    bool is_read[TEST_BUILD_OPS_MAX];
    int64_t tasks; // about
};

static struct tsi_axis
pick_axis(struct growth *growth, int64_t size)
{
    return test_random_axis(&growth->random, &growth->build.program->arena, size);
}

static int64_t
pick_size(struct growth *growth)
{
    return test_random_one_in(&growth->random, 25)
               ? 0
               : test_random_between(&growth->random, 1, SIZE_MAX_OF_AXIS);
}

// Keeps the number of chunks in bounds, so that a program has many operations.
static void
limit_chunks(struct tsi_grid *grid)
{
    for (int i = 0; i < grid->ndim && tsi_grid_chunk_count(grid) > CHUNKS_MAX; i++) {
        grid->axis[i] = tsi_axis_regular(grid->axis[i].size, TESS_WHOLE_AXIS);
    }
}

static struct tsi_grid
pick_grid(struct growth *growth)
{
    struct tsi_grid grid = {.ndim = (int)test_random_between(&growth->random, 0, AXES_MAX)};
    for (int i = 0; i < grid.ndim; i++) {
        grid.axis[i] = pick_axis(growth, pick_size(growth));
    }
    limit_chunks(&grid);
    return grid;
}

static void
add_array(struct growth *growth, int op)
{
    if (growth->array_count < ARRAYS_MAX) {
        growth->arrays[growth->array_count++] = op;
    }
}

static int
pick_array(struct growth *growth)
{
    return growth->arrays[test_random_between(&growth->random, 0, growth->array_count - 1)];
}

static const struct tsi_grid *
array_of(struct growth *growth, int op)
{
    return &test_build_at(&growth->build, op)->array;
}

static void
add_leaf(struct growth *growth)
{
    const struct test_program_options *options = growth->options;
    const int64_t kind = test_random_between(&growth->random, 0, 5);
    struct tsi_grid grid = pick_grid(growth);
    int op = -1;
    if (kind == 0 && options->with_held) {
        op = test_build_op(&growth->build, TSI_WORK_HELD, TESS_F64, &grid, NULL);
        test_build_at(&growth->build, op)->held.array = (uint32_t)op;
    } else if (kind == 1 && options->with_kept) {
        op = test_build_op(&growth->build, TSI_WORK_KEPT, TESS_F64, &grid, NULL);
        test_build_at(&growth->build, op)->kept =
            (struct tsi_work_kept){.job = 1, .base = (uint32_t)op * 1000};
    } else if (kind == 2 && options->with_file) {
        for (int i = 0; i < grid.ndim; i++) {
            grid.axis[i] = tsi_axis_regular(grid.axis[i].size, TESS_WHOLE_AXIS);
        }
        op = test_build_op(&growth->build, TSI_WORK_FILE, TESS_F64, &grid, NULL);
        test_build_at(&growth->build, op)->file = (struct tsi_work_file){
            .path = "/no/such/file.npy", .swapped = op % 2 == 0, .data_offset = 128};
    } else {
        op = test_build_normal(&growth->build, &grid);
    }
    add_array(growth, op);
}

// A loop that reads all of `source` or a part of it: axes in any order, slices, dropped axes,
// repeats.
static struct tsi_index_map
pick_view(struct growth *growth, const struct tsi_grid *source, struct tsi_grid *loop)
{
    struct test_random *random = &growth->random;
    struct tsi_index_map map = tsi_index_map_identity(source);
    *loop = *source;
    if (test_random_one_in(random, 3)) {
        return map;
    }
    if (test_random_one_in(random, 3)) {
        for (int i = 0; i < loop->ndim; i++) {
            loop->axis[i] = pick_axis(growth, loop->axis[i].size);
        }
        limit_chunks(loop);
        return map;
    }
    loop->ndim = 0;
    if (test_random_one_in(random, 3)) {
        loop->axis[loop->ndim++] = pick_axis(growth, pick_size(growth));
    }
    const int first = loop->ndim;
    const bool is_reversed = test_random_one_in(random, 2);
    for (int i = 0; i < source->ndim; i++) {
        struct tsi_map_axis *rule = &map.axis[i];
        const int64_t size = source->axis[i].size;
        const int64_t offset = size == 0 ? 0 : test_random_between(random, 0, size - 1);
        if (size > 0 && test_random_one_in(random, 4)) {
            *rule = (struct tsi_map_axis){-1, offset, 0, 1};
            continue;
        }
        const int64_t stride = test_random_between(random, 1, 3);
        const bool falls = test_random_one_in(random, 3);
        const int64_t room = size > 0 && falls ? offset + 1 : size - offset;
        *rule = (struct tsi_map_axis){loop->ndim, offset, falls ? -stride : stride, 1};
        loop->axis[loop->ndim++] = pick_axis(growth, room <= 0 ? 0 : (room - 1) / stride + 1);
    }
    // Turning the order of the named axes around is a transpose.
    for (int i = first; is_reversed && i < (first + loop->ndim) / 2; i++) {
        const int other = first + loop->ndim - 1 - i;
        const struct tsi_axis axis = loop->axis[i];
        loop->axis[i] = loop->axis[other];
        loop->axis[other] = axis;
    }
    for (int i = 0; is_reversed && i < source->ndim; i++) {
        if (map.axis[i].axis >= 0) {
            map.axis[i].axis = first + loop->ndim - 1 - map.axis[i].axis;
        }
    }
    limit_chunks(loop);
    return map;
}

// A map from a loop that is there into `source`, if there is one: each source axis follows the next
// loop axis that is short enough, or is one index of it.
static bool
fit_view(struct growth *growth, const struct tsi_grid *loop, const struct tsi_grid *source,
         struct tsi_index_map *map)
{
    int next = 0;
    *map = (struct tsi_index_map){.ndim = source->ndim};
    for (int i = 0; i < source->ndim; i++) {
        const int64_t size = source->axis[i].size;
        if (size == 0) {
            return false;
        }
        while (next < loop->ndim && loop->axis[next].size > size) {
            next++;
        }
        if (next == loop->ndim) {
            map->axis[i] =
                (struct tsi_map_axis){-1, test_random_between(&growth->random, 0, size - 1), 0, 1};
            continue;
        }
        const int64_t spare = size - loop->axis[next].size;
        const int64_t offset = test_random_between(&growth->random, 0, spare);
        map->axis[i] = (struct tsi_map_axis){next, offset < size ? offset : 0, 1, 1};
        next++;
    }
    return true;
}

static void
add_sum(struct growth *growth)
{
    int from[3];
    struct tsi_index_map maps[3];
    struct tsi_grid loop;
    int count = 1;
    from[0] = pick_array(growth);
    maps[0] = pick_view(growth, array_of(growth, from[0]), &loop);
    for (int i = 0; i < 2; i++) {
        from[count] = pick_array(growth);
        if (fit_view(growth, &loop, array_of(growth, from[count]), &maps[count])) {
            count++;
        }
    }
    for (int i = 0; i < count; i++) {
        growth->is_read[from[i]] = true;
    }
    add_array(growth, test_build_sum(&growth->build, &loop, count, from, maps));
}

static void
add_reduction(struct growth *growth)
{
    static const enum tsi_reduction reductions[] = {TSI_REDUCE_SUM, TSI_REDUCE_MEAN, TSI_REDUCE_VAR,
                                                    TSI_REDUCE_MAX};
    struct test_random *random = &growth->random;
    struct tsi_grid loop;
    const int from = test_random_one_in(random, 3) ? -1 : pick_array(growth);
    struct tsi_index_map map = {0};
    if (from < 0) {
        loop = pick_grid(growth);
    } else {
        map = pick_view(growth, array_of(growth, from), &loop);
        growth->is_read[from] = true;
    }
    const uint32_t axes = (uint32_t)test_random_bits(random) & ((UINT32_C(1) << loop.ndim) - 1);
    const enum tsi_reduction reduction = reductions[test_random_between(random, 0, 3)];
    const bool finish = test_random_one_in(random, 2);
    int op = test_build_reduce(&growth->build, &loop, from, &map, reduction, axes, finish);
    if (test_build_at(&growth->build, op)->is_planes) {
        op = test_build_folds(&growth->build, op, axes, test_random_between(random, 2, 5));
    }
    add_array(growth, op);
}

static void
add_product(struct growth *growth)
{
    struct tsi_axis axis[3];
    for (int i = 0; i < 3; i++) {
        axis[i] = pick_axis(growth, pick_size(growth));
    }
    struct tsi_grid loop = {3, {axis[0], axis[1], axis[2]}};
    const struct tsi_grid left = {2, {axis[0], axis[2]}};
    const struct tsi_grid right = {2, {pick_axis(growth, axis[2].size), axis[1]}};
    limit_chunks(&loop);
    const int a = test_build_normal(&growth->build, &left);
    const int b = test_build_normal(&growth->build, &right);
    growth->is_read[a] = true;
    growth->is_read[b] = true;
    const int64_t fanin = test_random_between(&growth->random, 2, 4);
    add_array(growth, test_build_matmul(&growth->build, &loop, a, b, fanin));
}

// Whether every chunk of `grid` has elements, so that a list may name it.
static bool
has_elements(const struct tsi_grid *grid)
{
    for (int i = 0; i < grid->ndim; i++) {
        for (int64_t chunk = 0; chunk < grid->axis[i].count; chunk++) {
            if (tsi_axis_chunk_size(&grid->axis[i], chunk) == 0) {
                return false;
            }
        }
    }
    return true;
}

// A join that waits for everything, or for random chunks that it lists.
static void
add_join(struct growth *growth)
{
    const int from = pick_array(growth);
    const struct tsi_grid *source = array_of(growth, from);
    growth->is_read[from] = true;
    if (!has_elements(source) || test_random_one_in(&growth->random, 3)) {
        test_build_target(&growth->build, test_build_join(&growth->build, from), TSI_TARGET_RUN);
        return;
    }
    const int64_t rows = test_random_between(&growth->random, 1, 5);
    const int64_t chunks = tsi_grid_chunk_count(source);
    const struct tsi_grid loop = {1, {tsi_axis_regular(rows, 1)}};
    uint32_t counts[5] = {0};
    uint32_t items[5 * (CHUNKS_MAX + 1)];
    uint32_t total = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t chunk = 0; chunk < chunks && chunk < CHUNKS_MAX; chunk++) {
            if (test_random_one_in(&growth->random, 3)) {
                items[total++] = (uint32_t)chunk;
                counts[row]++;
            }
        }
    }
    const struct tsi_index_map map = test_build_rows(&growth->build, &loop, source, counts, items);
    const int op = test_build_op(&growth->build, TSI_WORK_JOIN, TESS_BOOL, &loop, NULL);
    test_build_input(&growth->build, op, from, &map);
    test_build_target(&growth->build, op, TSI_TARGET_RUN);
}

static int64_t
count_tasks(const struct tsi_program *program)
{
    int64_t count = 0;
    for (int i = 0; i < program->op_count; i++) {
        count += tsi_grid_chunk_count(&program->ops[i].loop);
    }
    return count;
}

static void
grow(struct growth *growth)
{
    switch (test_random_between(&growth->random, 0, 9)) {
    case 0:
        add_leaf(growth);
        break;
    case 1:
        add_product(growth);
        break;
    case 2:
        add_join(growth);
        break;
    case 3:
    case 4:
        add_reduction(growth);
        break;
    default:
        add_sum(growth);
        break;
    }
}

// What nobody reads is a target, and now and then what somebody reads too.
static void
pick_targets(struct growth *growth)
{
    for (int i = 0; i < growth->array_count; i++) {
        const int op = growth->arrays[i];
        const uint8_t work = test_build_at(&growth->build, op)->work;
        const bool is_made =
            work == TSI_WORK_TILE || work == TSI_WORK_FOLD || work == TSI_WORK_MATMUL;
        if (is_made && (!growth->is_read[op] || test_random_one_in(&growth->random, 8))) {
            const int64_t mode = test_random_between(&growth->random, 0, 4);
            test_build_target(&growth->build, op,
                              mode == 0   ? TSI_TARGET_KEEP
                              : mode == 1 ? TSI_TARGET_RUN
                                          : TSI_TARGET_DELIVER);
        }
    }
}

struct tsi_program *
test_program_random(uint64_t seed, const struct test_program_options *options)
{
    struct growth growth = {.random = {seed}, .build = test_build_start(), .options = options};
    add_leaf(&growth);
    do {
        grow(&growth);
    } while (count_tasks(growth.build.program) < options->tasks_max &&
             growth.build.program->op_count < 60);
    const struct tsi_grid point = {.ndim = 0};
    if (growth.array_count < ARRAYS_MAX) {
        add_array(&growth, test_build_normal(&growth.build, &point));
    }
    pick_targets(&growth);
    return test_build_finish(&growth.build);
}
