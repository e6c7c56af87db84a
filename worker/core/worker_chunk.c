// SPDX-License-Identifier: Apache-2.0
//
// Chunks: which are here, which are on their way, who waits for them, and when they go.
//
// What a worker holds is what the scheduler can know from its reports: outputs of tasks reported
// done, inputs that those tasks fetched, and copies that it was told to make. These stay until they
// are freed or their job is dropped. Anything else, such as an input of a task that was retracted
// while it was fetched, goes with its last use. A pin is one use: by a task, or by a completion
// that the driver has not reported yet and whose handle it may still read.
//
// A chunk on its way is one record, whoever waits for it: ending a task takes its pins away and
// leaves a fetch that has started alone. What nobody wants when it arrives is given back.

#include "worker/core/worker_state.h"

#include "engine/base/check.h"

// A task may have hundreds of inputs, and if one cannot be had all of it starts again elsewhere.
enum { TRIES_MAX = 3 };

struct tsi_worker_chunk *
tsi_worker_chunk_find(const struct tsi_worker *worker, tsi_key key)
{
    return tsi_table_get(&worker->chunks, key);
}

// What the scheduler's books do not have is not counted: what is left of a dropped job, what was
// freed while a task uses it, what comes and is not wanted any more.
void
tsi_worker_chunk_count(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    bool is_taken = chunk->state == TSI_WORKER_HELD;
    if (chunk->state == TSI_WORKER_FETCHING) {
        is_taken = chunk->pins > 0 || chunk->copying || (chunk->known && chunk->extent != NULL);
    }
    const uint64_t counted =
        is_taken && chunk->mapped && !chunk->freed && !chunk->doubtful ? chunk->bytes : 0;
    worker->bytes_counted += counted - chunk->counted;
    chunk->counted = counted;
}

// A record under `key` in the lists, with its job; NULL when memory is out.
static struct tsi_worker_chunk *
new_record(struct tsi_worker *worker, tsi_key key, struct tsi_worker_job *job)
{
    if (!tsi_worker_pool_reserve(&worker->chunk_pool, 1) ||
        !tsi_worker_queue_reserve(&worker->fetches, worker->chunk_pool.used_count + 1)) {
        return NULL;
    }
    struct tsi_worker_chunk *chunk = tsi_worker_pool_take_clear(&worker->chunk_pool);
    if (!tsi_table_put(&worker->chunks, key, chunk)) {
        tsi_worker_pool_give(&worker->chunk_pool, chunk);
        return NULL;
    }
    chunk->entry.at = TSI_WORKER_NOT_QUEUED;
    chunk->entry.order = worker->fetch_order++;
    chunk->key = key;
    chunk->job = job;
    chunk->next = job->chunks;
    chunk->mapped = true;
    if (chunk->next != NULL) {
        chunk->next->previous = chunk;
    }
    job->chunks = chunk;
    return chunk;
}

struct tsi_worker_chunk *
tsi_worker_chunk_add(struct tsi_worker *worker, tsi_key key)
{
    struct tsi_worker_chunk *chunk = tsi_worker_chunk_find(worker, key);
    if (chunk != NULL) {
        return chunk;
    }
    struct tsi_worker_job *job = tsi_worker_job_add(worker, tsi_key_job(key));
    if (job == NULL) {
        return NULL;
    }
    chunk = new_record(worker, key, job);
    if (chunk == NULL) {
        tsi_worker_job_settle(worker, job);
    }
    return chunk;
}

static void
remove_record(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    struct tsi_worker_job *job = chunk->job;
    worker->bytes_counted -= chunk->counted;
    if (chunk->mapped) {
        tsi_table_remove(&worker->chunks, chunk->key);
    }
    if (chunk->next != NULL) {
        chunk->next->previous = chunk->previous;
    }
    if (chunk->previous != NULL) {
        chunk->previous->next = chunk->next;
    } else {
        job->chunks = chunk->next;
    }
    tsi_worker_pool_give(&worker->chunk_pool, chunk);
    tsi_worker_job_settle(worker, job);
}

// Takes the chunk out of the queue if nobody waits for it.
static void
unqueue(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    if (chunk->state == TSI_WORKER_QUEUED && !chunk->demanded) {
        tsi_worker_queue_remove(&worker->fetches, &chunk->entry);
        chunk->state = chunk->extent != NULL ? TSI_WORKER_ON_DISK : TSI_WORKER_NOWHERE;
    }
}

