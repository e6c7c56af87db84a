// SPDX-License-Identifier: Apache-2.0
//
// Index maps as sets of chunks.
//
// Axes do not influence each other, so a set is a product of one set an axis. On an axis, loop
// index i touches the window of elements at offset + stride·i.
//
// Seen from a source chunk, the loop indices whose windows meet it are an interval, so its users
// are a range of chunks. Seen from a loop chunk, windows further apart than they are wide may step
// over source chunks: then the range has gaps, and each next member is found by the next element
// that a window touches. In both directions a listed axis may have empty chunks inside a range,
// which are gaps too; tsi_axis_find() never finds them.
//
// Validation keeps every offset, stride and size so small that no sum here overflows.

#include "engine/program/index_map.h"

#include <stddef.h>

#include "engine/base/check.h"

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Quotients rounded down and up, for a positive divisor.
static int64_t
divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static int64_t
divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b > 0 ? 1 : 0);
}

struct interval {
    int64_t from;
    int64_t to; // exclusive
};

static bool
is_empty(struct interval interval)
{
    return interval.from >= interval.to;
}

static struct interval
interval_of(const struct tsi_axis *axis, int64_t chunk)
{
    const int64_t start = tsi_axis_start(axis, chunk);
    return (struct interval){start, start + tsi_axis_chunk_size(axis, chunk)};
}

static int64_t
stride_of(const struct tsi_map_axis *rule)
{
    return rule->axis < 0 ? 0 : rule->stride;
}

// The loop indices among `loop` whose windows meet the elements `source`.
static struct interval
indices_that_meet(const struct tsi_map_axis *rule, struct interval loop, struct interval source)
{
    if (is_empty(source)) {
        return (struct interval){0, 0};
    }
    const int64_t stride = stride_of(rule);
    const int64_t first = source.from - rule->extent + 1 - rule->offset;
    const int64_t last = source.to - 1 - rule->offset;
    if (stride == 0) {
        return first <= 0 && 0 <= last ? loop : (struct interval){0, 0};
    }
    const int64_t from = stride > 0 ? divide_up(first, stride) : divide_up(-last, -stride);
    const int64_t end = (stride > 0 ? divide_down(last, stride) : divide_down(-first, -stride)) + 1;
    return (struct interval){larger(loop.from, from), smaller(loop.to, end)};
}

// The elements from the first to the last that the windows of `loop` touch, not cut to the source.
static struct interval
span_of(const struct tsi_map_axis *rule, struct interval loop)
{
    const int64_t a = stride_of(rule) * loop.from;
    const int64_t b = stride_of(rule) * (loop.to - 1);
    return (struct interval){rule->offset + smaller(a, b),
                             rule->offset + larger(a, b) + rule->extent};
}

// The first element from `element` on that a window of `loop` touches; it must be one there.
static int64_t
next_touched(const struct tsi_map_axis *rule, struct interval loop, int64_t element)
{
    const int64_t stride = stride_of(rule);
    int64_t index = loop.from;
    if (stride > 0) {
        index = larger(index, divide_up(element - rule->extent + 1 - rule->offset, stride));
    } else if (stride < 0) {
        const int64_t reach = rule->offset + rule->extent - 1 - element;
        index = smaller(loop.to - 1, divide_down(reach, -stride));
    }
    return larger(element, rule->offset + stride * index);
}

// Whether loop and source axis are joined chunk by chunk: equal cuts without empty chunks.
static bool
is_aligned(const struct tsi_map_axis *rule, const struct tsi_axis *loop,
           const struct tsi_axis *source)
{
    return rule->offset == 0 && rule->stride == 1 && rule->extent == 1 && loop->bounds == NULL &&
           source->bounds == NULL && loop->size > 0 && tsi_axis_equal(loop, source);
}

// Whether both axes are one chunk that is not empty, and the source axis is not a matter of the
// loop.
static bool
is_single(const struct tsi_map_axis *rule, const struct tsi_axis *loop,
          const struct tsi_axis *source)
{
    return rule->axis < 0 && rule->extent == 1 && loop->count == 1 && loop->size > 0 &&
           source->count == 1;
}

