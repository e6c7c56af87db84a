// SPDX-License-Identifier: Apache-2.0
//
// A binary heap of pointers. The order of entries is total, so what comes first depends on the
// entries only, not on how they got into the heap.

#include "worker/core/worker_queue.h"

bool
tsi_worker_queue_reserve(struct tsi_worker_queue *queue, size_t count)
{
    return count <= queue->heap.count || tsi_vec_reserve(&queue->heap, count - queue->heap.count);
}

void
tsi_worker_queue_fini(struct tsi_worker_queue *queue)
{
    tsi_vec_fini(&queue->heap);
}

static bool
is_before(const struct tsi_worker_entry *a, const struct tsi_worker_entry *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->order < b->order;
}

static void
place(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry, size_t at)
{
    queue->heap.items[at] = entry;
    entry->at = at;
}

static void
sift_up(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry, size_t at)
{
    while (at > 0 && is_before(entry, queue->heap.items[(at - 1) / 2])) {
        place(queue, queue->heap.items[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    place(queue, entry, at);
}

static void
sift_down(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry, size_t at)
{
    const size_t count = queue->heap.count;
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count &&
            is_before(queue->heap.items[child + 1], queue->heap.items[child])) {
            child++;
        }
        if (!is_before(queue->heap.items[child], entry)) {
            break;
        }
        place(queue, queue->heap.items[child], at);
        at = child;
    }
    place(queue, entry, at);
}

void
tsi_worker_queue_push(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    sift_up(queue, entry, queue->heap.count++);
}

void
tsi_worker_queue_remove(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    const size_t at = entry->at;
    struct tsi_worker_entry *last = tsi_vec_pop(&queue->heap);
    entry->at = TSI_WORKER_NOT_QUEUED;
    if (last == entry) {
        return;
    }
    if (is_before(last, entry)) {
        sift_up(queue, last, at);
    } else {
        sift_down(queue, last, at);
    }
}

void
tsi_worker_queue_raise(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry,
                       uint64_t priority)
{
    if (priority < entry->priority) {
        entry->priority = priority;
        sift_up(queue, entry, entry->at);
    }
}

struct tsi_worker_entry *
tsi_worker_queue_first(const struct tsi_worker_queue *queue)
{
    return queue->heap.count > 0 ? queue->heap.items[0] : NULL;
}

bool
tsi_worker_queue_verify(const struct tsi_worker_queue *queue)
{
    for (size_t i = 0; i < queue->heap.count; i++) {
        const struct tsi_worker_entry *entry = queue->heap.items[i];
        if (entry->at != i || (i > 0 && is_before(entry, queue->heap.items[(i - 1) / 2]))) {
            return false;
        }
    }
    return true;
}
