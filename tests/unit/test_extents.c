// SPDX-License-Identifier: Apache-2.0
//
// Extents against a byte for each place.

#include "engine/base/extents.h"

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "tests/support/random.h"

enum { PLACES = 500, FIRST = 20, PIECES = 60, STEPS = 20000 };

// The first free places, `count` of them in a row; PLACES if there are none.
static uint64_t
find_free(const unsigned char *is_taken, uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t i = FIRST; i < PLACES; i++) {
        run = is_taken[i] ? 0 : run + 1;
        if (run == count) {
            return i + 1 - count;
        }
    }
    return PLACES;
}

Test(extents, are_taken_first_fit_and_joined_again)
{
    struct test_random random = {5};
    struct tsi_extents extents;
    unsigned char is_taken[PLACES] = {0};
    uint64_t offsets[PIECES];
    uint64_t counts[PIECES] = {0};
    cr_assert(tsi_extents_init(&extents, FIRST, PLACES - FIRST));
    for (int step = 0; step < STEPS; step++) {
        const int64_t i = test_random_between(&random, 0, PIECES - 1);
        if (counts[i] > 0) {
            memset(is_taken + offsets[i], 0, counts[i]);
            tsi_extents_give(&extents, offsets[i], counts[i]);
            counts[i] = 0;
            continue;
        }
        const uint64_t count = (uint64_t)test_random_between(&random, 1, 24);
        const uint64_t expected = find_free(is_taken, count);
        const bool found = tsi_extents_take(&extents, count, &offsets[i]);
        cr_assert_eq(found, expected < PLACES, "step %d", step);
        if (found) {
            cr_assert_eq(offsets[i], expected, "step %d", step);
            memset(is_taken + expected, 1, count);
            counts[i] = count;
        }
    }
    for (int i = 0; i < PIECES; i++) {
        if (counts[i] > 0) {
            tsi_extents_give(&extents, offsets[i], counts[i]);
        }
    }
    uint64_t all;
    cr_assert(tsi_extents_take(&extents, PLACES - FIRST, &all) && all == FIRST);
    cr_assert(!tsi_extents_take(&extents, 1, &all));
    tsi_extents_fini(&extents);
}

// What was taken can always be given back, however much of it there is.
Test(extents, need_no_memory_to_be_given_back)
{
    struct tsi_extents extents;
    uint64_t offset;
    cr_assert(tsi_extents_init(&extents, 0, PLACES));
    for (int i = 0; i < PLACES; i++) {
        cr_assert(tsi_extents_take(&extents, 1, &offset));
    }
    tsi_memory_fail_after(0);
    for (uint64_t i = 0; i < PLACES; i += 2) {
        tsi_extents_give(&extents, i, 1);
    }
    for (uint64_t i = 1; i < PLACES; i += 2) {
        tsi_extents_give(&extents, i, 1);
    }
    tsi_memory_fail_after(-1);
    cr_assert(tsi_extents_take(&extents, PLACES, &offset) && offset == 0);
    tsi_extents_fini(&extents);
}

Test(extents, say_when_memory_is_out)
{
    struct tsi_extents extents;
    uint64_t offset;
    tsi_memory_fail_after(0);
    cr_assert(!tsi_extents_init(&extents, 0, PLACES));
    tsi_memory_fail_after(-1);
    tsi_extents_fini(&extents);
    cr_assert(tsi_extents_init(&extents, 0, PLACES));
    int taken = 0;
    tsi_memory_fail_after(0);
    while (tsi_extents_take(&extents, 1, &offset)) {
        taken++;
    }
    tsi_memory_fail_after(-1);
    cr_assert(taken < PLACES && extents.taken == (size_t)taken);
    tsi_extents_fini(&extents);
}
