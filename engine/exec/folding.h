// SPDX-License-Identifier: Apache-2.0
//
// The reduction of one chunk on its way: what is folded so far, and what it takes to go on.

#ifndef TSI_EXEC_FOLDING_H
#define TSI_EXEC_FOLDING_H

#include "engine/exec/pipeline.h"

struct tsi_folding {
    struct tsi_run *run;
    tess_status status; // not TESS_OK: nothing more is folded
    bool is_over;       // nothing is left to be folded tile by tile
    struct tsi_tiling tiling;
    struct tsi_tile_at at;
    struct tsi_tile_fold fold;
    struct tsi_pipeline pipeline;
    struct tsi_tile_terms terms; // of an open pipeline
};

// Makes ready to fold the run's tiles. What goes wrong, here or later, is in `status`.
void tsi_folding_begin(struct tsi_folding *folding, struct tsi_run *run);

// Folds all tiles, or those of a part: see tsi_tiling_part(). A tile is to be folded once.
void tsi_folding_sweep(struct tsi_folding *folding);
void tsi_folding_sweep_part(struct tsi_folding *folding, const int64_t *low, const int64_t *high,
                            const int64_t *skip);

// The end, after all tiles: the results, if the operation has any. Returns `status`.
tess_status tsi_folding_end(struct tsi_folding *folding);

#endif
