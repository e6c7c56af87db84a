// SPDX-License-Identifier: Apache-2.0
//
// The layout of accumulators, one place for the planner, which counts their bytes, and the kernels,
// which fill them.

#include "engine/base/acc.h"

#include "engine/base/buf.h"
#include "engine/base/dtype.h"

static tess_dtype
sum_dtype(tess_dtype dtype)
{
    switch (tsi_dtype_kind(dtype)) {
    case TSI_KIND_FLOAT:
        return TESS_F64;
    case TSI_KIND_UNSIGNED:
        return TESS_U64;
    default:
        return TESS_I64;
    }
}

struct tsi_acc_layout
tsi_acc_layout(enum tsi_reduction reduction, tess_dtype dtype)
{
    switch (reduction) {
    case TSI_REDUCE_SUM:
    case TSI_REDUCE_PROD:
        return (struct tsi_acc_layout){1, {sum_dtype(dtype)}};
    case TSI_REDUCE_MEAN:
        return (struct tsi_acc_layout){1, {TESS_F64}};
    case TSI_REDUCE_VAR:
    case TSI_REDUCE_STD:
        return (struct tsi_acc_layout){3, {TESS_U64, TESS_F64, TESS_F64}};
    case TSI_REDUCE_MIN:
    case TSI_REDUCE_MAX:
        return (struct tsi_acc_layout){2, {dtype, TESS_U8}};
    case TSI_REDUCE_ARGMIN:
    case TSI_REDUCE_ARGMAX:
        return (struct tsi_acc_layout){2, {dtype, TESS_I64}};
    default:
        return (struct tsi_acc_layout){1, {TESS_U8}};
    }
}

size_t
tsi_acc_offset(const struct tsi_acc_layout *layout, int plane, int64_t count)
{
    size_t offset = 0;
    for (int i = 0; i < plane; i++) {
        const size_t bytes = (size_t)count * tess_dtype_bytes(layout->dtype[i]);
        offset += (bytes + TSI_BUF_ALIGN - 1) / TSI_BUF_ALIGN * TSI_BUF_ALIGN;
    }
    return offset;
}
