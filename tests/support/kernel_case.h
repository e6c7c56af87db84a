// SPDX-License-Identifier: Apache-2.0
//
// Elements for tests of kernels: the awkward values of each type among random ones.

#ifndef TESS_TEST_KERNEL_CASE_H
#define TESS_TEST_KERNEL_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "tessera/dtype.h"

enum kernel_values {
    KERNEL_VALUES_ANY,    // all bits, with many of the values where something happens
    KERNEL_VALUES_SMALL,  // whole numbers from −3 (unsigned: 0) to 4, for products and ties
    KERNEL_VALUES_FINITE, // floats of magnitude about 1; integers as ANY
};

// Fills `count` elements; the same seed gives the same.
void kernel_case_fill(enum kernel_values values, tess_dtype dtype, int64_t count, void *out,
                      uint64_t seed);

// Whether two elements have the same bits, or are both NaN.
bool kernel_case_same(tess_dtype dtype, const void *x, const void *y);

// The distance of `x` from `exact` in units of the last place of `exact` in `dtype`, TESS_F32 or
// TESS_F64; 0 for two NaNs, two equal infinities, and an infinity where `exact` is out of range.
double kernel_case_ulps(tess_dtype dtype, double x, long double exact);

#endif
