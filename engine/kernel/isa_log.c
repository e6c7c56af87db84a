// SPDX-License-Identifier: Apache-2.0
//
// log. The argument is x = 2^k·m with m in [3/4, 3/2), and the first four bits of m's fraction
// choose a number c close to 1/m, so that log(x) = k·log(2) − log(c) + log(m·c); of the last, whose
// argument is 1 + r with r from −0.038 to 0.0625, r itself is split off and the rest a polynomial.
// c is 1 on both sides of m = 1, so the result has all its digits where it is small. What is added
// up first, k times the first 41 bits of log(2) and 42 bits of −log(c), is exact. Coefficients are
// those of the least relative error that float64 has room for (2^-55 and 2^-33). Errors: under 0.9
// ulp in float64, under 0.51 in float32.

#include "engine/kernel/isa_math.h"

// Where in the tables stands what belongs to m: m's fraction starts with the index, and m is below
// 1 from index 8 on.
static const double near_inverse[16] = {
    32.0 / 32, 29.0 / 32, 28.0 / 32, 26.0 / 32, 25.0 / 32, 24.0 / 32, 23.0 / 32, 22.0 / 32,
    42.0 / 32, 40.0 / 32, 39.0 / 32, 37.0 / 32, 36.0 / 32, 35.0 / 32, 34.0 / 32, 32.0 / 32,
};

// −log(near_inverse), its first bits and the rest.
static const double minus_log[16] = {
    0.0,
    0x1.9335e5d594p-4,
    0x1.1178e8227ep-3,
    0x1.a93ed3c8aep-3,
    0x1.f991c6cb3cp-3,
    0x1.269621134ep-2,
    0x1.522ae0738ap-2,
    0x1.7fafa3bd81p-2,
    -0x1.1675cababap-2,
    -0x1.c8ff7c79aap-3,
    -0x1.9525a9cf46p-3,
    -0x1.29552f82p-3,
    -0x1.e27076e2bp-4,
    -0x1.6f0d28ae58p-4,
    -0x1.f0a30c0118p-5,
    0.0,
};
static const double minus_log_rest[16] = {
    0.0,
    0x1.3115c3abd47dap-45,
    0x1.1ef78ce2d07f2p-45,
    -0x1.8724350562169p-45,
    -0x1.90d04cd7cc834p-44,
    -0x1.1b61f10522625p-44,
    0x1.ebe708164c759p-45,
    0x1.46fb79bf6d4cbp-44,
    -0x1.8380e731f55c4p-44,
    0x1.7794f689f8434p-45,
    0x1.297137d9f158fp-44,
    0x1.5b967f4471dfcp-44,
    0x1.a342c2af0003cp-45,
    0x1.4b4641b664613p-44,
    0x1.d599e83368e91p-45,
    0.0,
};

static const double log_c[] = {-0x1.fffffffffffe8p-2, 0x1.555555555628dp-2,  -0x1.0000000035936p-2,
                               0x1.99999981b69e5p-3,  -0x1.555551231c2e6p-3, 0x1.24929ee11db54p-3,
                               -0x1.0010305b4acd1p-3, 0x1.c6ed3a121c44bp-4,  -0x1.6fc7acb727324p-4};
static const double short_log_c[] = {-0x1.ffffff79ef14dp-2, 0x1.5555527672358p-2,
                                     -0x1.0005256e4a2e6p-2, 0x1.99ff5588c89c3p-3,
                                     -0x1.40e2399fc20b5p-3};

// The highest bit is set where x is not a positive normal number below 1.5·2^1023.
TSI_LANES_INLINE tsi_vector_u64
is_odd(tsi_vector_f64 x)
{
    const tsi_vector_u64 above = (tsi_vector_u64)x - (UINT64_C(1) << 52);
    return above | (UINT64_C(0x7FD7FFFFFFFFFFFF) - above);
}

// log(2^k·m)
TSI_LANES_INLINE tsi_vector_f64
log_of_parts(tsi_vector_f64 k, tsi_vector_f64 m)
{
    const tsi_vector_u64 index = (tsi_vector_u64)m >> 48;
    const tsi_vector_f64 r =
        tsi_lanes_fma(m, tsi_lanes_pick(near_inverse, index), tsi_lanes_all_f64(-1.0));
    const tsi_vector_f64 most =
        tsi_lanes_fma(k, tsi_lanes_all_f64(0x1.62e42fefa4p-1), tsi_lanes_pick(minus_log, index));
    const tsi_vector_f64 low = tsi_lanes_fma(k, tsi_lanes_all_f64(-0x1.8432a1b0e2634p-43),
                                             tsi_lanes_pick(minus_log_rest, index));
    // |r| is at most |most| unless that is 0, so the error of their sum is exact.
    const tsi_vector_f64 sum = most + r;
    const tsi_vector_f64 rest = low + (r - (sum - most));
    return sum + tsi_lanes_fma(r * r, tsi_math_polynomial(r, 9, log_c), rest);
}

TSI_LANES_INLINE tsi_vector_f64
easy_log_f64(tsi_vector_f64 x, tsi_vector_u64 *is_hard)
{
    tsi_vector_f64 m;
    const tsi_vector_f64 k = tsi_lanes_split(x, 0, &m);
    *is_hard = is_odd(x);
    return log_of_parts(k, m);
}

TSI_LANES_INLINE tsi_vector_f64
easy_log_f32(tsi_vector_f64 x, tsi_vector_u64 *is_hard)
{
    tsi_vector_f64 m;
    const tsi_vector_f64 k = tsi_lanes_split(x, 0, &m);
    const tsi_vector_u64 index = (tsi_vector_u64)m >> 48;
    const tsi_vector_f64 r =
        tsi_lanes_fma(m, tsi_lanes_pick(near_inverse, index), tsi_lanes_all_f64(-1.0));
    const tsi_vector_f64 most =
        tsi_lanes_fma(k, tsi_lanes_all_f64(0x1.62e42fefa39efp-1), tsi_lanes_pick(minus_log, index));
    *is_hard = is_odd(x);
    return most + tsi_lanes_fma(r * r, tsi_math_polynomial(r, 5, short_log_c), r);
}

// Subnormal and very large numbers are scaled; what has no logarithm gets what the C standard says.
static tsi_vector_f64
hard_log(tsi_vector_f64 x)
{
    tsi_vector_f64 m;
    tsi_vector_f64 shift;
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        shift[l] = x[l] < 1.0 ? -54.0 : 54.0;
        m[l] = x[l] * (x[l] < 1.0 ? 0x1p54 : 0x1p-54);
    }
    const tsi_vector_f64 k = tsi_lanes_split(m, 0, &m);
    tsi_vector_f64 y = log_of_parts(k + shift, m);
    for (int l = 0; l < TSI_VECTOR_F64; l++) {
        if (!(x[l] > 0)) {
            y[l] = x[l] == 0 ? -INFINITY : NAN;
        } else if (x[l] == INFINITY) {
            y[l] = INFINITY;
        }
    }
    return y;
}

TSI_MATH_KERNELS(log)

#define SET(NAME, suffix, T, U) table->map[TSI_OP_LOG][TESS_##NAME] = log_##suffix;

void
TSI_ISA_NAME(tsi_isa_fill_log)(struct tsi_kernel_table *table)
{
    TSI_FOR_FLOAT(SET)
}
