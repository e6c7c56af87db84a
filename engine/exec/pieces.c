// SPDX-License-Identifier: Apache-2.0
//
// A loop axis is named by at most one axis of the source, and the map is linear on it. So the
// boxes are a product of one list an axis, in the order of the loop; an axis along which the map
// runs backward meets the source's chunks in the opposite order. The chunks of the task are in C
// order of the source's axes, without those that no element is taken of.

#include "engine/exec/pieces.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/exec/box.h"

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// How many of `left` loop indices see the chunk of `size` elements in which the first of them sees
// element `first`.
static int64_t
reach_of(int64_t stride, int64_t first, int64_t size, int64_t left)
{
    if (stride == 0) {
        return left;
    }
    return smaller(left, stride > 0 ? (size - 1 - first) / stride + 1 : first / -stride + 1);
}

// The parts that chunks of `axis` cut the run's loop chunk into, by the rule of that axis.
static tess_status
make_cut(struct tsi_run *run, const struct tsi_map_axis *rule, const struct tsi_axis *axis,
         struct tsi_cut *cut)
{
    const int64_t stride = rule->axis < 0 ? 0 : rule->stride;
    const int64_t size = rule->axis < 0 ? 1 : run->size[rule->axis];
    const int64_t origin = rule->offset + (stride == 0 ? 0 : stride * run->start[rule->axis]);
    const int64_t most = stride == 0 ? 1 : smaller(size, axis->count);
    void *memory = NULL;
    const tess_status status = tsi_run_take(run, (size_t)(3 * most + 1) * sizeof(int64_t), &memory);
    if (status != TESS_OK) {
        return status;
    }
    cut->from = memory;
    cut->first = cut->from + most + 1;
    cut->size = cut->first + most;
    int64_t count = 0;
    for (int64_t at = 0; at < size; count++) {
        const int64_t element = origin + stride * at;
        const int64_t chunk = tsi_axis_find(axis, element);
        TSI_CHECK(count < most);
        cut->from[count] = at;
        cut->first[count] = element - tsi_axis_start(axis, chunk);
        cut->size[count] = tsi_axis_chunk_size(axis, chunk);
        at += reach_of(stride, cut->first[count], cut->size[count], size - at);
    }
    cut->from[count] = size;
    cut->count = count;
    return TESS_OK;
}

// Finds the chunk of the first box, and those of the others from there; the run goes on to those of
// its next input.
static tess_status
place_chunks(struct tsi_run *run, struct tsi_pieces *pieces)
{
    int64_t chunks = 1;
    int64_t first = 0;
    for (int i = pieces->map->ndim - 1; i >= 0; i--) {
        struct tsi_cut *const cut = &pieces->cut[i];
        const bool is_backward = pieces->map->axis[i].axis >= 0 && pieces->map->axis[i].stride < 0;
        cut->chunk_step = is_backward ? -chunks : chunks;
        first += is_backward ? (cut->count - 1) * chunks : 0;
        chunks *= cut->count;
    }
    if ((size_t)chunks > run->task->chunk_count - run->next_chunk) {
        return tsi_run_internal(run, "a chunk that it reads is missing");
    }
    pieces->chunks = run->task->chunks + run->next_chunk + first;
    run->next_chunk += (size_t)chunks;
    return TESS_OK;
}

tess_status
tsi_pieces_make(struct tsi_run *run, int input, const struct tsi_pieces **made)
{
    const struct tsi_input *const from = &run->op->inputs[input];
    const struct tsi_chunk_op *const source = &run->task->program->ops[from->op];
    void *memory = NULL;
    tess_status status = tsi_run_take(run, sizeof(struct tsi_pieces), &memory);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_pieces *const pieces = memory;
    pieces->map = &from->map;
    pieces->bytes = tess_dtype_bytes((tess_dtype)source->dtype);
    for (int i = 0; i < run->op->loop.ndim; i++) {
        pieces->cut_of[i] = -1;
    }
    for (int i = 0; i < from->map.ndim && status == TESS_OK; i++) {
        status = make_cut(run, &from->map.axis[i], &source->array.axis[i], &pieces->cut[i]);
        if (from->map.axis[i].axis >= 0) {
            pieces->cut_of[from->map.axis[i].axis] = i;
        }
    }
    *made = pieces;
    return status == TESS_OK ? place_chunks(run, pieces) : status;
}

// The first element of the box at `place`, and the strides from there along the loop axes that
// vary.
static const unsigned char *
look_into(const struct tsi_pieces *pieces, const int64_t *place, int64_t *stride)
{
    const struct tsi_index_map *const map = pieces->map;
    const struct tsi_exec_chunk *chunk = pieces->chunks;
    int64_t dense = (int64_t)pieces->bytes;
    int64_t offset = 0;
    for (int i = 0; i < map->ndim; i++) {
        chunk += place[i] * pieces->cut[i].chunk_step;
    }
    for (int i = map->ndim - 1; i >= 0; i--) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        const struct tsi_cut *const cut = &pieces->cut[i];
        const int64_t step = chunk->strides != NULL ? chunk->strides[i] : dense;
        offset += cut->first[place[i]] * step;
        dense *= cut->size[place[i]];
        if (rule->axis >= 0) {
            stride[rule->axis] = rule->stride * step;
        }
    }
    return (const unsigned char *)chunk->data + offset;
}

