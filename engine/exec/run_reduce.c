// SPDX-License-Identifier: Apache-2.0
//
// Folds the tiles of a loop chunk. One that is its own mirror image (mirror.h), and two that are
// each other's, are folded in blocks: a block and its mirror image read the same elements, the one
// across and the other as they lie, and do so one right after the other, when these are in a cache.
// They are asked of memory while the blocks before them are folded.
//
// The order of additions is that of a whole sweep. Blocks are folded in the order
//
//     (0, 0)  (0, 1) (1, 0)  (0, 2) (2, 0)  …  (1, 1)  (1, 2) (2, 1)  …
//
// of the diagonal, and likewise with two chunks: with every step along a row its mirror image goes
// one down a column. So each row of blocks comes from left to right, and each column from top to
// bottom; which one an accumulator belongs to depends on the axis that is folded.

#include "engine/exec/folding.h"
#include "engine/program/mirror.h"

// Elements of a block. Four of them, with those that are asked for, are to be at home in a cache of
// the second level, and each row of one is to be a few lines.
#define BLOCK_ELEMENTS 4096

struct mirrored {
    struct tsi_folding *folding[2]; // the same one twice on the diagonal
    int axis[2][2];                 // of each tiling: the lower and the higher one of the mirror
    int64_t side;                   // of a block
    int64_t count[2];               // blocks along the two axes of the first
};

static int
find_axis(const struct tsi_tiling *tiling, int axis)
{
    for (int i = 0; i < tiling->ndim; i++) {
        if (tiling->axis[i] == axis) {
            return i;
        }
    }
    return -1;
}

// Whether both have the same tiles along all other axes.
static bool
are_alike(const struct mirrored *m)
{
    const struct tsi_tiling *const a = &m->folding[0]->tiling;
    const struct tsi_tiling *const b = &m->folding[1]->tiling;
    bool is_alike = a->ndim == b->ndim;
    for (int i = 0; i < a->ndim && is_alike; i++) {
        const bool is_mirrored = i == m->axis[0][0] || i == m->axis[0][1];
        is_alike = a->axis[i] == b->axis[i] && (is_mirrored || a->block[i] == b->block[i]);
    }
    return is_alike;
}

// Chooses blocks; false if there is only one, or if the two do not go together.
static bool
choose_blocks(struct mirrored *m, const struct tsi_mirror *mirror)
{
    const struct tsi_tiling *const tiling = &m->folding[0]->tiling;
    for (int i = 0; i < 2; i++) {
        m->axis[i][0] = find_axis(&m->folding[i]->tiling, mirror->low);
        m->axis[i][1] = find_axis(&m->folding[i]->tiling, mirror->high);
        if (m->axis[i][0] < 0 || m->axis[i][1] < 0) {
            return false;
        }
    }
    const int low = m->axis[0][0];
    const int high = m->axis[0][1];
    const int64_t others = tiling->elements / (tiling->block[low] * tiling->block[high]);
    m->side = 1;
    while (4 * m->side * m->side * others <= BLOCK_ELEMENTS) {
        m->side *= 2;
    }
    m->count[0] = (tiling->size[low] + m->side - 1) / m->side;
    m->count[1] = (tiling->size[high] + m->side - 1) / m->side;
    return are_alike(m) && m->count[0] + m->count[1] > 2;
}

// The tiles that begin in block `block` of an axis of the tiling.
static void
cut_axis(const struct tsi_tiling *tiling, int axis, int64_t side, int64_t block, int64_t *low,
         int64_t *high)
{
    const int64_t tile = tiling->block[axis];
    low[axis] = (block * side + tile - 1) / tile * tile;
    high[axis] = ((block + 1) * side + tile - 1) / tile * tile;
    high[axis] = high[axis] < tiling->size[axis] ? high[axis] : tiling->size[axis];
}

// Folds block (`i`, `j`) of the folding in place `which`. `low` and `high` are filled for the other
// axes.
static void
fold_block(const struct mirrored *m, int which, int64_t i, int64_t j, const int64_t *skip,
           int64_t *low, int64_t *high)
{
    struct tsi_folding *const folding = m->folding[which];
    cut_axis(&folding->tiling, m->axis[which][0], m->side, i, low, high);
    cut_axis(&folding->tiling, m->axis[which][1], m->side, j, low, high);
    tsi_folding_sweep_part(folding, low, high, skip);
}

