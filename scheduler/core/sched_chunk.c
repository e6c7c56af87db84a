// SPDX-License-Identifier: Apache-2.0
//
// Holders and bytes of chunks.
//
// Most chunks have one holder, which is in the task's record. From the second on there is a set of
// bits, and the record's holder is one of the set. A held chunk has its client besides, which is
// not in the set.
//
// Cells come in three sizes, for one number, for a few and for the most that may be kept, and in
// blocks that never move, since actions point into them. The number of a cell has its size in its
// highest bits.

#include "scheduler/core/sched_chunk.h"

#include <assert.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/base/planted.h"
#include "scheduler/core/sched_state.h"

enum {
    CELLS_OF_BLOCK = 1024,
    NUMBER_BITS = 22,
    CELLS_MAX = (1 << NUMBER_BITS) - 1,
};

// The most bytes in a cell of each size.
static const size_t data_bytes[TSI_SCHED_CELL_SIZES] = {8, 56, TSI_INLINE_BYTES_MAX};

static_assert((TSI_SCHED_CELL_SIZES << NUMBER_BITS) <= 1 << 24, "the number fits a task's record");

struct cell {
    uint32_t bytes;
    uint32_t unused;
    unsigned char data[];
};

// What a chunk without bytes is given as.
static const unsigned char nothing[8];

struct tsi_sched_chunk
tsi_sched_chunk_of(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    if (job->ops[op].work != TSI_WORK_KEPT) {
        return (struct tsi_sched_chunk){job, op, task, &job->tasks[task]};
    }
    struct tsi_sched_job *maker = sched->jobs.items[job->ops[op].kept_slot];
    const uint32_t made = job->program->ops[op].kept.base + (task - job->ops[op].base);
    return (struct tsi_sched_chunk){maker, tsi_sched_job_op(maker, made), made,
                                    &maker->tasks[made]};
}

static uint64_t *
set_words(const struct tsi_sched *sched, uint32_t set)
{
    return sched->sets.bits.items + (size_t)set * sched->sets.words;
}

bool
tsi_sched_chunk_is_at(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                      uint32_t slot)
{
    if (record->link == 0) {
        return record->where == slot;
    }
    return (set_words(sched, record->link)[slot / 64] >> (slot % 64) & 1) != 0;
}

uint32_t
tsi_sched_chunk_holder(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                       uint32_t slot)
{
    if (record->link == 0) {
        return record->where != TSI_SLOT_NONE && record->where >= slot ? record->where
                                                                       : TSI_SLOT_NONE;
    }
    return tsi_sched_bits_next(set_words(sched, record->link), sched->sets.words, slot);
}

uint32_t
tsi_sched_chunk_holder_count(const struct tsi_sched *sched, const struct tsi_sched_task *record)
{
    if (record->link == 0) {
        return record->where == TSI_SLOT_NONE ? 0 : 1;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < sched->sets.words; i++) {
        count += (uint32_t)__builtin_popcountll(set_words(sched, record->link)[i]);
    }
    return count;
}

// A set without members; 0 when memory is out.
static uint32_t
new_set(struct tsi_sched_sets *sets)
{
    uint32_t set = 0;
    if (sets->unused.count > 0) {
        set = tsi_vec_pop(&sets->unused);
    } else {
        const size_t first = sets->bits.count == 0 ? sets->words : 0;
        set = (uint32_t)((sets->bits.count + first) / sets->words);
        // Giving a set back must not fail, so there is room for all of them.
        if (!tsi_vec_reserve(&sets->bits, first + sets->words) ||
            !tsi_vec_reserve(&sets->unused, set + 1)) {
            return 0;
        }
        sets->bits.count += first + sets->words;
    }
    memset(sets->bits.items + (size_t)set * sets->words, 0, sets->words * sizeof(uint64_t));
    return set;
}

static void
free_set(struct tsi_sched_sets *sets, uint32_t set)
{
    TSI_CHECK(sets->unused.count < sets->unused.capacity);
    sets->unused.items[sets->unused.count++] = set;
}

