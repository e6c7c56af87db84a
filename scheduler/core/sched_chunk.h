// SPDX-License-Identifier: Apache-2.0
//
// Where chunks are: one holder in the task's record, more in a set of bits beside it, and the bytes
// of small ones in a cell of the core.

#ifndef TSI_SCHED_CHUNK_H
#define TSI_SCHED_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"
#include "engine/program/exchange.h"
#include "scheduler/core/sched_task.h"

struct tsi_sched;
struct tsi_sched_job;

// Sets of holders, one bit a slot, `words` words each. Set 0 is never used.
struct tsi_sched_sets {
    TSI_VEC(uint64_t) bits;
    TSI_VEC(uint32_t) unused;
    uint32_t words;
};

enum { TSI_SCHED_CELL_SIZES = 3 };

// Cells of one size for the bytes of small chunks. A cell that was given back is used again only
// after the actions that may point to it are done.
struct tsi_sched_cells {
    TSI_VEC(unsigned char *) blocks;
    TSI_VEC(uint32_t) unused;
    TSI_VEC(uint32_t) limbo;
    uint32_t count;
};

// A chunk with its record: for a kept input those of the job that made it.
struct tsi_sched_chunk {
    struct tsi_sched_job *job;
    uint32_t op;
    uint32_t task;
    struct tsi_sched_task *record;
};

struct tsi_sched_chunk tsi_sched_chunk_of(struct tsi_sched *sched, struct tsi_sched_job *job,
                                          uint32_t op, uint32_t task);

// Whether the worker in `slot` has it.
bool tsi_sched_chunk_is_at(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                           uint32_t slot);

// The first holder in a slot from `slot` on, TSI_SLOT_NONE if there is none.
uint32_t tsi_sched_chunk_holder(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                                uint32_t slot);

// How many workers have it.
uint32_t tsi_sched_chunk_holder_count(const struct tsi_sched *sched,
                                      const struct tsi_sched_task *record);

// Notes one more holder; false when memory is out.
bool tsi_sched_chunk_add(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk,
                         uint32_t slot);

// Notes one holder less; it must be one.
void tsi_sched_chunk_remove(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk,
                            uint32_t slot);

// Notes that nobody has it, and gives the cell back. With `tell`, the holders are told to free it.
void tsi_sched_chunk_clear(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, bool tell);

// A worker has a copy of a chunk that is not there by the books, since it was lost elsewhere. It is
// told to free the copy, unless it is to make the chunk: then what it makes takes the place of the
// copy, and both count until the attempt has ended.
void tsi_sched_chunk_stray(struct tsi_sched *sched, const struct tsi_sched_chunk *chunk,
                           uint32_t slot);

// Tells a worker to free a chunk.
void tsi_sched_chunk_tell_free(struct tsi_sched *sched, uint32_t slot, tsi_key key);

// Keeps the bytes of a chunk of at most TSI_INLINE_BYTES_MAX, if there is memory for them.
void tsi_sched_chunk_keep_data(struct tsi_sched *sched, struct tsi_sched_task *record,
                               const void *data, size_t bytes);

// The bytes of a chunk that is in a cell or has none; NULL otherwise.
const void *tsi_sched_chunk_data(const struct tsi_sched *sched, const struct tsi_sched_task *record,
                                 uint32_t *bytes);

// Cells that were given back may be used again.
void tsi_sched_chunk_recycle(struct tsi_sched *sched);

// Room for `slots` workers in all sets; false when memory is out.
bool tsi_sched_chunk_widen(struct tsi_sched *sched, uint32_t slots);

void tsi_sched_chunk_fini(struct tsi_sched *sched);

#endif
