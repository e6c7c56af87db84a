// SPDX-License-Identifier: Apache-2.0
//
// Element-wise operations: shapes, dtypes, cuts and values of their nodes.

#include <math.h>
#include <stdio.h>

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

TestSuite(graph_elementwise, .init = set_up, .fini = tear_down);

typedef tess_array *unary(tess_array *x);
typedef tess_array *binary(tess_array *x, tess_array *y);

static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8,  TESS_I16, TESS_I32, TESS_I64, TESS_U8,
                                    TESS_U16,  TESS_U32, TESS_U64, TESS_F32, TESS_F64};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

static tess_array *
ones(tess_dtype dtype)
{
    return tess_ones(&session, TESS_SHAPE(2, 3), TESS_CHUNKS(1, 2), dtype);
}

Test(graph_elementwise, dtypes_of_unary_operations)
{
    const struct {
        unary *call;
        tess_dtype of_bool;
        bool is_float;
    } rows[] = {
        {(tess_negative), TESS_NONE, false}, {(tess_abs), TESS_BOOL, false},
        {(tess_sqrt), TESS_F64, true},       {(tess_exp), TESS_F64, true},
        {(tess_log), TESS_F64, true},        {(tess_sin), TESS_F64, true},
        {(tess_cos), TESS_F64, true},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (int i = 0; i < DTYPES; i++) {
            tess_dtype expected = dtypes[i];
            if (dtypes[i] == TESS_BOOL) {
                expected = rows[r].of_bool;
            } else if (rows[r].is_float) {
                expected = dtypes[i] == TESS_F32 ? TESS_F32 : TESS_F64;
            }
            tess_array *y = rows[r].call(ones(dtypes[i]));
            cr_assert_eq(tess_array_dtype(y), expected, "row %zu, %s", r,
                         tess_dtype_name(dtypes[i]));
            cr_assert_eq(y->status, expected == TESS_NONE ? TESS_EDTYPE : TESS_OK);
        }
    }
    EXPECT_FAILED(tess_negative(ones(TESS_BOOL)), TESS_EDTYPE,
                  "negative: (2, 3): not defined for bool");
    expect_rules(&session);
}

enum rule { MEET, MEET_NOT_BOOL, MEET_INT8, TRUE_QUOTIENT, COMPARE };

static tess_dtype
expected_dtype(enum rule rule, tess_dtype a, tess_dtype b)
{
    const tess_dtype met = tess_dtype_promote(a, b);
    switch (rule) {
    case MEET_NOT_BOOL:
        return met == TESS_BOOL ? TESS_NONE : met;
    case MEET_INT8:
        return met == TESS_BOOL ? TESS_I8 : met;
    case TRUE_QUOTIENT:
        return met == TESS_F32 ? TESS_F32 : TESS_F64;
    case COMPARE:
        return TESS_BOOL;
    default:
        return met;
    }
}

Test(graph_elementwise, dtypes_of_binary_operations)
{
    const struct {
        const char *name;
        binary *call;
        enum rule rule;
    } rows[] = {
        {"add", (tess_add), MEET},
        {"subtract", (tess_subtract), MEET_NOT_BOOL},
        {"multiply", (tess_multiply), MEET},
        {"divide", (tess_divide), TRUE_QUOTIENT},
        {"power", (tess_power), MEET_INT8},
        {"minimum", (tess_minimum), MEET},
        {"maximum", (tess_maximum), MEET},
        {"equal", (tess_equal), COMPARE},
        {"not_equal", (tess_not_equal), COMPARE},
        {"less", (tess_less), COMPARE},
        {"less_equal", (tess_less_equal), COMPARE},
        {"greater", (tess_greater), COMPARE},
        {"greater_equal", (tess_greater_equal), COMPARE},
        {"matmul", (tess_matmul), MEET},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (int i = 0; i < DTYPES; i++) {
            for (int j = 0; j < DTYPES; j++) {
                tess_array *x = tess_ones(&session, TESS_SHAPE(3, 3), TESS_CHUNKS(1, 2), dtypes[i]);
                tess_array *y = tess_ones(&session, TESS_SHAPE(3, 3), TESS_CHUNKS(2, 1), dtypes[j]);
                tess_array *z = rows[r].call(x, y);
                const tess_dtype expected = expected_dtype(rows[r].rule, dtypes[i], dtypes[j]);
                cr_assert_eq(tess_array_dtype(z), expected, "%s of %s and %s", rows[r].name,
                             tess_dtype_name(dtypes[i]), tess_dtype_name(dtypes[j]));
                cr_assert_eq(z->status, expected == TESS_NONE ? TESS_EDTYPE : TESS_OK);
                if (expected != TESS_NONE) {
                    cr_assert_str_eq(z->name, rows[r].name);
                }
            }
        }
    }
    EXPECT_FAILED(tess_subtract(ones(TESS_BOOL), ones(TESS_BOOL)), TESS_EDTYPE,
                  "subtract: (2, 3) and (2, 3): not defined for bool");
    expect_rules(&session);
}

