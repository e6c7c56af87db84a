// SPDX-License-Identifier: Apache-2.0
//
// What leaves memory for the disk, and when.
//
// Nothing is written before somebody needs the room: a task that could start, or a chunk that could
// be fetched or read. Then those chunks leave that are needed last, and none that is needed before
// the one who asks. So the first of all waiting tasks keeps what it has got and gets all that it
// needs, whatever else has to go: there is no circle of chunks that push each other out.
//
// What a peer demands is read before all else and stays until the peer has got it. Otherwise a task
// here could take its room at once, the peer would demand it again, and neither would ever go on.
//
// What is cheaper to make again than to write is not written but dropped (worker_cheap.c).
//
// A chunk never changes, so what is on disk of it stays good after it was read back: to leave again
// costs nothing then. Only where room on disk is short is it given up.
//
// A chunk that is being written is still in memory and may be used; if a task runs with it when it
// is written, it stays.

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "worker/core/worker_state.h"

// How long a chunk stays that was read for a peer, if the peer does not come for it.
#define STAY_NS UINT64_C(1000000000)

// At least this part of the memory is freed at once, so that the search for what is needed last
// pays.
#define PART_AT_ONCE 64

static uint64_t
taken_bytes(const struct tsi_worker *worker)
{
    return worker->bytes_held + worker->bytes_reserved + worker->bytes_fetching;
}

static bool
fits(const struct tsi_worker *worker, uint64_t bytes)
{
    const uint64_t taken = taken_bytes(worker);
    return bytes == 0 || (taken <= worker->memory_bytes && bytes <= worker->memory_bytes - taken);
}

void
tsi_worker_spill_enter(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    worker->held_count++;
    worker->bytes_held += chunk->bytes;
    chunk->resident_at = SIZE_MAX;
    if (chunk->bytes > 0) {
        chunk->resident_at = worker->resident.count;
        (void)tsi_vec_push(&worker->resident, chunk); // reserved with the room for the handle
    }
}

void
tsi_worker_spill_leave(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    (void)tsi_vec_push(&worker->releases, chunk->handle); // reserved when it arrived
    chunk->handle = NULL;
    worker->held_count--;
    worker->bytes_held -= chunk->bytes;
    if (chunk->resident_at != SIZE_MAX) {
        struct tsi_worker_chunk *last = tsi_vec_pop(&worker->resident);
        if (last != chunk) {
            worker->resident.items[chunk->resident_at] = last;
            last->resident_at = chunk->resident_at;
        }
        chunk->resident_at = SIZE_MAX;
    }
}

// There is nothing of the chunk on disk any more, nor will be.
static void
uncount(struct tsi_worker *worker, const struct tsi_worker_chunk *chunk)
{
    worker->bytes_spilled -= chunk->bytes;
    worker->extent_count--;
    worker->spill_failed = false; // there is more room than before
}

void
tsi_worker_spill_forget(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    if (chunk->extent != NULL) {
        (void)tsi_vec_push(&worker->extents, chunk->extent); // reserved when it was to be written
        chunk->extent = NULL;
        uncount(worker, chunk);
    }
}

void
tsi_worker_spill_stay(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    if (!chunk->leaving || chunk->io != TSI_WORKER_NO_IO) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < worker->spills.count; i++) {
        if (worker->spills.items[i] != chunk) {
            worker->spills.items[kept++] = worker->spills.items[i];
        }
    }
    worker->spills.count = kept;
    chunk->leaving = false;
    worker->bytes_leaving -= chunk->bytes;
    worker->bytes_spilled -= chunk->bytes;
    worker->extent_count--;
}

// Takes a chunk whose bytes are on disk out of memory. Tasks that were ready with it wait for it.
static void
unload(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    const uint64_t next_use = tsi_worker_next_use(worker, chunk);
    tsi_worker_spill_leave(worker, chunk);
    chunk->state = TSI_WORKER_ON_DISK;
    chunk->demanded = false;
    for (struct tsi_worker_input *use = chunk->users; use != NULL; use = use->next) {
        tsi_worker_task_input_left(worker, use->task);
    }
    if (chunk->users != NULL) {
        tsi_worker_chunk_load(worker, chunk, next_use);
    }
    tsi_worker_chunk_count(worker, chunk);
}

