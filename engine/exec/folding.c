// SPDX-License-Identifier: Apache-2.0
//
// Tiles may be folded in any order in which each accumulator gets its elements as in a whole sweep.

#include "engine/exec/folding.h"

#include "engine/exec/pieces.h"
#include "engine/exec/tile_drawn.h"

static tess_status
begin_tiles(struct tsi_folding *folding, void *memory)
{
    struct tsi_run *const run = folding->run;
    struct tsi_operand *views = NULL;
    tess_status status = tsi_pieces_bind(run, &views);
    if (status != TESS_OK) {
        return status;
    }
    tsi_tiling_choose(run, &folding->tiling);
    status = tsi_tile_fold_make(run, &folding->tiling, memory, &folding->fold);
    if (status == TESS_OK) {
        status = tsi_tile_drawn_fold(run, &folding->fold, &folding->is_over);
    }
    if (status == TESS_OK && !folding->is_over) {
        status = tsi_pipeline_make(run, &folding->tiling, views, false, &folding->pipeline);
    }
    if (status != TESS_OK || folding->is_over) {
        return status;
    }
    tsi_pipeline_open(run, &folding->pipeline);
    tsi_pipeline_ready(&folding->pipeline);
    if (folding->pipeline.is_open) {
        tsi_pipeline_begin_terms(&folding->pipeline, &folding->terms);
    }
    tsi_tiling_first(&folding->tiling, run->op->tile.reduce.axes, &folding->at);
    return TESS_OK;
}

void
tsi_folding_begin(struct tsi_folding *folding, struct tsi_run *run)
{
    const struct tsi_tile_reduce *const reduce = &run->op->tile.reduce;
    void *memory = run->task->out;
    folding->run = run;
    folding->status = TESS_OK;
    folding->is_over = run->elements == 0;
    if (reduce->finish) {
        const struct tsi_acc_layout layout =
            tsi_acc_layout((enum tsi_reduction)reduce->reduction, (tess_dtype)reduce->dtype);
        const size_t bytes = tsi_acc_offset(&layout, layout.planes, tsi_tile_fold_count(run));
        folding->status = tsi_run_take(run, bytes, &memory);
    }
    if (folding->status == TESS_OK) {
        folding->status = folding->is_over ? tsi_tile_fold_make(run, NULL, memory, &folding->fold)
                                           : begin_tiles(folding, memory);
    }
}

static void
fold_tile(struct tsi_folding *folding)
{
    struct tsi_pipeline *const pipeline = &folding->pipeline;
    const struct tsi_tile_at *const at = &folding->at;
    const void *made = tsi_pipeline_run(pipeline, at, NULL);
    if (pipeline->is_open) {
        tsi_pipeline_terms(pipeline, at, &folding->terms);
        if (tsi_tile_fold_terms(&folding->fold, at, &folding->terms)) {
            return;
        }
        made = tsi_pipeline_close(pipeline, at);
    }
    tsi_tile_fold_take(&folding->fold, at, made);
}

void
tsi_folding_sweep(struct tsi_folding *folding)
{
    if (folding->status != TESS_OK || folding->is_over) {
        return;
    }
    do {
        folding->status = tsi_run_check(folding->run);
        if (folding->status != TESS_OK) {
            return;
        }
        fold_tile(folding);
    } while (tsi_tiling_next(&folding->tiling, &folding->at));
}

void
tsi_folding_sweep_part(struct tsi_folding *folding, const int64_t *low, const int64_t *high,
                       const int64_t *skip)
{
    if (!folding->is_over && tsi_tiling_part(&folding->tiling, low, high, skip, &folding->at)) {
        tsi_folding_sweep(folding);
    }
}

tess_status
tsi_folding_end(struct tsi_folding *folding)
{
    const struct tsi_tile_reduce *const reduce = &folding->run->op->tile.reduce;
    if (folding->status != TESS_OK || !reduce->finish) {
        return folding->status;
    }
    const struct tsi_run_results results = {(enum tsi_reduction)reduce->reduction,
                                            (tess_dtype)reduce->dtype, reduce->folded,
                                            reduce->ddof};
    return tsi_run_finish(folding->run, &results, folding->fold.accumulators, folding->fold.planes);
}
