// SPDX-License-Identifier: Apache-2.0
//
// The one source of chance of a simulation: everything follows from the seed.

#ifndef TSI_SIM_RANDOM_H
#define TSI_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

// Mixes the bits of `value` (the finalizer of splitmix64).
static inline uint64_t
sim_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xBF58476D1CE4E5B9);
    value ^= value >> 27;
    value *= UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

static inline uint64_t
sim_hash(uint64_t hash, uint64_t value)
{
    return sim_mix(hash * UINT64_C(0x9E3779B97F4A7C15) + value + 1);
}

static inline uint64_t
sim_next(struct sim_random *random)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    return sim_mix(random->state);
}

// A number in [0, limit); limit > 0.
static inline uint64_t
sim_below(struct sim_random *random, uint64_t limit)
{
    return sim_next(random) % limit;
}

// A number in [low, high].
static inline int64_t
sim_between(struct sim_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)sim_below(random, (uint64_t)(high - low) + 1);
}

static inline bool
sim_chance(struct sim_random *random, uint32_t permille)
{
    return sim_below(random, 1000) < permille;
}

#endif
