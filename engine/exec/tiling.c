// SPDX-License-Identifier: Apache-2.0
//
// A tile takes whole inner axes as long as they fit, and a block of the next one; axes outside are
// stepped through. So (1000000, 3) has tiles of hundreds of rows, and (1000, 1000000) tiles of a
// part of one row, and in a C-order chunk every tile is one run. Blocks are even: of 3000 elements
// a tile has 1500, not 2048 and then 952. What passes by a tile's registers must not push them out
// of the first-level cache, so a tile is the shorter the more inputs and registers there are. A sum
// of two inputs has none.
//
// An input that is dense along another axis than the last, such as a transposed one, would waste
// most of every cache line it brings in. If an input is, the tile is a rectangle with a side on
// that axis instead. Which axis an input is dense along is taken from the program, as if every
// chunk were in C order: where memory really lies must not change the order of additions.
//
// An operand's reach is found once a task, so that a load knows at each tile in how few runs its
// elements lie. Two axes of a box are one if the step of the outer is the inner's step times its
// size; the inner one must have its full size in every tile then, unless both steps are 0.

#include "engine/exec/tiling.h"

// Elements along the dense axis of an input that make good use of its cache lines.
#define DENSE_MIN 16
// The least elements of a tile of runs, where the chunk has them.
#define RUN_MIN 512
// The least elements of a row that is a tile by itself where rows are apart.
#define APART_ROW_MIN 256
// The side of a rectangle on the last axis: as long as the one on the dense axis leaves it.
#define RECTANGLE_COLUMNS 64
// Tiles of long axes begin at multiples of this many elements of the chunk, for the sake of
// vectors.
#define ROUND_TO 16

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// An even cut of `size` into blocks of at most `most`.
static int64_t
even_block(int64_t size, int64_t most)
{
    if (size <= most) {
        return size;
    }
    const int64_t count = (size + most - 1) / most;
    const int64_t block = (size + count - 1) / count;
    const int64_t rounded = (block + ROUND_TO - 1) / ROUND_TO * ROUND_TO;
    return block > ROUND_TO && rounded <= most ? rounded : block;
}

// Whether the program is a sum or mean of at most two multiples of inputs, which a fold takes from
// where they are: no registers pass the cache.
static bool
is_linear_sum(const struct tsi_chunk_op *op)
{
    const struct tsi_tile *const tile = &op->tile;
    const struct tsi_tile_reduce *const reduce = &tile->reduce;
    int sums = 0;
    bool is_linear =
        tile->sink == TSI_SINK_REDUCE && op->input_count <= 2 &&
        (reduce->reduction == TSI_REDUCE_SUM || reduce->reduction == TSI_REDUCE_MEAN) &&
        (reduce->dtype == TESS_F32 || reduce->dtype == TESS_F64);
    for (int i = 0; i < tile->instruction_count && is_linear; i++) {
        const struct tsi_tile_instruction *const instruction = &tile->instructions[i];
        const bool is_sum =
            instruction->code == TSI_TILE_MAP &&
            (instruction->operand == TSI_OP_ADD || instruction->operand == TSI_OP_SUBTRACT);
        const bool is_product =
            instruction->code == TSI_TILE_MAP && instruction->operand == TSI_OP_MULTIPLY;
        sums += is_sum ? 1 : 0;
        is_linear = instruction->code == TSI_TILE_LOAD || instruction->code == TSI_TILE_CONST ||
                    is_product || (is_sum && sums == 1);
    }
    return is_linear;
}

// Elements of a tile of runs: the registers and what is read for them are to fill half of a cache
// of 32 KiB, but a tile is not so short that going through the program costs more than its kernels.
static int64_t
run_elements(const struct tsi_chunk_op *op)
{
    const int64_t wanted = 16384 / (int64_t)sizeof(uint64_t);
    const int64_t streams = op->input_count + op->tile.register_count;
    int64_t elements = TSI_TILE_ELEMENTS;
    if (is_linear_sum(op)) {
        return elements;
    }
    while (elements > RUN_MIN && op->input_count > 0 && elements * (streams - 1) > wanted) {
        elements /= 2;
    }
    return elements;
}

static void
choose_runs(struct tsi_tiling *tiling, int64_t elements)
{
    int64_t room = elements;
    for (int i = tiling->ndim - 1; i >= 0; i--) {
        tiling->block[i] = room == 0 ? 1 : even_block(tiling->size[i], room);
        room = tiling->block[i] == tiling->size[i] ? room / tiling->block[i] : 0;
    }
}

static void
choose_rectangle(struct tsi_tiling *tiling, int rows)
{
    const int columns = tiling->ndim - 1;
    for (int i = 0; i < tiling->ndim; i++) {
        tiling->block[i] = 1;
    }
    tiling->block[columns] = even_block(tiling->size[columns], RECTANGLE_COLUMNS);
    tiling->block[rows] =
        even_block(tiling->size[rows], TSI_TILE_ELEMENTS / tiling->block[columns]);
}

