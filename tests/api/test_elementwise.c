// SPDX-License-Identifier: Apache-2.0
//
// Every element-wise operation of every dtype on every awkward grid, against the oracle.

#include "tests/support/api.h"

typedef tess_array *(*unary)(tess_array *);
typedef tess_array *(*binary)(tess_array *, tess_array *);

struct named_unary {
    const char *name;
    unary op;
    bool rounds; // the oracle may round otherwise
};

struct named_binary {
    const char *name;
    binary op;
    bool rounds;
};

static const struct named_unary unaries[] = {
    {"negative", tess_negative, false},
    {"abs", tess_abs, false},
    {"sqrt", tess_sqrt, false},
    {"exp", tess_exp, true},
    {"log", tess_log, true},
    {"sin", tess_sin, true},
    {"cos", tess_cos, true},
};

static const struct named_binary binaries[] = {
    {"add", tess_add, false},
    {"subtract", tess_subtract, false},
    {"multiply", tess_multiply, false},
    {"divide", tess_divide, false},
    {"power", tess_power, true},
    {"minimum", tess_minimum, false},
    {"maximum", tess_maximum, false},
    {"equal", tess_equal, false},
    {"not_equal", tess_not_equal, false},
    {"less", tess_less, false},
    {"less_equal", tess_less_equal, false},
    {"greater", tess_greater, false},
    {"greater_equal", tess_greater_equal, false},
};

enum {
    UNARY_COUNT = sizeof unaries / sizeof *unaries,
    BINARY_COUNT = sizeof binaries / sizeof *binaries
};

static const struct tolerance ulps = {4, 0, 0};
static const struct tolerance none = {0, 0, 0};

static int64_t
count_of(tess_shape shape)
{
    int64_t count = 1;
    for (int a = 0; a < shape.ndim; a++) {
        count *= shape.size[a];
    }
    return count;
}

// What the operations refuse.
static bool
is_defined(const char *name, tess_dtype dtype)
{
    return dtype != TESS_BOOL || (strcmp(name, "negative") != 0 && strcmp(name, "subtract") != 0);
}

static void
check_grid(tess_session *session, tess_dtype dtype, const struct grid_case *grid)
{
    const int64_t count = count_of(grid->shape);
    void *data = special_elements(dtype, count, 0);
    void *more = special_elements(dtype, count, 5);
    char what[128];
    tess_array *x = tess_from_memory(session, data, dtype, grid->shape, NULL, grid->chunks);
    tess_array *y = tess_from_memory(session, more, dtype, grid->shape, NULL, TESS_CHUNKS_EACH(2));
    expect_oracle(grid->name, x);
    for (int i = 0; i < UNARY_COUNT; i++) {
        if (is_defined(unaries[i].name, dtype)) {
            snprintf(what, sizeof what, "%s %s %s", unaries[i].name, tess_dtype_name(dtype),
                     grid->name);
            expect_near_oracle(what, unaries[i].op(x), unaries[i].rounds ? ulps : none);
        }
    }
    for (int i = 0; i < BINARY_COUNT; i++) {
        if (is_defined(binaries[i].name, dtype)) {
            snprintf(what, sizeof what, "%s %s %s", binaries[i].name, tess_dtype_name(dtype),
                     grid->name);
            expect_near_oracle(what, binaries[i].op(x, y), binaries[i].rounds ? ulps : none);
        }
    }
    expect_oracle("where", tess_where(x, y, x));
    expect_oracle("where less", tess_where(tess_less(x, y), x, y));
    tess_session_close(session);
    free(data);
    free(more);
}

static void
check_dtype(tess_dtype dtype)
{
    for (int g = 0; g < GRID_CASE_COUNT; g++) {
        check_grid(open_embedded(2), dtype, &grid_cases()[g]);
    }
}

Test(api_elementwise, every_operation_of_bool_and_small_integers)
{
    check_dtype(TESS_BOOL);
    check_dtype(TESS_I8);
    check_dtype(TESS_U8);
    check_dtype(TESS_I16);
    check_dtype(TESS_U16);
}

