// SPDX-License-Identifier: Apache-2.0
//
// Operations by hand. All memory is the program's arena; the list of operations has its full size
// from the start, so that pointers into it stay valid.

#include "tests/support/program_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
stop(const char *what)
{
    fprintf(stderr, "a test program cannot be built: %s\n", what);
    abort();
}

static void *
allocate(struct test_build *build, size_t count, size_t bytes)
{
    void *memory = tsi_arena_alloc(&build->program->arena, count * bytes);
    if (memory == NULL) {
        stop("out of memory");
    }
    return memory;
}

struct test_build
test_build_start(void)
{
    struct test_build build = {tsi_program_new()};
    if (build.program == NULL) {
        stop("out of memory");
    }
    build.program->ops = allocate(&build, TEST_BUILD_OPS_MAX, sizeof *build.program->ops);
    build.program->targets = allocate(&build, TEST_BUILD_OPS_MAX, sizeof *build.program->targets);
    return build;
}

struct tsi_program *
test_build_finish(struct test_build *build)
{
    struct tsi_error error = {0};
    struct tsi_program *program = build->program;
    if (tsi_program_number(program, &error) != TESS_OK ||
        tsi_program_validate(program, &error) != TESS_OK) {
        stop(error.text);
    }
    build->program = NULL;
    return program;
}

struct tsi_chunk_op *
test_build_at(struct test_build *build, int op)
{
    return &build->program->ops[op];
}

int
test_build_op(struct test_build *build, enum tsi_work work, tess_dtype dtype,
              const struct tsi_grid *loop, const struct tsi_grid *array)
{
    struct tsi_program *program = build->program;
    if (program->op_count == TEST_BUILD_OPS_MAX) {
        stop("too many operations");
    }
    const int index = program->op_count++;
    struct tsi_chunk_op *op = &program->ops[index];
    op->work = (uint8_t)work;
    op->dtype = (uint8_t)dtype;
    op->loop = *loop;
    op->array = array == NULL ? *loop : *array;
    op->label = tsi_arena_printf(&program->arena, "op%d", index);
    op->site = index % 2 == 0 ? "" : "test.c:1";
    if (op->label == NULL) {
        stop("out of memory");
    }
    return index;
}

void
test_build_input(struct test_build *build, int op, int from, const struct tsi_index_map *map)
{
    struct tsi_chunk_op *target = test_build_at(build, op);
    const size_t count = (size_t)target->input_count;
    if (count == TSI_OP_INPUTS_MAX) {
        stop("too many inputs");
    }
    struct tsi_input *inputs = allocate(build, count + 1, sizeof *inputs);
    if (count > 0) {
        memcpy(inputs, target->inputs, count * sizeof *inputs);
    }
    inputs[count] = (struct tsi_input){(uint16_t)from, *map};
    target->inputs = inputs;
    target->input_count++;
}

void
test_build_target(struct test_build *build, int op, enum tsi_target_mode mode)
{
    struct tsi_program *program = build->program;
    program->targets[program->target_count++] = (struct tsi_target){(uint16_t)op, (uint8_t)mode};
}

struct tsi_index_map
test_build_rows(struct test_build *build, const struct tsi_grid *loop,
                const struct tsi_grid *source, const uint32_t *counts, const uint32_t *items)
{
    const size_t rows = (size_t)tsi_grid_chunk_count(loop);
    const size_t chunks = (size_t)tsi_grid_chunk_count(source);
    uint32_t *dep_starts = allocate(build, rows + 1, sizeof *dep_starts);
    for (size_t i = 0; i < rows; i++) {
        dep_starts[i + 1] = dep_starts[i] + counts[i];
    }
    const size_t total = dep_starts[rows];
    uint32_t *dep_items = allocate(build, total, sizeof *dep_items);
    uint32_t *user_starts = allocate(build, chunks + 1, sizeof *user_starts);
    uint32_t *user_items = allocate(build, total, sizeof *user_items);
    memcpy(dep_items, items, total * sizeof *items);
    uint32_t at = 0;
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        for (uint32_t row = 0; row < rows; row++) {
            for (uint32_t i = dep_starts[row]; i < dep_starts[row + 1]; i++) {
                if (items[i] == chunk) {
                    user_items[at++] = row;
                }
            }
        }
        user_starts[chunk + 1] = at;
    }
    return (struct tsi_index_map){.ndim = source->ndim,
                                  .is_explicit = true,
                                  .deps = {dep_starts, dep_items},
                                  .users = {user_starts, user_items}};
}

