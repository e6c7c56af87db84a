// SPDX-License-Identifier: Apache-2.0
//
// Memory and time of a task, estimated from the largest chunk of its operation.
//
// Memory is an upper bound, for tasks start when it is reserved. An input that may touch several
// chunks of its source is put together in one piece first; tile programs keep their registers; a
// reduction that tells results keeps its accumulators, and a product that tells accumulators keeps
// the product. Sums that do not fit saturate: such a task fits no machine.
//
// Time is a guess from one rate for each kind of work; it only has to tell cheap tasks from dear
// ones.

#include "engine/program/program.h"

#include "engine/base/memory.h"

static size_t
add_bytes(size_t a, size_t b)
{
    size_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

static size_t
multiply_bytes(size_t a, size_t b)
{
    size_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
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

// Whether each loop chunk touches at most one chunk of source axis `source`; false if that is not
// plain.
static bool
touches_one(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
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

// Elements of the part of `input` that the largest chunk of `op` takes: for each source axis as
// many as the loop chunk has indices on the axis that it names, times the window.
static size_t
view_elements(const struct tsi_program *program, const struct tsi_chunk_op *op,
              const struct tsi_input *input)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    size_t elements = 1;
    for (int i = 0; i < input->map.ndim; i++) {
        const struct tsi_map_axis *rule = &input->map.axis[i];
        const int64_t indices =
            rule->axis < 0 ? 1 : tsi_axis_chunk_size_max(&op->loop.axis[rule->axis]);
        const size_t extent =
            (size_t)(rule->extent < source->axis[i].size ? rule->extent : source->axis[i].size);
        elements = multiply_bytes(elements, multiply_bytes((size_t)indices, extent));
    }
    return elements;
}

// Bytes of the pieces that inputs of several chunks are put together in.
static size_t
assembled_bytes(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    size_t bytes = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_input *input = &op->inputs[i];
        const struct tsi_chunk_op *source = &program->ops[input->op];
        bool is_one = true;
        for (int axis = 0; axis < input->map.ndim; axis++) {
            is_one =
                is_one && touches_one(&input->map.axis[axis], &op->loop, &source->array.axis[axis]);
        }
        if (!is_one) {
            const size_t item_bytes = tess_dtype_bytes((tess_dtype)source->dtype);
            bytes = add_bytes(bytes, multiply_bytes(view_elements(program, op, input), item_bytes));
        }
    }
    return bytes;
}

static size_t
planes_bytes(const struct tsi_chunk_op *op, uint8_t reduction, uint8_t dtype)
{
    const struct tsi_acc_layout layout =
        tsi_acc_layout((enum tsi_reduction)reduction, (tess_dtype)dtype);
    return tsi_acc_offset(&layout, layout.planes, tsi_grid_chunk_elements_max(&op->array));
}

// Elements of the product of the largest block: all of the loop chunk but its last axis but one, k.
static size_t
product_elements(const struct tsi_chunk_op *op)
{
    size_t elements = 1;
    for (int i = 0; i < op->loop.ndim; i++) {
        if (i != op->loop.ndim - 1) {
            const int64_t size = tsi_axis_chunk_size_max(&op->loop.axis[i]);
            elements = multiply_bytes(elements, (size_t)size);
        }
    }
    return elements;
}

size_t
tsi_chunk_op_workspace_max(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    switch ((enum tsi_work)op->work) {
    case TSI_WORK_TILE: {
        const size_t registers =
            (size_t)op->tile.register_count * TSI_TILE_ELEMENTS * sizeof(uint64_t);
        const bool is_reduced = op->tile.sink == TSI_SINK_REDUCE && op->tile.reduce.finish;
        const size_t planes =
            is_reduced ? planes_bytes(op, op->tile.reduce.reduction, op->tile.reduce.dtype) : 0;
        return add_bytes(add_bytes(registers, planes), assembled_bytes(program, op));
    }
    case TSI_WORK_FOLD:
        return op->fold.finish ? planes_bytes(op, op->fold.reduction, op->fold.dtype) : 0;
    case TSI_WORK_MATMUL: {
        const size_t item_bytes = tess_dtype_bytes((tess_dtype)op->dtype);
        const size_t product =
            op->matmul.finish ? 0 : multiply_bytes(product_elements(op), item_bytes);
        return add_bytes(product, assembled_bytes(program, op));
    }
    default:
        return 0;
    }
}

// Additions that one element of a tile program takes, guessed.
static double
tile_flops(const struct tsi_tile *tile)
{
    static const double source_flops[TSI_SOURCE_COUNT] = {
        [TSI_SOURCE_ARANGE] = 1, [TSI_SOURCE_LINSPACE] = 1, [TSI_SOURCE_EYE] = 1,
        [TSI_SOURCE_NORMAL] = 8, [TSI_SOURCE_UNIFORM] = 3,  [TSI_SOURCE_INTEGERS] = 3,
    };
    double flops = tile->sink == TSI_SINK_WRITE ? 4 : 1;
    for (int i = 0; i < tile->instruction_count; i++) {
        const struct tsi_tile_instruction *step = &tile->instructions[i];
        switch ((enum tsi_tile_code)step->code) {
        case TSI_TILE_SOURCE:
            flops += source_flops[tile->sources[step->operand].source];
            break;
        case TSI_TILE_MAP:
            flops += tsi_op_row((enum tsi_op)step->operand)->flops;
            break;
        case TSI_TILE_LOAD:
        case TSI_TILE_CAST:
            flops += 1;
            break;
        default:
            break;
        }
    }
    return flops;
}

static double
input_bytes(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    double bytes = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_chunk_op *source = &program->ops[op->inputs[i].op];
        const struct tsi_acc_layout layout =
            tsi_acc_layout(source->plane_reduction, (tess_dtype)source->dtype);
        size_t item_bytes = source->is_planes ? 0 : tess_dtype_bytes((tess_dtype)source->dtype);
        for (int plane = 0; source->is_planes && plane < layout.planes; plane++) {
            item_bytes += tess_dtype_bytes(layout.dtype[plane]);
        }
        bytes += (double)view_elements(program, op, &op->inputs[i]) * (double)item_bytes;
    }
    return bytes;
}

uint64_t
tsi_chunk_op_cost_ns(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    // What any task takes, and the rates by which the rest was guessed: two additions, thirty fused
    // multiply-adds of a product, and eight bytes of accumulators a nanosecond.
    const double task_ns = 1000;
    const double flops_per_ns = 2;
    const double product_flops_per_ns = 30;
    const double fold_bytes_per_ns = 8;
    const double cost_ns_max = 1e18;

    const double elements = (double)tsi_grid_chunk_elements_max(&op->loop);
    double ns = task_ns;
    switch ((enum tsi_work)op->work) {
    case TSI_WORK_TILE:
        ns += elements * tile_flops(&op->tile) / flops_per_ns;
        break;
    case TSI_WORK_FOLD:
        ns += input_bytes(program, op) / fold_bytes_per_ns;
        break;
    case TSI_WORK_MATMUL:
        ns += 2 * elements / product_flops_per_ns;
        break;
    default:
        break;
    }
    return (uint64_t)(ns < cost_ns_max ? ns : cost_ns_max);
}
