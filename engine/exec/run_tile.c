// SPDX-License-Identifier: Apache-2.0
//
// Runs a tile program over its loop chunk and gives its tiles to the sink.
//
// A program that only moves elements, such as a rechunk, a slice or a transpose, has no tiles: each
// source chunk's part is copied to its place in the output at once.

#include "engine/exec/box.h"
#include "engine/exec/files.h"
#include "engine/exec/past.h"
#include "engine/exec/pieces.h"
#include "engine/exec/pipeline.h"
#include "engine/exec/tile_drawn.h"
#include "engine/exec/tile_fold.h"
#include "engine/io/npy.h"

static bool
is_load(const struct tsi_chunk_op *op)
{
    return op->tile.instruction_count == 1 && op->input_count == 1 &&
           op->tile.instructions[0].code == TSI_TILE_LOAD;
}

bool
tsi_run_is_only_load(const struct tsi_chunk_op *op)
{
    return op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_STORE && is_load(op);
}

static tess_status
bind_input(struct tsi_run *run, int input, struct tsi_operand *view)
{
    bool is_in_pieces = false;
    const tess_status status = tsi_operand_see(run, input, view, &is_in_pieces);
    return status == TESS_OK && is_in_pieces ? tsi_pieces_make(run, input, &view->pieces) : status;
}

// Views of all inputs, in scratch.
static tess_status
bind_inputs(struct tsi_run *run, struct tsi_operand **views)
{
    void *memory = NULL;
    tess_status status =
        tsi_run_take(run, (size_t)run->op->input_count * sizeof(struct tsi_operand), &memory);
    *views = memory;
    for (int i = 0; i < run->op->input_count && status == TESS_OK; i++) {
        status = bind_input(run, i, &(*views)[i]);
    }
    return status;
}

// Tiles that are runs of the output are made where they go, or on their way past the caches.
static tess_status
store_runs(struct tsi_run *run, const struct tsi_tiling *tiling, struct tsi_pipeline *pipeline,
           const int64_t *stride, size_t bytes, unsigned char *out)
{
    struct tsi_past past;
    struct tsi_tile_at at;
    tess_status status = tsi_past_open(run, &past);
    if (status != TESS_OK) {
        return status;
    }
    tsi_tiling_first(tiling, 0, &at);
    do {
        status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        unsigned char *const to = out + tsi_tiling_offset(tiling, &at, stride);
        tsi_pipeline_run(pipeline, &at, tsi_past_place(&past, to, (size_t)at.elements * bytes));
    } while (tsi_tiling_next(tiling, &at));
    tsi_past_close(&past);
    return TESS_OK;
}

// Only a rectangle is not one run of the output, and it has two axes.
static tess_status
store_rectangles(struct tsi_run *run, const struct tsi_tiling *tiling,
                 struct tsi_pipeline *pipeline, const struct tsi_reach *reach,
                 const int64_t *stride, size_t bytes, unsigned char *out)
{
    struct tsi_tile_at at;
    tsi_tiling_first(tiling, 0, &at);
    do {
        const tess_status status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        const int64_t rows = tsi_reach_size(tiling, reach, &at, 0);
        const int64_t columns = tsi_reach_size(tiling, reach, &at, 1);
        tsi_kernel_copy(rows, columns, bytes, out + tsi_tiling_offset(tiling, &at, stride),
                        reach->step[0], reach->step[1], tsi_pipeline_run(pipeline, &at, NULL),
                        columns * (int64_t)bytes, (int64_t)bytes);
    } while (tsi_tiling_next(tiling, &at));
    return TESS_OK;
}