static void
add_instruction(struct test_build *build, struct tsi_tile *tile,
                struct tsi_tile_instruction instruction)
{
    if (tile->instructions == NULL) {
        tile->instructions = allocate(build, TSI_TILE_INSTRUCTIONS_MAX, sizeof *tile->instructions);
    }
    tile->instructions[tile->instruction_count++] = instruction;
    if (instruction.out >= tile->register_count) {
        tile->register_count = instruction.out + 1;
    }
}

// Puts normal variates into register 0. Their index is that of C order.
static void
add_normal(struct test_build *build, struct tsi_chunk_op *op)
{
    op->tile.sources = allocate(build, 1, sizeof *op->tile.sources);
    op->tile.source_count = 1;
    struct tsi_tile_source *source = &op->tile.sources[0];
    source->source = TSI_SOURCE_NORMAL;
    source->params = (struct tsi_source_params){.a = 1.5, .b = 0.25, .seed = 42, .stream = 3};
    int64_t step = 1;
    for (int i = op->loop.ndim - 1; i >= 0; i--) {
        source->step[i] = step;
        step *= op->loop.axis[i].size;
    }
    add_instruction(build, &op->tile,
                    (struct tsi_tile_instruction){.code = TSI_TILE_SOURCE, .dtype = TESS_F64});
}

int
test_build_normal(struct test_build *build, const struct tsi_grid *grid)
{
    const int op = test_build_op(build, TSI_WORK_TILE, TESS_F64, grid, NULL);
    add_normal(build, test_build_at(build, op));
    return op;
}

int
test_build_sum(struct test_build *build, const struct tsi_grid *loop, int count, const int *from,
               const struct tsi_index_map *maps)
{
    const int op = test_build_op(build, TSI_WORK_TILE, TESS_F64, loop, NULL);
    struct tsi_tile *tile = &test_build_at(build, op)->tile;
    for (int i = 0; i < count; i++) {
        test_build_input(build, op, from[i], &maps[i]);
        add_instruction(build, tile,
                        (struct tsi_tile_instruction){.code = TSI_TILE_LOAD,
                                                      .dtype = TESS_F64,
                                                      .out = i == 0 ? 0 : 1,
                                                      .operand = (uint8_t)i});
        if (i > 0) {
            add_instruction(
                build, tile,
                (struct tsi_tile_instruction){
                    .code = TSI_TILE_MAP, .dtype = TESS_F64, .in = {0, 1}, .operand = TSI_OP_ADD});
        }
    }
    return op;
}

int
test_build_reduce(struct test_build *build, const struct tsi_grid *loop, int from,
                  const struct tsi_index_map *map, enum tsi_reduction reduction, uint32_t axes,
                  bool finish)
{
    struct tsi_grid partial = {.ndim = loop->ndim};
    struct tsi_grid result = {0};
    double folded = 1;
    for (int i = 0; i < loop->ndim; i++) {
        const bool is_folded = (axes >> i & 1) != 0;
        finish = finish && (!is_folded || loop->axis[i].count == 1);
        folded *= is_folded ? (double)loop->axis[i].size : 1;
        partial.axis[i] = is_folded ? tsi_axis_regular(loop->axis[i].count, 1) : loop->axis[i];
        if (!is_folded) {
            result.axis[result.ndim++] = loop->axis[i];
        }
    }
    const tess_dtype dtype = finish ? tsi_reduction_result_dtype(reduction, TESS_F64) : TESS_F64;
    const int op = test_build_op(build, TSI_WORK_TILE, dtype, loop, finish ? &result : &partial);
    struct tsi_chunk_op *target = test_build_at(build, op);
    if (from < 0) {
        add_normal(build, target);
    } else {
        test_build_input(build, op, from, map);
        add_instruction(build, &target->tile,
                        (struct tsi_tile_instruction){.code = TSI_TILE_LOAD, .dtype = TESS_F64});
    }
    add_instruction(build, &target->tile,
                    (struct tsi_tile_instruction){
                        .code = TSI_TILE_MAP, .dtype = TESS_F64, .operand = TSI_OP_SQRT});
    target->is_planes = !finish;
    target->plane_reduction = finish ? 0 : reduction;
    target->tile.sink = TSI_SINK_REDUCE;
    target->tile.reduce = (struct tsi_tile_reduce){.reduction = (uint8_t)reduction,
                                                   .dtype = TESS_F64,
                                                   .finish = finish,
                                                   .axes = axes,
                                                   .folded = folded};
    int64_t order = 1;
    for (int i = loop->ndim - 1; i >= 0; i--) {
        target->tile.reduce.order[i] = (axes >> i & 1) != 0 ? order : 0;
        order *= (axes >> i & 1) != 0 ? loop->axis[i].size : 1;
    }
    return op;
}

