// SPDX-License-Identifier: Apache-2.0
//
// Reductions, in one task or over a tree of folds, against naive loops over the whole array.

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/base/dtype.h"
#include "engine/base/memory.h"
#include "tests/support/exec_case.h"

struct reduction_case {
    uint64_t seed;
    enum tsi_reduction reduction;
    tess_dtype dtype;
    uint32_t axes;
    bool is_large;
};

static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8,  TESS_I16, TESS_I32, TESS_I64, TESS_U8,
                                    TESS_U16,  TESS_U32, TESS_U64, TESS_F32, TESS_F64};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };
enum { FANIN = 3 };

static double
count_folded(const struct tsi_grid *loop, uint32_t axes)
{
    double count = 1;
    for (int i = 0; i < loop->ndim; i++) {
        count *= (axes >> i & 1) != 0 ? (double)loop->axis[i].size : 1;
    }
    return count;
}

// `grid` with each folded axis as one element a chunk, of which there are as many as windows of
// `fanin` chunks of `grid`.
static struct tsi_grid
fold_grid(const struct tsi_grid *grid, uint32_t axes, int64_t fanin)
{
    struct tsi_grid folded = *grid;
    for (int i = 0; i < grid->ndim; i++) {
        if ((axes >> i & 1) != 0) {
            folded.axis[i] = tsi_axis_regular((grid->axis[i].count + fanin - 1) / fanin, 1);
        }
    }
    return folded;
}

static bool
is_folded_to_one(const struct tsi_grid *grid, uint32_t axes)
{
    for (int i = 0; i < grid->ndim; i++) {
        if ((axes >> i & 1) != 0 && grid->axis[i].count != 1) {
            return false;
        }
    }
    return true;
}

// Gives `op` its results' type, or marks it as accumulators.
static void
set_output(struct exec_case *c, int op, const struct reduction_case *r, bool finish)
{
    struct tsi_chunk_op *const to = &c->program->ops[op];
    to->is_planes = !finish;
    to->plane_reduction = finish ? TSI_REDUCE_SUM : r->reduction;
    to->dtype = (uint8_t)(finish ? tsi_reduction_result_dtype(r->reduction, r->dtype) : r->dtype);
}

// Adds the first level: a load folded over `axes`.
static int
add_leaf(struct exec_case *c, const struct reduction_case *r, const struct tsi_grid *loop, int from,
         const struct tsi_index_map *map)
{
    const bool finish = is_folded_to_one(loop, r->axes);
    const struct tsi_grid array = fold_grid(loop, r->axes, 1);
    const int op = exec_case_op(c, TSI_WORK_TILE, r->dtype, loop, &array);
    struct tsi_tile_reduce *const reduce = &c->program->ops[op].tile.reduce;
    exec_case_input(c, op, from, map);
    exec_case_step(c, op,
                   (struct tsi_tile_instruction){TSI_TILE_LOAD, (uint8_t)r->dtype, 0, 0, {0}, 0});
    c->program->ops[op].tile.sink = TSI_SINK_REDUCE;
    reduce->reduction = (uint8_t)r->reduction;
    reduce->dtype = (uint8_t)r->dtype;
    reduce->finish = finish;
    reduce->axes = r->axes;
    reduce->folded = count_folded(loop, r->axes);
    reduce->ddof = 1;
    int64_t order = 1;
    for (int i = loop->ndim - 1; i >= 0; i--) {
        if ((r->axes >> i & 1) != 0) {
            reduce->order[i] = order;
            order *= loop->axis[i].size;
        }
    }
    set_output(c, op, r, finish);
    return op;
}