// Stores all tiles of a chunk that is not empty at `out`, in C order.
static tess_status
store_tiles(struct tsi_run *run, void *out)
{
    struct tsi_operand *views = NULL;
    tess_status status = bind_inputs(run, &views);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_tiling tiling;
    struct tsi_reach reach;
    struct tsi_pipeline pipeline;
    int64_t stride[TESS_NDIM_MAX];
    const struct tsi_tile *const tile = &run->op->tile;
    const size_t bytes = tess_dtype_bytes(tsi_pipeline_dtype(tile, tile->instruction_count - 1));
    tsi_box_strides(run->op->loop.ndim, run->size, bytes, stride);
    tsi_tiling_choose(run, &tiling);
    tsi_reach_make(&tiling, stride, 0, &reach);
    const bool is_run = reach.ndim <= 1;
    status = tsi_pipeline_make(run, &tiling, views, is_run, &pipeline);
    if (status != TESS_OK) {
        return status;
    }
    tsi_pipeline_keep_rows(&pipeline);
    return is_run ? store_runs(run, &tiling, &pipeline, stride, bytes, out)
                  : store_rectangles(run, &tiling, &pipeline, &reach, stride, bytes, out);
}

// Whether the chunk is a run of elements of one source and fits in a tile.
static bool
is_short_source(const struct tsi_run *run)
{
    const struct tsi_tile *const tile = &run->op->tile;
    return tile->instruction_count == 1 && tile->instructions[0].code == TSI_TILE_SOURCE &&
           run->op->loop.ndim == 1 && run->elements <= TSI_TILE_ELEMENTS;
}

// Makes such a chunk without a pipeline, which would take longer than a few elements do.
static tess_status
store_source(struct tsi_run *run, void *out)
{
    const struct tsi_tile_instruction *const instruction = &run->op->tile.instructions[0];
    const struct tsi_tile_source *const source = &run->op->tile.sources[instruction->operand];
    tsi_kernel_source *const make = run->kernel->source[source->source][instruction->dtype];
    if (make == NULL) {
        return tsi_run_internal(run, "there is no such kernel");
    }
    const tess_status status = tsi_run_check(run);
    if (status == TESS_OK) {
        const int64_t first = source->first + source->step[0] * run->start[0];
        make(run->elements, out, (struct tsi_kernel_index){first, source->step[0]},
             &source->params);
    }
    return status;
}

static tess_status
store_chunk(struct tsi_run *run, void *out)
{
    if (run->elements == 0) {
        return TESS_OK;
    }
    if (is_short_source(run)) {
        return store_source(run, out);
    }
    return is_load(run->op) ? tsi_operand_copy(run, 0, out) : store_tiles(run, out);
}

static void
fold_tile(struct tsi_pipeline *pipeline, struct tsi_tile_fold *fold, const struct tsi_tile_at *at)
{
    const void *made = tsi_pipeline_run(pipeline, at, NULL);
    if (pipeline->is_open) {
        struct tsi_tile_terms terms;
        tsi_pipeline_terms(pipeline, at, &terms);
        if (tsi_tile_fold_terms(fold, at, &terms)) {
            return;
        }
        made = tsi_pipeline_close(pipeline, at);
    }
    tsi_tile_fold_take(fold, at, made);
}

// Folds all tiles of a chunk that is not empty.
static tess_status
fold_tiles(struct tsi_run *run, void *memory, struct tsi_tile_fold *fold)
{
    struct tsi_operand *views = NULL;
    struct tsi_tiling tiling;
    struct tsi_pipeline pipeline;
    tess_status status = bind_inputs(run, &views);
    if (status != TESS_OK) {
        return status;
    }
    tsi_tiling_choose(run, &tiling);
    bool is_done = false;
    status = tsi_tile_fold_make(run, &tiling, memory, fold);
    if (status == TESS_OK) {
        status = tsi_tile_drawn_fold(run, fold, &is_done);
    }
    if (status == TESS_OK && !is_done) {
        status = tsi_pipeline_make(run, &tiling, views, false, &pipeline);
    }
    if (status != TESS_OK || is_done) {
        return status;
    }
    tsi_pipeline_open(run, &pipeline);
    tsi_pipeline_keep_rows(&pipeline);
    struct tsi_tile_at at;
    tsi_tiling_first(&tiling, run->op->tile.reduce.axes, &at);
    do {
        status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        fold_tile(&pipeline, fold, &at);
    } while (tsi_tiling_next(&tiling, &at));
    return TESS_OK;
}

