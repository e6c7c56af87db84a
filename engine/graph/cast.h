// SPDX-License-Identifier: Apache-2.0
//
// Conversions of nodes, and the dtype in which operands meet (tessera/dtype.h states the rules).

#ifndef TSI_GRAPH_CAST_H
#define TSI_GRAPH_CAST_H

#include <stdbool.h>

#include "engine/graph/node.h"

// `x` in `dtype`, not weak: `x` itself where nothing changes, a CONST for a CONST, else a CAST.
struct tess_array *tsi_cast_to(struct tess_array *x, tess_dtype dtype);

// `x`, not weak.
struct tess_array *tsi_cast_strong(struct tess_array *x);

// The dtype in which `count` sound operands meet.
tess_dtype tsi_cast_meet(struct tess_array *const *operands, int count);

// Whether `x` may become `dtype` without being asked: false only for a weak integer that an integer
// type `dtype` does not hold; then `*value` is the integer.
bool tsi_cast_holds(const struct tess_array *x, tess_dtype dtype, int64_t *value);

#endif
