// SPDX-License-Identifier: Apache-2.0
//
// Tile programs that store, against naive loops over the whole arrays.

#include <criterion/criterion.h>

#include "engine/base/memory.h"
#include "tests/support/exec_case.h"

static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8,  TESS_I16, TESS_I32, TESS_I64, TESS_U8,
                                    TESS_U16,  TESS_U32, TESS_U64, TESS_F32, TESS_F64};

static void
random_loop(struct exec_case *c, bool is_large, struct tsi_grid *loop)
{
    const int64_t small[] = {0, 1, 2, 3, 5, 17};
    const int64_t large[] = {3, 70, 200, 2500};
    loop->ndim = (int)exec_case_random(c, is_large ? 3 : 5);
    int64_t count = 1;
    for (int i = 0; i < loop->ndim; i++) {
        int64_t size = is_large ? large[exec_case_random(c, 4)] : small[exec_case_random(c, 6)];
        size = size == 0 && exec_case_random(c, 3) != 0 ? 4 : size;
        if (count * size > 200000) {
            size = 3;
        }
        count *= size;
        loop->axis[i] = exec_case_axis(c, size);
    }
}

static void
check_sum(struct exec_case *c, int op, const int *from, double constant, uint64_t seed)
{
    const struct tsi_chunk_op *const to = &c->program->ops[op];
    const tess_shape shape = tsi_grid_shape(&to->loop);
    int64_t index[TESS_NDIM_MAX] = {0};
    double *const result = exec_case_result(c, op);
    const int64_t count = tsi_grid_element_count(&to->loop);
    for (int64_t i = 0; i < count; i++) {
        double expected = constant;
        for (int k = 0; k < to->input_count; k++) {
            expected += exec_case_value(c, from[k], &to->inputs[k].map, index);
        }
        cr_assert(result[i] == expected, "seed %llu, element %lld: %g instead of %g\n%s",
                  (unsigned long long)seed, (long long)i, result[i], expected, exec_case_text(c));
        (void)exec_case_next(shape.ndim, shape.size, index);
    }
    tsi_free(result);
}

// in0 + in1 + constant, where in1 has another type and is cast.
static void
run_sum(uint64_t seed, bool is_large)
{
    struct exec_case c;
    struct tsi_grid loop;
    int from[2];
    exec_case_init(&c, seed);
    random_loop(&c, is_large, &loop);
    const tess_dtype dtype = exec_case_random(&c, 2) == 0 ? TESS_F64 : TESS_I16;
    const tess_dtype other = exec_case_random(&c, 2) == 0 ? dtype : TESS_I8;
    struct tsi_index_map maps[2];
    for (int k = 0; k < 2; k++) {
        struct tsi_grid source;
        exec_case_map(&c, &loop, &maps[k], &source);
        from[k] = exec_case_held(&c, k == 0 ? dtype : other, &source, EXEC_CASE_SMALL);
    }
    const int op = exec_case_op(&c, TSI_WORK_TILE, dtype, &loop, NULL);
    exec_case_input(&c, op, from[0], &maps[0]);
    exec_case_input(&c, op, from[1], &maps[1]);
    c.program->ops[op].tile.constant_count = 1;
    c.program->ops[op].tile.constants[0] = tsi_scalar_from_f64(dtype, 3);
    const uint8_t type = (uint8_t)dtype;
    exec_case_step(&c, op, (struct tsi_tile_instruction){TSI_TILE_CONST, type, 0, 0, {0}, 0});
    exec_case_step(&c, op,
                   (struct tsi_tile_instruction){TSI_TILE_LOAD, (uint8_t)other, 0, 1, {0}, 1});
    exec_case_step(&c, op,
                   (struct tsi_tile_instruction){TSI_TILE_CAST, type, (uint8_t)other, 2, {1}, 0});
    exec_case_step(&c, op,
                   (struct tsi_tile_instruction){TSI_TILE_MAP, type, 0, 2, {2, 0}, TSI_OP_ADD});
    exec_case_step(&c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, type, 0, 1, {0}, 0});
    exec_case_step(&c, op,
                   (struct tsi_tile_instruction){TSI_TILE_MAP, type, 0, 0, {2, 1}, TSI_OP_ADD});
    exec_case_run(&c);
    check_sum(&c, op, from, 3, seed);
    exec_case_fini(&c);
}

Test(exec_tile, elementwise_over_random_views)
{
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        run_sum(seed, false);
    }
}

Test(exec_tile, elementwise_over_many_tiles)
{
    for (uint64_t seed = 1; seed <= 150; seed++) {
        run_sum(seed, true);
    }
}

// A program of one load: rechunk, slice, transpose, broadcast.
static void
run_copy(uint64_t seed, bool is_large)
{
    struct exec_case c;
    struct tsi_grid loop;
    struct tsi_grid source;
    struct tsi_index_map map;
    exec_case_init(&c, seed);
    random_loop(&c, is_large, &loop);
    const tess_dtype dtype = dtypes[seed % (sizeof dtypes / sizeof dtypes[0])];
    exec_case_map(&c, &loop, &map, &source);
    const int from = exec_case_held(&c, dtype, &source, EXEC_CASE_SMALL);
    const int op = exec_case_op(&c, TSI_WORK_TILE, dtype, &loop, NULL);
    exec_case_input(&c, op, from, &map);
    exec_case_step(&c, op,
                   (struct tsi_tile_instruction){TSI_TILE_LOAD, (uint8_t)dtype, 0, 0, {0}, 0});
    exec_case_run(&c);
    check_sum(&c, op, &from, 0, seed);
    exec_case_fini(&c);
}

