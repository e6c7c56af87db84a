// SPDX-License-Identifier: Apache-2.0
//
// Most inputs lie in one chunk of their source, or are parts of one array of the caller's: then a
// view sees them where they are. An input that lies in several chunks is gathered: each chunk's
// part of the loop is a box, for the map is linear on each axis, and is copied to its place in one
// dense block.

#include "engine/exec/operand.h"

#include "engine/exec/box.h"
#include "engine/exec/operand_file.h"
#include "engine/exec/window.h"

// Arrays of at least so many bytes are not in a cache when they are complete.
#define PAST_BYTES_MIN ((int64_t)8 << 20)

// The next chunk of the task, NULL at the end.
static const struct tsi_exec_chunk *
take_chunk(struct tsi_run *run)
{
    return run->next_chunk == run->task->chunk_count ? NULL : &run->task->chunks[run->next_chunk++];
}

static tess_status
lack_chunk(const struct tsi_run *run)
{
    return tsi_run_internal(run, "a chunk that it reads is missing");
}

// The box of the loop chunk whose elements are in the source chunk at `low` of `size`; false if
// there is none. `first` and `count` are relative to the loop chunk, and where the input does not
// vary they are all of it.
static bool
intersect(const struct tsi_run *run, const struct tsi_index_map *map, const int64_t *low,
          const int64_t *size, int64_t *first, int64_t *count)
{
    for (int i = 0; i < run->op->loop.ndim; i++) {
        first[i] = 0;
        count[i] = run->size[i];
    }
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        const int axis = rule->axis;
        const int64_t stride = axis < 0 ? 0 : rule->stride;
        const int64_t origin = rule->offset + (stride == 0 ? 0 : stride * run->start[axis]);
        if (stride == 0) {
            if (origin < low[i] || origin - low[i] >= size[i]) {
                return false;
            }
            continue;
        }
        // Distances from the first touched element to the chunk's nearest and farthest one, in the
        // direction of the stride.
        const int64_t near = stride > 0 ? low[i] - origin : origin - (low[i] + size[i] - 1);
        const int64_t far = near + size[i] - 1;
        const int64_t step = stride > 0 ? stride : -stride;
        const int64_t from = near <= 0 ? 0 : (near + step - 1) / step;
        const int64_t end = far < 0 ? 0 : far / step + 1;
        first[axis] = from;
        count[axis] = (end < run->size[axis] ? end : run->size[axis]) - from;
        if (count[axis] <= 0) {
            return false;
        }
    }
    return true;
}

// Whether the output goes to a part of the caller's array that is larger than the caches.
static bool
is_for_later(const struct tsi_run *run, size_t bytes)
{
    return run->task->out_strides != NULL &&
           tsi_grid_element_count(&run->op->array) >= PAST_BYTES_MIN / (int64_t)bytes;
}

// Copies one chunk's part to its place in `out`, which has the given strides along the loop axes; a
// loop axis with `out` stride 0 takes one index.
static void
gather_chunk(const struct tsi_run *run, const struct tsi_index_map *map,
             const struct tsi_grid *source, int64_t chunk, const struct tsi_exec_chunk *from,
             size_t bytes, unsigned char *out, const int64_t *out_stride)
{
    const int ndim = run->op->loop.ndim;
    int64_t low[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    int64_t dense[TESS_NDIM_MAX];
    int64_t first[TESS_NDIM_MAX];
    int64_t count[TESS_NDIM_MAX];
    int64_t in_stride[TESS_NDIM_MAX];
    (void)tsi_grid_box(source, chunk, low, size);
    if (!intersect(run, map, low, size, first, count)) {
        return;
    }
    const int64_t *strides = from->strides;
    if (strides == NULL) {
        tsi_box_strides(source->ndim, size, bytes, dense);
        strides = dense;
    }
    for (int i = 0; i < ndim; i++) {
        in_stride[i] = 0;
        out += first[i] * out_stride[i];
        count[i] = out_stride[i] == 0 ? 1 : count[i];
    }
    int64_t offset = 0;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        int64_t at = rule->offset;
        if (rule->axis >= 0) {
            at += rule->stride * (run->start[rule->axis] + first[rule->axis]);
            in_stride[rule->axis] = rule->stride * strides[i];
        }
        offset += (at - low[i]) * strides[i];
    }
    const unsigned char *const data = (const unsigned char *)from->data + offset;
    if (is_for_later(run, bytes)) {
        tsi_box_copy_past(ndim, count, bytes, out, out_stride, data, in_stride);
    } else {
        tsi_box_copy(ndim, count, bytes, out, out_stride, data, in_stride);
    }
}

