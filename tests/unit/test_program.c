// SPDX-License-Identifier: Apache-2.0
//
// Numbers, bytes and costs of programs, and the rules that validation holds.

#include <criterion/criterion.h>

#include <math.h>
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
    const size_t block = (size_t)100 * 10 * 8;
    const size_t registers =
        tsi_chunk_op_workspace_max(build.program, test_build_at(&build, aligned));
    cr_assert(registers >= (size_t)3 * 1000 * 8 && registers < (size_t)8 * 1000 * 8, "%zu",
              registers);
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, recut)) ==
              registers + 2 * block);
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, moved)) == 0);

    // Slices of whole chunks need no copy, others do.
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
    cr_assert(tsi_chunk_op_workspace_max(build.program, test_build_at(&build, odd)) ==
              registers + 2 * block);
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

// Rules. A program that keeps them is broken in one place, and must be refused. In it are
//
//     0  TILE that stores normal variates       4  FOLD, finished
//     1  TILE that adds two inputs              5  MATMUL of 1 and 0
//     2  TILE that reduces to accumulators      6  FOLD, finished
//     3  FOLD to accumulators                   7  FILE
//                                               8  TILE that reduces to results
//                                               9  TILE that writes 7      10  JOIN that commits

static struct tsi_program *
make_program(void)
{
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(12, 2);
    const struct tsi_grid grid = {2, {axis, axis}};
    const struct tsi_grid block = {3, {axis, axis, axis}};
    const struct tsi_grid whole = {2, {tsi_axis_regular(12, -1), tsi_axis_regular(12, -1)}};
    const struct tsi_index_map same = tsi_index_map_identity(&grid);
    const struct tsi_index_map both[] = {same, same};
    const int zeros[] = {0, 0};
    test_build_normal(&build, &grid);
    test_build_sum(&build, &grid, 2, zeros, both);
    test_build_reduce(&build, &grid, 1, &same, TSI_REDUCE_MEAN, 2, false);
    test_build_folds(&build, 2, 2, 4);
    test_build_matmul(&build, &block, 1, 0, 100);
    test_build_op(&build, TSI_WORK_FILE, TESS_F64, &whole, NULL);
    test_build_at(&build, 7)->file.path = "a.npy";
    test_build_reduce(&build, &whole, 7, &same, TSI_REDUCE_ARGMAX, 1, true);
    const int seven = 7;
    test_build_sum(&build, &grid, 1, &seven, &same);
    test_build_at(&build, 9)->tile.sink = TSI_SINK_WRITE;
    test_build_at(&build, 9)->target_file.temporary = ".b";
    test_build_join(&build, 9);
    test_build_at(&build, 10)->target_file = (struct tsi_work_target_file){"b", ".b"};
    test_build_target(&build, 4, TSI_TARGET_DELIVER);
    test_build_target(&build, 6, TSI_TARGET_KEEP);
    test_build_target(&build, 8, TSI_TARGET_DELIVER);
    test_build_target(&build, 10, TSI_TARGET_RUN);
    return test_build_finish(&build);
}