Test(exec_tile, copies_of_random_views)
{
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        run_copy(seed, false);
    }
}

Test(exec_tile, copies_of_large_views)
{
    for (uint64_t seed = 1; seed <= 150; seed++) {
        run_copy(seed, true);
    }
}

// arange over any steps, plus a load, through a rectangle where the load is transposed.
static void
run_source(uint64_t seed, bool is_large)
{
    struct exec_case c;
    struct tsi_grid loop;
    struct tsi_grid source;
    struct tsi_index_map map;
    exec_case_init(&c, seed);
    random_loop(&c, is_large, &loop);
    exec_case_map(&c, &loop, &map, &source);
    const int from = exec_case_held(&c, TESS_I64, &source, EXEC_CASE_SMALL);
    const int op = exec_case_op(&c, TSI_WORK_TILE, TESS_I64, &loop, NULL);
    struct tsi_tile *const tile = &c.program->ops[op].tile;
    exec_case_input(&c, op, from, &map);
    tile->source_count = 1;
    tile->sources[0].source = TSI_SOURCE_ARANGE;
    tile->sources[0].first = 1000;
    tile->sources[0].params.ia = 5;
    tile->sources[0].params.ib = 2;
    int64_t dense = 1;
    for (int i = loop.ndim - 1; i >= 0; i--) {
        tile->sources[0].step[i] = exec_case_random(&c, 2) == 0 ? dense : exec_case_random(&c, 3);
        dense *= loop.axis[i].size;
    }
    const bool is_last = exec_case_random(&c, 2) == 0;
    const struct tsi_tile_instruction made = {TSI_TILE_SOURCE, TESS_I64, 0, 1, {0}, 0};
    if (!is_last) {
        const struct tsi_tile_instruction load = {TSI_TILE_LOAD, TESS_I64, 0, 0, {0}, 0};
        const struct tsi_tile_instruction add = {TSI_TILE_MAP, TESS_I64, 0, 0, {0, 1}, TSI_OP_ADD};
        exec_case_step(&c, op, made);
        exec_case_step(&c, op, load);
        exec_case_step(&c, op, add);
    } else {
        exec_case_step(&c, op, made);
    }
    exec_case_run(&c);
    double *const result = exec_case_result(&c, op);
    const tess_shape shape = tsi_grid_shape(&loop);
    int64_t index[TESS_NDIM_MAX] = {0};
    const int64_t count = tsi_grid_element_count(&loop);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 1000;
        for (int a = 0; a < loop.ndim; a++) {
            at += tile->sources[0].step[a] * index[a];
        }
        const double expected =
            (double)(5 + 2 * at) + (is_last ? 0 : exec_case_value(&c, from, &map, index));
        cr_assert(result[i] == expected, "seed %llu, element %lld: %g instead of %g\n%s",
                  (unsigned long long)seed, (long long)i, result[i], expected, exec_case_text(&c));
        (void)exec_case_next(shape.ndim, shape.size, index);
    }
    tsi_free(result);
    exec_case_fini(&c);
}

Test(exec_tile, sources_over_random_steps)
{
    for (uint64_t seed = 1; seed <= 800; seed++) {
        run_source(seed, false);
    }
    for (uint64_t seed = 1; seed <= 100; seed++) {
        run_source(seed, true);
    }
}

// The last instruction may be of any kind, whether the sink takes its tiles in one run or not.
static void
run_last(uint64_t seed, int code)
{
    struct exec_case c;
    struct tsi_grid source;
    struct tsi_index_map map;
    exec_case_init(&c, seed);
    const struct tsi_grid loop = {2, {exec_case_axis(&c, 150), exec_case_axis(&c, 170)}};
    exec_case_map(&c, &loop, &map, &source);
    const int from = exec_case_held(&c, TESS_F32, &source, EXEC_CASE_SMALL);
    const int op = exec_case_op(&c, TSI_WORK_TILE, TESS_F32, &loop, NULL);
    exec_case_input(&c, op, from, &map);
    c.program->ops[op].tile.constant_count = 1;
    c.program->ops[op].tile.constants[0] = tsi_scalar_from_f64(TESS_F32, 7);
    const struct tsi_tile_instruction steps[] = {
        {TSI_TILE_LOAD, TESS_F32, 0, 0, {0}, 0},
        {TSI_TILE_CONST, TESS_F32, 0, 1, {0}, 0},
        {TSI_TILE_CAST, TESS_F32, TESS_F32, 2, {0}, 0},
    };
    exec_case_step(&c, op, steps[0]);
    exec_case_step(&c, op, steps[1]);
    exec_case_step(&c, op, steps[2]);
    exec_case_step(&c, op, steps[code]);
    exec_case_run(&c);
    if (code == 1) {
        double *const result = exec_case_result(&c, op);
        for (int64_t i = 0; i < INT64_C(150) * 170; i++) {
            cr_assert(result[i] == 7, "element %lld is %g", (long long)i, result[i]);
        }
        tsi_free(result);
    } else {
        check_sum(&c, op, &from, 0, seed);
    }
    exec_case_fini(&c);
}

Test(exec_tile, every_kind_of_last_instruction)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (int code = 0; code < 3; code++) {
            run_last(seed, code);
        }
    }
}
