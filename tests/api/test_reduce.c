// SPDX-License-Identifier: Apache-2.0
//
// All reductions of all dtypes over every set of axes, trees of several levels, and what folding
// nothing gives, against the oracle.

#include "tests/support/api.h"

enum { SUM, PROD, MEAN, VAR, STD, MIN, MAX, ANY, ALL, ARGMIN, ARGMAX, REDUCTION_COUNT };

static const char *const names[] = {"sum", "prod", "mean", "var",    "std",   "min",
                                    "max", "any",  "all",  "argmin", "argmax"};

static tess_array *
reduce(int reduction, tess_array *x, tess_axes axes, double ddof)
{
    switch (reduction) {
    case SUM:
        return tess_sum(x, axes);
    case PROD:
        return tess_prod(x, axes);
    case MEAN:
        return tess_mean(x, axes);
    case VAR:
        return tess_var(x, axes, ddof);
    case STD:
        return tess_std(x, axes, ddof);
    case MIN:
        return tess_min(x, axes);
    case MAX:
        return tess_max(x, axes);
    case ANY:
        return tess_any(x, axes);
    case ALL:
        return tess_all(x, axes);
    case ARGMIN:
        return tess_argmin(x, axes);
    default:
        return tess_argmax(x, axes);
    }
}

static bool
needs_elements(int reduction)
{
    return reduction == MIN || reduction == MAX || reduction == ARGMIN || reduction == ARGMAX;
}

// What is summed in float64 differs from long double in the last digits.
static struct tolerance
tolerance_of(int reduction, tess_dtype dtype)
{
    const bool rounds = reduction == MEAN || reduction == VAR || reduction == STD ||
                        (is_float(dtype) && (reduction == SUM || reduction == PROD));
    return rounds ? (struct tolerance){16, 16, 0} : (struct tolerance){0, 0, 0};
}

// Whether there are results, each of nothing.
static bool
is_empty_fold(tess_shape shape, tess_axes axes)
{
    bool folds_nothing = false;
    for (int a = 0; a < shape.ndim; a++) {
        const bool is_folded = (axes >> a & 1) != 0;
        if (shape.size[a] == 0 && !is_folded) {
            return false;
        }
        folds_nothing = folds_nothing || shape.size[a] == 0;
    }
    return folds_nothing;
}

static void
check_axes(tess_array *x, tess_axes axes)
{
    char what[128];
    const tess_dtype dtype = tess_array_dtype(x);
    for (int r = 0; r < REDUCTION_COUNT; r++) {
        const double ddof = (double)(axes % 3);
        tess_array *result = reduce(r, x, axes, ddof);
        snprintf(what, sizeof what, "%s %s axes %" PRIx64, names[r], tess_dtype_name(dtype),
                 (uint64_t)axes);
        if (needs_elements(r) && is_empty_fold(tess_array_shape(x), axes)) {
            cr_assert_eq(tess_array_status(result), TESS_ESHAPE, "%s", what);
            continue;
        }
        expect_near_oracle(what, result, tolerance_of(r, dtype));
    }
}

static void
check_every_set(tess_array *x)
{
    const int ndim = tess_array_shape(x).ndim;
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
    for (tess_axes axes = 0; axes < (tess_axes)1 << ndim; axes++) {
        check_axes(x, axes);
        check_axes(x, axes | TESS_KEEPDIMS);
    }
    check_axes(x, TESS_AXES_ALL);
}

// Elements of which no sum or product overflows: small, of either sign, with ties.
static tess_array *
small_elements(tess_session *session, tess_dtype dtype, tess_shape shape, tess_chunks chunks)
{
    if (is_float(dtype)) {
        return tess_cast(tess_random_normal(session, shape, chunks, 0.5, 2), dtype);
    }
    return tess_cast(tess_random_integers(session, shape, chunks, TESS_I8, -3, 4), dtype);
}

