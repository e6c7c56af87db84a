// SPDX-License-Identifier: Apache-2.0
//
// Every reduction of every type and instruction set against the oracle: both directions, in one
// tile and in several, and merged from parts. Sums and moments of floats may be off by what their
// roundings allow; all other results are exact.

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/acc.h"
#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"
#include "tests/support/kernel_case.h"

#define COUNT 8192
#define ACCUMULATORS 512

// Accumulators with their planes.
struct planes {
    uint64_t memory[TSI_ACC_PLANES_MAX][ACCUMULATORS];
    void *plane[TSI_ACC_PLANES_MAX];
};

static struct planes some;
static struct planes others;
static uint64_t elements[COUNT];
static struct test_value column[COUNT];

static void
point_planes(struct planes *planes)
{
    for (int k = 0; k < TSI_ACC_PLANES_MAX; k++) {
        planes->plane[k] = planes->memory[k];
        memset(planes->memory[k], 0xAB, sizeof(planes->memory[k]));
    }
}

// The planes from accumulator `first` on.
static void
shift_planes(const struct planes *planes, enum tsi_reduction reduction, tess_dtype dtype,
             int64_t first, void *shifted[TSI_ACC_PLANES_MAX])
{
    const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
    for (int k = 0; k < layout.planes; k++) {
        shifted[k] = (char *)planes->plane[k] + (size_t)first * tess_dtype_bytes(layout.dtype[k]);
    }
}

static double
real_of(struct test_value value)
{
    return test_value_cast(value, TESS_F64).f;
}

// How far roundings may carry a result of `column`.
static double
slack(enum tsi_reduction reduction, tess_dtype result, double wanted, int64_t count)
{
    double largest = 0;
    for (int64_t t = 0; t < count; t++) {
        largest = fmax(largest, fabs(real_of(column[t])));
    }
    const double unit = (result == TESS_F64 ? 0x1p-53 : 0x1p-24) * (double)(64 + count);
    switch (reduction) {
    case TSI_REDUCE_SUM:
        return unit * largest * (double)count;
    case TSI_REDUCE_MEAN:
    case TSI_REDUCE_STD:
        return unit * largest;
    case TSI_REDUCE_VAR:
        return unit * largest * largest;
    default:
        return unit * fabs(wanted);
    }
}

static bool
is_close(enum tsi_reduction reduction, tess_dtype result, const void *got,
         const struct test_value *wanted, int64_t count)
{
    const struct test_value x = test_value_read(result, got);
    char exact[8];
    test_value_write(*wanted, exact);
    if (kernel_case_same(result, got, exact)) {
        return true;
    }
    if (!test_value_is_float(result) || reduction == TSI_REDUCE_MIN ||
        reduction == TSI_REDUCE_MAX) {
        return false;
    }
    return fabs(x.f - wanted->f) <= slack(reduction, result, wanted->f, count);
}

static void
check_results(const struct tsi_kernel_table *table, enum tsi_reduction reduction, tess_dtype dtype,
              const struct planes *planes, int64_t rows, int64_t columns, bool is_down, double ddof,
              const char *how)
{
    const tess_dtype result = tsi_reduction_result_dtype(reduction, dtype);
    const int64_t kept = is_down ? columns : rows;
    const int64_t folded = is_down ? rows : columns;
    uint64_t out[ACCUMULATORS];
    table->reduction[reduction][dtype].finish(kept, out, (const void *const *)planes->plane,
                                              (double)folded, ddof);
    for (int64_t i = 0; i < kept; i++) {
        for (int64_t t = 0; t < folded; t++) {
            const int64_t at = is_down ? t * columns + i : i * columns + t;
            column[t] = test_value_read(dtype, (const char *)elements +
                                                   (size_t)at * tess_dtype_bytes(dtype));
        }
        const struct test_value wanted = test_value_fold(reduction, result, column, folded, ddof);
        const char *got = (const char *)out + (size_t)i * tess_dtype_bytes(result);
        cr_assert(is_close(reduction, result, got, &wanted, folded),
                  "%s %s %s %lldx%lld %s %s: accumulator %lld is %.17g, not %.17g", table->isa,
                  tsi_reduction_name(reduction), tess_dtype_name(dtype), (long long)rows,
                  (long long)columns, is_down ? "down" : "across", how, (long long)i,
                  test_value_read(result, got).f, wanted.f);
    }
}