// Breaks a rule of operations; false if there is no rule `which`.
static bool
break_op(struct tsi_program *program, int which)
{
    struct tsi_chunk_op *ops = program->ops;
    switch (which) {
    case 0:
        ops[0].work = TSI_WORK_COUNT;
        return true;
    case 1:
        ops[0].dtype = TESS_NONE;
        return true;
    case 2:
        ops[0].dtype = TESS_DTYPE_COUNT;
        return true;
    case 3:
        ops[0].label = NULL;
        return true;
    case 4:
        ops[0].site = "two\nlines";
        return true;
    case 5:
        ops[0].loop.ndim = TESS_NDIM_MAX + 1;
        return true;
    case 6:
        ops[0].loop.ndim = -1;
        return true;
    case 7:
        ops[0].loop.axis[0].count = 0;
        return true;
    case 8:
        ops[0].loop.axis[0].size = -12;
        return true;
    case 9:
        ops[0].loop.axis[0] = tsi_axis_regular(12, 3);
        return true;
    case 10:
        ops[0].loop.axis[0] = tsi_axis_regular(11, 2);
        return true;
    case 11:
        ops[0].input_count = -1;
        return true;
    case 12:
        ops[0].input_count = TSI_OP_INPUTS_MAX + 1;
        return true;
    case 13:
        ops[1].inputs[0].op = 1;
        return true;
    case 14:
        ops[1].inputs[1].op = 2;
        return true;
    case 15:
        ops[1].inputs[0].map.axis[0].offset = 1;
        return true;
    case 16:
        ops[1].inputs[0].map.axis[0].extent = 2;
        return true;
    case 17:
        ops[3].inputs[0].op = 0;
        return true;
    case 18:
        ops[7].file.path = NULL;
        return true;
    case 19:
        ops[7].file.path = "";
        return true;
    case 20:
        ops[7].file.data_offset = -1;
        return true;
    case 21:
        ops[7].file.data_offset = INT64_MAX;
        return true;
    case 22:
        ops[9].target_file.temporary = NULL;
        return true;
    case 23:
        ops[10].target_file.temporary = NULL;
        return true;
    case 24:
        ops[1].target_file.temporary = "c";
        return true;
    case 25:
        ops[10].input_count = 0;
        return true;
    case 26:
        ops[0].is_planes = true;
        return true;
    case 27:
        ops[2].is_planes = false;
        return true;
    case 28:
        ops[2].plane_reduction = TSI_REDUCE_COUNT;
        return true;
    case 29:
        ops[2].plane_reduction = TSI_REDUCE_SUM;
        return true;
    case 30:
        ops[2].dtype = TESS_F32;
        return true;
    case 31:
        ops[1].task_base++;
        return true;
    case 32:
        ops[1].task_count++;
        return true;
    case 33:
        program->task_count++;
        return true;
    case 34:
        ops[0].input_count = 0;
        ops[0].work = TSI_WORK_KEPT;
        ops[0].kept.base = TSI_PROGRAM_TASKS_MAX;
        return true;
    case 35:
        ops[0].loop.axis[0] = ops[0].array.axis[0] = tsi_axis_regular(INT64_MAX, INT64_MAX / 6 + 1);
        return true;
    default:
        return false;
    }
}

static bool
break_tile(struct tsi_program *program, int which)
{
    struct tsi_tile *source = &program->ops[0].tile;
    struct tsi_tile *sum = &program->ops[1].tile;
    struct tsi_tile *reduce = &program->ops[2].tile;
    struct tsi_tile_reduce *finished = &program->ops[8].tile.reduce;
    switch (which) {
    case 0:
        source->instruction_count = 0;
        return true;
    case 1:
        source->instruction_count = TSI_TILE_INSTRUCTIONS_MAX + 1;
        return true;
    case 2:
        source->register_count = 0;
        return true;
    case 3:
        source->register_count = TSI_TILE_REGISTERS_MAX + 1;
        return true;
    case 4:
        source->source_count = 0;
        return true;
    case 5:
        source->sources[0].source = TSI_SOURCE_COUNT;
        return true;
    case 6:
        source->sources[0].step[0] = INT64_MAX / 2;
        return true;
    case 7:
        source->sources[0].step[1] = INT64_MIN;
        return true;
    case 8:
        source->sources[0].first = INT64_MIN;
        return true;
    case 9:
        source->instructions[0].dtype = TESS_I32;
        return true;
    case 10:
        source->instructions[0].out = 1;
        return true;
    case 11:
        source->instructions[0].code = TSI_TILE_CODE_COUNT;
        return true;
    case 12:
        source->sink = TSI_SINK_COUNT;
        return true;
    case 13:
        source->constant_count = -1;
        return true;
    case 14:
        sum->instructions[0].operand = 2;
        return true;
    case 15:
        sum->instructions[0].dtype = TESS_F32;
        return true;
    case 16:
        sum->instructions[2].operand = TSI_OP_COUNT;
        return true;
    case 17:
        sum->instructions[2].operand = TSI_OP_WHERE;
        return true;
    case 18:
        sum->instructions[2].dtype = TESS_I64;
        return true;
    case 19:
        sum->instructions[2].in[1] = 2;
        return true;
    case 20:
        sum->instructions[2].in[1] = 200;
        return true;
    case 21:
        sum->instructions[1].out = 0; // Register 1 is read and not written.
        return true;
    case 22:
        sum->instructions[1].dtype = TESS_NONE;
        return true;
    case 23:
        sum->instructions[2].operand = TSI_OP_LESS; // Tells bool, in place of float64.
        return true;
    case 24:
        reduce->reduce.reduction = TSI_REDUCE_COUNT;
        return true;
    case 25:
        reduce->reduce.reduction = TSI_REDUCE_SUM;
        return true;
    case 26:
        reduce->reduce.dtype = TESS_F32;
        return true;
    case 27:
        reduce->reduce.axes = 1;
        return true;
    case 28:
        reduce->reduce.axes = 6;
        return true;
    case 29:
        reduce->reduce.finish = true;
        return true;
    case 30:
        reduce->reduce.folded = -1;
        return true;
    case 31:
        reduce->reduce.folded = NAN;
        return true;
    case 32:
        reduce->reduce.folded = INFINITY;
        return true;
    case 33:
        reduce->reduce.order[1] = -1;
        return true;
    case 34:
        reduce->reduce.order[1] = INT64_MAX / 2;
        return true;
    case 35:
        finished->axes = 2;
        program->ops[8].array = program->ops[8].loop;
        return true;
    case 36:
        finished->finish = false;
        return true;
    case 37:
        finished->dtype = TESS_I64;
        return true;
    case 38:
        sum->instructions[0].code = TSI_TILE_CONST;
        return true;
    default:
        return false;
    }
}

