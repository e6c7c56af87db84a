// SPDX-License-Identifier: Apache-2.0
//
// Files: parts of the array, its chunks or wider ones (plan_cut.c), are written by a task each into
// the temporary file; a tree of joins, each over at most TSI_FOLD_FANIN neighbours, waits for all
// of them, and the last gives the file its name.
//
// A join's loop is the array cut more coarsely, at every so many boundaries of the level below, so
// its chunks depend on just the chunks that they cover.

#include "engine/base/saturate.h"
#include "engine/graph/session.h"
#include "engine/plan/plan_build.h"

static tess_status
coarsen_grid(struct tsi_plan_builder *builder, const struct tsi_grid *grid, struct tsi_grid *coarse)
{
    int64_t budget = TSI_FOLD_FANIN;
    coarse->ndim = grid->ndim;
    for (int a = grid->ndim - 1; a >= 0; a--) {
        const int64_t every = grid->axis[a].count < budget ? grid->axis[a].count : budget;
        const tess_status status =
            tsi_plan_coarsen(builder, &grid->axis[a], every, &coarse->axis[a]);
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

// How many chunks of the array's own grid a task may read at once: any number where they are no
// memory of a worker's, else as many as the session has room for.
static uint64_t
chunks_to_read(const struct tsi_plan_builder *builder, const struct tess_array *array, int op)
{
    const struct tsi_chunk_op *const writer = &builder->ops.items[op];
    const uint64_t room = array->session->gather_bytes;
    uint64_t each = 0;  // bytes of chunks for each of the array's own
    uint64_t whole = 0; // bytes of arrays that are cut otherwise
    for (int i = 0; i < writer->input_count; i++) {
        const struct tsi_chunk_op *const source = &builder->ops.items[writer->inputs[i].op];
        if (source->work == TSI_WORK_FILE ||
            (source->work == TSI_WORK_HELD && array->session->is_local)) {
            continue;
        }
        const bool is_cut_alike = tsi_grid_equal(&source->array, &array->grid);
        const int64_t elements = is_cut_alike ? tsi_grid_chunk_elements_max(&source->array)
                                              : tsi_grid_element_count(&source->array);
        uint64_t *const bytes = is_cut_alike ? &each : &whole;
        *bytes = tsi_saturate_add(
            *bytes,
            tsi_saturate_multiply((uint64_t)elements, tess_dtype_bytes((tess_dtype)source->dtype)));
    }
    if (whole > room) {
        return 1;
    }
    return each == 0 ? UINT64_MAX : (room - whole) / each;
}

// Cuts the file for its writers anew, if they can write longer runs so.
static tess_status
widen(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, int op)
{
    const struct tess_array *const array = target->array;
    const struct tsi_plan_room room = {
        .chunks = chunks_to_read(builder, array, op),
        .bytes = array->session->gather_bytes,
    };
    struct tsi_grid wide;
    const struct tsi_grid *const natural = &builder->ops.items[op].loop;
    tess_status status =
        tsi_plan_widen(builder, natural, tess_dtype_bytes(array->dtype), &room, &wide);
    struct tsi_chunk_op *const writer = &builder->ops.items[op];
    struct tsi_arena *const arena = &builder->program->arena;
    if (status == TESS_OK && (!tsi_grid_copy(arena, &wide, &writer->loop) ||
                              !tsi_grid_copy(arena, &wide, &writer->array))) {
        status = tsi_plan_nomem(builder);
    }
    return status;
}

tess_status
tsi_plan_write(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, int *op)
{
    struct tsi_grid grid;
    tess_status status = tsi_plan_cut(builder, &target->array->grid, &grid);
    if (status == TESS_OK) {
        status = tsi_plan_region(builder, target->array, &grid, op);
    }
    if (status == TESS_OK) {
        builder->ops.items[*op].tile.sink = TSI_SINK_WRITE;
        status = set_file(builder, target, false, *op);
    }
    if (status == TESS_OK) {
        status = widen(builder, target, *op);
    }
    do {
        if (status == TESS_OK) {
            status = join_level(builder, target, op);
        }
    } while (status == TESS_OK && tsi_grid_chunk_count(&builder->ops.items[*op].loop) > 1);
    return status != TESS_OK ? status : set_file(builder, target, true, *op);
}
