// SPDX-License-Identifier: Apache-2.0
//
// What the tables of operations say about element types.

#include "engine/base/op.h"

#include "engine/base/check.h"
#include "engine/base/dtype.h"

static const struct tsi_op_row op_rows[TSI_OP_COUNT] = {
#define TSI_OP(NAME, name, arity, compute, result, flops)                                          \
    {#name, arity, TSI_COMPUTE_##compute, TSI_RESULT_##result, flops},
#include "engine/base/ops.def"
#undef TSI_OP
};

const struct tsi_op_row *
tsi_op_row(enum tsi_op op)
{
    TSI_CHECK((int)op >= 0 && op < TSI_OP_COUNT);
    return &op_rows[op];
}

static tess_dtype
float_compute_dtype(tess_dtype met)
{
    return met == TESS_F32 ? TESS_F32 : TESS_F64;
}

tess_dtype
tsi_op_compute_dtype(enum tsi_op op, tess_dtype met)
{
    if (!tsi_dtype_is_valid((int)met)) {
        return TESS_NONE;
    }
    switch (tsi_op_row(op)->compute) {
    case TSI_COMPUTE_NUMBER_NOT_BOOL:
        return met == TESS_BOOL ? TESS_NONE : met;
    case TSI_COMPUTE_NUMBER_INT8:
        return met == TESS_BOOL ? TESS_I8 : met;
    case TSI_COMPUTE_FLOAT:
        return float_compute_dtype(met);
    case TSI_COMPUTE_NUMBER:
    case TSI_COMPUTE_WHERE:
        break;
    }
    return met;
}

tess_dtype
tsi_op_result_dtype(enum tsi_op op, tess_dtype compute)
{
    if (!tsi_dtype_is_valid((int)compute)) {
        return TESS_NONE;
    }
    return tsi_op_row(op)->result == TSI_RESULT_BOOL ? TESS_BOOL : compute;
}

static const char *const reduction_names[TSI_REDUCE_COUNT] = {
    [TSI_REDUCE_SUM] = "sum",       [TSI_REDUCE_PROD] = "prod",     [TSI_REDUCE_MEAN] = "mean",
    [TSI_REDUCE_VAR] = "var",       [TSI_REDUCE_STD] = "std",       [TSI_REDUCE_MIN] = "min",
    [TSI_REDUCE_MAX] = "max",       [TSI_REDUCE_ANY] = "any",       [TSI_REDUCE_ALL] = "all",
    [TSI_REDUCE_ARGMIN] = "argmin", [TSI_REDUCE_ARGMAX] = "argmax",
};

const char *
tsi_reduction_name(enum tsi_reduction reduction)
{
    TSI_CHECK((int)reduction >= 0 && reduction < TSI_REDUCE_COUNT);
    return reduction_names[reduction];
}

static tess_dtype
sum_result_dtype(tess_dtype dtype)
{
    switch (tsi_dtype_kind(dtype)) {
    case TSI_KIND_FLOAT:
        return dtype;
    case TSI_KIND_UNSIGNED:
        return TESS_U64;
    default:
        return TESS_I64;
    }
}

tess_dtype
tsi_reduction_result_dtype(enum tsi_reduction reduction, tess_dtype dtype)
{
    if (!tsi_dtype_is_valid((int)dtype)) {
        return TESS_NONE;
    }
    switch (reduction) {
    case TSI_REDUCE_SUM:
    case TSI_REDUCE_PROD:
        return sum_result_dtype(dtype);
    case TSI_REDUCE_MEAN:
    case TSI_REDUCE_VAR:
    case TSI_REDUCE_STD:
        return float_compute_dtype(dtype);
    case TSI_REDUCE_MIN:
    case TSI_REDUCE_MAX:
        return dtype;
    case TSI_REDUCE_ANY:
    case TSI_REDUCE_ALL:
        return TESS_BOOL;
    case TSI_REDUCE_ARGMIN:
    case TSI_REDUCE_ARGMAX:
        return TESS_I64;
    case TSI_REDUCE_COUNT:
        break;
    }
    return TESS_NONE;
}

bool
tsi_reduction_allows_empty(enum tsi_reduction reduction)
{
    switch (reduction) {
    case TSI_REDUCE_MIN:
    case TSI_REDUCE_MAX:
    case TSI_REDUCE_ARGMIN:
    case TSI_REDUCE_ARGMAX:
        return false;
    default:
        return true;
    }
}