static bool
break_fold(struct tsi_program *program, int which)
{
    struct tsi_chunk_op *fold = &program->ops[3];
    struct tsi_chunk_op *last = &program->ops[4];
    struct tsi_chunk_op *product = &program->ops[5];
    switch (which) {
    case 0:
        fold->fold.reduction = TSI_REDUCE_SUM;
        return true;
    case 1:
        fold->fold.dtype = TESS_F32;
        return true;
    case 2:
        fold->fold.axes = 1;
        return true;
    case 3:
        fold->fold.finish = true;
        return true;
    case 4:
        fold->fold.folded = -0.5;
        return true;
    case 5:
        fold->input_count = 0;
        return true;
    case 6:
        fold->inputs[0].map.axis[1].stride = 3;
        return true;
    case 7:
        fold->inputs[0].map.axis[1].offset = 1;
        return true;
    case 8:
        fold->inputs[0].map.axis[1].extent = fold->inputs[0].map.axis[1].stride = 3;
        fold->loop.axis[1] = fold->array.axis[1] = tsi_axis_regular(3, 1);
        return true;
    case 9:
        fold->inputs[0].map.axis[0].axis = 1;
        fold->inputs[0].map.axis[1].axis = 0;
        return true;
    case 10:
        last->array.axis[0] = tsi_axis_regular(12, 4);
        return true;
    case 11:
        last->array.ndim = 0;
        return true;
    case 12:
        last->fold.finish = false;
        return true;
    case 13:
        product->input_count = 1;
        return true;
    case 14:
        product->dtype = TESS_F32;
        return true;
    case 15:
        product->matmul.finish = true;
        return true;
    case 16:
        product->plane_reduction = TSI_REDUCE_MEAN;
        return true;
    case 17:
        product->inputs[0].map.axis[0].axis = 1;
        return true;
    case 18:
        product->inputs[1].map.axis[0] = (struct tsi_map_axis){-1, 0, 0, 1};
        return true;
    case 19:
        product->inputs[1].map.axis[0].extent = 2;
        return true;
    case 20:
        product->inputs[1].map.axis[0].stride = 0;
        return true;
    case 21:
        product->array.axis[2] = tsi_axis_regular(12, 2);
        return true;
    case 22:
        product->array.axis[0] = tsi_axis_regular(11, 2);
        return true;
    case 23:
        program->op_count = 0;
        return true;
    case 24:
        program->target_count = 0;
        return true;
    case 25:
        program->targets[0].op = 11;
        return true;
    case 26:
        program->targets[0].op = 6;
        return true;
    case 27:
        program->targets[0].op = 7;
        return true;
    case 28:
        program->targets[0].op = 3;
        return true;
    case 29:
        program->targets[0].mode = TSI_TARGET_MODE_COUNT;
        return true;
    case 30:
        program->targets[3].mode = TSI_TARGET_KEEP;
        return true;
    case 31:
        program->op_count = TSI_PROGRAM_OPS_MAX + 1;
        return true;
    case 32:
        program->targets[0].op = 9;
        return true;
    default:
        return false;
    }
}

