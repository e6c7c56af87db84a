// SPDX-License-Identifier: Apache-2.0
//
// Views that keep the elements of each axis together: transposes, repeats and new cuts.

#include "tessera/shape.h"

#include "engine/base/text.h"
#include "engine/graph/chunks.h"
#include "engine/graph/node.h"
#include "engine/graph/session.h"
#include "engine/graph/view.h"

static const char *
text_of(char out[TSI_SHAPE_TEXT_MAX], const struct tess_array *x)
{
    const struct tess_shape shape = tsi_grid_shape(&x->grid);
    return tsi_text_shape(out, shape.ndim, shape.size);
}

// Fills from[i], the axis of `x` that becomes axis i. A failed array if `order` is no permutation.
static struct tess_array *
resolve_order(struct tess_array *x, const struct tess_order *order, int from[TESS_NDIM_MAX])
{
    char text[TSI_SHAPE_TEXT_MAX];
    const int ndim = x->grid.ndim;
    if (order->ndim != ndim && order->ndim != TESS_EVERY_AXIS) {
        return tsi_node_fail(x->session, TESS_EAXIS, "transpose", "%s: an order of %d axes",
                             text_of(text, x), order->ndim);
    }
    uint32_t seen = 0;
    for (int i = 0; i < ndim; i++) {
        const int wanted = order->ndim == TESS_EVERY_AXIS ? ndim - 1 - i : order->axis[i];
        if (wanted >= ndim || wanted < -ndim) {
            return tsi_node_fail(x->session, TESS_EAXIS, "transpose",
                                 "%s: axis %d of an array of %d axes", text_of(text, x), wanted,
                                 ndim);
        }
        from[i] = wanted < 0 ? wanted + ndim : wanted;
        if ((seen >> from[i] & 1) != 0) {
            return tsi_node_fail(x->session, TESS_EAXIS, "transpose", "%s: axis %d is named twice",
                                 text_of(text, x), wanted);
        }
        seen |= UINT32_C(1) << from[i];
    }
    return NULL;
}

tess_array *(tess_transpose)(tess_array *x, tess_order order)
{
    int from[TESS_NDIM_MAX] = {0};
    struct tess_array *bad = tsi_node_bad(&x, 1, "transpose");
    if (bad == NULL) {
        bad = resolve_order(x, &order, from);
    }
    if (bad != NULL) {
        return bad;
    }
    struct tsi_grid grid = {.ndim = x->grid.ndim};
    struct tsi_node_view view = tsi_view_identity(x->grid.ndim);
    for (int i = 0; i < grid.ndim; i++) {
        grid.axis[i] = x->grid.axis[from[i]];
        view.axis[from[i]] = i;
    }
    return tsi_view_of(x, &view, &grid, "transpose");
}

// Fills `*grid`: the cut of `x` on axes that are not repeated, chosen chunks on the others. A
// failed array if `x` does not fit the shape.
static struct tess_array *
repeat_grid(struct tess_array *x, const struct tess_shape *shape, struct tsi_grid *grid)
{
    struct tsi_error error;
    const struct tess_chunks one_chunk = TESS_CHUNKS_NONE;
    char from[TSI_SHAPE_TEXT_MAX];
    char to[TSI_SHAPE_TEXT_MAX];
    text_of(from, x);
    const tess_status status =
        tsi_chunks_grid(NULL, shape, &one_chunk, x->dtype, TSI_CHUNKS_EVEN, grid, &error);
    if (status != TESS_OK) {
        return tsi_node_fail(x->session, status, "broadcast_to", "%s to %s", from, error.text);
    }
    uint32_t repeated = 0;
    const int missing = grid->ndim - x->grid.ndim;
    bool fits = missing >= 0;
    for (int i = 0; i < grid->ndim && fits; i++) {
        const struct tsi_axis *axis = i >= missing ? &x->grid.axis[i - missing] : NULL;
        if (axis != NULL && axis->size == grid->axis[i].size) {
            grid->axis[i] = *axis;
        } else {
            fits = axis == NULL || axis->size == 1;
            repeated |= UINT32_C(1) << i;
        }
    }
    if (!fits) {
        tsi_text_shape(to, shape->ndim, shape->size);
        return tsi_node_fail(x->session, TESS_ESHAPE, "broadcast_to", "%s does not fit %s", from,
                             to);
    }
    tsi_chunks_choose(grid, repeated, x->dtype, TSI_CHUNKS_EVEN);
    return NULL;
}

tess_array *(tess_broadcast_to)(tess_array *x, tess_shape shape)
{
    struct tsi_grid grid;
    struct tess_array *bad = tsi_node_bad(&x, 1, "broadcast_to");
    if (bad == NULL) {
        bad = repeat_grid(x, &shape, &grid);
    }
    return bad != NULL ? bad : tsi_view_repeat(x, &grid, "broadcast_to");
}

tess_array *(tess_rechunk)(tess_array *x, tess_chunks chunks)
{
    struct tess_array *array = tsi_node_bad(&x, 1, "rechunk");
    if (array != NULL) {
        return array;
    }
    struct tsi_error error;
    struct tsi_grid grid;
    struct tsi_arena scratch;
    tsi_arena_init(&scratch);
    const struct tess_shape shape = tsi_grid_shape(&x->grid);
    const tess_status status =
        tsi_chunks_grid(&scratch, &shape, &chunks, x->dtype, TSI_CHUNKS_EVEN, &grid, &error);
    if (status == TESS_OK) {
        const struct tsi_node_view view = tsi_view_identity(grid.ndim);
        array = tsi_view_of(x, &view, &grid, "rechunk");
    } else {
        array = tsi_node_fail(x->session, status, "rechunk", "%s", error.text);
    }
    tsi_arena_fini(&scratch);
    return array;
}
