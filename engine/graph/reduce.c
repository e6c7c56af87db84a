// SPDX-License-Identifier: Apache-2.0
//
// Reductions: one constructor for all of them.

#include "tessera/reduce.h"

#include "engine/base/text.h"
#include "engine/graph/cast.h"
#include "engine/graph/node.h"
#include "engine/graph/session.h"

// Where a set of axes has the axes that count from the last, −16 first.
enum { NEGATIVE_SHIFT = 32 };

static const tess_axes low_axes = TESS_AXES_ALL;
static const tess_axes high_axes = TESS_AXES_ALL << NEGATIVE_SHIFT;

// An axis in `axes`, negative ones as they were written, that an array of `ndim` axes has not.
static bool
find_missing(tess_axes axes, int ndim, int *missing)
{
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        const bool is_all = (axes & low_axes) == low_axes;
        if (!is_all && i >= ndim && (axes >> i & 1) != 0) {
            *missing = i;
            return true;
        }
        if (i + 1 > ndim && (axes & TESS_AXIS(-1 - i)) != 0) {
            *missing = -1 - i;
            return true;
        }
    }
    return false;
}

// The set as one bit for each axis of `x` in `*folded`; a failed array if it is none of its sets.
static struct tess_array *
resolve(struct tess_array *x, const char *name, const char *shape, tess_axes axes, uint32_t *folded)
{
    const int ndim = x->grid.ndim;
    if ((axes & ~(low_axes | high_axes | TESS_KEEPDIMS)) != 0) {
        return tsi_node_fail(x->session, TESS_EINVAL, name,
                             "%s: the set of axes has one that no array can have", shape);
    }
    int missing = 0;
    if (find_missing(axes, ndim, &missing)) {
        return tsi_node_fail(x->session, TESS_EAXIS, name, "%s: axis %d of an array of %d axes",
                             shape, missing, ndim);
    }
    const tess_axes negative = (axes & high_axes) >> NEGATIVE_SHIFT;
    const tess_axes counted = negative >> (TESS_NDIM_MAX - ndim);
    const tess_axes there = ((tess_axes)1 << ndim) - 1;
    *folded = (uint32_t)(((axes & low_axes) | counted) & there);
    return NULL;
}

// The cut of the result: that of the axes that stay.
static struct tsi_grid
result_grid(const struct tsi_grid *grid, uint32_t folded, bool keepdims)
{
    struct tsi_grid result = {.ndim = 0};
    for (int i = 0; i < grid->ndim; i++) {
        if ((folded >> i & 1) == 0) {
            result.axis[result.ndim++] = grid->axis[i];
        } else if (keepdims) {
            result.axis[result.ndim++] = tsi_axis_regular(1, TESS_WHOLE_AXIS);
        }
    }
    return result;
}

// Whether there is a result whose elements are made of nothing.
static bool
folds_nothing(const struct tsi_grid *grid, uint32_t folded, const struct tsi_grid *result)
{
    bool nothing = false;
    for (int i = 0; i < grid->ndim; i++) {
        nothing = nothing || ((folded >> i & 1) != 0 && grid->axis[i].size == 0);
    }
    return nothing && tsi_grid_element_count(result) > 0;
}

static struct tess_array *
reduce(enum tsi_reduction reduction, struct tess_array *x, tess_axes axes, double ddof)
{
    const char *name = tsi_reduction_name(reduction);
    struct tess_array *bad = tsi_node_bad(&x, 1, name);
    if (bad != NULL) {
        return bad;
    }
    x = tsi_cast_strong(x);
    if (x->status != TESS_OK) {
        return x;
    }
    char shape_text[TSI_SHAPE_TEXT_MAX];
    const struct tess_shape shape = tsi_grid_shape(&x->grid);
    tsi_text_shape(shape_text, shape.ndim, shape.size);
    uint32_t folded = 0;
    bad = resolve(x, name, shape_text, axes, &folded);
    if (bad != NULL) {
        return bad;
    }
    const bool keepdims = (axes & TESS_KEEPDIMS) != 0;
    const struct tess_array draft = {
        .name = name,
        .kind = TSI_NODE_REDUCE,
        .dtype = tsi_reduction_result_dtype(reduction, x->dtype),
        .grid = result_grid(&x->grid, folded, keepdims),
        .operand_count = 1,
        .operand = {x},
        .reduce = {reduction, folded, keepdims, ddof},
    };
    if (!tsi_reduction_allows_empty(reduction) && folds_nothing(&x->grid, folded, &draft.grid)) {
        return tsi_node_fail(x->session, TESS_ESHAPE, name, "%s: there is nothing to fold",
                             shape_text);
    }
    return tsi_node_make(x->session, &draft);
}

tess_array *(tess_sum)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_SUM, x, axes, 0.0);
}

tess_array *(tess_prod)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_PROD, x, axes, 0.0);
}

tess_array *(tess_mean)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_MEAN, x, axes, 0.0);
}

tess_array *(tess_var)(tess_array *x, tess_axes axes, double ddof)
{
    return reduce(TSI_REDUCE_VAR, x, axes, ddof);
}

tess_array *(tess_std)(tess_array *x, tess_axes axes, double ddof)
{
    return reduce(TSI_REDUCE_STD, x, axes, ddof);
}

tess_array *(tess_min)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_MIN, x, axes, 0.0);
}

tess_array *(tess_max)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_MAX, x, axes, 0.0);
}

tess_array *(tess_any)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_ANY, x, axes, 0.0);
}

tess_array *(tess_all)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_ALL, x, axes, 0.0);
}

tess_array *(tess_argmin)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_ARGMIN, x, axes, 0.0);
}

tess_array *(tess_argmax)(tess_array *x, tess_axes axes)
{
    return reduce(TSI_REDUCE_ARGMAX, x, axes, 0.0);
}
