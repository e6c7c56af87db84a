// SPDX-License-Identifier: Apache-2.0
//
// The rules that validation holds. A program that keeps them all is broken in one place at a time,
// and must be refused each time.

#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "engine/program/program.h"
#include "tests/support/program_build.h"

// In the program that is broken are
//
//     0  TILE that stores normal variates       6  FOLD, finished
//     1  TILE that adds two inputs              7  FILE
//     2  TILE that reduces to accumulators      8  TILE that reduces to results
//     3  FOLD to accumulators                   9  TILE that writes
//     4  FOLD, finished                        10  JOIN that commits
//     5  MATMUL of 1 and 0
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

// Other bytes for one place of the program.
struct patch {
    void *at;
    size_t bytes;
    const void *value;
};

#define PATCH(field, ...)                                                                          \
    {                                                                                              \
        &(field), sizeof(field), &(__typeof__(field))                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define PATCH_BY(field, other)                                                                     \
    {                                                                                              \
        &(field), sizeof(field), &(other)                                                          \
    }

static void
swap_bytes(const struct patch *patch, void *saved)
{
    memcpy(saved, patch->at, patch->bytes);
    memcpy(patch->at, patch->value, patch->bytes);
}

static void
check_patches(struct tsi_program *program, size_t count, const struct patch *patches)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char saved[sizeof(struct tsi_axis)];
        struct tsi_error error = {0};
        cr_assert(patches[i].bytes <= sizeof saved);
        cr_assert(tsi_program_validate(program, &error) == TESS_OK, "before %zu: %s", i,
                  error.text);
        swap_bytes(&patches[i], saved);
        const tess_status status = tsi_program_validate(program, &error);
        cr_assert(status == TESS_EPROTOCOL || status == TESS_ELIMIT, "patch %zu: %s", i,
                  tess_status_name(status));
        cr_assert(strlen(error.text) > 10, "patch %zu: %s", i, error.text);
        memcpy(patches[i].at, saved, patches[i].bytes);
    }
}

Test(program_validate, operations)
{
    struct tsi_program *program = make_program();
    struct tsi_chunk_op *ops = program->ops;
    const struct tsi_axis wider = tsi_axis_regular(12, 3);
    const struct tsi_axis shorter = tsi_axis_regular(11, 2);
    const struct patch patches[] = {
        PATCH(ops[0].work, TSI_WORK_COUNT),
        PATCH(ops[0].work, TSI_WORK_KEPT), // at numbers that there are not
        PATCH(ops[0].dtype, TESS_NONE),
        PATCH(ops[0].dtype, TESS_DTYPE_COUNT),
        PATCH(ops[0].label, NULL),
        PATCH(ops[0].site, "two\nlines"),
        PATCH(ops[0].loop.ndim, TESS_NDIM_MAX + 1),
        PATCH(ops[0].loop.ndim, -1),
        PATCH(ops[0].loop.axis[0].count, 0),
        PATCH(ops[0].loop.axis[0].size, -12),
        PATCH_BY(ops[0].loop.axis[0], wider),
        PATCH_BY(ops[0].loop.axis[0], shorter),
        PATCH(ops[0].is_planes, true),
        PATCH(ops[0].input_count, -1),
        PATCH(ops[0].input_count, TSI_OP_INPUTS_MAX + 1),
        PATCH(ops[1].inputs[0].op, 1),
        PATCH(ops[1].inputs[1].op, 2),
        PATCH(ops[1].inputs[0].map.axis[0].offset, 1),
        PATCH(ops[1].inputs[0].map.axis[0].extent, 2),
        PATCH(ops[1].inputs[0].map.ndim, 1),
        PATCH(ops[1].inputs[0].map.is_explicit, true),
        PATCH(ops[1].target_file.temporary, "c"),
        PATCH(ops[1].task_base, 35),
        PATCH(ops[1].task_count, 37),
        PATCH(ops[2].is_planes, false),
        PATCH(ops[2].plane_reduction, TSI_REDUCE_COUNT),
        PATCH(ops[2].plane_reduction, TSI_REDUCE_SUM),
        PATCH(ops[2].dtype, TESS_F32),
        PATCH(ops[7].file.path, NULL),
        PATCH(ops[7].file.path, ""),
        PATCH(ops[7].file.data_offset, -1),
        PATCH(ops[7].file.data_offset, INT64_MAX),
        PATCH(ops[7].work, TSI_WORK_HELD),
        PATCH(ops[9].target_file.temporary, NULL),
        PATCH(ops[9].is_planes, true),
        PATCH(ops[10].target_file.temporary, NULL),
        PATCH(ops[10].target_file.path, ""),
        PATCH(ops[10].input_count, 0),
        PATCH(program->task_count, 0),
    };
    ops[0].kept.base = TSI_PROGRAM_TASKS_MAX;
    check_patches(program, sizeof patches / sizeof patches[0], patches);
    tsi_program_free(program);
}

