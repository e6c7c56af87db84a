// SPDX-License-Identifier: Apache-2.0
//
// min, max, argmin and argmax. The accumulator is two planes: a value, and a byte that is 1 once
// there is one, or its index, which is −1 before.
//
// Nothing is the worst value of the type, so that no loop asks whether there is a value. NaN beats
// every value and stays. −0 and +0 are equal. Of equals the element with the lower index is kept;
// so across a row, which is folded in lanes, the value is found first and then the place where it
// is first met.

#include <math.h>

#include "engine/kernel/isa.h"

#define BLOCK 64
#define LANE_VECTORS (128 / TSI_VECTOR_BYTES)

#define IS_NAN(x) ((x) != (x))
#define IS_SAME(x, y) (((x) == (y)) | (IS_NAN(x) & IS_NAN(y)))

typedef float vector_f32 __attribute__((vector_size(TSI_VECTOR_BYTES)));
typedef int32_t mask_f32 __attribute__((vector_size(TSI_VECTOR_BYTES)));
typedef tsi_vector_f64 vector_f64;
typedef tsi_vector_i64 mask_f64;

// Whether x takes the place of y.
#define BEATS(x, y, BELOW) (((x)BELOW(y)) | IS_NAN(x))

// The best element of a run that is not empty. Integers may be compared in any order.
#define BEST_INTEGER(name, suffix, T, BELOW, worst)                                                \
    static T name##_run_##suffix(int64_t count, const T *x)                                        \
    {                                                                                              \
        T best = x[0];                                                                             \
        for (int64_t t = 1; t < count; t++) {                                                      \
            best = x[t] BELOW best ? x[t] : best;                                                  \
        }                                                                                          \
        return best;                                                                               \
    }

#define BEST_FLOAT(name, suffix, T, BELOW, worst)                                                  \
    static T name##_run_##suffix(int64_t count, const T *x)                                        \
    {                                                                                              \
        enum { WIDTH = TSI_VECTOR_BYTES / sizeof(T), LANES = WIDTH * LANE_VECTORS };               \
        T lane[LANES];                                                                             \
        vector_##suffix acc[LANE_VECTORS];                                                         \
        int64_t t = 0;                                                                             \
        for (int k = 0; k < LANE_VECTORS; k++) {                                                   \
            acc[k] = (vector_##suffix){0} + (T)(worst);                                            \
        }                                                                                          \
        for (; t + LANES <= count; t += LANES) {                                                   \
            for (int k = 0; k < LANE_VECTORS; k++) {                                               \
                vector_##suffix now;                                                               \
                __builtin_memcpy(&now, x + t + k * WIDTH, sizeof(now));                            \
                const mask_##suffix take = BEATS(now, acc[k], BELOW);                              \
                acc[k] = (vector_##suffix)(((mask_##suffix)now & take) |                           \
                                           ((mask_##suffix)acc[k] & ~take));                       \
            }                                                                                      \
        }                                                                                          \
        __builtin_memcpy(lane, acc, sizeof(lane));                                                 \
        T best = (T)(worst);                                                                       \
        for (int l = 0; l < LANES; l++) {                                                          \
            best = BEATS(lane[l], best, BELOW) ? lane[l] : best;                                   \
        }                                                                                          \
        for (; t < count; t++) {                                                                   \
            best = BEATS(x[t], best, BELOW) ? x[t] : best;                                         \
        }                                                                                          \
        return best;                                                                               \
    }

// The place of the first element of a run that is the same as `best`, which is among them.
#define FIND(NAME, suffix, T, U)                                                                   \
    static int64_t first_##suffix(int64_t count, const T *x, T best)                               \
    {                                                                                              \
        int64_t t = 0;                                                                             \
        for (uint8_t found = 0; t + BLOCK <= count; t += BLOCK) {                                  \
            for (int64_t l = 0; l < BLOCK; l++) {                                                  \
                found |= (uint8_t)IS_SAME(x[t + l], best);                                         \
            }                                                                                      \
            if (found != 0) {                                                                      \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
        while (t < count && !IS_SAME(x[t], best)) {                                                \
            t++;                                                                                   \
        }                                                                                          \
        return t;                                                                                  \
    }                                                                                              \
    static int64_t last_##suffix(int64_t count, const T *x, T best)                                \
    {                                                                                              \
        int64_t t = count - 1;                                                                     \
        while (t > 0 && !IS_SAME(x[t], best)) {                                                    \
            t--;                                                                                   \
        }                                                                                          \
        return t;                                                                                  \
    }

TSI_FOR_ALL(FIND)

#define VALUE(name, suffix, T, BELOW, worst)                                                       \
    static void name##_down_##suffix(int64_t rows, int64_t columns, const void *x,                 \
                                     void *const *planes, const struct tsi_fold_index *index)      \
    {                                                                                              \
        T *restrict best = planes[0];                                                              \
        uint8_t *has = planes[1];                                                                  \
        const T *restrict row = x;                                                                 \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                best[j] = BEATS(row[j], best[j], BELOW) ? row[j] : best[j];                        \
            }                                                                                      \
        }                                                                                          \
        for (int64_t j = 0; j < columns && rows > 0; j++) {                                        \
            has[j] = 1;                                                                            \
        }                                                                                          \
    }                                                                                              \
    static void name##_across_##suffix(int64_t rows, int64_t columns, const void *x,               \
                                       void *const *planes, const struct tsi_fold_index *index)    \
    {                                                                                              \
        T *best = planes[0];                                                                       \
        uint8_t *has = planes[1];                                                                  \
        const T *row = x;                                                                          \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows && columns > 0; i++, row += columns) {                        \
            T now = name##_run_##suffix(columns, row);                                             \
            now = now == 0 ? row[first_##suffix(columns, row, now)] : now;                         \
            best[i] = BEATS(now, best[i], BELOW) ? now : best[i];                                  \
            has[i] = 1;                                                                            \
        }                                                                                          \
    }                                                                                              \
    static void name##_start_##suffix(int64_t count, void *const *planes)                          \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            ((T *)planes[0])[i] = (T)(worst);                                                      \
            ((uint8_t *)planes[1])[i] = 0;                                                         \
        }                                                                                          \
    }                                                                                              \
    static void name##_merge_##suffix(int64_t count, void *const *planes,                          \
                                      const void *const *other)                                    \
    {                                                                                              \
        T *best = planes[0];                                                                       \
        uint8_t *has = planes[1];                                                                  \
        const T *value = other[0];                                                                 \
        const uint8_t *other_has = other[1];                                                       \
        for (int64_t i = 0; i < count; i++) {                                                      \
            best[i] = BEATS(value[i], best[i], BELOW) ? value[i] : best[i];                        \
            has[i] |= other_has[i];                                                                \
        }                                                                                          \
    }

