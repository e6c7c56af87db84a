// SPDX-License-Identifier: Apache-2.0
//
// Memory and time of a task, estimated from the largest chunk of its operation.
//
// Memory is an upper bound, for tasks start when it is reserved. Tile programs keep their
// registers, notes on where the chunks of an input are that may touch several, and tiles of what
// they store past the caches. A product puts such an input together in one piece first, where that
// is not along the axis that it adds up. What is read of a file takes memory too, be it as pages of
// the file, unless it goes straight to the output. A reduction that tells results keeps its
// accumulators, and a product that tells accumulators keeps the product. Sums that do not fit
// saturate: such a task fits no machine.
//
// Time is a guess from one rate for each kind of work; it only has to tell cheap tasks from dear
// ones.

#include "engine/program/program.h"

#include "engine/base/saturate.h"

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
        elements = tsi_saturate_multiply(elements, tsi_saturate_multiply((size_t)indices, extent));
    }
    return elements;
}

// Whether a loop chunk may take elements of several chunks of `input`'s source, other than along
// loop axis `aside`; −1: none is left aside.
static bool
is_in_pieces_beside(const struct tsi_program *program, const struct tsi_chunk_op *op,
                    const struct tsi_input *input, int aside)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    for (int i = 0; i < input->map.ndim; i++) {
        const struct tsi_map_axis *rule = &input->map.axis[i];
        if ((aside < 0 || rule->axis != aside) &&
            !tsi_map_axis_touches_one(rule, &op->loop, &source->axis[i])) {
            return true;
        }
    }
    return false;
}

static bool
is_in_pieces(const struct tsi_program *program, const struct tsi_chunk_op *op,
             const struct tsi_input *input)
{
    return is_in_pieces_beside(program, op, input, -1);
}

// Whether a product may not be able to take `input` as it lies in memory: neither rows nor columns
// of it are dense.
static bool
is_packed(const struct tsi_program *program, const struct tsi_chunk_op *op,
          const struct tsi_input *input)
{
    const struct tsi_chunk_op *source = &program->ops[input->op];
    const int k = op->loop.ndim - 1;
    if (source->work == TSI_WORK_HELD || source->work == TSI_WORK_FILE) {
        return true;
    }
    for (int i = 0; i < input->map.ndim; i++) {
        const struct tsi_map_axis *rule = &input->map.axis[i];
        const bool is_matrix_axis = rule->axis >= k - 2;
        if (rule->axis >= 0 &&
            (rule->stride != 1 || is_matrix_axis != (i >= input->map.ndim - 2))) {
            return true;
        }
    }
    return false;
}

static size_t
input_element_bytes(const struct tsi_program *program, const struct tsi_input *input)
{
    return tess_dtype_bytes((tess_dtype)program->ops[input->op].dtype);
}

// Bytes of the notes of a tile program on inputs that it may take from several chunks: three
// numbers for each chunk along each axis.
static size_t
piece_bytes(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    const size_t note_bytes = 1024;
    size_t bytes = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_input *input = &op->inputs[i];
        if (!is_in_pieces(program, op, input)) {
            continue;
        }
        bytes = tsi_saturate_add(bytes, note_bytes);
        for (int k = 0; k < input->map.ndim; k++) {
            const int axis = input->map.axis[k].axis;
            const int64_t chunks = program->ops[input->op].array.axis[k].count;
            const int64_t indices = axis < 0 ? 1 : tsi_axis_chunk_size_max(&op->loop.axis[axis]);
            const size_t most = (size_t)(chunks < indices ? chunks : indices);
            bytes = tsi_saturate_add(bytes, tsi_saturate_multiply(3 * most + 1, sizeof(int64_t)));
        }
    }
    return bytes;
}

// Bytes of the block that a product makes of `input`: all that it takes where this is put together,
// else a part of the inner axis at a time, as much as one chunk has, if that is packed.
static size_t
factor_bytes(const struct tsi_program *program, const struct tsi_chunk_op *op,
             const struct tsi_input *input)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    const int k = op->loop.ndim - 1;
    const size_t all = view_elements(program, op, input);
    size_t elements = all;
    if (!is_in_pieces_beside(program, op, input, k)) {
        if (!is_packed(program, op, input)) {
            return 0;
        }
        for (int i = 0; i < input->map.ndim; i++) {
            const int64_t taken = tsi_axis_chunk_size_max(&op->loop.axis[k]);
            const int64_t held = tsi_axis_chunk_size_max(&source->axis[i]);
            if (input->map.axis[i].axis == k && held < taken) {
                elements = all / (size_t)taken * (size_t)held;
            }
        }
    }
    return tsi_saturate_multiply(elements, input_element_bytes(program, input));
}