Test(program_validate, tile_instructions)
{
    struct tsi_program *program = make_program();
    struct tsi_tile *source = &program->ops[0].tile;
    struct tsi_tile *sum = &program->ops[1].tile;
    const struct patch patches[] = {
        PATCH(source->instruction_count, 0),
        PATCH(source->instruction_count, TSI_TILE_INSTRUCTIONS_MAX + 1),
        PATCH(source->register_count, 0),
        PATCH(source->register_count, TSI_TILE_REGISTERS_MAX + 1),
        PATCH(source->constant_count, -1),
        PATCH(source->source_count, 0),
        PATCH(source->source_count, -1),
        PATCH(source->sources[0].source, TSI_SOURCE_COUNT),
        PATCH(source->sources[0].source, TSI_SOURCE_INTEGERS),
        PATCH(source->sources[0].step[0], INT64_MAX / 2),
        PATCH(source->sources[0].step[1], INT64_MIN),
        PATCH(source->sources[0].first, INT64_MIN),
        PATCH(source->instructions[0].dtype, TESS_I32),
        PATCH(source->instructions[0].out, 1),
        PATCH(source->instructions[0].code, TSI_TILE_CODE_COUNT),
        PATCH(source->sink, TSI_SINK_COUNT),
        PATCH(sum->instructions[0].operand, 2),
        PATCH(sum->instructions[0].dtype, TESS_F32),
        PATCH(sum->instructions[0].code, TSI_TILE_CONST),
        PATCH(sum->instructions[1].out, 0), // Then register 1 is read and not written.
        PATCH(sum->instructions[1].dtype, TESS_NONE),
        PATCH(sum->instructions[2].operand, TSI_OP_COUNT),
        PATCH(sum->instructions[2].operand, TSI_OP_WHERE),
        PATCH(sum->instructions[2].operand, TSI_OP_LESS), // Tells bool, in place of float64.
        PATCH(sum->instructions[2].dtype, TESS_I64),
        PATCH(sum->instructions[2].in[1], 2),
        PATCH(sum->instructions[2].in[1], 200),
    };
    check_patches(program, sizeof patches / sizeof patches[0], patches);
    tsi_program_free(program);
}

