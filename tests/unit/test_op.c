// SPDX-License-Identifier: Apache-2.0
//
// What operations and reductions do to element types, against tables written by hand.

#include "engine/base/op.h"

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/dtype.h"

// Every operation by its name, arity, and the compute type of bool, int32, uint64, float32.
static const struct {
    enum tsi_op op;
    const char *name;
    int arity;
    tess_dtype of_bool;
    tess_dtype of_i32;
    tess_dtype of_u64;
    tess_dtype of_f32;
    bool gives_bool;
} ops[] = {
    {TSI_OP_ADD, "add", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_SUBTRACT, "subtract", 2, TESS_NONE, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_MULTIPLY, "multiply", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_DIVIDE, "divide", 2, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_POWER, "power", 2, TESS_I8, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_MINIMUM, "minimum", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_MAXIMUM, "maximum", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_NEGATIVE, "negative", 1, TESS_NONE, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_ABS, "abs", 1, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
    {TSI_OP_SQRT, "sqrt", 1, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_EXP, "exp", 1, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_LOG, "log", 1, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_SIN, "sin", 1, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_COS, "cos", 1, TESS_F64, TESS_F64, TESS_F64, TESS_F32, false},
    {TSI_OP_EQUAL, "equal", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_NOT_EQUAL, "not_equal", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_LESS, "less", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_LESS_EQUAL, "less_equal", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_GREATER, "greater", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_GREATER_EQUAL, "greater_equal", 2, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, true},
    {TSI_OP_WHERE, "where", 3, TESS_BOOL, TESS_I32, TESS_U64, TESS_F32, false},
};

Test(op, every_operation_is_in_the_table_here)
{
    cr_assert_eq(sizeof ops / sizeof ops[0], TSI_OP_COUNT);
    for (size_t i = 0; i < TSI_OP_COUNT; i++) {
        cr_assert_eq((size_t)ops[i].op, i, "%s", ops[i].name);
    }
}

Test(op, computes_in_the_type_its_row_says)
{
    for (size_t i = 0; i < TSI_OP_COUNT; i++) {
        const struct tsi_op_row *row = tsi_op_row(ops[i].op);
        cr_assert_str_eq(row->name, ops[i].name);
        cr_assert_eq(row->arity, ops[i].arity, "%s", row->name);
        cr_assert(row->flops > 0, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_BOOL), ops[i].of_bool, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_I32), ops[i].of_i32, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_U64), ops[i].of_u64, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_F32), ops[i].of_f32, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_F64), TESS_F64, "%s", row->name);
        cr_assert_eq(tsi_op_compute_dtype(ops[i].op, TESS_NONE), TESS_NONE, "%s", row->name);
    }
}

Test(op, results_are_of_the_compute_type_or_bool)
{
    for (size_t i = 0; i < TSI_OP_COUNT; i++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            const tess_dtype expected = ops[i].gives_bool ? TESS_BOOL : (tess_dtype)dtype;
            cr_assert_eq(tsi_op_result_dtype(ops[i].op, (tess_dtype)dtype), expected, "%s",
                         ops[i].name);
        }
        cr_assert_eq(tsi_op_result_dtype(ops[i].op, TESS_NONE), TESS_NONE);
    }
}

// The result types of a reduction of bool, int8, int64, uint8, uint64, float32, float64.
enum { SAMPLES = 7 };
static const tess_dtype samples[SAMPLES] = {TESS_BOOL, TESS_I8,  TESS_I64, TESS_U8,
                                            TESS_U64,  TESS_F32, TESS_F64};
#define SUMS                                                                                       \
    {                                                                                              \
        TESS_I64, TESS_I64, TESS_I64, TESS_U64, TESS_U64, TESS_F32, TESS_F64                       \
    }
#define MEANS                                                                                      \
    {                                                                                              \
        TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F64, TESS_F32, TESS_F64                       \
    }
#define SAME                                                                                       \
    {                                                                                              \
        TESS_BOOL, TESS_I8, TESS_I64, TESS_U8, TESS_U64, TESS_F32, TESS_F64                        \
    }
#define BOOLS                                                                                      \
    {                                                                                              \
        TESS_BOOL, TESS_BOOL, TESS_BOOL, TESS_BOOL, TESS_BOOL, TESS_BOOL, TESS_BOOL                \
    }
#define INDICES                                                                                    \
    {                                                                                              \
        TESS_I64, TESS_I64, TESS_I64, TESS_I64, TESS_I64, TESS_I64, TESS_I64                       \
    }
static const struct {
    enum tsi_reduction reduction;
    const char *name;
    bool allows_empty;
    tess_dtype result[SAMPLES];
} reductions[] = {
    {TSI_REDUCE_SUM, "sum", true, SUMS},           {TSI_REDUCE_PROD, "prod", true, SUMS},
    {TSI_REDUCE_MEAN, "mean", true, MEANS},        {TSI_REDUCE_VAR, "var", true, MEANS},
    {TSI_REDUCE_STD, "std", true, MEANS},          {TSI_REDUCE_MIN, "min", false, SAME},
    {TSI_REDUCE_MAX, "max", false, SAME},          {TSI_REDUCE_ANY, "any", true, BOOLS},
    {TSI_REDUCE_ALL, "all", true, BOOLS},          {TSI_REDUCE_ARGMIN, "argmin", false, INDICES},
    {TSI_REDUCE_ARGMAX, "argmax", false, INDICES},
};

Test(op, every_reduction_is_in_the_table_here)
{
    cr_assert_eq(sizeof reductions / sizeof reductions[0], TSI_REDUCE_COUNT);
    for (size_t i = 0; i < TSI_REDUCE_COUNT; i++) {
        cr_assert_eq((size_t)reductions[i].reduction, i, "%s", reductions[i].name);
    }
}

Test(op, reductions_give_the_types_of_their_rows)
{
    for (size_t i = 0; i < TSI_REDUCE_COUNT; i++) {
        const enum tsi_reduction reduction = reductions[i].reduction;
        cr_assert_str_eq(tsi_reduction_name(reduction), reductions[i].name);
        cr_assert_eq(tsi_reduction_allows_empty(reduction), reductions[i].allows_empty, "%s",
                     reductions[i].name);
        for (size_t j = 0; j < SAMPLES; j++) {
            const tess_dtype result = tsi_reduction_result_dtype(reduction, samples[j]);
            cr_assert_eq(result, reductions[i].result[j], "%s of %s is %s", reductions[i].name,
                         tess_dtype_name(samples[j]), tess_dtype_name(result));
        }
        cr_assert_eq(tsi_reduction_result_dtype(reduction, TESS_NONE), TESS_NONE);
    }
}
