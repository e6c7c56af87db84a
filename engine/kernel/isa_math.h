// SPDX-License-Identifier: Apache-2.0
//
// How the mathematical functions of one operand go over a run. Each is computed in registers of
// float64, whatever its type: float32 is converted, which leaves it half a unit of its last place
// and little more. A function has two forms. The easy one says which arguments it is good for, and
// nearly all are; a register with another argument goes through the hard one too, which is good for
// all. Each lane takes its own form, and the end of a run is a register filled up with ones, so an
// element's result depends neither on its neighbours nor on its place.

#ifndef TSI_KERNEL_ISA_MATH_H
#define TSI_KERNEL_ISA_MATH_H

#include "engine/kernel/isa_lanes.h"

// Sets the highest bit of `*is_hard` in the lanes where the result is none.
typedef tsi_vector_f64 tsi_math_easy(tsi_vector_f64 x, tsi_vector_u64 *is_hard);

typedef tsi_vector_f64 tsi_math_hard(tsi_vector_f64 x);

#define TSI_MATH_SIGN (UINT64_C(1) << 63)

// What is added to round to a whole number, which is then found in the lowest bits.
#define TSI_MATH_ROUND 0x1.8p52

// How many elements ahead of their use lines are asked for. Between its other work a function reads
// memory too slowly for the processor's own prefetching to get under way in time; a sum of sines
// took twice as long. Beyond the run lies what the next one reads, or nothing, which does no harm.
#define TSI_MATH_AHEAD 1024

// c[0] + c[1]·x + …
TSI_LANES_INLINE tsi_vector_f64
tsi_math_polynomial(tsi_vector_f64 x, int count, const double *c)
{
    tsi_vector_f64 y = tsi_lanes_all_f64(c[count - 1]);
    TSI_UNROLL
    for (int i = count - 2; i >= 0; i--) {
        y = tsi_lanes_fma(y, x, tsi_lanes_all_f64(c[i]));
    }
    return y;
}

TSI_LANES_INLINE tsi_vector_f64
tsi_math_apply(tsi_vector_f64 x, tsi_math_easy *easy, tsi_math_hard *hard)
{
    tsi_vector_u64 is_hard;
    const tsi_vector_f64 y = easy(x, &is_hard);
    if (__builtin_expect(tsi_lanes_any(is_hard), 0)) {
        return (tsi_vector_f64)tsi_lanes_choose(is_hard, (tsi_vector_u64)y,
                                                (tsi_vector_u64)hard(x));
    }
    return y;
}

TSI_LANES_INLINE void
tsi_math_map_f64(int64_t count, double *out, const double *x, tsi_math_easy *easy,
                 tsi_math_hard *hard)
{
    int64_t i = 0;
    for (; i + TSI_VECTOR_F64 <= count; i += TSI_VECTOR_F64) {
        __builtin_prefetch(x + i + TSI_MATH_AHEAD);
        tsi_isa_store_f64(out + i, tsi_math_apply(tsi_isa_load_f64(x + i), easy, hard));
    }
    if (i < count) {
        double end[TSI_VECTOR_F64];
        for (int l = 0; l < TSI_VECTOR_F64; l++) {
            end[l] = i + l < count ? x[i + l] : 1.0;
        }
        tsi_isa_store_f64(end, tsi_math_apply(tsi_isa_load_f64(end), easy, hard));
        __builtin_memcpy(out + i, end, (size_t)(count - i) * sizeof(*out));
    }
}

TSI_LANES_INLINE void
tsi_math_apply_f32(float *out, const float *x, tsi_math_easy *easy, tsi_math_hard *hard)
{
    tsi_lanes_store_f32(out, tsi_math_apply(tsi_lanes_load_f32(x), easy, hard));
}

TSI_LANES_INLINE void
tsi_math_map_f32(int64_t count, float *out, const float *x, tsi_math_easy *easy,
                 tsi_math_hard *hard)
{
    int64_t i = 0;
    for (; i + TSI_VECTOR_F64 <= count; i += TSI_VECTOR_F64) {
        __builtin_prefetch(x + i + TSI_MATH_AHEAD);
        tsi_math_apply_f32(out + i, x + i, easy, hard);
    }
    if (i < count) {
        float end[TSI_VECTOR_F64];
        for (int l = 0; l < TSI_VECTOR_F64; l++) {
            end[l] = i + l < count ? x[i + l] : 1.0F;
        }
        tsi_math_apply_f32(end, end, easy, hard);
        __builtin_memcpy(out + i, end, (size_t)(count - i) * sizeof(*out));
    }
}

// The kernels name_f32 and name_f64, of the forms easy_name_*() and hard_name().
#define TSI_MATH_KERNELS(name)                                                                     \
    static void name##_f32(int64_t count, void *out, const void *a, const void *b, const void *c)  \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        tsi_math_map_f32(count, out, a, easy_##name##_f32, hard_##name);                           \
    }                                                                                              \
    static void name##_f64(int64_t count, void *out, const void *a, const void *b, const void *c)  \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        tsi_math_map_f64(count, out, a, easy_##name##_f64, hard_##name);                           \
    }

#endif
