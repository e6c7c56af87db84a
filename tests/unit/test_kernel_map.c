// SPDX-License-Identifier: Apache-2.0
//
// Every element-wise kernel of every instruction set against the oracle, one element at a time,
// over the awkward values of its type. Only the mathematical functions may be off, by what they
// promise.

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/base/op.h"
#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"
#include "tests/support/kernel_case.h"

#define COUNT 3000

static uint64_t memory[4][COUNT];

static bool
is_mathematical(enum tsi_op op)
{
    return op == TSI_OP_EXP || op == TSI_OP_LOG || op == TSI_OP_SIN || op == TSI_OP_COS;
}

static tess_dtype
operand_dtype(enum tsi_op op, tess_dtype dtype, int operand)
{
    return op == TSI_OP_WHERE && operand == 0 ? TESS_BOOL : dtype;
}

static bool
is_right(enum tsi_op op, tess_dtype dtype, tess_dtype result, int64_t i)
{
    struct test_value x[3] = {{0}};
    for (int k = 0; k < tsi_op_row(op)->arity; k++) {
        const tess_dtype of = operand_dtype(op, dtype, k);
        x[k] = test_value_read(of, (const char *)memory[k] + (size_t)i * tess_dtype_bytes(of));
    }
    const char *got = (const char *)memory[3] + (size_t)i * tess_dtype_bytes(result);
    if (is_mathematical(op) || (op == TSI_OP_POWER && test_value_is_float(dtype))) {
        const long double a = x[0].f;
        const long double b = x[1].f;
        const long double exact = op == TSI_OP_EXP   ? expl(a)
                                  : op == TSI_OP_LOG ? logl(a)
                                  : op == TSI_OP_SIN ? sinl(a)
                                  : op == TSI_OP_COS ? cosl(a)
                                                     : powl(a, b);
        const double allowed = op == TSI_OP_POWER && dtype == TESS_F32 ? 1.7 : 1.0;
        return kernel_case_ulps(result, test_value_read(result, got).f, exact) <= allowed;
    }
    char wanted[8];
    test_value_write(test_value_map(op, x), wanted);
    return kernel_case_same(result, got, wanted);
}

static void
check_map(const struct tsi_kernel_table *table, enum tsi_op op, tess_dtype dtype,
          enum kernel_values values)
{
    const tess_dtype result = tsi_op_result_dtype(op, dtype);
    for (int k = 0; k < 3; k++) {
        kernel_case_fill(values, operand_dtype(op, dtype, k), COUNT, memory[k], (uint64_t)k + 11);
    }
    const int arity = tsi_op_row(op)->arity;
    table->map[op][dtype](COUNT, memory[3], memory[0], arity > 1 ? memory[1] : NULL,
                          arity > 2 ? memory[2] : NULL);
    for (int64_t i = 0; i < COUNT; i++) {
        cr_assert(is_right(op, dtype, result, i), "%s %s %s: element %lld of values %d", table->isa,
                  tsi_op_row(op)->name, tess_dtype_name(dtype), (long long)i, (int)values);
    }
}

// Whether some operands compute in `dtype`.
static bool
is_defined(enum tsi_op op, tess_dtype dtype)
{
    for (int met = TESS_BOOL; met < TESS_DTYPE_COUNT; met++) {
        if (tsi_op_compute_dtype(op, (tess_dtype)met) == dtype) {
            return true;
        }
    }
    return false;
}

Test(kernel_map, every_operation_is_there_for_the_types_it_computes_in)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int op = 0; op < TSI_OP_COUNT; op++) {
            for (int dtype = TESS_NONE; dtype < TESS_DTYPE_COUNT; dtype++) {
                const bool wanted =
                    dtype != TESS_NONE && is_defined((enum tsi_op)op, (tess_dtype)dtype);
                cr_assert((table->map[op][dtype] != NULL) == wanted, "%s %s %s", table->isa,
                          tsi_op_row((enum tsi_op)op)->name, tess_dtype_name((tess_dtype)dtype));
            }
        }
    }
}

Test(kernel_map, computes_what_the_oracle_computes)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int op = 0; op < TSI_OP_COUNT; op++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                if (table->map[op][dtype] != NULL) {
                    check_map(table, (enum tsi_op)op, (tess_dtype)dtype, KERNEL_VALUES_ANY);
                    check_map(table, (enum tsi_op)op, (tess_dtype)dtype, KERNEL_VALUES_SMALL);
                }
            }
        }
    }
}

