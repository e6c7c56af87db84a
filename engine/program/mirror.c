// SPDX-License-Identifier: Apache-2.0
//
// Two inputs are mirror images if their maps differ in nothing but two loop axes that have changed
// places. It is enough that one pair of inputs is: what others read besides does no harm.

#include "engine/program/mirror.h"

static const struct tsi_mirror none = {-1, -1};

// Whether `a` becomes `b` when two loop axes are swapped, and which.
static bool
are_mirrored(const struct tsi_index_map *a, const struct tsi_index_map *b,
             struct tsi_mirror *mirror)
{
    *mirror = none;
    if (a->is_explicit || b->is_explicit || a->ndim != b->ndim) {
        return false;
    }
    for (int i = 0; i < a->ndim; i++) {
        const struct tsi_map_axis *const x = &a->axis[i];
        const struct tsi_map_axis *const y = &b->axis[i];
        if (x->offset != y->offset || x->stride != y->stride || x->extent != y->extent) {
            return false;
        }
        const struct tsi_mirror here = {x->axis < y->axis ? x->axis : y->axis,
                                        x->axis < y->axis ? y->axis : x->axis};
        if (here.low == here.high) {
            continue;
        }
        if (here.low < 0 || (mirror->low >= 0 && mirror->low != here.low) ||
            (mirror->low >= 0 && mirror->high != here.high)) {
            return false;
        }
        *mirror = here;
    }
    return mirror->low >= 0;
}

// Whether the loop and the fold are such that mirror images can be folded piece by piece.
static bool
is_fit(const struct tsi_chunk_op *op, const struct tsi_mirror *mirror)
{
    const uint32_t folded = op->tile.reduce.axes;
    const uint32_t both = UINT32_C(1) << mirror->low | UINT32_C(1) << mirror->high;
    if (!tsi_axis_equal(&op->loop.axis[mirror->low], &op->loop.axis[mirror->high]) ||
        (folded & both) == both) {
        return false;
    }
    int last = -1;
    for (int i = 0; i < op->loop.ndim; i++) {
        last = (folded >> i & 1) != 0 && op->loop.axis[i].size > 1 ? i : last;
    }
    return (folded & both) == 0 || (both >> last & 1) != 0;
}

struct tsi_mirror
tsi_mirror_find(const struct tsi_chunk_op *op)
{
    struct tsi_mirror mirror = none;
    if (op->work != TSI_WORK_TILE || op->tile.sink != TSI_SINK_REDUCE) {
        return none;
    }
    for (int i = 0; i < op->input_count; i++) {
        for (int k = 0; k < i; k++) {
            if (op->inputs[i].op == op->inputs[k].op &&
                are_mirrored(&op->inputs[k].map, &op->inputs[i].map, &mirror) &&
                is_fit(op, &mirror)) {
                return mirror;
            }
        }
    }
    return none;
}

int64_t
tsi_mirror_chunk(const struct tsi_mirror *mirror, const struct tsi_grid *loop, int64_t chunk)
{
    int64_t coords[TESS_NDIM_MAX];
    if (mirror->low < 0) {
        return chunk;
    }
    tsi_grid_coords(loop, chunk, coords);
    const int64_t swapped = coords[mirror->low];
    coords[mirror->low] = coords[mirror->high];
    coords[mirror->high] = swapped;
    return tsi_grid_chunk_at(loop, coords);
}