// Whether chunk c goes with chunk c, for grids of the same chunk counts without empty chunks.
static bool
is_identity(const struct tsi_index_map *map, const struct tsi_grid *loop,
            const struct tsi_grid *source)
{
    if (map->is_explicit || loop->ndim != source->ndim) {
        return false;
    }
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *rule = &map->axis[i];
        if (rule->axis == i ? !is_aligned(rule, &loop->axis[i], &source->axis[i])
                            : !is_single(rule, &loop->axis[i], &source->axis[i])) {
            return false;
        }
    }
    return true;
}

struct tsi_index_map
tsi_index_map_identity(const struct tsi_grid *grid)
{
    struct tsi_index_map map = {.ndim = grid->ndim};
    for (int i = 0; i < grid->ndim; i++) {
        map.axis[i] = (struct tsi_map_axis){.axis = i, .offset = 0, .stride = 1, .extent = 1};
    }
    return map;
}

// The first place from `place` on, on axis `axis`, that is in the set or beyond its range.
static int64_t
next_place(const struct tsi_chunk_set *set, int axis, int64_t place)
{
    if ((set->gaps >> axis & 1) == 0 || place > set->high[axis]) {
        return place;
    }
    const struct tsi_axis *cut = &set->grid->axis[axis];
    int64_t element = tsi_axis_start(cut, place);
    if (set->of_deps) {
        const struct interval loop = {set->from[axis], set->to[axis]};
        element = next_touched(&set->map->axis[axis], loop, element);
    }
    return element < cut->size ? tsi_axis_find(cut, element) : set->high[axis] + 1;
}

// Sets the range of axis `axis`; false if nothing is in it.
static bool
set_range(struct tsi_chunk_set *set, int axis, int64_t low, int64_t high, bool has_gaps)
{
    set->gaps |= has_gaps ? UINT32_C(1) << axis : 0;
    set->high[axis] = high;
    set->low[axis] = next_place(set, axis, low);
    set->at[axis] = set->low[axis];
    return set->low[axis] <= high;
}

// Whether source axis `source` may have chunks between `low` and `high` that no window meets.
// Without empty chunks, windows that touch each other leave none out. Windows of one element leave
// none out that is as wide as their distance; the first and the last chunk, which may be narrower,
// hold an end of the span.
static bool
may_have_gaps(const struct tsi_map_axis *rule, const struct tsi_axis *source, int64_t low,
              int64_t high)
{
    if (source->bounds != NULL) {
        return true;
    }
    const int64_t stride = stride_of(rule);
    const int64_t distance = stride < 0 ? -stride : stride;
    if (distance <= rule->extent) {
        return false;
    }
    return rule->extent > 1 || (high - low > 1 && source->step < distance);
}

// The range of source axis `axis` that the loop indices `loop` touch.
static bool
set_deps_range(struct tsi_chunk_set *set, int axis, struct interval loop)
{
    const struct tsi_map_axis *rule = &set->map->axis[axis];
    const struct tsi_axis *source = &set->grid->axis[axis];
    const struct interval span = span_of(rule, loop);
    const int64_t first = larger(span.from, 0);
    const int64_t last = smaller(span.to, source->size) - 1;
    if (first > last) {
        return false;
    }
    const int64_t low = tsi_axis_find(source, first);
    const int64_t high = last == first ? low : tsi_axis_find(source, last);
    set->from[axis] = loop.from;
    set->to[axis] = loop.to;
    return set_range(set, axis, low, high, may_have_gaps(rule, source, low, high));
}

