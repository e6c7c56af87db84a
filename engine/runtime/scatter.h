// SPDX-License-Identifier: Apache-2.0
//
// Between one chunk and the whole array that it is part of.

#ifndef TSI_RUNTIME_SCATTER_H
#define TSI_RUNTIME_SCATTER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/grid.h"
#include "engine/base/helper.h"

// Copies chunk `chunk`, in C order at `data`, to its place in the array in C order at `out`.
// Nothing is copied if `data` is that place. A helper copies half of what is large; NULL: alone.
void tsi_scatter_chunk(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes,
                       const void *data, void *out, struct tsi_helper *helper);

// Copies chunk `chunk` of the array at `in`, whose axes have the given strides in bytes, to `out`
// in C order; with a helper, if there is one.
void tsi_gather_chunk(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes, const void *in,
                      const int64_t *strides, void *out, struct tsi_helper *helper);

// Bytes of a chunk from which on a helper pays.
#define TSI_SCATTER_HELPED_BYTES ((uint64_t)4 << 20)

// The strides in bytes of the array in C order, the first element of the chunk in it at `out`, and
// whether the chunk lies there in one run.
void tsi_scatter_strides(const struct tsi_grid *grid, size_t item_bytes, int64_t *strides);
void *tsi_scatter_place(const struct tsi_grid *grid, int64_t chunk, size_t item_bytes, void *out);
bool tsi_chunk_is_run(const struct tsi_grid *grid, int64_t chunk);

// The first element of chunk `chunk` of the array at `data` with the given strides in bytes.
const void *tsi_chunk_origin(const struct tsi_grid *grid, int64_t chunk, const void *data,
                             const int64_t *strides);

#endif
