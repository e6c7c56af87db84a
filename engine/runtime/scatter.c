// SPDX-License-Identifier: Apache-2.0
//
// Copies boxes between arrays of any strides: the two last axes by the kernel, the others by
// counting. Long runs of bytes pass the caches, which cannot hold a whole array.

#include "engine/runtime/scatter.h"

#include <stdbool.h>

#include "engine/kernel/kernel.h"

// Boxes of at least so many bytes are streamed, in runs of at least so many.
#define STREAM_BYTES_MIN ((int64_t)2 << 20)
#define STREAM_RUN_MIN ((int64_t)4 << 10)

struct box {
    int ndim;
    int64_t size[TESS_NDIM_MAX];
    int64_t out_stride[TESS_NDIM_MAX];
    int64_t in_stride[TESS_NDIM_MAX];
    bool streams; // past the caches
    size_t item_bytes;
    unsigned char *out;
    const unsigned char *in;
};

// Strides in bytes of an array in C order.
static void
c_strides(int ndim, const int64_t *size, size_t item_bytes, int64_t *strides)
{
    int64_t stride = (int64_t)item_bytes;
    for (int a = ndim - 1; a >= 0; a--) {
        strides[a] = stride;
        stride *= size[a];
    }
}

static int64_t
last_or(const struct box *box, const int64_t *values, int from_end, int64_t otherwise)
{
    return box->ndim >= from_end ? values[box->ndim - from_end] : otherwise;
}

// Makes one axis of the last two while they are one run of elements in both arrays.
static void
merge_axes(struct box *box)
{
    while (box->ndim >= 2) {
        const int a = box->ndim - 1;
        if (box->out_stride[a - 1] != box->out_stride[a] * box->size[a] ||
            box->in_stride[a - 1] != box->in_stride[a] * box->size[a]) {
            return;
        }
        box->size[a - 1] *= box->size[a];
        box->out_stride[a - 1] = box->out_stride[a];
        box->in_stride[a - 1] = box->in_stride[a];
        box->ndim--;
    }
}

static int64_t
bytes_of(const struct box *box)
{
    int64_t bytes = (int64_t)box->item_bytes;
    for (int a = 0; a < box->ndim; a++) {
        bytes *= box->size[a];
    }
    return bytes;
}

static bool
is_for_streams(const struct box *box)
{
    const int64_t step = (int64_t)box->item_bytes;
    const int last = box->ndim - 1;
    return bytes_of(box) >= STREAM_BYTES_MIN && box->size[last] * step >= STREAM_RUN_MIN &&
           box->out_stride[last] == step && box->in_stride[last] == step;
}

static void
copy_plane(const struct box *box, unsigned char *out, const unsigned char *in)
{
    const size_t item_bytes = box->item_bytes;
    const int64_t rows = last_or(box, box->size, 2, 1);
    const int64_t columns = last_or(box, box->size, 1, 1);
    const int64_t out_step = last_or(box, box->out_stride, 2, 0);
    const int64_t in_step = last_or(box, box->in_stride, 2, 0);
    if (!box->streams) {
        tsi_kernel_copy(rows, columns, item_bytes, out, out_step,
                        last_or(box, box->out_stride, 1, 0), in, in_step,
                        last_or(box, box->in_stride, 1, 0));
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        tsi_kernel_stream((size_t)columns * item_bytes, out + i * out_step, in + i * in_step);
    }
}

static void
copy_planes(void *argument)
{
    const struct box *const box = argument;
    unsigned char *out = box->out;
    const unsigned char *in = box->in;
    int64_t at[TESS_NDIM_MAX] = {0};
    const int outer = box->ndim > 2 ? box->ndim - 2 : 0;
    for (;;) {
        copy_plane(box, out, in);
        int a = outer - 1;
        while (a >= 0 && ++at[a] == box->size[a]) {
            out -= box->out_stride[a] * (box->size[a] - 1);
            in -= box->in_stride[a] * (box->size[a] - 1);
            at[a--] = 0;
        }
        if (a < 0) {
            return;
        }
        out += box->out_stride[a];
        in += box->in_stride[a];
    }
}

