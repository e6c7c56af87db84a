// SPDX-License-Identifier: Apache-2.0
//
// One run of one task, as the parts of this layer hand it to each other, and the runs of each kind
// of work.

#ifndef TSI_EXEC_RUN_H
#define TSI_EXEC_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/exec/exec.h"
#include "engine/exec/scratch.h"
#include "engine/kernel/kernel.h"

struct tsi_run {
    const struct tsi_exec_task *task;
    const struct tsi_chunk_op *op;
    const struct tsi_kernel_table *kernel;
    struct tsi_error *error;        // may be NULL
    struct tsi_scratch *scratch;    // of the thread; two runs at once share it
    struct tsi_operand_file *files; // that views look into
    size_t next_chunk;              // of task->chunks: the first that no input has taken yet
    int64_t elements;               // of the loop chunk
    int64_t coords[TESS_NDIM_MAX];  // of the loop chunk, as `start` and `size` are
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
};

tess_status tsi_run_tile(struct tsi_run *run);
tess_status tsi_run_reduce(struct tsi_run *run);                           // a TILE that reduces
void tsi_run_reduce_both(struct tsi_run runs[2], tess_status statuses[2]); // of mirror images
tess_status tsi_run_fold(struct tsi_run *run);
tess_status tsi_run_matmul(struct tsi_run *run);
tess_status tsi_run_join(struct tsi_run *run);

// Whether `op` stores the elements of its one input as they are, at other places.
bool tsi_run_is_only_load(const struct tsi_chunk_op *op);

// Scratch of `bytes` in `*memory`, or TESS_ENOMEM with its message.
tess_status tsi_run_take(struct tsi_run *run, size_t bytes, void **memory);

// TESS_ECANCELLED once the task is not wanted any more.
tess_status tsi_run_check(const struct tsi_run *run);

// An error that can only come from a mistake of our own.
tess_status tsi_run_internal(const struct tsi_run *run, const char *what);

// The planes of `count` accumulators of `op`'s fold in `memory`; `planes` has TSI_ACC_PLANES_MAX
// places.
void tsi_run_planes(const struct tsi_acc_layout *layout, int64_t count, void *memory,
                    void **planes);

// Opens the directory of the run's target file, if it may write it: tsi_files_open_target().
tess_status tsi_run_open_target(const struct tsi_run *run, int *directory);

// Ends a fold: the results of `count` accumulators in `planes`, of type op->dtype, in task->out.
struct tsi_run_results {
    enum tsi_reduction reduction;
    tess_dtype dtype; // of the elements that were folded
    double folded;
    double ddof;
};
tess_status tsi_run_finish(struct tsi_run *run, const struct tsi_run_results *results,
                           int64_t count, void *const *planes);

#endif
