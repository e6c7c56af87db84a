// SPDX-License-Identifier: Apache-2.0
//
// Random choices of tests, all from one seed, so that a seed in a message is enough to see a
// failure again.

#ifndef TESS_TEST_RANDOM_H
#define TESS_TEST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct test_random {
    uint64_t state; // any number is a seed
};

// SplitMix64.
static inline uint64_t
test_random_bits(struct test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

// A number from `low` to `high`, both included.
static inline int64_t
test_random_between(struct test_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)(test_random_bits(random) % ((uint64_t)(high - low) + 1));
}

// True once in `n` times.
static inline bool
test_random_one_in(struct test_random *random, int64_t n)
{
    return test_random_between(random, 1, n) == 1;
}

#endif
