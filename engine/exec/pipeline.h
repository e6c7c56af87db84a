// SPDX-License-Identifier: Apache-2.0
//
// A tile program made ready for one task: kernels looked up, operands bound, registers placed.

#ifndef TSI_EXEC_PIPELINE_H
#define TSI_EXEC_PIPELINE_H

#include "engine/exec/operand.h"
#include "engine/exec/tiling.h"

struct tsi_step;

struct tsi_pipeline {
    const struct tsi_tiling *tiling;
    struct tsi_step *steps;
    int count;
    tess_dtype dtype; // of the last register
};

// The type of what instruction `index` makes.
tess_dtype tsi_pipeline_dtype(const struct tsi_tile *tile, int index);

// Readies the tile program of the run; views[i] is input i. If `is_direct`, the last instruction
// writes where tsi_pipeline_run() tells it, and has no register of its own.
tess_status tsi_pipeline_make(struct tsi_run *run, const struct tsi_tiling *tiling,
                              const struct tsi_operand *views, bool is_direct,
                              struct tsi_pipeline *pipeline);

// Computes the tile at `at` and returns its elements, which stay until the next call. `out` is for
// a direct pipeline, else NULL.
const void *tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                             void *out);

#endif