Test(graph_elementwise, where_takes_any_condition)
{
    for (int i = 0; i < DTYPES; i++) {
        tess_array *z = tess_where(ones(dtypes[i]), ones(TESS_I8), ones(TESS_U8));
        expect_sound(z, TESS_I16, TESS_SHAPE(2, 3));
    }
    tess_array *z =
        tess_where(ones(TESS_F64), tess_scalar_int(&session, 1), tess_scalar_int(&session, 2));
    expect_sound(z, TESS_I64, TESS_SHAPE(2, 3));
    z = tess_where(tess_scalar(&session, 1.5), ones(TESS_I8), ones(TESS_I8));
    expect_sound(z, TESS_I8, TESS_SHAPE(2, 3));
    expect_rules(&session);
}

Test(graph_elementwise, weak_scalars_take_the_dtype_they_meet)
{
    for (int i = 0; i < DTYPES; i++) {
        const tess_dtype dtype = dtypes[i];
        const bool is_float = dtype == TESS_F32 || dtype == TESS_F64;
        const tess_dtype with_int = dtype == TESS_BOOL ? TESS_I64 : dtype;
        const tess_dtype with_float = is_float ? dtype : TESS_F64;
        tess_array *one = tess_scalar_int(&session, 1);
        tess_array *half = tess_scalar(&session, 0.5);
        cr_assert_eq(tess_array_dtype(tess_add(ones(dtype), one)), with_int);
        cr_assert_eq(tess_array_dtype(tess_add(one, ones(dtype))), with_int);
        cr_assert_eq(tess_array_dtype(tess_add(ones(dtype), half)), with_float);
        cr_assert_eq(tess_array_dtype(tess_add(ones(dtype), tess_add(one, half))), with_float);
        cr_assert_eq(tess_array_dtype(tess_add(ones(dtype), tess_less(one, half))), dtype);
        cr_assert_eq(
            tess_array_dtype(tess_matmul(ones(dtype), tess_transpose(ones(dtype), TESS_REVERSED))),
            dtype);
    }
    tess_array *both = tess_add(tess_scalar_int(&session, 1), tess_scalar(&session, 0.5));
    cr_assert(both->weak);
    cr_assert_eq(both->dtype, TESS_F64);
    tess_array *strong = tess_cast(both, TESS_F64);
    cr_assert(!strong->weak && strong->kind == TSI_NODE_MAP);
    cr_assert_eq(tess_array_dtype(tess_add(ones(TESS_F32), strong)), TESS_F64);
    cr_assert(!tess_sum(both, TESS_AXES_ALL)->weak);
    cr_assert_eq(tess_add(ones(TESS_F32), tess_scalar(&session, 0.5))->operand[1]->kind,
                 TSI_NODE_CONST);
    expect_rules(&session);
}

