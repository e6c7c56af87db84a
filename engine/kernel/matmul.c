// SPDX-License-Identifier: Apache-2.0
//
// The matrix product: by OpenBLAS if it takes it, else by the loops of the table.

#include "engine/kernel/blas.h"

// A matrix stored as a single row has no step; it gets the least that OpenBLAS takes.
static void
set_step_of_one_row(struct tsi_kernel_matrix *matrix, int64_t rows, int64_t columns)
{
    const int64_t stored_rows = matrix->transposed ? columns : rows;
    const int64_t stored_columns = matrix->transposed ? rows : columns;
    if (stored_rows == 1) {
        matrix->step = stored_columns;
    }
}

void
tsi_kernel_matmul(tess_dtype dtype, int64_t m, int64_t n, int64_t k, struct tsi_kernel_matrix a,
                  struct tsi_kernel_matrix b, bool add, void *c)
{
    if (m <= 0 || n <= 0) {
        return;
    }
    set_step_of_one_row(&a, m, k);
    set_step_of_one_row(&b, k, n);
    const bool is_float = dtype == TESS_F32 || dtype == TESS_F64;
    if (!is_float || k == 0 || !tsi_blas_multiply(dtype, m, n, k, &a, &b, add, c)) {
        tsi_kernel()->product[dtype](m, n, k, &a, &b, add, c);
    }
}