// Adds folds until one chunk is left on each folded axis. Returns the last operation.
static int
add_folds(struct exec_case *c, const struct reduction_case *r, const struct tsi_grid *loop, int op)
{
    while (c->program->ops[op].is_planes) {
        const struct tsi_grid source = c->program->ops[op].array;
        const struct tsi_grid grid = fold_grid(&source, r->axes, FANIN);
        const bool finish = is_folded_to_one(&grid, r->axes);
        struct tsi_index_map map = tsi_index_map_identity(&grid);
        for (int i = 0; i < grid.ndim; i++) {
            if ((r->axes >> i & 1) != 0) {
                map.axis[i].stride = FANIN;
                map.axis[i].extent = FANIN;
            }
        }
        const int next = exec_case_op(c, TSI_WORK_FOLD, r->dtype, &grid, NULL);
        c->program->ops[next].fold = (struct tsi_work_fold){
            .reduction = (uint8_t)r->reduction,
            .dtype = (uint8_t)r->dtype,
            .finish = finish,
            .axes = r->axes,
            .folded = count_folded(loop, r->axes),
            .ddof = 1,
        };
        exec_case_input(c, next, op, &map);
        set_output(c, next, r, finish);
        op = next;
    }
    return op;
}

// The naive fold of `count` values, in order.
struct naive {
    double sum;
    double product;
    double least;
    double most;
    double least_at;
    double most_at;
    double distances;
    int64_t nonzero;
    int64_t count;
};

static void
take_value(struct naive *naive, double value)
{
    const double mean = naive->count == 0 ? 0 : naive->sum / (double)naive->count;
    if (naive->count == 0 || value < naive->least) {
        naive->least = value;
        naive->least_at = (double)naive->count;
    }
    if (naive->count == 0 || value > naive->most) {
        naive->most = value;
        naive->most_at = (double)naive->count;
    }
    naive->sum += value;
    naive->product = (naive->count == 0 ? 1 : naive->product) * value;
    naive->nonzero += value != 0;
    naive->count++;
    naive->distances += (value - mean) * (value - naive->sum / (double)naive->count);
}

static double
naive_result(const struct naive *naive, enum tsi_reduction reduction)
{
    const double variance = naive->distances / ((double)naive->count - 1);
    switch (reduction) {
    case TSI_REDUCE_SUM:
        return naive->sum;
    case TSI_REDUCE_PROD:
        return naive->count == 0 ? 1 : naive->product;
    case TSI_REDUCE_MEAN:
        return naive->sum / (double)naive->count;
    case TSI_REDUCE_VAR:
        return naive->count == 0 ? NAN : variance;
    case TSI_REDUCE_STD:
        return naive->count == 0 ? NAN : sqrt(variance);
    case TSI_REDUCE_MIN:
        return naive->least;
    case TSI_REDUCE_MAX:
        return naive->most;
    case TSI_REDUCE_ANY:
        return naive->nonzero != 0;
    case TSI_REDUCE_ALL:
        return naive->nonzero == naive->count;
    case TSI_REDUCE_ARGMIN:
        return naive->least_at;
    default:
        return naive->most_at;
    }
}

// Rounded results agree to some digits, all others exactly.
static bool
is_close(double got, double expected, enum tsi_reduction reduction, tess_dtype result)
{
    if (isnan(expected) || isnan(got)) {
        return isnan(expected) && isnan(got);
    }
    const bool is_rounded =
        reduction == TSI_REDUCE_MEAN || reduction == TSI_REDUCE_VAR || reduction == TSI_REDUCE_STD;
    if (!is_rounded || isinf(expected)) {
        return got == expected;
    }
    const double digits = result == TESS_F32 ? 1e-6 : 1e-12;
    return fabs(got - expected) <= digits * (1 + fabs(expected));
}

