// SPDX-License-Identifier: Apache-2.0
//
// Pages of pointers under the high bits of their numbers. The page that was changed last is tried
// first. One page that became empty is kept, so that a window of numbers that moves on and on takes
// no memory in turn.

#include "engine/base/table.h"

#include "engine/base/memory.h"

void
tsi_table_fini(struct tsi_table *table)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    while (tsi_map_next(&table->pages, &cursor, &key, &value)) {
        tsi_free((void *)(uintptr_t)value);
    }
    tsi_free(table->spare);
    tsi_map_fini(&table->pages);
    *table = (struct tsi_table){0};
}

static struct tsi_table_page *
find(const struct tsi_table *table, uint64_t number)
{
    const uint64_t page = number >> TSI_TABLE_PAGE_BITS;
    if (table->last != NULL && table->last->number == page) {
        return table->last;
    }
    const uint64_t *value = tsi_map_get(&table->pages, page);
    return value != NULL ? (struct tsi_table_page *)(uintptr_t)*value : NULL;
}

void *
tsi_table_get_far(const struct tsi_table *table, uint64_t number)
{
    const struct tsi_table_page *page = find(table, number);
    return page != NULL ? page->items[number % TSI_TABLE_PAGE_ITEMS] : NULL;
}

// Adds the empty page that `number` is to be in; NULL when memory is out.
static struct tsi_table_page *
add_page(struct tsi_table *table, uint64_t number)
{
    if (table->spare == NULL) {
        table->spare = tsi_calloc(1, sizeof *table->spare);
    }
    struct tsi_table_page *page = table->spare;
    if (page == NULL ||
        !tsi_map_put(&table->pages, number >> TSI_TABLE_PAGE_BITS, (uintptr_t)page)) {
        return NULL;
    }
    page->number = number >> TSI_TABLE_PAGE_BITS;
    table->spare = NULL;
    return page;
}

bool
tsi_table_put_far(struct tsi_table *table, uint64_t number, void *item)
{
    struct tsi_table_page *page = find(table, number);
    if (page == NULL) {
        page = add_page(table, number);
    }
    if (page == NULL) {
        return false;
    }
    table->last = page;
    return tsi_table_put(table, number, item);
}

void
tsi_table_remove_far(struct tsi_table *table, uint64_t number)
{
    struct tsi_table_page *page = find(table, number);
    if (page == NULL || page->items[number % TSI_TABLE_PAGE_ITEMS] == NULL) {
        return;
    }
    page->items[number % TSI_TABLE_PAGE_ITEMS] = NULL;
    table->count--;
    table->last = page;
    if (--page->count == 0) {
        tsi_map_remove(&table->pages, page->number);
        tsi_free(table->spare);
        table->spare = page;
        table->last = NULL;
    }
}