// Makes a chunk leave; gives the bytes that are or will be free by that.
static uint64_t
evict(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    if (chunk->extent != NULL) {
        unload(worker, chunk);
        return chunk->bytes;
    }
    const uint64_t bytes = chunk->bytes;
    if (tsi_worker_cheap_drop(worker, chunk)) {
        return bytes;
    }
    const bool has_room = worker->bytes_spilled <= worker->spill_limit &&
                          chunk->bytes <= worker->spill_limit - worker->bytes_spilled;
    if (!has_room || worker->spill_failed ||
        !tsi_vec_reserve(&worker->extents, worker->extent_count + 1) ||
        !tsi_vec_push(&worker->spills, chunk)) {
        return 0;
    }
    chunk->leaving = true;
    worker->bytes_leaving += chunk->bytes;
    worker->bytes_spilled += chunk->bytes;
    worker->extent_count++;
    return chunk->bytes;
}

// Needed last comes first; among equals the youngest record, as when an array is gone through again
// and again.
static int
compare_victims(const void *a, const void *b)
{
    const struct tsi_worker_victim *x = a;
    const struct tsi_worker_victim *y = b;
    if (x->next_use != y->next_use) {
        return x->next_use > y->next_use ? -1 : 1;
    }
    return x->chunk->entry.order > y->chunk->entry.order ? -1 : 1;
}

static bool
may_leave(const struct tsi_worker_chunk *chunk)
{
    return chunk->locks == 0 && !chunk->leaving && chunk->io == TSI_WORKER_NO_IO &&
           !chunk->unclaimed && chunk->mapped;
}

// Makes chunks leave that are needed after `priority`, until `bytes` are free by that. If not even
// `least` can be, none leaves: they would be read back for those who wait for them, and leave
// again, for ever.
static void
evict_some(struct tsi_worker *worker, uint64_t bytes, uint64_t least, uint64_t priority)
{
    uint64_t possible = 0;
    tsi_vec_clear(&worker->victims);
    if (!tsi_vec_reserve(&worker->victims, worker->resident.count)) {
        return;
    }
    for (size_t i = 0; i < worker->resident.count; i++) {
        struct tsi_worker_chunk *chunk = worker->resident.items[i];
        if (may_leave(chunk)) {
            const struct tsi_worker_victim victim = {chunk, tsi_worker_next_use(worker, chunk)};
            if (victim.next_use > priority) {
                worker->victims.items[worker->victims.count++] = victim;
                possible += chunk->bytes;
            }
        }
    }
    if (possible < least) {
        return;
    }
    if (worker->victims.count > 1) {
        qsort(worker->victims.items, worker->victims.count, sizeof *worker->victims.items,
              compare_victims);
    }
    uint64_t freed = 0;
    for (size_t i = 0; i < worker->victims.count && freed < bytes; i++) {
        freed += evict(worker, worker->victims.items[i].chunk);
    }
}

bool
tsi_worker_spill_room(struct tsi_worker *worker, uint64_t bytes, uint64_t priority)
{
    if (fits(worker, bytes)) {
        return true;
    }
    if (worker->spills_max == 0 || bytes > worker->memory_bytes) {
        return false;
    }
    const uint64_t wanted = taken_bytes(worker) - (worker->memory_bytes - bytes);
    if (wanted > worker->bytes_leaving) {
        const uint64_t more = wanted - worker->bytes_leaving;
        const uint64_t part = worker->memory_bytes / PART_AT_ONCE;
        evict_some(worker, more > part ? more : part, more, priority);
    }
    return fits(worker, bytes);
}

void
tsi_worker_spill_shed(struct tsi_worker *worker)
{
    if (!worker->is_over) {
        return;
    }
    const uint64_t taken = taken_bytes(worker);
    const uint64_t excess = taken > worker->memory_bytes ? taken - worker->memory_bytes : 0;
    worker->is_over = excess > 0;
    if (excess > worker->bytes_leaving && worker->spills_max > 0) {
        evict_some(worker, excess - worker->bytes_leaving, 0, 0);
    }
}

static void
take_run(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, enum tsi_worker_io io)
{
    uint32_t run = 0;
    while (worker->spill_runs[run] != NULL) {
        run++;
    }
    worker->spill_runs[run] = chunk;
    worker->spill_run_count++;
    chunk->spill_run = run;
    chunk->io = io;
}

