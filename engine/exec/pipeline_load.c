// SPDX-License-Identifier: Apache-2.0
//
// Loads. Elements that are one aligned run stay where they are, and so do rows that their users can
// take as they lie; others are copied to a register. An input that lies in several chunks is looked
// for at each tile: most tiles are in one chunk, and the others are put together in the register.

#include "engine/exec/box.h"
#include "engine/exec/pipeline_step.h"

void
tsi_pipeline_copy(const struct tsi_tiling *tiling, const struct tsi_tile_at *at,
                  const struct tsi_step *step, const unsigned char *data, void *out)
{
    const struct tsi_reach *const reach = &step->reach;
    int64_t size[TESS_NDIM_MAX];
    int64_t stride[TESS_NDIM_MAX];
    for (int i = 0; i < reach->ndim; i++) {
        size[i] = tsi_reach_size(tiling, reach, at, i);
    }
    if (reach->ndim == 1) {
        tsi_kernel_load(1, size[0], step->bytes, out, data, 0, reach->step[0], step->ahead);
    } else if (reach->ndim == 2) {
        tsi_kernel_load(size[0], size[1], step->bytes, out, data, reach->step[0], reach->step[1],
                        step->ahead);
    } else {
        tsi_box_strides(reach->ndim, size, step->bytes, stride);
        tsi_box_copy(reach->ndim, size, step->bytes, out, stride, data, reach->step);
    }
}

// Where the first element of the tile is, whose others are at the steps of the reach from there;
// NULL if the tile is in several chunks.
static const unsigned char *
find_data(const struct tsi_tiling *tiling, const struct tsi_tile_at *at, struct tsi_step *step)
{
    bool is_other = false;
    if (step->piece == NULL) {
        return step->view->data + tsi_tiling_offset(tiling, at, step->step);
    }
    const unsigned char *const data = tsi_piece_find(step->piece, tiling, at, &is_other);
    if (is_other) {
        tsi_reach_make(tiling, step->step, 0, &step->reach);
    }
    return data;
}

static bool
is_aligned(const struct tsi_step *step, const unsigned char *data)
{
    return (uintptr_t)data % step->bytes == 0;
}

// Whether the tile is rows that the users of the step can take from `data` on. The answer was
// found for the first chunk of several; others may have other rows.
static bool
lies_in_rows(const struct tsi_pipeline *pipeline, const struct tsi_step *step,
             const unsigned char *data)
{
    const struct tsi_reach *const reach = &step->reach;
    return step->is_rows &&
           (step->piece == NULL || (reach->ndim == 2 && reach->first[1] == pipeline->split &&
                                    reach->step[1] == step->bytes &&
                                    reach->step[0] % step->bytes == 0 && is_aligned(step, data)));
}

// Whether a register of the step's own has the elements at `data`, NULL: of several chunks, from an
// earlier tile. From here on it has.
static bool
is_there(struct tsi_step *step, const struct tsi_tile_at *at, const unsigned char *data)
{
    const int64_t address = (int64_t)(uintptr_t)data;
    if (step->is_filled && step->filled == address && step->shape == at->shape) {
        return true;
    }
    step->is_filled = data != NULL;
    step->filled = address;
    step->shape = at->shape;
    return false;
}

void
tsi_pipeline_load(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                  struct tsi_step *step, void *out)
{
    const struct tsi_tiling *const tiling = pipeline->tiling;
    const struct tsi_reach *const reach = &step->reach;
    const unsigned char *const data = find_data(tiling, at, step);
    const bool is_run = reach->ndim == 0 || (reach->ndim == 1 && reach->step[0] == step->bytes);
    step->in_rows = false;
    if (data != NULL && is_run && !step->is_direct && !step->view->swapped &&
        is_aligned(step, data)) {
        step->value = data;
        return;
    }
    step->ahead = step->is_kept ? 0 : tsi_tiling_ahead(tiling, at, step->step);
    if (data != NULL && lies_in_rows(pipeline, step, data)) {
        step->in_rows = true;
        step->value = data;
        return;
    }
    step->value = out;
    if (step->is_kept && is_there(step, at, data)) {
        return;
    }
    if (data == NULL) {
        tsi_piece_gather(step->piece, tiling, at, out);
        return;
    }
    tsi_pipeline_copy(tiling, at, step, data, out);
    if (step->view->swapped) {
        tsi_kernel_swap(at->elements, out, step->bytes);
    }
}