static void
check_result(struct exec_case *c, const struct reduction_case *r, const struct tsi_grid *loop,
             int from, const struct tsi_index_map *map, int op)
{
    double *const result = exec_case_result(c, op);
    tess_shape kept = tsi_grid_shape(loop);
    tess_shape folded = kept;
    int64_t outer[TESS_NDIM_MAX] = {0};
    int64_t place = 0;
    for (int i = 0; i < loop->ndim; i++) {
        *((r->axes >> i & 1) != 0 ? &kept.size[i] : &folded.size[i]) = 1;
    }
    const bool is_empty = tsi_grid_element_count(loop) == 0;
    const int64_t count = tsi_grid_element_count(&c->program->ops[op].array);
    while (place < count) {
        struct naive naive = {0};
        int64_t inner[TESS_NDIM_MAX] = {0};
        int64_t index[TESS_NDIM_MAX];
        do {
            if (is_empty) {
                break;
            }
            for (int i = 0; i < loop->ndim; i++) {
                index[i] = outer[i] + inner[i];
            }
            take_value(&naive, exec_case_value(c, from, map, index));
        } while (exec_case_next(loop->ndim, folded.size, inner));
        const double expected = naive_result(&naive, r->reduction);
        cr_assert(
            is_close(result[place], expected, r->reduction, (tess_dtype)c->program->ops[op].dtype),
            "seed %llu, %s of %s over axes %x, result %lld: %.17g instead of %.17g\n%s",
            (unsigned long long)r->seed, tsi_reduction_name(r->reduction),
            tess_dtype_name(r->dtype), r->axes, (long long)place, result[place], expected,
            exec_case_text(c));
        place++;
        (void)exec_case_next(loop->ndim, kept.size, outer);
    }
    tsi_free(result);
}

static struct tsi_grid
random_loop(struct exec_case *c, const struct reduction_case *r)
{
    const int64_t small[] = {1, 2, 3, 5, 17, 0};
    const int64_t large[] = {3, 40, 250};
    struct tsi_grid loop = {.ndim = 3};
    int64_t elements = 1;
    for (int i = 0; i < loop.ndim; i++) {
        int64_t size = r->is_large ? large[exec_case_random(c, 3)] : small[exec_case_random(c, 6)];
        if (size == 0 && exec_case_random(c, 4) != 0) {
            size = 4;
        }
        if (elements * size > 120000) {
            size = 2;
        }
        elements *= size;
        loop.axis[i] = exec_case_axis(c, size);
    }
    return loop;
}

static void
run_reduction(const struct reduction_case *r)
{
    struct exec_case c;
    struct tsi_grid source;
    struct tsi_index_map map;
    exec_case_init(&c, r->seed);
    const struct tsi_grid loop = random_loop(&c, r);
    if (!tsi_reduction_allows_empty(r->reduction) && tsi_grid_element_count(&loop) == 0) {
        exec_case_fini(&c);
        return;
    }
    exec_case_map(&c, &loop, &map, &source);
    const enum exec_case_fill fill =
        r->reduction == TSI_REDUCE_PROD ? EXEC_CASE_UNIT : EXEC_CASE_SMALL;
    const int from = exec_case_held(&c, r->dtype, &source, fill);
    const int leaf = add_leaf(&c, r, &loop, from, &map);
    const int op = add_folds(&c, r, &loop, leaf);
    exec_case_run(&c);
    check_result(&c, r, &loop, from, &map, op);
    exec_case_fini(&c);
}

Test(exec_reduce, every_reduction_over_every_set_of_axes)
{
    uint64_t seed = 1;
    for (int reduction = 0; reduction < TSI_REDUCE_COUNT; reduction++) {
        for (uint32_t axes = 0; axes < 8; axes++) {
            for (int i = 0; i < DTYPES; i++) {
                const struct reduction_case r = {seed++, (enum tsi_reduction)reduction, dtypes[i],
                                                 axes, false};
                run_reduction(&r);
            }
        }
    }
}

Test(exec_reduce, over_many_tiles)
{
    for (uint64_t seed = 1; seed <= 2 * TSI_REDUCE_COUNT * 8; seed++) {
        const enum tsi_reduction reduction = (enum tsi_reduction)(seed / 8 % TSI_REDUCE_COUNT);
        const struct reduction_case r = {seed, reduction, dtypes[seed % DTYPES],
                                         (uint32_t)(seed % 8), true};
        run_reduction(&r);
    }
}

