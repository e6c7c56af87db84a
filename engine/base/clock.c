// SPDX-License-Identifier: Apache-2.0
//
// The two system clocks in nanoseconds. Neither can fail on a system where this library runs.

#include "engine/base/clock.h"

#include <time.h>

static uint64_t
read_clock(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * TSI_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t
tsi_clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
tsi_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