Test(graph_elementwise, weak_integers_out_of_range)
{
    const struct {
        tess_dtype dtype;
        int64_t low, high;
    } rows[] = {
        {TESS_I8, -128, 127}, {TESS_I16, -32768, 32767}, {TESS_I32, INT32_MIN, INT32_MAX},
        {TESS_U8, 0, 255},    {TESS_U16, 0, 65535},      {TESS_U32, 0, UINT32_MAX},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        tess_array *x = ones(rows[r].dtype);
        char value[32];
        cr_assert_eq(tess_add(x, tess_scalar_int(&session, rows[r].low))->status, TESS_OK);
        cr_assert_eq(tess_add(x, tess_scalar_int(&session, rows[r].high))->status, TESS_OK);
        snprintf(value, sizeof value, "scalar %" PRId64, rows[r].low - 1);
        EXPECT_FAILED(tess_add(x, tess_scalar_int(&session, rows[r].low - 1)), TESS_EOVERFLOW,
                      "add: (2, 3) and ()", value, tess_dtype_name(rows[r].dtype));
        snprintf(value, sizeof value, "scalar %" PRId64, rows[r].high + 1);
        EXPECT_FAILED(tess_less(tess_scalar_int(&session, rows[r].high + 1), x), TESS_EOVERFLOW,
                      "less: () and (2, 3)", value);
        cr_assert_eq(tess_divide(x, tess_scalar_int(&session, rows[r].high + 1))->status, TESS_OK,
                     "a quotient is computed in float64");
        cr_assert_eq(tess_where(tess_scalar_int(&session, rows[r].high + 1), x, x)->status,
                     TESS_OK);
    }
    EXPECT_FAILED(tess_add(ones(TESS_U64), tess_scalar_int(&session, -1)), TESS_EOVERFLOW,
                  "uint64");
    cr_assert_eq(tess_add(ones(TESS_U64), tess_scalar_int(&session, INT64_MAX))->status, TESS_OK);
    cr_assert_eq(tess_add(ones(TESS_F32), tess_scalar_int(&session, INT64_MAX))->status, TESS_OK);
    expect_rules(&session);
}

// NumPy's rule written down once more: from the last axis, equal or 1 or missing.
static bool
model_broadcast(const tess_shape *a, const tess_shape *b, tess_shape *out)
{
    out->ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int k = 1; k <= out->ndim; k++) {
        const int64_t s = k <= a->ndim ? a->size[a->ndim - k] : 1;
        const int64_t t = k <= b->ndim ? b->size[b->ndim - k] : 1;
        if (s != t && s != 1 && t != 1) {
            return false;
        }
        out->size[out->ndim - k] = s == 1 ? t : s;
    }
    return true;
}

static void
expect_sums(tess_array *z, const double *x, const double *y, tess_shape a, tess_shape b,
            tess_shape shape)
{
    double got[4096];
    cr_assert(test_eval(z, got));
    for (int64_t at = 0; at < tess_array_count(z); at++) {
        int64_t rest = at;
        int64_t i = 0;
        int64_t j = 0;
        int64_t i_step = 1;
        int64_t j_step = 1;
        for (int k = 1; k <= shape.ndim; k++) {
            const int64_t place = rest % shape.size[shape.ndim - k];
            rest /= shape.size[shape.ndim - k];
            if (k <= a.ndim) {
                i += a.size[a.ndim - k] == 1 ? 0 : place * i_step;
                i_step *= a.size[a.ndim - k];
            }
            if (k <= b.ndim) {
                j += b.size[b.ndim - k] == 1 ? 0 : place * j_step;
                j_step *= b.size[b.ndim - k];
            }
        }
        REQUIRE(got[at] == x[i] + y[j]);
    }
}