// Accumulators of the largest chunk of `op`, and their results before they are cast to its type.
static size_t
fold_bytes(const struct tsi_chunk_op *op, enum tsi_reduction reduction, tess_dtype dtype)
{
    const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
    const int64_t count = tsi_grid_chunk_elements_max(&op->array);
    const tess_dtype made = tsi_reduction_result_dtype(reduction, dtype);
    const size_t cast = made == (tess_dtype)op->dtype ? 0 : tess_dtype_bytes(made);
    return tsi_saturate_add(tsi_acc_offset(&layout, layout.planes, count),
                            tsi_saturate_multiply(cast, (size_t)count));
}

// Additions that one element of a tile program takes, guessed.
static double
tile_flops(const struct tsi_tile *tile)
{
    double flops = tile->sink == TSI_SINK_WRITE ? 4 : 1;
    for (int i = 0; i < tile->instruction_count; i++) {
        const struct tsi_tile_instruction *step = &tile->instructions[i];
        switch ((enum tsi_tile_code)step->code) {
        case TSI_TILE_SOURCE:
            flops += tsi_source_flops((enum tsi_source)tile->sources[step->operand].source);
            break;
        case TSI_TILE_MAP:
            flops += tsi_op_row((enum tsi_op)step->operand)->flops;
            break;
        case TSI_TILE_CAST:
            flops += TSI_CAST_FLOPS;
            break;
        case TSI_TILE_LOAD:
            flops += 1;
            break;
        default:
            break;
        }
    }
    return flops;
}

bool
tsi_chunk_op_passes_caches(const struct tsi_chunk_op *op)
{
    // What a core's second-level cache has, and what hides ordinary stores: a function, or several
    // operations.
    const size_t bytes_min = (size_t)2 << 20;
    const double flops_max = 12;
    return op->tile.sink == TSI_SINK_STORE && tsi_chunk_op_bytes_max(op) >= bytes_min &&
           tile_flops(&op->tile) < flops_max;
}

// Registers and the notes of instructions and inputs. Constants, and loads and sources that several
// tiles show, get registers beside those of the program, and so does a tile that is turned before
// it is folded.
static size_t
tile_bytes(const struct tsi_chunk_op *op)
{
    const size_t note_bytes = 1024;
    const struct tsi_tile *tile = &op->tile;
    const int64_t chunk = tsi_grid_chunk_elements_max(&op->loop);
    const size_t tile_elements = (size_t)(chunk < TSI_TILE_ELEMENTS ? chunk : TSI_TILE_ELEMENTS);
    size_t registers = (size_t)tile->register_count + (tile->sink == TSI_SINK_REDUCE ? 1 : 0);
    for (int i = 0; i < tile->instruction_count; i++) {
        const uint8_t code = tile->instructions[i].code;
        registers += code == TSI_TILE_MAP || code == TSI_TILE_CAST ? 0 : 1;
    }
    return registers * tile_elements * sizeof(uint64_t) +
           (size_t)(tile->instruction_count + op->input_count) * note_bytes;
}

// Whether a loop chunk sees the elements of a file in the file's own order.
static bool
is_in_file_order(const struct tsi_chunk_op *file, const struct tsi_index_map *map)
{
    int last = -1;
    for (int i = 0; i < map->ndim; i++) {
        const int axis = map->axis[file->file.fortran_order ? map->ndim - 1 - i : i].axis;
        if (axis >= 0 && axis <= last) {
            return false;
        }
        last = axis >= 0 ? axis : last;
    }
    return true;
}

// Bytes of what is read of files: their pages, or a block of the elements.
static size_t
file_bytes(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    size_t bytes = 0;
    for (int i = 0; i < op->input_count; i++) {
        const struct tsi_input *input = &op->inputs[i];
        if (program->ops[input->op].work == TSI_WORK_FILE) {
            const size_t elements = view_elements(program, op, input);
            bytes = tsi_saturate_add(
                bytes, tsi_saturate_multiply(elements, input_element_bytes(program, input)));
        }
    }
    return bytes;
}

// A program that only moves elements puts each piece straight to its place.
static bool
is_only_load(const struct tsi_chunk_op *op)
{
    return op->tile.instruction_count == 1 && op->input_count == 1 &&
           op->tile.instructions[0].code == TSI_TILE_LOAD;
}

