// SPDX-License-Identifier: Apache-2.0
//
// Accumulators: what a reduction keeps per remaining index between its first element and its
// result.
//
// The accumulators of one chunk are up to three planes, each an array of one number per index:
//
//   SUM, PROD        int64, uint64 or float64, after the kind of the element
//   MEAN             float64: the sum
//   VAR, STD         uint64 count, float64 mean, float64 sum of squared distances
//   MIN, MAX         the element type; uint8 that is 1 once there is a value
//   ANY, ALL         uint8
//   ARGMIN, ARGMAX   the element type; int64 index, −1 while there is no value
//
// Planes lie one behind the other in a chunk's buffer, each on a boundary of 64 bytes.

#ifndef TSI_BASE_ACC_H
#define TSI_BASE_ACC_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/op.h"

#define TSI_ACC_PLANES_MAX 3

struct tsi_acc_layout {
    int planes;
    tess_dtype dtype[TSI_ACC_PLANES_MAX];
};

// The planes for folding elements of type `dtype`.
struct tsi_acc_layout tsi_acc_layout(enum tsi_reduction reduction, tess_dtype dtype);

// Where plane `plane` of `count` accumulators starts, in bytes; with `plane` = planes, the size of
// all.
size_t tsi_acc_offset(const struct tsi_acc_layout *layout, int plane, int64_t count);

#endif
