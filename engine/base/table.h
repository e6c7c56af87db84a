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

struct tsi_table_page;

// All zero is the empty table.
struct tsi_table {
    struct tsi_map pages;         // by the number of their first member
    struct tsi_table_page *last;  // the page that was changed last, or NULL
    struct tsi_table_page *spare; // an empty page, or NULL
    size_t count;
};

void tsi_table_fini(struct tsi_table *table);

// What is at `number`, NULL if nothing is.
void *tsi_table_get(const struct tsi_table *table, uint64_t number);

// Puts `item`, which is not NULL, at `number`; false when memory is out.
bool tsi_table_put(struct tsi_table *table, uint64_t number, void *item);

// Takes out what is at `number`, if anything is.
void tsi_table_remove(struct tsi_table *table, uint64_t number);

#endif
