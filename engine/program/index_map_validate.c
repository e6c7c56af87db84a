// SPDX-License-Identifier: Apache-2.0
//
// The rules that an index map from a peer has to keep, and the names of its special cases.
//
// Offsets, strides times sizes, and extents are each at most NUMBER_MAX, and so are sizes of axes;
// so the sums of a few of them that index_map.c makes fit 64 bits.

#include "engine/program/index_map.h"

#include <stddef.h>

#include "engine/base/memory.h"

#define NUMBER_MAX (INT64_C(1) << 59)

static bool
is_moderate(int64_t number)
{
    return -NUMBER_MAX <= number && number <= NUMBER_MAX;
}

static tess_status
validate_axis(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
              const struct tsi_axis *source, bool is_empty, struct tsi_error *error)
{
    if (rule->axis < -1 || rule->axis >= loop->ndim) {
        return tsi_error_set(error, TESS_EPROTOCOL, "names axis %d of a loop of %d axes",
                             rule->axis, loop->ndim);
    }
    const int64_t size = rule->axis < 0 ? 1 : loop->axis[rule->axis].size;
    int64_t reach = 0;
    if (rule->extent < 1 || !is_moderate(rule->extent) || !is_moderate(rule->offset) ||
        !is_moderate(rule->stride) || !is_moderate(size) || !is_moderate(source->size) ||
        __builtin_mul_overflow(rule->stride, size, &reach) || !is_moderate(reach)) {
        return tsi_error_set(error, TESS_EPROTOCOL, "has an offset, stride or extent out of range");
    }
    if (rule->extent > 1 || is_empty) {
        return TESS_OK;
    }
    const int64_t last = rule->offset + (rule->axis < 0 ? 0 : rule->stride * (size - 1));
    if (rule->offset < 0 || rule->offset >= source->size || last < 0 || last >= source->size) {
        return tsi_error_set(error, TESS_EPROTOCOL, "goes from %lld to %lld on an axis of %lld",
                             (long long)rule->offset, (long long)last, (long long)source->size);
    }
    return TESS_OK;
}

static bool
has_empty_chunks(const struct tsi_grid *grid)
{
    for (int i = 0; i < grid->ndim; i++) {
        if (grid->axis[i].size == 0 || grid->axis[i].bounds != NULL) {
            return true;
        }
    }
    return false;
}

static bool
is_empty_chunk(const struct tsi_grid *grid, int64_t chunk)
{
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    return tsi_grid_box(grid, chunk, start, size) == 0;
}

// Rows that rise, of chunks below `limit`, none of which is empty.
static bool
are_rows_valid(const struct tsi_map_rows *rows, const struct tsi_grid *from,
               const struct tsi_grid *to)
{
    const int64_t count = tsi_grid_chunk_count(from);
    const int64_t limit = tsi_grid_chunk_count(to);
    const bool from_has_empty = has_empty_chunks(from);
    const bool to_has_empty = has_empty_chunks(to);
    if (rows->starts == NULL || rows->items == NULL || rows->starts[0] != 0) {
        return false;
    }
    for (int64_t row = 0; row < count; row++) {
        const uint32_t end = rows->starts[row + 1];
        if (end < rows->starts[row] ||
            (end > rows->starts[row] && from_has_empty && is_empty_chunk(from, row))) {
            return false;
        }
        for (uint32_t i = rows->starts[row]; i < end; i++) {
            if (rows->items[i] >= limit ||
                (i > rows->starts[row] && rows->items[i] <= rows->items[i - 1]) ||
                (to_has_empty && is_empty_chunk(to, rows->items[i]))) {
                return false;
            }
        }
    }
    return true;
}

// Whether `row` of `rows` holds `item`.
static bool
has_item(const struct tsi_map_rows *rows, int64_t row, uint32_t item)
{
    uint32_t low = rows->starts[row];
    uint32_t high = rows->starts[row + 1];
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (rows->items[middle] < item) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < rows->starts[row + 1] && rows->items[low] == item;
}

// Valid rows of the same number of pairs are each other's inverse if every pair of one is in the
// other.
static bool
are_inverse(const struct tsi_map_rows *deps, int64_t dep_rows, const struct tsi_map_rows *users,
            int64_t user_rows)
{
    if (deps->starts[dep_rows] != users->starts[user_rows]) {
        return false;
    }
    for (int64_t row = 0; row < dep_rows; row++) {
        for (uint32_t i = deps->starts[row]; i < deps->starts[row + 1]; i++) {
            if (!has_item(users, deps->items[i], (uint32_t)row)) {
                return false;
            }
        }
    }
    return true;
}