void
tsi_worker_chunk_settle(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    tsi_worker_chunk_count(worker, chunk);
    if (chunk->pins > 0 || chunk->copying || chunk->state == TSI_WORKER_FETCHING ||
        chunk->io != TSI_WORKER_NO_IO) {
        return;
    }
    if (tsi_worker_chunk_is_here(chunk) && (chunk->known || chunk->unclaimed)) {
        unqueue(worker, chunk);
        return;
    }
    chunk->demanded = false;
    unqueue(worker, chunk);
    tsi_worker_spill_stay(worker, chunk);
    tsi_worker_spill_forget(worker, chunk);
    if (chunk->state == TSI_WORKER_HELD) {
        tsi_worker_spill_leave(worker, chunk);
    }
    remove_record(worker, chunk);
}

void
tsi_worker_chunk_know(struct tsi_worker_chunk *chunk, struct tsi_worker_job *user)
{
    if (!chunk->known && chunk->job != user) {
        chunk->known_by = user->number;
        user->tells_others = true;
    }
    chunk->known = true;
}

void
tsi_worker_chunk_tell_again(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    chunk->known_by = TSI_JOB_NONE;
    chunk->doubtful = true;
    tsi_worker_chunk_count(worker, chunk);
    // Without memory for it the chunk may stay until its job is dropped.
    if (chunk->known && tsi_worker_chunk_is_here(chunk) &&
        tsi_vec_reserve(&worker->copied, worker->copying_count + 1)) {
        (void)tsi_vec_push(&worker->copied, chunk->key);
    }
}

void
tsi_worker_chunk_unlock(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    chunk->locks--;
    tsi_worker_chunk_unpin(worker, chunk);
}

void
tsi_worker_chunk_load(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, uint64_t priority)
{
    chunk->state = TSI_WORKER_QUEUED;
    chunk->entry.priority = priority;
    tsi_worker_queue_push(&worker->fetches, &chunk->entry);
}

void
tsi_worker_chunk_unpin(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    chunk->pins--;
    tsi_worker_chunk_settle(worker, chunk);
}

bool
tsi_worker_chunk_want(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, uint64_t priority,
                      const struct tsi_location *location)
{
    chunk->freed = false;
    chunk->doubtful = false;
    tsi_worker_chunk_count(worker, chunk);
    switch (chunk->state) {
    case TSI_WORKER_HELD:
    case TSI_WORKER_FETCHING:
        return true;
    case TSI_WORKER_QUEUED:
        if (location != NULL && location->peer != TSI_PEER_NONE) {
            chunk->peer = location->peer;
            chunk->tries = 0;
        }
        tsi_worker_queue_raise(&worker->fetches, &chunk->entry, priority);
        return true;
    case TSI_WORKER_ON_DISK:
        tsi_worker_chunk_load(worker, chunk, priority);
        return true;
    case TSI_WORKER_NOWHERE:
        break;
    }
    if (location == NULL || location->peer == TSI_PEER_NONE) {
        return false;
    }
    chunk->peer = location->peer;
    chunk->tries = 0;
    chunk->state = TSI_WORKER_QUEUED;
    chunk->entry.priority = priority;
    tsi_worker_queue_push(&worker->fetches, &chunk->entry);
    return true;
}

bool
tsi_worker_chunk_reserve_release(struct tsi_worker *worker)
{
    return tsi_vec_reserve(&worker->releases, worker->held_count + 1) &&
           tsi_vec_reserve(&worker->resident, 1);
}

void
tsi_worker_chunk_stop(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    if (chunk->state == TSI_WORKER_QUEUED) {
        tsi_worker_queue_remove(&worker->fetches, &chunk->entry);
    } else if (chunk->state == TSI_WORKER_FETCHING) {
        worker->fetching_count--;
        worker->bytes_fetching -= chunk->bytes;
    }
    chunk->state = TSI_WORKER_NOWHERE;
    tsi_worker_chunk_count(worker, chunk);
}

