// SPDX-License-Identifier: Apache-2.0
//
// How a loop chunk is cut into tiles, and how an operand walks through one.

#ifndef TSI_EXEC_TILING_H
#define TSI_EXEC_TILING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/exec/run.h"

// The loop axes with more than one index, in order. A tile is a box of at most block[i] indices on
// axis i, and lies in a register in C order.
struct tsi_tiling {
    int ndim;
    int axis[TESS_NDIM_MAX]; // of the loop
    int64_t size[TESS_NDIM_MAX];
    int64_t block[TESS_NDIM_MAX];
    int box_ndim;           // axes of which a tile has more than one index
    int box[TESS_NDIM_MAX]; // as indices into `axis`
    int64_t elements;       // of the largest tile
};

// Where a sweep over the tiles is.
struct tsi_tile_at {
    int order[TESS_NDIM_MAX];     // axes of the tiling, outermost first
    int64_t at[TESS_NDIM_MAX];    // first index of the tile, relative to the loop chunk
    int64_t count[TESS_NDIM_MAX]; // indices of the tile
    int64_t elements;
    uint32_t shape; // changes whenever `count` does
    // The sweep is over the tiles that begin in this box.
    int64_t low[TESS_NDIM_MAX];
    int64_t high[TESS_NDIM_MAX];
    const int64_t *skip; // of a part: how far what is read next is, in indices; NULL: the next tile
};

// An operand's steps along the axes of a box, with axes that are one run made one. Axis i of the
// reach is axes first[i] … first[i + 1] − 1 of the box.
struct tsi_reach {
    int ndim;
    int first[TESS_NDIM_MAX + 1];
    int64_t step[TESS_NDIM_MAX];
};

// Cuts the loop chunk of `run`, a TILE that is not empty. This depends on the program and the chunk
// alone, since it sets the order in which a reduction adds.
void tsi_tiling_choose(const struct tsi_run *run, struct tsi_tiling *tiling);

// Makes tiles of several long rows tiles of one, for an output that is no sum and whose rows are
// apart: each tile is a run of it then. Others stay.
void tsi_tiling_part_rows(struct tsi_tiling *tiling);

// The first tile. Axes in the set `last` (loop axes, one bit each) are stepped through inside all
// others.
void tsi_tiling_first(const struct tsi_tiling *tiling, uint32_t last, struct tsi_tile_at *at);

// Goes on with the first of the tiles that begin in a part of the chunk, in the same order of axes;
// false if there are none. `skip` stays the caller's. All is by axis of the tiling.
bool tsi_tiling_part(const struct tsi_tiling *tiling, const int64_t *low, const int64_t *high,
                     const int64_t *skip, struct tsi_tile_at *at);

// The next tile of the sweep, or false after the last.
bool tsi_tiling_next(const struct tsi_tiling *tiling, struct tsi_tile_at *at);

// The reach of an operand with these steps along the loop axes. Axes on both sides of the set
// `border` (loop axes) stay apart.
void tsi_reach_make(const struct tsi_tiling *tiling, const int64_t *step, uint32_t border,
                    struct tsi_reach *reach);

// The size of axis `i` of a reach for this tile.
static inline int64_t
tsi_reach_size(const struct tsi_tiling *tiling, const struct tsi_reach *reach,
               const struct tsi_tile_at *at, int i)
{
    int64_t size = 1;
    for (int k = reach->first[i]; k < reach->first[i + 1]; k++) {
        size *= at->count[tiling->box[k]];
    }
    return size;
}

// Σ step · index for the first index of this tile; `step` is by loop axis.
static inline int64_t
tsi_tiling_offset(const struct tsi_tiling *tiling, const struct tsi_tile_at *at,
                  const int64_t *step)
{
    int64_t offset = 0;
    for (int i = 0; i < tiling->ndim; i++) {
        offset += at->at[i] * step[tiling->axis[i]];
    }
    return offset;
}

// How far the first index of the next tile of a sweep is from that of this one, in steps like those
// of tsi_tiling_offset(); 0 at the last tile. In a part it is as far as `skip` says.
static inline int64_t
tsi_tiling_ahead(const struct tsi_tiling *tiling, const struct tsi_tile_at *at, const int64_t *step)
{
    int64_t ahead = 0;
    if (at->skip != NULL) {
        for (int i = 0; i < tiling->ndim; i++) {
            ahead += at->skip[i] * step[tiling->axis[i]];
        }
        return ahead;
    }
    for (int k = tiling->ndim - 1; k >= 0; k--) {
        const int i = at->order[k];
        const int64_t along = step[tiling->axis[i]];
        if (at->at[i] + tiling->block[i] < tiling->size[i]) {
            return ahead + tiling->block[i] * along;
        }
        ahead -= at->at[i] * along;
    }
    return 0;
}

#endif
