// SPDX-License-Identifier: Apache-2.0
//
// Random arrays through the whole path: they depend on seed, stream and index alone, and they have
// the distributions that they promise. Seeds are fixed, so a bound that holds once always holds.

#include "tests/support/api.h"

static tess_session *
open_seeded(uint64_t seed)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.seed = seed;
    return tess_session_open_with("embedded", &options);
}

enum { KINDS = 5 };

static tess_array *
make(tess_session *s, int kind, tess_shape shape, tess_chunks chunks)
{
    switch (kind) {
    case 0:
        return tess_random_normal(s, shape, chunks, 1, 3);
    case 1:
        return tess_random_standard_normal(s, shape, chunks, TESS_F32);
    case 2:
        return tess_random_uniform(s, shape, chunks, -1, 4);
    case 3:
        return tess_random_integers(s, shape, chunks, TESS_U8, 3, 250);
    default:
        return tess_random_integers(s, shape, chunks, TESS_I64, -1000000007, 998244353);
    }
}

Test(api_random, does_not_depend_on_chunks)
{
    static const int64_t list[] = {1, 0, 30, 6};
    const tess_shape shape = TESS_SHAPE(37, 29);
    for (int kind = 0; kind < KINDS; kind++) {
        const tess_chunks cuts[] = {TESS_CHUNKS_NONE, TESS_CHUNKS_EACH(1), TESS_CHUNKS(5, 28),
                                    TESS_CHUNKS_AUTO,
                                    tess_chunks_list(TESS_CHUNKS(1, 7), 0, list, 4)};
        tess_session *first = open_seeded(9);
        void *want = compute(make(first, kind, shape, cuts[0]));
        for (int c = 1; c < 5; c++) {
            tess_session *s = open_seeded(9);
            tess_array *x = make(s, kind, shape, cuts[c]);
            void *have = compute(x);
            cr_assert(memcmp(have, want, tess_array_bytes(x)) == 0, "kind %d, cut %d", kind, c);
            free(have);
            tess_session_close(s);
        }
        free(want);
        tess_session_close(first);
    }
}

Test(api_random, slices_alone_equal_slices_of_the_whole)
{
    const int64_t rows = 41;
    const int64_t columns = 23;
    for (int kind = 0; kind < KINDS; kind++) {
        tess_session *s = open_seeded(4);
        tess_array *x = make(s, kind, TESS_SHAPE(rows, columns), TESS_CHUNKS(7, 9));
        const size_t bytes = tess_dtype_bytes(tess_array_dtype(x));
        unsigned char *whole = compute(x);
        tess_array *part = tess_slice(x, TESS_INDEX(TESS_RANGE(35, 2, -4), TESS_RANGE(1, 20, 3)));
        unsigned char *have = compute(part);
        const tess_shape shape = tess_array_shape(part);
        for (int64_t i = 0; i < shape.size[0]; i++) {
            for (int64_t j = 0; j < shape.size[1]; j++) {
                const int64_t from = (35 - 4 * i) * columns + 1 + 3 * j;
                cr_assert(memcmp(have + (size_t)(i * shape.size[1] + j) * bytes,
                                 whole + (size_t)from * bytes, bytes) == 0);
            }
        }
        free(have);
        free(whole);
        tess_session_close(s);
    }
}

Test(api_random, arrays_sessions_and_seeds)
{
    for (int kind = 0; kind < KINDS; kind++) {
        tess_session *s = open_seeded(1);
        tess_session *again = open_seeded(1);
        tess_session *other = open_seeded(2);
        const tess_shape shape = TESS_SHAPE(1000);
        tess_array *x = make(s, kind, shape, TESS_CHUNKS(100));
        tess_array *y = make(s, kind, shape, TESS_CHUNKS(100));
        void *a = compute(x);
        void *b = compute(y);
        void *c = compute(make(again, kind, shape, TESS_CHUNKS(77)));
        void *d = compute(make(again, kind, shape, TESS_CHUNKS(77)));
        void *e = compute(make(other, kind, shape, TESS_CHUNKS(77)));
        const size_t bytes = tess_array_bytes(x);
        cr_assert(memcmp(a, b, bytes) != 0, "two arrays of a session");
        cr_assert(memcmp(a, c, bytes) == 0, "the first of another session");
        cr_assert(memcmp(b, d, bytes) == 0, "the second of another session");
        cr_assert(memcmp(a, e, bytes) != 0, "another seed");
        free(a);
        free(b);
        free(c);
        free(d);
        free(e);
        tess_session_close(s);
        tess_session_close(again);
        tess_session_close(other);
    }
}

static int
compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

