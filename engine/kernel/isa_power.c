// SPDX-License-Identifier: Apache-2.0
//
// power of floats, by the functions of SLEEF that promise the same bits on every processor (named
// cinz: they use no fused multiply-add). They work on one register of elements; the end of a run is
// a register filled up with ones, so that an element's result does not depend on its place in the
// run.

#include <math.h>
#include <sleef.h>

#include "engine/kernel/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(TSI_ISA_avx512)
typedef __m512d vector_f64;
typedef __m512 vector_f32;
#define SLEEF_F64(name) Sleef_cinz_##name##d8_u10avx512fnofma
#define SLEEF_F32(name) Sleef_cinz_##name##f16_u10avx512fnofma
#elif defined(TSI_ISA_avx2)
typedef __m256d vector_f64;
typedef __m256 vector_f32;
#define SLEEF_F64(name) Sleef_cinz_##name##d4_u10avx
#define SLEEF_F32(name) Sleef_cinz_##name##f8_u10avx
#elif defined(__x86_64__)
typedef __m128d vector_f64;
typedef __m128 vector_f32;
#define SLEEF_F64(name) Sleef_cinz_##name##d2_u10sse2
#define SLEEF_F32(name) Sleef_cinz_##name##f4_u10sse2
#else
typedef double vector_f64;
typedef float vector_f32;
#define SLEEF_F64(name) Sleef_cinz_##name##d1_u10purec
#define SLEEF_F32(name) Sleef_cinz_##name##f1_u10purec
#endif

#define LANES_MAX 16

// Loads a whole register, or `count` elements filled up with ones.
#define LOAD(suffix, T)                                                                            \
    static inline vector_##suffix load_##suffix(const T *from)                                     \
    {                                                                                              \
        vector_##suffix x;                                                                         \
        __builtin_memcpy(&x, from, sizeof(x));                                                     \
        return x;                                                                                  \
    }                                                                                              \
    static inline vector_##suffix load_end_##suffix(const T *from, int64_t count)                  \
    {                                                                                              \
        T lane[LANES_MAX];                                                                         \
        for (int64_t i = 0; i < LANES_MAX; i++) {                                                  \
            lane[i] = i < count ? from[i] : (T)1;                                                  \
        }                                                                                          \
        return load_##suffix(lane);                                                                \
    }

LOAD(f32, float)
LOAD(f64, double)

// Makes every NaN the same one: those of SLEEF have signs and low bits that depend on the width of
// the registers.
#define SETTLE(suffix, T)                                                                          \
    static inline void settle_##suffix(int64_t count, T *r)                                        \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            r[i] = r[i] == r[i] ? r[i] : (T)NAN;                                                   \
        }                                                                                          \
    }

SETTLE(f32, float)
SETTLE(f64, double)

#define MATH2(name, kernel, suffix, T, SLEEF)                                                      \
    static void kernel##_##suffix(int64_t count, void *out, const void *a, const void *b,          \
                                  const void *c)                                                   \
    {                                                                                              \
        const int64_t lanes = (int64_t)(sizeof(vector_##suffix) / sizeof(T));                      \
        const T *x = a;                                                                            \
        const T *y = b;                                                                            \
        T *r = out;                                                                                \
        int64_t i = 0;                                                                             \
        (void)c;                                                                                   \
        for (; i + lanes <= count; i += lanes) {                                                   \
            const vector_##suffix z = SLEEF(name)(load_##suffix(x + i), load_##suffix(y + i));     \
            __builtin_memcpy(r + i, &z, sizeof(z));                                                \
        }                                                                                          \
        if (i < count) {                                                                           \
            const vector_##suffix z = SLEEF(name)(load_end_##suffix(x + i, count - i),             \
                                                  load_end_##suffix(y + i, count - i));            \
            __builtin_memcpy(r + i, &z, (size_t)(count - i) * sizeof(T));                          \
        }                                                                                          \
        settle_##suffix(count, r);                                                                 \
    }

MATH2(pow, power, f32, float, SLEEF_F32)
MATH2(pow, power, f64, double, SLEEF_F64)

#define SET(NAME, suffix, T, U) table->map[TSI_OP_POWER][TESS_##NAME] = power_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_power)(struct tsi_kernel_table *table)
{
    TSI_FOR_FLOAT(SET)
}
