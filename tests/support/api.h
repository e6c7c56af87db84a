// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the public interface share: sessions of the embedded runtime, elements that are
// worth a test, and the comparison with the oracle of eval.h.

#ifndef TESS_TEST_API_H
#define TESS_TEST_API_H

#include <criterion/criterion.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tessera.h"
#include "tests/support/eval.h"

static inline tess_session *
open_embedded(int threads)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = threads;
    tess_session *session = tess_session_open_with("embedded", &options);
    cr_assert_eq(tess_session_status(session), TESS_OK, "%s", tess_session_error(session));
    return session;
}

static inline bool
is_float(tess_dtype dtype)
{
    return dtype == TESS_F32 || dtype == TESS_F64;
}

static inline double
read_float(tess_dtype dtype, const void *data, int64_t i)
{
    return dtype == TESS_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

// Computes `x` into memory that the caller frees.
static inline void *
compute(tess_array *x)
{
    void *out = calloc(tess_array_bytes(x) + 1, 1);
    cr_assert(out != NULL);
    const tess_status status = tess_compute(x, out, tess_array_bytes(x));
    cr_assert_eq(status, TESS_OK, "%s: %s", tess_status_name(status),
                 tess_session_error(tess_array_session(x)));
    return out;
}

// The computed elements and those that are wanted may differ by `relative` of the wanted one, by
// `of_largest` of the largest wanted one, and by `absolute`, all in units of the dtype's precision.
// Zeros ask for the same bits, where one NaN is as good as another.
struct tolerance {
    double relative;
    double of_largest;
    double absolute;
};

static inline double
largest_magnitude(tess_dtype dtype, const void *data, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double value = fabs(read_float(dtype, data, i));
        largest = isfinite(value) && value > largest ? value : largest;
    }
    return largest;
}

static inline bool
is_near(double have, double want, double allowed)
{
    return (isnan(have) && isnan(want)) || have == want || fabs(have - want) <= allowed;
}

// The first element that differs, or −1.
static inline int64_t
find_difference(tess_dtype dtype, const void *have, const void *want, int64_t count,
                struct tolerance tolerance)
{
    const size_t bytes = tess_dtype_bytes(dtype);
    const double unit = dtype == TESS_F32 ? FLT_EPSILON : DBL_EPSILON;
    const double tiny = dtype == TESS_F32 ? FLT_MIN : DBL_MIN;
    const bool exact =
        tolerance.relative == 0 && tolerance.of_largest == 0 && tolerance.absolute == 0;
    const double largest = is_float(dtype) ? largest_magnitude(dtype, want, count) : 0;
    for (int64_t i = 0; i < count; i++) {
        const size_t at = (size_t)i * bytes;
        if (memcmp((const char *)have + at, (const char *)want + at, bytes) == 0) {
            continue;
        }
        if (!is_float(dtype)) {
            return i;
        }
        const double h = read_float(dtype, have, i);
        const double w = read_float(dtype, want, i);
        const double allowed = unit * (tolerance.relative * (fabs(w) + tiny) +
                                       tolerance.of_largest * largest + tolerance.absolute);
        if (exact ? !(isnan(h) && isnan(w)) : !is_near(h, w, allowed)) {
            return i;
        }
    }
    return -1;
}

// Whether the computed `have` is what the oracle makes of `x`. Prints the first difference under
// the name `what`.
static inline bool
agrees_with_oracle(const char *what, tess_array *x, const void *have, struct tolerance tolerance)
{
    const tess_dtype dtype = tess_array_dtype(x);
    const size_t bytes = tess_dtype_bytes(dtype);
    unsigned char *want = calloc(tess_array_bytes(x) + 1, 1);
    cr_assert(want != NULL && test_eval(x, want), "%s: the oracle failed", what);
    const int64_t i = find_difference(dtype, have, want, tess_array_count(x), tolerance);
    if (i >= 0) {
        uint64_t h = 0;
        uint64_t w = 0;
        memcpy(&h, (const unsigned char *)have + (size_t)i * bytes, bytes);
        memcpy(&w, want + (size_t)i * bytes, bytes);
        fprintf(stderr, "%s: element %" PRId64 " of %" PRId64 " %s: have %" PRIx64 " want %" PRIx64,
                what, i, tess_array_count(x), tess_dtype_name(dtype), h, w);
        if (is_float(dtype)) {
            fprintf(stderr, " (%.17g, %.17g)", read_float(dtype, have, i),
                    read_float(dtype, want, i));
        }
        fprintf(stderr, "\n");
    }
    free(want);
    return i < 0;
}

static inline void
expect_near_oracle(const char *what, tess_array *x, struct tolerance tolerance)
{
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s: %s", what, tess_array_error(x));
    void *have = compute(x);
    cr_assert(agrees_with_oracle(what, x, have, tolerance), "%s", what);
    free(have);
}

