// SPDX-License-Identifier: Apache-2.0
//
// Tile programs as bytes.

#ifndef TSI_PROGRAM_TILE_CODEC_H
#define TSI_PROGRAM_TILE_CODEC_H

#include "engine/program/budget.h"
#include "engine/program/packer.h"
#include "engine/program/tile.h"

// Writes the valid tile program of an operation whose loop has `ndim` axes.
void tsi_tile_put(struct tsi_packer *out, const struct tsi_tile *tile, int ndim);

// Reads one into `*tile`, which is zero before. Malformed bytes, or no memory left in `budget`,
// fail `in`. The result is bounded but not valid yet.
void tsi_tile_take(struct tsi_unpacker *in, struct tsi_budget *budget, int ndim,
                   struct tsi_tile *tile);

#endif