// Whether (x, at) takes the place of (y, held). No index, −1, is the largest as an unsigned number.
#define COMES_FIRST(x, at, y, held, BELOW)                                                         \
    (((x)BELOW(y)) | (IS_NAN(x) & !IS_NAN(y)) |                                                    \
     (IS_SAME(x, y) & ((uint64_t)(at) < (uint64_t)(held))))

// Whether it may, wherever the two are. Most rows have nothing that does, and no place to be found.
#define MAY_COME_FIRST(x, y, BELOW) (((x)BELOW(y)) | (IS_NAN(x) & !IS_NAN(y)) | IS_SAME(x, y))

#define PLACE(name, suffix, T, BELOW, worst)                                                       \
    static void arg##name##_down_##suffix(int64_t rows, int64_t columns, const void *x,            \
                                          void *const *planes, const struct tsi_fold_index *index) \
    {                                                                                              \
        T *restrict best = planes[0];                                                              \
        int64_t *restrict held = planes[1];                                                        \
        const T *restrict row = x;                                                                 \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            const int64_t first = index->first + i * index->row_step;                              \
            const int64_t step = index->column_step;                                               \
            for (int64_t j = 0; j < columns; j++) {                                                \
                const int64_t at = first + j * step;                                               \
                const bool take = COMES_FIRST(row[j], at, best[j], held[j], BELOW);                \
                best[j] = take ? row[j] : best[j];                                                 \
                held[j] = take ? at : held[j];                                                     \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void arg##name##_across_##suffix(int64_t rows, int64_t columns, const void *x,          \
                                            void *const *planes,                                   \
                                            const struct tsi_fold_index *index)                    \
    {                                                                                              \
        T *best = planes[0];                                                                       \
        int64_t *held = planes[1];                                                                 \
        const T *row = x;                                                                          \
        for (int64_t i = 0; i < rows && columns > 0; i++, row += columns) {                        \
            const T now = name##_run_##suffix(columns, row);                                       \
            if (!MAY_COME_FIRST(now, best[i], BELOW)) {                                            \
                continue;                                                                          \
            }                                                                                      \
            const int64_t place = index->column_step < 0 ? last_##suffix(columns, row, now)        \
                                                         : first_##suffix(columns, row, now);      \
            const int64_t at = index->first + i * index->row_step + place * index->column_step;    \
            if (COMES_FIRST(now, at, best[i], held[i], BELOW)) {                                   \
                best[i] = row[place];                                                              \
                held[i] = at;                                                                      \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void arg##name##_start_##suffix(int64_t count, void *const *planes)                     \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            ((T *)planes[0])[i] = (T)(worst);                                                      \
            ((int64_t *)planes[1])[i] = -1;                                                        \
        }                                                                                          \
    }                                                                                              \
    static void arg##name##_merge_##suffix(int64_t count, void *const *planes,                     \
                                           const void *const *other)                               \
    {                                                                                              \
        T *best = planes[0];                                                                       \
        int64_t *held = planes[1];                                                                 \
        const T *value = other[0];                                                                 \
        const int64_t *at = other[1];                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            if (COMES_FIRST(value[i], at[i], best[i], held[i], BELOW)) {                           \
                best[i] = value[i];                                                                \
                held[i] = at[i];                                                                   \
            }                                                                                      \
        }                                                                                          \
    }

