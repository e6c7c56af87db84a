// SPDX-License-Identifier: Apache-2.0
//
// Sums and products that stay at the greatest number where they would not fit: for bytes, counts
// and times of which too many are as bad as any number of them.

#ifndef TSI_BASE_SATURATE_H
#define TSI_BASE_SATURATE_H

#include <stdint.h>

static inline uint64_t
tsi_saturate_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t
tsi_saturate_multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

// A negative number, which nothing that is counted has, is too many.
static inline int64_t
tsi_saturate_multiply_i64(int64_t a, int64_t b)
{
    int64_t product;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

#endif
