// SPDX-License-Identifier: Apache-2.0
//
// The matrix product. An operand of one axis becomes a matrix by a view, and a view takes the extra
// axis from the result again, so that the node itself knows matrices only.

#include "tessera/linalg.h"

#include <inttypes.h>

#include "engine/graph/broadcast.h"
#include "engine/graph/cast.h"
#include "engine/graph/node.h"
#include "engine/graph/view.h"

enum { MATRIX_AXES = 2 };

// A vector as a matrix of one row (`axis` 0) or one column (`axis` 1); a matrix as it is.
static struct tess_array *
as_matrix(struct tess_array *x, int axis)
{
    if (x->grid.ndim >= MATRIX_AXES) {
        return x;
    }
    struct tsi_grid grid = {.ndim = MATRIX_AXES};
    struct tsi_node_view view = tsi_view_identity(1);
    view.axis[0] = 1 - axis;
    grid.axis[axis] = tsi_axis_regular(1, TESS_WHOLE_AXIS);
    grid.axis[1 - axis] = x->grid.axis[0];
    return tsi_view_of(x, &view, &grid, "matmul");
}

// `x` without the axes that as_matrix() added to the operands.
static struct tess_array *
drop_axes(struct tess_array *x, bool drop_row, bool drop_column)
{
    const int ndim = x->grid.ndim;
    struct tsi_grid grid = {.ndim = 0};
    struct tsi_node_view view = tsi_view_identity(ndim);
    for (int a = 0; a < ndim; a++) {
        if ((a == ndim - 2 && drop_row) || (a == ndim - 1 && drop_column)) {
            view.axis[a] = -1;
        } else {
            view.axis[a] = grid.ndim;
            grid.axis[grid.ndim++] = x->grid.axis[a];
        }
    }
    return tsi_view_of(x, &view, &grid, "matmul");
}

// `x` in `dtype` with the leading axes of `batch` and its own matrix axes.
static struct tess_array *
bring(struct tess_array *x, tess_dtype dtype, const struct tsi_grid *batch)
{
    struct tsi_grid grid = *batch;
    grid.axis[grid.ndim++] = x->grid.axis[x->grid.ndim - 2];
    grid.axis[grid.ndim++] = x->grid.axis[x->grid.ndim - 1];
    struct tess_array *failed = tsi_node_too_large(x->session, &grid, dtype, "matmul");
    if (failed != NULL) {
        return failed;
    }
    struct tess_array *converted = tsi_cast_to(x, dtype);
    return converted->status == TESS_OK ? tsi_view_repeat(converted, &grid, "broadcast_to")
                                        : converted;
}

// The product of two matrices, or of stacks of them that are broadcast to `batch`.
static struct tess_array *
multiply(struct tess_array *x, struct tess_array *y, const struct tsi_grid *batch)
{
    const tess_dtype dtype = tess_dtype_promote(x->dtype, y->dtype);
    struct tsi_grid grid = *batch;
    grid.axis[grid.ndim++] = x->grid.axis[x->grid.ndim - 2];
    grid.axis[grid.ndim++] = y->grid.axis[y->grid.ndim - 1];
    struct tess_array *left = bring(x, dtype, batch);
    if (left->status != TESS_OK) {
        return left;
    }
    struct tess_array *right = bring(y, dtype, batch);
    if (right->status != TESS_OK) {
        return right;
    }
    const struct tess_array draft = {
        .name = "matmul",
        .kind = TSI_NODE_MATMUL,
        .dtype = dtype,
        .grid = grid,
        .operand_count = 2,
        .operand = {left, right},
    };
    return tsi_node_make(x->session, &draft);
}

// A failed array if the shapes allow no product, else NULL and the leading axes of it in `*batch`.
static struct tess_array *
check_shapes(struct tess_array *const operands[2], struct tess_array *const matrices[2],
             struct tsi_grid *batch)
{
    char text[TSI_OPERANDS_TEXT_MAX];
    struct tess_session *session = operands[0]->session;
    const struct tsi_grid *x = &matrices[0]->grid;
    const struct tsi_grid *y = &matrices[1]->grid;
    struct tsi_error error;
    tsi_broadcast_text(text, operands, 2);
    const int64_t left = x->axis[x->ndim - 1].size;
    const int64_t right = y->axis[y->ndim - 2].size;
    if (left != right) {
        return tsi_node_fail(session, TESS_ESHAPE, "matmul",
                             "%s: inner sizes %" PRId64 " and %" PRId64 " differ", text, left,
                             right);
    }
    if (tsi_broadcast_grid(matrices, 2, MATRIX_AXES, batch, &error) != TESS_OK) {
        return tsi_node_fail(session, TESS_ESHAPE, "matmul", "%s: %s", text, error.text);
    }
    for (int i = 0; i < batch->ndim; i++) {
        if (batch->axis[i].size == 1) {
            batch->axis[i] = tsi_axis_regular(1, TESS_WHOLE_AXIS);
        }
    }
    return NULL;
}

tess_array *(tess_matmul)(tess_array *x, tess_array *y)
{
    struct tess_array *const operands[2] = {x, y};
    struct tess_array *bad = tsi_node_bad(operands, 2, "matmul");
    if (bad != NULL) {
        return bad;
    }
    if (x->grid.ndim == 0 || y->grid.ndim == 0) {
        char text[TSI_OPERANDS_TEXT_MAX];
        return tsi_node_fail(x->session, TESS_ESHAPE, "matmul", "%s: an operand has no axes",
                             tsi_broadcast_text(text, operands, 2));
    }
    struct tess_array *left = as_matrix(x, 0);
    if (left->status != TESS_OK) {
        return left;
    }
    struct tess_array *right = as_matrix(y, 1);
    if (right->status != TESS_OK) {
        return right;
    }
    struct tsi_grid batch;
    bad = check_shapes(operands, (struct tess_array *[]){left, right}, &batch);
    if (bad != NULL) {
        return bad;
    }
    struct tess_array *product = multiply(left, right, &batch);
    const bool drop_row = x->grid.ndim == 1;
    const bool drop_column = y->grid.ndim == 1;
    if (product->status != TESS_OK || (!drop_row && !drop_column)) {
        return product;
    }
    return drop_axes(product, drop_row, drop_column);
}
