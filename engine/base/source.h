// SPDX-License-Identifier: Apache-2.0
//
// Sources that make an element from its index in the logical array: what the planner writes into a
// program and the kernels compute.

#ifndef TSI_BASE_SOURCE_H
#define TSI_BASE_SOURCE_H

#include <stdint.h>

// Numbers travel between processes: append, never move.
enum tsi_source {
    TSI_SOURCE_ARANGE, // a + index·b; integer types: ia + index·ib, wrapping; bool: a + index·b ≠ 0
    TSI_SOURCE_LINSPACE, // a + index·c where index < ia, and b itself where index = ia (the last)
    TSI_SOURCE_EYE,      // 1 where index = ia, else 0 (the index is column − row)
    TSI_SOURCE_NORMAL,   // a + b·z                                 float64, float32 (rounded)
    TSI_SOURCE_UNIFORM,  // a + (b − a)·u, below b                 float64
    TSI_SOURCE_INTEGERS, // ia + (an integer below ib as uint64)    the integer types
    TSI_SOURCE_COUNT
};

// A guess of what an element of a source costs, in additions, as the table of operations has it.
static inline unsigned int
tsi_source_flops(enum tsi_source source)
{
    switch (source) {
    case TSI_SOURCE_NORMAL:
        return 6;
    case TSI_SOURCE_UNIFORM:
        return 3;
    case TSI_SOURCE_INTEGERS:
        return 4;
    default:
        return 1;
    }
}

// The same for a cast.
#define TSI_CAST_FLOPS 1u

struct tsi_source_params {
    double a;
    double b;
    double c;
    int64_t ia;
    int64_t ib;
    uint64_t seed;
    uint32_t stream;
};

#endif
