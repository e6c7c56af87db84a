// SPDX-License-Identifier: Apache-2.0
//
// Chunk grids: where an array is cut.
//
// Each axis has `count` chunks. In closed form the first has `first` elements, every further one
// `step`, and the last what is left; a slice of a regular axis is of this form too. Otherwise
// `bounds` lists the count + 1 boundaries, from 0 to the size, never falling. An axis of size 0 has
// one empty chunk. A chunk is named by its index in C order among all chunks.

#ifndef TSI_BASE_GRID_H
#define TSI_BASE_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "tessera/geometry.h"

struct tsi_axis {
    int64_t size;
    int64_t count;         // at least 1
    int64_t first;         // size of chunk 0 in closed form, 0 < first unless size is 0
    int64_t step;          // size of the others in closed form
    const int64_t *bounds; // NULL in closed form
};

struct tsi_grid {
    int ndim;
    struct tsi_axis axis[TESS_NDIM_MAX];
};

// An axis cut at multiples of `step`; step <= 0 or step > size gives one chunk.
struct tsi_axis tsi_axis_regular(int64_t size, int64_t step);

// An axis in closed form with a first chunk of its own size; 0 < first <= step and first <= size,
// unless size is 0.
struct tsi_axis tsi_axis_shifted(int64_t size, int64_t first, int64_t step);

// An axis of `count` chunks of the given sizes. It takes the closed form where there is one;
// otherwise boundaries are kept in `arena`. Fails with TESS_ECHUNKS if a size is negative or they
// do not add up to `size`, with TESS_ELIMIT beyond TSI_AXIS_BOUNDS_MAX, with TESS_ENOMEM.
tess_status tsi_axis_from_sizes(struct tsi_arena *arena, int64_t size, const int64_t *sizes,
                                int64_t count, struct tsi_axis *axis, struct tsi_error *error);

// Start and end of chunk `index`, which must be in [0, count); for `start`, index = count gives
// size.
int64_t tsi_axis_start(const struct tsi_axis *axis, int64_t index);
int64_t tsi_axis_chunk_size(const struct tsi_axis *axis, int64_t index);

// The chunk that holds element `at`, 0 <= at < size. Of empty chunks in between none is found.
int64_t tsi_axis_find(const struct tsi_axis *axis, int64_t at);

int64_t tsi_axis_chunk_size_max(const struct tsi_axis *axis);
bool tsi_axis_equal(const struct tsi_axis *a, const struct tsi_axis *b);

// Whether what is in `axis` keeps the rules above; for grids that came from a peer.
bool tsi_axis_is_valid(const struct tsi_axis *axis);

bool tsi_grid_equal(const struct tsi_grid *a, const struct tsi_grid *b);

// The number of chunks; −1 if it does not fit int64.
int64_t tsi_grid_chunk_count(const struct tsi_grid *grid);

// The number of elements of the array and of the largest chunk; −1 if it does not fit int64.
int64_t tsi_grid_element_count(const struct tsi_grid *grid);
int64_t tsi_grid_chunk_elements_max(const struct tsi_grid *grid);

// Between a chunk's index and its place on each axis.
void tsi_grid_coords(const struct tsi_grid *grid, int64_t chunk, int64_t coords[TESS_NDIM_MAX]);
int64_t tsi_grid_chunk_at(const struct tsi_grid *grid, const int64_t coords[TESS_NDIM_MAX]);

// Where chunk `chunk` starts and how large it is on each axis. Returns its number of elements.
int64_t tsi_grid_box(const struct tsi_grid *grid, int64_t chunk, int64_t start[TESS_NDIM_MAX],
                     int64_t size[TESS_NDIM_MAX]);

struct tess_shape tsi_grid_shape(const struct tsi_grid *grid);

// A copy whose boundaries are in `arena`; false when memory is out.
bool tsi_grid_copy(struct tsi_arena *arena, const struct tsi_grid *source, struct tsi_grid *copy);

#endif
