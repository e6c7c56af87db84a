// SPDX-License-Identifier: Apache-2.0
//
// Transposes of elements of 1, 2, 4 and 8 bytes, in squares that fit the registers: all of what is
// read from a cache line is used at once, and all of one is written.
//
// A square of N rows becomes its transpose by log2 N rounds, each of which zips row i with row
// i + N/2 into rows 2i and 2i + 1: a round moves the highest bit of the row's number to the lowest
// bit of the column's, and shifts the others by one.

#include "engine/kernel/isa.h"

#if defined(TSI_ISA_avx512) || defined(TSI_ISA_avx2)
#include <immintrin.h>
#endif

#define ZIP_LOW_2(x, y) __builtin_shufflevector(x, y, 0, 2)
#define ZIP_HIGH_2(x, y) __builtin_shufflevector(x, y, 1, 3)
#define ZIP_LOW_4(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define ZIP_HIGH_4(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define ZIP_LOW_8(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH_8(x, y) __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15)
#define ZIP_LOW_16(x, y)                                                                           \
    __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH_16(x, y)                                                                          \
    __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// Columns of the output that are made before the next rows: rows of the input that are read side by
// side. It writes long runs, which is best where nothing is asked for ahead.
#define PANEL 64
// Rows of the output that are made side by side where something is: what is read of each row of the
// input at a time.
#define STRIP 64
#define LINE 64

// Asks for `bytes` from `in` on, which no pointer of ours may reach.
static inline __attribute__((always_inline)) void
ask(const uint8_t *in, int64_t ahead, int64_t bytes)
{
    const uintptr_t from = (uintptr_t)in + (uintptr_t)ahead;
    for (int64_t k = 0; k < bytes; k += LINE) {
        __builtin_prefetch((const void *)(from + (uintptr_t)k), 0, 2);
    }
}