// Fills the ranges of a set of dependencies; false if it is empty.
static bool
find_deps(struct tsi_chunk_set *set, const struct tsi_grid *loop, int64_t chunk)
{
    int64_t place[TESS_NDIM_MAX];
    tsi_grid_coords(loop, chunk, place);
    for (int i = 0; i < loop->ndim; i++) {
        if (tsi_axis_chunk_size(&loop->axis[i], place[i]) == 0) {
            return false;
        }
    }
    for (int i = 0; i < set->ndim; i++) {
        const struct tsi_map_axis *rule = &set->map->axis[i];
        const int named = rule->axis;
        bool found = false;
        if (named < 0) {
            found = set_deps_range(set, i, (struct interval){0, 1});
        } else if (is_aligned(rule, &loop->axis[named], &set->grid->axis[i])) {
            found = set_range(set, i, place[named], place[named], false);
        } else {
            found = set_deps_range(set, i, interval_of(&loop->axis[named], place[named]));
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

// The range of the loop axis that `rule` names, whose windows meet the elements `source`.
static bool
set_users_range(struct tsi_chunk_set *set, const struct tsi_map_axis *rule, struct interval source)
{
    const struct tsi_axis *loop = &set->grid->axis[rule->axis];
    const struct interval all = {0, loop->size};
    const struct interval indices = indices_that_meet(rule, all, source);
    if (is_empty(indices)) {
        return false;
    }
    const bool is_one = indices.to - indices.from == 1;
    const int64_t low = tsi_axis_find(loop, indices.from);
    const int64_t high = is_one ? low : tsi_axis_find(loop, indices.to - 1);
    return set_range(set, rule->axis, low, high, loop->bounds != NULL);
}

// The range of the loop axes that no source axis names: all of them.
static bool
set_free_ranges(struct tsi_chunk_set *set, uint32_t named)
{
    for (int i = 0; i < set->ndim; i++) {
        const struct tsi_axis *loop = &set->grid->axis[i];
        if (loop->size == 0) {
            return false;
        }
        if ((named >> i & 1) == 0) {
            const int64_t last = tsi_axis_find(loop, loop->size - 1);
            set_range(set, i, 0, last, loop->bounds != NULL);
        }
    }
    return true;
}

// Fills the ranges of a set of users; false if it is empty.
static bool
find_users(struct tsi_chunk_set *set, const struct tsi_grid *source, int64_t chunk)
{
    int64_t place[TESS_NDIM_MAX];
    tsi_grid_coords(source, chunk, place);
    uint32_t named = 0;
    for (int i = 0; i < source->ndim; i++) {
        const struct tsi_map_axis *rule = &set->map->axis[i];
        const struct tsi_axis *cut = &source->axis[i];
        bool found = false;
        if (rule->axis < 0) {
            const struct interval any = {0, 1};
            found = !is_empty(indices_that_meet(rule, any, interval_of(cut, place[i])));
        } else if (is_aligned(rule, &set->grid->axis[rule->axis], cut)) {
            found = set_range(set, rule->axis, place[i], place[i], false);
        } else {
            found = set_users_range(set, rule, interval_of(cut, place[i]));
        }
        if (!found) {
            return false;
        }
        named |= rule->axis < 0 ? 0 : UINT32_C(1) << rule->axis;
    }
    return set_free_ranges(set, named);
}

// Makes `set` the row of `chunk`.
static void
set_to_row(struct tsi_chunk_set *set, const struct tsi_map_rows *rows, int64_t chunk)
{
    set->row = rows->items + rows->starts[chunk];
    set->row_end = rows->items + rows->starts[chunk + 1];
    set->done = set->row == set->row_end;
}

static void
start_set(struct tsi_chunk_set *set, const struct tsi_index_map *map, const struct tsi_grid *grid,
          bool of_deps)
{
    set->grid = grid;
    set->map = map;
    set->done = false;
    set->of_deps = of_deps;
    set->ndim = grid->ndim;
    set->gaps = 0;
    set->row = NULL;
    set->row_end = NULL;
}

// Fields of axes that the set does not have stay unset: clearing them would take longer than all
// the rest of a common set.
struct tsi_chunk_set
tsi_index_map_deps(const struct tsi_index_map *map, const struct tsi_grid *loop,
                   const struct tsi_grid *source, int64_t chunk)
{
    struct tsi_chunk_set set;
    start_set(&set, map, source, true);
    if (map->is_explicit) {
        set_to_row(&set, &map->deps, chunk);
    } else if (is_identity(map, loop, source)) {
        set.ndim = 0;
        set.chunk = chunk;
    } else if (find_deps(&set, loop, chunk)) {
        set.chunk = tsi_grid_chunk_at(source, set.at);
    } else {
        set.done = true;
    }
    return set;
}

struct tsi_chunk_set
tsi_index_map_users(const struct tsi_index_map *map, const struct tsi_grid *loop,
                    const struct tsi_grid *source, int64_t chunk)
{
    struct tsi_chunk_set set;
    start_set(&set, map, loop, false);
    if (map->is_explicit) {
        set_to_row(&set, &map->users, chunk);
    } else if (is_identity(map, loop, source)) {
        set.ndim = 0;
        set.chunk = chunk;
    } else if (find_users(&set, source, chunk)) {
        set.chunk = tsi_grid_chunk_at(loop, set.at);
    } else {
        set.done = true;
    }
    return set;
}

// Moves on by one place: the last axis first, and the axes before it when it is at its end.
static void
advance(struct tsi_chunk_set *set)
{
    for (int i = set->ndim - 1; i >= 0; i--) {
        const int64_t place = next_place(set, i, set->at[i] + 1);
        if (place <= set->high[i]) {
            const int64_t moved = place - set->at[i];
            set->at[i] = place;
            set->chunk =
                i == set->ndim - 1 ? set->chunk + moved : tsi_grid_chunk_at(set->grid, set->at);
            return;
        }
        set->at[i] = set->low[i];
    }
    set->done = true;
}

bool
tsi_chunk_set_next(struct tsi_chunk_set *set, int64_t *chunk)
{
    if (set->done) {
        return false;
    }
    if (set->row != NULL) {
        *chunk = *set->row++;
        set->done = set->row == set->row_end;
        return true;
    }
    *chunk = set->chunk;
    advance(set);
    return true;
}

// How many places axis `axis` has from `place` on.
static int64_t
count_places(const struct tsi_chunk_set *set, int axis, int64_t place)
{
    if ((set->gaps >> axis & 1) == 0) {
        return set->high[axis] - place + 1;
    }
    int64_t count = 0;
    for (int64_t at = place; at <= set->high[axis]; at = next_place(set, axis, at + 1)) {
        count++;
    }
    return count;
}

int64_t
tsi_chunk_set_count(const struct tsi_chunk_set *set)
{
    if (set->done) {
        return 0;
    }
    if (set->row != NULL) {
        return set->row_end - set->row;
    }
    // What is left after this place is, for each axis, its further places times all places of the
    // axes behind it.
    int64_t left = 1;
    int64_t behind = 1;
    for (int i = set->ndim - 1; i >= 0; i--) {
        const int64_t further = count_places(set, i, set->at[i]) - 1;
        left += further * behind;
        behind *= set->at[i] == set->low[i] ? further + 1 : count_places(set, i, set->low[i]);
    }
    return left;
}

// Whether every source boundary between the first and the last element that a loop axis touches is
// a loop boundary, so that no loop chunk touches two source chunks. For stride 1 and closed forms.
static bool
is_cut_at_source(const struct tsi_map_axis *rule, const struct tsi_axis *loop,
                 const struct tsi_axis *source)
{
    const int64_t first_chunk = tsi_axis_find(source, rule->offset);
    const int64_t last_chunk = tsi_axis_find(source, rule->offset + loop->size - 1);
    if (first_chunk == last_chunk) {
        return true;
    }
    // From here on the source is cut at inner, inner + step, …, the loop at loop_first,
    // loop_first + loop step, … of the source.
    const int64_t inner = tsi_axis_start(source, first_chunk + 1);
    const int64_t loop_first = rule->offset + loop->first;
    const bool repeats = last_chunk - first_chunk == 1 || source->step % loop->step == 0;
    return loop->count > 1 && inner >= loop_first && (inner - loop_first) % loop->step == 0 &&
           repeats;
}

bool
tsi_map_axis_touches_one(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
                         const struct tsi_axis *source)
{
    if (source->count == 1) {
        return true;
    }
    if (rule->extent != 1) {
        return false;
    }
    if (rule->axis < 0 || rule->stride == 0) {
        return true;
    }
    const struct tsi_axis *cut = &loop->axis[rule->axis];
    if (cut->size == 0) {
        return true;
    }
    if (cut->bounds == NULL && (cut->step == 1 || cut->size == 1)) {
        return true;
    }
    if (rule->stride != 1) {
        return false;
    }
    if (cut->bounds != NULL || source->bounds != NULL) {
        return rule->offset == 0 && tsi_axis_equal(cut, source);
    }
    return is_cut_at_source(rule, cut, source);
}