// The distance of Kolmogorov and Smirnov times √n, which is above 1.95 once in a thousand times.
static double
kolmogorov(double *sorted, int64_t count, double (*distribution)(double))
{
    double most = 0;
    qsort(sorted, (size_t)count, sizeof *sorted, compare_doubles);
    for (int64_t i = 0; i < count; i++) {
        const double expected = distribution(sorted[i]);
        const double above = (double)(i + 1) / (double)count - expected;
        const double below = expected - (double)i / (double)count;
        most = above > most ? above : most;
        most = below > most ? below : most;
    }
    return most * sqrt((double)count);
}

static double
normal_distribution(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

static double
uniform_distribution(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

Test(api_random, distributions_of_a_million)
{
    const int64_t count = 1000000;
    tess_session *s = open_seeded(3);
    tess_array *normal = tess_random_normal(s, TESS_SHAPE(1000, 1000), TESS_CHUNKS(77, 300), 2, 5);
    tess_array *uniform = tess_random_uniform(s, TESS_SHAPE(count), TESS_CHUNKS(99999), -3, 7);
    double *x = compute(tess_divide(tess_subtract(normal, tess_scalar(s, 2)), tess_scalar(s, 5)));
    cr_assert(kolmogorov(x, count, normal_distribution) < 1.95);
    free(x);
    x = compute(uniform);
    for (int64_t i = 0; i < count; i++) {
        cr_assert(x[i] >= -3 && x[i] < 7);
        x[i] = (x[i] + 3) / 10;
    }
    cr_assert(kolmogorov(x, count, uniform_distribution) < 1.95);
    free(x);
    tess_session_close(s);
}

// Pearson's statistic of a range that is no power of two.
Test(api_random, integers_are_unbiased)
{
    enum { CELLS = 1009, COUNT = 1000000 };
    static const tess_dtype dtypes[] = {TESS_I16, TESS_U32, TESS_I64, TESS_U64};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        static int64_t cells[CELLS];
        memset(cells, 0, sizeof cells);
        tess_session *s = open_seeded(11 + d);
        const int64_t low = dtypes[d] == TESS_U32 || dtypes[d] == TESS_U64 ? 5 : -500;
        tess_array *x = tess_cast(tess_random_integers(s, TESS_SHAPE(COUNT), TESS_CHUNKS(30011),
                                                       dtypes[d], low, low + CELLS),
                                  TESS_I64);
        int64_t *values = compute(x);
        double statistic = 0;
        for (int i = 0; i < COUNT; i++) {
            cr_assert(values[i] >= low && values[i] < low + CELLS);
            cells[values[i] - low]++;
        }
        for (int i = 0; i < CELLS; i++) {
            const double expected = (double)COUNT / CELLS;
            statistic += ((double)cells[i] - expected) * ((double)cells[i] - expected) / expected;
        }
        // Mean 1008, deviation √2016.
        cr_assert(fabs(statistic - 1008) < 4 * sqrt(2016), "%g", statistic);
        free(values);
        tess_session_close(s);
    }
}

// A range of three quarters of 2^63: a plain remainder would make the low half twice as likely.
Test(api_random, integers_over_a_range_that_does_not_divide)
{
    tess_session *s = open_seeded(5);
    const int64_t range = INT64_MAX / 4 * 3;
    tess_array *x =
        tess_random_integers(s, TESS_SHAPE(1000000), TESS_CHUNKS(50000), TESS_I64, 0, range);
    tess_array *low =
        tess_less(x, tess_full_int(s, TESS_SCALAR_SHAPE, TESS_CHUNKS_NONE, TESS_I64, range / 2));
    double mean = 0;
    cr_assert_eq(tess_compute(tess_mean(low, TESS_AXES_ALL), &mean, sizeof mean), TESS_OK);
    cr_assert(fabs(mean - 0.5) < 0.002, "%g", mean);
    tess_session_close(s);
}

// 10^8 elements that are never stored. The bounds are five standard errors.
Test(api_random, moments_of_a_hundred_million)
{
    const double count = 1e8;
    tess_session *s = open_seeded(6);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(10000, 10000), TESS_CHUNKS_AUTO, 3, 2);
    tess_array *moments[] = {tess_mean(x, TESS_AXES_ALL), tess_var(x, TESS_AXES_ALL, 1),
                             tess_std(x, TESS_AXES_ALL, 1)};
    double values[3];
    void *outs[] = {&values[0], &values[1], &values[2]};
    const size_t bytes[] = {8, 8, 8};
    cr_assert_eq(tess_compute_many(moments, outs, bytes, 3), TESS_OK, "%s", tess_session_error(s));
    cr_assert(fabs(values[0] - 3) < 5 * 2 / sqrt(count), "mean %.10g", values[0]);
    cr_assert(fabs(values[1] - 4) < 5 * 4 * sqrt(2 / count), "var %.10g", values[1]);
    cr_assert(fabs(values[2] - sqrt(values[1])) < 1e-15, "std %.10g", values[2]);
    tess_session_close(s);
}
