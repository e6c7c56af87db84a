// SPDX-License-Identifier: Apache-2.0
//
// Chunk grids. An axis in closed form answers every question by arithmetic, a listed one by its
// boundaries and a binary search.
//
// Of the same cuts there is one closed form: the first chunk of a single one is the whole axis, and
// `step` is at least 1, so that nothing here divides by zero. An axis takes the closed form where
// it has one, and the closed form has no empty chunk but that of an axis of size 0.

#include "engine/base/grid.h"

#include <stddef.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/memory.h"

static int64_t
at_least(int64_t a, int64_t least)
{
    return a > least ? a : least;
}

static int64_t
at_most(int64_t a, int64_t most)
{
    return a < most ? a : most;
}

struct tsi_axis
tsi_axis_regular(int64_t size, int64_t step)
{
    const bool whole = step <= 0 || step > size;
    const int64_t first = whole ? size : step;
    return tsi_axis_shifted(size, first, at_least(first, 1));
}

struct tsi_axis
tsi_axis_shifted(int64_t size, int64_t first, int64_t step)
{
    TSI_CHECK(size >= 0 && first >= 0 && first <= size && step >= 1 && first <= step);
    TSI_CHECK(first > 0 || size == 0);
    const int64_t rest = size - first;
    if (rest == 0) {
        return (struct tsi_axis){size, 1, size, at_least(size, 1), NULL};
    }
    return (struct tsi_axis){size, 1 + (rest - 1) / step + 1, first, step, NULL};
}

// The closed form with the sizes in `sizes`, if there is one.
static bool
find_closed_form(int64_t size, const int64_t *sizes, int64_t count, struct tsi_axis *axis)
{
    if (size == 0 || count == 1) {
        *axis = tsi_axis_regular(size, size);
        return true;
    }
    const int64_t step = count == 2 ? at_least(sizes[0], sizes[1]) : sizes[1];
    if (sizes[0] == 0 || sizes[0] > step || sizes[count - 1] == 0 || sizes[count - 1] > step) {
        return false;
    }
    for (int64_t i = 1; i < count - 1; i++) {
        if (sizes[i] != step) {
            return false;
        }
    }
    *axis = tsi_axis_shifted(size, sizes[0], step);
    return true;
}

tess_status
tsi_axis_from_sizes(struct tsi_arena *arena, int64_t size, const int64_t *sizes, int64_t count,
                    struct tsi_axis *axis, struct tsi_error *error)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (sizes[i] < 0) {
            return tsi_error_set(error, TESS_ECHUNKS, "chunk %lld has the negative size %lld",
                                 (long long)i, (long long)sizes[i]);
        }
        if (sizes[i] > size - sum) {
            return tsi_error_set(
                error, TESS_ECHUNKS,
                "the chunk sizes add up to more than the %lld elements of the axis",
                (long long)size);
        }
        sum += sizes[i];
    }
    if (sum != size) {
        return tsi_error_set(error, TESS_ECHUNKS,
                             "the chunk sizes add up to %lld, the axis has %lld elements",
                             (long long)sum, (long long)size);
    }
    if (find_closed_form(size, sizes, count, axis)) {
        return TESS_OK;
    }
    if (count > TSI_AXIS_BOUNDS_MAX) {
        return tsi_error_set(error, TESS_ELIMIT,
                             "an axis has %lld chunks of uneven sizes; at most %lld are possible",
                             (long long)count, (long long)TSI_AXIS_BOUNDS_MAX);
    }
    int64_t *bounds = tsi_arena_alloc(arena, ((size_t)count + 1) * sizeof *bounds);
    if (bounds == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory for the chunk sizes of an axis");
    }
    bounds[0] = 0;
    for (int64_t i = 0; i < count; i++) {
        bounds[i + 1] = bounds[i] + sizes[i];
    }
    *axis = (struct tsi_axis){size, count, 0, 0, bounds};
    return TESS_OK;
}

int64_t
tsi_axis_start(const struct tsi_axis *axis, int64_t index)
{
    if (axis->bounds != NULL) {
        return axis->bounds[index];
    }
    if (index == 0) {
        return 0;
    }
    // The last chunk may be cut, and what follows it may not fit an int64.
    return index >= axis->count ? axis->size : axis->first + (index - 1) * axis->step;
}

int64_t
tsi_axis_chunk_size(const struct tsi_axis *axis, int64_t index)
{
    if (axis->bounds != NULL) {
        return axis->bounds[index + 1] - axis->bounds[index];
    }
    if (index == 0) {
        return axis->first;
    }
    return at_most(axis->step, axis->size - (axis->first + (index - 1) * axis->step));
}