static size_t
tile_workspace(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    const struct tsi_tile *tile = &op->tile;
    if (is_only_load(op) && tile->sink == TSI_SINK_STORE) {
        const struct tsi_input *input = &op->inputs[0];
        const struct tsi_chunk_op *source = &program->ops[input->op];
        const bool is_turned =
            source->work == TSI_WORK_FILE && !is_in_file_order(source, &input->map);
        return is_turned ? file_bytes(program, op) : 0;
    }
    size_t bytes = tsi_saturate_add(tile_bytes(op), piece_bytes(program, op));
    bytes += tsi_chunk_op_passes_caches(op) ? TSI_PAST_BLOCK_BYTES : 0;
    bytes = tsi_saturate_add(bytes, file_bytes(program, op));
    if (tile->sink == TSI_SINK_REDUCE && tile->reduce.finish) {
        bytes = tsi_saturate_add(bytes, fold_bytes(op, (enum tsi_reduction)tile->reduce.reduction,
                                                   (tess_dtype)tile->reduce.dtype));
    }
    if (tile->sink == TSI_SINK_WRITE) {
        const size_t elements = (size_t)tsi_grid_chunk_elements_max(&op->loop);
        bytes = tsi_saturate_add(
            bytes, tsi_saturate_multiply(elements, tess_dtype_bytes((tess_dtype)op->dtype)));
    }
    return bytes;
}

// Elements of the product of the largest block: all of the loop chunk but its last axis, k.
static size_t
product_elements(const struct tsi_chunk_op *op)
{
    size_t elements = 1;
    for (int i = 0; i < op->loop.ndim - 1; i++) {
        const int64_t size = tsi_axis_chunk_size_max(&op->loop.axis[i]);
        elements = tsi_saturate_multiply(elements, (size_t)size);
    }
    return elements;
}

static size_t
matmul_workspace(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    const tess_dtype dtype = (tess_dtype)op->dtype;
    const size_t factors = tsi_saturate_add(factor_bytes(program, op, &op->inputs[0]),
                                            factor_bytes(program, op, &op->inputs[1]));
    const size_t blocks = tsi_saturate_add(factors, file_bytes(program, op));
    if (op->matmul.finish || tsi_acc_layout(op->plane_reduction, dtype).dtype[0] == dtype) {
        return blocks;
    }
    return tsi_saturate_add(blocks,
                            tsi_saturate_multiply(product_elements(op), tess_dtype_bytes(dtype)));
}

size_t
tsi_chunk_op_workspace_max(const struct tsi_program *program, const struct tsi_chunk_op *op)
{
    switch ((enum tsi_work)op->work) {
    case TSI_WORK_TILE:
        return tile_workspace(program, op);
    case TSI_WORK_FOLD:
        return op->fold.finish ? fold_bytes(op, (enum tsi_reduction)op->fold.reduction,
                                            (tess_dtype)op->fold.dtype)
                               : 0;
    case TSI_WORK_MATMUL:
        return matmul_workspace(program, op);
    default:
        return 0;
    }
}

// OpenBLAS packs blocks of both matrices: of one of them as much as a cache holds, of the other all
// its rows or columns, and of the inner axis a part of at most 4 KiB. docs/decisions/0018 has what
// was seen.
static size_t
library_bytes(const struct tsi_chunk_op *op)
{
    const size_t part_bytes_max = 4096;
    const size_t beside = 512;
    const size_t buffer_bytes = (size_t)128 << 20;
    const int k = op->loop.ndim - 1;
    const size_t rows = (size_t)tsi_axis_chunk_size_max(&op->loop.axis[k - 2]);
    const size_t columns = (size_t)tsi_axis_chunk_size_max(&op->loop.axis[k - 1]);
    const size_t inner = tsi_saturate_multiply((size_t)tsi_axis_chunk_size_max(&op->loop.axis[k]),
                                               tess_dtype_bytes((tess_dtype)op->dtype));
    const size_t longest = tsi_saturate_add(rows > columns ? rows : columns, beside);
    const size_t bytes =
        tsi_saturate_multiply(longest, inner < part_bytes_max ? inner : part_bytes_max);
    return bytes < buffer_bytes ? bytes : buffer_bytes;
}

size_t
tsi_program_library_bytes(const struct tsi_program *program)
{
    size_t most = 0;
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        const bool is_float = op->dtype == TESS_F32 || op->dtype == TESS_F64;
        if (op->work == TSI_WORK_MATMUL && op->loop.ndim >= 3 && is_float) {
            const size_t bytes = library_bytes(op);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
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