// An input that is dense along another axis gives tiles that are rectangles; of the axes between
// its sides a tile has one index.
Test(exec_reduce, of_every_transpose)
{
    const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const enum tsi_reduction reductions[] = {TSI_REDUCE_SUM, TSI_REDUCE_VAR, TSI_REDUCE_ARGMAX};
    for (uint64_t seed = 0; seed < 6 * 8 * 3; seed++) {
        struct exec_case c;
        const struct reduction_case r = {seed, reductions[seed % 3], TESS_F64,
                                         (uint32_t)(seed / 3 % 8), true};
        const int *const order = orders[seed / 24];
        const struct tsi_grid loop = {
            3, {tsi_axis_regular(45, 40), tsi_axis_regular(3, 3), tsi_axis_regular(150, 140)}};
        struct tsi_index_map map = tsi_index_map_identity(&loop);
        struct tsi_grid source = {.ndim = 3};
        for (int i = 0; i < 3; i++) {
            map.axis[i].axis = order[i];
            source.axis[i] = loop.axis[order[i]];
        }
        exec_case_init(&c, seed);
        const int from = exec_case_held(&c, r.dtype, &source, EXEC_CASE_SMALL);
        const int op = add_folds(&c, &r, &loop, add_leaf(&c, &r, &loop, from, &map));
        exec_case_run(&c);
        check_result(&c, &r, &loop, from, &map, op);
        exec_case_fini(&c);
    }
}

// The sum of a tenth of an index over axes of `loop`, from an array of the client that is shown in
// place or copied first.
static double *
sum_tenths(const struct tsi_grid *loop, bool is_transposed, bool is_copied, uint32_t axes)
{
    struct exec_case c;
    exec_case_init(&c, 1);
    struct tsi_index_map map = tsi_index_map_identity(loop);
    struct tsi_grid source = *loop;
    if (is_transposed) {
        source.axis[0] = loop->axis[1];
        source.axis[1] = loop->axis[0];
        map.axis[0].axis = 1;
        map.axis[1].axis = 0;
    }
    const int from = exec_case_held(&c, TESS_F64, &source, EXEC_CASE_SMALL);
    const int64_t columns = source.axis[1].size;
    void *data = NULL;
    memcpy(&data, &c.held[0].data, sizeof data);
    for (int64_t i = 0; i < tsi_grid_element_count(&source); i++) {
        const int64_t row = i / columns;
        const int64_t column = i % columns;
        const int64_t at = is_transposed ? column * source.axis[0].size + row : i;
        exec_case_write(TESS_F64, data, i, 0.1 * (double)at);
    }
    c.held[0].is_copied = is_copied;
    const struct reduction_case r = {1, TSI_REDUCE_SUM, TESS_F64, axes, true};
    const int op = add_folds(&c, &r, loop, add_leaf(&c, &r, loop, from, &map));
    exec_case_run(&c);
    double *const result = exec_case_result(&c, op);
    exec_case_fini(&c);
    return result;
}

// Sums that round must not depend on where the elements lie.
Test(exec_reduce, order_of_additions_does_not_depend_on_memory)
{
    const struct tsi_grid loop = {2, {tsi_axis_regular(500, 130), tsi_axis_regular(300, 170)}};
    for (int is_transposed = 0; is_transposed < 2; is_transposed++) {
        for (uint32_t axes = 1; axes < 4; axes++) {
            double *const a = sum_tenths(&loop, is_transposed != 0, false, axes);
            double *const b = sum_tenths(&loop, is_transposed != 0, true, axes);
            const size_t count = axes == 1 ? 300 : axes == 2 ? 500 : 1;
            cr_assert(memcmp(a, b, count * sizeof *a) == 0, "axes %x differ", axes);
            tsi_free(a);
            tsi_free(b);
        }
    }
}
