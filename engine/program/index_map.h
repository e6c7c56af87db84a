// SPDX-License-Identifier: Apache-2.0
//
// Index maps: which chunks of a source a chunk of an operation reads, and which chunks of the
// operation read a chunk of the source, in closed form.
//
// An operation runs over the elements of its loop grid. For one of its inputs, loop index i touches
// on source axis a the elements
//
//     offset + stride·i[axis] + t     for 0 <= t < extent
//
// cut to the size of that source axis; with axis = −1, stride·i is left out. This one rule is all
// of
//
//     identity    axis a, offset 0, stride 1, extent 1, and equal grids
//     broadcast   axis −1, offset 0; or a loop axis that no source axis names
//     permute     another axis
//     slice       offset and stride (negative too); axis −1 for an index that dropped its axis
//     rechunk     as identity, but of other grids
//     tree        stride = extent = fan-in, over partial results of one element a chunk
//     contract    loop axes (…, i, j, k), of which one operand names (…, i, k), the other (…, k, j)
//     overlap     offset −h, extent 2h + 1
//
// What has no closed form lists its chunks: EXPLICIT, rows of chunk numbers in both directions.
//
// A loop axis is named by at most one source axis. With extent 1 the map must stay inside the
// source, unless the loop is empty. The users of a chunk are the inverse of the dependencies: chunk
// c depends on chunk d if and only if d has the user c. Empty chunks depend on nothing and have no
// users.

#ifndef TSI_PROGRAM_INDEX_MAP_H
#define TSI_PROGRAM_INDEX_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/grid.h"

struct tsi_map_axis {
    int axis; // of the loop, or −1
    int64_t offset;
    int64_t stride;
    int64_t extent; // at least 1
};

// Compressed rows: the chunks of row r are items[starts[r]] … items[starts[r + 1] − 1], rising.
struct tsi_map_rows {
    const uint32_t *starts; // rows + 1 of them
    const uint32_t *items;
};

struct tsi_index_map {
    int ndim; // axes of the source
    bool is_explicit;
    struct tsi_map_axis axis[TESS_NDIM_MAX];
    struct tsi_map_rows deps;  // by loop chunk, if explicit
    struct tsi_map_rows users; // by source chunk, if explicit
};

// A set of chunks of one grid, stepped through in C order without allocation: a product of one
// range an axis, less the gaps in it. It lives on the stack and refers to the map and the grids
// that it was made of. Its fields belong to index_map.c, which leaves those of unused axes as they
// were.
struct tsi_chunk_set {
    const struct tsi_grid *grid; // the chunks are of this grid
    const struct tsi_index_map *map;
    bool done;
    bool of_deps;
    int ndim;      // axes to step through: of `grid`, or 0 for a set of one chunk
    uint32_t gaps; // one bit an axis of `grid` where the range has gaps
    int64_t chunk; // the next one, and its place
    int64_t at[TESS_NDIM_MAX];
    int64_t low[TESS_NDIM_MAX]; // the range, both ends inclusive; `low` is in the set
    int64_t high[TESS_NDIM_MAX];
    int64_t
        from[TESS_NDIM_MAX];   // dependencies: the loop indices of the chunk on the loop axis that
    int64_t to[TESS_NDIM_MAX]; // the map names, first and end
    const uint32_t *row;       // explicit: what is left; NULL in closed form
    const uint32_t *row_end;
};

// The identity over the axes of `grid`.
struct tsi_index_map tsi_index_map_identity(const struct tsi_grid *grid);

// The chunks of `source` that chunk `chunk` of `loop` reads.
struct tsi_chunk_set tsi_index_map_deps(const struct tsi_index_map *map,
                                        const struct tsi_grid *loop, const struct tsi_grid *source,
                                        int64_t chunk);

// The chunks of `loop` that read chunk `chunk` of `source`.
struct tsi_chunk_set tsi_index_map_users(const struct tsi_index_map *map,
                                         const struct tsi_grid *loop, const struct tsi_grid *source,
                                         int64_t chunk);

// The next chunk of the set in `*chunk`, or false at its end. The chunks rise.
bool tsi_chunk_set_next(struct tsi_chunk_set *set, int64_t *chunk);

// How many chunks are left in the set. Closed form where the set has no gaps.
int64_t tsi_chunk_set_count(const struct tsi_chunk_set *set);

// Whether every chunk of the loop touches at most one chunk of source axis `source`, which `rule`
// is of; false if that is not plain.
bool tsi_map_axis_touches_one(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
                              const struct tsi_axis *source);

// Whether the map keeps the rules above for these grids; for maps that came from a peer. The
// message says which rule is broken.
tess_status tsi_index_map_validate(const struct tsi_index_map *map, const struct tsi_grid *loop,
                                   const struct tsi_grid *source, struct tsi_error *error);

// The name of the special case that the map is, as in the list above, for plans; "explicit" for a
// list. What is several of them has the name of one; a contract is called a broadcast.
const char *tsi_index_map_name(const struct tsi_index_map *map, const struct tsi_grid *loop,
                               const struct tsi_grid *source);

#endif