// Copies all chunks' parts of a loop chunk that is not empty.
static tess_status
gather(struct tsi_run *run, int input, size_t bytes, void *out, const int64_t *out_stride)
{
    const struct tsi_input *const from = &run->op->inputs[input];
    const struct tsi_grid *const source = &run->task->program->ops[from->op].array;
    struct tsi_chunk_set set =
        tsi_index_map_deps(&from->map, &run->op->loop, source, run->task->chunk);
    int64_t chunk = 0;
    while (tsi_chunk_set_next(&set, &chunk)) {
        const struct tsi_exec_chunk *const part = take_chunk(run);
        const tess_status status = part == NULL ? lack_chunk(run) : tsi_run_check(run);
        if (part == NULL || status != TESS_OK) {
            return status;
        }
        gather_chunk(run, &from->map, source, chunk, part, bytes, out, out_stride);
    }
    return TESS_OK;
}

// The strides of a dense block over the loop axes for which `varies` is not 0, and its bytes.
static size_t
dense_strides(const struct tsi_run *run, size_t bytes, const int64_t *varies, int64_t *stride)
{
    int64_t step = (int64_t)bytes;
    for (int i = run->op->loop.ndim - 1; i >= 0; i--) {
        if (varies[i] == 0) {
            stride[i] = 0;
        } else {
            stride[i] = step;
            step *= run->size[i];
        }
    }
    return (size_t)step;
}

static tess_status
bind_several(struct tsi_run *run, int input, struct tsi_operand *view)
{
    const struct tsi_index_map *const map = &run->op->inputs[input].map;
    int64_t varies[TESS_NDIM_MAX] = {0};
    for (int i = 0; i < map->ndim; i++) {
        if (map->axis[i].axis >= 0) {
            varies[map->axis[i].axis] = map->axis[i].stride;
        }
    }
    void *block = NULL;
    const size_t bytes = dense_strides(run, view->bytes, varies, view->stride);
    const tess_status status = tsi_run_take(run, bytes, &block);
    if (status != TESS_OK) {
        return status;
    }
    view->data = block;
    return gather(run, input, view->bytes, block, view->stride);
}

// Sees chunks that are parts of one array in the caller's memory as that array; false if they are
// not, and nothing was taken.
static bool
see_array(struct tsi_run *run, const struct tsi_input *from, const struct tsi_chunk_op *source,
          struct tsi_operand *view)
{
    const struct tsi_exec_chunk *const parts = run->task->chunks + run->next_chunk;
    const size_t left = run->task->chunk_count - run->next_chunk;
    struct tsi_chunk_set set =
        tsi_index_map_deps(&from->map, &run->op->loop, &source->array, run->task->chunk);
    uintptr_t array = 0;
    size_t count = 0;
    int64_t chunk = 0;
    for (; tsi_chunk_set_next(&set, &chunk); count++) {
        int64_t low[TESS_NDIM_MAX];
        int64_t size[TESS_NDIM_MAX];
        if (count == left || parts[count].strides == NULL ||
            parts[count].strides != parts[0].strides) {
            return false;
        }
        (void)tsi_grid_box(&source->array, chunk, low, size);
        uintptr_t start = (uintptr_t)parts[count].data;
        for (int i = 0; i < source->array.ndim; i++) {
            start -= (uintptr_t)(low[i] * parts[0].strides[i]);
        }
        if (count > 0 && start != array) {
            return false;
        }
        array = start;
    }
    struct tsi_window window;
    tsi_window_whole(run, &from->map, &window);
    array += (uintptr_t)tsi_window_view(run, &from->map, &window, parts[0].strides, view);
    view->data = (const unsigned char *)array;
    run->next_chunk += count;
    return true;
}