Test(program_validate, tile_reductions)
{
    struct tsi_program *program = make_program();
    struct tsi_tile_reduce *partial = &program->ops[2].tile.reduce;
    struct tsi_tile_reduce *finished = &program->ops[8].tile.reduce;
    const struct patch patches[] = {
        PATCH(partial->reduction, TSI_REDUCE_COUNT),
        PATCH(partial->reduction, TSI_REDUCE_SUM),
        PATCH(partial->dtype, TESS_F32),
        PATCH(partial->axes, 1),
        PATCH(partial->axes, 6),
        PATCH(partial->finish, true),
        PATCH(partial->folded, -1),
        PATCH(partial->folded, NAN),
        PATCH(partial->folded, INFINITY),
        PATCH(partial->order[1], -1),
        PATCH(partial->order[1], INT64_MAX / 2),
        PATCH(finished->finish, false),
        PATCH(finished->dtype, TESS_I64),
        PATCH(finished->axes, 0),
        PATCH(program->ops[8].array.ndim, 0),
        PATCH(program->ops[8].is_planes, true),
    };
    check_patches(program, sizeof patches / sizeof patches[0], patches);

    // Results of a part of an axis.
    program->ops[2].tile.reduce.finish = true;
    program->ops[2].is_planes = false;
    cr_assert(tsi_program_validate(program, NULL) == TESS_EPROTOCOL);
    tsi_program_free(program);
}

Test(program_validate, folds)
{
    struct tsi_program *program = make_program();
    struct tsi_chunk_op *fold = &program->ops[3];
    struct tsi_chunk_op *last = &program->ops[4];
    const struct tsi_axis wider = tsi_axis_regular(12, 4);
    const struct patch patches[] = {
        PATCH(fold->fold.reduction, TSI_REDUCE_SUM),
        PATCH(fold->fold.dtype, TESS_F32),
        PATCH(fold->fold.axes, 1),
        PATCH(fold->fold.axes, 4),
        PATCH(fold->fold.finish, true),
        PATCH(fold->fold.folded, -0.5),
        PATCH(fold->input_count, 0),
        PATCH(fold->inputs[0].op, 0),
        PATCH(fold->inputs[0].map.axis[1].stride, 3),
        PATCH(fold->inputs[0].map.axis[1].offset, 1),
        PATCH(fold->inputs[0].map.axis[1].axis, -1),
        PATCH(last->fold.finish, false),
        PATCH(last->array.ndim, 0),
        PATCH_BY(last->array.axis[0], wider),
    };
    check_patches(program, sizeof patches / sizeof patches[0], patches);

    struct tsi_index_map *map = &fold->inputs[0].map;
    const struct tsi_index_map saved = *map;
    map->axis[0].axis = 1;
    map->axis[1].axis = 0;
    cr_assert(tsi_program_validate(program, NULL) == TESS_EPROTOCOL);
    // Windows that leave out what is at the end.
    *map = saved;
    map->axis[1].extent = map->axis[1].stride = 2;
    cr_assert(tsi_program_validate(program, NULL) == TESS_EPROTOCOL);
    tsi_program_free(program);
}

Test(program_validate, products_and_targets)
{
    struct tsi_program *program = make_program();
    struct tsi_chunk_op *product = &program->ops[5];
    struct tsi_target *targets = program->targets;
    const struct tsi_axis shorter = tsi_axis_regular(11, 2);
    const struct tsi_axis same = tsi_axis_regular(12, 2);
    const struct patch patches[] = {
        PATCH(product->input_count, 1),
        PATCH(product->dtype, TESS_F32),
        PATCH(product->matmul.finish, true),
        PATCH(product->plane_reduction, TSI_REDUCE_MEAN),
        PATCH(product->inputs[0].map.axis[0].axis, 1),
        PATCH(product->inputs[1].map.axis[0], -1, 0, 0, 1),
        PATCH(product->inputs[1].map.axis[0].extent, 2),
        PATCH(product->inputs[1].map.axis[0].stride, 0),
        PATCH_BY(product->array.axis[2], same),
        PATCH_BY(product->array.axis[0], shorter),
        PATCH(product->loop.ndim, 2),
        PATCH(program->op_count, 0),
        PATCH(program->op_count, TSI_PROGRAM_OPS_MAX + 1),
        PATCH(program->target_count, 0),
        PATCH(program->target_count, 12),
        PATCH(targets[0].op, 11),
        PATCH(targets[0].op, 6), // twice
        PATCH(targets[0].op, 7),
        PATCH(targets[0].op, 3),
        PATCH(targets[0].op, 9),
        PATCH(targets[0].mode, TSI_TARGET_MODE_COUNT),
        PATCH(targets[3].mode, TSI_TARGET_KEEP),
    };
    check_patches(program, sizeof patches / sizeof patches[0], patches);
    tsi_program_free(program);
}