bool
tsi_sched_chunk_widen(struct tsi_sched *sched, uint32_t slots)
{
    struct tsi_sched_sets *sets = &sched->sets;
    const uint32_t words = (slots + 63) / 64;
    if (words <= sets->words) {
        return true;
    }
    const size_t count = sets->words == 0 ? 0 : sets->bits.count / sets->words;
    if (!tsi_vec_reserve(&sets->bits, count * (words - sets->words))) {
        return false;
    }
    for (size_t i = count; i-- > 0;) {
        uint64_t *to = sets->bits.items + i * words;
        memmove(to, sets->bits.items + i * sets->words, sets->words * sizeof *to);
        memset(to + sets->words, 0, (words - sets->words) * sizeof *to);
    }
    sets->bits.count = count * words;
    sets->words = words;
    return true;
}

bool
tsi_sched_chunk_add(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, uint32_t slot)
{
    struct tsi_sched_task *record = chunk->record;
    TSI_DEBUG_CHECK(!tsi_sched_chunk_is_at(sched, record, slot));
    if (record->where == TSI_SLOT_NONE) {
        record->where = slot;
    } else {
        if (record->link == 0) {
            const uint32_t set = new_set(&sched->sets);
            if (set == 0) {
                return false;
            }
            record->link = set;
            tsi_sched_bits_set(set_words(sched, set), record->where);
        }
        tsi_sched_bits_set(set_words(sched, record->link), slot);
    }
    struct tsi_sched_worker *worker = sched->workers.items[slot];
    worker->held_bytes += tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
    tsi_sched_peak_note(worker);
    return true;
}

void
tsi_sched_chunk_remove(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, uint32_t slot)
{
    struct tsi_sched_task *record = chunk->record;
    TSI_CHECK(tsi_sched_chunk_is_at(sched, record, slot));
    if (record->link == 0) {
        record->where = TSI_SLOT_NONE;
    } else {
        tsi_sched_bits_clear(set_words(sched, record->link), slot);
        record->where = tsi_sched_chunk_holder(sched, record, 0);
        if (tsi_sched_chunk_holder_count(sched, record) == 1) {
            free_set(&sched->sets, record->link);
            record->link = 0;
        }
    }
    sched->workers.items[slot]->held_bytes -=
        tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
    tsi_sched_wake(sched, slot);
    if (record->where != TSI_SLOT_NONE) {
        tsi_sched_target_moved(sched, chunk->job, chunk->op, chunk->task);
    }
}

void
tsi_sched_chunk_stray(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, uint32_t slot)
{
    const struct tsi_sched_task *record = chunk->record;
    if (tsi_sched_task_state(record) != TSI_TASK_ASSIGNED || record->where != slot) {
        tsi_sched_chunk_tell_free(sched, slot, tsi_key_of(chunk->job->id, chunk->task));
        return;
    }
    struct tsi_sched_worker *worker = sched->workers.items[slot];
    struct tsi_sched_attempt *attempt = &worker->attempts.items[record->link];
    if (!attempt->has_copy) {
        const uint64_t bytes = tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
        attempt->has_copy = true;
        attempt->bytes += bytes;
        worker->reserved_bytes += bytes;
        tsi_sched_peak_note(worker);
    }
}

void
tsi_sched_chunk_tell_free(struct tsi_sched *sched, uint32_t slot, tsi_key key)
{
    // Without memory for the message the worker keeps the chunk until its job is dropped.
    if (tsi_vec_push(&sched->workers.items[slot]->frees, key)) {
        tsi_sched_bits_set(sched->outbox.items, slot);
    }
}

static struct cell *
cell_at(const struct tsi_sched *sched, uint32_t number)
{
    const uint32_t size = number >> NUMBER_BITS;
    const uint32_t at = number & CELLS_MAX;
    unsigned char *block = sched->cells[size].blocks.items[at / CELLS_OF_BLOCK];
    return (struct cell *)(void *)(block +
                                   at % CELLS_OF_BLOCK * (sizeof(struct cell) + data_bytes[size]));
}

// Adds one block of cells; false when memory is out.
static bool
add_block(struct tsi_sched_cells *cells, size_t bytes)
{
    const size_t after = (cells->blocks.count + 1) * CELLS_OF_BLOCK;
    // Giving a cell back must not fail, so there is room for all of them.
    if (after > CELLS_MAX || !tsi_vec_reserve(&cells->blocks, 1) ||
        !tsi_vec_reserve(&cells->unused, after - cells->unused.count) ||
        !tsi_vec_reserve(&cells->limbo, after - cells->limbo.count)) {
        return false;
    }
    unsigned char *block = tsi_alloc(CELLS_OF_BLOCK * (sizeof(struct cell) + bytes));
    if (block == NULL) {
        return false;
    }
    cells->blocks.items[cells->blocks.count++] = block;
    for (uint32_t i = CELLS_OF_BLOCK; i-- > 0;) {
        cells->unused.items[cells->unused.count++] = cells->count + i;
    }
    cells->count += CELLS_OF_BLOCK;
    return true;
}

