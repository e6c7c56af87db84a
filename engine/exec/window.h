// SPDX-License-Identifier: Apache-2.0
//
// Windows: where what the loop chunk of a run sees of an input is in the input's source.

#ifndef TSI_EXEC_WINDOW_H
#define TSI_EXEC_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/exec/operand.h"

// Where an input's elements are in its source, for each source axis.
struct tsi_window {
    int64_t first[TESS_NDIM_MAX]; // the element for the first index of the loop chunk
    int64_t low[TESS_NDIM_MAX];   // the chunk that holds it: start and size
    int64_t size[TESS_NDIM_MAX];
    bool is_one; // all elements are in that chunk; otherwise the others are not filled
};

// Finds the window of the run's loop chunk in a source that is cut as `source` is.
void tsi_window_find(const struct tsi_run *run, const struct tsi_index_map *map,
                     const struct tsi_grid *source, struct tsi_window *window);

// The same in a source that is one chunk; its size is not filled.
void tsi_window_whole(const struct tsi_run *run, const struct tsi_index_map *map,
                      struct tsi_window *window);

// The strides of the view of a window that lies in one chunk with the given ones. Returns how many
// bytes its first element is behind that of the chunk.
int64_t tsi_window_view(const struct tsi_run *run, const struct tsi_index_map *map,
                        const struct tsi_window *window, const int64_t *strides,
                        struct tsi_operand *view);

// A view of one element.
void tsi_window_clear(const struct tsi_run *run, struct tsi_operand *view);

#endif
