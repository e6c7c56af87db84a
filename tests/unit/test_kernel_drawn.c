// SPDX-License-Identifier: Apache-2.0
//
// Sums down random numbers that are not stored have the bits of those that are: every instruction
// set against the source and additions one by one, over rows that begin at even and odd indices,
// where the upper half of the counter changes, in both directions, and for numbers of rows and
// columns that fill no group.

#include <criterion/criterion.h>

#include "engine/kernel/kernel.h"
#include "tests/support/kernel_case.h"

#define COLUMNS TSI_KERNEL_DRAWN_COLUMNS
#define GUARD 16

static double row[COLUMNS];
static double expected[COLUMNS + GUARD];
static double got[COLUMNS + GUARD];

struct shape {
    int64_t rows;
    int64_t columns;
    int64_t first;
    int64_t row_step;
};

static void
check_shape(const struct tsi_kernel_table *table, enum tsi_source source, const struct shape *shape)
{
    const struct tsi_source_params params = {
        .a = -0.25, .b = 3.0, .seed = 0x123456789ABCDEF0, .stream = 7};
    for (int64_t j = 0; j < COLUMNS + GUARD; j++) {
        expected[j] = got[j] = 0.125 * (double)j - 3.0;
    }
    for (int64_t i = 0; i < shape->rows; i++) {
        const struct tsi_kernel_index from = {shape->first + i * shape->row_step, 1};
        tsi_kernel_of(0)->source[source][TESS_F64](shape->columns, row, from, &params);
        for (int64_t j = 0; j < shape->columns; j++) {
            expected[j] = expected[j] + row[j];
        }
    }
    table->drawn[source](shape->rows, shape->columns, shape->first, shape->row_step, &params, got);
    for (int64_t j = 0; j < COLUMNS + GUARD; j++) {
        cr_assert(kernel_case_same(TESS_F64, &expected[j], &got[j]),
                  "%s, source %d, %lld x %lld from %lld by %lld: sum %lld is %.17g, not %.17g",
                  table->isa, (int)source, (long long)shape->rows, (long long)shape->columns,
                  (long long)shape->first, (long long)shape->row_step, (long long)j, got[j],
                  expected[j]);
    }
}

static void
check_shapes(int64_t first, int64_t row_step)
{
    // Parts of a group of registers, whole ones of every instruction set, and several with a rest.
    static const int64_t rows[] = {0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 15, 24, 26, 37};
    static const int64_t columns[] = {0, 1, 2, 3, 15, 16, 17, 31, 64, 1000, 1023, COLUMNS};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                const struct shape shape = {rows[r], columns[c], first, row_step};
                check_shape(table, TSI_SOURCE_NORMAL, &shape);
                check_shape(table, TSI_SOURCE_UNIFORM, &shape);
            }
        }
    }
}

Test(kernel_drawn, rows_that_begin_at_even_indices)
{
    check_shapes(0, 10000);
    check_shapes(INT64_C(123456789012), 2);
}

Test(kernel_drawn, rows_that_begin_at_odd_indices)
{
    check_shapes(12345, 1000);
}

Test(kernel_drawn, rows_that_begin_at_both_in_turn)
{
    check_shapes(12345, 1001);
    check_shapes(2, 333);
}

Test(kernel_drawn, rows_one_before_the_other)
{
    check_shapes(INT64_C(1) << 20, -2000);
    check_shapes((INT64_C(1) << 20) + 1, -2001);
    check_shapes(77, 0);
}

Test(kernel_drawn, rows_about_a_change_of_the_upper_half)
{
    const int64_t change = INT64_C(1) << 33;
    static const int64_t before[] = {0, 1, 2, 16, 17, 64, 1000, 4000, 8000};
    for (size_t k = 0; k < sizeof before / sizeof *before; k++) {
        check_shapes(change - before[k], 1024);
        check_shapes(change * 3 - before[k], -1024);
    }
    check_shapes(100, change);
}

Test(kernel_drawn, only_normals_and_uniforms_have_them)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int source = 0; source < TSI_SOURCE_COUNT; source++) {
            const bool has = source == TSI_SOURCE_NORMAL || source == TSI_SOURCE_UNIFORM;
            cr_assert((table->drawn[source] != NULL) == has);
        }
    }
}
