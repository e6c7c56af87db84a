// SPDX-License-Identifier: Apache-2.0
//
// Programs of a few operations over one axis.

#include "tests/support/sched_programs.h"

#include "tests/support/program_build.h"

static struct tsi_grid
line(int64_t n)
{
    return (struct tsi_grid){.ndim = 1, .axis = {tsi_axis_regular(10 * n, 10)}};
}

static int
add_copy(struct test_build *build, const struct tsi_grid *grid, int from)
{
    const struct tsi_index_map map = tsi_index_map_identity(grid);
    return test_build_sum(build, grid, 1, &from, &map);
}

struct tsi_program *
sched_program_leaves(int64_t n, enum tsi_target_mode mode)
{
    return sched_program_chain(n, 1, mode);
}

struct tsi_program *
sched_program_chain(int64_t n, int length, enum tsi_target_mode mode)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    int op = test_build_normal(&build, &grid);
    for (int i = 1; i < length; i++) {
        op = add_copy(&build, &grid, op);
    }
    test_build_target(&build, op, mode);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_join(int64_t n)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    const int op = test_build_normal(&build, &grid);
    test_build_target(&build, test_build_join(&build, op), TSI_TARGET_RUN);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_held(int64_t n)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    const int op = test_build_op(&build, TSI_WORK_HELD, TESS_F64, &grid, NULL);
    test_build_target(&build, add_copy(&build, &grid, op), TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_kept(int64_t n, uint32_t job, uint32_t base, enum tsi_target_mode mode)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    const int op = test_build_op(&build, TSI_WORK_KEPT, TESS_F64, &grid, NULL);
    test_build_at(&build, op)->kept = (struct tsi_work_kept){job, base};
    test_build_target(&build, add_copy(&build, &grid, op), mode);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_twice(int64_t n)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    const int op = test_build_normal(&build, &grid);
    const int from[2] = {op, op};
    const struct tsi_index_map maps[2] = {tsi_index_map_identity(&grid),
                                          tsi_index_map_identity(&grid)};
    test_build_target(&build, test_build_sum(&build, &grid, 2, from, maps), TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_broadcast(int64_t n)
{
    struct test_build build = test_build_start();
    const struct tsi_grid one = line(1);
    const struct tsi_grid grid = {.ndim = 2,
                                  .axis = {tsi_axis_regular(n, 1), tsi_axis_regular(10, 10)}};
    const int op = test_build_normal(&build, &one);
    const struct tsi_index_map map = {.ndim = 1, .axis = {{.axis = 1, .stride = 1, .extent = 1}}};
    test_build_target(&build, test_build_sum(&build, &grid, 1, &op, &map), TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

struct tsi_program *
sched_program_write(int64_t n)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = line(n);
    const int op = test_build_normal(&build, &grid);
    const int write = add_copy(&build, &grid, op);
    struct tsi_chunk_op *writer = test_build_at(&build, write);
    writer->tile.sink = TSI_SINK_WRITE;
    writer->target_file = (struct tsi_work_target_file){"/out.npy", "/out.npy.part"};
    const int join = test_build_join(&build, write);
    test_build_at(&build, join)->target_file = writer->target_file;
    test_build_target(&build, join, TSI_TARGET_RUN);
    return test_build_finish(&build);
}
