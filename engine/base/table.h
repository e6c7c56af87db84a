// SPDX-License-Identifier: Apache-2.0
//
// A map from 64-bit numbers to pointers for numbers that come in runs, as those of tasks do: pages
// of neighbours, found by a small map, so that a number next to one that was just used is found
// without going to memory that is far away. A page without members is given back.

#ifndef TSI_BASE_TABLE_H
#define TSI_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/map.h"

enum { TSI_TABLE_PAGE_BITS = 8, TSI_TABLE_PAGE_ITEMS = 1 << TSI_TABLE_PAGE_BITS };

struct tsi_table_page {
    uint64_t number;             // of its members, without the low bits
    size_t count;                // members
    struct tsi_table_page *next; // of the empty ones
    void *items[TSI_TABLE_PAGE_ITEMS];
};

// All zero is the empty table.
struct tsi_table {
    struct tsi_map pages;         // by the number of their first member
    struct tsi_table_page *last;  // the page that was changed last, or NULL
    struct tsi_table_page *spare; // empty pages
    size_t spare_count;
    size_t count;
};

void tsi_table_fini(struct tsi_table *table);

// The parts of the calls below that are for other pages than the one that was changed last.
void *tsi_table_get_far(const struct tsi_table *table, uint64_t number);
bool tsi_table_put_far(struct tsi_table *table, uint64_t number, void *item);
void tsi_table_remove_far(struct tsi_table *table, uint64_t number);

static inline bool
tsi_table_is_near(const struct tsi_table *table, uint64_t number)
{
    return table->last != NULL && table->last->number == number >> TSI_TABLE_PAGE_BITS;
}

// What is at `number`, NULL if nothing is.
static inline void *
tsi_table_get(const struct tsi_table *table, uint64_t number)
{
    return tsi_table_is_near(table, number) ? table->last->items[number % TSI_TABLE_PAGE_ITEMS]
                                            : tsi_table_get_far(table, number);
}

// Puts `item`, which is not NULL, at `number`; false when memory is out.
static inline bool
tsi_table_put(struct tsi_table *table, uint64_t number, void *item)
{
    if (!tsi_table_is_near(table, number)) {
        return tsi_table_put_far(table, number, item);
    }
    void **place = &table->last->items[number % TSI_TABLE_PAGE_ITEMS];
    const size_t added = *place == NULL ? 1 : 0;
    table->count += added;
    table->last->count += added;
    *place = item;
    return true;
}

// Takes out what is at `number`, if anything is.
static inline void
tsi_table_remove(struct tsi_table *table, uint64_t number)
{
    if (!tsi_table_is_near(table, number) || table->last->count == 1) {
        tsi_table_remove_far(table, number);
        return;
    }
    void **place = &table->last->items[number % TSI_TABLE_PAGE_ITEMS];
    const size_t gone = *place != NULL ? 1 : 0;
    table->count -= gone;
    table->last->count -= gone;
    *place = NULL;
}

#endif