Test(graph_elementwise, random_shapes)
{
    static double x[4096];
    static double y[4096];
    uint64_t state = 11;
    int fitting = 0;
    for (int i = 0; i < 4096; i++) {
        x[i] = i;
        y[i] = 10000 * (i + 1);
    }
    for (int round = 0; round < 3000; round++) {
        tess_shape shapes[2] = {{0}, {0}};
        for (int s = 0; s < 2; s++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
            shapes[s].ndim = (int)((state >> 60) % 5);
            for (int i = 0; i < shapes[s].ndim; i++) {
                const int64_t pick = (int64_t)(state >> (20 + 5 * i) & 7);
                shapes[s].size[i] = pick < 3 ? 1 : pick == 7 ? 0 : pick < 6 ? 4 : 3;
            }
        }
        tess_array *a =
            tess_from_memory(&session, x, TESS_F64, shapes[0], NULL, TESS_CHUNKS_EACH(3));
        tess_array *b =
            tess_from_memory(&session, y, TESS_F64, shapes[1], NULL, TESS_CHUNKS_EACH(2));
        tess_array *z = tess_add(a, b);
        tess_shape shape;
        if (!model_broadcast(&shapes[0], &shapes[1], &shape)) {
            EXPECT_FAILED(z, TESS_ESHAPE, "add: (", " and (", "do not broadcast");
            continue;
        }
        fitting++;
        expect_sound(z, TESS_F64, shape);
        expect_sums(z, x, y, shapes[0], shapes[1], shape);
    }
    cr_assert(fitting > 500 && fitting < 2500, "%d fit", fitting);
    expect_rules(&session);
}

Test(graph_elementwise, is_cut_as_the_largest_that_decides)
{
    tess_array *big = tess_zeros(&session, TESS_SHAPE(6, 8), TESS_CHUNKS(4, 3), TESS_F64);
    tess_array *same = tess_zeros(&session, TESS_SHAPE(6, 8), TESS_CHUNKS(5, 5), TESS_F64);
    tess_array *row = tess_zeros(&session, TESS_SHAPE(8), TESS_CHUNKS(2), TESS_F64);
    tess_array *wide = tess_zeros(&session, TESS_SHAPE(1, 8), TESS_CHUNKS(1, 7), TESS_F64);
    tess_array *tall = tess_zeros(&session, TESS_SHAPE(6, 1), TESS_CHUNKS(1, 1), TESS_F64);
    tess_array *z = tess_add(row, big);
    EXPECT_CHUNKS(z, 0, 4, 2);
    EXPECT_CHUNKS(z, 1, 3, 3, 2);
    z = tess_add(same, big);
    EXPECT_CHUNKS(z, 0, 5, 1);
    EXPECT_CHUNKS(z, 1, 5, 3);
    z = tess_add(tall, wide);
    EXPECT_CHUNKS(z, 0, 1, 1, 1, 1, 1, 1);
    EXPECT_CHUNKS(z, 1, 7, 1);
    z = tess_where(tall, wide, row);
    EXPECT_CHUNKS(z, 1, 7, 1);
    z = tess_where(row, tall, big);
    EXPECT_CHUNKS(z, 0, 4, 2);
    EXPECT_CHUNKS(z, 1, 3, 3, 2);
    expect_rules(&session);
}

Test(graph_elementwise, values)
{
    const int32_t a[] = {-7, 0, 3, 2};
    const int32_t b[] = {2, -1, 3, 5};
    tess_array *x = tess_from_memory(&session, a, TESS_I32, TESS_SHAPE(4), NULL, TESS_CHUNKS(3));
    tess_array *y = tess_from_memory(&session, b, TESS_I32, TESS_SHAPE(4), NULL, TESS_CHUNKS(2));
    int32_t got[4];
    double real[4];
    cr_assert(test_eval(tess_power(x, y), got));
    cr_assert(got[0] == 49 && got[1] == 0 && got[2] == 27 && got[3] == 32);
    cr_assert(test_eval(tess_where(tess_less(x, y), tess_negative(x), y), got));
    cr_assert(got[0] == 7 && got[1] == -1 && got[2] == 3 && got[3] == -2);
    cr_assert(test_eval(tess_divide(x, tess_scalar(&session, 2)), real));
    cr_assert(real[0] == -3.5 && real[3] == 1.0);
    expect_rules(&session);
}

static double
cast_once(double value, tess_dtype from, tess_dtype to, void *out)
{
    // A constant is converted when the node is made, a source when it is computed.
    tess_array *x = tess_full(&session, TESS_SHAPE(1), TESS_CHUNKS(1), from, value);
    tess_array *y = tess_arange(&session, value, value + 1, 1, TESS_CHUNKS(1), from);
    unsigned char folded[8] = {0};
    unsigned char computed[8] = {0};
    REQUIRE(tess_cast(x, to)->kind == TSI_NODE_CONST);
    REQUIRE(test_eval(tess_cast(x, to), folded));
    REQUIRE(test_eval(tess_cast(y, to), computed));
    if (memcmp(folded, computed, 8) != 0) {
        cr_assert_fail("%g from %s to %s", value, tess_dtype_name(from), tess_dtype_name(to));
    }
    memcpy(out, folded, 8);
    return value;
}

