// SPDX-License-Identifier: Apache-2.0
//
// Linear algebra.

#ifndef TESSERA_LINALG_H
#define TESSERA_LINALG_H

#include "tessera/array.h"

TESS_BEGIN

// The matrix product of `x` and `y` over the last axis of `x` and the last but one of `y`, as
// NumPy's matmul: leading axes are broadcast, and an operand of one axis is taken as a row (`x`) or
// a column (`y`) whose extra axis is dropped from the result. float32 and float64 are multiplied by
// OpenBLAS, integers (wrapping) and bool ("and", "or") by loops of our own. Where the inner axis
// has several chunks, their products are added in chunk order: up to four chunks by one task, which
// has to have them in memory together (256 MiB of them at most, unless two chunks are more).
// OpenBLAS is loaded by the first product of floats and told to use one thread, unless
// OPENBLAS_NUM_THREADS says otherwise.
//
// Fails with TESS_ESHAPE if the inner sizes differ, the leading axes do not broadcast, or an
// operand has no axes, and with TESS_EOVERFLOW if the result is too large.
TESS_API tess_array *tess_matmul(tess_array *x, tess_array *y);

TESS_END

#define tess_matmul(...) TESS_SITED_ARRAY((tess_matmul)(__VA_ARGS__))

#endif
