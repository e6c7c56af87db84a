// SPDX-License-Identifier: Apache-2.0
//
// Block products, finished in one task or folded over k, against the naive triple loop.

#include <criterion/criterion.h>
#include <math.h>

#include "engine/base/dtype.h"
#include "engine/base/memory.h"
#include "tests/support/exec_case.h"

static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8,  TESS_I16, TESS_I32, TESS_I64, TESS_U8,
                                    TESS_U16,  TESS_U32, TESS_U64, TESS_F32, TESS_F64};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

struct product {
    struct tsi_grid loop; // batch …, i, j, k
    tess_dtype dtype;
    int from[2];
    struct tsi_index_map map[2];
};

// An operand over some of the batch axes and its own two, these in any order.
static void
add_operand(struct exec_case *c, struct product *p, int which)
{
    const int k = p->loop.ndim - 1;
    const int own = which == 0 ? k - 2 : k - 1;
    struct tsi_index_map *const map = &p->map[which];
    struct tsi_grid grid = {0};
    int axes[TESS_NDIM_MAX];
    int count = 0;
    for (int i = 0; i < k - 2; i++) {
        if (exec_case_random(c, 3) != 0) {
            axes[count++] = i;
        }
    }
    const bool is_transposed = exec_case_random(c, 2) == 0;
    const bool is_row_first = is_transposed != (which == 0);
    axes[count++] = is_row_first ? own : k;
    axes[count++] = is_row_first ? k : own;
    *map = (struct tsi_index_map){.ndim = count};
    grid.ndim = count;
    for (int i = 0; i < count; i++) {
        const struct tsi_axis *const axis = &p->loop.axis[axes[i]];
        map->axis[i] = (struct tsi_map_axis){axes[i], 0, 1, 1};
        grid.axis[i] = *axis;
        if (axes[i] == k && exec_case_random(c, 2) == 0) {
            grid.axis[i] = exec_case_axis(c, axis->size);
        } else if (exec_case_random(c, 4) == 0) {
            const int64_t stride = exec_case_random(c, 2) == 0 ? -1 : 2;
            const int64_t reach = axis->size == 0 ? 0 : (axis->size - 1) * llabs(stride) + 1;
            map->axis[i].stride = stride;
            map->axis[i].offset = stride < 0 && reach > 0 ? reach - 1 : 0;
            grid.axis[i] = exec_case_axis(c, reach + 1);
        }
    }
    p->from[which] = exec_case_held(c, p->dtype, &grid, EXEC_CASE_SMALL);
}

// Adds the product, and a fold over the chunks of k if there are several. Returns the last
// operation.
static int
add_product(struct exec_case *c, struct product *p)
{
    const int k = p->loop.ndim - 1;
    struct tsi_grid array = p->loop;
    const bool finish = p->loop.axis[k].count == 1;
    const enum tsi_reduction sum = p->dtype == TESS_BOOL ? TSI_REDUCE_ANY : TSI_REDUCE_SUM;
    if (finish) {
        array.ndim--;
    } else {
        array.axis[k] = tsi_axis_regular(p->loop.axis[k].count, 1);
    }
    const int op = exec_case_op(c, TSI_WORK_MATMUL, p->dtype, &p->loop, &array);
    c->program->ops[op].matmul.finish = finish;
    exec_case_input(c, op, p->from[0], &p->map[0]);
    exec_case_input(c, op, p->from[1], &p->map[1]);
    if (finish) {
        return op;
    }
    c->program->ops[op].is_planes = true;
    c->program->ops[op].plane_reduction = sum;
    struct tsi_grid grid = array;
    struct tsi_index_map map = tsi_index_map_identity(&grid);
    map.axis[k].stride = grid.axis[k].size;
    map.axis[k].extent = grid.axis[k].size;
    grid.axis[k] = tsi_axis_regular(1, 1);
    const int fold = exec_case_op(c, TSI_WORK_FOLD, p->dtype, &grid, NULL);
    c->program->ops[fold].fold = (struct tsi_work_fold){.reduction = (uint8_t)sum,
                                                        .dtype = (uint8_t)p->dtype,
                                                        .finish = true,
                                                        .axes = UINT32_C(1) << k};
    exec_case_input(c, fold, op, &map);
    return fold;
}

// As an element of the type: integers wrap around, bool is whether there is any.
static double
in_dtype(double value, tess_dtype dtype)
{
    const int64_t bits = 8 * (int64_t)tess_dtype_bytes(dtype);
    const enum tsi_dtype_kind kind = tsi_dtype_kind(dtype);
    if (kind == TSI_KIND_BOOL) {
        return value != 0;
    }
    if (kind == TSI_KIND_FLOAT || bits == 64) {
        return value;
    }
    const double range = ldexp(1, (int)bits);
    const double wrapped = value - range * floor(value / range);
    return kind == TSI_KIND_SIGNED && wrapped >= range / 2 ? wrapped - range : wrapped;
}

static void
check_product(struct exec_case *c, const struct product *p, int op, uint64_t seed)
{
    const int k = p->loop.ndim - 1;
    tess_shape shape = tsi_grid_shape(&p->loop);
    const int64_t inner = shape.size[k];
    shape.size[k] = 1;
    int64_t index[TESS_NDIM_MAX] = {0};
    double *const result = exec_case_result(c, op);
    const int64_t count = tsi_grid_element_count(&c->program->ops[op].array);
    for (int64_t i = 0; i < count; i++) {
        double expected = 0;
        for (int64_t l = 0; l < inner; l++) {
            index[k] = l;
            expected += exec_case_value(c, p->from[0], &p->map[0], index) *
                        exec_case_value(c, p->from[1], &p->map[1], index);
        }
        index[k] = 0;
        expected = in_dtype(expected, p->dtype);
        cr_assert(result[i] == expected, "seed %llu, %s, element %lld: %g instead of %g\n%s",
                  (unsigned long long)seed, tess_dtype_name(p->dtype), (long long)i, result[i],
                  expected, exec_case_text(c));
        (void)exec_case_next(shape.ndim, shape.size, index);
    }
    tsi_free(result);
}

static void
run_product(uint64_t seed, tess_dtype dtype, int64_t size_max)
{
    struct exec_case c;
    struct product p = {.dtype = dtype};
    exec_case_init(&c, seed);
    p.loop.ndim = 3 + (int)exec_case_random(&c, 3);
    for (int i = 0; i < p.loop.ndim; i++) {
        const bool is_batch = i < p.loop.ndim - 3;
        int64_t size = exec_case_random(&c, is_batch ? 4 : size_max);
        if (size == 0 && exec_case_random(&c, 4) != 0) {
            size = 3;
        }
        p.loop.axis[i] = exec_case_axis(&c, size);
    }
    add_operand(&c, &p, 0);
    add_operand(&c, &p, 1);
    const int op = add_product(&c, &p);
    exec_case_run(&c);
    check_product(&c, &p, op, seed);
    exec_case_fini(&c);
}

Test(exec_matmul, every_type_over_random_operands)
{
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        run_product(seed, dtypes[seed % DTYPES], 8);
    }
}

Test(exec_matmul, larger_blocks)
{
    for (uint64_t seed = 1; seed <= 44; seed++) {
        run_product(seed, dtypes[seed % DTYPES], 60);
    }
}
