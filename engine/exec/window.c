// SPDX-License-Identifier: Apache-2.0
//
// A view is a pointer and strides: the chunk's own strides times those of the index map, so a
// transpose, a slice, a broadcast costs nothing here.

#include "engine/exec/window.h"

// The source chunk that holds element `at`, a guess first: most loops are cut as their sources are.
static void
find_chunk(const struct tsi_axis *axis, int64_t at, int64_t guess, int64_t *low, int64_t *size)
{
    int64_t chunk = guess;
    if (axis->count == 1) {
        *low = 0;
        *size = axis->size;
        return;
    }
    if (chunk < axis->count) {
        *low = tsi_axis_start(axis, chunk);
        *size = tsi_axis_chunk_size(axis, chunk);
        if (*low <= at && at - *low < *size) {
            return;
        }
    }
    chunk = tsi_axis_find(axis, at);
    *low = tsi_axis_start(axis, chunk);
    *size = tsi_axis_chunk_size(axis, chunk);
}

void
tsi_window_find(const struct tsi_run *run, const struct tsi_index_map *map,
                const struct tsi_grid *source, struct tsi_window *window)
{
    window->is_one = true;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        int64_t first = rule->offset;
        int64_t last = first;
        int64_t guess = 0;
        if (rule->axis >= 0) {
            first += rule->stride * run->start[rule->axis];
            last = first + rule->stride * (run->size[rule->axis] - 1);
            guess = run->coords[rule->axis];
        }
        find_chunk(&source->axis[i], first, guess, &window->low[i], &window->size[i]);
        window->first[i] = first;
        if (last < window->low[i] || last - window->low[i] >= window->size[i]) {
            window->is_one = false;
            return;
        }
    }
}

void
tsi_window_whole(const struct tsi_run *run, const struct tsi_index_map *map,
                 struct tsi_window *window)
{
    window->is_one = true;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        window->low[i] = 0;
        window->first[i] =
            rule->offset + (rule->axis < 0 ? 0 : rule->stride * run->start[rule->axis]);
    }
}

void
tsi_window_clear(const struct tsi_run *run, struct tsi_operand *view)
{
    for (int i = 0; i < run->op->loop.ndim; i++) {
        view->stride[i] = 0;
    }
}

int64_t
tsi_window_view(const struct tsi_run *run, const struct tsi_index_map *map,
                const struct tsi_window *window, const int64_t *strides, struct tsi_operand *view)
{
    int64_t offset = 0;
    tsi_window_clear(run, view);
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        offset += (window->first[i] - window->low[i]) * strides[i];
        if (rule->axis >= 0) {
            view->stride[rule->axis] = rule->stride * strides[i];
        }
    }
    return offset;
}
