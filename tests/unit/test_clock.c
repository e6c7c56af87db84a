// SPDX-License-Identifier: Apache-2.0
//
// Clocks go forward and agree with the system's.

#include "engine/base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, never_goes_back)
{
    uint64_t last = tsi_clock_ns();
    for (int i = 0; i < 10000; i++) {
        const uint64_t now = tsi_clock_ns();
        cr_assert(now >= last);
        last = now;
    }
}

Test(clock, counts_nanoseconds)
{
    const uint64_t before = tsi_clock_ns();
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    const uint64_t passed = tsi_clock_ns() - before;

    cr_assert(passed >= 20 * TSI_MILLISECOND);
    cr_assert(passed < 20 * TSI_SECOND);
}

Test(clock, the_wall_clock_counts_from_1970)
{
    const uint64_t seconds = tsi_clock_wall_ns() / TSI_SECOND;
    const uint64_t system_seconds = (uint64_t)time(NULL);

    cr_assert(seconds <= system_seconds + 1 && system_seconds <= seconds + 1);
}
