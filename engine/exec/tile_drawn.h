// SPDX-License-Identifier: Apache-2.0
//
// Sums of random numbers that have no tiles.

#ifndef TSI_EXEC_TILE_DRAWN_H
#define TSI_EXEC_TILE_DRAWN_H

#include "engine/exec/tile_fold.h"

// Folds all of the run's chunk, if its program is a sum or mean down random numbers and nothing
// else; `*is_done` tells. If it is not, nothing was folded. The bits are those of the tiles.
tess_status tsi_tile_drawn_fold(const struct tsi_run *run, const struct tsi_tile_fold *fold,
                                bool *is_done);

#endif
