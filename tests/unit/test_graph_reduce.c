// SPDX-License-Identifier: Apache-2.0
//
// Reductions: sets of axes, shapes, dtypes, cuts and values of their nodes.

#include <math.h>

#include "tests/support/graph.h"

static struct tess_session session;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
}

TestSuite(graph_reduce, .init = set_up, .fini = tear_down);

typedef tess_array *fold(tess_array *x, tess_axes axes);

static tess_array *
var(tess_array *x, tess_axes axes)
{
    return tess_var(x, axes, 1);
}

static tess_array *
std(tess_array *x, tess_axes axes)
{
    return tess_std(x, axes, 1);
}

static tess_array *
cube(void)
{
    return tess_zeros(&session, TESS_SHAPE(5, 6, 7), TESS_CHUNKS(2, 4, 3), TESS_F32);
}

Test(graph_reduce, sets_of_axes)
{
    tess_array *x = cube();
    const struct {
        tess_axes axes;
        uint32_t folded;
    } rows[] = {
        {TESS_AXES_NONE, 0},
        {TESS_AXIS(0), 1},
        {TESS_AXIS(2), 4},
        {TESS_AXIS(-1), 4},
        {TESS_AXIS(-3), 1},
        {TESS_AXIS(0) | TESS_AXIS(-1), 5},
        {TESS_AXIS(2) | TESS_AXIS(-1), 4},
        {TESS_AXES_ALL, 7},
        {TESS_AXES_ALL | TESS_AXIS(-2), 7},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (int keepdims = 0; keepdims < 2; keepdims++) {
            tess_shape shape = {0};
            for (int i = 0; i < 3; i++) {
                const bool is_folded = (rows[r].folded >> i & 1) != 0;
                if (!is_folded || keepdims) {
                    shape.size[shape.ndim++] = is_folded ? 1 : 5 + i;
                }
            }
            tess_array *y = tess_sum(x, rows[r].axes | (keepdims ? TESS_KEEPDIMS : 0));
            expect_sound(y, TESS_F32, shape);
            cr_assert_eq(y->kind, TSI_NODE_REDUCE);
            cr_assert_eq(y->reduce.axes, rows[r].folded, "row %zu", r);
            cr_assert_eq(y->reduce.keepdims, keepdims != 0);
        }
    }
    tess_array *y = tess_sum(x, TESS_AXIS(1));
    EXPECT_CHUNKS(y, 0, 2, 2, 1);
    EXPECT_CHUNKS(y, 1, 3, 3, 1);
    y = tess_sum(x, TESS_AXIS(1) | TESS_KEEPDIMS);
    EXPECT_CHUNKS(y, 1, 1);
    EXPECT_CHUNKS(y, 2, 3, 3, 1);
    expect_sound(tess_sum(tess_scalar(&session, 2), TESS_AXES_ALL), TESS_F64, TESS_SCALAR_SHAPE);
    tess_shape many = {.ndim = TESS_NDIM_MAX};
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        many.size[i] = 1;
    }
    x = tess_ones(&session, many, TESS_CHUNKS_NONE, TESS_F64);
    cr_assert_eq(tess_sum(x, TESS_AXIS(-16) | TESS_AXIS(15))->reduce.axes, 0x8001);
    cr_assert_eq(tess_sum(x, TESS_AXES_ALL)->reduce.axes, 0xFFFF);
    expect_rules(&session);
}

Test(graph_reduce, sets_that_are_refused)
{
    tess_array *x = cube();
    EXPECT_FAILED(tess_sum(x, TESS_AXIS(3)), TESS_EAXIS, "sum: (5, 6, 7): axis 3", "3 axes");
    EXPECT_FAILED(tess_mean(x, TESS_AXIS(-4)), TESS_EAXIS, "mean: (5, 6, 7): axis -4");
    EXPECT_FAILED(tess_max(x, TESS_AXIS(0) | TESS_AXIS(15)), TESS_EAXIS, "max: (5, 6, 7): axis 15");
    EXPECT_FAILED(tess_std(x, TESS_AXIS(16), 0), TESS_EINVAL, "std: (5, 6, 7)");
    EXPECT_FAILED(tess_std(x, TESS_AXIS(-17), 0), TESS_EINVAL, "std: (5, 6, 7)");
    EXPECT_FAILED(tess_any(x, (tess_axes)1 << 20), TESS_EINVAL, "any: (5, 6, 7)");
    EXPECT_FAILED(tess_any(x, (tess_axes)1 << 50), TESS_EINVAL, "any: (5, 6, 7)");
    tess_array *scalar = tess_scalar(&session, 1);
    EXPECT_FAILED(tess_sum(scalar, TESS_AXIS(0)), TESS_EAXIS, "sum: (): axis 0");
    EXPECT_FAILED(tess_sum(scalar, TESS_AXIS(-1)), TESS_EAXIS, "sum: (): axis -1");
}

