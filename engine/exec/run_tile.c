// SPDX-License-Identifier: Apache-2.0
//
// Runs a tile program over its loop chunk and gives its tiles to the sink. Reductions are in
// run_reduce.c.
//
// A program that only moves elements, such as a rechunk, a slice or a transpose, has no tiles: each
// source chunk's part is copied to its place in the output at once.

#include "engine/exec/box.h"
#include "engine/exec/files.h"
#include "engine/exec/past.h"
#include "engine/exec/pieces.h"
#include "engine/exec/pipeline.h"
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

// Tiles that are several runs of the output are made in a register.
static tess_status
store_boxes(struct tsi_run *run, const struct tsi_tiling *tiling, struct tsi_pipeline *pipeline,
            const struct tsi_reach *reach, const int64_t *stride, size_t bytes, unsigned char *out)
{
    struct tsi_tile_at at;
    tsi_tiling_first(tiling, 0, &at);
    do {
        int64_t size[TESS_NDIM_MAX];
        int64_t step[TESS_NDIM_MAX];
        const tess_status status = tsi_run_check(run);
        if (status != TESS_OK) {
            return status;
        }
        for (int i = 0; i < reach->ndim; i++) {
            size[i] = tsi_reach_size(tiling, reach, &at, i);
        }
        tsi_box_strides(reach->ndim, size, bytes, step);
        tsi_box_copy(reach->ndim, size, bytes, out + tsi_tiling_offset(tiling, &at, stride),
                     reach->step, tsi_pipeline_run(pipeline, &at, NULL), step);
    } while (tsi_tiling_next(tiling, &at));
    return TESS_OK;
}

// Stores all tiles of a chunk that is not empty at `out`. `strides` are those of the loop axes,
// NULL: C order.
static tess_status
store_tiles(struct tsi_run *run, void *out, const int64_t *strides)
{
    struct tsi_operand *views = NULL;
    tess_status status = tsi_pieces_bind(run, &views);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_tiling tiling;
    struct tsi_reach reach;
    struct tsi_pipeline pipeline;
    int64_t dense[TESS_NDIM_MAX];
    const struct tsi_tile *const tile = &run->op->tile;
    const size_t bytes = tess_dtype_bytes(tsi_pipeline_dtype(tile, tile->instruction_count - 1));
    tsi_box_strides(run->op->loop.ndim, run->size, bytes, dense);
    const int64_t *const stride = strides != NULL ? strides : dense;
    tsi_tiling_choose(run, &tiling);
    if (strides != NULL) {
        tsi_tiling_part_rows(&tiling);
    }
    tsi_reach_make(&tiling, stride, 0, &reach);
    const bool is_run = reach.ndim == 0 || (reach.ndim == 1 && reach.step[0] == (int64_t)bytes);
    status = tsi_pipeline_make(run, &tiling, views, is_run, &pipeline);
    if (status != TESS_OK) {
        return status;
    }
    tsi_pipeline_ready(&pipeline);
    return is_run ? store_runs(run, &tiling, &pipeline, stride, bytes, out)
                  : store_boxes(run, &tiling, &pipeline, &reach, stride, bytes, out);
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

// Stores the chunk at `out`, which is where the task's output goes or memory in C order.
static tess_status
store_chunk(struct tsi_run *run, void *out)
{
    if (run->elements == 0) {
        return TESS_OK;
    }
    if (is_short_source(run)) {
        return store_source(run, out);
    }
    const int64_t *const strides = out == run->task->out ? run->task->out_strides : NULL;
    return is_load(run->op) ? tsi_operand_copy(run, 0, out) : store_tiles(run, out, strides);
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
        return tsi_run_reduce(run);
    case TSI_SINK_WRITE:
        return write_chunk(run);
    default:
        return tsi_run_internal(run, "there is no such sink");
    }
}