static tess_status
bind_input(struct tsi_run *run, int input, struct tsi_operand *view)
{
    bool is_in_pieces = false;
    const tess_status status = tsi_operand_see(run, input, view, &is_in_pieces);
    return status == TESS_OK && is_in_pieces ? tsi_pieces_make(run, input, &view->pieces) : status;
}

tess_status
tsi_pieces_bind(struct tsi_run *run, struct tsi_operand **views)
{
    void *memory = NULL;
    tess_status status =
        tsi_run_take(run, (size_t)run->op->input_count * sizeof(struct tsi_operand), &memory);
    *views = memory;
    for (int i = 0; i < run->op->input_count && status == TESS_OK; i++) {
        status = bind_input(run, i, &(*views)[i]);
    }
    return status;
}

void
tsi_piece_first(const struct tsi_pieces *pieces, struct tsi_piece *piece)
{
    piece->pieces = pieces;
    piece->is_seen = true;
    memset(piece->place, 0, sizeof piece->place);
    memset(piece->stride, 0, sizeof piece->stride);
    piece->data = look_into(pieces, piece->place, piece->stride);
}

// The part with index `at`, from a guess on: sweeps go to the next one, or back.
static int64_t
find_part(const struct tsi_cut *cut, int64_t at, int64_t guess)
{
    int64_t part = guess;
    while (at < cut->from[part]) {
        part--;
    }
    while (at >= cut->from[part + 1]) {
        part++;
    }
    return part;
}

const unsigned char *
tsi_piece_find(struct tsi_piece *piece, const struct tsi_tiling *tiling,
               const struct tsi_tile_at *at, bool *is_other)
{
    const struct tsi_pieces *const pieces = piece->pieces;
    int64_t offset = 0;
    bool is_one = true;
    for (int i = 0; i < tiling->ndim; i++) {
        const int source = pieces->cut_of[tiling->axis[i]];
        if (source < 0) {
            continue;
        }
        const struct tsi_cut *const cut = &pieces->cut[source];
        const int64_t part = find_part(cut, at->at[i], piece->place[source]);
        piece->is_seen = piece->is_seen && part == piece->place[source];
        piece->place[source] = part;
        is_one = is_one && at->at[i] + at->count[i] <= cut->from[part + 1];
    }
    if (!is_one) {
        return NULL;
    }
    if (!piece->is_seen) {
        piece->data = look_into(pieces, piece->place, piece->stride);
        piece->is_seen = true;
        *is_other = true;
    }
    for (int i = 0; i < tiling->ndim; i++) {
        const int axis = tiling->axis[i];
        const int source = pieces->cut_of[axis];
        const int64_t from = source < 0 ? 0 : pieces->cut[source].from[piece->place[source]];
        offset += (at->at[i] - from) * piece->stride[axis];
    }
    return piece->data + offset;
}

// Copies what the box at `place` has of the tile to its place in `out`, whose strides along the
// axes of the tiling are `out_stride`.
static void
gather_box(const struct tsi_pieces *pieces, const struct tsi_tiling *tiling,
           const struct tsi_tile_at *at, const int64_t *place, const int64_t *out_stride,
           unsigned char *out)
{
    int64_t stride[TESS_NDIM_MAX];
    int64_t count[TESS_NDIM_MAX];
    int64_t step[TESS_NDIM_MAX];
    const unsigned char *data = look_into(pieces, place, stride);
    for (int i = 0; i < tiling->ndim; i++) {
        const int source = pieces->cut_of[tiling->axis[i]];
        count[i] = at->count[i];
        step[i] = 0;
        if (source < 0) {
            continue;
        }
        const int64_t *const from = &pieces->cut[source].from[place[source]];
        const int64_t first = from[0] > at->at[i] ? from[0] : at->at[i];
        count[i] = smaller(from[1], at->at[i] + at->count[i]) - first;
        step[i] = stride[tiling->axis[i]];
        data += (first - from[0]) * step[i];
        out += (first - at->at[i]) * out_stride[i];
    }
    tsi_box_copy(tiling->ndim, count, pieces->bytes, out, out_stride, data, step);
}

void
tsi_piece_gather(const struct tsi_piece *piece, const struct tsi_tiling *tiling,
                 const struct tsi_tile_at *at, void *out)
{
    const struct tsi_pieces *const pieces = piece->pieces;
    int64_t place[TESS_NDIM_MAX];
    int64_t out_stride[TESS_NDIM_MAX];
    memcpy(place, piece->place, sizeof place);
    tsi_box_strides(tiling->ndim, at->count, pieces->bytes, out_stride);
    for (;;) {
        gather_box(pieces, tiling, at, place, out_stride, out);
        int i = tiling->ndim - 1;
        for (; i >= 0; i--) {
            const int source = pieces->cut_of[tiling->axis[i]];
            if (source < 0) {
                continue;
            }
            if (pieces->cut[source].from[++place[source]] < at->at[i] + at->count[i]) {
                break;
            }
            place[source] = piece->place[source];
        }
        if (i < 0) {
            return;
        }
    }
}
