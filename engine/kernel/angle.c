// SPDX-License-Identifier: Apache-2.0
//
// A large number is a whole number of 53 bits times a power of two, 2^e. How many turns it is, is
// that whole number times 2^e/(2·π), and of this factor only the part below 1 is of interest: some
// bits in the middle of those of 2/π (Payne and Hanek, SIGNUM Newsletter 18, 1983). With 192 of
// them the product is known to 2^-128 of a turn, and no number of float64 comes closer to a
// multiple of a quarter than 2^-62. It is all integer arithmetic, but for the last step.

#include "engine/kernel/angle.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

// 64 bits of 0, then floor(2/π·2^1280), by a calculator of any precision.
static const uint64_t two_over_pi[] = {
    0,
    UINT64_C(0xA2F9836E4E441529),
    UINT64_C(0xFC2757D1F534DDC0),
    UINT64_C(0xDB6295993C439041),
    UINT64_C(0xFE5163ABDEBBC561),
    UINT64_C(0xB7246E3A424DD2E0),
    UINT64_C(0x06492EEA09D1921C),
    UINT64_C(0xFE1DEB1CB129A73E),
    UINT64_C(0xE88235F52EBB4484),
    UINT64_C(0xE99C7026B45F7E41),
    UINT64_C(0x3991D639835339F4),
    UINT64_C(0x9C845F8BBDF9283B),
    UINT64_C(0x1FF897FFDE05980F),
    UINT64_C(0xEF2F118B5A0A6D1F),
    UINT64_C(0x6D367ECF27CB09B7),
    UINT64_C(0x4F463F669E5FEA2D),
    UINT64_C(0x7527BAC7EBE5F17B),
    UINT64_C(0x3D0739F78A5292EA),
    UINT64_C(0x6BFB5FB11F8D5D08),
    UINT64_C(0x56033046FC7B6BAB),
    UINT64_C(0xF0CFBC209AF4361D),
};

// The top half of m·(3 words from bit `first` of the table), without what overflows.
static wide
multiply_window(uint64_t m, int first)
{
    const uint64_t *const word = &two_over_pi[first / 64];
    const int shift = first % 64;
    uint64_t window[3];
    for (int i = 0; i < 3; i++) {
        window[i] = shift == 0 ? word[i] : word[i] << shift | word[i + 1] >> (64 - shift);
    }
    const wide middle = (wide)m * window[1] + (uint64_t)((wide)m * window[2] >> 64);
    const uint64_t high = m * window[0] + (uint64_t)(middle >> 64);
    return (wide)high << 64 | (uint64_t)middle;
}

static int
leading_zeros(wide x)
{
    const uint64_t high = (uint64_t)(x >> 64);
    return high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x | 1);
}

// 2^exponent of a normal number.
static double
power_of_two(int exponent)
{
    const uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

// part·2^-126·π/2
static struct tsi_angle
angle_of(wide part)
{
    const double half_pi = 0x1.921fb54442d18p0;
    const double half_pi_rest = 0x1.1a62633145c07p-54;
    const int zeros = leading_zeros(part);
    const wide x = part << zeros;
    const uint64_t most = (UINT64_C(1) << 53) - 1;
    const double x0 = (double)(uint64_t)(x >> 75) * power_of_two(75 - 126 - zeros);
    const double x1 = (double)((uint64_t)(x >> 22) & most) * power_of_two(22 - 126 - zeros);
    const double product = x0 * half_pi;
    const double rest = fma(x0, half_pi, -product) + (x0 * half_pi_rest + x1 * half_pi);
    const double high = product + rest;
    return (struct tsi_angle){high, (high - product) - rest, 0};
}

struct tsi_angle
tsi_angle_reduce(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    const int exponent = (int)(bits >> 52 & 0x7FF);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7FF) {
        return (struct tsi_angle){NAN, 0, 0};
    }
    // In turns, of which a quarter is 2^126.
    const wide turns = multiply_window(fraction | UINT64_C(1) << 52, exponent - 1075 - 2 + 64);
    const uint64_t quarters = (uint64_t)((turns + ((wide)1 << 125)) >> 126);
    const wide part = turns - ((wide)quarters << 126);
    const bool is_below = part >> 127 != 0;
    struct tsi_angle angle = angle_of(is_below ? -part : part);
    if (is_below != signbit(x)) {
        angle.high = -angle.high;
        angle.low = -angle.low;
    }
    angle.quarters = signbit(x) ? -quarters : quarters;
    return angle;
}
