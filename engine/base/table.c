// SPDX-License-Identifier: Apache-2.0
//
// Pages of pointers under the high bits of their numbers. The page that was changed last is tried
// first. A few pages that became empty are kept, so that a window of numbers that moves on and on
// takes no memory in turn.

#include "engine/base/table.h"

#include "engine/base/memory.h"

// Empty pages that are kept. Those who put may be a few pages ahead of those who take out.
enum { SPARES_MAX = 8 };

void
tsi_table_fini(struct tsi_table *table)
{
    size_t cursor = 0;
    uint64_t key;
    uint64_t value;
    while (tsi_map_next(&table->pages, &cursor, &key, &value)) {
        tsi_free((void *)(uintptr_t)value);
    }
    while (table->spare != NULL) {
        struct tsi_table_page *next = table->spare->next;
        tsi_free(table->spare);
        table->spare = next;
    }
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
        table->spare_count = table->spare != NULL ? 1 : 0;
    }
    struct tsi_table_page *page = table->spare;
    const uint64_t place = number >> TSI_TABLE_PAGE_BITS;
    if (page == NULL || !tsi_map_put(&table->pages, place, (uintptr_t)page)) {
        return NULL;
    }
    page->number = place;
    table->spare = page->next;
    table->spare_count--;
    return page;
}

// A page is empty.
static void
remove_page(struct tsi_table *table, struct tsi_table_page *page)
{
    tsi_map_remove(&table->pages, page->number);
    table->last = NULL;
    if (table->spare_count == SPARES_MAX) {
        tsi_free(page);
        return;
    }
    page->next = table->spare;
    table->spare = page;
    table->spare_count++;
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
        remove_page(table, page);
    }
}