static void
check_dtype(tess_dtype dtype)
{
    static const int64_t list[] = {0, 1, 3, 0};
    tess_session *session = open_embedded(2);
    check_every_set(small_elements(session, dtype, TESS_SHAPE(17), TESS_CHUNKS(3)));
    check_every_set(small_elements(session, dtype, TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO));
    check_every_set(small_elements(session, dtype, TESS_SHAPE(5, 7), TESS_CHUNKS(2, 7)));
    tess_chunks chunks = tess_chunks_list(TESS_CHUNKS(2, 1, 3), 1, list, 4);
    check_every_set(small_elements(session, dtype, TESS_SHAPE(5, 4, 6), chunks));
    check_every_set(
        small_elements(session, dtype, TESS_SHAPE(3, 4, 2, 5), TESS_CHUNKS(1, 3, 2, 2)));
    tess_session_close(session);
}

Test(api_reduce, bool_and_small_integers)
{
    check_dtype(TESS_BOOL);
    check_dtype(TESS_I8);
    check_dtype(TESS_U8);
    check_dtype(TESS_I16);
    check_dtype(TESS_U16);
}

Test(api_reduce, large_integers)
{
    check_dtype(TESS_I32);
    check_dtype(TESS_U32);
    check_dtype(TESS_I64);
    check_dtype(TESS_U64);
}

Test(api_reduce, floats)
{
    check_dtype(TESS_F32);
    check_dtype(TESS_F64);
}

Test(api_reduce, empty_axes)
{
    for (tess_dtype dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        tess_session *session = open_embedded(2);
        check_every_set(tess_zeros(session, TESS_SHAPE(0), TESS_CHUNKS(2), dtype));
        check_every_set(tess_ones(session, TESS_SHAPE(3, 0, 2), TESS_CHUNKS_EACH(1), dtype));
        check_every_set(tess_full_int(session, TESS_SHAPE(0, 0), TESS_CHUNKS_AUTO, dtype, 4));
        tess_session_close(session);
    }
}

Test(api_reduce, nan_and_infinity)
{
    static const tess_dtype dtypes[] = {TESS_F32, TESS_F64};
    for (int d = 0; d < 2; d++) {
        tess_session *session = open_embedded(2);
        void *data = special_elements(dtypes[d], 400, 0);
        tess_array *all =
            tess_from_memory(session, data, dtypes[d], TESS_SHAPE(20, 20), NULL, TESS_CHUNKS(3, 4));
        tess_array *zeros = tess_where(tess_less(tess_abs(all), tess_scalar(session, 1e-20)), all,
                                       tess_scalar(session, 1));
        for (tess_axes axes = 0; axes < 4; axes++) {
            for (int r = MIN; r < REDUCTION_COUNT; r++) {
                expect_oracle(names[r], reduce(r, all, axes, 0));
                expect_oracle(names[r], reduce(r, zeros, axes, 0));
            }
            expect_oracle(
                "sum",
                tess_sum(tess_where(tess_equal(all, all), tess_scalar(session, 1), all), axes));
            expect_oracle("mean", tess_mean(tess_divide(all, tess_scalar(session, 0)), axes));
        }
        tess_session_close(session);
        free(data);
    }
}

Test(api_reduce, degrees_of_freedom)
{
    tess_session *session = open_embedded(2);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(6, 5), TESS_CHUNKS(4, 2), 1, 2);
    static const double ddofs[] = {0, 1, 0.5, 4, 5, 6, 29, 30, 31, -2};
    for (size_t i = 0; i < sizeof ddofs / sizeof *ddofs; i++) {
        for (tess_axes axes = 0; axes < 4; axes++) {
            expect_near_oracle("var", tess_var(x, axes, ddofs[i]), (struct tolerance){32, 0, 0});
            expect_near_oracle("std", tess_std(x, axes, ddofs[i]), (struct tolerance){32, 0, 0});
        }
    }
    tess_session_close(session);
}

// The mean is a million standard deviations away: squares would lose all digits.
Test(api_reduce, variance_far_from_zero)
{
    tess_session *session = open_embedded(2);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(3000), TESS_CHUNKS(7), 1e6, 1);
    expect_near_oracle("var", tess_var(x, TESS_AXES_ALL, 1), (struct tolerance){1e5, 0, 0});
    tess_session_close(session);
}

