// SPDX-License-Identifier: Apache-2.0
//
// sum, prod and mean. The accumulator is one plane: int64, uint64 or float64, and always float64
// for the mean.
//
// Integers wrap, so the compiler may add them in any order. Floats are folded in an order that is
// the same on every instruction set: down, each column by itself from top to bottom; across,
// element t of a row goes to virtual lane t mod 16, and the lanes are folded in halves.

#include "engine/kernel/isa.h"

#define LANES 16
#define LANE_VECTORS (LANES / TSI_VECTOR_F64)
#define BLOCK 2048

// Down a tile, four rows at a time: the same additions in the same order as one row at a time, but
// accumulators are loaded and stored a quarter as often.
#define DOWN(name, suffix, T, A, OPERATOR)                                                         \
    static void name##_down_##suffix(int64_t rows, int64_t columns, const void *x,                 \
                                     void *const *planes, const struct tsi_fold_index *index)      \
    {                                                                                              \
        A *restrict acc = planes[0];                                                               \
        int64_t i = 0;                                                                             \
        (void)index;                                                                               \
        for (; i + 4 <= rows; i += 4) {                                                            \
            const T *restrict x0 = (const T *)x + i * columns;                                     \
            const T *restrict x1 = x0 + columns;                                                   \
            const T *restrict x2 = x1 + columns;                                                   \
            const T *restrict x3 = x2 + columns;                                                   \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = acc[j] OPERATOR(A) x0[j] OPERATOR(A) x1[j] OPERATOR(A) x2[j] OPERATOR(A)  \
                    x3[j];                                                                         \
            }                                                                                      \
        }                                                                                          \
        for (; i < rows; i++) {                                                                    \
            const T *restrict x0 = (const T *)x + i * columns;                                     \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = acc[j] OPERATOR(A) x0[j];                                                 \
            }                                                                                      \
        }                                                                                          \
    }

#define ACROSS_INTEGER(name, suffix, T, A, OPERATOR)                                               \
    static void name##_across_##suffix(int64_t rows, int64_t columns, const void *x,               \
                                       void *const *planes, const struct tsi_fold_index *index)    \
    {                                                                                              \
        A *acc = planes[0];                                                                        \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            const T *row = (const T *)x + i * columns;                                             \
            A folded = acc[i];                                                                     \
            for (int64_t j = 0; j < columns; j++) {                                                \
                folded = folded OPERATOR(A) row[j];                                                \
            }                                                                                      \
            acc[i] = folded;                                                                       \
        }                                                                                          \
    }

// Accumulators of both signs add and multiply as uint64: the bits are the same, and they wrap.
#define INTEGER(NAME, suffix, T, U)                                                                \
    DOWN(sum, suffix, T, uint64_t, +)                                                              \
    DOWN(prod, suffix, T, uint64_t, *)                                                             \
    ACROSS_INTEGER(sum, suffix, T, uint64_t, +)                                                    \
    ACROSS_INTEGER(prod, suffix, T, uint64_t, *)
#define FLOAT(NAME, suffix, T, U)                                                                  \
    DOWN(sum, suffix, T, double, +)                                                                \
    DOWN(prod, suffix, T, double, *)
#define MEAN(NAME, suffix, T, U) DOWN(mean, suffix, T, double, +)

TSI_FOR_INTEGER(INTEGER)
TSI_FOR_FLOAT(FLOAT)
TSI_FOR_INTEGER(MEAN)

// bool counts bytes that are not zero.
#define TRUTH_DOWN(name, A, OPERATOR)                                                              \
    static void name##_down_truth(int64_t rows, int64_t columns, const void *x,                    \
                                  void *const *planes, const struct tsi_fold_index *index)         \
    {                                                                                              \
        A *restrict acc = planes[0];                                                               \
        const uint8_t *restrict row = x;                                                           \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = acc[j] OPERATOR(A)(row[j] != 0);                                          \
            }                                                                                      \
        }                                                                                          \
    }

#define TRUTH_ACROSS(name, A, OPERATOR)                                                            \
    static void name##_across_truth(int64_t rows, int64_t columns, const void *x,                  \
                                    void *const *planes, const struct tsi_fold_index *index)       \
    {                                                                                              \
        A *acc = planes[0];                                                                        \
        const uint8_t *row = x;                                                                    \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            A folded = acc[i];                                                                     \
            for (int64_t j = 0; j < columns; j++) {                                                \
                folded = folded OPERATOR(A)(row[j] != 0);                                          \
            }                                                                                      \
            acc[i] = folded;                                                                       \
        }                                                                                          \
    }

