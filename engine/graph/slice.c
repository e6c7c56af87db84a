// SPDX-License-Identifier: Apache-2.0
//
// Basic indexing.
//
// A slice is cut where its operand is. Most slices of an axis in closed form have a closed form:
//
//     step 1 and −1, and steps that divide the chunks      the first chunk is cut, the others as
//     before steps of at least a chunk                            one element a chunk
//
// Else the sizes of the chunks are listed, which may be many: where they would be more than a grid
// may list, the slice is cut in steps of the largest of them, which is close to where the operand
// is cut. The values are the same for any cut.

#include "engine/graph/slice.h"

#include <inttypes.h>

#include "engine/base/limits.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/graph/node.h"
#include "engine/graph/session.h"
#include "engine/graph/view.h"
#include "tessera/shape.h"

static int64_t
magnitude(int64_t step)
{
    return step < 0 ? -step : step;
}

// How many elements of a slice are in the chunk of its element `at`, if the slice does not end
// before.
static int64_t
in_chunk(const struct tsi_axis *axis, int64_t at, int64_t step)
{
    const int64_t chunk = tsi_axis_find(axis, at);
    const int64_t ahead =
        step > 0 ? tsi_axis_start(axis, chunk + 1) - 1 - at : at - tsi_axis_start(axis, chunk);
    return ahead / magnitude(step) + 1;
}

static bool
find_closed_form(const struct tsi_axis *axis, int64_t start, int64_t count, int64_t step,
                 struct tsi_axis *cut)
{
    const int64_t every = magnitude(step);
    if (count == axis->size && step == 1) {
        *cut = *axis;
        return true;
    }
    const int64_t first = count > 0 ? in_chunk(axis, start, step) : 0;
    if (first >= count) {
        *cut = tsi_axis_regular(count, TESS_WHOLE_AXIS);
        return true;
    }
    if (axis->bounds != NULL || (every < axis->step && axis->step % every != 0)) {
        return false;
    }
    *cut = every < axis->step ? tsi_axis_shifted(count, first, axis->step / every)
                              : tsi_axis_regular(count, 1);
    return true;
}

tess_status
tsi_slice_axis(struct tsi_arena *arena, const struct tsi_axis *axis, int64_t start, int64_t count,
               int64_t step, struct tsi_axis *cut, struct tsi_error *error)
{
    if (find_closed_form(axis, start, count, step, cut)) {
        return TESS_OK;
    }
    const int64_t from = tsi_axis_find(axis, start);
    const int64_t to = tsi_axis_find(axis, start + step * (count - 1));
    const int64_t chunks = magnitude(to - from) + 1;
    if (chunks > TSI_AXIS_BOUNDS_MAX) {
        *cut = tsi_axis_regular(count, (axis->step - 1) / magnitude(step) + 1);
        return TESS_OK;
    }
    int64_t *sizes = tsi_calloc((size_t)chunks, sizeof *sizes);
    if (sizes == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory for the chunk sizes of a slice");
    }
    int64_t found = 0;
    for (int64_t done = 0; done < count; done += sizes[found++]) {
        const int64_t size = in_chunk(axis, start + step * done, step);
        sizes[found] = size < count - done ? size : count - done;
    }
    const tess_status status = tsi_axis_from_sizes(arena, count, sizes, found, cut, error);
    tsi_free(sizes);
    return status;
}

// A slice while its indices are read.
struct slicing {
    struct tess_array *x;
    int axis; // the next of `x`
    struct tsi_node_view view;
    struct tsi_grid grid;
    struct tsi_arena scratch;
    char shape[TSI_SHAPE_TEXT_MAX]; // of `x`
};

// Fills `*failed` and returns false if the result has too many axes already.
static bool
has_room(const struct slicing *slicing, struct tess_array **failed)
{
    if (slicing->grid.ndim < TESS_NDIM_MAX) {
        return true;
    }
    *failed = tsi_node_fail(slicing->x->session, TESS_ESHAPE, "slice",
                            "%s: the result has more than %d axes", slicing->shape, TESS_NDIM_MAX);
    return false;
}

static struct tess_array *
take_newaxis(struct slicing *slicing)
{
    struct tess_array *failed = NULL;
    if (has_room(slicing, &failed)) {
        slicing->grid.axis[slicing->grid.ndim++] = tsi_axis_regular(1, TESS_WHOLE_AXIS);
    }
    return failed;
}

static struct tess_array *
take_at(struct slicing *slicing, int64_t index)
{
    const int64_t size = slicing->x->grid.axis[slicing->axis].size;
    if (index >= size || index < -size) {
        return tsi_node_fail(slicing->x->session, TESS_EINDEX, "slice",
                             "%s: index %" PRId64 " on axis %d of size %" PRId64, slicing->shape,
                             index, slicing->axis, size);
    }
    slicing->view.axis[slicing->axis] = -1;
    slicing->view.offset[slicing->axis] = index < 0 ? index + size : index;
    slicing->view.stride[slicing->axis] = 1;
    slicing->axis++;
    return NULL;
}