// Hundreds and thousands of chunks, in one axis and in several that are not side by side.
Test(api_reduce, trees_of_several_levels)
{
    tess_session *session = open_embedded(2);
    static const int64_t counts[] = {15, 16, 17, 255, 256, 257, 700, 4097};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        tess_array *x =
            tess_random_integers(session, TESS_SHAPE(counts[i]), TESS_CHUNKS(1), TESS_I16, -50, 50);
        for (int r = 0; r < REDUCTION_COUNT; r++) {
            expect_near_oracle(names[r], reduce(r, x, TESS_AXES_ALL, 1),
                               (struct tolerance){1000, 0, 0});
        }
    }
    tess_array *y =
        tess_random_integers(session, TESS_SHAPE(19, 3, 23), TESS_CHUNKS(1, 2, 1), TESS_I32, 0, 3);
    for (tess_axes axes = 0; axes < 8; axes++) {
        check_axes(y, axes);
    }
    tess_session_close(session);
}

// Nearly everything is equal, so the first index in C order among the folded axes has to win over
// chunks that are folded in another order.
Test(api_reduce, ties_over_axes_apart)
{
    tess_session *session = open_embedded(2);
    static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8, TESS_U64, TESS_F32, TESS_F64};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        tess_array *x = tess_cast(tess_random_integers(session, TESS_SHAPE(7, 5, 6, 4),
                                                       TESS_CHUNKS(2, 3, 1, 3), TESS_I8, 0, 2),
                                  dtypes[d]);
        for (tess_axes axes = 0; axes < 16; axes++) {
            expect_oracle("argmin", tess_argmin(x, axes));
            expect_oracle("argmax", tess_argmax(x, axes | TESS_KEEPDIMS));
            expect_oracle("argmin turned",
                          tess_argmin(tess_transpose(x, TESS_ORDER(2, 0, 3, 1)), axes));
        }
    }
    tess_session_close(session);
}

// Reductions of reductions, and of what is computed in the same task.
Test(api_reduce, fused_and_stacked)
{
    tess_session *session = open_embedded(2);
    const struct tolerance loose = {64, 64, 64};
    tess_array *x = tess_random_normal(session, TESS_SHAPE(40, 30), TESS_CHUNKS(7, 8), 0, 1);
    tess_array *mean = tess_mean(x, TESS_AXIS(0) | TESS_KEEPDIMS);
    tess_array *centred = tess_subtract(x, mean);
    expect_near_oracle("centred", centred, loose);
    expect_near_oracle("variance", tess_mean(tess_multiply(centred, centred), TESS_AXIS(0)), loose);
    expect_near_oracle("stacked", tess_max(tess_sum(tess_abs(x), TESS_AXIS(1)), TESS_AXES_ALL),
                       loose);
    expect_near_oracle("turned", tess_sum(tess_transpose(tess_exp(x), TESS_REVERSED), TESS_AXIS(0)),
                       loose);
    expect_near_oracle(
        "sliced",
        tess_std(tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -3))), TESS_AXIS(1), 0),
        loose);
    expect_near_oracle(
        "repeated", tess_sum(tess_broadcast_to(mean, TESS_SHAPE(9, 1, 30)), TESS_AXIS(0)), loose);
    tess_session_close(session);
}

// The order of additions follows from the chunks, so another cut may give other bits, but the same
// cut always gives the same.
Test(api_reduce, repeats_its_bits)
{
    for (int threads = 1; threads < 5; threads++) {
        tess_session *one = open_embedded(threads);
        tess_session *other = open_embedded(5 - threads);
        tess_array *x = tess_random_normal(one, TESS_SHAPE(100000), TESS_CHUNKS(331), 0, 1);
        tess_array *y = tess_random_normal(other, TESS_SHAPE(100000), TESS_CHUNKS(331), 0, 1);
        expect_same("sum", tess_sum(x, TESS_AXES_ALL), tess_sum(y, TESS_AXES_ALL));
        expect_same("std", tess_std(x, TESS_AXES_ALL, 1), tess_std(y, TESS_AXES_ALL, 1));
        tess_session_close(one);
        tess_session_close(other);
    }
}
