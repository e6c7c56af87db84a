// SPDX-License-Identifier: Apache-2.0
//
// The fused multiply-add of the baseline instruction set against the C library's fma(), bit by bit:
// random bits, and operands made so that the sum is next to a tie, cancels, or leaves the range.

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/isa_lanes.h"

static uint64_t state = 1;

static uint64_t
next_bits(void)
{
    state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static double
number_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint64_t
bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static bool
is_same(double x, double y)
{
    return isnan(x) ? isnan(y) : bits_of(x) == bits_of(y);
}

// Each operand in the first lane, and in the last one with numbers in the others that are easy.
static void
check(double x, double y, double z)
{
    const double want = fma(x, y, z);
    for (int l = 0; l < TSI_VECTOR_F64; l += TSI_VECTOR_F64 - 1) {
        tsi_vector_f64 a = tsi_lanes_all_f64(1.0);
        tsi_vector_f64 b = tsi_lanes_all_f64(2.0);
        tsi_vector_f64 c = tsi_lanes_all_f64(3.0);
        a[l] = x;
        b[l] = y;
        c[l] = z;
        const tsi_vector_f64 got = tsi_lanes_fma(a, b, c);
        cr_assert(is_same(got[l], want), "fma(%a, %a, %a): %a, not %a", x, y, z, got[l], want);
        const double size = fabs(x * y);
        const double most = fmax(fabs(x), fabs(y));
        if (most <= 0x1p1000 && (size == 0 || (size >= 0x1p-900 && size <= 0x1p900)) && z != 0 &&
            fabs(z) <= 0x1p900) {
            const tsi_vector_f64 near = tsi_lanes_fma_near(a, b, c);
            cr_assert(is_same(near[l], want), "near(%a, %a, %a): %a", x, y, z, near[l]);
        }
        cr_assert(got[l == 0 ? TSI_VECTOR_F64 - 1 : 0] == 5.0);
    }
}

Test(kernel_lanes, fma_of_any_bits_is_rounded_once)
{
    for (int i = 0; i < 1000000; i++) {
        check(number_of(next_bits()), number_of(next_bits()), number_of(next_bits()));
    }
}

// With a number of significant bits between 1 and 53, so that products are often short, and an
// exponent within `range` of 0.
static double
short_number(int range)
{
    const uint64_t bits = next_bits();
    const int kept = 1 + (int)(next_bits() % 53);
    const uint64_t significand = (bits | UINT64_C(1) << 63) >> (64 - kept) << (53 - kept);
    const int exponent = (int)(next_bits() % (unsigned)(2 * range + 1)) - range;
    const double x = ldexp((double)significand, exponent - 52);
    return (bits & 1) != 0 ? -x : x;
}

Test(kernel_lanes, fma_of_near_sizes_is_rounded_once)
{
    for (int i = 0; i < 3000000; i++) {
        check(short_number(30), short_number(30), short_number(80));
    }
}

// z is the product with its upper half gone, or half a unit of its last place beside a number, or
// that and a little more or less.
Test(kernel_lanes, fma_next_to_ties_and_cancellation)
{
    for (int i = 0; i < 1000000; i++) {
        const double x = short_number(20);
        const double y = short_number(20);
        const double p = x * y;
        const double e = fma(x, y, -p);
        const double near[] = {-p,         -p + e,      -p - e,      nextafter(-p, 0),
                               -e,         p * 0x1p-53, p * 0x1p-54, p * 0x1p53,
                               p * 0x1p54, p * 0x1p106, e * 0x1p-53};
        check(x, y, near[next_bits() % (sizeof(near) / sizeof(*near))]);
        // A product of one bit, and of one bit less the last one, beside a number it is half an ulp
        // of.
        const double z = short_number(3);
        const double half = ldexp(1.0, ilogb(z) - 53);
        check(half, 1.0, z);
        check(half, 1.0 - 0x1p-53, z);
        check(half, 1.0 + 0x1p-52, -z);
        check(half * (1.0 + 0x1p-30), 1.0 - 0x1p-30, z);
    }
}

Test(kernel_lanes, fma_of_special_numbers)
{
    const double numbers[] = {0.0,
                              1.0,
                              3.0,
                              0x1p-1074,
                              0x1.fffffffffffffp-1023,
                              0x1p-1022,
                              0x1p-500,
                              0x1.8p-450,
                              0x1p450,
                              0x1.0000000000001p511,
                              0x1p899,
                              0x1p970,
                              0x1.fffffffffffffp1023,
                              INFINITY,
                              NAN,
                              0x1.fffffffffffffp0};
    enum { COUNT = sizeof(numbers) / sizeof(*numbers) };
    for (int i = 0; i < COUNT * COUNT * COUNT * 8; i++) {
        const double x = numbers[i / 8 % COUNT];
        const double y = numbers[i / 8 / COUNT % COUNT];
        const double z = numbers[i / 8 / COUNT / COUNT];
        check((i & 1) != 0 ? -x : x, (i & 2) != 0 ? -y : y, (i & 4) != 0 ? -z : z);
    }
}