Test(graph_reduce, dtypes)
{
    static const tess_dtype of[][12] = {
        // none, bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64
        {TESS_NONE, TESS_I64, TESS_I64, TESS_I64, TESS_I64, TESS_I64, TESS_U64, TESS_U64, TESS_U64,
         TESS_U64, TESS_F32, TESS_F64},
        {TESS_NONE, TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F64,
         TESS_F64, TESS_F32, TESS_F64},
    };
    for (int d = TESS_BOOL; d < TESS_DTYPE_COUNT; d++) {
        const tess_dtype dtype = (tess_dtype)d;
        tess_array *x = tess_ones(&session, TESS_SHAPE(3), TESS_CHUNKS(2), dtype);
        fold *const sums[] = {(tess_sum), (tess_prod)};
        fold *const means[] = {(tess_mean), var, std};
        fold *const same[] = {(tess_min), (tess_max)};
        fold *const truths[] = {(tess_any), (tess_all)};
        fold *const places[] = {(tess_argmin), (tess_argmax)};
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(tess_array_dtype(sums[i](x, TESS_AXES_ALL)), of[0][d]);
            cr_assert_eq(tess_array_dtype(same[i](x, TESS_AXES_ALL)), dtype);
            cr_assert_eq(tess_array_dtype(truths[i](x, TESS_AXES_ALL)), TESS_BOOL);
            cr_assert_eq(tess_array_dtype(places[i](x, TESS_AXES_ALL)), TESS_I64);
        }
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(tess_array_dtype(means[i](x, TESS_AXES_ALL)), of[1][d]);
        }
    }
}

Test(graph_reduce, nothing_to_fold)
{
    tess_array *x = tess_zeros(&session, TESS_SHAPE(0, 3), TESS_CHUNKS_NONE, TESS_F64);
    EXPECT_FAILED(tess_min(x, TESS_AXIS(0)), TESS_ESHAPE, "min: (0, 3): there is nothing to fold");
    EXPECT_FAILED(tess_max(x, TESS_AXES_ALL), TESS_ESHAPE, "max: (0, 3)");
    EXPECT_FAILED(tess_argmin(x, TESS_AXIS(0) | TESS_KEEPDIMS), TESS_ESHAPE, "argmin: (0, 3)");
    EXPECT_FAILED(tess_argmax(x, TESS_AXES_ALL), TESS_ESHAPE, "argmax: (0, 3)");
    expect_sound(tess_min(x, TESS_AXIS(1)), TESS_F64, TESS_SHAPE(0));
    expect_sound(tess_min(x, TESS_AXES_NONE), TESS_F64, TESS_SHAPE(0, 3));
    tess_array *flat = tess_zeros(&session, TESS_SHAPE(0, 0), TESS_CHUNKS_NONE, TESS_F64);
    expect_sound(tess_argmax(flat, TESS_AXIS(0)), TESS_I64, TESS_SHAPE(0));
    double got = -1;
    bool truth = false;
    cr_assert(test_eval(tess_sum(x, TESS_AXES_ALL), &got) && got == 0);
    cr_assert(test_eval(tess_prod(x, TESS_AXES_ALL), &got) && got == 1);
    cr_assert(test_eval(tess_mean(x, TESS_AXES_ALL), &got) && isnan(got));
    cr_assert(test_eval(var(x, TESS_AXES_ALL), &got) && isnan(got));
    cr_assert(test_eval(tess_any(x, TESS_AXES_ALL), &truth) && !truth);
    cr_assert(test_eval(tess_all(x, TESS_AXES_ALL), &truth) && truth);
    expect_rules(&session);
}

Test(graph_reduce, values)
{
    const double data[] = {3, -1, 4, 1, -5, 9};
    double got[3];
    int64_t at[3];
    tess_array *x =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(2, 3), NULL, TESS_CHUNKS(1, 2));
    cr_assert(test_eval(tess_sum(x, TESS_AXIS(0)), got));
    cr_assert(got[0] == 4 && got[1] == -6 && got[2] == 13);
    cr_assert(test_eval(tess_mean(x, TESS_AXIS(1)), got));
    cr_assert(got[0] == 2 && fabs(got[1] - 5.0 / 3) < 1e-15);
    cr_assert(test_eval(tess_var(x, TESS_AXIS(0), 1), got));
    cr_assert(got[0] == 2 && got[1] == 8 && got[2] == 12.5);
    cr_assert(test_eval(tess_std(x, TESS_AXIS(0), 0), got));
    cr_assert(got[0] == 1 && got[1] == 2 && got[2] == 2.5);
    cr_assert(test_eval(tess_argmin(x, TESS_AXES_ALL), at) && at[0] == 4);
    cr_assert(test_eval(tess_argmax(x, TESS_AXIS(1)), at) && at[0] == 2 && at[1] == 2);
    cr_assert(test_eval(tess_sum(x, TESS_AXES_NONE), (double[6]){0}));
}
