// SPDX-License-Identifier: Apache-2.0
//
// The ring in one thread. Several threads: tests/race/race_ring.c.

#include "engine/base/ring.h"

#include <criterion/criterion.h>

Test(ring, gives_back_in_order_and_no_more)
{
    static struct tsi_ring ring;
    uint32_t numbers[2];
    uint32_t next = 0;

    cr_assert_eq(tsi_ring_take_along(&ring, numbers), 0);
    // The places are used many times over, with few and with many in it.
    for (uint32_t put = 0; put < 10000;) {
        for (uint32_t i = 0; i <= put % 200; i++) {
            cr_assert(tsi_ring_put(&ring, put * 3));
            put++;
        }
        while (tsi_ring_take_along(&ring, numbers) == 1) {
            cr_assert_eq(numbers[0], next * 3);
            next++;
        }
        cr_assert_eq(next, put);
        cr_assert_eq(tsi_ring_count(&ring), 0);
    }
}

Test(ring, takes_no_more_than_it_has_room_for)
{
    static struct tsi_ring ring;
    uint32_t numbers[2];

    for (uint32_t i = 0; i < TSI_RING_CAPACITY; i++) {
        cr_assert_eq(tsi_ring_count(&ring), i);
        cr_assert(tsi_ring_put(&ring, i));
    }
    cr_assert(!tsi_ring_put(&ring, 1));
    cr_assert_eq(tsi_ring_take_along(&ring, numbers), 1);
    cr_assert_eq(numbers[0], 0);
    cr_assert(tsi_ring_put(&ring, 1));
    cr_assert(!tsi_ring_put(&ring, 1));
}

Test(ring, gives_what_goes_along_with_the_one_before)
{
    static struct tsi_ring ring;
    uint32_t numbers[2];

    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert(tsi_ring_put(&ring, 7));
        cr_assert(tsi_ring_put(&ring, 8 | TSI_RING_ALONG));
        cr_assert(tsi_ring_put(&ring, 9));
        cr_assert_eq(tsi_ring_take_along(&ring, numbers), 2);
        cr_assert(numbers[0] == 7 && numbers[1] == 8);
        cr_assert_eq(tsi_ring_take_along(&ring, numbers), 1);
        cr_assert_eq(numbers[0], 9);
        // The one before was taken already.
        cr_assert(tsi_ring_put(&ring, 10 | TSI_RING_ALONG));
        cr_assert_eq(tsi_ring_take_along(&ring, numbers), 1);
        cr_assert_eq(numbers[0], 10);
    }
    cr_assert_eq(tsi_ring_count(&ring), 0);
}
