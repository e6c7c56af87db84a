// SPDX-License-Identifier: Apache-2.0
//
// From the shape and the chunks that a program gives to a grid.

#ifndef TSI_GRAPH_CHUNKS_H
#define TSI_GRAPH_CHUNKS_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/grid.h"
#include "tessera/dtype.h"

// How the library cuts axes that are left to it: with as many elements on each as on the next, or,
// for what lies in memory or in a file, so that a chunk has long runs.
enum tsi_chunks_way {
    TSI_CHUNKS_EVEN,
    TSI_CHUNKS_C_RUNS,
    TSI_CHUNKS_FORTRAN_RUNS,
};

// The grid of an array of `dtype`. Boundaries are kept in `arena`. Fails with TESS_ESHAPE,
// TESS_ECHUNKS, TESS_EOVERFLOW, TESS_ELIMIT, TESS_ENOMEM; the message names the shape and the
// chunks.
tess_status tsi_chunks_grid(struct tsi_arena *arena, const struct tess_shape *shape,
                            const struct tess_chunks *chunks, tess_dtype dtype,
                            enum tsi_chunks_way way, struct tsi_grid *grid,
                            struct tsi_error *error);

// Cuts the axes of `grid` that are in the set `axes`, one bit each, of which only the sizes are
// set; the others stay as they are. Chunks then have about 16 MiB.
void tsi_chunks_choose(struct tsi_grid *grid, uint32_t axes, tess_dtype dtype,
                       enum tsi_chunks_way way);

#endif
