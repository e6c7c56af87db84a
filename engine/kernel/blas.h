// SPDX-License-Identifier: Apache-2.0
//
// OpenBLAS, loaded when the first product of floats is asked for.

#ifndef TSI_KERNEL_BLAS_H
#define TSI_KERNEL_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"

// c[m][n] = a · b, or c + a · b, of TESS_F32 or TESS_F64, k at least 1, on the calling thread
// alone; the arguments are those of tsi_kernel_matmul(). False, and nothing done, if OpenBLAS
// cannot be loaded or does not take the steps of the matrices. Thread-safe.
bool tsi_blas_multiply(tess_dtype dtype, int64_t m, int64_t n, int64_t k,
                       const struct tsi_kernel_matrix *a, const struct tsi_kernel_matrix *b,
                       bool add, void *c);

#endif
