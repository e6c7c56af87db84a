// SPDX-License-Identifier: Apache-2.0
//
// The ring in one thread. Several threads: tests/race/race_ring.c.

#include "engine/base/ring.h"

#include <criterion/criterion.h>

Test(ring, gives_back_in_order_and_no_more)
{
    static struct tsi_ring ring;
    uint32_t number = 0;
    uint32_t next = 0;

    cr_assert(!tsi_ring_take(&ring, &number));
    // The places are used many times over, with few and with many in it.
    for (uint32_t put = 0; put < 10000;) {
        for (uint32_t i = 0; i <= put % 200; i++) {
            cr_assert(tsi_ring_put(&ring, put * 3));
            put++;
        }
        while (tsi_ring_take(&ring, &number)) {
            cr_assert_eq(number, next * 3);
            next++;
        }
        cr_assert_eq(next, put);
        cr_assert_eq(tsi_ring_count(&ring), 0);
    }
}

Test(ring, takes_no_more_than_it_has_room_for)
{
    static struct tsi_ring ring;
    uint32_t number = 0;

    for (uint32_t i = 0; i < TSI_RING_CAPACITY; i++) {
        cr_assert_eq(tsi_ring_count(&ring), i);
        cr_assert(tsi_ring_put(&ring, i));
    }
    cr_assert(!tsi_ring_put(&ring, 1));
    cr_assert(tsi_ring_take(&ring, &number));
    cr_assert_eq(number, 0);
    cr_assert(tsi_ring_put(&ring, 1));
    cr_assert(!tsi_ring_put(&ring, 1));
}
