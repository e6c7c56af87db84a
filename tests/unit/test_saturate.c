// SPDX-License-Identifier: Apache-2.0

#include <criterion/criterion.h>

#include "engine/base/saturate.h"

__extension__ typedef unsigned __int128 wide;

// What fits is exact, what does not is the greatest number; by way of numbers of 128 bits.
Test(saturate, is_exact_where_it_fits)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       3,
                                       UINT32_MAX - 1ULL,
                                       UINT32_MAX,
                                       UINT32_MAX + 1ULL,
                                       UINT32_MAX + 2ULL,
                                       INT64_MAX / 2,
                                       INT64_MAX / 2 + 1,
                                       INT64_MAX,
                                       INT64_MAX + 1ULL,
                                       UINT64_MAX - 1,
                                       UINT64_MAX};
    const size_t count = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < count * count; i++) {
        const uint64_t a = numbers[i / count];
        const uint64_t b = numbers[i % count];
        const wide sum = (wide)a + b;
        const wide product = (wide)a * b;
        cr_assert_eq(tsi_saturate_add(a, b), sum < UINT64_MAX ? (uint64_t)sum : UINT64_MAX);
        cr_assert_eq(tsi_saturate_multiply(a, b),
                     product < UINT64_MAX ? (uint64_t)product : UINT64_MAX);
        if (a <= INT64_MAX && b <= INT64_MAX) {
            cr_assert_eq(tsi_saturate_multiply_i64((int64_t)a, (int64_t)b),
                         product < INT64_MAX ? (int64_t)product : INT64_MAX);
        }
    }
    cr_assert_eq(tsi_saturate_multiply_i64(-1, 2), INT64_MAX);
    cr_assert_eq(tsi_saturate_multiply_i64(0, INT64_MIN), INT64_MAX);
}
