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
#elif defined(__aarch64__)
#include <arm_neon.h>
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

// x, computed before all that is written after it and uses it: a compiler that moves instructions
// far from each other needs more than the 16 registers of AVX2. Other sets are left to it.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_keep(tsi_vector_u64 x)
{
#if defined(TSI_ISA_avx2)
    __asm__("" : "+x"(x));
#endif
    return x;
}

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

// The upper halves of lanes in the lower ones; the upper ones hold rubbish. A permutation of words
// where there is one: shifts and products contend for the same ports.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_upper(tsi_vector_u64 x)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_shuffle_epi32((__m512i)x, _MM_PERM_CDAB);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_u64)_mm256_shuffle_epi32((__m256i)x, 0xB1);
#elif defined(__x86_64__)
    return (tsi_vector_u64)_mm_shuffle_epi32((__m128i)x, 0xB1);
#else
    return x >> 32;
#endif
}

// The halves of lanes swapped.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_swap(tsi_vector_u64 x)
{
#if defined(__x86_64__)
    return tsi_lanes_upper(x);
#else
    return (x >> 32) | (x << 32);
#endif
}

TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_xor(tsi_vector_u64 x, tsi_vector_u64 y, tsi_vector_u64 z)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0x96);
#else
    return x ^ (y ^ z);
#endif
}

// The same of the lower halves alone; the upper ones are those of x.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_xor_lower(tsi_vector_u64 x, tsi_vector_u64 y, tsi_vector_u64 z)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_u64)_mm512_mask_ternarylogic_epi32((__m512i)x, 0x5555, (__m512i)y,
                                                          (__m512i)z, 0x96);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_u64)_mm256_blend_epi32((__m256i)(x ^ (y ^ z)), (__m256i)x, 0xAA);
#else
    return x ^ ((y ^ z) & TSI_LANES_LOW_WORD);
#endif
}

// Numbers in [1, 2) of the lower 52 bits.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_one_to_two(tsi_vector_u64 x)
{
    const uint64_t significand = UINT64_C(0x000FFFFFFFFFFFFF);
    const uint64_t one = UINT64_C(0x3FF0000000000000);
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_ternarylogic_epi64(
        (__m512i)x, _mm512_set1_epi64((int64_t)significand), _mm512_set1_epi64((int64_t)one), 0xEA);
#else
    return (tsi_vector_f64)((x & significand) | one);
#endif
}

// −x where the highest bit of `sign` is set.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_flip(tsi_vector_f64 x, tsi_vector_u64 sign)
{
    const uint64_t highest = UINT64_C(1) << 63;
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)sign,
                                                     _mm512_set1_epi64((int64_t)highest), 0x78);
#else
    return (tsi_vector_f64)((tsi_vector_u64)x ^ (sign & highest));
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

// Whether the highest bit of some lane is set.
TSI_LANES_INLINE bool
tsi_lanes_any(tsi_vector_u64 sign)
{
#if defined(TSI_ISA_avx512)
    return _mm512_movepi64_mask((__m512i)sign) != 0;
#elif defined(TSI_ISA_avx2)
    return _mm256_movemask_pd((__m256d)sign) != 0;
#else
    return (sign[0] | sign[1]) >> 63 != 0;
#endif
}

// Whether some lane of x or y is beyond ±most; of a NaN it may be either.
TSI_LANES_INLINE bool
tsi_lanes_exceed(tsi_vector_f64 x, tsi_vector_f64 y, double most)
{
#if defined(TSI_ISA_avx512)
    const __m512d larger = _mm512_range_pd((__m512d)x, (__m512d)y, 0x0B);
    return _mm512_cmp_pd_mask(larger, _mm512_set1_pd(most), _CMP_NLE_UQ) != 0;
#elif defined(TSI_ISA_avx2)
    const __m256d sign = _mm256_set1_pd(-0.0);
    const __m256d larger =
        _mm256_max_pd(_mm256_andnot_pd(sign, (__m256d)x), _mm256_andnot_pd(sign, (__m256d)y));
    return _mm256_movemask_pd(_mm256_cmp_pd(larger, _mm256_set1_pd(most), _CMP_NLE_UQ)) != 0;
#else
    bool exceeds = false;
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        exceeds = exceeds || fabs(x[l]) > most || fabs(y[l]) > most;
    }
    return exceeds;