#define SQUARE(bits, N)                                                                            \
    typedef uint##bits##_t row_##bits __attribute__((vector_size(N * bits / 8)));                  \
    static inline __attribute__((always_inline)) void square_##bits(                               \
        uint8_t *out, int64_t out_step, const uint8_t *in, int64_t in_step)                        \
    {                                                                                              \
        row_##bits x[N];                                                                           \
        row_##bits y[N];                                                                           \
        for (int i = 0; i < N; i++) {                                                              \
            __builtin_memcpy(&x[i], in + i * in_step, sizeof(x[i]));                               \
        }                                                                                          \
        TSI_UNROLL                                                                                 \
        for (int side = 1; side < N; side *= 2) {                                                  \
            for (int i = 0; i < N / 2; i++) {                                                      \
                y[2 * i] = ZIP_LOW_##N(x[i], x[i + N / 2]);                                        \
                y[2 * i + 1] = ZIP_HIGH_##N(x[i], x[i + N / 2]);                                   \
            }                                                                                      \
            for (int i = 0; i < N; i++) {                                                          \
                x[i] = y[i];                                                                       \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < N; i++) {                                                              \
            __builtin_memcpy(out + i * out_step, &x[i], sizeof(x[i]));                             \
        }                                                                                          \
    }

#define TRANSPOSE(bits, N)                                                                         \
    static void single_##bits(int64_t rows, int64_t columns, uint8_t *out, int64_t out_step,       \
                              const uint8_t *in, int64_t in_step)                                  \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                __builtin_memcpy(out + i * out_step + j * (bits / 8),                              \
                                 in + j * in_step + i * (bits / 8), bits / 8);                     \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static inline __attribute__((always_inline)) void place_##bits(                                \
        int64_t i, int64_t j, uint8_t *to, int64_t out_step, const uint8_t *from, int64_t in_step) \
    {                                                                                              \
        square_##bits(to + i * out_step + j * (bits / 8), out_step,                                \
                      from + j * in_step + i * (bits / 8), in_step);                               \
    }                                                                                              \
    static void panels_##bits(int64_t rows, int64_t columns, uint8_t *to, int64_t out_step,        \
                              const uint8_t *from, int64_t in_step)                                \
    {                                                                                              \
        for (int64_t panel = 0; panel < columns; panel += PANEL) {                                 \
            const int64_t end = panel + PANEL < columns ? panel + PANEL : columns;                 \
            for (int64_t i = 0; i < rows; i += N) {                                                \
                for (int64_t j = panel; j < end; j += N) {                                         \
                    place_##bits(i, j, to, out_step, from, in_step);                               \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void strips_##bits(int64_t rows, int64_t columns, uint8_t *to, int64_t out_step,        \
                              const uint8_t *from, int64_t in_step, int64_t ahead)                 \
    {                                                                                              \
        for (int64_t strip = 0; strip < rows; strip += STRIP) {                                    \
            const int64_t end = strip + STRIP < rows ? strip + STRIP : rows;                       \
            for (int64_t j = 0; j < columns; j += N) {                                             \
                for (int64_t k = j; k < j + N; k++) {                                              \
                    ask(from + k * in_step + strip * (bits / 8), ahead,                            \
                        (end - strip) * (bits / 8));                                               \
                }                                                                                  \
                for (int64_t i = strip; i < end; i += N) {                                         \
                    place_##bits(i, j, to, out_step, from, in_step);                               \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void transpose_##bits(int64_t rows, int64_t columns, void *out, int64_t out_step,       \
                                 const void *in, int64_t in_step, int64_t ahead)                   \
    {                                                                                              \
        uint8_t *const to = out;                                                                   \
        const uint8_t *const from = in;                                                            \
        const int64_t whole_rows = rows / N * N;                                                   \
        const int64_t whole_columns = columns / N * N;                                             \
        if (ahead == 0) {                                                                          \
            panels_##bits(whole_rows, whole_columns, to, out_step, from, in_step);                 \
        } else {                                                                                   \
            strips_##bits(whole_rows, whole_columns, to, out_step, from, in_step, ahead);          \
        }                                                                                          \
        single_##bits(rows, columns - whole_columns, to + whole_columns * (bits / 8), out_step,    \
                      from + whole_columns * in_step, in_step);                                    \
        single_##bits(rows - whole_rows, whole_columns, to + whole_rows * out_step, out_step,      \
                      from + whole_rows * (bits / 8), in_step);                                    \
    }

#if defined(TSI_ISA_avx512)
// Rounds by instructions that have their choice of lanes in themselves: pairs of rows first, then
// quarters of registers.
static inline __attribute__((always_inline)) void
square_64(uint8_t *out, int64_t out_step, const uint8_t *in, int64_t in_step)
{
    __m512d x[8];
    __m512d y[8];
    for (int i = 0; i < 8; i++) {
        x[i] = _mm512_loadu_pd(in + i * in_step);
    }
    for (int i = 0; i < 8; i += 2) {
        y[i] = _mm512_unpacklo_pd(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_pd(x[i], x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        x[i] = _mm512_shuffle_f64x2(y[i], y[i + 2], 0x88);
        x[i + 1] = _mm512_shuffle_f64x2(y[i + 1], y[i + 3], 0x88);
        x[i + 2] = _mm512_shuffle_f64x2(y[i], y[i + 2], 0xDD);
        x[i + 3] = _mm512_shuffle_f64x2(y[i + 1], y[i + 3], 0xDD);
    }
    for (int i = 0; i < 4; i++) {
        y[i] = _mm512_shuffle_f64x2(x[i], x[i + 4], 0x88);
        y[i + 4] = _mm512_shuffle_f64x2(x[i], x[i + 4], 0xDD);
    }
    for (int i = 0; i < 8; i++) {
        _mm512_storeu_pd(out + i * out_step, y[i]);
    }
}
SQUARE(32, 16)
TRANSPOSE(32, 16)
TRANSPOSE(64, 8)
#elif defined(TSI_ISA_avx2)
// Rows are loaded in halves, so that two that belong together are in one register, and the rest is
// done within halves of registers.
static inline __attribute__((always_inline)) __m256d
two_halves(const uint8_t *low, const uint8_t *high)
{
    const __m256d half = _mm256_castpd128_pd256(_mm_loadu_pd((const double *)(const void *)low));
    return _mm256_insertf128_pd(half, _mm_loadu_pd((const double *)(const void *)high), 1);
}

static inline __attribute__((always_inline)) void
put(uint8_t *out, __m256d row)
{
    _mm256_storeu_pd((double *)(void *)out, row);
}

// Four squares of 4, so that whole lines are read and written.
static inline __attribute__((always_inline)) void
square_64(uint8_t *out, int64_t out_step, const uint8_t *in, int64_t in_step)
{
    TSI_UNROLL
    for (int j = 0; j < 8; j += 4) {
        const uint8_t *const row = in + j * in_step;
        TSI_UNROLL
        for (int i = 0; i < 8; i += 2) {
            const uint8_t *const from = row + i * 8;
            uint8_t *const to = out + i * out_step + j * 8;
            const __m256d even = two_halves(from, from + 2 * in_step);
            const __m256d odd = two_halves(from + in_step, from + 3 * in_step);
            put(to, _mm256_unpacklo_pd(even, odd));
            put(to + out_step, _mm256_unpackhi_pd(even, odd));
        }
    }
}

static inline __attribute__((always_inline)) __m256d
zip_words(__m256d x, __m256d y, bool upper)
{
    const __m256 a = _mm256_castpd_ps(x);
    const __m256 b = _mm256_castpd_ps(y);
    return _mm256_castps_pd(upper ? _mm256_unpackhi_ps(a, b) : _mm256_unpacklo_ps(a, b));
}

static inline __attribute__((always_inline)) void
square_32(uint8_t *out, int64_t out_step, const uint8_t *in, int64_t in_step)
{
    TSI_UNROLL
    for (int i = 0; i < 8; i += 4) {
        __m256d x[4];
        TSI_UNROLL
        for (int k = 0; k < 4; k++) {
            const uint8_t *const from = in + k * in_step + i * 4;
            x[k] = two_halves(from, from + 4 * in_step);
        }
        TSI_UNROLL
        for (int k = 0; k < 2; k++) {
            const __m256d even = zip_words(x[0], x[1], k == 1);
            const __m256d odd = zip_words(x[2], x[3], k == 1);
            put(out + (i + 2 * k) * out_step, _mm256_unpacklo_pd(even, odd));
            put(out + (i + 2 * k + 1) * out_step, _mm256_unpackhi_pd(even, odd));
        }
    }
}
TRANSPOSE(32, 8)
TRANSPOSE(64, 8)
#else
SQUARE(32, 4)
SQUARE(64, 2)
TRANSPOSE(32, 4)
TRANSPOSE(64, 2)
#endif
SQUARE(8, 16)
SQUARE(16, 8)
TRANSPOSE(8, 16)
TRANSPOSE(16, 8)

void
TSI_ISA_NAME(tsi_isa_fill_transpose)(struct tsi_kernel_table *table)
{
    table->transpose[0] = transpose_8;
    table->transpose[1] = transpose_16;
    table->transpose[2] = transpose_32;
    table->transpose[3] = transpose_64;
}
