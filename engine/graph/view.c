// SPDX-License-Identifier: Apache-2.0
//
// Views are affine maps of indices, and so are views of views and the indices of sources: maps are
// put together, not stacked. A place that an array without elements never reads may be out of every
// range, so sums and products here wrap; for elements that there are, every partial result is the
// index of an element or the difference of two, and fits.

#include "engine/graph/view.h"

#include <stdbool.h>

#include "engine/graph/cast.h"

static int64_t
multiply(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t
add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

struct tsi_node_view
tsi_view_identity(int ndim)
{
    struct tsi_node_view view = {{0}, {0}, {0}};
    for (int a = 0; a < ndim; a++) {
        view.axis[a] = a;
        view.stride[a] = 1;
    }
    return view;
}

// `outer` of an array that is itself `inner` of an array with `ndim` axes.
static struct tsi_node_view
compose(const struct tsi_node_view *inner, int ndim, const struct tsi_node_view *outer)
{
    struct tsi_node_view view = *inner;
    for (int a = 0; a < ndim; a++) {
        const int middle = inner->axis[a];
        if (middle >= 0) {
            view.axis[a] = outer->axis[middle];
            view.offset[a] =
                add(inner->offset[a], multiply(inner->stride[a], outer->offset[middle]));
            view.stride[a] = multiply(inner->stride[a], outer->stride[middle]);
        }
    }
    return view;
}

// Gives numbers that do not matter the value that node.h says, so that equal views are one node.
static void
settle(struct tsi_node_view *view, int ndim, const struct tsi_grid *grid)
{
    for (int a = 0; a < ndim; a++) {
        const int64_t size = view->axis[a] >= 0 ? grid->axis[view->axis[a]].size : 1;
        if (size <= 1) {
            view->stride[a] = 1;
        }
        if (size == 0) {
            view->offset[a] = 0;
        }
    }
}

static bool
is_identity(const struct tsi_node_view *view, const struct tsi_grid *from,
            const struct tsi_grid *to)
{
    if (!tsi_grid_equal(from, to)) {
        return false;
    }
    for (int a = 0; a < from->ndim; a++) {
        if (view->axis[a] != a || view->offset[a] != 0 || view->stride[a] != 1) {
            return false;
        }
    }
    return true;
}

// Whether an axis of more than one element is named by none of the `ndim` axes of the operand.
static bool
repeats(const struct tsi_node_view *view, int ndim, const struct tsi_grid *grid)
{
    uint32_t named = 0;
    for (int a = 0; a < ndim; a++) {
        if (view->axis[a] >= 0) {
            named |= UINT32_C(1) << view->axis[a];
        }
    }
    for (int i = 0; i < grid->ndim; i++) {
        if (grid->axis[i].size > 1 && (named >> i & 1) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_random(enum tsi_source source)
{
    return source == TSI_SOURCE_NORMAL || source == TSI_SOURCE_UNIFORM ||
           source == TSI_SOURCE_INTEGERS;
}

// The indices of a source, seen through `view`.
static struct tsi_node_source
view_source(const struct tsi_node_source *source, const struct tsi_node_view *view, int ndim,
            const struct tsi_grid *grid)
{
    struct tsi_node_source seen = *source;
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        seen.step[i] = 0;
    }
    for (int a = 0; a < ndim; a++) {
        seen.first = add(seen.first, multiply(source->step[a], view->offset[a]));
        const int axis = view->axis[a];
        if (axis >= 0 && grid->axis[axis].size > 1) {
            seen.step[axis] = multiply(source->step[a], view->stride[a]);
        }
    }
    return seen;
}

// A view of an array that is no view.
static struct tess_array *
make(struct tess_array *base, const struct tsi_node_view *view, const struct tsi_grid *grid,
     const char *name)
{
    const int ndim = base->grid.ndim;
    const bool is_source = base->kind == TSI_NODE_SOURCE;
    struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_VIEW,
        .dtype = base->dtype,
        .grid = *grid,
        .operand_count = 1,
        .operand = {base},
        .view = *view,
    };
    if (base->kind == TSI_NODE_CONST) {
        draft = *base;
        draft.grid = *grid;
    } else if (is_source &&
               !(is_random(base->source.source) && (base->kept || repeats(view, ndim, grid)))) {
        draft = *base;
        draft.grid = *grid;
        draft.source = view_source(&base->source, view, ndim, grid);
    }
    return tsi_node_make(base->session, &draft);
}

struct tess_array *
tsi_view_of(struct tess_array *x, const struct tsi_node_view *view, const struct tsi_grid *grid,
            const char *name)
{
    const bool is_view = x->kind == TSI_NODE_VIEW;
    struct tess_array *base = is_view ? x->operand[0] : x;
    const int ndim = base->grid.ndim;
    struct tsi_node_view whole = is_view ? compose(&x->view, ndim, view) : *view;
    settle(&whole, ndim, grid);
    if (is_identity(&whole, &base->grid, grid)) {
        return base;
    }
    struct tess_array *strong = tsi_cast_strong(base);
    return strong->status == TESS_OK ? make(strong, &whole, grid, name) : strong;
}

struct tess_array *
tsi_view_repeat(struct tess_array *x, const struct tsi_grid *grid, const char *name)
{
    const int missing = grid->ndim - x->grid.ndim;
    struct tsi_node_view view = tsi_view_identity(x->grid.ndim);
    for (int a = 0; a < x->grid.ndim; a++) {
        const bool is_repeated = x->grid.axis[a].size != grid->axis[missing + a].size;
        view.axis[a] = is_repeated ? -1 : missing + a;
    }
    return tsi_view_of(x, &view, grid, name);
}
