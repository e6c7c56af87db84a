// SPDX-License-Identifier: Apache-2.0
//
// Which tasks are mirror images, against the chunks that their maps say they read.

#include "engine/program/mirror.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/support/program_build.h"

enum { CHUNKS_MAX = 8 };

// A fold over `axes` of `loop` of an array that is read by two maps.
struct mirror_case {
    struct test_build build;
    int op;
};

static struct mirror_case
start_case(const struct tsi_grid *source, const struct tsi_grid *loop,
           const struct tsi_index_map maps[2], uint32_t axes)
{
    struct mirror_case c = {test_build_start(), 0};
    const int from = test_build_normal(&c.build, source);
    c.op = test_build_reduce(&c.build, loop, from, &maps[0], TSI_REDUCE_SUM, axes, false);
    test_build_input(&c.build, c.op, from, &maps[1]);
    return c;
}

static struct tsi_mirror
find(const struct mirror_case *c)
{
    return tsi_mirror_find(test_build_at((struct test_build *)(uintptr_t)&c->build, c->op));
}

static struct tsi_index_map
swapped(const struct tsi_grid *grid, int a, int b)
{
    struct tsi_index_map map = tsi_index_map_identity(grid);
    map.axis[a].axis = b;
    map.axis[b].axis = a;
    return map;
}

// The chunks that a task reads, rising, −1 behind the last.
static void
list_chunks(const struct mirror_case *c, int64_t chunk, int64_t *list)
{
    const struct tsi_chunk_op *const op = &c->build.program->ops[c->op];
    bool reads[64] = {false};
    int64_t at = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_grid *const source = &c->build.program->ops[op->inputs[i].op].array;
        struct tsi_chunk_set set = tsi_index_map_deps(&op->inputs[i].map, &op->loop, source, chunk);
        while (tsi_chunk_set_next(&set, &at)) {
            reads[at] = true;
        }
    }
    int count = 0;
    for (int64_t i = 0; i < 64; i++) {
        if (reads[i] && count < CHUNKS_MAX) {
            list[count++] = i;
        }
    }
    list[count] = -1;
}

// Every task has one mirror image, whose mirror image it is, and that reads the same chunks.
static void
check_pairs(const struct mirror_case *c, const struct tsi_mirror *mirror)
{
    const struct tsi_chunk_op *const op = &c->build.program->ops[c->op];
    const int64_t count = tsi_grid_chunk_count(&op->loop);
    for (int64_t chunk = 0; chunk < count; chunk++) {
        int64_t own[CHUNKS_MAX + 1];
        int64_t other[CHUNKS_MAX + 1];
        const int64_t image = tsi_mirror_chunk(mirror, &op->loop, chunk);
        cr_assert_eq(tsi_mirror_chunk(mirror, &op->loop, image), chunk);
        list_chunks(c, chunk, own);
        list_chunks(c, image, other);
        for (int i = 0; i == 0 || own[i - 1] >= 0; i++) {
            cr_assert_eq(own[i], other[i], "chunk %ld", (long)chunk);
        }
    }
}

static const struct tsi_grid square = {2, {{10, 4, 3, 3, NULL}, {10, 4, 3, 3, NULL}}};

Test(mirror, a_sum_of_an_array_and_its_transpose)
{
    const struct tsi_index_map maps[2] = {tsi_index_map_identity(&square), swapped(&square, 0, 1)};
    for (uint32_t axes = 0; axes < 3; axes++) {
        const struct mirror_case c = start_case(&square, &square, maps, axes);
        const struct tsi_mirror mirror = find(&c);
        cr_assert(mirror.low == 0 && mirror.high == 1, "axes %u", axes);
        cr_assert_eq(tsi_mirror_chunk(&mirror, &square, 1), 4);
        cr_assert_eq(tsi_mirror_chunk(&mirror, &square, 5), 5);
        check_pairs(&c, &mirror);
        tsi_program_free(c.build.program);
    }
}

