// SPDX-License-Identifier: Apache-2.0
//
// Matrix products: one task for each block of the loop (batch …, i, j, k), then, where the inner
// axis has several chunks, a tree of sums over k.
//
// The blocks are cut as the rows of the left operand, the columns of the right one, and the inner
// axis of the left one. Batch axes of one element are left out of the loop.

#include "engine/plan/plan_build.h"

struct product {
    struct tsi_grid loop;
    int left_axes[TESS_NDIM_MAX]; // loop axis of each axis of the left operand
    int right_axes[TESS_NDIM_MAX];
};

// Lays out the loop; false if it has more axes than a grid can have.
static bool
lay_out_loop(const struct tess_array *array, struct product *product)
{
    const struct tsi_grid *result = &array->grid;
    const int batch = result->ndim - 2;
    struct tsi_grid *loop = &product->loop;
    for (int a = 0; a < batch; a++) {
        product->left_axes[a] = product->right_axes[a] = -1;
        if (result->axis[a].size != 1) {
            if (loop->ndim == TESS_NDIM_MAX - 3) {
                return false;
            }
            product->left_axes[a] = product->right_axes[a] = loop->ndim;
            loop->axis[loop->ndim++] = result->axis[a];
        }
    }
    const int i = loop->ndim;
    loop->axis[i] = result->axis[batch];
    loop->axis[i + 1] = result->axis[batch + 1];
    loop->axis[i + 2] = array->operand[0]->grid.axis[batch + 1];
    loop->ndim += 3;
    product->left_axes[batch] = i;
    product->left_axes[batch + 1] = i + 2;
    product->right_axes[batch] = i + 2;
    product->right_axes[batch + 1] = i + 1;
    return true;
}

static tess_status
set_matrices(struct tsi_plan_builder *builder, const struct tess_array *array,
             const struct product *product, int op)
{
    struct tsi_input inputs[2];
    struct tess_array *base;
    inputs[0].map = tsi_plan_view_map(builder, array->operand[0], product->left_axes, &base);
    inputs[0].op = (uint16_t)tsi_plan_node(builder, base)->op;
    inputs[1].map = tsi_plan_view_map(builder, array->operand[1], product->right_axes, &base);
    inputs[1].op = (uint16_t)tsi_plan_node(builder, base)->op;
    return tsi_plan_set_inputs(builder, op, inputs, 2);
}

tess_status
tsi_plan_matmul(struct tsi_plan_builder *builder, const struct tess_array *array, int *op)
{
    struct product product = {0};
    if (!lay_out_loop(array, &product)) {
        return tsi_error_set(builder->error, TESS_ELIMIT,
                             "%s: more than %d batch axes of other sizes than 1", array->name,
                             TESS_NDIM_MAX - 3);
    }
    const int k = product.loop.ndim - 1;
    const bool finish = product.loop.axis[k].count == 1;
    struct tsi_grid partial = product.loop;
    partial.axis[k] = tsi_axis_regular(product.loop.axis[k].count, 1);

    tess_status status = tsi_plan_add_op(builder, TSI_WORK_MATMUL, array, &product.loop,
                                         finish ? &array->grid : &partial, op);
    if (status == TESS_OK) {
        status = set_matrices(builder, array, &product, *op);
    }
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_chunk_op *blocks = &builder->ops.items[*op];
    blocks->matmul.finish = finish;
    if (finish) {
        return TESS_OK;
    }
    blocks->is_planes = true;
    blocks->plane_reduction = array->dtype == TESS_BOOL ? TSI_REDUCE_ANY : TSI_REDUCE_SUM;
    const double folded = (double)product.loop.axis[k].size;
    return tsi_plan_fold(builder, *op, (uint32_t)1 << k, folded, 0.0, array, op);
}
