// SPDX-License-Identifier: Apache-2.0
//
// What each kind of work asks of its operation: how loop grid, array grid and the arrays of its
// inputs belong together. Everything here compares axes; the maps are valid already.

#include <math.h>

#include "engine/base/dtype.h"
#include "engine/program/validate.h"

static tess_status
broken(struct tsi_error *error, const char *rule)
{
    return tsi_error_set(error, TESS_EPROTOCOL, "%s", rule);
}

bool
tsi_axis_is_unit(const struct tsi_axis *axis, int64_t count)
{
    return axis->bounds == NULL && axis->size == count && axis->count == count;
}

// The next axis from `axis` on that counts in a comparison.
static int
next_axis(const struct tsi_grid *grid, uint32_t dropped, int axis)
{
    while (axis < grid->ndim &&
           ((dropped >> axis & 1) != 0 || tsi_axis_is_unit(&grid->axis[axis], 1))) {
        axis++;
    }
    return axis;
}

bool
tsi_grid_agrees(const struct tsi_grid *loop, uint32_t dropped, const struct tsi_grid *array)
{
    int a = next_axis(loop, dropped, 0);
    int b = next_axis(array, 0, 0);
    while (a < loop->ndim && b < array->ndim && tsi_axis_equal(&loop->axis[a], &array->axis[b])) {
        a = next_axis(loop, dropped, a + 1);
        b = next_axis(array, 0, b + 1);
    }
    return a == loop->ndim && b == array->ndim;
}

tess_status
tsi_fold_validate(const struct tsi_chunk_op *op, const struct tsi_fold_rule *rule,
                  struct tsi_error *error)
{
    if (rule->reduction >= TSI_REDUCE_COUNT || !tsi_dtype_is_valid(rule->dtype)) {
        return broken(error, "it folds by an unknown reduction or type");
    }
    if (rule->axes >> op->loop.ndim != 0) {
        return broken(error, "it folds an axis that it does not have");
    }
    if (!isfinite(rule->folded) || rule->folded < 0) {
        return broken(error, "it folds an impossible number of elements");
    }
    if (op->is_planes == rule->finish) {
        return broken(error, "it must tell either accumulators or results");
    }
    if (op->is_planes &&
        ((int)op->plane_reduction != rule->reduction || op->dtype != rule->dtype)) {
        return broken(error, "its accumulators are not those of its reduction");
    }
    return TESS_OK;
}

static tess_status
validate_leaf(const struct tsi_chunk_op *op, struct tsi_error *error)
{
    if (op->input_count != 0 || op->is_planes) {
        return broken(error, "an array from elsewhere has inputs or accumulators");
    }
    if (!tsi_grid_equal(&op->loop, &op->array)) {
        return broken(error, "its loop is not its array");
    }
    if (op->work == TSI_WORK_KEPT &&
        op->kept.base > TSI_PROGRAM_TASKS_MAX - (uint32_t)tsi_grid_chunk_count(&op->loop)) {
        return broken(error, "its kept chunks have impossible numbers");
    }
    if (op->work == TSI_WORK_FILE &&
        (tsi_grid_chunk_count(&op->loop) != 1 || op->file.data_offset < 0 ||
         op->file.data_offset > INT64_MAX / 4)) {
        return broken(error, "its file has several chunks or an impossible start");
    }
    return TESS_OK;
}

// A folded axis takes windows side by side that cover the source, which has one element a chunk.
static bool
is_folded_axis(const struct tsi_map_axis *rule, const struct tsi_axis *loop,
               const struct tsi_axis *source)
{
    return rule->offset == 0 && rule->stride == rule->extent &&
           tsi_axis_is_unit(source, source->size) &&
           tsi_axis_is_unit(loop, (source->size - 1) / rule->extent + 1);
}

static bool
is_carried_axis(const struct tsi_map_axis *rule, const struct tsi_axis *loop,
                const struct tsi_axis *source)
{
    return rule->offset == 0 && rule->stride == 1 && rule->extent == 1 &&
           tsi_axis_equal(loop, source);
}

static tess_status
validate_fold(const struct tsi_program *program, const struct tsi_chunk_op *op,
              struct tsi_error *error)
{
    const struct tsi_work_fold *fold = &op->fold;
    const struct tsi_fold_rule rule = {fold->reduction, fold->dtype, fold->finish, fold->axes,
                                       fold->folded};
    const tess_status status = tsi_fold_validate(op, &rule, error);
    if (status != TESS_OK) {
        return status;
    }
    if (op->input_count != 1) {
        return broken(error, "a fold has one input");
    }
    const struct tsi_index_map *map = &op->inputs[0].map;
    const struct tsi_chunk_op *source = &program->ops[op->inputs[0].op];
    if (!source->is_planes || (int)source->plane_reduction != fold->reduction ||
        source->dtype != fold->dtype) {
        return broken(error, "its input is not accumulators of its reduction");
    }
    if (source->array.ndim != op->loop.ndim) {
        return broken(error, "its input has another number of axes");
    }
    for (int i = 0; i < op->loop.ndim; i++) {
        const struct tsi_axis *loop = &op->loop.axis[i];
        const struct tsi_axis *from = &source->array.axis[i];
        const bool is_folded = (fold->axes >> i & 1) != 0;
        if (map->axis[i].axis != i || (is_folded ? !is_folded_axis(&map->axis[i], loop, from)
                                                 : !is_carried_axis(&map->axis[i], loop, from))) {
            return tsi_error_set(error, TESS_EPROTOCOL,
                                 "axis %d is neither folded side by side nor left as it is", i);
        }
    }
    const bool agrees = fold->finish ? tsi_grid_agrees(&op->loop, 0, &op->array)
                                     : tsi_grid_equal(&op->loop, &op->array);
    return agrees ? TESS_OK : broken(error, "its array is not cut as its loop");
}