Test(kernel_map, may_write_over_an_operand_of_the_same_size)
{
    const struct tsi_kernel_table *table;
    static double x[COUNT];
    static double y[COUNT];
    static double wanted[COUNT];
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int op = 0; op < TSI_OP_COUNT; op++) {
            if (table->map[op][TESS_F64] == NULL || op == TSI_OP_WHERE ||
                tsi_op_row((enum tsi_op)op)->result != TSI_RESULT_SAME) {
                continue;
            }
            kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, COUNT, x, 1);
            kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, COUNT, y, 2);
            table->map[op][TESS_F64](COUNT, wanted, x, y, NULL);
            table->map[op][TESS_F64](COUNT, y, x, y, NULL);
            for (int i = 0; i < COUNT; i++) {
                cr_assert(kernel_case_same(TESS_F64, &y[i], &wanted[i]), "%s %s second", table->isa,
                          tsi_op_row((enum tsi_op)op)->name);
            }
            kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, COUNT, y, 2);
            table->map[op][TESS_F64](COUNT, x, x, y, NULL);
            for (int i = 0; i < COUNT; i++) {
                cr_assert(kernel_case_same(TESS_F64, &x[i], &wanted[i]), "%s %s first", table->isa,
                          tsi_op_row((enum tsi_op)op)->name);
            }
        }
    }
}

Test(kernel_map, takes_any_byte_but_zero_as_true)
{
    const uint8_t x[4] = {0, 2, 255, 0};
    const uint8_t y[4] = {4, 0, 1, 0};
    const uint8_t disjunction[4] = {1, 1, 1, 0};
    const uint8_t conjunction[4] = {0, 0, 1, 0};
    const uint8_t equality[4] = {0, 0, 1, 1};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        uint8_t out[4];
        table->map[TSI_OP_ADD][TESS_BOOL](4, out, x, y, NULL);
        cr_assert(memcmp(out, disjunction, 4) == 0);
        table->map[TSI_OP_MULTIPLY][TESS_BOOL](4, out, x, y, NULL);
        cr_assert(memcmp(out, conjunction, 4) == 0);
        table->map[TSI_OP_EQUAL][TESS_BOOL](4, out, x, y, NULL);
        cr_assert(memcmp(out, equality, 4) == 0);
    }
}

// Dense arguments: the bound of 1 ulp is what the public header promises.
static void
check_function(enum tsi_op op, tess_dtype dtype, double low, double high)
{
    static double x[COUNT];
    static double y[COUNT];
    static float narrow[COUNT];
    const struct tsi_kernel_table *table = tsi_kernel();
    double worst = 0;
    for (int part = 0; part < 40; part++) {
        for (int i = 0; i < COUNT; i++) {
            x[i] = low + (high - low) * ((double)(part * COUNT + i) / (40.0 * COUNT));
        }
        if (dtype == TESS_F32) {
            table->cast[TESS_F64][TESS_F32](COUNT, narrow, x);
            table->cast[TESS_F32][TESS_F64](COUNT, x, narrow);
            table->map[op][TESS_F32](COUNT, narrow, narrow, NULL, NULL);
            table->cast[TESS_F32][TESS_F64](COUNT, y, narrow);
        } else {
            table->map[op][TESS_F64](COUNT, y, x, NULL, NULL);
        }
        for (int i = 0; i < COUNT; i++) {
            const long double exact = op == TSI_OP_EXP   ? expl(x[i])
                                      : op == TSI_OP_LOG ? logl(x[i])
                                      : op == TSI_OP_SIN ? sinl(x[i])
                                                         : cosl(x[i]);
            worst = fmax(worst, kernel_case_ulps(dtype, y[i], exact));
        }
    }
    cr_assert(worst <= 1.0, "%s of %s from %g to %g: %g ulp", tsi_op_row(op)->name,
              tess_dtype_name(dtype), low, high, worst);
}

Test(kernel_map, mathematical_functions_are_within_one_ulp)
{
    for (int dtype = TESS_F32; dtype <= TESS_F64; dtype++) {
        check_function(TSI_OP_EXP, (tess_dtype)dtype, -104, -86);
        check_function(TSI_OP_EXP, (tess_dtype)dtype, -2, 2);
        check_function(TSI_OP_EXP, (tess_dtype)dtype, -746, 710);
        check_function(TSI_OP_LOG, (tess_dtype)dtype, 0, 4);
        check_function(TSI_OP_LOG, (tess_dtype)dtype, 0, 1e-300);
        check_function(TSI_OP_LOG, (tess_dtype)dtype, 0.999, 1.001);
        check_function(TSI_OP_SIN, (tess_dtype)dtype, -7, 7);
        check_function(TSI_OP_SIN, (tess_dtype)dtype, -1e6, 1e9);
        check_function(TSI_OP_SIN, (tess_dtype)dtype, 1e18, 9e18);
        check_function(TSI_OP_COS, (tess_dtype)dtype, -7, 7);
        check_function(TSI_OP_COS, (tess_dtype)dtype, -1e6, 1e9);
        check_function(TSI_OP_COS, (tess_dtype)dtype, 1e18, 9e18);
    }
}

Test(kernel_map, an_empty_run_touches_nothing)
{
    const struct tsi_kernel_table *table = tsi_kernel();
    for (int op = 0; op < TSI_OP_COUNT; op++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            if (table->map[op][dtype] != NULL) {
                table->map[op][dtype](0, NULL, NULL, NULL, NULL);
            }
        }
    }
}