// The last of the `count` chunks that starts at or before `at`; it holds `at`, for a chunk that
// starts there and is empty has one behind it that starts there too.
static int64_t
find_bound(const int64_t *bounds, int64_t count, int64_t at)
{
    int64_t low = 0;
    int64_t high = count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (bounds[middle] <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

int64_t
tsi_axis_find(const struct tsi_axis *axis, int64_t at)
{
    if (axis->bounds != NULL) {
        return find_bound(axis->bounds, axis->count, at);
    }
    return at < axis->first ? 0 : 1 + (at - axis->first) / axis->step;
}

int64_t
tsi_axis_chunk_size_max(const struct tsi_axis *axis)
{
    if (axis->bounds == NULL) {
        return axis->count == 1 ? axis->first : at_least(axis->first, tsi_axis_chunk_size(axis, 1));
    }
    int64_t largest = 0;
    for (int64_t i = 0; i < axis->count; i++) {
        largest = at_least(largest, axis->bounds[i + 1] - axis->bounds[i]);
    }
    return largest;
}

static bool
is_equal_closed(const struct tsi_axis *a, const struct tsi_axis *b)
{
    return a->first == b->first && (a->count <= 2 || a->step == b->step);
}

bool
tsi_axis_equal(const struct tsi_axis *a, const struct tsi_axis *b)
{
    if (a->size != b->size || a->count != b->count) {
        return false;
    }
    if (a->bounds == b->bounds) {
        return a->bounds != NULL || is_equal_closed(a, b);
    }
    for (int64_t i = 1; i < a->count; i++) {
        if (tsi_axis_start(a, i) != tsi_axis_start(b, i)) {
            return false;
        }
    }
    return true;
}

static bool
is_valid_list(const struct tsi_axis *axis)
{
    if (axis->size == 0 || axis->count > TSI_AXIS_BOUNDS_MAX || axis->bounds[0] != 0 ||
        axis->bounds[axis->count] != axis->size) {
        return false;
    }
    for (int64_t i = 0; i < axis->count; i++) {
        if (axis->bounds[i] > axis->bounds[i + 1]) {
            return false;
        }
    }
    return true;
}

bool
tsi_axis_is_valid(const struct tsi_axis *axis)
{
    if (axis->size < 0 || axis->count < 1) {
        return false;
    }
    if (axis->bounds != NULL) {
        return is_valid_list(axis);
    }
    if (axis->step < 1 || axis->first < 0 || axis->first > axis->size) {
        return false;
    }
    if (axis->count == 1) {
        return axis->first == axis->size;
    }
    const int64_t rest = axis->size - axis->first;
    return axis->first > 0 && axis->first <= axis->step && rest > 0 &&
           axis->count - 2 == (rest - 1) / axis->step;
}

bool
tsi_grid_equal(const struct tsi_grid *a, const struct tsi_grid *b)
{
    if (a->ndim != b->ndim) {
        return false;
    }
    for (int i = 0; i < a->ndim; i++) {
        if (!tsi_axis_equal(&a->axis[i], &b->axis[i])) {
            return false;
        }
    }
    return true;
}

int64_t
tsi_grid_chunk_count(const struct tsi_grid *grid)
{
    int64_t count = 1;
    for (int i = 0; i < grid->ndim; i++) {
        if (!tsi_mul_i64(count, grid->axis[i].count, &count)) {
            return -1;
        }
    }
    return count;
}

// The product of one number an axis, where a zero wins over numbers that are too large; −1 if it
// does not fit int64.
static int64_t
product(const struct tsi_grid *grid, int64_t (*of)(const struct tsi_axis *axis))
{
    int64_t count = 1;
    bool fits = true;
    for (int i = 0; i < grid->ndim; i++) {
        const int64_t factor = of(&grid->axis[i]);
        if (factor == 0) {
            return 0;
        }
        fits = fits && tsi_mul_i64(count, factor, &count);
    }
    return fits ? count : -1;
}

static int64_t
axis_size(const struct tsi_axis *axis)
{
    return axis->size;
}

int64_t
tsi_grid_element_count(const struct tsi_grid *grid)
{
    return product(grid, axis_size);
}

int64_t
tsi_grid_chunk_elements_max(const struct tsi_grid *grid)
{
    return product(grid, tsi_axis_chunk_size_max);
}

void
tsi_grid_coords(const struct tsi_grid *grid, int64_t chunk, int64_t coords[TESS_NDIM_MAX])
{
    for (int i = grid->ndim - 1; i > 0; i--) {
        const int64_t above = chunk / grid->axis[i].count;
        coords[i] = chunk - above * grid->axis[i].count;
        chunk = above;
    }
    if (grid->ndim > 0) {
        coords[0] = chunk;
    }
}

int64_t
tsi_grid_chunk_at(const struct tsi_grid *grid, const int64_t coords[TESS_NDIM_MAX])
{
    int64_t chunk = 0;
    for (int i = 0; i < grid->ndim; i++) {
        chunk = chunk * grid->axis[i].count + coords[i];
    }
    return chunk;
}

int64_t
tsi_grid_box(const struct tsi_grid *grid, int64_t chunk, int64_t start[TESS_NDIM_MAX],
             int64_t size[TESS_NDIM_MAX])
{
    int64_t coords[TESS_NDIM_MAX];
    tsi_grid_coords(grid, chunk, coords);
    int64_t elements = 1;
    bool is_empty = false;
    for (int i = 0; i < grid->ndim; i++) {
        start[i] = tsi_axis_start(&grid->axis[i], coords[i]);
        size[i] = tsi_axis_chunk_size(&grid->axis[i], coords[i]);
        is_empty = is_empty || size[i] == 0;
        elements = is_empty ? 0 : elements * size[i];
    }
    return elements;
}

struct tess_shape
tsi_grid_shape(const struct tsi_grid *grid)
{
    struct tess_shape shape = {.ndim = grid->ndim};
    for (int i = 0; i < grid->ndim; i++) {
        shape.size[i] = grid->axis[i].size;
    }
    return shape;
}

bool
tsi_grid_copy(struct tsi_arena *arena, const struct tsi_grid *source, struct tsi_grid *copy)
{
    *copy = *source;
    for (int i = 0; i < source->ndim; i++) {
        struct tsi_axis *axis = &copy->axis[i];
        if (axis->bounds != NULL) {
            const size_t bytes = ((size_t)axis->count + 1) * sizeof *axis->bounds;
            axis->bounds = tsi_arena_copy(arena, axis->bounds, bytes);
            if (axis->bounds == NULL) {
                return false;
            }
        }
    }
    return true;
}