// The axis of the tiling along which an input is dense by the program, if it varies along the last
// one too; −1 if there is none.
static int
dense_axis(const struct tsi_run *run, const struct tsi_tiling *tiling,
           const struct tsi_input *input)
{
    const struct tsi_chunk_op *const source = &run->task->program->ops[input->op];
    const bool is_fortran = source->work == TSI_WORK_FILE && source->file.fortran_order;
    const int ndim = input->map.ndim;
    int dense = -1;
    bool has_last = false;
    for (int i = 0; i < ndim; i++) {
        const int axis = input->map.axis[is_fortran ? i : ndim - 1 - i].axis;
        if (axis < 0 || run->size[axis] <= 1) {
            continue;
        }
        for (int k = tiling->ndim - 1; k >= 0 && dense < 0; k--) {
            dense = tiling->axis[k] == axis ? k : -1;
        }
        has_last = has_last || tiling->axis[tiling->ndim - 1] == axis;
    }
    return has_last ? dense : -1;
}

// Finds the axes of which a tile has more than one index, after all blocks are chosen.
static void
find_box(struct tsi_tiling *tiling)
{
    tiling->box_ndim = 0;
    tiling->elements = 1;
    for (int i = 0; i < tiling->ndim; i++) {
        if (tiling->block[i] > 1) {
            tiling->box[tiling->box_ndim++] = i;
            tiling->elements *= tiling->block[i];
        }
    }
}

void
tsi_tiling_choose(const struct tsi_run *run, struct tsi_tiling *tiling)
{
    tiling->ndim = 0;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        if (run->size[i] > 1) {
            tiling->axis[tiling->ndim] = i;
            tiling->size[tiling->ndim++] = run->size[i];
        }
    }
    choose_runs(tiling, run_elements(run->op));
    for (int i = 0; i < run->op->input_count; i++) {
        const int dense = dense_axis(run, tiling, &run->op->inputs[i]);
        if (dense >= 0 && dense != tiling->ndim - 1 &&
            tiling->block[dense] < smaller(DENSE_MIN, tiling->size[dense])) {
            choose_rectangle(tiling, dense);
            break;
        }
    }
    find_box(tiling);
}

void
tsi_tiling_part_rows(struct tsi_tiling *tiling)
{
    const int last = tiling->ndim - 1;
    if (last < 0 || tiling->block[last] < APART_ROW_MIN ||
        tiling->block[last] < tiling->size[last]) {
        return;
    }
    for (int i = 0; i < last; i++) {
        tiling->block[i] = 1;
    }
    find_box(tiling);
}

static void
count_indices(const struct tsi_tiling *tiling, struct tsi_tile_at *at, int axis)
{
    const int64_t count = smaller(tiling->block[axis], tiling->size[axis] - at->at[axis]);
    if (count != at->count[axis]) {
        at->elements = at->elements / at->count[axis] * count;
        at->count[axis] = count;
        at->shape++;
    }
}

void
tsi_tiling_first(const struct tsi_tiling *tiling, uint32_t last, struct tsi_tile_at *at)
{
    int used = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < tiling->ndim; i++) {
            const bool is_last = (last >> tiling->axis[i] & 1) != 0;
            if (is_last == (pass == 1)) {
                at->order[used++] = i;
            }
        }
    }
    for (int i = 0; i < tiling->ndim; i++) {
        at->at[i] = 0;
        at->count[i] = tiling->block[i];
        at->low[i] = 0;
        at->high[i] = tiling->size[i];
    }
    at->elements = tiling->elements;
    at->shape = 0;
    at->skip = NULL;
}

bool
tsi_tiling_part(const struct tsi_tiling *tiling, const int64_t *low, const int64_t *high,
                const int64_t *skip, struct tsi_tile_at *at)
{
    bool has_tiles = true;
    for (int i = 0; i < tiling->ndim; i++) {
        has_tiles = has_tiles && low[i] < high[i];
        at->low[i] = low[i];
        at->high[i] = high[i];
    }
    at->skip = skip;
    for (int i = 0; i < tiling->ndim && has_tiles; i++) {
        at->at[i] = low[i];
        count_indices(tiling, at, i);
    }
    return has_tiles;
}

bool
tsi_tiling_next(const struct tsi_tiling *tiling, struct tsi_tile_at *at)
{
    for (int k = tiling->ndim - 1; k >= 0; k--) {
        const int axis = at->order[k];
        at->at[axis] += tiling->block[axis];
        if (at->at[axis] < at->high[axis]) {
            count_indices(tiling, at, axis);
            return true;
        }
        at->at[axis] = at->low[axis];
        count_indices(tiling, at, axis);
    }
    return false;
}

void
tsi_reach_make(const struct tsi_tiling *tiling, const int64_t *step, uint32_t border,
               struct tsi_reach *reach)
{
    int count = 0;
    for (int i = 0; i < tiling->box_ndim; i++) {
        const int inner = tiling->box[i];
        const int64_t inner_step = step[tiling->axis[inner]];
        bool is_one = false;
        if (i > 0) {
            const int outer = tiling->box[i - 1];
            const bool is_full = tiling->block[inner] == tiling->size[inner];
            const bool is_same_side =
                (border >> tiling->axis[outer] & 1) == (border >> tiling->axis[inner] & 1);
            const int64_t run_step = is_full ? inner_step * tiling->size[inner] : 0;
            is_one =
                is_same_side && reach->step[count - 1] == run_step && (is_full || inner_step == 0);
        }
        if (is_one) {
            reach->step[count - 1] = inner_step;
            continue;
        }
        reach->first[count] = i;
        reach->step[count++] = inner_step;
    }
    reach->ndim = count;
    reach->first[count] = tiling->box_ndim;
}
