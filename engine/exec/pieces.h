// SPDX-License-Identifier: Apache-2.0
//
// An input whose elements for one loop chunk lie in several chunks of its source. These cut the
// loop chunk into boxes, one for each source chunk. What is in one box can be seen where it is; a
// tile that is in several is put together.

#ifndef TSI_EXEC_PIECES_H
#define TSI_EXEC_PIECES_H

#include "engine/exec/operand.h"
#include "engine/exec/tiling.h"

// How the chunks of one axis of the source cut the loop axis that it goes with. Part p has the
// indices, relative to the loop chunk, from from[p] up to from[p + 1]. The first of them sees
// element first[p] of a chunk with size[p].
struct tsi_cut {
    int64_t count;
    int64_t *from;
    int64_t *first;
    int64_t *size;
    int64_t chunk_step; // from the chunk of one part to that of the next
};

struct tsi_pieces {
    const struct tsi_index_map *map;
    const struct tsi_exec_chunk *chunks; // that of the first box
    size_t bytes;                        // of an element
    int cut_of[TESS_NDIM_MAX];           // by loop axis: the source axis that goes with it, or −1
    struct tsi_cut cut[TESS_NDIM_MAX];   // by source axis
};

// Where a sweep over tiles is: the box that was looked into last.
struct tsi_piece {
    const struct tsi_pieces *pieces;
    int64_t place[TESS_NDIM_MAX];  // of the box, by source axis
    bool is_seen;                  // what follows is that of the box
    const unsigned char *data;     // its first element
    int64_t stride[TESS_NDIM_MAX]; // by loop axis
};

// The boxes of input `input` of the run's operation, in scratch; tsi_operand_see() has told that
// there are several.
tess_status tsi_pieces_make(struct tsi_run *run, int input, const struct tsi_pieces **made);

// Views of all inputs of the run, in scratch; of those in several chunks, their boxes.
tess_status tsi_pieces_bind(struct tsi_run *run, struct tsi_operand **views);

// Looks into the first box.
void tsi_piece_first(const struct tsi_pieces *pieces, struct tsi_piece *piece);

// Goes to the box with the first element of the tile at `at`. Where that element is if the whole
// tile lies in the box, else NULL. Sets `*is_other` if piece->stride may have changed.
const unsigned char *tsi_piece_find(struct tsi_piece *piece, const struct tsi_tiling *tiling,
                                    const struct tsi_tile_at *at, bool *is_other);

// Puts the elements of the tile at `at`, to whose first one tsi_piece_find() went, into `out`, in
// C order of the axes of the tile.
void tsi_piece_gather(const struct tsi_piece *piece, const struct tsi_tiling *tiling,
                      const struct tsi_tile_at *at, void *out);

#endif