tess_status
tsi_operand_see(struct tsi_run *run, int input, struct tsi_operand *view, bool *is_in_pieces)
{
    const struct tsi_input *const from = &run->op->inputs[input];
    const struct tsi_chunk_op *const source = &run->task->program->ops[from->op];
    view->pieces = NULL;
    view->data = NULL;
    view->bytes = tess_dtype_bytes((tess_dtype)source->dtype);
    view->swapped = false;
    *is_in_pieces = false;
    if (from->map.is_explicit) {
        return tsi_run_internal(run, "it reads elements through a list of chunks");
    }
    if (run->elements == 0) {
        tsi_window_clear(run, view);
        return TESS_OK;
    }
    if (source->work == TSI_WORK_FILE) {
        return tsi_operand_file_bind(run, source, &from->map, view);
    }
    struct tsi_window window;
    tsi_window_find(run, &from->map, &source->array, &window);
    if (!window.is_one) {
        *is_in_pieces = !see_array(run, from, source, view);
        return TESS_OK;
    }
    const struct tsi_exec_chunk *const chunk = take_chunk(run);
    if (chunk == NULL) {
        return lack_chunk(run);
    }
    int64_t dense[TESS_NDIM_MAX];
    const int64_t *strides = chunk->strides;
    if (strides == NULL) {
        tsi_box_strides(source->array.ndim, window.size, view->bytes, dense);
        strides = dense;
    }
    view->data = (const unsigned char *)chunk->data +
                 tsi_window_view(run, &from->map, &window, strides, view);
    return TESS_OK;
}

tess_status
tsi_operand_bind(struct tsi_run *run, int input, struct tsi_operand *view)
{
    bool is_in_pieces = false;
    const tess_status status = tsi_operand_see(run, input, view, &is_in_pieces);
    return status == TESS_OK && is_in_pieces ? bind_several(run, input, view) : status;
}

int64_t
tsi_operand_reach(struct tsi_run *run, int input, int axis)
{
    const struct tsi_input *const from = &run->op->inputs[input];
    const struct tsi_chunk_op *const source = &run->task->program->ops[from->op];
    const int64_t size = run->size[axis];
    int64_t reach = size;
    if (source->work == TSI_WORK_FILE) {
        return size;
    }
    struct tsi_window window;
    run->size[axis] = 1;
    tsi_window_find(run, &from->map, &source->array, &window);
    run->size[axis] = size;
    if (!window.is_one) {
        return 0;
    }
    for (int i = 0; i < from->map.ndim; i++) {
        const struct tsi_map_axis *const rule = &from->map.axis[i];
        const int64_t at = window.first[i] - window.low[i];
        if (rule->axis == axis && rule->stride != 0) {
            reach = rule->stride > 0 ? (window.size[i] - 1 - at) / rule->stride + 1
                                     : at / -rule->stride + 1;
        }
    }
    return reach < size ? reach : size;
}

tess_status
tsi_operand_pack(struct tsi_run *run, struct tsi_operand *view)
{
    int64_t stride[TESS_NDIM_MAX] = {0};
    int64_t size[TESS_NDIM_MAX];
    void *block = NULL;
    if (view->data == NULL) {
        return TESS_OK;
    }
    const size_t bytes = dense_strides(run, view->bytes, view->stride, stride);
    const tess_status status = tsi_run_take(run, bytes, &block);
    if (status != TESS_OK) {
        return status;
    }
    for (int i = 0; i < run->op->loop.ndim; i++) {
        size[i] = stride[i] == 0 ? 1 : run->size[i];
    }
    tsi_box_copy(run->op->loop.ndim, size, view->bytes, block, stride, view->data, view->stride);
    if (view->swapped) {
        tsi_kernel_swap((int64_t)(bytes / view->bytes), block, view->bytes);
    }
    view->data = block;
    view->swapped = false;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        view->stride[i] = stride[i];
    }
    return TESS_OK;
}

tess_status
tsi_operand_copy(struct tsi_run *run, int input, void *out)
{
    const struct tsi_input *const from = &run->op->inputs[input];
    const struct tsi_chunk_op *const source = &run->task->program->ops[from->op];
    int64_t stride[TESS_NDIM_MAX];
    const size_t bytes = tess_dtype_bytes((tess_dtype)source->dtype);
    if (run->elements == 0) {
        return TESS_OK;
    }
    tsi_box_strides(run->op->loop.ndim, run->size, bytes, stride);
    if (from->map.is_explicit) {
        return tsi_run_internal(run, "it reads elements through a list of chunks");
    }
    if (source->work == TSI_WORK_FILE) {
        return tsi_operand_file_copy(run, source, &from->map, out, stride);
    }
    const int64_t *const wanted = run->task->out_strides;
    return gather(run, input, bytes, out, wanted != NULL ? wanted : stride);
}