#define ORDER(BEST, suffix, T, smallest, largest)                                                  \
    BEST(min, suffix, T, <, largest)                                                               \
    BEST(max, suffix, T, >, smallest)                                                              \
    VALUE(min, suffix, T, <, largest)                                                              \
    VALUE(max, suffix, T, >, smallest)                                                             \
    PLACE(min, suffix, T, <, largest)                                                              \
    PLACE(max, suffix, T, >, smallest)

ORDER(BEST_INTEGER, truth, uint8_t, 0, UINT8_MAX)
ORDER(BEST_INTEGER, i8, int8_t, INT8_MIN, INT8_MAX)
ORDER(BEST_INTEGER, i16, int16_t, INT16_MIN, INT16_MAX)
ORDER(BEST_INTEGER, i32, int32_t, INT32_MIN, INT32_MAX)
ORDER(BEST_INTEGER, i64, int64_t, INT64_MIN, INT64_MAX)
ORDER(BEST_INTEGER, u8, uint8_t, 0, UINT8_MAX)
ORDER(BEST_INTEGER, u16, uint16_t, 0, UINT16_MAX)
ORDER(BEST_INTEGER, u32, uint32_t, 0, UINT32_MAX)
ORDER(BEST_INTEGER, u64, uint64_t, 0, UINT64_MAX)
ORDER(BEST_FLOAT, f32, float, -INFINITY, INFINITY)
ORDER(BEST_FLOAT, f64, double, -INFINITY, INFINITY)

#define FINISH(suffix, T, expression)                                                              \
    static void finish_##suffix(int64_t count, void *out, const void *const *planes,               \
                                double folded, double ddof)                                        \
    {                                                                                              \
        (void)folded;                                                                              \
        (void)ddof;                                                                                \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const T x = ((const T *)planes[0])[i];                                                 \
            ((T *)out)[i] = (expression);                                                          \
        }                                                                                          \
    }
#define FINISH_VALUE(NAME, suffix, T, U) FINISH(suffix, T, x)

FINISH(truth, uint8_t, x != 0)
TSI_FOR_NUMBER(FINISH_VALUE)

static void
finish_index(int64_t count, void *out, const void *const *planes, double folded, double ddof)
{
    (void)folded;
    (void)ddof;
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)out)[i] = ((const int64_t *)planes[1])[i];
    }
}

#define SET(REDUCTION, NAME, name, suffix, last)                                                   \
    table->reduction[TSI_REDUCE_##REDUCTION][TESS_##NAME] =                                        \
        (struct tsi_kernel_reduction){name##_down_##suffix, name##_across_##suffix,                \
                                      name##_start_##suffix, name##_merge_##suffix, last};
#define SET_ALL(NAME, suffix, T, U)                                                                \
    SET(MIN, NAME, min, suffix, finish_##suffix)                                                   \
    SET(MAX, NAME, max, suffix, finish_##suffix)                                                   \
    SET(ARGMIN, NAME, argmin, suffix, finish_index)                                                \
    SET(ARGMAX, NAME, argmax, suffix, finish_index)

void
TSI_ISA_NAME(tsi_isa_fill_fold_order)(struct tsi_kernel_table *table)
{
    TSI_FOR_ALL(SET_ALL)
}
