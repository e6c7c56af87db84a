// SPDX-License-Identifier: Apache-2.0
//
// Sources that count: arange, linspace, eye. Every element is computed from its own index, in
// float64 or in wrapping 64-bit integers, never from the element before it.

#include "engine/kernel/isa.h"

// The index of element t, wrapping as the contract of struct tsi_kernel_index says.
static inline int64_t
index_at(struct tsi_kernel_index index, int64_t t)
{
    return (int64_t)((uint64_t)index.first + (uint64_t)t * (uint64_t)index.stride);
}

// Whether all indices of a run fit in the significand of a float64, which real_of() wants.
static bool
is_short(struct tsi_kernel_index index, int64_t count)
{
    const int64_t end = INT64_C(1) << 52;
    int64_t last;
    return index.first >= 0 && index.first < end && count > 0 &&
           !__builtin_mul_overflow(count - 1, index.stride, &last) &&
           !__builtin_add_overflow(last, index.first, &last) && last >= 0 && last < end;
}

// The number, by the significand of 2^52 + index: below AVX-512 no instruction converts a register
// of 64-bit integers.
static inline double
real_of(uint64_t index)
{
    const uint64_t bits = index | UINT64_C(0x4330000000000000);
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x - 0x1p52;
}

#define ARANGE_FLOAT(NAME, suffix, T, U)                                                           \
    static void arange_##suffix(int64_t count, void *out, struct tsi_kernel_index index,           \
                                const struct tsi_source_params *params)                            \
    {                                                                                              \
        T *r = out;                                                                                \
        const double start = params->a;                                                            \
        const double step = params->b;                                                             \
        if (is_short(index, count)) {                                                              \
            uint64_t at = (uint64_t)index.first;                                                   \
            for (int64_t t = 0; t < count; t++, at += (uint64_t)index.stride) {                    \
                r[t] = (T)(start + real_of(at) * step);                                            \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t t = 0; t < count; t++) {                                                      \
            r[t] = (T)(start + (double)index_at(index, t) * step);                                 \
        }                                                                                          \
    }

#define ARANGE_INTEGER(NAME, suffix, T, U)                                                         \
    static void arange_##suffix(int64_t count, void *out, struct tsi_kernel_index index,           \
                                const struct tsi_source_params *params)                            \
    {                                                                                              \
        T *r = out;                                                                                \
        const uint64_t start = (uint64_t)params->ia;                                               \
        const uint64_t step = (uint64_t)params->ib;                                                \
        for (int64_t t = 0; t < count; t++) {                                                      \
            r[t] = (T)(start + (uint64_t)index_at(index, t) * step);                               \
        }                                                                                          \
    }

#define EYE(NAME, suffix, T, U)                                                                    \
    static void eye_##suffix(int64_t count, void *out, struct tsi_kernel_index index,              \
                             const struct tsi_source_params *params)                               \
    {                                                                                              \
        T *r = out;                                                                                \
        const int64_t diagonal = params->ia;                                                       \
        for (int64_t t = 0; t < count; t++) {                                                      \
            r[t] = index_at(index, t) == diagonal ? (T)1 : (T)0;                                   \
        }                                                                                          \
    }

TSI_FOR_FLOAT(ARANGE_FLOAT)
TSI_FOR_INTEGER(ARANGE_INTEGER)
TSI_FOR_ALL(EYE)

static void
arange_truth(int64_t count, void *out, struct tsi_kernel_index index,
             const struct tsi_source_params *params)
{
    uint8_t *r = out;
    for (int64_t t = 0; t < count; t++) {
        r[t] = params->a + (double)index_at(index, t) * params->b != 0;
    }
}

static void
linspace_f64(int64_t count, void *out, struct tsi_kernel_index index,
             const struct tsi_source_params *params)
{
    double *r = out;
    if (is_short(index, count)) {
        uint64_t at = (uint64_t)index.first;
        for (int64_t t = 0; t < count; t++, at += (uint64_t)index.stride) {
            const double x = params->a + real_of(at) * params->c;
            r[t] = (int64_t)at < params->ia ? x : params->b;
        }
        return;
    }
    for (int64_t t = 0; t < count; t++) {
        const int64_t at = index_at(index, t);
        const double x = params->a + (double)at * params->c;
        r[t] = at < params->ia ? x : params->b;
    }
}

// The other types are cast from blocks of float64 by the table's own casts.
#define LINSPACE_BLOCK 512

#define LINSPACE(NAME, suffix, T, U)                                                               \
    static void linspace_##suffix(int64_t count, void *out, struct tsi_kernel_index index,         \
                                  const struct tsi_source_params *params)                          \
    {                                                                                              \
        double block[LINSPACE_BLOCK];                                                              \
        for (int64_t t = 0; t < count; t += LINSPACE_BLOCK) {                                      \
            const int64_t now = count - t < LINSPACE_BLOCK ? count - t : LINSPACE_BLOCK;           \
            const struct tsi_kernel_index at = {index_at(index, t), index.stride};                 \
            linspace_f64(now, block, at, params);                                                  \
            TSI_ISA_NAME(tsi_isa_cast_f64)(TESS_##NAME)(now, (T *)out + t, block);                 \
        }                                                                                          \
    }

TSI_FOR_BOOL(LINSPACE)
TSI_FOR_INTEGER(LINSPACE)
LINSPACE(F32, f32, float, float)

#define SET(NAME, suffix, T, U)                                                                    \
    table->source[TSI_SOURCE_ARANGE][TESS_##NAME] = arange_##suffix;                               \
    table->source[TSI_SOURCE_LINSPACE][TESS_##NAME] = linspace_##suffix;                           \
    table->source[TSI_SOURCE_EYE][TESS_##NAME] = eye_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_source)(struct tsi_kernel_table *table)
{
    TSI_FOR_ALL(SET)
}
