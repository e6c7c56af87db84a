// SPDX-License-Identifier: Apache-2.0
//
// Angles of any size. The oracle is twice the angle: what x is beyond its quarters, doubled, is
// what 2·x is beyond its own, so each power of two checks the next, from 1 on.

#include <criterion/criterion.h>
#include <math.h>

#include "engine/kernel/angle.h"

static const long double half_pi = 1.57079632679489661923132169163975144L;

// In quarters, at most a half.
static long double
part_of(struct tsi_angle angle)
{
    return ((long double)angle.high - (long double)angle.low) / half_pi;
}

// The angle of 2·x, of the one of x.
static void
check_twice(struct tsi_angle one, struct tsi_angle two, double x)
{
    const long double part = 2.0L * part_of(one);
    const long double carried = roundl(part);
    cr_assert(fabsl(part - carried - part_of(two)) < 1e-18L, "twice %a", x);
    const uint64_t quarters = 2 * one.quarters + (uint64_t)(int64_t)carried;
    cr_assert(((quarters - two.quarters) & 3) == 0, "the quarters of twice %a", x);
}

Test(angle, of_twice_a_number_is_twice_its_angle)
{
    for (int which = 0; which < 200; which++) {
        double x = 1.0 + which / 200.0 + which * 0x1p-52;
        struct tsi_angle one = tsi_angle_reduce(x);
        cr_assert(fabsl(part_of(one) + (long double)one.quarters - x / half_pi) < 1e-18L);
        for (; x < 0x1p1023; x *= 2) {
            const struct tsi_angle two = tsi_angle_reduce(2 * x);
            check_twice(one, two, x);
            cr_assert(fabs(two.high) <= 0.78539816339744831);
            cr_assert(two.high - two.low == two.high, "the low part is below the last place");
            one = two;
        }
    }
}

Test(angle, of_a_negative_number_is_negative)
{
    for (double x = 1.25; x < 0x1p1020; x *= 7) {
        const struct tsi_angle angle = tsi_angle_reduce(x);
        const struct tsi_angle other = tsi_angle_reduce(-x);
        cr_assert(other.high == -angle.high && other.low == -angle.low);
        cr_assert(((other.quarters + angle.quarters) & 3) == 0);
    }
}

// The number of float64 that is nearest to a multiple of π/2, as is known.
Test(angle, keeps_its_digits_next_to_a_quarter)
{
    const struct tsi_angle angle = tsi_angle_reduce(6381956970095103 * 0x1p797);
    cr_assert(angle.high == 0x1.14ae72e6ba22fp-61 || angle.high == -0x1.14ae72e6ba22fp-61);
    cr_assert((angle.quarters & 1) == 1);
}

Test(angle, of_no_number_is_none)
{
    cr_assert(isnan(tsi_angle_reduce(NAN).high));
    cr_assert(isnan(tsi_angle_reduce(INFINITY).high));
    cr_assert(isnan(tsi_angle_reduce(-INFINITY).high));
}