// In one tile; in two tiles after one another; in two accumulators that are merged. The index of an
// element is its place among those folded into its accumulator.
static void
check_down(const struct tsi_kernel_table *table, enum tsi_reduction reduction, tess_dtype dtype,
           int64_t rows, int64_t columns)
{
    const struct tsi_kernel_reduction *kernel = &table->reduction[reduction][dtype];
    const size_t bytes = tess_dtype_bytes(dtype);
    const int64_t half = rows / 3;
    const char *rest = (const char *)elements + (size_t)(half * columns) * bytes;
    const struct tsi_fold_index all = {0, 1, 0};
    const struct tsi_fold_index after = {half, 1, 0};

    point_planes(&some);
    kernel->start(columns, some.plane);
    kernel->down(rows, columns, elements, some.plane, &all);
    check_results(table, reduction, dtype, &some, rows, columns, true, 0, "whole");

    point_planes(&some);
    kernel->start(columns, some.plane);
    kernel->down(half, columns, elements, some.plane, &all);
    kernel->down(rows - half, columns, rest, some.plane, &after);
    check_results(table, reduction, dtype, &some, rows, columns, true, 1, "in two");

    point_planes(&some);
    point_planes(&others);
    kernel->start(columns, some.plane);
    kernel->start(columns, others.plane);
    kernel->down(half, columns, elements, some.plane, &all);
    kernel->down(rows - half, columns, rest, others.plane, &after);
    kernel->merge(columns, some.plane, (const void *const *)others.plane);
    check_results(table, reduction, dtype, &some, rows, columns, true, 0.5, "merged");
}

static void
check_across(const struct tsi_kernel_table *table, enum tsi_reduction reduction, tess_dtype dtype,
             int64_t rows, int64_t columns)
{
    const struct tsi_kernel_reduction *kernel = &table->reduction[reduction][dtype];
    const size_t bytes = tess_dtype_bytes(dtype);
    const struct tsi_fold_index all = {0, 0, 1};

    point_planes(&some);
    kernel->start(rows, some.plane);
    kernel->across(rows, columns, elements, some.plane, &all);
    check_results(table, reduction, dtype, &some, rows, columns, false, 0, "whole");

    // Every row alone, in three parts, the middle one merged.
    point_planes(&some);
    point_planes(&others);
    kernel->start(rows, some.plane);
    kernel->start(rows, others.plane);
    const int64_t cut[4] = {0, columns / 4, columns - columns / 4, columns};
    for (int64_t i = 0; i < rows; i++) {
        const char *row = (const char *)elements + (size_t)(i * columns) * bytes;
        void *mine[TSI_ACC_PLANES_MAX];
        void *theirs[TSI_ACC_PLANES_MAX];
        shift_planes(&some, reduction, dtype, i, mine);
        shift_planes(&others, reduction, dtype, i, theirs);
        for (int part = 0; part < 3; part++) {
            const struct tsi_fold_index from = {cut[part], 0, 1};
            const int64_t now = cut[part + 1] - cut[part];
            kernel->across(1, now, row + (size_t)cut[part] * bytes, part == 1 ? theirs : mine,
                           &from);
            if (part == 1) {
                kernel->merge(1, mine, (const void *const *)theirs);
            }
        }
    }
    check_results(table, reduction, dtype, &some, rows, columns, false, 1, "in parts");
}

static void
check_reduction(const struct tsi_kernel_table *table, enum tsi_reduction reduction,
                tess_dtype dtype)
{
    static const int64_t sizes[][2] = {{1, 1},  {2, 3},  {3, 70},  {7, 17},   {70, 3},
                                       {33, 5}, {4, 64}, {5, 129}, {1, 5000}, {300, 9}};
    const bool is_product = reduction == TSI_REDUCE_PROD;
    const bool is_ordered = reduction >= TSI_REDUCE_MIN;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        const int64_t rows = sizes[s][0];
        const int64_t columns = sizes[s][1];
        for (int values = KERNEL_VALUES_ANY; values <= KERNEL_VALUES_FINITE; values++) {
            if (test_value_is_float(dtype) && !is_ordered &&
                (values == KERNEL_VALUES_ANY || (is_product && values == KERNEL_VALUES_SMALL))) {
                continue;
            }
            kernel_case_fill((enum kernel_values)values, dtype, COUNT, elements, s * 8 + 1);
            if (rows >= 1 && columns <= ACCUMULATORS) {
                check_down(table, reduction, dtype, rows, columns);
            }
            check_across(table, reduction, dtype, rows, columns);
        }
    }
}

