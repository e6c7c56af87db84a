// SPDX-License-Identifier: Apache-2.0
//
// Broadcasting by NumPy's rule: shapes are aligned at their last axes, and sizes of 1 and missing
// axes give way.

#include "engine/graph/broadcast.h"

#include <inttypes.h>
#include <stdio.h>

// The axis of `x` that lies `from_end` axes before the last that counts; NULL if it has none.
static const struct tsi_axis *
axis_from_end(const struct tess_array *x, int dropped, int from_end)
{
    const int axis = x->grid.ndim - dropped - 1 - from_end;
    return axis >= 0 ? &x->grid.axis[axis] : NULL;
}

// Whether an axis of an array of `count` elements decides more than the one found so far.
static bool
decides(const struct tsi_axis *axis, int64_t count, const struct tsi_axis *found,
        int64_t found_count)
{
    if (found == NULL || (axis->size != 1) != (found->size != 1)) {
        return found == NULL || axis->size != 1;
    }
    return count > found_count;
}

// The axis that the result has there. Of two sizes that differ and are not 1, NULL with a message.
static const struct tsi_axis *
find_axis(struct tess_array *const *operands, int count, int dropped, int from_end,
          struct tsi_error *error)
{
    const struct tsi_axis *found = NULL;
    int64_t found_count = 0;
    for (int i = 0; i < count; i++) {
        const struct tsi_axis *axis = axis_from_end(operands[i], dropped, from_end);
        if (axis == NULL) {
            continue;
        }
        if (found != NULL && axis->size != found->size && axis->size != 1 && found->size != 1) {
            tsi_error_set(error, TESS_ESHAPE,
                          "sizes %" PRId64 " and %" PRId64 " on axis %d do not broadcast",
                          found->size, axis->size, -1 - from_end - dropped);
            return NULL;
        }
        const int64_t elements = tsi_node_count(operands[i]);
        if (decides(axis, elements, found, found_count)) {
            found = axis;
            found_count = elements;
        }
    }
    return found;
}

tess_status
tsi_broadcast_grid(struct tess_array *const *operands, int count, int dropped,
                   struct tsi_grid *grid, struct tsi_error *error)
{
    *grid = (struct tsi_grid){.ndim = 0};
    for (int i = 0; i < count; i++) {
        const int ndim = operands[i]->grid.ndim - dropped;
        grid->ndim = ndim > grid->ndim ? ndim : grid->ndim;
    }
    for (int from_end = 0; from_end < grid->ndim; from_end++) {
        const struct tsi_axis *axis = find_axis(operands, count, dropped, from_end, error);
        if (axis == NULL) {
            return TESS_ESHAPE;
        }
        grid->axis[grid->ndim - 1 - from_end] = *axis;
    }
    return TESS_OK;
}

char *
tsi_broadcast_text(char out[TSI_OPERANDS_TEXT_MAX], struct tess_array *const *operands, int count)
{
    int used = 0;
    for (int i = 0; i < count; i++) {
        char shape_text[TSI_SHAPE_TEXT_MAX];
        const struct tess_shape shape = tsi_grid_shape(&operands[i]->grid);
        const char *separator = i == 0 ? "" : i == count - 1 ? " and " : ", ";
        used += snprintf(out + used, (size_t)(TSI_OPERANDS_TEXT_MAX - used), "%s%s", separator,
                         tsi_text_shape(shape_text, shape.ndim, shape.size));
    }
    return out;
}
