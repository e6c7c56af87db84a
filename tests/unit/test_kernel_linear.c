// SPDX-License-Identifier: Apache-2.0
//
// Sums of multiples and squares that are not stored have the bits of those that are: every form of
// the linear folds of every instruction set against `combine`, or a product and a sum, and the fold
// of a sum. Rows have gaps between
// them that nobody may look at, and start where no register is aligned.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "tests/support/kernel_case.h"

#define COUNT 9000

static uint64_t memory[2][COUNT];
static const uint64_t zeros[COUNT];
static uint64_t row[COUNT];
static double folded[2][COUNT];

struct shape {
    int64_t rows;
    int64_t columns;
    int64_t gap; // elements between rows
};

struct form {
    bool two;
    bool is_down;
    double scale[2];
    bool ahead[2];
    bool squares;
};

static const char *
row_at(const struct tsi_kernel_term *term, int64_t i)
{
    return (const char *)term->data + i * term->step;
}

// The squares of a row, or the sum of two rows' squares.
static void
store_squares(const struct tsi_kernel_table *table, tess_dtype dtype, int64_t count, const void *a,
              const void *b)
{
    static uint64_t other[COUNT];
    table->map[TSI_OP_MULTIPLY][dtype](count, row, a, a, NULL);
    if (b != NULL) {
        table->map[TSI_OP_MULTIPLY][dtype](count, other, b, b, NULL);
        table->map[TSI_OP_ADD][dtype](count, row, row, other, NULL);
    }
}

// One row after the other, each combined first and then folded.
static void
fold_stored(const struct tsi_kernel_table *table, tess_dtype dtype, const struct shape *shape,
            const struct form *form, const struct tsi_kernel_term *terms, double *acc)
{
    const struct tsi_kernel_reduction *sum = &table->reduction[TSI_REDUCE_SUM][dtype];
    const struct tsi_fold_index index = {0};
    for (int64_t i = 0; i < shape->rows; i++) {
        const char *a = row_at(&terms[0], i);
        const void *b = form->two ? row_at(&terms[1], i) : (const void *)zeros;
        if (form->squares) {
            store_squares(table, dtype, shape->columns, a, form->two ? b : NULL);
        } else {
            table->combine[dtype](shape->columns, row, a, terms[0].scale, b,
                                  form->two ? terms[1].scale : 1.0);
        }
        void *planes[1] = {form->is_down ? acc : acc + i};
        (form->is_down ? sum->down : sum->across)(1, shape->columns, row, planes, &index);
    }
}

static void
check_form(const struct tsi_kernel_table *table, tess_dtype dtype, const struct shape *shape,
           const struct form *form)
{
    const int64_t bytes = (int64_t)tess_dtype_bytes(dtype);
    const int64_t kept = form->is_down ? shape->columns : shape->rows;
    struct tsi_kernel_term terms[2] = {{0}};
    for (int k = 0; k < (form->two ? 2 : 1); k++) {
        terms[k].data = (const char *)memory[k] + (k + 1) * bytes;
        terms[k].step = (shape->columns + (k == 0 ? shape->gap : 0)) * bytes;
        terms[k].ahead = form->ahead[k] ? INT64_C(1) << 40 : 0;
        terms[k].scale = form->scale[k];
        terms[k].is_square = form->squares;
    }
    for (int64_t i = 0; i < kept; i++) {
        folded[0][i] = folded[1][i] = 0.25 * (double)i;
    }
    fold_stored(table, dtype, shape, form, terms, folded[0]);
    const struct tsi_kernel_linear *linear = &table->linear[dtype];
    (form->is_down ? linear->down : linear->across)(shape->rows, shape->columns, terms, folded[1]);
    for (int64_t i = 0; i < kept; i++) {
        cr_assert(kernel_case_same(TESS_F64, &folded[0][i], &folded[1][i]),
                  "%s %s %lldx%lld %s, %d %s, scales %g %g: accumulator %lld is %.17g, not %.17g",
                  table->isa, tess_dtype_name(dtype), (long long)shape->rows,
                  (long long)shape->columns, form->is_down ? "down" : "across", form->two ? 2 : 1,
                  form->squares ? "squares" : "terms", form->scale[0], form->scale[1], (long long)i,
                  folded[1][i], folded[0][i]);
    }
}

static void
check_shape(const struct tsi_kernel_table *table, tess_dtype dtype, const struct shape *shape)
{
    static const double scales[][2] = {{1, 1}, {1, -1}, {2, 3}, {-0.75, 1}, {1, 1}};
    for (int which = 0; which < 80; which++) {
        const double *scale = scales[which / 16];
        const struct form form = {.two = (which & 1) != 0,
                                  .is_down = (which & 2) != 0,
                                  .scale = {scale[0], scale[1]},
                                  .ahead = {(which & 4) != 0, (which & 8) != 0},
                                  .squares = which >= 64};
        check_form(table, dtype, shape, &form);
    }
}

Test(kernel_linear, folds_have_the_bits_of_a_sum_that_is_stored)
{
    static const struct shape shapes[] = {{0, 20, 0},   {1, 0, 0},    {1, 1, 0},    {3, 7, 2},
                                          {2, 15, 1},   {5, 16, 3},   {4, 17, 0},   {7, 31, 1},
                                          {33, 64, 5},  {70, 40, 60}, {6, 333, 11}, {1, 2048, 0},
                                          {2, 2049, 7}, {1, 4500, 0}};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int type = TESS_F32; type <= TESS_F64; type++) {
            for (int values = KERNEL_VALUES_ANY; values <= KERNEL_VALUES_FINITE; values++) {
                const enum kernel_values kind = (enum kernel_values)values;
                kernel_case_fill(kind, (tess_dtype)type, COUNT, memory[0], 5);
                kernel_case_fill(kind, (tess_dtype)type, COUNT, memory[1], 6);
                for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
                    check_shape(table, (tess_dtype)type, &shapes[s]);
                }
            }
        }
    }
}

Test(kernel_linear, only_floats_have_them)
{
    for (int type = TESS_BOOL; type < TESS_DTYPE_COUNT; type++) {
        const bool is_float = type == TESS_F32 || type == TESS_F64;
        cr_assert_eq(tsi_kernel()->linear[type].across != NULL, is_float);
        cr_assert_eq(tsi_kernel()->linear[type].down != NULL, is_float);
    }
}
