// SPDX-License-Identifier: Apache-2.0
//
// Programs: what a compute is on its way from the planner to scheduler and workers.
//
// A program is a list of chunk operations. Operation i has one task for each chunk of its loop
// grid, and reads chunks of earlier operations through index maps. Its output is an array of its
// own, cut as its array grid says; loop grid and array grid have the same number of chunks, in the
// same order, so task, loop chunk and array chunk have one number. The two differ where a reduction
// makes of a loop chunk of many elements an array chunk of one index, or drops axes of size 1.
//
// Tasks are numbered through the program: task = base of the operation + chunk. Files have no
// tasks: workers read them where they are.
//
// How loop and array belong together:
//
//     HELD, KEPT, FILE, JOIN; TILE that stores or writes; FOLD of accumulators: equal
//     TILE that reduces to accumulators: a folded axis has one element a chunk, as many as the loop
//     has
//         chunks; the others are cut as in the loop
//     TILE that reduces to results: the loop is one chunk on each folded axis, and the array lacks
//     the
//         axis or has size 1 there
//     FOLD that finishes, MATMUL: see there
//
// Where results are told, axes of one element and one chunk may be missing or added in the array.
//
// A program holds everything that a task needs but the data; it is a few hundred bytes for any
// number of chunks. Programs come from strangers: tsi_program_decode() accepts none that breaks a
// rule stated here, so that whoever runs one need not look again.

#ifndef TSI_PROGRAM_PROGRAM_H
#define TSI_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/acc.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/grid.h"
#include "engine/program/index_map.h"
#include "engine/program/tile.h"

// Numbers travel between processes: append, never move.
enum tsi_work {
    TSI_WORK_HELD,   // chunks in the client's memory, fetched from it
    TSI_WORK_KEPT,   // chunks that an earlier program left in the cluster
    TSI_WORK_FILE,   // an NPY file, one chunk without a task, read in place
    TSI_WORK_TILE,   // a tile program
    TSI_WORK_FOLD,   // merges accumulators of a window of chunks, in order
    TSI_WORK_MATMUL, // one block product
    TSI_WORK_JOIN,   // waits for a window of chunks; the last one may commit a file
    TSI_WORK_COUNT
};

// A task reads at most TSI_TASK_READS_MAX chunks, all its inputs together, and the tasks that read
// one operation are at most TSI_PROGRAM_TASKS_MAX, counted once for each input; so counters of 24
// and of 32 bits do.
#define TSI_TASK_READS_MAX 0xFFFFFF

// Only a JOIN may read by an EXPLICIT map, or wait for a JOIN or a TILE that writes; only a FOLD
// and a JOIN may read accumulators.
struct tsi_input {
    uint16_t op; // an earlier one
    struct tsi_index_map map;
};

struct tsi_work_held {
    uint32_t array; // number of the client's array in this submission
};

struct tsi_work_kept {
    uint64_t job;  // the job that made the chunks
    uint32_t base; // its task of chunk 0
};

struct tsi_work_file {
    const char *path;
    bool swapped;
    bool fortran_order;
    int64_t data_offset;
};

// Merges the accumulators of input 0 in chunk order. Loop axis a is source axis a. Axes in `axes`
// are folded: there loop and source have one element a chunk, and the map has windows side by side
// from 0 on, which cover the source; on all others loop and source are cut alike.
struct tsi_work_fold {
    uint8_t reduction;
    uint8_t dtype; // of the elements that were folded
    bool finish;   // results of type tsi_chunk_op.dtype, not accumulators
    uint32_t axes;
    double folded;
    double ddof;
};

// The product of a block of input 0 and a block of input 1. Loop axes: batch …, i, j, k. The maps
// name axes of batch …, i, k and of batch …, k, j, in any order and with any offset and stride; i,
// j and k must be named where they have several indices, and batch axes may be missing. Both inputs
// have the type of the product. `finish`: k is one chunk, the array is batch …, i, j and holds the
// product; otherwise the array has an axis k of one element a chunk, and holds accumulators of SUM
// (bool: ANY) of the products.
#define TSI_MATMUL_GROUP_MAX                                                                       \
    4 // chunks of the inner axis that a planner puts into one block at most

struct tsi_work_matmul {
    bool finish;
};