// A start or stop as a place from `low` to `high`, `open` if it was left out.
static int64_t
place_of(int64_t bound, int64_t size, int64_t low, int64_t high, int64_t open)
{
    if (bound == TESS_OPEN) {
        return open;
    }
    const int64_t place = bound < 0 ? bound + size : bound;
    return place < low ? low : place > high ? high : place;
}

static struct tess_array *
take_range(struct slicing *slicing, const struct tess_index *index)
{
    const struct tsi_axis *axis = &slicing->x->grid.axis[slicing->axis];
    const int64_t size = axis->size;
    struct tess_array *failed = NULL;
    if (index->step == 0) {
        return tsi_node_fail(slicing->x->session, TESS_EINDEX, "slice",
                             "%s: a step of 0 on axis %d", slicing->shape, slicing->axis);
    }
    if (!has_room(slicing, &failed)) {
        return failed;
    }
    // No axis is so long that the two largest negative steps differ.
    const int64_t step = index->step == INT64_MIN ? -INT64_MAX : index->step;
    const int64_t low = step > 0 ? 0 : -1;
    const int64_t high = step > 0 ? size : size - 1;
    const int64_t start = place_of(index->start, size, low, high, step > 0 ? low : high);
    const int64_t stop = place_of(index->stop, size, low, high, step > 0 ? high : low);
    const int64_t length = step > 0 ? stop - start : start - stop;
    const int64_t count = length > 0 ? (length - 1) / magnitude(step) + 1 : 0;
    struct tsi_error error;
    struct tsi_axis *cut = &slicing->grid.axis[slicing->grid.ndim];
    const tess_status status =
        tsi_slice_axis(&slicing->scratch, axis, start, count, step, cut, &error);
    if (status != TESS_OK) {
        return tsi_node_fail(slicing->x->session, status, "slice", "%s: %s", slicing->shape,
                             error.text);
    }
    slicing->view.axis[slicing->axis] = slicing->grid.ndim++;
    slicing->view.offset[slicing->axis] = start;
    slicing->view.stride[slicing->axis] = step;
    slicing->axis++;
    return NULL;
}

static struct tess_array *
take(struct slicing *slicing, const struct tess_index *index)
{
    if (index->kind == TESS_INDEX_NEWAXIS) {
        return take_newaxis(slicing);
    }
    if (index->kind != TESS_INDEX_AT && index->kind != TESS_INDEX_RANGE) {
        return tsi_node_fail(slicing->x->session, TESS_EINVAL, "slice",
                             "%s: %d is no kind of index", slicing->shape, index->kind);
    }
    if (slicing->axis >= slicing->x->grid.ndim) {
        return tsi_node_fail(slicing->x->session, TESS_EAXIS, "slice",
                             "%s: more indices than %d axes", slicing->shape,
                             slicing->x->grid.ndim);
    }
    return index->kind == TESS_INDEX_AT ? take_at(slicing, index->start)
                                        : take_range(slicing, index);
}

static struct tess_array *
slice(struct slicing *slicing, const struct tess_indices *indices)
{
    const struct tess_index whole = TESS_WHOLE;
    struct tess_array *failed = NULL;
    for (int i = 0; i < indices->count && failed == NULL; i++) {
        failed = take(slicing, &indices->index[i]);
    }
    while (slicing->axis < slicing->x->grid.ndim && failed == NULL) {
        failed = take_range(slicing, &whole);
    }
    return failed != NULL ? failed
                          : tsi_view_of(slicing->x, &slicing->view, &slicing->grid, "slice");
}

tess_array *(tess_slice)(tess_array *x, tess_indices indices)
{
    struct tess_array *bad = tsi_node_bad(&x, 1, "slice");
    if (bad != NULL) {
        return bad;
    }
    struct slicing slicing = {.x = x};
    const struct tess_shape shape = tsi_grid_shape(&x->grid);
    tsi_text_shape(slicing.shape, shape.ndim, shape.size);
    if (indices.count < 0 || indices.count > 2 * TESS_NDIM_MAX) {
        return tsi_node_fail(x->session, TESS_EINVAL, "slice",
                             "%s: %d indices; 0 to %d are possible", slicing.shape, indices.count,
                             2 * TESS_NDIM_MAX);
    }
    tsi_arena_init(&slicing.scratch);
    struct tess_array *array = slice(&slicing, &indices);
    tsi_arena_fini(&slicing.scratch);
    return array;
}
