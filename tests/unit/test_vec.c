// SPDX-License-Identifier: Apache-2.0
//
// Growing arrays of items of several sizes.

#include "engine/base/vec.h"

#include <criterion/criterion.h>
#include <stdint.h>

Test(vec, keeps_what_is_pushed_in_order)
{
    TSI_VEC(uint32_t) vec = {0};

    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert(tsi_vec_push(&vec, i * 7));
    }

    cr_assert_eq(vec.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(vec.items[i], i * 7);
    }
    tsi_vec_fini(&vec);
    cr_assert(vec.items == NULL);
    cr_assert_eq(vec.count + vec.capacity, 0);
}

Test(vec, pops_the_last)
{
    TSI_VEC(struct {
        char a;
        double b;
    })
    vec = {0};
    cr_assert(tsi_vec_reserve(&vec, 2));
    vec.items[vec.count++].b = 1.5;
    vec.items[vec.count++].b = 2.5;

    cr_assert_eq(tsi_vec_last(&vec).b, 2.5);
    cr_assert_eq(tsi_vec_pop(&vec).b, 2.5);
    cr_assert_eq(tsi_vec_last(&vec).b, 1.5);
    tsi_vec_clear(&vec);
    cr_assert_eq(vec.count, 0);
    tsi_vec_fini(&vec);
}

Test(vec, reserves_room_for_many_at_once)
{
    TSI_VEC(char) vec = {0};

    cr_assert(tsi_vec_push(&vec, 'x'));
    cr_assert(tsi_vec_reserve(&vec, 100000));

    cr_assert(vec.capacity >= 100001, "room for %zu", vec.capacity);
    cr_assert_eq(vec.items[0], 'x');
    tsi_vec_fini(&vec);
}

Test(vec, stays_as_it_was_when_memory_is_out)
{
    TSI_VEC(int64_t) vec = {0};
    cr_assert(tsi_vec_push(&vec, 42));
    const size_t capacity = vec.capacity;

    tsi_memory_fail_after(0);
    const bool grown = tsi_vec_reserve(&vec, capacity);
    tsi_memory_fail_after(-1);

    cr_assert(!grown);
    cr_assert_eq(vec.capacity, capacity);
    cr_assert_eq(vec.count, 1);
    cr_assert_eq(vec.items[0], 42);
    tsi_vec_fini(&vec);
}

Test(vec, refuses_sizes_that_overflow)
{
    TSI_VEC(int64_t) vec = {0};
    cr_assert(tsi_vec_push(&vec, 1));

    cr_assert(!tsi_vec_reserve(&vec, SIZE_MAX));
    cr_assert(!tsi_vec_reserve(&vec, SIZE_MAX / 2));
    cr_assert(!tsi_vec_reserve(&vec, SIZE_MAX / sizeof(int64_t)));

    cr_assert_eq(vec.items[0], 1);
    tsi_vec_fini(&vec);
}
