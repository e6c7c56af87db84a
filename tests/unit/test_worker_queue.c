// SPDX-License-Identifier: Apache-2.0
//
// The queue by priority against a list that is searched, and the pool of records.

#include "worker/core/worker_queue.h"

#include <criterion/criterion.h>

#include "worker/core/worker_pool.h"

enum { ENTRIES = 64 };

static uint64_t
next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static struct tsi_worker_entry *
first_of(struct tsi_worker_entry *entries)
{
    struct tsi_worker_entry *first = NULL;
    for (int i = 0; i < ENTRIES; i++) {
        struct tsi_worker_entry *entry = &entries[i];
        if (entry->at != TSI_WORKER_NOT_QUEUED &&
            (first == NULL || entry->priority < first->priority ||
             (entry->priority == first->priority && entry->order < first->order))) {
            first = entry;
        }
    }
    return first;
}

Test(worker_queue, is_as_a_list_that_is_searched)
{
    struct tsi_worker_queue queue = {0};
    struct tsi_worker_entry entries[ENTRIES];
    uint64_t state = 1;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        entries[i] = (struct tsi_worker_entry){0, i, TSI_WORKER_NOT_QUEUED};
    }
    cr_assert(tsi_worker_queue_reserve(&queue, ENTRIES));
    for (int step = 0; step < 20000; step++) {
        struct tsi_worker_entry *entry = &entries[next(&state) % ENTRIES];
        if (entry->at == TSI_WORKER_NOT_QUEUED) {
            entry->priority = next(&state) % 16;
            tsi_worker_queue_push(&queue, entry);
        } else if (next(&state) % 2 == 0) {
            tsi_worker_queue_raise(&queue, entry, next(&state) % 16);
        } else {
            tsi_worker_queue_remove(&queue, entry);
        }
        cr_assert(tsi_worker_queue_verify(&queue));
        cr_assert(tsi_worker_queue_first(&queue) == first_of(entries));
    }
    tsi_worker_queue_fini(&queue);
}

Test(worker_pool, records_come_back)
{
    struct tsi_worker_pool pool = {.record_bytes = 40};
    void *records[200];
    cr_assert(tsi_worker_pool_reserve(&pool, 200));
    for (int i = 0; i < 200; i++) {
        records[i] = tsi_worker_pool_take(&pool);
        for (int k = 0; k < i; k++) {
            cr_assert(records[k] != records[i]);
        }
    }
    cr_assert_eq(pool.used_count, 200);
    const struct tsi_worker_block *blocks = pool.blocks;
    for (int i = 0; i < 200; i++) {
        tsi_worker_pool_give(&pool, records[i]);
    }
    cr_assert(tsi_worker_pool_reserve(&pool, 200));
    cr_assert(pool.blocks == blocks, "nothing is allocated for what came back");
    cr_assert(tsi_worker_pool_take(&pool) == records[199]);
    tsi_worker_pool_fini(&pool);
}
