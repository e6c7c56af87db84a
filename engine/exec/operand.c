// SPDX-License-Identifier: Apache-2.0
//
// Most inputs lie in one chunk of their source. Then a view is a pointer and strides: the chunk's
// own strides times those of the index map, so a transpose, a slice, a broadcast costs nothing
// here. An input that lies in several chunks is gathered: each chunk's part of the loop is a box,
// for the map is linear on each axis, and is copied to its place in one dense block.
//
// Files are one chunk, seen where it is mapped, or read. A mapping is held until the run ends, then
// the pages between the first and the last byte that views could see are given back.

#include "engine/exec/operand.h"

#include "engine/exec/box.h"
#include "engine/exec/file_box.h"
#include "engine/exec/files.h"

// Arrays of at least so many bytes are not in a cache when they are complete.
#define PAST_BYTES_MIN ((int64_t)8 << 20)

struct tsi_operand_file {
    struct tsi_operand_file *next;
    struct tsi_mapped_file *file;
    int64_t low; // bytes that the views of this run can see
    int64_t high;
};

// Where an input's elements are in its source, for each source axis.
struct window {
    int64_t first[TESS_NDIM_MAX]; // the element for the first index of the loop chunk
    int64_t low[TESS_NDIM_MAX];   // the chunk that holds it: start and size
    int64_t size[TESS_NDIM_MAX];
    bool is_one; // all elements are in that chunk; otherwise the others are not filled
};

// The source chunk that holds element `at`, a guess first: most loops are cut as their sources are.
static void
find_chunk(const struct tsi_axis *axis, int64_t at, int64_t guess, int64_t *low, int64_t *size)
{
    int64_t chunk = guess;
    if (axis->count == 1) {
        *low = 0;
        *size = axis->size;
        return;
    }
    if (chunk < axis->count) {
        *low = tsi_axis_start(axis, chunk);
        *size = tsi_axis_chunk_size(axis, chunk);
        if (*low <= at && at - *low < *size) {
            return;
        }
    }
    chunk = tsi_axis_find(axis, at);
    *low = tsi_axis_start(axis, chunk);
    *size = tsi_axis_chunk_size(axis, chunk);
}

static void
find_window(const struct tsi_run *run, const struct tsi_index_map *map,
            const struct tsi_grid *source, struct window *window)
{
    window->is_one = true;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        int64_t first = rule->offset;
        int64_t last = first;
        int64_t guess = 0;
        if (rule->axis >= 0) {
            first += rule->stride * run->start[rule->axis];
            last = first + rule->stride * (run->size[rule->axis] - 1);
            guess = run->coords[rule->axis];
        }
        find_chunk(&source->axis[i], first, guess, &window->low[i], &window->size[i]);
        window->first[i] = first;
        if (last < window->low[i] || last - window->low[i] >= window->size[i]) {
            window->is_one = false;
            return;
        }
    }
}

static void
clear_strides(const struct tsi_run *run, struct tsi_operand *view)
{
    for (int i = 0; i < run->op->loop.ndim; i++) {
        view->stride[i] = 0;
    }
}

// The strides of the view of a window that lies in one chunk. Returns how many bytes its first
// element is behind that of the chunk.
static int64_t
find_view(const struct tsi_run *run, const struct tsi_index_map *map, const struct window *window,
          const int64_t *strides, struct tsi_operand *view)
{
    int64_t offset = 0;
    clear_strides(run, view);
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        offset += (window->first[i] - window->low[i]) * strides[i];
        if (rule->axis >= 0) {
            view->stride[rule->axis] = rule->stride * strides[i];
        }
    }
    return offset;
}

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

// The bytes from the first to the last that the view sees, as a distance from its first element.
static void
reach_of(const struct tsi_run *run, const struct tsi_operand *view, int64_t *low, int64_t *high)
{
    *low = 0;
    *high = (int64_t)view->bytes;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        const int64_t reach = view->stride[i] * (run->size[i] - 1);
        *(reach < 0 ? low : high) += reach;
    }
}

// Takes the file that `source` is, until the run ends; NULL if `*status` says why not.
static struct tsi_operand_file *
take_file(struct tsi_run *run, const struct tsi_chunk_op *source, tess_status *status)
{
    void *memory = NULL;
    *status = run->task->files == NULL
                  ? tsi_run_internal(run, "it reads a file and has no files")
                  : tsi_run_take(run, sizeof(struct tsi_operand_file), &memory);
    if (memory == NULL) {
        return NULL;
    }
    struct tsi_operand_file *const use = memory;
    *use = (struct tsi_operand_file){.next = run->files};
    *status = tsi_files_acquire(run->task->files, source, &use->file, run->error);
    if (*status != TESS_OK) {
        return NULL;
    }
    run->files = use;
    return use;
}

