// SPDX-License-Identifier: Apache-2.0
//
// The matrix product, and the only file that knows OpenBLAS.
//
// OpenBLAS takes sizes of 32 bits and steps at least as long as a row. Longer sizes are split, the
// inner one by adding to what is there; steps that it does not take go through the loops that serve
// integers and bool.

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "engine/kernel/kernel.h"

// Rows × columns of `b` that are copied out at a time: 32 KiB of the widest type.
#define INNER 32
#define COLUMNS 128

// Sizes of one call of OpenBLAS: a round number well below what 32 bits hold.
#define SIZE_MAX_BLAS (INT64_C(1) << 30)

static inline int64_t
place(const struct tsi_kernel_matrix *matrix, int64_t row, int64_t column)
{
    return matrix->transposed ? column * matrix->step + row : row * matrix->step + column;
}

// c += a · b for one block of `inner` × `columns` elements of b at (k0, j0), copied to `packed`
// first so that the innermost loop walks contiguous memory whatever way b is stored.
#define MULTIPLY(suffix, T, U, expression)                                                         \
    static void multiply_block_##suffix(                                                           \
        int64_t m, int64_t n, int64_t k0, int64_t inner, int64_t j0, int64_t columns,              \
        const struct tsi_kernel_matrix *a, const struct tsi_kernel_matrix *b, T *c)                \
    {                                                                                              \
        T packed[INNER][COLUMNS];                                                                  \
        const T *from_a = a->data;                                                                 \
        const T *from_b = b->data;                                                                 \
        for (int64_t l = 0; l < inner; l++) {                                                      \
            for (int64_t j = 0; j < columns; j++) {                                                \
                packed[l][j] = from_b[place(b, k0 + l, j0 + j)];                                   \
            }                                                                                      \
        }                                                                                          \
        for (int64_t i = 0; i < m; i++) {                                                          \
            T *restrict row = c + i * n + j0;                                                      \
            for (int64_t l = 0; l < inner; l++) {                                                  \
                const T x = from_a[place(a, i, k0 + l)];                                           \
                for (int64_t j = 0; j < columns; j++) {                                            \
                    const T y = packed[l][j];                                                      \
                    const T z = row[j];                                                            \
                    row[j] = (T)(expression);                                                      \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void multiply_##suffix(int64_t m, int64_t n, int64_t k,                                 \
                                  const struct tsi_kernel_matrix *a,                               \
                                  const struct tsi_kernel_matrix *b, void *c)                      \
    {                                                                                              \
        memset(c, 0, (size_t)m *(size_t)n * sizeof(T));                                            \
        for (int64_t j0 = 0; j0 < n; j0 += COLUMNS) {                                              \
            const int64_t columns = n - j0 < COLUMNS ? n - j0 : COLUMNS;                           \
            for (int64_t k0 = 0; k0 < k; k0 += INNER) {                                            \
                const int64_t inner = k - k0 < INNER ? k - k0 : INNER;                             \
                multiply_block_##suffix(m, n, k0, inner, j0, columns, a, b, c);                    \
            }                                                                                      \
        }                                                                                          \
    }

MULTIPLY(bool, uint8_t, uint8_t, z | ((x != 0) & (y != 0)))
MULTIPLY(8, uint8_t, uint32_t, (uint32_t)z + (uint32_t)x * (uint32_t)y)
MULTIPLY(16, uint16_t, uint32_t, (uint32_t)z + (uint32_t)x * (uint32_t)y)
MULTIPLY(32, uint32_t, uint32_t, z + x * y)
MULTIPLY(64, uint64_t, uint64_t, z + x * y)
MULTIPLY(f32, float, float, z + x * y)
MULTIPLY(f64, double, double, z + x * y)

// The threads of OpenBLAS belong to the whole process. Each of our threads multiplies its own
// chunks, so OpenBLAS is told once to start none of its own; a process that has said so already is
// left as it is.
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
use_one_thread(void)
{
    if (openblas_get_num_threads() != 1) {
        openblas_set_num_threads(1);
    }
}

// Whether OpenBLAS takes a matrix of `rows` of `columns` elements as they are stored.
static bool
takes_step(int64_t columns, int64_t step)
{
    return step >= columns && step >= 1 && step <= INT_MAX;
}

// One call of OpenBLAS on the block of c at (i, j), adding the products from `l` on.
static void
multiply_blas(tess_dtype dtype, const int64_t at[3], const int64_t size[3],
              const struct tsi_kernel_matrix *a, const struct tsi_kernel_matrix *b, void *c,
              int64_t c_step)
{
    const CBLAS_TRANSPOSE ta = a->transposed ? CblasTrans : CblasNoTrans;
    const CBLAS_TRANSPOSE tb = b->transposed ? CblasTrans : CblasNoTrans;
    const int64_t from_a = place(a, at[0], at[2]);
    const int64_t from_b = place(b, at[2], at[1]);
    const int64_t to = at[0] * c_step + at[1];
    const blasint m = (blasint)size[0];
    const blasint n = (blasint)size[1];
    const blasint k = (blasint)size[2];
    if (dtype == TESS_F64) {
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1.0, (const double *)a->data + from_a,
                    (blasint)a->step, (const double *)b->data + from_b, (blasint)b->step,
                    at[2] == 0 ? 0.0 : 1.0, (double *)c + to, (blasint)c_step);
    } else {
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1.0F, (const float *)a->data + from_a,
                    (blasint)a->step, (const float *)b->data + from_b, (blasint)b->step,
                    at[2] == 0 ? 0.0F : 1.0F, (float *)c + to, (blasint)c_step);
    }
}

static int64_t
at_most(int64_t left)
{
    return left < SIZE_MAX_BLAS ? left : SIZE_MAX_BLAS;
}

static void
multiply_float(tess_dtype dtype, int64_t m, int64_t n, int64_t k, const struct tsi_kernel_matrix *a,
               const struct tsi_kernel_matrix *b, void *c)
{
    const bool taken = takes_step(a->transposed ? m : k, a->step) &&
                       takes_step(b->transposed ? k : n, b->step) && n <= INT_MAX;
    if (!taken || k == 0) {
        (dtype == TESS_F64 ? multiply_f64 : multiply_f32)(m, n, k, a, b, c);
        return;
    }
    (void)pthread_once(&once, use_one_thread);
    for (int64_t i = 0; i < m; i += SIZE_MAX_BLAS) {
        for (int64_t j = 0; j < n; j += SIZE_MAX_BLAS) {
            for (int64_t l = 0; l < k; l += SIZE_MAX_BLAS) {
                const int64_t at[3] = {i, j, l};
                const int64_t size[3] = {at_most(m - i), at_most(n - j), at_most(k - l)};
                multiply_blas(dtype, at, size, a, b, c, n);
            }
        }
    }
}

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
                  struct tsi_kernel_matrix b, void *c)
{
    if (m <= 0 || n <= 0) {
        return;
    }
    set_step_of_one_row(&a, m, k);
    set_step_of_one_row(&b, k, n);
    switch (dtype) {
    case TESS_F32:
    case TESS_F64:
        multiply_float(dtype, m, n, k, &a, &b, c);
        break;
    case TESS_BOOL:
        multiply_bool(m, n, k, &a, &b, c);
        break;
    case TESS_I8:
    case TESS_U8:
        multiply_8(m, n, k, &a, &b, c);
        break;
    case TESS_I16:
    case TESS_U16:
        multiply_16(m, n, k, &a, &b, c);
        break;
    case TESS_I32:
    case TESS_U32:
        multiply_32(m, n, k, &a, &b, c);
        break;
    case TESS_I64:
    case TESS_U64:
        multiply_64(m, n, k, &a, &b, c);
        break;
    default:
        break;
    }
}