// How far the block after (`i`, `j`) is, along the axes of the first tiling.
static void
find_next(const struct mirrored *m, int64_t i, int64_t j, int64_t *next)
{
    const bool is_last = j + 1 == m->count[1];
    const int64_t first = m->folding[0] == m->folding[1] ? i + 1 : 0;
    const int64_t rows = is_last && i + 1 < m->count[0] ? 1 : 0;
    const int64_t columns = !is_last ? 1 : rows > 0 ? first - j : 0;
    next[m->axis[0][0]] = rows * m->side;
    next[m->axis[0][1]] = columns * m->side;
}

// Folds the blocks of a plane of the two axes: on others it has `low` to `high`.
static void
fold_plane(const struct mirrored *m, int64_t *low, int64_t *high)
{
    const int64_t none[TESS_NDIM_MAX] = {0};
    int64_t next[TESS_NDIM_MAX] = {0};
    const bool is_one = m->folding[0] == m->folding[1];
    for (int64_t i = 0; i < m->count[0]; i++) {
        for (int64_t j = is_one ? i : 0; j < m->count[1]; j++) {
            find_next(m, i, j, next);
            fold_block(m, 0, i, j, next, low, high);
            if (!is_one || i != j) {
                fold_block(m, 1, j, i, none, low, high);
            }
        }
    }
}

// Folds both tile by tile, plane after plane.
static void
fold_mirrored(const struct mirrored *m)
{
    const struct tsi_folding *const first = m->folding[0];
    struct tsi_tiling planes = first->tiling;
    struct tsi_tile_at at;
    int64_t low[TESS_NDIM_MAX];
    int64_t high[TESS_NDIM_MAX];
    for (int i = 0; i < 2; i++) {
        planes.block[m->axis[0][i]] = planes.size[m->axis[0][i]];
    }
    tsi_tiling_first(&planes, first->run->op->tile.reduce.axes, &at);
    do {
        for (int i = 0; i < planes.ndim; i++) {
            low[i] = at.at[i];
            high[i] = at.at[i] + at.count[i];
        }
        fold_plane(m, low, high);
    } while (tsi_tiling_next(&planes, &at));
}

// Folds a chunk that is its own mirror image, in blocks; false if it is none.
static bool
fold_diagonal(struct tsi_folding *folding)
{
    const struct tsi_run *const run = folding->run;
    const struct tsi_mirror mirror = tsi_mirror_find(run->op);
    struct mirrored m = {.folding = {folding, folding}};
    if (mirror.low < 0 || run->coords[mirror.low] != run->coords[mirror.high] ||
        !choose_blocks(&m, &mirror)) {
        return false;
    }
    fold_mirrored(&m);
    return true;
}

tess_status
tsi_run_reduce(struct tsi_run *run)
{
    struct tsi_folding folding;
    tsi_folding_begin(&folding, run);
    const bool is_large = folding.status == TESS_OK && !folding.is_over &&
                          run->op->input_count > 1 && run->elements > BLOCK_ELEMENTS;
    if (!is_large || !fold_diagonal(&folding)) {
        tsi_folding_sweep(&folding);
    }
    return tsi_folding_end(&folding);
}

void
tsi_run_reduce_both(struct tsi_run runs[2], tess_status statuses[2])
{
    struct tsi_folding foldings[2];
    struct mirrored m = {.folding = {&foldings[0], &foldings[1]}};
    const struct tsi_mirror mirror = tsi_mirror_find(runs[0].op);
    bool is_ready = true;
    for (int i = 0; i < 2; i++) {
        tsi_folding_begin(&foldings[i], &runs[i]);
        is_ready = is_ready && foldings[i].status == TESS_OK && !foldings[i].is_over;
    }
    if (is_ready && choose_blocks(&m, &mirror)) {
        fold_mirrored(&m);
    } else {
        tsi_folding_sweep(&foldings[0]);
        tsi_folding_sweep(&foldings[1]);
    }
    for (int i = 0; i < 2; i++) {
        statuses[i] = tsi_folding_end(&foldings[i]);
    }
}