Test(graph_elementwise, casts)
{
    // An unsigned −1 is 0 in a constant, and wraps in the source.
    const double values[] = {0, 1, 2.5, 100, 127};
    unsigned char out[8];
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        for (int i = 1; i < DTYPES; i++) {
            for (int j = 0; j < DTYPES; j++) {
                cast_once(values[v], dtypes[i], dtypes[j], out);
            }
        }
    }
    for (int j = 0; j < DTYPES; j++) {
        for (int64_t v = -70000; v < 70000; v += 77) {
            // The oracle looks at all nodes of a session, so one session for all would take long.
            tear_down();
            set_up();
            cast_once((double)v, TESS_I64, dtypes[j], out);
            cast_once((double)v + 0.3, TESS_F64, dtypes[j], out);
        }
    }
    cast_once(-2.9, TESS_F64, TESS_I16, out);
    cr_assert(memcmp(out, (const int16_t[]){-2}, 2) == 0);
    tess_array *nan = tess_full(&session, TESS_SHAPE(1), TESS_CHUNKS(1), TESS_F64, NAN);
    cr_assert_eq(tess_cast(nan, TESS_I32)->constant.bits, 0);
    cr_assert_eq(tess_cast(nan, TESS_BOOL)->constant.bits, 1);
    tess_array *x = ones(TESS_I32);
    cr_assert(tess_cast(x, TESS_I32) == x);
    EXPECT_FAILED(tess_cast(x, TESS_NONE), TESS_EDTYPE, "cast: (2, 3)", "0 is no dtype");
    EXPECT_FAILED(tess_cast(x, (tess_dtype)99), TESS_EDTYPE, "99 is no dtype");
    tess_array *large = tess_zeros(&session, TESS_SHAPE(INT64_MAX), TESS_CHUNKS_NONE, TESS_BOOL);
    EXPECT_FAILED(tess_cast(large, TESS_F64), TESS_EOVERFLOW, "cast: (9223372036854775807,)");
    EXPECT_FAILED(tess_add(large, tess_scalar(&session, 1)), TESS_EOVERFLOW,
                  "add: (9223372036854775807,)");
    expect_rules(&session);
}

Test(graph_elementwise, results_too_large)
{
    const int64_t half = INT64_C(1) << 32;
    tess_array *x = tess_zeros(&session, TESS_SHAPE(half, 1), TESS_CHUNKS_NONE, TESS_U8);
    tess_array *y = tess_zeros(&session, TESS_SHAPE(1, half), TESS_CHUNKS_NONE, TESS_U8);
    EXPECT_FAILED(tess_add(x, y), TESS_EOVERFLOW, "add: (4294967296, 4294967296)", "uint8");
    expect_rules(&session);
}

Test(graph_elementwise, shapes_that_do_not_fit)
{
    tess_array *x = tess_zeros(&session, TESS_SHAPE(3, 4), TESS_CHUNKS_NONE, TESS_F64);
    tess_array *y = tess_zeros(&session, TESS_SHAPE(5), TESS_CHUNKS_NONE, TESS_F64);
    tess_array *z = tess_zeros(&session, TESS_SHAPE(2, 1), TESS_CHUNKS_NONE, TESS_F64);
    EXPECT_FAILED(tess_add(x, y), TESS_ESHAPE,
                  "add: (3, 4) and (5,): sizes 4 and 5 on axis -1 do not broadcast");
    EXPECT_FAILED(tess_where(y, z, x), TESS_ESHAPE, "where: (5,), (2, 1) and (3, 4): ");
    EXPECT_FAILED(tess_less(z, x), TESS_ESHAPE,
                  "less: (2, 1) and (3, 4): sizes 2 and 3 on axis -2");
    expect_rules(&session);
}