Test(program_validate, sizes_that_cannot_be_computed_with)
{
    struct tsi_program *program = make_program();
    const struct tsi_axis huge = tsi_axis_regular(INT64_MAX, INT64_MAX / 6 + 1);
    program->ops[0].loop.axis[0] = huge;
    program->ops[0].array.axis[0] = huge;
    struct tsi_error error;
    cr_assert(tsi_program_validate(program, &error) == TESS_ELIMIT);
    // No elements, but sizes that sums of offsets would not fit.
    program->ops[0].loop.axis[1] = tsi_axis_regular(0, 1);
    program->ops[0].array.axis[1] = tsi_axis_regular(0, 1);
    cr_assert(tsi_program_validate(program, &error) == TESS_ELIMIT);
    tsi_program_free(program);
}

Test(program_validate, messages_name_the_operation)
{
    struct tsi_program *program = make_program();
    struct tsi_error error = {0};
    program->ops[1].tile.instructions[2].in[1] = 9;
    cr_assert(tsi_program_validate(program, &error) == TESS_EPROTOCOL);
    cr_assert(strstr(error.text, "operation 1: ") == error.text, "%s", error.text);
    cr_assert(strstr(error.text, "instruction 2: ") != NULL, "%s", error.text);
    tsi_program_free(program);
}

Test(program_validate, results_may_drop_and_add_axes_of_one)
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

Test(program_validate, registers_in_place_keep_their_width)
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

Test(program_validate, too_many_listed_chunks, .timeout = 60)
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

Test(program_validate, tasks_that_read_too_much)
{
    struct test_build build = test_build_start();
    const struct tsi_grid many = {1, {tsi_axis_regular(TSI_TASK_READS_MAX, 1)}};
    const struct tsi_grid more = {1, {tsi_axis_regular(TSI_TASK_READS_MAX + 1, 1)}};
    const int sources[] = {test_build_normal(&build, &many), test_build_normal(&build, &more)};
    test_build_target(&build, test_build_join(&build, sources[0]), TSI_TARGET_RUN);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    const int join = test_build_join(&build, sources[1]);
    struct tsi_error error;
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, &error) == TESS_ELIMIT);
    cr_assert(strstr(error.text, "operation 3: op3") == error.text, "%s", error.text);

    // The sum of the inputs counts.
    struct tsi_index_map *map = &test_build_at(&build, join)->inputs[0].map;
    map->axis[0].extent = 1000;
    cr_assert(tsi_program_validate(build.program, &error) == TESS_OK);
    struct tsi_index_map all = *map;
    all.axis[0].extent = TSI_TASK_READS_MAX - 10;
    test_build_input(&build, join, sources[1], &all);
    cr_assert(tsi_program_validate(build.program, &error) == TESS_ELIMIT);
    tsi_program_free(build.program);
}

Test(program_validate, chunks_that_are_read_too_often)
{
    struct test_build build = test_build_start();
    const struct tsi_grid point = {.ndim = 0};
    const struct tsi_grid many = {1, {tsi_axis_regular(INT64_C(1) << 31, 1)}};
    const struct tsi_index_map map = {.ndim = 0};
    const struct tsi_index_map maps[] = {map, map};
    const int from = test_build_normal(&build, &point);
    const int inputs[] = {from, from};
    test_build_target(&build, test_build_sum(&build, &many, 1, inputs, maps), TSI_TARGET_RUN);
    cr_assert(tsi_program_number(build.program, NULL) == TESS_OK);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_OK);
    test_build_input(&build, 1, from, &map);
    cr_assert(tsi_program_validate(build.program, NULL) == TESS_ELIMIT);
    tsi_program_free(build.program);
}