// The strides of the loop chunk's elements in the file. Returns the place of the first.
static int64_t
find_in_file(const struct tsi_run *run, const struct tsi_chunk_op *source,
             const struct tsi_index_map *map, struct tsi_operand *view)
{
    int64_t strides[TESS_NDIM_MAX];
    int64_t step = (int64_t)view->bytes;
    for (int i = 0; i < map->ndim; i++) {
        const int axis = source->file.fortran_order ? i : map->ndim - 1 - i;
        strides[axis] = step;
        step *= source->array.axis[axis].size;
    }
    struct window window;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        window.low[i] = 0;
        window.first[i] =
            rule->offset + (rule->axis < 0 ? 0 : rule->stride * run->start[rule->axis]);
    }
    view->swapped = source->file.swapped;
    return find_view(run, map, &window, strides, view);
}

static struct tsi_file_box
box_of(const struct tsi_run *run, int64_t offset, const struct tsi_operand *view)
{
    return (struct tsi_file_box){.ndim = run->op->loop.ndim,
                                 .size = run->size,
                                 .bytes = view->bytes,
                                 .offset = offset,
                                 .stride = view->stride};
}

// Reads what a view with these strides sees into a dense block, which it sees then.
static tess_status
read_view(struct tsi_run *run, const struct tsi_operand_file *use, int64_t offset,
          struct tsi_operand *view)
{
    int64_t stride[TESS_NDIM_MAX];
    void *block = NULL;
    const struct tsi_file_box box = box_of(run, offset, view);
    // Repeated elements are read once.
    int64_t size[TESS_NDIM_MAX];
    const size_t bytes = tsi_file_box_dense(&box, stride);
    for (int i = 0; i < box.ndim; i++) {
        size[i] = stride[i] == 0 ? 1 : run->size[i];
    }
    struct tsi_file_box once = box;
    once.size = size;
    tess_status status = tsi_run_take(run, bytes, &block);
    if (status == TESS_OK) {
        status = tsi_file_box_read(&once, use->file, block, stride, run->error);
    }
    view->data = block;
    for (int i = 0; i < box.ndim; i++) {
        view->stride[i] = stride[i];
    }
    return status;
}

// Elements that lie side by side are seen where they are mapped, if the process has room for their
// pages. Others are read: their pages would be many times what is wanted of them.
static tess_status
bring_view(struct tsi_run *run, struct tsi_operand_file *use, int64_t offset,
           struct tsi_operand *view)
{
    int64_t low = 0;
    int64_t high = 0;
    reach_of(run, view, &low, &high);
    if (high - low > run->elements * (int64_t)view->bytes || !tsi_files_may_map(use->file)) {
        return read_view(run, use, offset, view);
    }
    use->low = offset + low;
    use->high = offset + high;
    view->data = tsi_files_data(use->file) + offset;
    tsi_files_prepare(use->file, use->low, use->high);
    return TESS_OK;
}

static tess_status
bind_file(struct tsi_run *run, const struct tsi_chunk_op *source, const struct tsi_index_map *map,
          struct tsi_operand *view)
{
    tess_status status = TESS_OK;
    struct tsi_operand_file *const use = take_file(run, source, &status);
    if (use == NULL) {
        return status;
    }
    return bring_view(run, use, find_in_file(run, source, map, view), view);
}

// Puts the loop chunk's elements of a file into `out`, straight from it where their order is the
// same.
static tess_status
copy_file(struct tsi_run *run, const struct tsi_chunk_op *source, const struct tsi_index_map *map,
          void *out, const int64_t *stride)
{
    struct tsi_operand view = {.bytes = tess_dtype_bytes((tess_dtype)source->dtype)};
    tess_status status = TESS_OK;
    struct tsi_operand_file *const use = take_file(run, source, &status);
    if (use == NULL) {
        return status;
    }
    const int64_t offset = find_in_file(run, source, map, &view);
    const struct tsi_file_box box = box_of(run, offset, &view);
    if (tsi_file_box_is_in_order(&box, stride)) {
        status = tsi_file_box_read(&box, use->file, out, stride, run->error);
    } else {
        status = bring_view(run, use, offset, &view);
        if (status == TESS_OK) {
            tsi_box_copy(box.ndim, run->size, view.bytes, out, stride, view.data, view.stride);
        }
    }
    if (status == TESS_OK && view.swapped) {
        tsi_kernel_swap(run->elements, out, view.bytes);
    }
    return status;
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
        clear_strides(run, view);
        return TESS_OK;
    }
    if (source->work == TSI_WORK_FILE) {
        return bind_file(run, source, &from->map, view);
    }
    struct window window;
    find_window(run, &from->map, &source->array, &window);
    if (!window.is_one) {
        *is_in_pieces = true;
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
    view->data =
        (const unsigned char *)chunk->data + find_view(run, &from->map, &window, strides, view);
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
    struct window window;
    run->size[axis] = 1;
    find_window(run, &from->map, &source->array, &window);
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
        return copy_file(run, source, &from->map, out, stride);
    }
    const int64_t *const wanted = run->task->out_strides;
    return gather(run, input, bytes, out, wanted != NULL ? wanted : stride);
}

void
tsi_operand_release(struct tsi_run *run)
{
    for (struct tsi_operand_file *use = run->files; use != NULL; use = use->next) {
        tsi_files_release(run->task->files, use->file, use->low, use->high);
    }
    run->files = NULL;
}