static tess_status
reduce_chunk(struct tsi_run *run)
{
    const struct tsi_tile_reduce *const reduce = &run->op->tile.reduce;
    const enum tsi_reduction reduction = (enum tsi_reduction)reduce->reduction;
    const tess_dtype dtype = (tess_dtype)reduce->dtype;
    void *memory = run->task->out;
    struct tsi_tile_fold fold;
    if (reduce->finish) {
        const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
        const size_t bytes = tsi_acc_offset(&layout, layout.planes, tsi_tile_fold_count(run));
        const tess_status status = tsi_run_take(run, bytes, &memory);
        if (status != TESS_OK) {
            return status;
        }
    }
    const tess_status status = run->elements == 0 ? tsi_tile_fold_make(run, NULL, memory, &fold)
                                                  : fold_tiles(run, memory, &fold);
    if (status != TESS_OK || !reduce->finish) {
        return status;
    }
    const struct tsi_run_results results = {reduction, dtype, reduce->folded, reduce->ddof};
    return tsi_run_finish(run, &results, fold.accumulators, fold.planes);
}

// Where a chunk's elements lie already as they are to be written; NULL if they have to be made.
static tess_status
find_dense(struct tsi_run *run, const void **data)
{
    struct tsi_operand view;
    int64_t stride[TESS_NDIM_MAX];
    bool is_in_pieces = false;
    const tess_status status = tsi_operand_see(run, 0, &view, &is_in_pieces);
    *data = NULL;
    if (status != TESS_OK || is_in_pieces) {
        return status;
    }
    tsi_box_strides(run->op->loop.ndim, run->size, view.bytes, stride);
    bool is_dense = !view.swapped;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        is_dense = is_dense && (run->size[i] == 1 || view.stride[i] == stride[i]);
    }
    *data = is_dense ? view.data : NULL;
    run->next_chunk = 0;
    return TESS_OK;
}

static tess_status
write_chunk_in(struct tsi_run *run, const int *directory)
{
    const struct tsi_chunk_op *const op = run->op;
    const char *const temporary = op->target_file.temporary;
    const struct tsi_npy_target target = {
        .path = op->target_file.path != NULL ? op->target_file.path : temporary,
        .temporary = temporary,
        .dtype = tsi_pipeline_dtype(&op->tile, op->tile.instruction_count - 1),
        .shape = tsi_grid_shape(&op->loop),
        .chunk_count = tsi_grid_chunk_count(&op->loop),
        .directory = directory,
    };
    const void *data = NULL;
    tess_status status = TESS_OK;
    if (run->elements != 0 && is_load(op)) {
        status = find_dense(run, &data);
    }
    if (status != TESS_OK) {
        return status;
    }
    if (data == NULL) {
        void *memory = NULL;
        const size_t bytes = (size_t)run->elements * tess_dtype_bytes(target.dtype);
        status = tsi_run_take(run, bytes, &memory);
        if (status == TESS_OK) {
            status = store_chunk(run, memory);
        }
        if (status != TESS_OK) {
            return status;
        }
        data = memory;
    }
    return tsi_npy_write_chunk(&target, run->task->chunk, run->start, run->size, data, run->error);
}

static tess_status
write_chunk(struct tsi_run *run)
{
    int directory = 0;
    tess_status status = tsi_run_open_target(run, &directory);
    if (status == TESS_OK) {
        status = write_chunk_in(run, &directory);
        tsi_files_close_target(directory);
    }
    return status;
}

tess_status
tsi_run_tile(struct tsi_run *run)
{
    if (run->op->tile.instruction_count == 0) {
        return tsi_run_internal(run, "its tile program is empty");
    }
    switch (run->op->tile.sink) {
    case TSI_SINK_STORE:
        return store_chunk(run, run->task->out);
    case TSI_SINK_REDUCE:
        return reduce_chunk(run);
    case TSI_SINK_WRITE:
        return write_chunk(run);
    default:
        return tsi_run_internal(run, "there is no such sink");
    }
}