Test(api_elementwise, every_operation_of_large_integers)
{
    check_dtype(TESS_I32);
    check_dtype(TESS_U32);
    check_dtype(TESS_I64);
    check_dtype(TESS_U64);
}

Test(api_elementwise, every_operation_of_floats)
{
    check_dtype(TESS_F32);
    check_dtype(TESS_F64);
}

Test(api_elementwise, refuses_bool_without_sign)
{
    tess_session *session = open_embedded(1);
    tess_array *x = tess_ones(session, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_BOOL);
    cr_assert_eq(tess_array_status(tess_subtract(x, x)), TESS_EDTYPE);
    cr_assert_eq(tess_array_status(tess_negative(x)), TESS_EDTYPE);
    tess_session_close(session);
}

// Every pair of dtypes, in each operation: they meet as the oracle of the nodes says, and in the
// dtype of tess_dtype_promote().
Test(api_elementwise, mixed_dtypes)
{
    char what[128];
    for (tess_dtype a = TESS_BOOL; a < TESS_DTYPE_COUNT; a++) {
        tess_session *session = open_embedded(2);
        void *left = special_elements(a, 40, 0);
        tess_array *x = tess_from_memory(session, left, a, TESS_SHAPE(40), NULL, TESS_CHUNKS(9));
        void *rights[TESS_DTYPE_COUNT] = {NULL};
        for (tess_dtype b = TESS_BOOL; b < TESS_DTYPE_COUNT; b++) {
            rights[b] = special_elements(b, 40, 11);
            tess_array *y =
                tess_from_memory(session, rights[b], b, TESS_SHAPE(40), NULL, TESS_CHUNKS(16));
            cr_assert_eq(tess_array_dtype(tess_add(x, y)), tess_dtype_promote(a, b));
            for (int i = 0; i < BINARY_COUNT; i++) {
                if (is_defined(binaries[i].name, tess_dtype_promote(a, b))) {
                    snprintf(what, sizeof what, "%s %s %s", binaries[i].name, tess_dtype_name(a),
                             tess_dtype_name(b));
                    expect_near_oracle(what, binaries[i].op(x, y),
                                       binaries[i].rounds ? ulps : none);
                }
            }
            expect_oracle("cast", tess_cast(x, b));
            expect_oracle("where", tess_where(y, x, y));
        }
        tess_session_close(session);
        free(left);
        for (tess_dtype b = TESS_BOOL; b < TESS_DTYPE_COUNT; b++) {
            free(rights[b]);
        }
    }
}

Test(api_elementwise, weak_scalars)
{
    for (tess_dtype dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        tess_session *session = open_embedded(2);
        void *data = special_elements(dtype, 30, 3);
        tess_array *x =
            tess_from_memory(session, data, dtype, TESS_SHAPE(5, 6), NULL, TESS_CHUNKS(2, 4));
        for (int i = 0; i < BINARY_COUNT; i++) {
            const struct tolerance tolerance = binaries[i].rounds ? ulps : none;
            expect_near_oracle(binaries[i].name, binaries[i].op(x, tess_scalar_int(session, 3)),
                               tolerance);
            expect_near_oracle(binaries[i].name, binaries[i].op(tess_scalar(session, 1.5), x),
                               tolerance);
        }
        tess_array *sum = tess_add(x, tess_scalar_int(session, 3));
        cr_assert_eq(tess_array_dtype(sum), dtype == TESS_BOOL ? TESS_I64 : dtype);
        sum = tess_add(x, tess_scalar(session, 0.5));
        cr_assert_eq(tess_array_dtype(sum), dtype == TESS_F32 ? TESS_F32 : TESS_F64);
        tess_session_close(session);
        free(data);
    }
}

