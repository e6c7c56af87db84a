// SPDX-License-Identifier: Apache-2.0
//
// A box is brought to few axes: those of one element go, and neighbours that are one run in both
// memories become one axis. Two of the rest are given to the kernel that copies rows and columns:
// as columns the last, along which `out` is dense, and as rows the one along which `in` is dense,
// so that a transpose has its two dense axes in one call, however many axes lie between them.

#include "engine/exec/box.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"

struct copy_axis {
    int64_t size;
    int64_t out;
    int64_t in;
};

void
tsi_box_strides(int ndim, const int64_t *size, size_t bytes, int64_t *stride)
{
    int64_t step = (int64_t)bytes;
    for (int i = ndim - 1; i >= 0; i--) {
        stride[i] = step;
        step *= size[i];
    }
}

// Returns the number of axes that are left, or −1 if there are no elements.
static int
merge_axes(int ndim, const int64_t *size, const int64_t *out, const int64_t *in,
           struct copy_axis *axes)
{
    int count = 0;
    for (int i = 0; i < ndim; i++) {
        if (size[i] == 0) {
            return -1;
        }
        if (size[i] == 1) {
            continue;
        }
        struct copy_axis *const last = count == 0 ? NULL : &axes[count - 1];
        if (last != NULL && last->out == out[i] * size[i] && last->in == in[i] * size[i]) {
            *last = (struct copy_axis){last->size * size[i], out[i], in[i]};
            continue;
        }
        axes[count++] = (struct copy_axis){size[i], out[i], in[i]};
    }
    return count;
}

// Moves the axis that makes the best rows to the place before the last.
static void
choose_rows(int count, struct copy_axis *axes)
{
    int best = count - 2;
    if (llabs(axes[count - 1].in) > 0) {
        for (int i = count - 3; i >= 0; i--) {
            const int64_t step = llabs(axes[i].in);
            if (step != 0 && step < llabs(axes[best].in)) {
                best = i;
            }
        }
    }
    const struct copy_axis rows = axes[best];
    for (int i = best; i < count - 2; i++) {
        axes[i] = axes[i + 1];
    }
    axes[count - 2] = rows;
}

static void
copy_plane(const struct copy_axis *rows, const struct copy_axis *columns, size_t bytes, bool past,
           unsigned char *out, const unsigned char *in)
{
    if (past && columns->out == (int64_t)bytes) {
        tsi_kernel_copy_past(rows->size, columns->size, bytes, out, rows->out, in, rows->in,
                             columns->in);
    } else {
        tsi_kernel_copy(rows->size, columns->size, bytes, out, rows->out, columns->out, in,
                        rows->in, columns->in);
    }
}

// Steps through all axes but the last two.
static void
copy_planes(int outer, const struct copy_axis *axes, size_t bytes, bool past, unsigned char *out,
            const unsigned char *in)
{
    int64_t at[TESS_NDIM_MAX] = {0};
    for (;;) {
        copy_plane(&axes[outer], &axes[outer + 1], bytes, past, out, in);
        int i = outer - 1;
        for (; i >= 0; i--) {
            out += axes[i].out;
            in += axes[i].in;
            if (++at[i] < axes[i].size) {
                break;
            }
            out -= axes[i].out * axes[i].size;
            in -= axes[i].in * axes[i].size;
            at[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

static void
copy_box(int ndim, const int64_t *size, size_t bytes, bool past, void *out,
         const int64_t *out_stride, const void *in, const int64_t *in_stride)
{
    struct copy_axis axes[TESS_NDIM_MAX];
    const int count = merge_axes(ndim, size, out_stride, in_stride, axes);
    if (count < 0) {
        return;
    }
    const int64_t dense = (int64_t)bytes;
    if (count == 0) {
        memcpy(out, in, bytes);
    } else if (count == 1 && axes[0].out == dense && axes[0].in == dense && !past) {
        memcpy(out, in, (size_t)axes[0].size * bytes);
    } else if (count == 1) {
        const struct copy_axis row = {.size = 1};
        copy_plane(&row, &axes[0], bytes, past, out, in);
    } else {
        choose_rows(count, axes);
        copy_planes(count - 2, axes, bytes, past, out, in);
    }
}

void
tsi_box_copy(int ndim, const int64_t *size, size_t bytes, void *out, const int64_t *out_stride,
             const void *in, const int64_t *in_stride)
{
    copy_box(ndim, size, bytes, false, out, out_stride, in, in_stride);
}

void
tsi_box_copy_past(int ndim, const int64_t *size, size_t bytes, void *out, const int64_t *out_stride,
                  const void *in, const int64_t *in_stride)
{
    copy_box(ndim, size, bytes, true, out, out_stride, in, in_stride);
}