static inline void
expect_oracle(const char *what, tess_array *x)
{
    expect_near_oracle(what, x, (struct tolerance){0, 0, 0});
}

// Fails unless the two have the same dtype, shape and bits.
static inline void
expect_same(const char *what, tess_array *x, tess_array *y)
{
    cr_assert_eq(tess_array_dtype(x), tess_array_dtype(y), "%s", what);
    cr_assert_eq(tess_array_bytes(x), tess_array_bytes(y), "%s", what);
    void *a = compute(x);
    void *b = compute(y);
    cr_assert(memcmp(a, b, tess_array_bytes(x)) == 0, "%s: the elements differ", what);
    free(a);
    free(b);
}

// Elements of each dtype that are worth a test: extremes, both zeros, infinities, NaN, and numbers
// in between. `count` of them, over and over, beginning at `first`; the caller frees them.
static inline void *
special_elements(tess_dtype dtype, int64_t count, int64_t first)
{
    static const double floats[] = {
        0.0,   -0.0, 1.0,   -1.0, 0.5, -2.5, NAN,  INFINITY,   3.75,   7.0,   -INFINITY, 1e-40,
        -1e30, 1e30, 100.5, -3.0, 2.0, 0.1,  -0.1, 16777217.0, 1e-300, 2e300, 300.0,     -129.0};
    static const uint64_t integers[] = {0,
                                        1,
                                        2,
                                        UINT64_MAX,
                                        7,
                                        127,
                                        128,
                                        255,
                                        32767,
                                        32768,
                                        2147483647,
                                        2147483648,
                                        INT64_MAX,
                                        (uint64_t)INT64_MIN,
                                        3,
                                        10,
                                        (uint64_t)-5,
                                        12345678901};
    const int64_t float_count = (int64_t)(sizeof floats / sizeof *floats);
    const int64_t integer_count = (int64_t)(sizeof integers / sizeof *integers);
    const size_t bytes = tess_dtype_bytes(dtype);
    unsigned char *out = calloc((size_t)count + 1, bytes);
    cr_assert(out != NULL);
    for (int64_t i = 0; i < count; i++) {
        const double wide = floats[(i + first) % float_count];
        const float narrow = (float)wide;
        uint64_t bits = integers[(i + first) % integer_count];
        bits = dtype == TESS_BOOL ? bits & 1 : bits;
        memcpy(out + (size_t)i * bytes,
               dtype == TESS_F64   ? (const void *)&wide
               : dtype == TESS_F32 ? (const void *)&narrow
                                   : (const void *)&bits,
               bytes);
    }
    return out;
}

// Shapes with the ways to cut them that tests go through.
struct grid_case {
    const char *name;
    tess_shape shape;
    tess_chunks chunks;
};

#define GRID_CASE_COUNT 12

// A static table, since lists of chunks must outlive the calls that take them.
static inline const struct grid_case *
grid_cases(void)
{
    static const int64_t list[] = {2, 0, 5, 1, 3};
    static const int64_t other[] = {0, 4, 3, 0};
    static struct grid_case cases[GRID_CASE_COUNT];
    cases[0] = (struct grid_case){"no axes", TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO};
    cases[1] = (struct grid_case){"nothing", TESS_SHAPE(0), TESS_CHUNKS(4)};
    cases[2] = (struct grid_case){"empty axis", TESS_SHAPE(3, 0, 2), TESS_CHUNKS(2, 1, 1)};
    cases[3] = (struct grid_case){"one", TESS_SHAPE(1), TESS_CHUNKS(100)};
    cases[4] = (struct grid_case){"ragged", TESS_SHAPE(31), TESS_CHUNKS(7)};
    cases[5] = (struct grid_case){"chunk too large", TESS_SHAPE(5, 6), TESS_CHUNKS(50, 60)};
    cases[6] = (struct grid_case){"single elements", TESS_SHAPE(4, 3), TESS_CHUNKS_EACH(1)};
    cases[7] = (struct grid_case){"whole", TESS_SHAPE(9, 8), TESS_CHUNKS_NONE};
    cases[8] = (struct grid_case){"automatic", TESS_SHAPE(50, 7), TESS_CHUNKS_AUTO};
    cases[9] = (struct grid_case){"listed", TESS_SHAPE(11, 7), TESS_CHUNKS(1, 1)};
    cases[9].chunks = tess_chunks_list(cases[9].chunks, 0, list, 5);
    cases[9].chunks = tess_chunks_list(cases[9].chunks, 1, other, 4);
    cases[10] =
        (struct grid_case){"ones in between", TESS_SHAPE(3, 1, 5, 1), TESS_CHUNKS(2, 1, 2, 1)};
    cases[11] = (struct grid_case){"large", TESS_SHAPE(70, 61), TESS_CHUNKS(33, 61)};
    return cases;
}

#endif
