// SPDX-License-Identifier: Apache-2.0
//
// The table against a plain array, and what it does with pages.

#include "engine/base/table.h"

#include <criterion/criterion.h>
#include <stdint.h>

#include "engine/base/memory.h"

enum { NUMBERS = 3000 };

static char items[NUMBERS];

Test(table, an_empty_table_has_nothing)
{
    struct tsi_table table = {0};

    cr_assert(tsi_table_get(&table, 0) == NULL);
    cr_assert(tsi_table_get(&table, UINT64_MAX) == NULL);
    tsi_table_remove(&table, 5);
    cr_assert_eq(table.count, 0);
    tsi_table_fini(&table);
}

Test(table, does_as_an_array_does)
{
    static bool there[NUMBERS];
    struct tsi_table table = {0};
    uint64_t random = 99;
    size_t count = 0;

    for (int step = 0; step < 200000; step++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        // Neighbours around a place that wanders, in three jobs.
        const uint64_t place = (random >> 33) % 50 + (uint64_t)(step / 80);
        const uint64_t i = place % NUMBERS;
        const uint64_t number = i + i / 1000 * (UINT64_C(1) << 32);
        if ((random >> 20) % 3 != 0) {
            cr_assert(tsi_table_put(&table, number, &items[i]));
            count += there[i] ? 0 : 1;
            there[i] = true;
        } else {
            tsi_table_remove(&table, number);
            count -= there[i] ? 1 : 0;
            there[i] = false;
        }
        cr_assert_eq(table.count, count);
        cr_assert(tsi_table_get(&table, number) == (there[i] ? &items[i] : NULL));
    }
    for (uint64_t i = 0; i < NUMBERS; i++) {
        const uint64_t number = i + i / 1000 * (UINT64_C(1) << 32);
        cr_assert(tsi_table_get(&table, number) == (there[i] ? &items[i] : NULL));
    }
    tsi_table_fini(&table);
}

Test(table, a_window_that_moves_keeps_few_pages)
{
    struct tsi_table table = {0};

    for (uint64_t i = 0; i < 100000; i++) {
        cr_assert(tsi_table_put(&table, i, items));
        if (i >= 100) {
            tsi_table_remove(&table, i - 100);
        }
        cr_assert(table.pages.count <= 2, "%zu pages", table.pages.count);
    }
    cr_assert_eq(table.count, 100);
    tsi_table_fini(&table);
}

Test(table, without_memory_nothing_is_put)
{
    struct tsi_table table = {0};

    for (int64_t allocations = 0; allocations < 2; allocations++) {
        tsi_memory_fail_after(allocations);
        cr_assert(!tsi_table_put(&table, 7, items));
        tsi_memory_fail_after(-1);
        cr_assert(tsi_table_get(&table, 7) == NULL);
        cr_assert_eq(table.count, 0);
        tsi_table_fini(&table);
    }
    cr_assert(tsi_table_put(&table, 7, items));
    cr_assert(tsi_table_get(&table, 7) == items);
    tsi_table_fini(&table);
}