Test(kernel_fold, folds_as_the_oracle_does)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int reduction = 0; reduction < TSI_REDUCE_COUNT; reduction++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                check_reduction(table, (enum tsi_reduction)reduction, (tess_dtype)dtype);
            }
        }
    }
}

// One float64 result of folding x[count] across, or down as one column.
static double
fold_f64(const struct tsi_kernel_table *table, enum tsi_reduction reduction, int64_t count,
         const double *x, bool is_down, double ddof)
{
    const struct tsi_kernel_reduction *kernel = &table->reduction[reduction][TESS_F64];
    const struct tsi_fold_index index = {0, 1, 1};
    double out = 0;
    point_planes(&some);
    kernel->start(1, some.plane);
    (is_down ? kernel->down : kernel->across)(is_down ? count : 1, is_down ? 1 : count, x,
                                              some.plane, &index);
    kernel->finish(1, &out, (const void *const *)some.plane, (double)count, ddof);
    return out;
}

Test(kernel_fold, of_equal_zeros_takes_the_first)
{
    const struct tsi_kernel_table *table;
    double x[100];
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int first = 0; first < 100; first += 7) {
            for (int direction = 0; direction < 2; direction++) {
                for (int i = 0; i < 100; i++) {
                    x[i] = i < first ? 1.0 : i == first ? -0.0 : 0.0;
                }
                cr_assert(signbit(fold_f64(table, TSI_REDUCE_MIN, 100, x, direction, 0)) != 0);
                for (int i = 0; i < 100; i++) {
                    x[i] = i < first ? -1.0 : i == first ? 0.0 : -0.0;
                }
                cr_assert(signbit(fold_f64(table, TSI_REDUCE_MAX, 100, x, direction, 0)) == 0);
            }
        }
    }
}

Test(kernel_fold, one_nan_anywhere_wins)
{
    const struct tsi_kernel_table *table;
    double x[100];
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int place = 0; place < 100; place++) {
            for (int i = 0; i < 100; i++) {
                x[i] = i == place ? NAN : i % 2 == 0 ? -INFINITY : INFINITY;
            }
            for (int direction = 0; direction < 2; direction++) {
                cr_assert(isnan(fold_f64(table, TSI_REDUCE_MIN, 100, x, direction, 0)));
                cr_assert(isnan(fold_f64(table, TSI_REDUCE_MAX, 100, x, direction, 0)));
            }
        }
    }
}

// The place of the extreme of x[count] with indices that start at `first` and go by `step`.
static int64_t
place_of(const struct tsi_kernel_table *table, enum tsi_reduction reduction, int64_t count,
         const double *x, int64_t first, int64_t step, bool is_down)
{
    const struct tsi_kernel_reduction *kernel = &table->reduction[reduction][TESS_F64];
    const struct tsi_fold_index index = {first, step, step};
    int64_t out = -2;
    point_planes(&some);
    kernel->start(1, some.plane);
    (is_down ? kernel->down : kernel->across)(is_down ? count : 1, is_down ? 1 : count, x,
                                              some.plane, &index);
    kernel->finish(1, &out, (const void *const *)some.plane, (double)count, 0);
    return out;
}

Test(kernel_fold, of_equals_the_lowest_index_wins_whatever_the_order)
{
    const double x[6] = {3, 1, 4, 1, 4, 3};
    const double with_nan[6] = {3, 1, NAN, 1, NAN, 3};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int down = 0; down < 2; down++) {
            cr_assert(place_of(table, TSI_REDUCE_ARGMIN, 6, x, 10, 5, down) == 15);
            cr_assert(place_of(table, TSI_REDUCE_ARGMAX, 6, x, 10, 5, down) == 20);
            cr_assert(place_of(table, TSI_REDUCE_ARGMIN, 6, x, 100, -1, down) == 97);
            cr_assert(place_of(table, TSI_REDUCE_ARGMAX, 6, x, 100, -1, down) == 96);
            cr_assert(place_of(table, TSI_REDUCE_ARGMIN, 6, with_nan, 0, 1, down) == 2);
            cr_assert(place_of(table, TSI_REDUCE_ARGMAX, 6, with_nan, 100, -1, down) == 96);
        }
    }
}