TRUTH_DOWN(sum, uint64_t, +)
TRUTH_DOWN(prod, uint64_t, *)
TRUTH_DOWN(mean, double, +)
TRUTH_ACROSS(sum, uint64_t, +)
TRUTH_ACROSS(prod, uint64_t, *)

// Folds a run of float64 in 16 lanes, its end filled up with what changes nothing; short runs in
// order.
#define RUN(name, nothing, OPERATOR)                                                               \
    static double name##_run(int64_t count, const double *x)                                       \
    {                                                                                              \
        double folded = (nothing);                                                                 \
        if (count < LANES) {                                                                       \
            for (int64_t t = 0; t < count; t++) {                                                  \
                folded = folded OPERATOR x[t];                                                     \
            }                                                                                      \
            return folded;                                                                         \
        }                                                                                          \
        tsi_vector_f64 acc[LANE_VECTORS];                                                          \
        for (int k = 0; k < LANE_VECTORS; k++) {                                                   \
            acc[k] = tsi_isa_load_f64(x + k * TSI_VECTOR_F64);                                     \
        }                                                                                          \
        int64_t t = LANES;                                                                         \
        for (; t + LANES <= count; t += LANES) {                                                   \
            for (int k = 0; k < LANE_VECTORS; k++) {                                               \
                acc[k] = acc[k] OPERATOR tsi_isa_load_f64(x + t + k * TSI_VECTOR_F64);             \
            }                                                                                      \
        }                                                                                          \
        if (t < count) {                                                                           \
            double last[LANES];                                                                    \
            for (int l = 0; l < LANES; l++) {                                                      \
                last[l] = t + l < count ? x[t + l] : (nothing);                                    \
            }                                                                                      \
            for (int k = 0; k < LANE_VECTORS; k++) {                                               \
                acc[k] = acc[k] OPERATOR tsi_isa_load_f64(last + k * TSI_VECTOR_F64);              \
            }                                                                                      \
        }                                                                                          \
        for (int half = LANE_VECTORS / 2; half > 0; half /= 2) {                                   \
            for (int k = 0; k < half; k++) {                                                       \
                acc[k] = acc[k] OPERATOR acc[k + half];                                            \
            }                                                                                      \
        }                                                                                          \
        double lane[TSI_VECTOR_F64];                                                               \
        tsi_isa_store_f64(lane, acc[0]);                                                           \
        for (int half = TSI_VECTOR_F64 / 2; half > 0; half /= 2) {                                 \
            for (int l = 0; l < half; l++) {                                                       \
                lane[l] = lane[l] OPERATOR lane[l + half];                                         \
            }                                                                                      \
        }                                                                                          \
        return lane[0];                                                                            \
    }

RUN(sum, 0.0, +)
RUN(prod, 1.0, *)

double
TSI_ISA_NAME(tsi_isa_sum)(int64_t count, const double *x)
{
    return sum_run(count, x);
}

// Rows of any type, converted to float64 a block at a time; `widen` is NULL for float64 itself.
#define ROWS(name, OPERATOR)                                                                       \
    static void name##_rows(int64_t rows, int64_t columns, const uint8_t *x, size_t bytes,         \
                            tsi_kernel_cast *widen, double *acc)                                   \
    {                                                                                              \
        double wide[BLOCK];                                                                        \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            for (int64_t j = 0; j < columns; j += BLOCK) {                                         \
                const int64_t now = columns - j < BLOCK ? columns - j : BLOCK;                     \
                const void *from = x + (size_t)(i * columns + j) * bytes;                          \
                if (widen != NULL) {                                                               \
                    widen(now, wide, from);                                                        \
                    from = wide;                                                                   \
                }                                                                                  \
                acc[i] = acc[i] OPERATOR name##_run(now, from);                                    \
            }                                                                                      \
        }                                                                                          \
    }

ROWS(sum, +)
ROWS(prod, *)

#define ACROSS(name, kernel, suffix, T, widen)                                                     \
    static void name##_across_##suffix(int64_t rows, int64_t columns, const void *x,               \
                                       void *const *planes, const struct tsi_fold_index *index)    \
    {                                                                                              \
        (void)index;                                                                               \
        kernel##_rows(rows, columns, x, sizeof(T), widen, planes[0]);                              \
    }
