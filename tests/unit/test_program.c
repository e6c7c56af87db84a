// SPDX-License-Identifier: Apache-2.0
//
// Numbers, bytes and costs of programs.

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "engine/program/program.h"
#include "tests/support/program_build.h"
#include "tests/support/program_walk.h"

static const struct test_program_options everything = {
    .tasks_max = 300, .with_held = true, .with_kept = true, .with_file = true};

Test(program, tasks_are_numbered_through)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct tsi_program *program = test_program_random(seed, &everything);
        uint32_t task = 0;
        for (int i = 0; i < program->op_count; i++) {
            const struct tsi_chunk_op *op = &program->ops[i];
            const int64_t count = op->work == TSI_WORK_FILE ? 0 : tsi_grid_chunk_count(&op->loop);
            cr_assert(op->task_base == task && op->task_count == count, "seed %llu operation %d",
                      (unsigned long long)seed, i);
            for (int64_t k = 0; k < count; k++) {
                cr_assert(tsi_program_op_of(program, task) == i, "seed %llu task %u",
                          (unsigned long long)seed, (unsigned)task);
                task++;
            }
        }
        cr_assert(program->task_count == task);
        const char *wrong = test_program_walk(program);
        cr_assert(wrong == NULL, "seed %llu: %s", (unsigned long long)seed, wrong);
        tsi_program_free(program);
    }
    tsi_program_free(NULL);
}

Test(program, too_many_tasks)
{
    struct tsi_error error = {0};
    struct test_build build = test_build_start();
    const struct tsi_grid most = {1, {tsi_axis_regular(TSI_PROGRAM_TASKS_MAX, 1)}};
    const struct tsi_grid point = {.ndim = 0};
    const int large = test_build_normal(&build, &most);
    cr_assert(tsi_program_number(build.program, &error) == TESS_OK);
    cr_assert(build.program->task_count == TSI_PROGRAM_TASKS_MAX);
    cr_assert(tsi_program_op_of(build.program, TSI_PROGRAM_TASKS_MAX - 1) == large);
    test_build_normal(&build, &point);
    cr_assert(tsi_program_number(build.program, &error) == TESS_ELIMIT);
    cr_assert(strstr(error.text, "op1 at test.c:1") != NULL, "%s", error.text);
    tsi_program_free(build.program);

    build = test_build_start();
    const struct tsi_axis long_axis = tsi_axis_regular(INT64_C(1) << 40, 1);
    const struct tsi_grid overflow = {2, {long_axis, long_axis}};
    test_build_op(&build, TSI_WORK_HELD, TESS_F64, &overflow, NULL);
    cr_assert(tsi_program_number(build.program, &error) == TESS_ELIMIT);
    tsi_program_free(build.program);
}

Test(program, bytes_of_chunks)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {2, {tsi_axis_regular(5, 2), tsi_axis_regular(10, 4)}};
    const int stored = test_build_normal(&build, &grid);
    const struct tsi_chunk_op *op = test_build_at(&build, stored);
    cr_assert(tsi_chunk_op_bytes(op, 0) == (size_t)8 * 2 * 4);
    cr_assert(tsi_chunk_op_bytes(op, 8) == (size_t)8 * 1 * 2);
    cr_assert(tsi_chunk_op_bytes_max(op) == (size_t)8 * 2 * 4);

    // Three planes of four accumulators, each on a boundary of 64 bytes.
    const int variance = test_build_reduce(&build, &grid, -1, NULL, TSI_REDUCE_VAR, 1, false);
    op = test_build_at(&build, variance);
    cr_assert(tsi_chunk_op_bytes(op, 0) == (size_t)3 * 64);
    cr_assert(tsi_chunk_op_bytes_max(op) == (size_t)3 * 64);
    cr_assert(tsi_grid_element_count(&op->array) == 3 * 10);

    const int join = test_build_join(&build, stored);
    cr_assert(tsi_chunk_op_bytes(test_build_at(&build, join), 0) == 0);
    cr_assert(tsi_chunk_op_bytes_max(test_build_at(&build, join)) == 0);
    test_build_at(&build, stored)->tile.sink = TSI_SINK_WRITE;
    cr_assert(tsi_chunk_op_bytes(test_build_at(&build, stored), 0) == 0);
    tsi_program_free(build.program);
}