#endif
}

// As many float32 as there are lanes.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_load_f32(const float *from)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_cvtps_pd(_mm256_loadu_ps(from));
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_f64)_mm256_cvtps_pd(_mm_loadu_ps(from));
#else
    return (tsi_vector_f64){(double)from[0], (double)from[1]};
#endif
}

TSI_LANES_INLINE void
tsi_lanes_store_f32(float *to, tsi_vector_f64 x)
{
#if defined(TSI_ISA_avx512)
    _mm256_storeu_ps(to, _mm512_cvtpd_ps((__m512d)x));
#elif defined(TSI_ISA_avx2)
    _mm_storeu_ps(to, _mm256_cvtpd_ps((__m256d)x));
#else
    to[0] = (float)x[0];
    to[1] = (float)x[1];
#endif
}

// table[index % 16] of each lane.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_pick(const double table[16], tsi_vector_u64 index)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)index,
                                                  _mm512_loadu_pd(table + 8));
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_f64)_mm256_i64gather_pd(table, (__m256i)(index & 15), 8);
#else
    return (tsi_vector_f64){table[index[0] & 15], table[index[1] & 15]};
#endif
}

// Each lane of x, but of y where this bit of `bits` is set.
TSI_LANES_INLINE tsi_vector_u64
tsi_lanes_choose_by(tsi_vector_u64 bits, int bit, tsi_vector_u64 x, tsi_vector_u64 y)
{
#if defined(TSI_ISA_avx512)
    const __m512i one = _mm512_set1_epi64(1LL << bit);
    return (tsi_vector_u64)_mm512_mask_blend_epi64(_mm512_test_epi64_mask((__m512i)bits, one),
                                                   (__m512i)x, (__m512i)y);
#else
    return tsi_lanes_choose(bits << (63 - bit), x, y);
#endif
}

// x − y in each lane, but z where this bit of `bits` is set.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_subtract_unless(tsi_vector_u64 bits, int bit, tsi_vector_f64 x, tsi_vector_f64 y,
                          tsi_vector_f64 z)
{
#if defined(TSI_ISA_avx512)
    const __mmask8 is_clear = _mm512_testn_epi64_mask((__m512i)bits, _mm512_set1_epi64(1LL << bit));
    return (tsi_vector_f64)_mm512_mask_sub_pd((__m512d)z, is_clear, (__m512d)x, (__m512d)y);
#else
    return (tsi_vector_f64)tsi_lanes_choose_by(bits, bit, (tsi_vector_u64)(x - y),
                                               (tsi_vector_u64)z);
#endif
}

// The numbers, rounded to nearest. Elsewhere than in AVX-512 the halves become the ends of the
// significands of 2^52 + low and 2^84 + 2^32·high, whose difference from what was added is exact.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_real(tsi_vector_u64 x)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_cvtepu64_pd((__m512i)x);
#else
    const uint64_t low_one = UINT64_C(0x4330000000000000);
    const uint64_t high_one = UINT64_C(0x4530000000000000);
#if defined(TSI_ISA_avx2)
    const __m256i l = _mm256_blend_epi32((__m256i)x, _mm256_set1_epi64x((int64_t)low_one), 0xAA);
#else
    const tsi_vector_u64 l = (x & TSI_LANES_LOW_WORD) | low_one;
#endif
    const tsi_vector_u64 h = (x >> 32) | high_one;
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

#if defined(__x86_64__) && !defined(TSI_ISA_avx2) && !defined(TSI_ISA_avx512)

// x = high + low, exactly, each of at most 26 bits and a sign.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_half(tsi_vector_f64 x, tsi_vector_f64 *low)
{
    const tsi_vector_u64 carried = (tsi_vector_u64)x + (UINT64_C(1) << 26);
    const tsi_vector_f64 high = (tsi_vector_f64)(carried & ~((UINT64_C(1) << 27) - 1));
    *low = x - high;
    return high;
}