#define ACROSS_MEAN(NAME, suffix, T, U)                                                            \
    ACROSS(mean, sum, suffix, T, TSI_ISA_NAME(tsi_isa_cast_to_f64)(TESS_##NAME))

TSI_FOR_BOOL(ACROSS_MEAN)
TSI_FOR_INTEGER(ACROSS_MEAN)
ACROSS(sum, sum, f32, float, TSI_ISA_NAME(tsi_isa_cast_to_f64)(TESS_F32))
ACROSS(prod, prod, f32, float, TSI_ISA_NAME(tsi_isa_cast_to_f64)(TESS_F32))
ACROSS(sum, sum, f64, double, NULL)
ACROSS(prod, prod, f64, double, NULL)

// Start, merge and finish of one plane of A.
#define PLANE(name, A, nothing, OPERATOR)                                                          \
    static void start_##name(int64_t count, void *const *planes)                                   \
    {                                                                                              \
        A *acc = planes[0];                                                                        \
        for (int64_t i = 0; i < count; i++) {                                                      \
            acc[i] = (nothing);                                                                    \
        }                                                                                          \
    }                                                                                              \
    static void merge_##name(int64_t count, void *const *planes, const void *const *other)         \
    {                                                                                              \
        A *restrict acc = planes[0];                                                               \
        const A *restrict from = other[0];                                                         \
        for (int64_t i = 0; i < count; i++) {                                                      \
            acc[i] = acc[i] OPERATOR from[i];                                                      \
        }                                                                                          \
    }

PLANE(sum_integer, uint64_t, 0, +)
PLANE(prod_integer, uint64_t, 1, *)
PLANE(sum_float, double, 0.0, +)
PLANE(prod_float, double, 1.0, *)

static void
finish_integer(int64_t count, void *out, const void *const *planes, double folded, double ddof)
{
    (void)folded;
    (void)ddof;
    for (int64_t i = 0; i < count; i++) {
        ((uint64_t *)out)[i] = ((const uint64_t *)planes[0])[i];
    }
}

#define FINISH(suffix, T)                                                                          \
    static void finish_##suffix(int64_t count, void *out, const void *const *planes,               \
                                double folded, double ddof)                                        \
    {                                                                                              \
        T *r = out;                                                                                \
        const double *acc = planes[0];                                                             \
        (void)folded;                                                                              \
        (void)ddof;                                                                                \
        for (int64_t i = 0; i < count; i++) {                                                      \
            r[i] = (T)acc[i];                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void finish_mean_##suffix(int64_t count, void *out, const void *const *planes,          \
                                     double folded, double ddof)                                   \
    {                                                                                              \
        T *r = out;                                                                                \
        const double *acc = planes[0];                                                             \
        (void)ddof;                                                                                \
        for (int64_t i = 0; i < count; i++) {                                                      \
            r[i] = (T)(acc[i] / folded);                                                           \
        }                                                                                          \
    }

FINISH(f32, float)
FINISH(f64, double)

// `fold` names the functions that fold, `plane` those that start and merge.
#define SET(REDUCTION, NAME, fold, suffix, plane, last)                                            \
    table->reduction[TSI_REDUCE_##REDUCTION][TESS_##NAME] = (struct tsi_kernel_reduction){         \
        fold##_down_##suffix, fold##_across_##suffix, start_##plane, merge_##plane, last};

#define SET_INTEGER(NAME, suffix, T, U)                                                            \
    SET(SUM, NAME, sum, suffix, sum_integer, finish_integer)                                       \
    SET(PROD, NAME, prod, suffix, prod_integer, finish_integer)                                    \
    SET(MEAN, NAME, mean, suffix, sum_float, finish_mean_f64)
#define SET_FLOAT(NAME, suffix, T, U)                                                              \
    SET(SUM, NAME, sum, suffix, sum_float, finish_##suffix)                                        \
    SET(PROD, NAME, prod, suffix, prod_float, finish_##suffix)                                     \
    SET(MEAN, NAME, sum, suffix, sum_float, finish_mean_##suffix)

void
TSI_ISA_NAME(tsi_isa_fill_fold_sum)(struct tsi_kernel_table *table)
{
    TSI_FOR_BOOL(SET_INTEGER)
    TSI_FOR_INTEGER(SET_INTEGER)
    TSI_FOR_FLOAT(SET_FLOAT)
}