Test(program, workspace)
{
    struct test_build build = test_build_start();
    const struct tsi_grid rows = {2, {tsi_axis_regular(100, 10), tsi_axis_regular(100, -1)}};
    const struct tsi_grid columns = {2, {tsi_axis_regular(100, -1), tsi_axis_regular(100, 10)}};
    const struct tsi_index_map same = tsi_index_map_identity(&rows);
    const struct tsi_index_map both[] = {same, same};
    const int a = test_build_normal(&build, &rows);
    const int two[] = {a, a};
    const int aligned = test_build_sum(&build, &rows, 2, two, both);
    const int recut = test_build_sum(&build, &columns, 2, two, both);
    const int moved = test_build_sum(&build, &columns, 1, two, both);
    // Of two inputs in several chunks, however large these are.
    const size_t notes = (size_t)2 * 4096;
    const size_t registers =
        tsi_chunk_op_workspace_max(build.program, test_build_at(&build, aligned));
    cr_assert(registers >= (size_t)3 * 1000 * 8 && registers < (size_t)8 * 1000 * 8, "%zu",
              registers);
    const size_t several = tsi_chunk_op_workspace_max(build.program, test_build_at(&build, recut));
    cr_assert(several > registers && several < registers + notes, "%zu", several);
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, moved)) == 0);

    // Slices of whole chunks lie in one each, others in two.
    const struct tsi_grid part = {2, {tsi_axis_regular(40, 10), tsi_axis_regular(100, -1)}};
    const struct tsi_grid fine = {2, {tsi_axis_shifted(35, 5, 5), tsi_axis_regular(100, -1)}};
    struct tsi_index_map slices[] = {same, same};
    slices[0].axis[0].offset = slices[1].axis[0].offset = 30;
    const int even = test_build_sum(&build, &part, 2, two, slices);
    slices[0].axis[0].offset = slices[1].axis[0].offset = 15;
    const int finer = test_build_sum(&build, &fine, 2, two, slices);
    const int odd = test_build_sum(&build, &part, 2, two, slices);
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, even)) == registers);
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, finer)) < registers);
    const size_t two_each = tsi_chunk_op_workspace_max(build.program, test_build_at(&build, odd));
    cr_assert(two_each > registers && two_each < registers + notes, "%zu", two_each);
    tsi_program_free(build.program);
}

Test(program, costs)
{
    struct tsi_program *program = test_program_matmul(2000, 1000, 16);
    const uint64_t random = tsi_chunk_op_cost_ns(program, &program->ops[0]);
    const uint64_t product = tsi_chunk_op_cost_ns(program, &program->ops[2]);
    cr_assert(random > 1000000 && random < 100000000, "%llu ns", (unsigned long long)random);
    cr_assert(product > 20 * 1000000 && product < 2000000000, "%llu ns",
              (unsigned long long)product);
    cr_assert(tsi_chunk_op_cost_ns(program, &program->ops[3]) > 0);
    tsi_program_free(program);
}

Test(program, places)
{
    struct tsi_chunk_op op = {.label = "mean", .site = "main.c:7"};
    char text[TSI_PLACE_TEXT_MAX];
    tsi_chunk_op_place(&op, text, sizeof text);
    cr_assert_str_eq(text, "mean at main.c:7");
    op.site = "";
    tsi_chunk_op_place(&op, text, sizeof text);
    cr_assert_str_eq(text, "mean");
    tsi_chunk_op_place(&op, text, 3);
    cr_assert_str_eq(text, "me");
    op.site = NULL;
    op.label = NULL;
    tsi_chunk_op_place(&op, text, sizeof text);
    cr_assert_str_eq(text, "");
}
