// SPDX-License-Identifier: Apache-2.0
//
// The clocks, for drivers and tools. The cores have none: time comes to them inside events.

#ifndef TSI_BASE_CLOCK_H
#define TSI_BASE_CLOCK_H

#include <stdint.h>

#define TSI_SECOND UINT64_C(1000000000)
#define TSI_MILLISECOND UINT64_C(1000000)

// Nanoseconds since some fixed moment; never goes back.
uint64_t tsi_clock_ns(void);

// Nanoseconds since 1970, for logs and names.
uint64_t tsi_clock_wall_ns(void);

// A count that goes on with time, to see cheaply that hardly any has passed: a step is at most a
// nanosecond where the processor counts, which it does for a part of what the clock costs.
static inline uint64_t
tsi_clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return tsi_clock_ns();
#endif
}

#endif
