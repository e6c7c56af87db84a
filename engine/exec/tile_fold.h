// SPDX-License-Identifier: Apache-2.0
//
// The reduction at the end of a tile program: folds tile after tile into the accumulators of a
// chunk.

#ifndef TSI_EXEC_TILE_FOLD_H
#define TSI_EXEC_TILE_FOLD_H

#include "engine/exec/tiling.h"

// How a kernel takes a tile: rows × columns elements a call, and the first `outer` axes of the
// reach are looped over.
struct tsi_tile_call {
    tsi_kernel_fold *kernel;
    tsi_kernel_fold_linear *linear; // of terms; NULL if these cannot be taken so
    int64_t rows;
    int64_t columns;
    int64_t column_bytes; // of all columns
    int64_t row_step;
    int64_t column_step;
    uint8_t outer;
    bool is_across;
    bool is_turned; // rows are so short that the tile is transposed first
};

struct tsi_tile_fold {
    const struct tsi_kernel_reduction *kernel;
    const struct tsi_kernel_linear *linear; // for sums and means
    const struct tsi_tiling *tiling;
    uint32_t axes; // that are folded
    int64_t element_bytes;
    int64_t accumulators;              // of the chunk
    void *turned;                      // room for a tile that is transposed before it is folded
    int64_t acc_step[TESS_NDIM_MAX];   // by loop axis, in accumulators; 0 where folded
    int64_t order_step[TESS_NDIM_MAX]; // by loop axis; 0 where kept, and where no index is told
    int64_t first;                     // order of the first element of the loop chunk
    struct tsi_reach reach;            // acc_step of kept axes, order_step of folded ones
    void *planes[TSI_ACC_PLANES_MAX];
    size_t plane_bytes[TSI_ACC_PLANES_MAX]; // of one accumulator, 0 beyond the last plane
    // The same for all tiles of one shape, and nearly all of them have one.
    struct tsi_tile_call call;
    bool has_call;
    uint32_t call_shape;
};

// The number of accumulators of the run's chunk.
int64_t tsi_tile_fold_count(const struct tsi_run *run);

// Makes ready to fold the run's tiles into accumulators in `memory`, and starts them. `tiling` is
// NULL for an empty chunk, which has no tiles.
tess_status tsi_tile_fold_make(struct tsi_run *run, const struct tsi_tiling *tiling, void *memory,
                               struct tsi_tile_fold *fold);

// Folds the tile at `at`, whose elements are at `x`.
void tsi_tile_fold_take(struct tsi_tile_fold *fold, const struct tsi_tile_at *at, const void *x);

// A tile that is not made: the sum of its terms, of which the second may have no data. The step of
// a term without rows is not filled in: it is one dense run. Rows have the axes of the box from
// `split` on in their columns.
struct tsi_tile_terms {
    struct tsi_kernel_term term[2];
    const void *const *value[2]; // what becomes the data of a term; NULL: it does not change
    bool has_rows[2];
    int split;
};

// Folds the tile at `at` from its terms. False if it has to be made first; nothing is folded then.
bool tsi_tile_fold_terms(struct tsi_tile_fold *fold, const struct tsi_tile_at *at,
                         struct tsi_tile_terms *terms);

#endif