Test(api_elementwise, broadcasting)
{
    static const struct {
        tess_shape a;
        tess_shape b;
    } pairs[] = {
        {{2, {5, 1}}, {2, {1, 7}}}, {{3, {2, 1, 4}}, {2, {3, 1}}}, {{0, {0}}, {2, {4, 5}}},
        {{1, {1}}, {3, {2, 3, 4}}}, {{4, {3, 1, 5, 1}}, {1, {6}}}, {{2, {0, 1}}, {2, {1, 4}}},
        {{2, {1, 0}}, {2, {3, 1}}}, {{2, {1, 1}}, {2, {1, 1}}},    {{3, {1, 9, 8}}, {3, {7, 1, 1}}},
    };
    tess_session *session = open_embedded(2);
    void *left = special_elements(TESS_F64, 4096, 0);
    void *right = special_elements(TESS_I32, 4096, 2);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        for (int64_t cut = -1; cut < 4; cut++) {
            tess_array *x =
                tess_from_memory(session, left, TESS_F64, pairs[i].a, NULL, TESS_CHUNKS_EACH(cut));
            tess_array *y =
                tess_from_memory(session, right, TESS_I32, pairs[i].b, NULL, TESS_CHUNKS_EACH(2));
            expect_oracle("multiply", tess_multiply(x, y));
            expect_oracle("less", tess_less(y, x));
            expect_oracle("where", tess_where(tess_scalar_int(session, 1), x, y));
        }
    }
    tess_session_close(session);
    free(left);
    free(right);
}

// Sums and differences of multiples are one step of a task; values that others use too, and
// operands whose register is wanted meanwhile, must not be lost by it.
Test(api_elementwise, sums_of_multiples)
{
    for (int round = 0; round < 60; round++) {
        const tess_dtype dtype = round % 2 == 0 ? TESS_F64 : TESS_F32;
        tess_session *session = open_embedded(2);
        void *data = special_elements(dtype, 2100, round);
        tess_array *value[24];
        value[0] =
            tess_from_memory(session, data, dtype, TESS_SHAPE(3, 700), NULL, TESS_CHUNKS(2, 600));
        value[1] = tess_negative(value[0]);
        value[2] = tess_add(value[0], tess_scalar(session, 0.5));
        uint32_t bits = (uint32_t)round * 2654435761U + 1;
        for (int i = 3; i < 24; i++) {
            bits = bits * 1664525U + 1013904223U;
            tess_array *x = value[(bits >> 8) % (uint32_t)i];
            tess_array *y = value[i - 1 - (int)((bits >> 16) % 2)];
            tess_array *two = tess_scalar(session, (double)(bits >> 28) - 6.5);
            value[i] = i % 3 != 2              ? tess_multiply(y, two)
                       : (bits >> 20 & 1) != 0 ? tess_add(x, y)
                                               : tess_subtract(y, x);
        }
        expect_oracle("multiples", tess_add(tess_multiply(value[20], tess_scalar(session, 2)),
                                            tess_multiply(tess_scalar(session, 3), value[23])));
        tess_session_close(session);
        free(data);
    }
}

// Longer than the instructions of one task: the chain is cut, and the result is the same.
Test(api_elementwise, long_chains_and_wide_sums)
{
    tess_session *session = open_embedded(2);
    tess_array *x = tess_arange(session, 0, 100, 1, TESS_CHUNKS(13), TESS_I64);
    tess_array *chain = x;
    for (int i = 0; i < 700; i++) {
        tess_array *operand = i % 3 == 0 ? x : tess_scalar_int(session, i);
        chain = i % 2 == 0 ? tess_add(chain, operand) : tess_multiply(chain, operand);
    }
    expect_oracle("chain", chain);

    tess_array *layer[128];
    for (int i = 0; i < 128; i++) {
        layer[i] =
            tess_random_integers(session, TESS_SHAPE(100), TESS_CHUNKS(5 + i), TESS_I32, -9, 9);
    }
    for (int count = 128; count > 1; count /= 2) {
        for (int i = 0; i < count / 2; i++) {
            layer[i] = tess_add(layer[2 * i], layer[2 * i + 1]);
        }
    }
    expect_oracle("wide", layer[0]);

    // One value read from many places, and doubled again and again.
    tess_array *doubled = x;
    for (int i = 0; i < 60; i++) {
        doubled = tess_add(doubled, doubled);
    }
    expect_oracle("doubled", doubled);
    tess_session_close(session);
}