static bool
is_one_chunk(const struct tsi_grid *grid, uint32_t axes)
{
    for (int i = 0; i < grid->ndim; i++) {
        if ((axes >> i & 1) != 0 && grid->axis[i].count > 1) {
            return false;
        }
    }
    return true;
}

int
test_build_folds(struct test_build *build, int from, uint32_t axes, int64_t fanin)
{
    bool finish = false;
    int op = from;
    while (!finish) {
        const struct tsi_chunk_op source = *test_build_at(build, op);
        struct tsi_index_map map = tsi_index_map_identity(&source.array);
        struct tsi_grid loop = source.array;
        for (int i = 0; i < loop.ndim; i++) {
            if ((axes >> i & 1) != 0) {
                loop.axis[i] = tsi_axis_regular((loop.axis[i].count + fanin - 1) / fanin, 1);
                map.axis[i].stride = fanin;
                map.axis[i].extent = fanin;
            }
        }
        finish = is_one_chunk(&loop, axes);
        struct tsi_grid result = loop;
        if (finish) {
            result.ndim = 0;
            for (int i = 0; i < loop.ndim; i++) {
                if ((axes >> i & 1) == 0) {
                    result.axis[result.ndim++] = loop.axis[i];
                }
            }
        }
        const enum tsi_reduction reduction = source.plane_reduction;
        const tess_dtype dtype = (tess_dtype)source.dtype;
        const tess_dtype made = tsi_reduction_result_dtype(reduction, dtype);
        const int previous = op;
        op = test_build_op(build, TSI_WORK_FOLD, finish ? made : dtype, &loop, &result);
        struct tsi_chunk_op *target = test_build_at(build, op);
        test_build_input(build, op, previous, &map);
        target->is_planes = !finish;
        target->plane_reduction = finish ? 0 : reduction;
        target->fold = (struct tsi_work_fold){.reduction = (uint8_t)reduction,
                                              .dtype = (uint8_t)dtype,
                                              .finish = finish,
                                              .axes = axes,
                                              .folded = 100};
    }
    return op;
}

int
test_build_matmul(struct test_build *build, const struct tsi_grid *loop, int a, int b,
                  int64_t fanin)
{
    const struct tsi_index_map rows = {
        .ndim = 2,
        .axis = {{.axis = 0, .stride = 1, .extent = 1}, {.axis = 2, .stride = 1, .extent = 1}}};
    const struct tsi_index_map columns = {
        .ndim = 2,
        .axis = {{.axis = 2, .stride = 1, .extent = 1}, {.axis = 1, .stride = 1, .extent = 1}}};
    const bool finish = loop->axis[2].count == 1;
    struct tsi_grid array = *loop;
    array.ndim = finish ? 2 : 3;
    array.axis[2] = tsi_axis_regular(loop->axis[2].count, 1);
    const int op = test_build_op(build, TSI_WORK_MATMUL, TESS_F64, loop, &array);
    struct tsi_chunk_op *target = test_build_at(build, op);
    test_build_input(build, op, a, &rows);
    test_build_input(build, op, b, &columns);
    target->matmul.finish = finish;
    target->is_planes = !finish;
    target->plane_reduction = TSI_REDUCE_SUM;
    return finish ? op : test_build_folds(build, op, UINT32_C(1) << 2, fanin);
}

int
test_build_join(struct test_build *build, int from)
{
    const struct tsi_grid *source = &test_build_at(build, from)->array;
    struct tsi_index_map map = {.ndim = source->ndim};
    for (int i = 0; i < source->ndim; i++) {
        const int64_t size = source->axis[i].size;
        map.axis[i] = (struct tsi_map_axis){-1, 0, 0, size > 1 ? size : 2};
    }
    const struct tsi_grid loop = {.ndim = 0};
    const int op = test_build_op(build, TSI_WORK_JOIN, TESS_BOOL, &loop, NULL);
    test_build_input(build, op, from, &map);
    return op;
}