// A file that TSI_SINK_WRITE fills under its temporary name and to which TSI_WORK_JOIN gives its
// own.
struct tsi_work_target_file {
    const char *path;
    const char *temporary;
};

struct tsi_chunk_op {
    uint8_t work;   // enum tsi_work
    uint8_t dtype;  // of the array's elements; of the folded elements where `planes` is set
    bool is_planes; // the output is accumulators: array grid × planes of acc.h
    struct tsi_grid loop;
    struct tsi_grid array;
    int input_count;
    struct tsi_input *inputs;
    uint32_t task_base;
    uint32_t task_count;                // 0 for FILE
    enum tsi_reduction plane_reduction; // with is_planes: which accumulators
    const char *label;                  // what the user called, such as "mean" or "add+sqrt"
    const char *site;                   // where, as "file:line"; may be ""
    struct tsi_work_held held;
    struct tsi_work_kept kept;
    struct tsi_work_file file;
    struct tsi_tile tile;
    struct tsi_work_fold fold;
    struct tsi_work_matmul matmul;
    struct tsi_work_target_file target_file; // TILE that writes, JOIN that commits; path NULL: none
};

// Numbers travel between processes: append, never move.
enum tsi_target_mode {
    TSI_TARGET_DELIVER, // chunks go to the client, then are freed
    TSI_TARGET_KEEP,    // chunks stay until they are released
    TSI_TARGET_RUN,     // the tasks' effect is what counts
    TSI_TARGET_MODE_COUNT
};

// A target is made by the program's tasks: not HELD, KEPT or FILE. What is delivered or kept has
// elements: neither accumulators nor the empty output of a JOIN or of a TILE that writes.
struct tsi_target {
    uint16_t op;
    uint8_t mode;
};

struct tsi_program {
    struct tsi_arena arena; // owns all of it
    int op_count;
    struct tsi_chunk_op *ops;
    int target_count;
    struct tsi_target *targets; // at most one for an operation
    uint32_t task_count;
};

struct tsi_program *tsi_program_new(void);          // NULL when memory is out
void tsi_program_free(struct tsi_program *program); // accepts NULL

// Numbers the tasks once all operations are there. Fails with TESS_ELIMIT beyond
// TSI_PROGRAM_TASKS_MAX.
tess_status tsi_program_number(struct tsi_program *program, struct tsi_error *error);

// Checks every rule of this header, of tile.h and of index_map.h, in time proportional to the size
// of the program. Fails with TESS_EPROTOCOL, with TESS_ELIMIT for sizes that cannot be computed
// with; the message names the operation.
tess_status tsi_program_validate(const struct tsi_program *program, struct tsi_error *error);

// The operation of `task`, which must be below task_count.
int tsi_program_op_of(const struct tsi_program *program, uint32_t task);

// Bytes of the output of chunk `chunk` of `op`, and of its largest chunk.
size_t tsi_chunk_op_bytes(const struct tsi_chunk_op *op, int64_t chunk);
size_t tsi_chunk_op_bytes_max(const struct tsi_chunk_op *op);

// Bytes that a task of `op` takes beside its inputs and its output, at most.
size_t tsi_chunk_op_workspace_max(const struct tsi_program *program, const struct tsi_chunk_op *op);

// Whether tasks of `op`, a TILE that stores, write past the caches: their output is larger than
// the caches of a core, and memory takes longer than their arithmetic.
bool tsi_chunk_op_passes_caches(const struct tsi_chunk_op *op);

// Bytes that the library which multiplies matrices of floats takes on each thread that runs tasks
// of `program`, and keeps afterwards, at most; 0 if there is no such product.
size_t tsi_program_library_bytes(const struct tsi_program *program);

// A guess of the time of the largest task of `op`, in nanoseconds.
uint64_t tsi_chunk_op_cost_ns(const struct tsi_program *program, const struct tsi_chunk_op *op);

// The place of an operation for messages: "mean at main.c:7", or "mean" without a site. What does
// not fit `bytes` is cut; TSI_PLACE_TEXT_MAX is enough for common ones.
#define TSI_PLACE_TEXT_MAX 256
void tsi_chunk_op_place(const struct tsi_chunk_op *op, char *out, size_t bytes);

#endif
