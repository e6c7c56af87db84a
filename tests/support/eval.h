// SPDX-License-Identifier: Apache-2.0
//
// The oracle of the tests: what an expression is, straight from its nodes.

#ifndef TESS_TEST_EVAL_H
#define TESS_TEST_EVAL_H

#include <stdbool.h>

#include "tessera/array.h"

// Writes the elements of `x` to `out`, tess_array_bytes(x) bytes in C order. False if `x` is
// failed, memory is out or a file of it cannot be read.
//
// It knows nothing of chunks, plans, tasks and kernels: one element after another is computed in
// the plainest way, from dense copies of the operands. Only the random sources ask the kernel, one
// element at a time. Where a computation rounds otherwise, results differ in the last digits: sums,
// means, variances and products of floats are accumulated in long double here, and exp, log, sin,
// cos and power are those of the C library in double. All other elements have the same bits.
bool test_eval(struct tess_array *x, void *out);

#endif
