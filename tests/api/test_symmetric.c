// SPDX-License-Identifier: Apache-2.0
//
// Reductions of x ± x.T and the like, whose tasks are mirror images of each other: the same bits as
// with an equal array in the place of the transposed one, with any number of threads, and near a
// plain loop.

#include "tests/support/api.h"

enum { SIDE = 300, DEPTH = 5 };

static double
value(int64_t i)
{
    return (double)((i * 7919 + 13) % 1009) / 7.0 - 70.0;
}

static void *
make_values(tess_dtype dtype, int64_t count)
{
    double *values = malloc((size_t)count * sizeof *values);
    cr_assert(values != NULL);
    for (int64_t i = 0; i < count; i++) {
        const double now = value(i);
        switch (dtype) {
        case TESS_F64:
            values[i] = now;
            break;
        case TESS_F32:
            ((float *)(void *)values)[i] = (float)now;
            break;
        default:
            ((int32_t *)(void *)values)[i] = (int32_t)now;
        }
    }
    return values;
}

static tess_array *
reduce(int which, tess_array *x, tess_axes axes)
{
    switch (which) {
    case 0:
        return tess_mean(x, axes);
    case 1:
        return tess_std(x, axes, 0);
    case 2:
        return tess_max(x, axes);
    default:
        return tess_argmin(x, axes);
    }
}

// Computes the reduction of x − x.T (or +) by `threads`, or of x and an equal array.
static void *
run(tess_dtype dtype, const int64_t *cut, tess_axes axes, int which, int threads, const void *data,
    const void *other, size_t *bytes)
{
    tess_session *s = open_embedded(threads);
    tess_array *x =
        tess_from_memory(s, data, dtype, TESS_SHAPE(SIDE, SIDE), NULL, TESS_CHUNKS(cut[0], cut[1]));
    tess_array *y = tess_from_memory(s, other, dtype, TESS_SHAPE(SIDE, SIDE), NULL,
                                     TESS_CHUNKS(cut[0], cut[1]));
    tess_array *t = tess_transpose(y, TESS_REVERSED);
    tess_array *sum = which == 1 ? tess_subtract(x, t) : tess_add(x, t);
    tess_array *result = reduce(which, sum, axes);
    *bytes = tess_array_bytes(result);
    void *out = compute(result);
    tess_session_close(s);
    return out;
}

static void
check_mean(const int64_t *cut, tess_axes axes, const double *have)
{
    for (int64_t i = 0; i < SIDE; i++) {
        double sum = 0;
        for (int64_t j = 0; j < SIDE; j++) {
            sum += value(i * SIDE + j) + value(j * SIDE + i);
        }
        cr_assert(fabs(have[i] - sum / SIDE) < 1e-9, "chunks %d, axes %u, row %d", (int)cut[0],
                  (unsigned)axes, (int)i);
    }
}

Test(api_symmetric, the_same_bits_as_of_two_arrays)
{
    static const int64_t cuts[][2] = {{150, 150}, {70, 70},  {300, 300},
                                      {64, 64},   {100, 70}, {7, 300}};
    static const tess_dtype dtypes[] = {TESS_F64, TESS_F32, TESS_I32};
    for (int d = 0; d < 3; d++) {
        void *data = make_values(dtypes[d], (int64_t)SIDE * SIDE);
        void *other = make_values(dtypes[d], (int64_t)SIDE * SIDE);
        for (int k = 0; k < 6 * 2 * 4; k++) {
            const int64_t *cut = cuts[k / 8];
            const tess_axes axes = TESS_AXIS(k / 4 % 2);
            size_t bytes = 0;
            void *want = run(dtypes[d], cut, axes, k % 4, 2, data, other, &bytes);
            for (int threads = 1; threads < 4; threads++) {
                void *have = run(dtypes[d], cut, axes, k % 4, threads, data, data, &bytes);
                cr_assert(memcmp(have, want, bytes) == 0, "dtype %d, case %d, %d threads", d, k,
                          threads);
                if (d == 0 && k % 4 == 0) {
                    check_mean(cut, axes, have);
                }
                free(have);
            }
            free(want);
        }
        free(data);
        free(other);
    }
}

// What is transposed is an array that tasks make, and is kept by nobody.
Test(api_symmetric, of_what_is_computed)
{
    tess_session *s = open_embedded(2);
    void *data = make_values(TESS_F64, (int64_t)SIDE * SIDE);
    tess_array *x =
        tess_from_memory(s, data, TESS_F64, TESS_SHAPE(SIDE, SIDE), NULL, TESS_CHUNKS(70, 70));
    tess_array *product = tess_matmul(x, x);
    double *have =
        compute(tess_sum(tess_add(product, tess_transpose(product, TESS_REVERSED)), TESS_AXIS(1)));
    double *rows = compute(tess_sum(product, TESS_AXIS(1)));
    double *columns = compute(tess_sum(product, TESS_AXIS(0)));
    for (int64_t i = 0; i < SIDE; i++) {
        const double want = rows[i] + columns[i];
        cr_assert(fabs(have[i] - want) <= 1e-6 * (1 + fabs(want)), "row %d", (int)i);
    }
    free(have);
    free(rows);
    free(columns);
    free(data);
    tess_session_close(s);
}

Test(api_symmetric, two_axes_of_three)
{
    static const int orders[][3] = {{1, 0, 2}, {0, 2, 1}, {2, 1, 0}};
    const int64_t sizes[][3] = {{90, 90, DEPTH}, {DEPTH, 90, 90}, {90, DEPTH, 90}};
    const int64_t count = (int64_t)90 * 90 * DEPTH;
    double *data = make_values(TESS_F64, count);
    double *other = make_values(TESS_F64, count);
    for (int k = 0; k < 3 * 6; k++) {
        const int64_t *size = sizes[k / 6];
        const int *order = orders[k / 6];
        const tess_axes axes = (tess_axes)(1 + k % 6);
        void *outs[2];
        size_t bytes = 0;
        for (int i = 0; i < 2; i++) {
            tess_session *s = open_embedded(2);
            tess_array *x =
                tess_from_memory(s, data, TESS_F64, TESS_SHAPE(size[0], size[1], size[2]), NULL,
                                 TESS_CHUNKS(40, 40, 40));
            tess_array *y = tess_from_memory(s, i == 0 ? data : other, TESS_F64,
                                             TESS_SHAPE(size[0], size[1], size[2]), NULL,
                                             TESS_CHUNKS(40, 40, 40));
            tess_array *t = tess_transpose(y, TESS_ORDER(order[0], order[1], order[2]));
            tess_array *result = tess_sum(tess_add(x, t), axes);
            bytes = tess_array_bytes(result);
            outs[i] = compute(result);
            tess_session_close(s);
        }
        cr_assert(memcmp(outs[0], outs[1], bytes) == 0, "case %d", k);
        free(outs[0]);
        free(outs[1]);
    }
    free(data);
    free(other);
}