static void
check_rules(bool (*break_rule)(struct tsi_program *program, int which), const char *name, int count)
{
    int which = 0;
    for (bool is_rule = true; is_rule; which++) {
        struct tsi_program *program = make_program();
        const int op_count = program->op_count;
        struct tsi_error error = {0};
        cr_assert(tsi_program_validate(program, NULL) == TESS_OK);
        is_rule = break_rule(program, which);
        if (is_rule) {
            const tess_status status = tsi_program_validate(program, &error);
            cr_assert(status == TESS_EPROTOCOL || status == TESS_ELIMIT, "%s %d: %s", name, which,
                      tess_status_name(status));
            cr_assert(strlen(error.text) > 10, "%s %d: %s", name, which, error.text);
        }
        program->op_count = op_count;
        tsi_program_free(program);
    }
    cr_assert(which == count + 1, "%s: %d rules", name, which - 1);
}

Test(program, rules_of_operations)
{
    check_rules(break_op, "operation", 36);
}

Test(program, rules_of_tiles)
{
    check_rules(break_tile, "tile", 39);
}

Test(program, rules_of_folds_products_and_targets)
{
    check_rules(break_fold, "fold", 33);
}

Test(program, messages_name_the_operation)
{
    struct tsi_program *program = make_program();
    struct tsi_error error = {0};
    program->ops[1].tile.instructions[2].in[1] = 9;
    cr_assert(tsi_program_validate(program, &error) == TESS_EPROTOCOL);
    cr_assert(strstr(error.text, "operation 1: ") == error.text, "%s", error.text);
    cr_assert(strstr(error.text, "instruction 2: ") != NULL, "%s", error.text);
    tsi_program_free(program);
}

Test(program, results_may_drop_and_add_axes_of_one)
{
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(12, 2);
    const struct tsi_axis whole = tsi_axis_regular(12, -1);
    const struct tsi_axis one = tsi_axis_regular(1, 1);
    const struct tsi_grid loop = {4, {one, axis, whole, axis}};
    const struct tsi_grid good[] = {
        {2, {axis, axis}},           {3, {axis, one, axis}},           {4, {one, axis, one, axis}},
        {4, {axis, axis, one, one}}, {5, {one, axis, axis, one, one}},
    };
    const struct tsi_grid bad[] = {
        {3, {axis, whole, axis}},
        {1, {axis}},
        {3, {axis, axis, axis}},
        {2, {axis, whole}},
        {2, {axis, tsi_axis_shifted(12, 1, 2)}},
    };
    const int op = test_build_reduce(&build, &loop, -1, NULL, TSI_REDUCE_SUM, 4, true);
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        test_build_at(&build, op)->array = good[i];
        cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
        cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK, "good %zu", i);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_build_at(&build, op)->array = bad[i];
        cr_assert(tsi_program_validate(build.program, NULL) == TESS_EPROTOCOL, "bad %zu", i);
    }
    tsi_program_free(build.program);
}

Test(program, registers_in_place_keep_their_width)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {1, {tsi_axis_regular(100, 10)}};
    const int op = test_build_normal(&build, &grid);
    struct tsi_tile *tile = &test_build_at(&build, op)->tile;
    tile->register_count = 2;
    tile->instructions[1] = (struct tsi_tile_instruction){
        .code = TSI_TILE_CAST, .dtype = TESS_F32, .from = TESS_F64, .out = 0};
    tile->instruction_count = 2;
    test_build_at(&build, op)->dtype = TESS_F32;
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_EPROTOCOL);
    tile->instructions[1].out = 1;
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    tile->instructions[1].dtype = TESS_I64;
    tile->instructions[1].out = 0;
    test_build_at(&build, op)->dtype = TESS_I64;
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    tsi_program_free(build.program);
}

Test(program, too_many_listed_chunks, .timeout = 60)
{
    struct test_build build = test_build_start();
    const int64_t count = TSI_AXIS_BOUNDS_MAX;
    int64_t *bounds = tsi_arena_alloc(&build.program->arena, (size_t)(count + 1) * sizeof *bounds);
    cr_assert(bounds != NULL);
    for (int64_t i = 0; i <= count; i++) {
        bounds[i] = 2 * i - (i > 0 && i < count);
    }
    const struct tsi_grid grid = {1, {{2 * count, count, 0, 0, bounds}}};
    const struct tsi_index_map same = tsi_index_map_identity(&grid);
    const int op = test_build_normal(&build, &grid);
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    int inputs[10];
    struct tsi_index_map maps[10];
    for (int i = 0; i < 10; i++) {
        inputs[i] = op;
        maps[i] = same;
    }
    test_build_sum(&build, &grid, 10, inputs, maps);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    test_build_sum(&build, &grid, 10, inputs, maps);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_ELIMIT);
    tsi_program_free(build.program);
}
