// SPDX-License-Identifier: Apache-2.0
//
// A register of the instruction set as a vector of the compiler, and the few operations on it that
// the compiler does not find by itself.

#ifndef BENCH_LIMIT_ISA_LANES_H
#define BENCH_LIMIT_ISA_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define LANES 8
#elif defined __AVX2__
#define LANES 4
#else
#define LANES 2
#endif

typedef uint64_t bits __attribute__((vector_size(LANES * 8)));
typedef double reals __attribute__((vector_size(LANES * 8)));

#define LANES_INLINE static inline __attribute__((always_inline))

// x, computed before what stands after it: where registers are few, the compiler is not to move
// instructions so far from each other that it needs more.
LANES_INLINE bits
keep(bits x)
{
#if defined __AVX2__ && !defined __AVX512F__
    __asm__("" : "+x"(x));
#endif
    return x;
}

// The products of the lower halves of the lanes.
LANES_INLINE bits
multiply_words(bits a, bits b)
{
#if defined __AVX512F__
    return (bits)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined __AVX2__
    return (bits)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined __x86_64__
    return (bits)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & UINT32_MAX) * (b & UINT32_MAX);
#endif
}

// The halves of each lane in turn: the upper one in the lower half, as multiply_words() reads it. A
// permutation, since shifts contend for ports with the products.
LANES_INLINE bits
swap_words(bits a)
{
#if defined __AVX512F__
    return (bits)_mm512_shuffle_epi32((__m512i)a, _MM_PERM_CDAB);
#elif defined __AVX2__
    return (bits)_mm256_shuffle_epi32((__m256i)a, 0xB1);
#elif defined __x86_64__
    return (bits)_mm_shuffle_epi32((__m128i)a, 0xB1);
#else
    return (a >> 32) | (a << 32);
#endif
}

LANES_INLINE bits
xor_words(bits a, bits b, bits c)
{
#if defined __AVX512F__
    return (bits)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ (b ^ c);
#endif
}

// The same of the lower halves; the upper ones are those of `a`.
LANES_INLINE bits
xor_lower_words(bits a, bits b, bits c)
{
#if defined __AVX512F__
    return (bits)_mm512_mask_ternarylogic_epi32((__m512i)a, 0x5555, (__m512i)b, (__m512i)c, 0x96);
#elif defined __AVX2__
    return (bits)_mm256_blend_epi32((__m256i)(a ^ (b ^ c)), (__m256i)a, 0xAA);
#else
    return a ^ ((b ^ c) & UINT32_MAX);
#endif
}

// Lanes of b where the bit is set in `of`, else of a.
LANES_INLINE reals
pick(bits of, int bit, reals a, reals b)
{
#if defined __AVX512F__
    const __m512i one = _mm512_set1_epi64(1LL << bit);
    return (reals)_mm512_mask_blend_pd(_mm512_test_epi64_mask((__m512i)of, one), (__m512d)a,
                                       (__m512d)b);
#elif defined __AVX2__
    return (reals)_mm256_blendv_pd((__m256d)a, (__m256d)b, (__m256d)(of << (63 - bit)));
#else
    const bits mask = -((of >> bit) & 1);
    return (reals)(((bits)a & ~mask) | ((bits)b & mask));
#endif
}

LANES_INLINE reals
square_root(reals x)
{
#if defined __AVX512F__
    return (reals)_mm512_sqrt_pd((__m512d)x);
#elif defined __AVX2__
    return (reals)_mm256_sqrt_pd((__m256d)x);
#elif defined __x86_64__
    return (reals)_mm_sqrt_pd((__m128d)x);
#else
    for (int i = 0; i < LANES; i++) {
        x[i] = sqrt(x[i]);
    }
    return x;
#endif
}

LANES_INLINE bits
all(uint64_t x)
{
    return x - (bits){0};
}

// The nearest numbers. Both halves are exact, as digits of 2^84 + … and 2^52 + ….
LANES_INLINE reals
round_number(bits number)
{
    const reals high = (reals)((number >> 32) | UINT64_C(0x4530000000000000));
    const reals low = (reals)((number & UINT32_MAX) | UINT64_C(0x4330000000000000));
    return (high - (0x1p84 + 0x1p52)) + low;
}

// The exponent k and the significand m, from 3/4 to 3/2, of a whole number that is not 0.
LANES_INLINE void
split(bits number, reals *k, reals *m)
{
#if defined __AVX512DQ__
    const __m512d x = _mm512_cvtepu64_pd((__m512i)number);
    *k = (reals)_mm512_getexp_pd(_mm512_mul_pd(x, _mm512_set1_pd(4.0 / 3)));
    *m = (reals)_mm512_getmant_pd(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
#else
    const bits x = (bits)round_number(number);
    const bits shifted = x + (UINT64_C(0x3FF0000000000000) - UINT64_C(0x3FE8000000000000));
    *k = (reals)((shifted >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    *m = (reals)((shifted & UINT64_C(0x000FFFFFFFFFFFFF)) + UINT64_C(0x3FE8000000000000));
#endif
}

LANES_INLINE reals
load(const double *from)
{
    reals x;
    memcpy(&x, from, sizeof x);
    return x;
}

LANES_INLINE void
store(double *to, reals x)
{
    memcpy(to, &x, sizeof x);
}

// To aligned memory, past the caches where that can be said.
LANES_INLINE void
stream(double *to, reals x)
{
#if defined __AVX512F__
    _mm512_stream_pd(to, (__m512d)x);
#elif defined __AVX2__
    _mm256_stream_pd(to, (__m256d)x);
#elif defined __x86_64__
    _mm_stream_pd(to, (__m128d)x);
#else
    store(to, x);
#endif
}

LANES_INLINE double
sum_lanes(reals x)
{
    double sum = 0;
    for (int i = 0; i < LANES; i++) {
        sum += x[i];
    }
    return sum;
}

#endif
