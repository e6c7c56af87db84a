// SPDX-License-Identifier: Apache-2.0
//
// Matrix products: one task for each block of the loop (batch …, i, j, k), then, where there are
// several blocks along the inner axis, a tree of sums over k.
//
// The blocks are cut as the rows of the left operand, the columns of the right one, and the inner
// axis of the left one, of which a few chunks together make a block: their products are added up
// where they are made, which spares the writing and reading of partial products. Batch axes of one
// element are left out of the loop.

#include "engine/base/saturate.h"
#include "engine/plan/plan_build.h"

// A block takes so many chunks of the inner axis at most, and as many bytes of both operands. Both
// are bounds of what a task has to have in memory at once.
#define GROUP_BYTES_MAX ((int64_t)256 << 20)

// Blocks are not put together if there are fewer of them then, since they are what runs side by
// side.
#define BLOCKS_MIN 4

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

static void
find_matrices(struct tsi_plan_builder *builder, const struct tess_array *array,
              const struct product *product, struct tsi_input inputs[2])
{
    struct tess_array *base;
    inputs[0].map = tsi_plan_view_map(builder, array->operand[0], product->left_axes, &base);
    inputs[0].op = (uint16_t)tsi_plan_node(builder, base)->op;
    inputs[1].map = tsi_plan_view_map(builder, array->operand[1], product->right_axes, &base);
    inputs[1].op = (uint16_t)tsi_plan_node(builder, base)->op;
}

// Whether a block meets no two chunks of the operand but along the inner axis. One that does is
// copied together before it is multiplied, and is not made longer.
static bool
is_cut_alike(const struct tsi_plan_builder *builder, const struct tsi_grid *loop,
             const struct tsi_input *input)
{
    const struct tsi_grid *source = &builder->ops.items[input->op].array;
    for (int i = 0; i < input->map.ndim; i++) {
        const struct tsi_map_axis *rule = &input->map.axis[i];
        if (rule->axis != loop->ndim - 1 &&
            !tsi_map_axis_touches_one(rule, loop, &source->axis[i])) {
            return false;
        }
    }
    return true;
}

// Bytes of both operands that the largest block takes.
static int64_t
block_bytes(const struct tsi_grid *loop, tess_dtype dtype)
{
    const int k = loop->ndim - 1;
    int64_t batch = (int64_t)tess_dtype_bytes(dtype);
    for (int i = 0; i < k - 2; i++) {
        batch = tsi_saturate_multiply_i64(batch, tsi_axis_chunk_size_max(&loop->axis[i]));
    }
    const int64_t inner = tsi_saturate_multiply_i64(batch, tsi_axis_chunk_size_max(&loop->axis[k]));
    const int64_t left =
        tsi_saturate_multiply_i64(inner, tsi_axis_chunk_size_max(&loop->axis[k - 2]));
    const int64_t right =
        tsi_saturate_multiply_i64(inner, tsi_axis_chunk_size_max(&loop->axis[k - 1]));
    return left > INT64_MAX / 2 || right > INT64_MAX / 2 ? INT64_MAX : left + right;
}

// How many chunks of the inner axis make a block: a power of two.
static int64_t
choose_group(const struct tsi_grid *loop, tess_dtype dtype)
{
    const int k = loop->ndim - 1;
    const int64_t count = loop->axis[k].count;
    const int64_t bytes = block_bytes(loop, dtype);
    int64_t beside = 1; // blocks for each place on the inner axis
    for (int i = 0; i < k; i++) {
        beside = tsi_saturate_multiply_i64(beside, loop->axis[i].count);
    }
    int64_t group = 1;
    while (group < count && 2 * group <= TSI_MATMUL_GROUP_MAX &&
           tsi_saturate_multiply_i64(2 * group, bytes) <= GROUP_BYTES_MAX &&
           tsi_saturate_multiply_i64(beside, (count - 1) / (2 * group) + 1) >= BLOCKS_MIN) {
        group *= 2;
    }
    return group;
}

// Cuts the inner axis into blocks of `group` chunks. An axis with boundaries of its own stays as it
// is.
static void
group_inner_axis(struct tsi_axis *axis, int64_t group)
{
    if (group == 1 || axis->bounds != NULL) {
        return;
    }
    const int64_t first = axis->first + (group - 1) * axis->step;
    *axis = first >= axis->size ? tsi_axis_regular(axis->size, TESS_WHOLE_AXIS)
                                : tsi_axis_shifted(axis->size, first, group * axis->step);
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
    struct tsi_input inputs[2];
    find_matrices(builder, array, &product, inputs);
    if (is_cut_alike(builder, &product.loop, &inputs[0]) &&
        is_cut_alike(builder, &product.loop, &inputs[1])) {
        group_inner_axis(&product.loop.axis[k], choose_group(&product.loop, array->dtype));
    }
    const bool finish = product.loop.axis[k].count == 1;
    struct tsi_grid partial = product.loop;
    partial.axis[k] = tsi_axis_regular(product.loop.axis[k].count, 1);

    tess_status status = tsi_plan_add_op(builder, TSI_WORK_MATMUL, array, &product.loop,
                                         finish ? &array->grid : &partial, op);
    if (status == TESS_OK) {
        status = tsi_plan_set_inputs(builder, *op, inputs, 2);
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