Test(kernel_fold, the_worst_values_of_a_type_are_found_too)
{
    const double high[3] = {INFINITY, INFINITY, INFINITY};
    const double low[3] = {-INFINITY, -INFINITY, -INFINITY};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int down = 0; down < 2; down++) {
            cr_assert(place_of(table, TSI_REDUCE_ARGMIN, 3, high, 0, 1, down) == 0);
            cr_assert(place_of(table, TSI_REDUCE_ARGMAX, 3, low, 0, 1, down) == 0);
            cr_assert(fold_f64(table, TSI_REDUCE_MIN, 3, high, down, 0) == (double)INFINITY);
            cr_assert(fold_f64(table, TSI_REDUCE_MAX, 3, low, down, 0) == -(double)INFINITY);
        }
    }
}

Test(kernel_fold, variance_does_not_cancel_and_does_not_overflow)
{
    static double x[2000];
    const struct tsi_kernel_table *table;
    for (int i = 0; i < 2000; i++) {
        x[i] = 1e9 + (i % 2 == 0 ? 1 : -1);
    }
    const double huge[1] = {1e200};
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int down = 0; down < 2; down++) {
            cr_assert(fold_f64(table, TSI_REDUCE_VAR, 2000, x, down, 0) == 1.0);
            cr_assert(fold_f64(table, TSI_REDUCE_STD, 2000, x, down, 0) == 1.0);
            cr_assert(fold_f64(table, TSI_REDUCE_VAR, 1, huge, down, 0) == 0.0);
        }
    }
}

Test(kernel_fold, without_enough_elements_the_quotient_of_ieee_is_the_result)
{
    const double x[2] = {1, 3};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        cr_assert(isnan(fold_f64(table, TSI_REDUCE_MEAN, 0, x, false, 0)));
        cr_assert(isnan(fold_f64(table, TSI_REDUCE_VAR, 0, x, false, -1)));
        cr_assert(isnan(fold_f64(table, TSI_REDUCE_VAR, 1, x, false, 1)));
        cr_assert(isinf(fold_f64(table, TSI_REDUCE_VAR, 2, x, false, 2)) != 0);
        cr_assert(isinf(fold_f64(table, TSI_REDUCE_VAR, 2, x, false, 3)) != 0);
        cr_assert(fold_f64(table, TSI_REDUCE_SUM, 0, x, false, 0) == 0.0);
        cr_assert(fold_f64(table, TSI_REDUCE_PROD, 0, x, false, 0) == 1.0);
    }
}

Test(kernel_fold, sums_of_float32_are_rounded_once)
{
    static float x[4001];
    const struct tsi_kernel_table *table;
    for (int i = 0; i < 4001; i++) {
        x[i] = i == 0 ? 0x1p24F : 1.0F;
    }
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        const struct tsi_kernel_reduction *kernel = &table->reduction[TSI_REDUCE_SUM][TESS_F32];
        const struct tsi_fold_index index = {0, 0, 1};
        float out = 0;
        point_planes(&some);
        kernel->start(1, some.plane);
        kernel->across(1, 4001, x, some.plane, &index);
        kernel->finish(1, &out, (const void *const *)some.plane, 4001, 0);
        cr_assert(out == 0x1p24F + 4000.0F);
    }
}

Test(kernel_fold, integers_wrap_around)
{
    const int64_t x[3] = {INT64_MAX, INT64_MAX, 3};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        const struct tsi_kernel_reduction *kernel = &table->reduction[TSI_REDUCE_SUM][TESS_I64];
        const struct tsi_fold_index index = {0, 1, 1};
        int64_t out = 0;
        point_planes(&some);
        kernel->start(1, some.plane);
        kernel->down(3, 1, x, some.plane, &index);
        kernel->finish(1, &out, (const void *const *)some.plane, 3, 0);
        cr_assert(out == 1);
    }
}