// x + y = sum + rest, exactly, for any finite numbers whose sum is finite (Knuth).
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_add_exactly(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 *rest)
{
    const tsi_vector_f64 sum = x + y;
    const tsi_vector_f64 of_y = sum - x;
    *rest = (x - (sum - of_y)) + (y - of_y);
    return sum;
}

// x + y rounded to odd: where it is not exact, the one of its two neighbours whose last bit is set.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_add_to_odd(tsi_vector_f64 x, tsi_vector_f64 y)
{
    tsi_vector_f64 rest;
    const tsi_vector_f64 sum = tsi_lanes_add_exactly(x, y, &rest);
    const tsi_vector_u64 is_inexact = (tsi_vector_u64)(rest != 0.0) & 1;
    const tsi_vector_u64 is_beyond = ((tsi_vector_u64)sum ^ (tsi_vector_u64)rest) >> 63;
    return (tsi_vector_f64)(((tsi_vector_u64)sum - (is_beyond & is_inexact)) | is_inexact);
}

// The product p is p + e (Dekker), and p + e + z is rounded once, since what goes into the last sum
// was rounded to odd, as Boldo and Melquiond prove (IEEE Transactions on Computers 57, 2008).
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_fma_of(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 z, tsi_vector_f64 p)
{
    tsi_vector_f64 x1;
    tsi_vector_f64 y1;
    tsi_vector_f64 z1;
    tsi_vector_f64 rest;
    const tsi_vector_f64 x0 = tsi_lanes_half(x, &x1);
    const tsi_vector_f64 y0 = tsi_lanes_half(y, &y1);
    const tsi_vector_f64 e = (((x0 * y0 - p) + x0 * y1) + x1 * y0) + x1 * y1;
    const tsi_vector_f64 z0 = tsi_lanes_add_exactly(z, e, &z1);
    const tsi_vector_f64 sum = tsi_lanes_add_exactly(p, z0, &rest);
    return sum + tsi_lanes_add_to_odd(rest, z1);
}

// x·y + z, rounded once, as in polynomials: z is not 0, so the sign of a product of 0 does not
// matter, and nothing underflows or overflows, since |x| and |y| are at most 2^1000, |z| at most
// 2^900, and the product is 0 or between 2^−900 and 2^900.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_fma_near(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 z)
{
    return tsi_lanes_fma_of(x, y, z, x * y);
}

// The same of any numbers: lanes that are not sure to be such, and those with a product of 0, are
// left to the C library.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_fma(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 z)
{
    const tsi_vector_f64 p = x * y;
    tsi_vector_f64 result = tsi_lanes_fma_of(x, y, z, p);
    const __m128d sign = _mm_set1_pd(-0.0);
    const __m128d size = _mm_andnot_pd(sign, (__m128d)p);
    const __m128d most = _mm_add_pd(size, _mm_andnot_pd(sign, (__m128d)z));
    // The halves of an operand next to infinity are none, and then the result is NaN.
    const int sure = _mm_movemask_pd(_mm_and_pd(_mm_cmpge_pd(size, _mm_set1_pd(0x1p-900)),
                                                _mm_cmple_pd(most, _mm_set1_pd(0x1p900)))) &
                     _mm_movemask_pd(_mm_cmpord_pd((__m128d)result, (__m128d)result));
    if (__builtin_expect(sure != 3, 0)) {
        for (int l = 0; l < TSI_VECTOR_F64; l++) {
            result[l] = (sure >> l & 1) != 0 ? result[l] : fma(x[l], y[l], z[l]);
        }
    }
    return result;
}

#else

// x·y + z, rounded once: the one way of fusing, since the compiler does not. Baseline x86-64 has no
// instruction for it and takes some fifty, the others one.
TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_fma(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 z)
{
#if defined(TSI_ISA_avx512)
    return (tsi_vector_f64)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
#elif defined(TSI_ISA_avx2)
    return (tsi_vector_f64)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
#elif defined(__aarch64__)
    return (tsi_vector_f64)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
#else
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        x[l] = fma(x[l], y[l], z[l]);
    }
    return x;
#endif
}

TSI_LANES_INLINE tsi_vector_f64
tsi_lanes_fma_near(tsi_vector_f64 x, tsi_vector_f64 y, tsi_vector_f64 z)
{
    return tsi_lanes_fma(x, y, z);
}

#endif

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
