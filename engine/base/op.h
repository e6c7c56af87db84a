// SPDX-License-Identifier: Apache-2.0
//
// The tables of operations that the graph, the planner, the kernels and the wire agree on.

#ifndef TSI_BASE_OP_H
#define TSI_BASE_OP_H

#include <stdbool.h>

#include "tessera/dtype.h"

enum tsi_op {
#define TSI_OP(NAME, name, arity, compute, result, flops) TSI_OP_##NAME,
#include "engine/base/ops.def"
#undef TSI_OP
    TSI_OP_COUNT
};

enum tsi_op_compute {
    TSI_COMPUTE_NUMBER,
    TSI_COMPUTE_NUMBER_NOT_BOOL,
    TSI_COMPUTE_NUMBER_INT8,
    TSI_COMPUTE_FLOAT,
    TSI_COMPUTE_WHERE,
};

enum tsi_op_result { TSI_RESULT_SAME, TSI_RESULT_BOOL };

struct tsi_op_row {
    const char *name;
    int arity;
    enum tsi_op_compute compute;
    enum tsi_op_result result;
    int flops;
};

// The row of `op`, which must be below TSI_OP_COUNT.
const struct tsi_op_row *tsi_op_row(enum tsi_op op);

// The type in which `op` computes operands that meet in `met`; TESS_NONE if `op` refuses it.
tess_dtype tsi_op_compute_dtype(enum tsi_op op, tess_dtype met);

// The type of the result of `op` computed in `compute`.
tess_dtype tsi_op_result_dtype(enum tsi_op op, tess_dtype compute);

// Reductions. Numbers travel between processes: append, never move.
enum tsi_reduction {
    TSI_REDUCE_SUM,
    TSI_REDUCE_PROD,
    TSI_REDUCE_MEAN,
    TSI_REDUCE_VAR,
    TSI_REDUCE_STD,
    TSI_REDUCE_MIN,
    TSI_REDUCE_MAX,
    TSI_REDUCE_ANY,
    TSI_REDUCE_ALL,
    TSI_REDUCE_ARGMIN,
    TSI_REDUCE_ARGMAX,
    TSI_REDUCE_COUNT
};

const char *tsi_reduction_name(enum tsi_reduction reduction);

// The type of the result of folding elements of type `dtype`.
tess_dtype tsi_reduction_result_dtype(enum tsi_reduction reduction, tess_dtype dtype);

// Whether folding nothing has a value.
bool tsi_reduction_allows_empty(enum tsi_reduction reduction);

#endif
