// SPDX-License-Identifier: Apache-2.0
//
// any and all. The accumulator is one plane of bytes, 0 or 1; NaN is not zero.

#include "engine/kernel/isa.h"

// Elements that are looked at between two questions whether the answer is known.
#define BLOCK 1024

#define FOLD(NAME, suffix, T, U)                                                                   \
    static bool some_##suffix(int64_t count, const T *x)                                           \
    {                                                                                              \
        uint8_t found = 0;                                                                         \
        for (int64_t i = 0; i < count; i++) {                                                      \
            found |= (uint8_t)(x[i] != 0);                                                         \
        }                                                                                          \
        return found != 0;                                                                         \
    }                                                                                              \
    static bool every_##suffix(int64_t count, const T *x)                                          \
    {                                                                                              \
        uint8_t missed = 0;                                                                        \
        for (int64_t i = 0; i < count; i++) {                                                      \
            missed |= (uint8_t)(x[i] == 0);                                                        \
        }                                                                                          \
        return missed == 0;                                                                        \
    }                                                                                              \
    DOWN(any, suffix, T, |)                                                                        \
    DOWN(all, suffix, T, &)                                                                        \
    ACROSS(any, suffix, T, !truth, some)                                                           \
    ACROSS(all, suffix, T, truth, every)

#define DOWN(name, suffix, T, OPERATOR)                                                            \
    static void name##_down_##suffix(int64_t rows, int64_t columns, const void *x,                 \
                                     void *const *planes, const struct tsi_fold_index *index)      \
    {                                                                                              \
        uint8_t *restrict acc = planes[0];                                                         \
        const T *restrict row = x;                                                                 \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            for (int64_t j = 0; j < columns; j++) {                                                \
                acc[j] = (uint8_t)(acc[j] OPERATOR(uint8_t)(row[j] != 0));                         \
            }                                                                                      \
        }                                                                                          \
    }

#define ACROSS(name, suffix, T, open, test)                                                        \
    static void name##_across_##suffix(int64_t rows, int64_t columns, const void *x,               \
                                       void *const *planes, const struct tsi_fold_index *index)    \
    {                                                                                              \
        uint8_t *acc = planes[0];                                                                  \
        const T *row = x;                                                                          \
        (void)index;                                                                               \
        for (int64_t i = 0; i < rows; i++, row += columns) {                                       \
            bool truth = acc[i] != 0;                                                              \
            for (int64_t j = 0; j < columns && (open); j += BLOCK) {                               \
                truth = test##_##suffix(columns - j < BLOCK ? columns - j : BLOCK, row + j);       \
            }                                                                                      \
            acc[i] = truth;                                                                        \
        }                                                                                          \
    }

TSI_FOR_ALL(FOLD)

#define PLANE(name, nothing, OPERATOR)                                                             \
    static void start_##name(int64_t count, void *const *planes)                                   \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            ((uint8_t *)planes[0])[i] = (nothing);                                                 \
        }                                                                                          \
    }                                                                                              \
    static void merge_##name(int64_t count, void *const *planes, const void *const *other)         \
    {                                                                                              \
        uint8_t *acc = planes[0];                                                                  \
        const uint8_t *from = other[0];                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            acc[i] = (uint8_t)(acc[i] OPERATOR from[i]);                                           \
        }                                                                                          \
    }

PLANE(any, 0, |)
PLANE(all, 1, &)

static void
finish(int64_t count, void *out, const void *const *planes, double folded, double ddof)
{
    (void)folded;
    (void)ddof;
    for (int64_t i = 0; i < count; i++) {
        ((uint8_t *)out)[i] = ((const uint8_t *)planes[0])[i];
    }
}

#define SET(NAME, suffix, T, U)                                                                    \
    table->reduction[TSI_REDUCE_ANY][TESS_##NAME] = (struct tsi_kernel_reduction){                 \
        any_down_##suffix, any_across_##suffix, start_any, merge_any, finish};                     \
    table->reduction[TSI_REDUCE_ALL][TESS_##NAME] = (struct tsi_kernel_reduction){                 \
        all_down_##suffix, all_across_##suffix, start_all, merge_all, finish};

void
TSI_ISA_NAME(tsi_isa_fill_fold_logic)(struct tsi_kernel_table *table)
{
    TSI_FOR_ALL(SET)
}
