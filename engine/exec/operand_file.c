// SPDX-License-Identifier: Apache-2.0
//
// Files are one chunk, seen where it is mapped, or read. A mapping is held until the run ends, then
// the pages between the first and the last byte that views could see are given back. They come by
// page faults, each of which maps what the system has around it: asked for at once they would be
// looked up one by one, which takes half as long again.

#include "engine/exec/operand_file.h"

#include "engine/exec/box.h"
#include "engine/exec/file_box.h"
#include "engine/exec/files.h"
#include "engine/exec/window.h"

struct tsi_operand_file {
    struct tsi_operand_file *next;
    struct tsi_mapped_file *file;
    int64_t low; // bytes that the views of this run can see
    int64_t high;
};

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
    struct tsi_window window;
    tsi_window_whole(run, map, &window);
    view->swapped = source->file.swapped;
    return tsi_window_view(run, map, &window, strides, view);
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
    return TESS_OK;
}

tess_status
tsi_operand_file_bind(struct tsi_run *run, const struct tsi_chunk_op *source,
                      const struct tsi_index_map *map, struct tsi_operand *view)
{
    tess_status status = TESS_OK;
    struct tsi_operand_file *const use = take_file(run, source, &status);
    if (use == NULL) {
        return status;
    }
    return bring_view(run, use, find_in_file(run, source, map, view), view);
}

tess_status
tsi_operand_file_copy(struct tsi_run *run, const struct tsi_chunk_op *source,
                      const struct tsi_index_map *map, void *out, const int64_t *stride)
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

void
tsi_operand_release(struct tsi_run *run)
{
    for (struct tsi_operand_file *use = run->files; use != NULL; use = use->next) {
        tsi_files_release(run->task->files, use->file, use->low, use->high);
    }
    run->files = NULL;
}