Test(mirror, two_axes_of_three)
{
    const struct tsi_axis axis = tsi_axis_regular(6, 2);
    const struct tsi_grid cube = {3, {axis, axis, axis}};
    const int swaps[3][2] = {{0, 1}, {1, 2}, {0, 2}};
    for (int i = 0; i < 6; i++) {
        const int *const swap = swaps[i % 3];
        const struct tsi_index_map maps[2] = {tsi_index_map_identity(&cube),
                                              swapped(&cube, swap[0], swap[1])};
        const struct mirror_case c = start_case(&cube, &cube, maps, i < 3 ? 4 : 6);
        const struct tsi_mirror mirror = find(&c);
        // With 0 and 1 swapped, axis 2 is folded after axis 1; 1 and 2 are both folded.
        cr_assert_eq(mirror.low >= 0, i < 3 || i == 5);
        if (mirror.low >= 0) {
            cr_assert(mirror.low == swap[0] && mirror.high == swap[1]);
            check_pairs(&c, &mirror);
        }
        tsi_program_free(c.build.program);
    }
}

// Of a slice, backwards along one axis.
Test(mirror, with_offsets_and_strides)
{
    const struct tsi_grid source = {2, {tsi_axis_regular(30, 8), tsi_axis_regular(30, 8)}};
    struct tsi_index_map maps[2] = {tsi_index_map_identity(&square), swapped(&square, 0, 1)};
    for (int i = 0; i < 2; i++) {
        maps[i].axis[0].offset = 2;
        maps[i].axis[0].stride = 2;
        maps[i].axis[1].offset = 29;
        maps[i].axis[1].stride = -3;
    }
    struct mirror_case c = start_case(&source, &square, maps, 2);
    const struct tsi_mirror mirror = find(&c);
    cr_assert_eq(mirror.high, 1);
    check_pairs(&c, &mirror);
    test_build_at(&c.build, c.op)->inputs[1].map.axis[0].offset = 3;
    cr_assert(find(&c).low < 0);
    tsi_program_free(c.build.program);
}

Test(mirror, not_if_the_loop_is_cut_differently)
{
    const struct tsi_grid loop = {2, {tsi_axis_regular(10, 3), tsi_axis_regular(10, 4)}};
    const struct tsi_index_map maps[2] = {tsi_index_map_identity(&loop), swapped(&loop, 0, 1)};
    const struct mirror_case c = start_case(&square, &loop, maps, 2);
    const struct tsi_mirror mirror = find(&c);
    cr_assert(mirror.low < 0);
    cr_assert_eq(tsi_mirror_chunk(&mirror, &loop, 1), 1);
    tsi_program_free(c.build.program);
}

// One accumulator gets all elements of a chunk in their order, whatever would be best for caches.
Test(mirror, not_if_both_axes_are_folded_or_nothing_is_reduced)
{
    const struct tsi_index_map maps[2] = {tsi_index_map_identity(&square), swapped(&square, 0, 1)};
    struct mirror_case c = start_case(&square, &square, maps, 3);
    cr_assert(find(&c).low < 0);
    const int from[2] = {0, 0};
    c.op = test_build_sum(&c.build, &square, 2, from, maps);
    cr_assert(find(&c).low < 0);
    tsi_program_free(c.build.program);
}

Test(mirror, not_of_two_sources_or_of_equal_maps)
{
    struct tsi_index_map maps[2] = {tsi_index_map_identity(&square), swapped(&square, 0, 1)};
    struct mirror_case c = start_case(&square, &square, maps, 2);
    const int other = test_build_normal(&c.build, &square);
    struct tsi_chunk_op *const op = test_build_at(&c.build, c.op);
    op->inputs[1].op = (uint16_t)other;
    cr_assert(find(&c).low < 0);
    op->inputs[1].op = op->inputs[0].op;
    op->inputs[1].map = maps[0];
    cr_assert(find(&c).low < 0);
    op->inputs[1].map = maps[1];
    cr_assert(find(&c).low == 0);
    tsi_program_free(c.build.program);
}
