// SPDX-License-Identifier: Apache-2.0
//
// Index maps as bytes.

#ifndef TSI_PROGRAM_INDEX_MAP_CODEC_H
#define TSI_PROGRAM_INDEX_MAP_CODEC_H

#include "engine/program/budget.h"
#include "engine/program/index_map.h"
#include "engine/program/packer.h"

// Writes a valid map; the reader has to know its grids.
void tsi_index_map_put(struct tsi_packer *out, const struct tsi_index_map *map,
                       const struct tsi_grid *loop);

// Reads one into `*map`, which is zero before. Of grids that are not valid only the number of axes
// and of chunks is looked at. Malformed bytes, or no memory left in `budget`, fail `in`. The result
// is bounded but not valid yet.
void tsi_index_map_take(struct tsi_unpacker *in, struct tsi_budget *budget,
                        const struct tsi_grid *loop, const struct tsi_grid *source,
                        struct tsi_index_map *map);

#endif
