// SPDX-License-Identifier: Apache-2.0
//
// A queue of small numbers with room for a fixed count of them, from one thread to many without a
// lock: whoever puts must be alone (or hold a lock that all who put hold); anyone may take at any
// time. Numbers come out in the order in which they were put.

#ifndef TSI_BASE_RING_H
#define TSI_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TSI_RING_CAPACITY = 256 };

// Added to a number that is to be taken along with the one before it, if that is still there.
#define TSI_RING_ALONG UINT32_C(0x80000000)

// All zero is the empty ring. The two ends are on cache lines of their own.
struct tsi_ring {
    _Alignas(64) atomic_uint_least32_t taken;
    _Alignas(64) atomic_uint_least32_t put;
    atomic_uint_least32_t numbers[TSI_RING_CAPACITY];
};

// How many numbers are in it; those who take may have made it fewer since.
static inline uint32_t
tsi_ring_count(const struct tsi_ring *ring)
{
    // In this order, so that the difference is never negative.
    const uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_acquire);
    return atomic_load_explicit(&ring->put, memory_order_acquire) - taken;
}

// Puts a number in; false if there is no room. What was written before is seen by who takes it.
static inline bool
tsi_ring_put(struct tsi_ring *ring, uint32_t number)
{
    const uint32_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
    const uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_acquire);
    if (put - taken == TSI_RING_CAPACITY) {
        return false;
    }
    atomic_store_explicit(&ring->numbers[put % TSI_RING_CAPACITY], number, memory_order_relaxed);
    atomic_store_explicit(&ring->put, put + 1, memory_order_release);
    return true;
}

static inline uint32_t
tsi_ring_at(const struct tsi_ring *ring, uint32_t place)
{
    return atomic_load_explicit(&ring->numbers[place % TSI_RING_CAPACITY], memory_order_relaxed);
}

// Takes the oldest number out, and the one after it if that goes along; returns how many, 0 if
// there is none. The numbers are without the mark.
static inline uint32_t
tsi_ring_take_along(struct tsi_ring *ring, uint32_t numbers[2])
{
    uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_acquire);
    for (;;) {
        const uint32_t put = atomic_load_explicit(&ring->put, memory_order_acquire);
        if (taken == put) {
            return 0;
        }
        // Read before they are ours: if another takes one meanwhile, the exchange fails.
        numbers[0] = tsi_ring_at(ring, taken) & ~TSI_RING_ALONG;
        numbers[1] = put - taken > 1 ? tsi_ring_at(ring, taken + 1) : 0;
        const uint32_t count = (numbers[1] & TSI_RING_ALONG) != 0 ? 2 : 1;
        numbers[1] &= ~TSI_RING_ALONG;
        if (atomic_compare_exchange_weak_explicit(&ring->taken, &taken, taken + count,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return count;
        }
    }
}

#endif
