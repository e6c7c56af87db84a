// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a large output on their way past the caches.

#ifndef TSI_EXEC_PAST_H
#define TSI_EXEC_PAST_H

#include "engine/exec/run.h"

struct tsi_past {
    unsigned char *block; // NULL: tiles are made where they go
    unsigned char *to;    // where what the block holds goes
    size_t held;
};

// Readies `past` for the output of the run, which is stored tile by tile, each a run of it.
tess_status tsi_past_open(struct tsi_run *run, struct tsi_past *past);

// Where the tile of `bytes` that goes to `to` is to be made, before the next call.
void *tsi_past_place(struct tsi_past *past, void *to, size_t bytes);

// Everything is where it goes.
void tsi_past_close(struct tsi_past *past);

#endif
