// SPDX-License-Identifier: Apache-2.0
//
// exp. The argument is x = k·log(2) + r with |r| ≤ log(2)/2, and the result 2^k·exp(r) by a
// polynomial. In float64 the first 41 bits of log(2) times k are exact; the sum 1 + r is rounded,
// and its error joins the polynomial's terms from r² on. Coefficients are those of the least
// relative error that float64 has room for (2^-57 and 2^-28). Errors: under 0.6 ulp in float64,
// under 0.54 in float32.

#include "engine/kernel/isa_math.h"

#define LOG2_E 0x1.71547652b82fep0

static const double exp_c[] = {0x1.000000000000ap-1,  0x1.55555555554fep-3,  0x1.55555555506bfp-5,
                               0x1.1111111126b36p-7,  0x1.6c16c18475faap-10, 0x1.a01a012fed2e2p-13,
                               0x1.a019996299384p-16, 0x1.71df18f7a68d6p-19, 0x1.28adf8e7ba71dp-22,
                               0x1.ad92d1dc730f7p-26};
static const double short_exp_c[] = {1.0,
                                     0x1.0000008a29b28p0,
                                     0x1.fffffc1d0296bp-2,
                                     0x1.5554195b390f9p-3,
                                     0x1.5558224f13a07p-5,
                                     0x1.126784ce3f3ap-7,
                                     0x1.6ae72c614d46dp-10};

// x / log(2) rounded, as float and, above its lowest 11 bits, as what adds to an exponent.
struct power {
    tsi_vector_f64 k;
    tsi_vector_u64 bits;
};

TSI_LANES_INLINE struct power
split_power(tsi_vector_f64 x)
{
    const tsi_vector_f64 t =
        tsi_lanes_fma(x, tsi_lanes_all_f64(LOG2_E), tsi_lanes_all_f64(TSI_MATH_ROUND));
    return (struct power){t - TSI_MATH_ROUND, (tsi_vector_u64)t};
}

// exp(x − k·log(2))
TSI_LANES_INLINE tsi_vector_f64
exp_rest(tsi_vector_f64 x, tsi_vector_f64 k)
{
    const tsi_vector_f64 log2_low = tsi_lanes_all_f64(-0x1.8432a1b0e2634p-43);
    const tsi_vector_f64 most = tsi_lanes_fma(-k, tsi_lanes_all_f64(0x1.62e42fefa4p-1), x);
    const tsi_vector_f64 r = tsi_lanes_fma(-k, log2_low, most);
    const tsi_vector_f64 sum = most + 1.0;
    const tsi_vector_f64 rest = tsi_lanes_fma(-k, log2_low, most - (sum - 1.0));
    return sum + tsi_lanes_fma(r * r, tsi_math_polynomial(r, 10, exp_c), rest);
}

// The highest bit is set where |x| is beyond `limit`, or x is NaN.
TSI_LANES_INLINE tsi_vector_u64
is_beyond(tsi_vector_f64 x, double limit)
{
    const tsi_vector_f64 most = tsi_lanes_all_f64(limit);
    return (tsi_vector_u64)most - ((tsi_vector_u64)x & ~TSI_MATH_SIGN);
}

TSI_LANES_INLINE tsi_vector_f64
easy_exp_f64(tsi_vector_f64 x, tsi_vector_u64 *is_hard)
{
    const struct power p = split_power(x);
    *is_hard = is_beyond(x, 708.0);
    return (tsi_vector_f64)((tsi_vector_u64)exp_rest(x, p.k) + (p.bits << 52));
}

TSI_LANES_INLINE tsi_vector_f64
easy_exp_f32(tsi_vector_f64 x, tsi_vector_u64 *is_hard)
{
    const struct power p = split_power(x);
    const tsi_vector_f64 r = tsi_lanes_fma(-p.k, tsi_lanes_all_f64(0x1.62e42fefa39efp-1), x);
    *is_hard = is_beyond(x, 708.0);
    return (tsi_vector_f64)((tsi_vector_u64)tsi_math_polynomial(r, 7, short_exp_c) +
                            (p.bits << 52));
}

// The scale is applied in two factors, so that only the last product overflows, or is rounded to a
// subnormal number. What is out of any range is brought near, where the result is the same.
static tsi_vector_f64
hard_exp(tsi_vector_f64 x)
{
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        x[l] = x[l] > 711.0 ? 711.0 : x[l] < -750.0 ? -750.0 : x[l] == x[l] ? x[l] : NAN;
    }
    const struct power p = split_power(x);
    const tsi_vector_u64 k = p.bits - (tsi_vector_u64)tsi_lanes_all_f64(TSI_MATH_ROUND) + 2048;
    const tsi_vector_u64 half = k >> 1;
    const tsi_vector_f64 first = (tsi_vector_f64)((half - 1) << 52);
    const tsi_vector_f64 second = (tsi_vector_f64)((k - half - 1) << 52);
    return exp_rest(x, p.k) * first * second;
}

TSI_MATH_KERNELS(exp)

#define SET(NAME, suffix, T, U) table->map[TSI_OP_EXP][TESS_##NAME] = exp_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_exp)(struct tsi_kernel_table *table)
{
    TSI_FOR_FLOAT(SET)
}