void
tsi_sched_chunk_keep_data(struct tsi_sched *sched, struct tsi_sched_task *record, const void *data,
                          size_t bytes)
{
    uint32_t size = 0;
    while (size + 1 < TSI_SCHED_CELL_SIZES && bytes > data_bytes[size]) {
        size++;
    }
    struct tsi_sched_cells *cells = &sched->cells[size];
    if (cells->unused.count == 0 && !add_block(cells, data_bytes[size])) {
        return;
    }
    const uint32_t number = tsi_vec_pop(&cells->unused) | size << NUMBER_BITS;
    struct cell *cell = cell_at(sched, number);
    cell->bytes = (uint32_t)bytes;
    memcpy(cell->data, data, bytes);
    tsi_sched_task_set_count(record, number + 1);
}

const void *
tsi_sched_chunk_data(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                     uint32_t *bytes)
{
    *bytes = 0;
    if (tsi_sched_task_state(record) == TSI_TASK_DURABLE) {
        return nothing;
    }
    if (tsi_sched_task_count(record) == 0) {
        return NULL;
    }
    const struct cell *cell = cell_at(sched, tsi_sched_task_count(record) - 1);
    *bytes = cell->bytes;
    return cell->data;
}

void
tsi_sched_chunk_clear(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, bool tell)
{
    struct tsi_sched_task *record = chunk->record;
    const tsi_key key = tsi_key_of(chunk->job->id, chunk->task);
    const uint64_t bytes = tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
    uint32_t slot = tsi_sched_chunk_holder(sched, record, 0);
    while (slot != TSI_SLOT_NONE) {
        sched->workers.items[slot]->held_bytes -= bytes;
        tsi_sched_wake(sched, slot);
        if (tell) {
            tsi_sched_chunk_tell_free(sched, slot, key);
        }
        if (TSI_PLANTED(double_free)) {
            tsi_sched_chunk_tell_free(sched, slot, key);
        }
        slot = tsi_sched_chunk_holder(sched, record, slot + 1);
    }
    if (record->link != 0) {
        free_set(&sched->sets, record->link);
        record->link = 0;
    }
    record->where = TSI_SLOT_NONE;
    if (tsi_sched_task_count(record) > 0) {
        const uint32_t number = tsi_sched_task_count(record) - 1;
        struct tsi_sched_cells *cells = &sched->cells[number >> NUMBER_BITS];
        TSI_CHECK(cells->limbo.count < cells->limbo.capacity);
        cells->limbo.items[cells->limbo.count++] = number & CELLS_MAX;
        tsi_sched_task_set_count(record, 0);
    }
}

static void
recycle(struct tsi_sched_cells *cells)
{
    while (cells->limbo.count > 0) {
        const uint32_t cell = tsi_vec_pop(&cells->limbo);
        TSI_CHECK(cells->unused.count < cells->unused.capacity);
        cells->unused.items[cells->unused.count++] = cell;
    }
}

void
tsi_sched_chunk_recycle(struct tsi_sched *sched)
{
    for (int size = 0; size < TSI_SCHED_CELL_SIZES; size++) {
        recycle(&sched->cells[size]);
    }
}

static void
fini_cells(struct tsi_sched_cells *cells)
{
    for (size_t i = 0; i < cells->blocks.count; i++) {
        tsi_free(cells->blocks.items[i]);
    }
    tsi_vec_fini(&cells->blocks);
    tsi_vec_fini(&cells->unused);
    tsi_vec_fini(&cells->limbo);
}

void
tsi_sched_chunk_fini(struct tsi_sched *sched)
{
    for (int size = 0; size < TSI_SCHED_CELL_SIZES; size++) {
        fini_cells(&sched->cells[size]);
    }
    tsi_vec_fini(&sched->sets.bits);
    tsi_vec_fini(&sched->sets.unused);
}