void
tsi_worker_chunk_arrived(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, void *handle,
                         uint64_t bytes)
{
    if (chunk->state != TSI_WORKER_NOWHERE) {
        tsi_worker_chunk_stop(worker, chunk);
    }
    chunk->state = TSI_WORKER_HELD;
    chunk->handle = handle;
    chunk->bytes = bytes;
    tsi_worker_spill_enter(worker, chunk);
    if (chunk->copying) {
        chunk->copying = false;
        chunk->known = true;
        worker->copying_count--;
        (void)tsi_vec_push(&worker->copied, chunk->key); // reserved when it was asked for
    }
    tsi_worker_chunk_count(worker, chunk);
    for (struct tsi_worker_input *use = chunk->users; use != NULL; use = use->next) {
        tsi_worker_task_input_arrived(worker, use->task);
    }
}

void
tsi_worker_chunk_failed(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, const char *text)
{
    chunk->tries++;
    if (chunk->tries >= TRIES_MAX || (chunk->pins == 0 && !chunk->copying)) {
        tsi_worker_chunk_lost(worker, chunk, text);
        return;
    }
    tsi_worker_chunk_stop(worker, chunk);
    chunk->state = TSI_WORKER_QUEUED;
    tsi_worker_queue_push(&worker->fetches, &chunk->entry);
}

void
tsi_worker_chunk_lost(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, const char *text)
{
    const uint32_t peer = chunk->peer;
    tsi_worker_chunk_stop(worker, chunk);
    chunk->pins++; // keeps the record while those who wait let it go
    while (chunk->users != NULL) {
        tsi_worker_task_input_lost(worker, chunk->users->task, chunk->key, peer, text);
    }
    if (chunk->copying) {
        chunk->copying = false;
        worker->copying_count--;
        (void)tsi_vec_push(&worker->lost_copies, // reserved when it was asked for
                           ((struct tsi_worker_lost_copy){chunk->key, peer}));
    }
    tsi_worker_chunk_unpin(worker, chunk);
}

void
tsi_worker_chunk_free(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    chunk->freed = true;
    chunk->known = false;
    chunk->told = false;
    chunk->unclaimed = false;
    if (chunk->copying) {
        chunk->copying = false;
        worker->copying_count--;
    }
    tsi_worker_chunk_settle(worker, chunk);
}

void
tsi_worker_chunk_call_off(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    chunk->demanded = false;
    if (chunk->state == TSI_WORKER_HELD || chunk->io == TSI_WORKER_READING) {
        return;
    }
    tsi_worker_chunk_stop(worker, chunk);
    if (chunk->extent != NULL) {
        chunk->state = TSI_WORKER_ON_DISK;
    }
}

void
tsi_worker_chunk_detach(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    TSI_CHECK(chunk->users == NULL);
    if (chunk->mapped) {
        tsi_table_remove(&worker->chunks, chunk->key);
        chunk->mapped = false;
    }
    tsi_worker_chunk_call_off(worker, chunk);
    tsi_worker_chunk_free(worker, chunk);
}

// Whether a chunk may be asked of a peer now. What is on its way cannot leave, so some memory is
// kept from it: two workers that wait for each other could read nothing for each other otherwise.
static bool
may_fetch(const struct tsi_worker *worker, const struct tsi_worker_chunk *chunk)
{
    const uint64_t part = worker->memory_bytes / 2;
    const bool is_little = chunk->bytes <= part && worker->bytes_fetching <= part - chunk->bytes;
    return worker->fetching_count < worker->fetches_max &&
           (worker->fetching_count == 0 || is_little || worker->spills_max == 0);
}

struct tsi_worker_chunk *
tsi_worker_chunk_next_fetch(struct tsi_worker *worker)
{
    struct tsi_worker_entry *entry = tsi_worker_queue_first(&worker->fetches);
    if (entry == NULL) {
        return NULL;
    }
    struct tsi_worker_chunk *chunk = (struct tsi_worker_chunk *)(void *)entry;
    const bool is_on_disk = chunk->extent != NULL;
    // Reading does not wait for peers, who may wait for what is read.
    const bool may_start =
        is_on_disk ? worker->spill_run_count < worker->spills_max : may_fetch(worker, chunk);
    if (!may_start || !tsi_worker_spill_room(worker, chunk->bytes, entry->priority) ||
        worker->releases.count > 0) {
        return NULL;
    }
    if (is_on_disk) {
        tsi_worker_spill_read(worker, chunk);
    }
    tsi_worker_queue_remove(&worker->fetches, entry);
    chunk->state = TSI_WORKER_FETCHING;
    worker->fetching_count++;
    worker->bytes_fetching += chunk->bytes;
    tsi_worker_chunk_count(worker, chunk);
    return chunk;
}