static tess_status
validate_explicit(const struct tsi_index_map *map, const struct tsi_grid *loop,
                  const struct tsi_grid *source, struct tsi_error *error)
{
    if (!are_rows_valid(&map->deps, loop, source) || !are_rows_valid(&map->users, source, loop)) {
        return tsi_error_set(error, TESS_EPROTOCOL,
                             "lists chunks that are not there, or unordered");
    }
    if (!are_inverse(&map->deps, tsi_grid_chunk_count(loop), &map->users,
                     tsi_grid_chunk_count(source))) {
        return tsi_error_set(error, TESS_EPROTOCOL, "lists users that are not the dependencies");
    }
    return TESS_OK;
}

tess_status
tsi_index_map_validate(const struct tsi_index_map *map, const struct tsi_grid *loop,
                       const struct tsi_grid *source, struct tsi_error *error)
{
    if (map->ndim != source->ndim) {
        return tsi_error_set(error, TESS_EPROTOCOL, "has %d axes, its source %d", map->ndim,
                             source->ndim);
    }
    if (map->is_explicit) {
        return validate_explicit(map, loop, source, error);
    }
    uint32_t named = 0;
    const bool is_empty = tsi_grid_element_count(loop) == 0;
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *rule = &map->axis[i];
        const tess_status status = validate_axis(rule, loop, &source->axis[i], is_empty, error);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "axis %d", i);
            return status;
        }
        const uint32_t bit = rule->axis < 0 ? 0 : UINT32_C(1) << rule->axis;
        if ((named & bit) != 0) {
            return tsi_error_set(error, TESS_EPROTOCOL, "names loop axis %d twice", rule->axis);
        }
        named |= bit;
    }
    return TESS_OK;
}

// Whether windows lie side by side, as in a tree.
static bool
is_tree_axis(const struct tsi_map_axis *rule, const struct tsi_grid *loop)
{
    const bool is_one = rule->axis < 0 || loop->axis[rule->axis].size <= 1;
    return rule->offset == 0 && (rule->stride == rule->extent || is_one);
}

// What is special about a map, for its name.
struct traits {
    bool is_window;
    bool is_tree; // if it is a window
    bool is_slice;
    bool is_permuted;
    bool is_recut;
    uint32_t named; // loop axes
};

static void
note_axis(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
          const struct tsi_axis *source, struct traits *traits)
{
    if (rule->extent > 1) {
        traits->is_window = true;
        traits->is_tree = traits->is_tree && is_tree_axis(rule, loop);
    } else if (rule->axis < 0) {
        traits->is_slice = traits->is_slice || source->size > 1;
    } else {
        const struct tsi_axis *cut = &loop->axis[rule->axis];
        const bool is_whole = rule->offset == 0 && rule->stride == 1 && cut->size == source->size;
        traits->is_slice = traits->is_slice || !is_whole;
        traits->is_recut = traits->is_recut || (is_whole && !tsi_axis_equal(cut, source));
    }
    if (rule->axis >= 0) {
        traits->is_permuted = traits->is_permuted || traits->named >> rule->axis > 0;
        traits->named |= UINT32_C(1) << rule->axis;
    }
}

// Whether loop indices that the map does not see repeat its elements.
static bool
is_repeated(const struct traits *traits, const struct tsi_grid *loop)
{
    for (int i = 0; i < loop->ndim; i++) {
        if ((traits->named >> i & 1) == 0 && loop->axis[i].size > 1) {
            return true;
        }
    }
    return false;
}

const char *
tsi_index_map_name(const struct tsi_index_map *map, const struct tsi_grid *loop,
                   const struct tsi_grid *source)
{
    struct traits traits = {.is_tree = true};
    if (map->is_explicit) {
        return "explicit";
    }
    for (int i = 0; i < map->ndim; i++) {
        note_axis(&map->axis[i], loop, &source->axis[i], &traits);
    }
    if (traits.is_window) {
        return traits.is_tree ? "tree" : "overlap";
    }
    if (traits.is_slice) {
        return "slice";
    }
    if (traits.is_permuted) {
        return "permute";
    }
    if (is_repeated(&traits, loop)) {
        return "broadcast";
    }
    return traits.is_recut ? "rechunk" : "identity";
}
