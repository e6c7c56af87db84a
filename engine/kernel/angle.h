// SPDX-License-Identifier: Apache-2.0
//
// Angles of any size, brought into a quarter of a turn exactly.

#ifndef TSI_KERNEL_ANGLE_H
#define TSI_KERNEL_ANGLE_H

#include <stdint.h>

// x = quarters·π/2 + high − low within 2^-100 of high, where |high| ≤ π/4 and `low` is below its
// last place. Only the two lowest bits of `quarters` are told. Infinities and NaN give NaN.
struct tsi_angle {
    double high;
    double low;
    uint64_t quarters;
};

// |x| is at least 1, or no number.
struct tsi_angle tsi_angle_reduce(double x);

#endif
