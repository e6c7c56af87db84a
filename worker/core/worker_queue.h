// SPDX-License-Identifier: Apache-2.0
//
// A queue by priority whose entries are parts of other records and know their place, so that one
// can be taken out of the middle. Entries that come in order take no time by their number.

#ifndef TSI_WORKER_QUEUE_H
#define TSI_WORKER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"

#define TSI_WORKER_NOT_QUEUED SIZE_MAX

// Lower `priority` is first, then lower `order`. No two entries of a queue are equal in both.
struct tsi_worker_entry {
    uint64_t priority;
    uint64_t order;
    size_t at; // TSI_WORKER_NOT_QUEUED, or its place
};

// All zero is empty.
struct tsi_worker_queue {
    TSI_VEC(struct tsi_worker_entry *) heap;
    // Entries in order, from `run_first` on; NULL: taken out of the middle.
    TSI_VEC(struct tsi_worker_entry *) run;
    size_t run_first;
    size_t run_live;       // entries in it
    uint64_t run_priority; // of the last one that was put in
    uint64_t run_order;
};

static inline size_t
tsi_worker_queue_count(const struct tsi_worker_queue *queue)
{
    return queue->heap.count + queue->run_live;
}

// Makes sure that `count` entries fit in all; false when memory is out.
bool tsi_worker_queue_reserve(struct tsi_worker_queue *queue, size_t count);
void tsi_worker_queue_fini(struct tsi_worker_queue *queue);

// The room must have been reserved.
void tsi_worker_queue_push(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry);
void tsi_worker_queue_remove(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry);

// Gives a queued entry a lower priority; a higher one has no effect.
void tsi_worker_queue_raise(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry,
                            uint64_t priority);

// The first entry, NULL if there is none.
struct tsi_worker_entry *tsi_worker_queue_first(const struct tsi_worker_queue *queue);

// Whether the places are right, no entry is before its parent, and the run is in order.
bool tsi_worker_queue_verify(const struct tsi_worker_queue *queue);

#endif