// Moves the second half of a box, along its first axis that can be cut, to `half`.
static bool
cut(struct box *box, struct box *half)
{
    int a = 0;
    while (a < box->ndim && box->size[a] == 1) {
        a++;
    }
    if (a == box->ndim) {
        return false;
    }
    const int64_t first = box->size[a] / 2;
    *half = *box;
    half->size[a] -= first;
    half->out += first * box->out_stride[a];
    half->in += first * box->in_stride[a];
    box->size[a] = first;
    return true;
}

static void
copy_box(struct box *box, struct tsi_helper *helper)
{
    struct box half;
    for (int a = 0; a < box->ndim; a++) {
        if (box->size[a] == 0) {
            return;
        }
    }
    merge_axes(box);
    box->streams = box->ndim > 0 && is_for_streams(box);
    const bool is_shared =
        helper != NULL && (uint64_t)bytes_of(box) >= TSI_SCATTER_HELPED_BYTES && cut(box, &half);
    if (is_shared) {
        tsi_helper_begin(helper, copy_planes, &half);
    }
    copy_planes(box);
    if (is_shared) {
        tsi_helper_wait(helper);
    }
}

static int64_t
offset_of(int ndim, const int64_t *start, const int64_t *strides)
{
    int64_t offset = 0;
    for (int a = 0; a < ndim; a++) {
        offset += start[a] * strides[a];
    }
    return offset;
}

void
tsi_scatter_chunk(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes, const void *data,
                  void *out, struct tsi_helper *helper)
{
    struct box box = {.ndim = grid->ndim, .item_bytes = item_bytes, .in = data};
    int64_t start[TESS_NDIM_MAX];
    const tess_shape shape = tsi_grid_shape(grid);
    if (tsi_grid_box(grid, chunk, start, box.size) == 0) {
        return;
    }
    c_strides(box.ndim, box.size, item_bytes, box.in_stride);
    c_strides(box.ndim, shape.size, item_bytes, box.out_stride);
    box.out = (unsigned char *)out + offset_of(box.ndim, start, box.out_stride);
    if (box.out != box.in) {
        copy_box(&box, helper);
    }
}

void
tsi_scatter_strides(const struct tsi_grid *grid, size_t item_bytes, int64_t *strides)
{
    const tess_shape shape = tsi_grid_shape(grid);
    c_strides(grid->ndim, shape.size, item_bytes, strides);
}

void *
tsi_scatter_place(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes, void *out)
{
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    int64_t strides[TESS_NDIM_MAX];
    tsi_grid_box(grid, chunk, start, size);
    tsi_scatter_strides(grid, item_bytes, strides);
    return (unsigned char *)out + offset_of(grid->ndim, start, strides);
}

// From the first axis on which it has several indices, it must have all of each other axis.
bool
tsi_chunk_is_run(const struct tsi_grid *grid, int64_t chunk)
{
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    bool is_begun = false;
    tsi_grid_box(grid, chunk, start, size);
    for (int a = 0; a < grid->ndim; a++) {
        if (is_begun && size[a] != grid->axis[a].size) {
            return false;
        }
        is_begun = is_begun || size[a] != 1;
    }
    return true;
}

const void *
tsi_chunk_origin(const struct tsi_grid *grid, int64_t chunk, const void *data,
                 const int64_t *strides)
{
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    tsi_grid_box(grid, chunk, start, size);
    return (const unsigned char *)data + offset_of(grid->ndim, start, strides);
}

void
tsi_gather_chunk(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes, const void *in,
                 const int64_t *strides, void *out, struct tsi_helper *helper)
{
    struct box box = {.ndim = grid->ndim, .item_bytes = item_bytes, .out = out};
    int64_t start[TESS_NDIM_MAX];
    if (tsi_grid_box(grid, chunk, start, box.size) == 0) {
        return;
    }
    c_strides(box.ndim, box.size, item_bytes, box.out_stride);
    for (int a = 0; a < box.ndim; a++) {
        box.in_stride[a] = strides[a];
    }
    box.in = (const unsigned char *)in + offset_of(box.ndim, start, strides);
    copy_box(&box, helper);
}
