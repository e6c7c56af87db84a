// SPDX-License-Identifier: Apache-2.0
//
// Files: every chunk is written by a task of its own into the temporary file; a tree of joins, each
// over at most TSI_FOLD_FANIN neighbours, waits for all of them, and the last gives the file its
// name.
//
// A join's loop is the array cut more coarsely, at every so many boundaries of the level below, so
// its chunks depend on just the chunks that they cover.

#include "engine/plan/plan_build.h"

// `axis` cut at every `every`-th of its boundaries.
static tess_status
coarsen_axis(struct tsi_plan_builder *builder, const struct tsi_axis *axis, int64_t every,
             struct tsi_axis *coarse)
{
    if (every >= axis->count) {
        *coarse = tsi_axis_regular(axis->size, TESS_WHOLE_AXIS);
        return TESS_OK;
    }
    if (axis->bounds == NULL) {
        *coarse = tsi_axis_shifted(axis->size, axis->first + (every - 1) * axis->step,
                                   every * axis->step);
        return TESS_OK;
    }
    const int64_t count = (axis->count + every - 1) / every;
    int64_t *sizes = tsi_calloc((size_t)count, sizeof *sizes);
    if (sizes == NULL) {
        return tsi_plan_nomem(builder);
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t end = (i + 1) * every < axis->count ? (i + 1) * every : axis->count;
        sizes[i] = tsi_axis_start(axis, end) - tsi_axis_start(axis, i * every);
    }
    const tess_status status = tsi_axis_from_sizes(&builder->program->arena, axis->size, sizes,
                                                   count, coarse, builder->error);
    tsi_free(sizes);
    return status;
}

static tess_status
coarsen_grid(struct tsi_plan_builder *builder, const struct tsi_grid *grid, struct tsi_grid *coarse)
{
    int64_t budget = TSI_FOLD_FANIN;
    coarse->ndim = grid->ndim;
    for (int a = grid->ndim - 1; a >= 0; a--) {
        const int64_t every = grid->axis[a].count < budget ? grid->axis[a].count : budget;
        const tess_status status = coarsen_axis(builder, &grid->axis[a], every, &coarse->axis[a]);
        if (status != TESS_OK) {
            return status;
        }
        budget /= every;
    }
    return TESS_OK;
}

static tess_status
set_file(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, bool commits,
         int op)
{
    struct tsi_arena *arena = &builder->program->arena;
    struct tsi_work_target_file *file = &builder->ops.items[op].target_file;
    file->temporary = tsi_arena_strdup(arena, target->temporary);
    file->path = commits ? tsi_arena_strdup(arena, target->path) : NULL;
    return file->temporary != NULL && (file->path != NULL || !commits) ? TESS_OK
                                                                       : tsi_plan_nomem(builder);
}

static tess_status
join_level(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, int *op)
{
    struct tsi_grid coarse = {0};
    const struct tsi_grid below = builder->ops.items[*op].loop;
    const struct tsi_input input = {.op = (uint16_t)*op, .map = tsi_index_map_identity(&below)};
    tess_status status = coarsen_grid(builder, &below, &coarse);
    if (status == TESS_OK) {
        status = tsi_plan_add_op(builder, TSI_WORK_JOIN, target->array, &coarse, &coarse, op);
    }
    if (status == TESS_OK) {
        builder->ops.items[*op].label = "save_npy";
        status = tsi_plan_set_inputs(builder, *op, &input, 1);
    }
    return status;
}

// The cut of `axis` without its empty chunks: nothing waits for those, so they must not be there.
static tess_status
drop_empty_chunks(struct tsi_plan_builder *builder, const struct tsi_axis *axis,
                  struct tsi_axis *dense)
{
    *dense = *axis;
    if (axis->bounds == NULL || axis->size == 0) {
        return TESS_OK;
    }
    int64_t *sizes = tsi_calloc((size_t)axis->count, sizeof *sizes);
    int64_t count = 0;
    if (sizes == NULL) {
        return tsi_plan_nomem(builder);
    }
    for (int64_t i = 0; i < axis->count; i++) {
        sizes[count] = tsi_axis_chunk_size(axis, i);
        count += sizes[count] > 0 ? 1 : 0;
    }
    const tess_status status = tsi_axis_from_sizes(&builder->program->arena, axis->size, sizes,
                                                   count, dense, builder->error);
    tsi_free(sizes);
    return status;
}

// How the file is cut for its writers: an array without elements is one chunk.
static tess_status
cut_for_writers(struct tsi_plan_builder *builder, const struct tess_array *array,
                struct tsi_grid *grid)
{
    const bool is_empty = tsi_grid_element_count(&array->grid) == 0;
    tess_status status = TESS_OK;
    grid->ndim = array->grid.ndim;
    for (int a = 0; a < grid->ndim && status == TESS_OK; a++) {
        const struct tsi_axis *axis = &array->grid.axis[a];
        if (is_empty) {
            grid->axis[a] = tsi_axis_regular(axis->size, TESS_WHOLE_AXIS);
        } else {
            status = drop_empty_chunks(builder, axis, &grid->axis[a]);
        }
    }
    return status;
}

tess_status
tsi_plan_write(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, int *op)
{
    struct tsi_grid grid;
    tess_status status = cut_for_writers(builder, target->array, &grid);
    if (status == TESS_OK) {
        status = tsi_plan_region(builder, target->array, &grid, op);
    }
    if (status == TESS_OK) {
        builder->ops.items[*op].tile.sink = TSI_SINK_WRITE;
        status = set_file(builder, target, false, *op);
    }
    do {
        if (status == TESS_OK) {
            status = join_level(builder, target, op);
        }
    } while (status == TESS_OK && tsi_grid_chunk_count(&builder->ops.items[*op].loop) > 1);
    return status != TESS_OK ? status : set_file(builder, target, true, *op);
}
