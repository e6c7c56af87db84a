// SPDX-License-Identifier: Apache-2.0
//
// Entries that come in order are a run, a vector that is taken from the front: what is pushed after
// all of it is appended. All others are a binary heap of pointers. The order of entries is total,
// so what comes first depends on the entries only, not on where they are or how they got there.
//
// The room for a run is twice that for all entries, and is compacted when the end is reached, so
// what that takes is a part of what was pushed meanwhile.

#include "worker/core/worker_queue.h"

// Marks places in the run.
#define IN_RUN (SIZE_MAX / 2 + 1)

bool
tsi_worker_queue_reserve(struct tsi_worker_queue *queue, size_t count)
{
    const size_t run = 2 * count;
    return (count <= queue->heap.count ||
            tsi_vec_reserve(&queue->heap, count - queue->heap.count)) &&
           (run <= queue->run.count || tsi_vec_reserve(&queue->run, run - queue->run.count));
}

void
tsi_worker_queue_fini(struct tsi_worker_queue *queue)
{
    tsi_vec_fini(&queue->heap);
    tsi_vec_fini(&queue->run);
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

static bool
is_after_run(const struct tsi_worker_queue *queue, const struct tsi_worker_entry *entry)
{
    return queue->run_live == 0 || entry->priority > queue->run_priority ||
           (entry->priority == queue->run_priority && entry->order > queue->run_order);
}

// Moves the entries of the run to its front.
static void
compact_run(struct tsi_worker_queue *queue)
{
    size_t kept = 0;
    for (size_t i = queue->run_first; i < queue->run.count; i++) {
        struct tsi_worker_entry *entry = queue->run.items[i];
        if (entry != NULL) {
            entry->at = IN_RUN | kept;
            queue->run.items[kept++] = entry;
        }
    }
    queue->run.count = kept;
    queue->run_first = 0;
}

static void
append_to_run(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    if (queue->run.count == queue->run.capacity) {
        compact_run(queue);
    }
    entry->at = IN_RUN | queue->run.count;
    queue->run.items[queue->run.count++] = entry;
    queue->run_live++;
    queue->run_priority = entry->priority;
    queue->run_order = entry->order;
}

static void
remove_from_run(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    queue->run.items[entry->at - IN_RUN] = NULL;
    entry->at = TSI_WORKER_NOT_QUEUED;
    queue->run_live--;
    if (queue->run_live == 0) {
        queue->run_first = 0;
        queue->run.count = 0;
        return;
    }
    while (queue->run.items[queue->run_first] == NULL) {
        queue->run_first++;
    }
}

static void
remove_from_heap(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
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
tsi_worker_queue_push(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    if (is_after_run(queue, entry)) {
        append_to_run(queue, entry);
    } else {
        sift_up(queue, entry, queue->heap.count++);
    }
}

void
tsi_worker_queue_remove(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry)
{
    if (entry->at >= IN_RUN) {
        remove_from_run(queue, entry);
    } else {
        remove_from_heap(queue, entry);
    }
}

void
tsi_worker_queue_raise(struct tsi_worker_queue *queue, struct tsi_worker_entry *entry,
                       uint64_t priority)
{
    if (priority >= entry->priority) {
        return;
    }
    tsi_worker_queue_remove(queue, entry);
    entry->priority = priority;
    tsi_worker_queue_push(queue, entry);
}

struct tsi_worker_entry *
tsi_worker_queue_first(const struct tsi_worker_queue *queue)
{
    struct tsi_worker_entry *top = queue->heap.count > 0 ? queue->heap.items[0] : NULL;
    if (queue->run_live == 0) {
        return top;
    }
    struct tsi_worker_entry *front = queue->run.items[queue->run_first];
    return top == NULL || is_before(front, top) ? front : top;
}

static bool
verify_run(const struct tsi_worker_queue *queue)
{
    const struct tsi_worker_entry *before = NULL;
    size_t live = 0;
    for (size_t i = queue->run_first; i < queue->run.count; i++) {
        const struct tsi_worker_entry *entry = queue->run.items[i];
        if (entry != NULL) {
            if (entry->at != (IN_RUN | i) || (before != NULL && is_before(entry, before))) {
                return false;
            }
            before = entry;
            live++;
        }
    }
    return live == queue->run_live && (live == 0 || queue->run.items[queue->run_first] != NULL);
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
    return verify_run(queue);
}
