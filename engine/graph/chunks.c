// SPDX-License-Identifier: Apache-2.0
//
// Chunks as programs write them. What the library chooses depends on nothing but the shape, the
// dtype and the other axes: the chunks decide the order of additions, and results must not depend
// on the machine.

#include "engine/graph/chunks.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/memory.h"
#include "engine/base/text.h"

enum {
    // Small enough that a few of them fit any machine, large enough that a task is worth its cost.
    CHOSEN_BYTES = 16 << 20,
    // Rows of a chunk that is cut on several axes are multiples of this, so that they start on
    // cache lines where the array does.
    CHOSEN_MULTIPLE = 16,
    // The part of a chunk that lies in one run is one in so many: so a reduction along the other
    // axes leaves little of it. But a run has this many elements if a chunk has.
    RUN_SHARE = 16,
    RUN_MIN = 8192,
    CHUNKS_TEXT_MAX = 512,
    LIST_SHOWN_MAX = 4,
};

// The largest integer whose power `exponent` is at most `value`, which is at least 1.
static int64_t
root_of(int64_t value, int exponent)
{
    int64_t low = 1;
    int64_t high = value;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        int64_t power = 1;
        bool fits = true;
        for (int i = 0; i < exponent && fits; i++) {
            fits = tsi_mul_i64(power, middle, &power) && power <= value;
        }
        if (fits) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static int64_t
share_of(int64_t elements, int64_t taken)
{
    const int64_t rest = taken > 0 ? elements / taken : elements;
    return rest > 0 ? rest : 1;
}

// From the axis on which neighbours lie next to each other to the others, each as far as it goes:
// first what lies in one run, which is not to be all of a chunk, then the axes outside of it. If
// these do not use up a chunk, the run is longer.
static void
choose_runs(struct tsi_grid *grid, uint32_t axes, int64_t elements, bool last_axis_first)
{
    const int64_t wanted = elements / RUN_SHARE > RUN_MIN ? elements / RUN_SHARE : RUN_MIN;
    int64_t room = elements < wanted ? elements : wanted;
    int64_t taken = 1;
    int cut = -1;
    for (int k = 0; k < grid->ndim; k++) {
        const int i = last_axis_first ? grid->ndim - 1 - k : k;
        if ((axes >> i & 1) == 0) {
            continue;
        }
        const int64_t size = grid->axis[i].size;
        const int64_t step = share_of(room, taken);
        if (step < size && cut < 0) {
            cut = i;
            room = elements;
        }
        grid->axis[i] = tsi_axis_regular(size, step);
        taken *= size > 0 && size < step ? size : step;
    }
    if (cut >= 0) {
        const int64_t size = grid->axis[cut].size;
        const int64_t others = taken / tsi_axis_chunk_size_max(&grid->axis[cut]);
        grid->axis[cut] = tsi_axis_regular(size, share_of(elements, others));
    }
}

static void
choose_even(struct tsi_grid *grid, uint32_t axes, int64_t elements)
{
    // An axis that is shorter than its share stays whole, and leaves more to the others.
    int64_t step = 0;
    for (bool again = true; again && axes != 0;) {
        again = false;
        const int left = __builtin_popcount(axes);
        step = root_of(elements, left);
        if (left > 1 && step >= CHOSEN_MULTIPLE) {
            step -= step % CHOSEN_MULTIPLE;
        }
        for (int i = 0; i < grid->ndim && !again; i++) {
            const int64_t size = grid->axis[i].size;
            if ((axes >> i & 1) != 0 && size <= step) {
                grid->axis[i] = tsi_axis_regular(size, TESS_WHOLE_AXIS);
                elements = share_of(elements, size);
                axes &= ~(UINT32_C(1) << i);
                again = true;
            }
        }
    }
    for (int i = 0; i < grid->ndim; i++) {
        if ((axes >> i & 1) != 0) {
            grid->axis[i] = tsi_axis_regular(grid->axis[i].size, step);
        }
    }
}

void
tsi_chunks_choose(struct tsi_grid *grid, uint32_t axes, tess_dtype dtype, enum tsi_chunks_way way)
{
    int64_t elements = CHOSEN_BYTES / (int64_t)tess_dtype_bytes(dtype);
    for (int i = 0; i < grid->ndim; i++) {
        if ((axes >> i & 1) == 0) {
            elements = share_of(elements, tsi_axis_chunk_size_max(&grid->axis[i]));
        }
    }
    if (way == TSI_CHUNKS_EVEN) {
        choose_even(grid, axes, elements);
    } else {
        choose_runs(grid, axes, elements, way == TSI_CHUNKS_C_RUNS);
    }
}

// What a program asked for on one axis, "[3, 4, …]" or "3" or "auto".
static int
format_axis(char *out, size_t room, const struct tess_chunks *chunks, int axis)
{
    const int64_t *list = chunks->list[axis];
    const int64_t step = chunks->step[chunks->ndim == TESS_EVERY_AXIS ? 0 : axis];
    if (list == NULL) {
        return step == TESS_AUTO_CHUNK ? snprintf(out, room, "auto")
                                       : snprintf(out, room, "%" PRId64, step);
    }
    int used = snprintf(out, room, "[");
    const int64_t count = chunks->list_count[axis];
    for (int64_t i = 0; i < count && i < LIST_SHOWN_MAX && (size_t)used < room; i++) {
        used += snprintf(out + used, room - (size_t)used, "%s%" PRId64, i > 0 ? ", " : "", list[i]);
    }
    if ((size_t)used < room) {
        used += snprintf(out + used, room - (size_t)used, count > LIST_SHOWN_MAX ? ", …]" : "]");
    }
    return used;
}

// "(3, auto)", "(-1,)", or "(3 each)". Cut if it does not fit.
static void
format_chunks(char out[CHUNKS_TEXT_MAX], const struct tess_chunks *chunks, int ndim)
{
    const bool each = chunks->ndim == TESS_EVERY_AXIS;
    bool has_list = false;
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        has_list = has_list || chunks->list[i] != NULL;
    }
    const int axes = each ? (has_list ? ndim : 1) : chunks->ndim;
    size_t used = (size_t)snprintf(out, CHUNKS_TEXT_MAX, "(");
    for (int i = 0; i < axes && i < TESS_NDIM_MAX && used < CHUNKS_TEXT_MAX; i++) {
        used += (size_t)snprintf(out + used, CHUNKS_TEXT_MAX - used, "%s", i > 0 ? ", " : "");
        if (used < CHUNKS_TEXT_MAX) {
            used += (size_t)format_axis(out + used, CHUNKS_TEXT_MAX - used, chunks, i);
        }
    }
    if (used < CHUNKS_TEXT_MAX) {
        const char *end = each && !has_list ? " each)" : axes == 1 ? ",)" : ")";
        snprintf(out + used, CHUNKS_TEXT_MAX - used, "%s", end);
    }
}

