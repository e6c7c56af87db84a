// SPDX-License-Identifier: Apache-2.0
//
// A sum down random numbers does not care how high its tiles are, since each accumulator takes its
// elements one after the other. So a kernel that makes several rows at once, and adds them before
// they leave the registers, does the tiles' work.
//
// It takes chunks whose folded axes are one run of rows, and whose kept axes are consecutive
// elements of each. That is any cut of a matrix, folded along its first axis.

#include "engine/exec/tile_drawn.h"

// Rows of one call, so that a task that is not wanted any more ends soon.
#define ROWS 128

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// The one source of the program; NULL if there is more to it, or if no kernel adds its numbers.
static const struct tsi_tile_source *
find_source(const struct tsi_run *run)
{
    const struct tsi_tile *const tile = &run->op->tile;
    const struct tsi_tile_reduce *const reduce = &tile->reduce;
    if (tile->instruction_count != 1 || tile->instructions[0].code != TSI_TILE_SOURCE ||
        tile->instructions[0].dtype != TESS_F64 || reduce->dtype != TESS_F64 ||
        (reduce->reduction != TSI_REDUCE_SUM && reduce->reduction != TSI_REDUCE_MEAN)) {
        return NULL;
    }
    const struct tsi_tile_source *const source = &tile->sources[tile->instructions[0].operand];
    return run->kernel->drawn[source->source] != NULL ? source : NULL;
}

static bool
is_folded(const struct tsi_tile_fold *fold, const struct tsi_tiling *whole, int axis)
{
    return (fold->axes >> whole->axis[axis] & 1) != 0;
}

// The chunk as one tile.
static void
take_whole(const struct tsi_tiling *tiling, struct tsi_tiling *whole)
{
    *whole = *tiling;
    whole->box_ndim = tiling->ndim;
    for (int i = 0; i < tiling->ndim; i++) {
        whole->box[i] = i;
        whole->block[i] = tiling->size[i];
    }
}

tess_status
tsi_tile_drawn_fold(const struct tsi_run *run, const struct tsi_tile_fold *fold, bool *is_done)
{
    const struct tsi_tile_source *const source = find_source(run);
    struct tsi_tiling whole;
    struct tsi_reach reach;
    *is_done = false;
    if (source == NULL) {
        return TESS_OK;
    }
    take_whole(fold->tiling, &whole);
    tsi_reach_make(&whole, source->step, fold->axes, &reach);
    if (reach.ndim != 2 || reach.step[1] != 1 || !is_folded(fold, &whole, reach.first[0]) ||
        is_folded(fold, &whole, reach.first[1])) {
        return TESS_OK;
    }
    const int64_t columns = fold->accumulators;
    const int64_t rows = run->elements / columns;
    int64_t first = source->first;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        first += source->step[i] * run->start[i];
    }
    for (int64_t j = 0; j < columns; j += TSI_KERNEL_DRAWN_COLUMNS) {
        for (int64_t i = 0; i < rows; i += ROWS) {
            const tess_status status = tsi_run_check(run);
            if (status != TESS_OK) {
                return status;
            }
            run->kernel->drawn[source->source](smaller(ROWS, rows - i),
                                               smaller(TSI_KERNEL_DRAWN_COLUMNS, columns - j),
                                               first + i * reach.step[0] + j, reach.step[0],
                                               &source->params, (double *)fold->planes[0] + j);
        }
    }
    *is_done = true;
    return TESS_OK;
}
