// SPDX-License-Identifier: Apache-2.0
//
// Copies boxes of elements between memory of any two strides.

#ifndef TSI_EXEC_BOX_H
#define TSI_EXEC_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "tessera/geometry.h"

// Copies size[0] × … × size[ndim − 1] elements of `bytes` (1, 2, 4, 8) each. Strides are in bytes,
// of any sign, and 0 to repeat an element of `in`. `out` is aligned to its elements, and `in` may
// be unaligned. The two do not overlap.
void tsi_box_copy(int ndim, const int64_t *size, size_t bytes, void *out, const int64_t *out_stride,
                  const void *in, const int64_t *in_stride);

// The same, for what nobody is going to read soon: past the caches where it can be.
void tsi_box_copy_past(int ndim, const int64_t *size, size_t bytes, void *out,
                       const int64_t *out_stride, const void *in, const int64_t *in_stride);

// The strides in bytes of a box in C order.
void tsi_box_strides(int ndim, const int64_t *size, size_t bytes, int64_t *stride);

#endif
