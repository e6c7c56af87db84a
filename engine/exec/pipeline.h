// SPDX-License-Identifier: Apache-2.0
//
// A tile program made ready for one task: kernels looked up, operands bound, registers placed.

#ifndef TSI_EXEC_PIPELINE_H
#define TSI_EXEC_PIPELINE_H

#include "engine/exec/operand.h"
#include "engine/exec/tile_fold.h"
#include "engine/exec/tiling.h"

struct tsi_step;
struct tsi_pipeline_call;

struct tsi_pipeline {
    const struct tsi_tiling *tiling;
    struct tsi_step *steps;
    int count;
    // What each tile needs done: no constants, and nothing that another step does.
    struct tsi_pipeline_call *calls;
    int call_count;
    tess_dtype dtype; // of the last register
    // Values that lie in rows with a step have the axes of the box from `split` on in their
    // columns; −1 if there are none.
    int split;
    // An open pipeline leaves its last step, a sum of multiples of the values of `term`, to a fold;
    // −1: only one. Or a sum of their squares, with the steps `square` that would have made them.
    bool is_open;
    int term[2];
    double scale[2];
    int square[2];
};

// The type of what instruction `index` makes.
tess_dtype tsi_pipeline_dtype(const struct tsi_tile *tile, int index);

// Readies the tile program of the run; views[i] is input i. If `is_direct`, the last instruction
// writes where tsi_pipeline_run() tells it, and has no register of its own.
tess_status tsi_pipeline_make(struct tsi_run *run, const struct tsi_tiling *tiling,
                              const struct tsi_operand *views, bool is_direct,
                              struct tsi_pipeline *pipeline);

// Lets a sum or mean at the end of the program do its last step, if it can: see pipeline_open.c.
void tsi_pipeline_open(const struct tsi_run *run, struct tsi_pipeline *pipeline);

// To be called once, when no more steps are left to others: lets loads of rows that other steps or
// a fold use leave these where they are, and finds out what each tile needs.
void tsi_pipeline_ready(struct tsi_pipeline *pipeline);

// Computes the tile at `at` and returns its elements, which stay until the next call. `out` is for
// a direct pipeline, else NULL. An open pipeline does all but its last step and returns NULL.
const void *tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                             void *out);

// What is the same of the terms of all tiles of an open pipeline that is ready.
void tsi_pipeline_begin_terms(const struct tsi_pipeline *pipeline, struct tsi_tile_terms *terms);

// What is left to a fold after tsi_pipeline_run() of an open pipeline.
void tsi_pipeline_terms(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                        struct tsi_tile_terms *terms);

// Does the last step after tsi_pipeline_run() of an open pipeline and returns the elements.
const void *tsi_pipeline_close(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at);

#endif