static tess_status
check_shape(const struct tess_shape *shape, tess_dtype dtype, struct tsi_error *error)
{
    if (shape->ndim < 0 || shape->ndim > TESS_NDIM_MAX) {
        return tsi_error_set(error, TESS_ESHAPE, "a shape of %d axes; 0 to %d are possible",
                             shape->ndim, TESS_NDIM_MAX);
    }
    char text[TSI_SHAPE_TEXT_MAX];
    tsi_text_shape(text, shape->ndim, shape->size);
    int64_t bytes = (int64_t)tess_dtype_bytes(dtype);
    bool fits = true;
    for (int i = 0; i < shape->ndim; i++) {
        const int64_t size = shape->size[i];
        if (size < 0) {
            return tsi_error_set(error, TESS_ESHAPE, "%s: axis %d has the negative size %" PRId64,
                                 text, i, size);
        }
        fits = fits && tsi_mul_i64(bytes, size > 0 ? size : 1, &bytes);
    }
    if (!fits) {
        return tsi_error_set(error, TESS_EOVERFLOW, "%s: the bytes in %s do not fit 64 bits", text,
                             tess_dtype_name(dtype));
    }
    return TESS_OK;
}

// Whether the chunks have an axis for each of the shape, and lists for no others.
static tess_status
check_chunks(const struct tess_shape *shape, const struct tess_chunks *chunks,
             struct tsi_error *error)
{
    if (chunks->ndim < TESS_EVERY_AXIS || chunks->ndim > TESS_NDIM_MAX) {
        return tsi_error_set(error, TESS_ECHUNKS,
                             "chunks of %d axes, as tess_chunks_list() gives for a wrong axis, no "
                             "list, or a negative count",
                             chunks->ndim);
    }
    if (chunks->ndim != shape->ndim && chunks->ndim != TESS_EVERY_AXIS) {
        return tsi_error_set(error, TESS_ECHUNKS, "%d axes of chunks for %d axes", chunks->ndim,
                             shape->ndim);
    }
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        const bool has_list = chunks->list[i] != NULL;
        if (has_list ? chunks->list_count[i] < 0 : chunks->list_count[i] != 0) {
            return tsi_error_set(error, TESS_ECHUNKS, "axis %d has %s list of %" PRId64 " chunks",
                                 i, has_list ? "a" : "no", chunks->list_count[i]);
        }
        if (has_list && i >= shape->ndim) {
            return tsi_error_set(error, TESS_ECHUNKS, "chunks for axis %d of %d axes", i,
                                 shape->ndim);
        }
    }
    return TESS_OK;
}

