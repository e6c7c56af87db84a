// SPDX-License-Identifier: Apache-2.0
//
// Runs one task: makes one output chunk from input chunks. No scheduling, no transport; threads
// call it side by side.

#ifndef TSI_EXEC_EXEC_H
#define TSI_EXEC_EXEC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/program/program.h"

struct tsi_buf;

// One chunk of an input. `strides` are in bytes for each axis of the source; NULL is C order.
struct tsi_exec_chunk {
    const void *data;
    const int64_t *strides;
    const struct tsi_buf *lent; // if another process lends it: to be found sound afterwards
    struct tsi_buf *own;        // if the memory is this process's, and nobody writes to it any more
};

struct tsi_files; // mapped input files of one process, shared by its threads

struct tsi_exec_task {
    const struct tsi_program *program;
    int op;
    int64_t chunk;
    // For input 0, 1, … in turn: the chunks that tsi_index_map_deps() lists, in its order. Inputs
    // that are files have none here.
    const struct tsi_exec_chunk *chunks;
    size_t chunk_count;
    // tsi_chunk_op_bytes(op, chunk) bytes, aligned as chunk memory is; what a tile program stores
    // may be aligned to its elements only.
    void *out;
    // In bytes for each axis of the array, if the chunk is not to be in C order: it lies in a
    // larger array. Only for operations that tsi_exec_takes_strides(). NULL else.
    const int64_t *out_strides;
    const atomic_bool *cancelled; // looked at between tiles; may be NULL
    struct tsi_files *files;
};

// Runs `task` on the calling thread. Fails with TESS_ENOMEM, TESS_EIO, TESS_EFORMAT,
// TESS_ECANCELLED; the message names the operation, its place and the chunk.
tess_status tsi_exec_run(const struct tsi_exec_task *task, struct tsi_error *error);

// Runs two tasks on the calling thread. Mirror images of each other (mirror.h) are run at once, so
// that what they read comes from memory once; others one after the other. Each ends as it would by
// itself.
void tsi_exec_run_both(const struct tsi_exec_task *const tasks[2],
                       struct tsi_error *const errors[2], tess_status statuses[2]);

// Whether tasks of `op` can put their output's elements anywhere: those that store what they make
// of elements one by one, and those that only move them, if it is not from a file.
bool tsi_exec_takes_strides(const struct tsi_program *program, int op);

// The buffer that already is what `task` is to make, since the operation only passes chunks on;
// NULL if there is none and the task must run.
struct tsi_buf *tsi_exec_find_made(const struct tsi_exec_task *task);

// The input files that tasks read, kept mapped between tasks; `allowed` lists the directories that
// files may be in (resolved; NULL: everywhere), and must outlive the object.
struct tsi_files *tsi_files_new(const char *const *allowed, int allowed_count);
void tsi_files_free(struct tsi_files *files);

#endif
