// SPDX-License-Identifier: Apache-2.0
//
// How an array is cut for the tasks that write it to a file.
//
// In a file in C order the rows of a chunk are apart, unless the chunk has all of every axis behind
// the first. Writing short runs costs several times what the bytes cost, and leaves them in as many
// small pieces in the system's cache, from where they are read, and mapped, more slowly. So chunks
// that are neighbours along the last axes become one part, as many as make a run of RUN_BYTES; in
// turn the part has fewer of the outer axes, so that it is no larger than a chunk, or
// PART_BYTES. Each chunk is then read by several tasks, and a task reads several chunks.

#include "engine/base/memory.h"
#include "engine/base/saturate.h"
#include "engine/plan/plan_build.h"

#define RUN_BYTES ((uint64_t)256 << 10)
#define PART_BYTES ((uint64_t)1 << 20)
#define PARTS_LOOKED_AT 1024

tess_status
tsi_plan_coarsen(struct tsi_plan_builder *builder, const struct tsi_axis *axis, int64_t every,
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

tess_status
tsi_plan_cut(struct tsi_plan_builder *builder, const struct tsi_grid *own, struct tsi_grid *grid)
{
    const bool is_empty = tsi_grid_element_count(own) == 0;
    tess_status status = TESS_OK;
    grid->ndim = own->ndim;
    for (int a = 0; a < grid->ndim && status == TESS_OK; a++) {
        const struct tsi_axis *axis = &own->axis[a];
        if (is_empty) {
            grid->axis[a] = tsi_axis_regular(axis->size, TESS_WHOLE_AXIS);
        } else {
            status = drop_empty_chunks(builder, axis, &grid->axis[a]);
        }
    }
    return status;
}

// The last axis along which the grid is cut, and how many bytes of a chunk lie side by side in a
// file; -1 if it is not cut.
static int
find_cut(const struct tsi_grid *grid, size_t element_bytes, uint64_t *run)
{
    int axis = grid->ndim - 1;
    *run = element_bytes;
    while (axis >= 0 && grid->axis[axis].count == 1) {
        *run = tsi_saturate_multiply(*run, (uint64_t)grid->axis[axis--].size);
    }
    if (axis >= 0) {
        *run = tsi_saturate_multiply(*run, (uint64_t)tsi_axis_chunk_size_max(&grid->axis[axis]));
    }
    return axis;
}

// Puts neighbours together, from the last axis on, until runs have `least` bytes or `most` chunks
// are one. `*first` is the first axis along which any were; the number of axes if none.
static tess_status
merge(struct tsi_plan_builder *builder, size_t element_bytes, uint64_t least, uint64_t most,
      struct tsi_grid *grid, int *first)
{
    uint64_t run = 0;
    uint64_t merged = 1;
    int axis = find_cut(grid, element_bytes, &run);
    *first = grid->ndim;
    while (axis >= 0 && run > 0 && run < least) {
        const struct tsi_axis whole = grid->axis[axis];
        uint64_t every = (least + run - 1) / run;
        every = every < (uint64_t)whole.count ? every : (uint64_t)whole.count;
        every = every < most / merged ? every : most / merged;
        if (every < 2) {
            return TESS_OK;
        }
        const tess_status status =
            tsi_plan_coarsen(builder, &whole, (int64_t)every, &grid->axis[axis]);
        if (status != TESS_OK || every < (uint64_t)whole.count) {
            *first = axis;
            return status;
        }
        *first = axis;
        merged *= every;
        axis = find_cut(grid, element_bytes, &run);
    }
    return TESS_OK;
}

// A divisor of `size` not far below `most`, so that no part goes across the boundary of a chunk;
// `most` if none is found.
static int64_t
even_part(int64_t size, int64_t most)
{
    const int64_t least = most / 2 > most - PARTS_LOOKED_AT ? most / 2 : most - PARTS_LOOKED_AT;
    for (int64_t part = most; part > least; part--) {
        if (size % part == 0) {
            return part;
        }
    }
    return most;
}

// Makes parts of at most `most` bytes by cutting the axes before `end`, the first one first.
static void
cut_outer(struct tsi_grid *grid, size_t element_bytes, int end, uint64_t most)
{
    for (int i = 0; i < end; i++) {
        const uint64_t bytes =
            tsi_saturate_multiply((uint64_t)tsi_grid_chunk_elements_max(grid), element_bytes);
        const int64_t size = tsi_axis_chunk_size_max(&grid->axis[i]);
        if (bytes <= most) {
            return;
        }
        const uint64_t parts = 1 + (bytes - 1) / most;
        const int64_t fewer = parts < (uint64_t)size ? size / (int64_t)parts : 1;
        grid->axis[i] = tsi_axis_regular(grid->axis[i].size, even_part(size, fewer));
    }
}

tess_status
tsi_plan_widen(struct tsi_plan_builder *builder, const struct tsi_grid *own, size_t element_bytes,
               const struct tsi_plan_room *room, struct tsi_grid *wide)
{
    const uint64_t chunk =
        tsi_saturate_multiply((uint64_t)tsi_grid_chunk_elements_max(own), element_bytes);
    const uint64_t part = room->bytes < PART_BYTES ? room->bytes : PART_BYTES;
    const uint64_t most = chunk > part ? chunk : part;
    // A run of this length, less one byte, and another one fit in a part.
    const uint64_t least = most / 2 < RUN_BYTES ? most / 2 : RUN_BYTES;
    int first = 0;
    *wide = *own;
    const tess_status status = merge(builder, element_bytes, least, room->chunks, wide, &first);
    if (status == TESS_OK && first < wide->ndim) {
        cut_outer(wide, element_bytes, first, most);
    }
    return status;
}