// The cut of one axis; `*is_chosen` if the library is to choose it.
static tess_status
cut_axis(struct tsi_arena *arena, int64_t size, const struct tess_chunks *chunks, int axis,
         struct tsi_axis *cut, bool *is_chosen, struct tsi_error *error)
{
    const int64_t step = chunks->step[chunks->ndim == TESS_EVERY_AXIS ? 0 : axis];
    *is_chosen = false;
    if (chunks->list[axis] != NULL) {
        const tess_status status = tsi_axis_from_sizes(arena, size, chunks->list[axis],
                                                       chunks->list_count[axis], cut, error);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "axis %d", axis);
        }
        return status;
    }
    if (step < TESS_WHOLE_AXIS) {
        return tsi_error_set(error, TESS_ECHUNKS, "axis %d: a step of %" PRId64, axis, step);
    }
    *cut = tsi_axis_regular(size, step);
    *is_chosen = step == TESS_AUTO_CHUNK;
    return TESS_OK;
}

static tess_status
cut(struct tsi_arena *arena, const struct tess_shape *shape, const struct tess_chunks *chunks,
    tess_dtype dtype, enum tsi_chunks_way way, struct tsi_grid *grid, struct tsi_error *error)
{
    tess_status status = check_chunks(shape, chunks, error);
    uint32_t chosen = 0;
    *grid = (struct tsi_grid){.ndim = shape->ndim};
    for (int i = 0; i < shape->ndim && status == TESS_OK; i++) {
        bool is_chosen = false;
        status = cut_axis(arena, shape->size[i], chunks, i, &grid->axis[i], &is_chosen, error);
        chosen |= (uint32_t)is_chosen << i;
    }
    if (status == TESS_OK) {
        tsi_chunks_choose(grid, chosen, dtype, way);
        if (tsi_grid_chunk_count(grid) < 0) {
            status =
                tsi_error_set(error, TESS_EOVERFLOW, "the number of chunks does not fit 64 bits");
        }
    }
    return status;
}

tess_status
tsi_chunks_grid(struct tsi_arena *arena, const struct tess_shape *shape,
                const struct tess_chunks *chunks, tess_dtype dtype, enum tsi_chunks_way way,
                struct tsi_grid *grid, struct tsi_error *error)
{
    tess_status status = check_shape(shape, dtype, error);
    if (status != TESS_OK) {
        return status;
    }
    status = cut(arena, shape, chunks, dtype, way, grid, error);
    if (status != TESS_OK && status != TESS_ENOMEM) {
        char shape_text[TSI_SHAPE_TEXT_MAX];
        char chunks_text[CHUNKS_TEXT_MAX];
        tsi_text_shape(shape_text, shape->ndim, shape->size);
        if (chunks->ndim >= TESS_EVERY_AXIS && chunks->ndim <= TESS_NDIM_MAX) {
            format_chunks(chunks_text, chunks, shape->ndim);
            tsi_error_prefix(error, "%s in chunks of %s", shape_text, chunks_text);
        } else {
            tsi_error_prefix(error, "%s", shape_text);
        }
    }
    return status;
}
