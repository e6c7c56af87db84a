// SPDX-License-Identifier: Apache-2.0
//
// What vector types alone do not say well about registers of 64-bit lanes. Each function computes
// the same bits on every instruction set.

#ifndef TSI_KERNEL_ISA_LANES_H
#define TSI_KERNEL_ISA_LANES_H

#include <math.h>
#include <stdint.h>

#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define TSI_LANES_INLINE static inline __attribute__((always_inline))

#define TSI_LANES_LOW_WORD UINT64_C(0xFFFFFFFF)

// TSI_LANES_LOW and TSI_LANES_HIGH, one instruction each, take the lanes of two registers in turn.
// The numbers 0, 1, 2, … in the order of TSI_LANES_ORDER come out of LOW and then HIGH in their own
// order.
#if TSI_VECTOR_F64 == 8
#define TSI_LANES_ORDER                                                                            \
    {                                                                                              \
        0, 4, 1, 5, 2, 6, 3, 7                                                                     \
    }
#define TSI_LANES_LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14)
#define TSI_LANES_HIGH(x, y) __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15)
#elif TSI_VECTOR_F64 == 4
#define TSI_LANES_ORDER                                                                            \
    {                                                                                              \
        0, 2, 1, 3                                                                                 \
    }
#define TSI_LANES_LOW(x, y) __builtin_shufflevector(x, y, 0, 4, 2, 6)
#define TSI_LANES_HIGH(x, y) __builtin_shufflevector(x, y, 1, 5, 3, 7)
#else
#define TSI_LANES_ORDER                                                                            \
    {                                                                                              \
        0, 1                                                                                       \
    }
#define TSI_LANES_LOW(x, y) __builtin_shufflevector(x, y, 0, 2)
#define TSI_LANES_HIGH(x, y) __builtin_shufflevector(x, y, 1, 3)
#endif

// The products of the lower halves of lanes.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_multiply_words(tsi_vector_u64 x, tsi_vector_u64 y)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_mul_epu32((__m512i)x, (__m512i)y);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_u64)_mm256_mul_epu32((__m256i)x, (__m256i)y);
#elif defined(__x86_64__)
    return (tsi_vector_u64)_mm_mul_epu32((__m128i)x, (__m128i)y);
#else
    return (x & TSI_LANES_LOW_WORD) * (y & TSI_LANES_LOW_WORD);
#endif
}

TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_sqrt(tsi_vector_f64 x)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_sqrt_pd((__m512d)x);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_f64)_mm256_sqrt_pd((__m256d)x);
#elif defined(__x86_64__)
    return (tsi_vector_f64)_mm_sqrt_pd((__m128d)x);
#else
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        x[l] = sqrt(x[l]);
    }
    return x;
#endif
}

// Each lane of x, but of y where the highest bit of `sign` is set.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_choose(tsi_vector_u64 sign, tsi_vector_u64 x, tsi_vector_u64 y)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_mask_blend_epi64(_mm512_movepi64_mask((__m512i)sign), (__m512i)x,
                                                   (__m512i)y);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_u64)_mm256_blendv_pd((__m256d)x, (__m256d)y, (__m256d)sign);
#else
    const tsi_vector_u64 mask = 0 - (sign >> 63);
    return (x & ~mask) | (y & mask);
#endif
}

// low + 2^32·high of the lower halves of lanes.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_join(tsi_vector_u64 low, tsi_vector_u64 high)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_mask_shuffle_epi32((__m512i)low, 0xAAAA, (__m512i)high,
                                                     _MM_PERM_CCAA);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_u64)_mm256_blend_epi32((__m256i)low, (__m256i)(high << 32), 0xAA);
#else
    return (low & TSI_LANES_LOW_WORD) | (high << 32);
#endif
}

// low + 2^32·high of the lower halves of lanes, rounded to nearest. Elsewhere than in AVX-512 the
// halves become the ends of the significands of 2^52 + low and 2^84 + 2^32·high, whose difference
// from what was added is exact.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_real(tsi_vector_u64 low, tsi_vector_u64 high)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_cvtepu64_pd((__m512i)tsi_lanes_join(low, high));
#else
    const uint64_t low_one = UINT64_C(0x4330000000000000);
    const uint64_t high_one = UINT64_C(0x4530000000000000);
#if defined(TSI_ISA_avx2)
    const __m256i l = _mm256_blend_epi32((__m256i)low, _mm256_set1_epi64x((int64_t)low_one), 0xAA);
    const __m256i h =
        _mm256_blend_epi32((__m256i)high, _mm256_set1_epi64x((int64_t)high_one), 0xAA);
#else
    const tsi_vector_u64 l = (low & TSI_LANES_LOW_WORD) | low_one;
    const tsi_vector_u64 h = (high & TSI_LANES_LOW_WORD) | high_one;
#endif
    return ((tsi_vector_f64)h - (0x1p84 + 0x1p52)) + (tsi_vector_f64)l;
#endif
}

// x = 2^k·m of positive normal numbers, m in [3/4, 3/2); returns k − `less` as a float.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_split(tsi_vector_f64 x, int less, tsi_vector_f64 *m)
{
    // Half of the significand's range is added, so that it carries where m is to be below 1.
    const uint64_t half = UINT64_C(1) << 51;
#if defined(TSI_ISA_avx512)
    *m = (tsi_vector_f64)_mm512_getmant_pd((__m512d)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
    const tsi_vector_u64 carried = (tsi_vector_u64)x + (half - ((uint64_t)less << 52));
    return (tsi_vector_f64)_mm512_getexp_pd((__m512d)carried);
#else
    const uint64_t three_quarters = UINT64_C(0x3FE8000000000000);
    const tsi_vector_u64 carried = (tsi_vector_u64)x + half;
    *m = (tsi_vector_f64)((carried & UINT64_C(0x000FFFFFFFFFFFFF)) + three_quarters);
    const tsi_vector_u64 exponent = (carried >> 52) | UINT64_C(0x4330000000000000);
    return (tsi_vector_f64)exponent - (0x1p52 + 1023.0 + less);
#endif
}

TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_all(uint64_t x)
{
    return (tsi_vector_u64){0} + x;
}

TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_all_f64(double x)
{
    return (tsi_vector_f64){0} + x;
}

#endif
