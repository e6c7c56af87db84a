// SPDX-License-Identifier: Apache-2.0
//
// The matrix product by loops: of integers, which wrap around, of bool, and of floats where
// OpenBLAS is not to be had or does not take the steps.
//
// The product is made in tiles of ROWS rows and two registers of columns, which stay in registers
// while INNER steps of the inner axis are added to them. Both operands of a tile are copied out
// first, filled up with zeros, so that the innermost loop walks contiguous memory whatever way they
// are stored. Every element gets its products in the order of the inner axis, each rounded before
// it is added, so floats too have the same bits on every instruction set.
//
// Bytes are multiplied in lanes of 16 bits, whose lower halves wrap around as bytes do.

#include <string.h>

#include "engine/kernel/isa.h"

#define ROWS 4
#define INNER 128

static inline int64_t
place(const struct tsi_kernel_matrix *matrix, int64_t row, int64_t column)
{
    return matrix->transposed ? column * matrix->step + row : row * matrix->step + column;
}

static inline int64_t
at_most(int64_t count, int64_t limit)
{
    return count < limit ? count : limit;
}

// What a product with elements T, computed in lanes of type L, is made of: FROM_A and FROM_B take
// an element into a lane, ADD is the new value of lane z from the lanes x of a and y of b.
#define TAKE(v) (v)
#define TAKE_MASK(v) ((v) != 0 ? 0xFF : 0)
#define TAKE_TRUTH(v) ((v) != 0)
#define ADD_PRODUCT(z, x, y) ((z) + (x) * (y))
#define ADD_TRUTH(z, x, y) ((z) | ((x) & (y)))

#define PRODUCT(suffix, T, L, FROM_A, FROM_B, ADD)                                                 \
    typedef L lanes_##suffix __attribute__((vector_size(TSI_VECTOR_BYTES), aligned(sizeof(L))));   \
    enum {                                                                                         \
        LANES_##suffix = TSI_VECTOR_BYTES / (int)sizeof(L),                                        \
        WIDTH_##suffix = 2 * LANES_##suffix,                                                       \
    };                                                                                             \
    static void add_tile_##suffix(int64_t inner, const L *a, const L *b, L *tile)                  \
    {                                                                                              \
        lanes_##suffix z[ROWS][2];                                                                 \
        for (int r = 0; r < 2 * ROWS; r++) {                                                       \
            z[r / 2][r % 2] = *(const lanes_##suffix *)(tile + r * LANES_##suffix);                \
        }                                                                                          \
        for (int64_t l = 0; l < inner; l++) {                                                      \
            const lanes_##suffix y0 = *(const lanes_##suffix *)(b + l * WIDTH_##suffix);           \
            const lanes_##suffix y1 =                                                              \
                *(const lanes_##suffix *)(b + l * WIDTH_##suffix + LANES_##suffix);                \
            for (int r = 0; r < ROWS; r++) {                                                       \
                const lanes_##suffix x = a[l * ROWS + r] - (lanes_##suffix){0};                    \
                z[r][0] = ADD(z[r][0], x, y0);                                                     \
                z[r][1] = ADD(z[r][1], x, y1);                                                     \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < 2 * ROWS; r++) {                                                       \
            *(lanes_##suffix *)(tile + r * LANES_##suffix) = z[r / 2][r % 2];                      \
        }                                                                                          \
    }                                                                                              \
    static void pack_a_##suffix(int64_t rows, int64_t inner, int64_t i0, int64_t l0,               \
                                const struct tsi_kernel_matrix *a, L *packed)                      \
    {                                                                                              \
        const T *const from = a->data;                                                             \
        memset(packed, 0, (size_t)inner *ROWS * sizeof(L));                                        \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            for (int64_t l = 0; l < inner; l++) {                                                  \
                packed[l * ROWS + r] = (L)FROM_A(from[place(a, i0 + r, l0 + l)]);                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void pack_b_##suffix(int64_t inner, int64_t columns, int64_t l0, int64_t j0,            \
                                const struct tsi_kernel_matrix *b, L *packed)                      \
    {                                                                                              \
        const T *const from = b->data;                                                             \
        memset(packed, 0, (size_t)inner *WIDTH_##suffix * sizeof(L));                              \
        for (int64_t l = 0; l < inner; l++) {                                                      \
            for (int64_t j = 0; j < columns; j++) {                                                \
                packed[l * WIDTH_##suffix + j] = (L)FROM_B(from[place(b, l0 + l, j0 + j)]);        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void add_rows_##suffix(int64_t rows, int64_t columns, int64_t inner, const L *a,        \
                                  const L *b, int64_t n, T *c)                                     \
    {                                                                                              \
        L tile[ROWS][WIDTH_##suffix] = {{0}};                                                      \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                tile[r][j] = c[r * n + j];                                                         \
            }                                                                                      \
        }                                                                                          \
        add_tile_##suffix(inner, a, b, tile[0]);                                                   \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                c[r * n + j] = (T)tile[r][j];                                                      \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void multiply_##suffix(int64_t m, int64_t n, int64_t k,                                 \
                                  const struct tsi_kernel_matrix *a,                               \
                                  const struct tsi_kernel_matrix *b, bool add, void *out)          \
    {                                                                                              \
        L packed_a[INNER * ROWS];                                                                  \
        L packed_b[INNER * WIDTH_##suffix];                                                        \
        T *const c = out;                                                                          \
        if (!add) {                                                                                \
            memset(c, 0, (size_t)m *(size_t)n * sizeof(T));                                        \
        }                                                                                          \
        for (int64_t l = 0; l < k; l += INNER) {                                                   \
            const int64_t inner = at_most(k - l, INNER);                                           \
            for (int64_t j = 0; j < n; j += WIDTH_##suffix) {                                      \
                const int64_t columns = at_most(n - j, WIDTH_##suffix);                            \
                pack_b_##suffix(inner, columns, l, j, b, packed_b);                                \
                for (int64_t i = 0; i < m; i += ROWS) {                                            \
                    const int64_t rows = at_most(m - i, ROWS);                                     \
                    pack_a_##suffix(rows, inner, i, l, a, packed_a);                               \
                    add_rows_##suffix(rows, columns, inner, packed_a, packed_b, n, c + i * n + j); \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

PRODUCT(truth, uint8_t, uint8_t, TAKE_MASK, TAKE_TRUTH, ADD_TRUTH)
PRODUCT(8, uint8_t, uint16_t, TAKE, TAKE, ADD_PRODUCT)
PRODUCT(16, uint16_t, uint16_t, TAKE, TAKE, ADD_PRODUCT)
PRODUCT(32, uint32_t, uint32_t, TAKE, TAKE, ADD_PRODUCT)
PRODUCT(64, uint64_t, uint64_t, TAKE, TAKE, ADD_PRODUCT)
PRODUCT(f32, float, float, TAKE, TAKE, ADD_PRODUCT)
PRODUCT(f64, double, double, TAKE, TAKE, ADD_PRODUCT)

void
TSI_ISA_NAME(tsi_isa_fill_matmul)(struct tsi_kernel_table *table)
{
    table->product[TESS_BOOL] = multiply_truth;
    table->product[TESS_I8] = multiply_8;
    table->product[TESS_U8] = multiply_8;
    table->product[TESS_I16] = multiply_16;
    table->product[TESS_U16] = multiply_16;
    table->product[TESS_I32] = multiply_32;
    table->product[TESS_U32] = multiply_32;
    table->product[TESS_I64] = multiply_64;
    table->product[TESS_U64] = multiply_64;
    table->product[TESS_F32] = multiply_f32;
    table->product[TESS_F64] = multiply_f64;
}