struct tsi_worker_chunk *
tsi_worker_spill_next(struct tsi_worker *worker)
{
    if (worker->spills.count == 0 || worker->spill_run_count == worker->spills_max) {
        return NULL;
    }
    struct tsi_worker_chunk *chunk = tsi_vec_pop(&worker->spills);
    take_run(worker, chunk, TSI_WORKER_WRITING);
    return chunk;
}

void
tsi_worker_spill_read(struct tsi_worker *worker, struct tsi_worker_chunk *chunk)
{
    take_run(worker, chunk, TSI_WORKER_READING);
}

// The chunk of a run that ended.
static struct tsi_worker_chunk *
end_run(struct tsi_worker *worker, uint32_t run)
{
    struct tsi_worker_chunk *chunk = worker->spill_runs[run];
    worker->spill_runs[run] = NULL;
    worker->spill_run_count--;
    chunk->io = TSI_WORKER_NO_IO;
    return chunk;
}

static struct tsi_worker_chunk *
chunk_of_run(const struct tsi_worker *worker, uint32_t run, enum tsi_worker_io io)
{
    struct tsi_worker_chunk *chunk = run < worker->spills_max ? worker->spill_runs[run] : NULL;
    TSI_CHECK(chunk != NULL && chunk->io == io);
    return chunk;
}

bool
tsi_worker_spill_written(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    struct tsi_worker_chunk *chunk = chunk_of_run(worker, event->spilled.run, TSI_WORKER_WRITING);
    (void)end_run(worker, event->spilled.run);
    chunk->leaving = false;
    worker->bytes_leaving -= chunk->bytes;
    if (event->spilled.status != TESS_OK) {
        const char *text = event->spilled.text;
        uncount(worker, chunk);
        worker->spill_failed = true;
        worker->spill_status = event->spilled.status;
        snprintf(worker->spill_text, sizeof worker->spill_text, "%s", text != NULL ? text : "");
    } else {
        chunk->extent = event->spilled.extent;
        worker->spills_done++;
        if (chunk->locks == 0 && chunk->mapped && !chunk->freed) {
            unload(worker, chunk);
        }
    }
    tsi_worker_chunk_settle(worker, chunk);
    return true;
}

void
tsi_worker_spill_lose(struct tsi_worker *worker, struct tsi_worker_chunk *chunk, const char *text)
{
    worker->chunks_lost++;
    // Without memory for it the scheduler hears of it when it gives a task that needs the chunk.
    // Between two schedulers there is nobody to tell.
    const bool is_told = !chunk->doubtful || worker->offered;
    if (is_told && chunk->known && chunk->mapped && !chunk->freed) {
        (void)tsi_vec_push(&worker->dropped, chunk->key);
    }
    tsi_worker_spill_forget(worker, chunk);
    chunk->known = false;
    chunk->peer = TSI_PEER_NONE;
    tsi_worker_chunk_lost(worker, chunk, text);
}

bool
tsi_worker_spill_loaded(struct tsi_worker *worker, const struct tsi_worker_event *event)
{
    struct tsi_worker_chunk *chunk = chunk_of_run(worker, event->loaded.run, TSI_WORKER_READING);
    if (event->loaded.status == TESS_OK && !tsi_worker_chunk_reserve_release(worker)) {
        return false;
    }
    (void)end_run(worker, event->loaded.run);
    if (chunk->state != TSI_WORKER_FETCHING) { // it came from elsewhere
        if (event->loaded.status == TESS_OK) {
            (void)tsi_vec_push(&worker->releases, event->loaded.handle);
        }
        tsi_worker_chunk_settle(worker, chunk);
    } else if (event->loaded.status == TESS_OK) {
        worker->loads_done++;
        tsi_worker_chunk_arrived(worker, chunk, event->loaded.handle, chunk->bytes);
        chunk->stays_until_ns = worker->now_ns + STAY_NS;
        if (worker->bytes_spilled > worker->spill_limit / 2) {
            tsi_worker_spill_forget(worker, chunk);
        }
        tsi_worker_chunk_settle(worker, chunk);
    } else {
        tsi_worker_spill_lose(worker, chunk, event->loaded.text);
    }
    return true;
}