// Whether the operand's elements vary along loop axis `axis`, or the axis has no second index.
static bool
has_axis(const struct tsi_chunk_op *op, const struct tsi_input *input, int axis)
{
    for (int i = 0; i < input->map.ndim; i++) {
        if (input->map.axis[i].axis == axis && input->map.axis[i].stride != 0) {
            return true;
        }
    }
    return op->loop.axis[axis].size <= 1;
}

// An operand is a view of its own row or column axis, of k and of batch axes, not of the axis of
// the other operand.
static tess_status
validate_operand(const struct tsi_program *program, const struct tsi_chunk_op *op, int index,
                 struct tsi_error *error)
{
    const struct tsi_input *input = &op->inputs[index];
    const int k = op->loop.ndim - 1;
    const int own = index == 0 ? k - 2 : k - 1;
    const int other = index == 0 ? k - 1 : k - 2;
    for (int i = 0; i < input->map.ndim; i++) {
        if (input->map.axis[i].extent != 1 || input->map.axis[i].axis == other) {
            return tsi_error_set(error, TESS_EPROTOCOL, "input %d is no operand of a product",
                                 index);
        }
    }
    if (!has_axis(op, input, own) || !has_axis(op, input, k)) {
        return tsi_error_set(error, TESS_EPROTOCOL, "input %d is no matrix of the product", index);
    }
    return program->ops[input->op].dtype == op->dtype
               ? TESS_OK
               : tsi_error_set(error, TESS_EPROTOCOL, "input %d has another type", index);
}

static bool
is_product_array(const struct tsi_chunk_op *op)
{
    const int k = op->loop.ndim - 1;
    if (op->matmul.finish) {
        return op->loop.axis[k].count == 1 &&
               tsi_grid_agrees(&op->loop, UINT32_C(1) << k, &op->array);
    }
    if (op->array.ndim != op->loop.ndim) {
        return false;
    }
    for (int i = 0; i < k; i++) {
        if (!tsi_axis_equal(&op->loop.axis[i], &op->array.axis[i])) {
            return false;
        }
    }
    return tsi_axis_is_unit(&op->array.axis[k], op->loop.axis[k].count);
}

static tess_status
validate_matmul(const struct tsi_program *program, const struct tsi_chunk_op *op,
                struct tsi_error *error)
{
    if (op->input_count != 2 || op->loop.ndim < 3) {
        return broken(error, "a product has two inputs and at least three axes");
    }
    for (int i = 0; i < 2; i++) {
        const tess_status status = validate_operand(program, op, i, error);
        if (status != TESS_OK) {
            return status;
        }
    }
    if (!is_product_array(op)) {
        return broken(error, "its array is not cut as its product");
    }
    if (op->is_planes == op->matmul.finish) {
        return broken(error, "it must tell either accumulators or products");
    }
    const enum tsi_reduction sum = op->dtype == TESS_BOOL ? TSI_REDUCE_ANY : TSI_REDUCE_SUM;
    if (op->is_planes && op->plane_reduction != sum) {
        return broken(error, "its accumulators are not those of a sum");
    }
    return TESS_OK;
}

static tess_status
validate_join(const struct tsi_chunk_op *op, struct tsi_error *error)
{
    if (op->input_count < 1 || op->is_planes) {
        return broken(error, "it waits for nothing");
    }
    return tsi_grid_equal(&op->loop, &op->array) ? TESS_OK
                                                 : broken(error, "its loop is not its array");
}

tess_status
tsi_work_validate(const struct tsi_program *program, const struct tsi_chunk_op *op,
                  struct tsi_error *error)
{
    switch ((enum tsi_work)op->work) {
    case TSI_WORK_HELD:
    case TSI_WORK_KEPT:
    case TSI_WORK_FILE:
        return validate_leaf(op, error);
    case TSI_WORK_TILE:
        return tsi_tile_validate(program, op, error);
    case TSI_WORK_FOLD:
        return validate_fold(program, op, error);
    case TSI_WORK_MATMUL:
        return validate_matmul(program, op, error);
    case TSI_WORK_JOIN:
        return validate_join(op, error);
    case TSI_WORK_COUNT:
        break;
    }
    return broken(error, "its kind of work is unknown");
}
