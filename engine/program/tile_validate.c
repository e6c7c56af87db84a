// SPDX-License-Identifier: Apache-2.0
//
// Tile programs from a peer: every operand there is, every register written before it is read and
// read as the type it was written as, and a sink that takes what the last instruction made.

#include <stddef.h>

#include "engine/base/dtype.h"
#include "engine/base/memory.h"
#include "engine/program/validate.h"

// What is known while the instructions are walked through: the type that each register holds.
struct walk {
    const struct tsi_program *program;
    const struct tsi_chunk_op *op;
    const struct tsi_tile *tile;
    struct tsi_error *error;
    uint8_t dtype[TSI_TILE_REGISTERS_MAX]; // TESS_NONE: not yet written
};

static tess_status
broken(const struct walk *walk, const char *rule)
{
    return tsi_error_set(walk->error, TESS_EPROTOCOL, "%s", rule);
}

static tess_status
validate_load(const struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (step->operand >= walk->op->input_count) {
        return broken(walk, "it loads an input that is not there");
    }
    const struct tsi_input *input = &walk->op->inputs[step->operand];
    if (walk->program->ops[input->op].dtype != step->dtype) {
        return broken(walk, "it loads an input as another type");
    }
    for (int i = 0; i < input->map.ndim; i++) {
        if (input->map.axis[i].extent != 1) {
            return broken(walk, "it loads an input by windows");
        }
    }
    return TESS_OK;
}

static tess_status
validate_constant(const struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (step->operand >= walk->tile->constant_count) {
        return broken(walk, "it takes a constant that is not there");
    }
    const size_t bytes = tess_dtype_bytes((tess_dtype)step->dtype);
    const uint64_t bits = walk->tile->constants[step->operand].bits;
    const bool fits = step->dtype == TESS_BOOL ? bits <= 1 : bytes == 8 || bits >> 8 * bytes == 0;
    return fits ? TESS_OK : broken(walk, "a constant is not of its type");
}

static bool
has_source(enum tsi_source source, tess_dtype dtype)
{
    const enum tsi_dtype_kind kind = tsi_dtype_kind(dtype);
    switch (source) {
    case TSI_SOURCE_ARANGE:
    case TSI_SOURCE_LINSPACE:
    case TSI_SOURCE_EYE:
        return true;
    case TSI_SOURCE_NORMAL:
        return kind == TSI_KIND_FLOAT;
    case TSI_SOURCE_UNIFORM:
        return dtype == TESS_F64;
    case TSI_SOURCE_INTEGERS:
        return kind == TSI_KIND_SIGNED || kind == TSI_KIND_UNSIGNED;
    case TSI_SOURCE_COUNT:
        break;
    }
    return false;
}

static tess_status
validate_source_use(const struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (step->operand >= walk->tile->source_count) {
        return broken(walk, "it takes a source that is not there");
    }
    const struct tsi_tile_source *source = &walk->tile->sources[step->operand];
    if (source->source >= TSI_SOURCE_COUNT ||
        !has_source((enum tsi_source)source->source, (tess_dtype)step->dtype)) {
        return broken(walk, "a source is unknown or does not make its type");
    }
    return TESS_OK;
}

// Whether `step` may read register `index` as `dtype` while it writes elements of `out_dtype`. In
// place, an element must not grow into the next, nor lag behind it.
static bool
is_readable(const struct walk *walk, const struct tsi_tile_instruction *step, uint8_t index,
            uint8_t dtype, tess_dtype out_dtype)
{
    return index < walk->tile->register_count && walk->dtype[index] == dtype &&
           (index != step->out ||
            tess_dtype_bytes((tess_dtype)dtype) == tess_dtype_bytes(out_dtype));
}

static tess_status
validate_map(const struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (step->operand >= TSI_OP_COUNT) {
        return broken(walk, "it computes by an unknown operation");
    }
    const enum tsi_op op = (enum tsi_op)step->operand;
    const tess_dtype dtype = (tess_dtype)step->dtype;
    if (tsi_op_compute_dtype(op, dtype) != dtype) {
        return broken(walk, "an operation does not compute in its type");
    }
    for (int i = 0; i < tsi_op_row(op)->arity; i++) {
        const uint8_t wanted = op == TSI_OP_WHERE && i == 0 ? (uint8_t)TESS_BOOL : step->dtype;
        if (!is_readable(walk, step, step->in[i], wanted, tsi_op_result_dtype(op, dtype))) {
            return broken(walk, "an operand is not there or of another type");
        }
    }
    return TESS_OK;
}

static tess_status
validate_cast(const struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (!tsi_dtype_is_valid(step->from) ||
        !is_readable(walk, step, step->in[0], step->from, (tess_dtype)step->dtype)) {
        return broken(walk, "it casts what is not there or of another type");
    }
    return TESS_OK;
}

// Checks one instruction and notes what it writes.
static tess_status
validate_step(struct walk *walk, const struct tsi_tile_instruction *step)
{
    if (step->out >= walk->tile->register_count || !tsi_dtype_is_valid(step->dtype)) {
        return broken(walk, "an instruction has an unknown register or type");
    }
    uint8_t made = step->dtype;
    tess_status status = TESS_OK;
    switch (step->code) {
    case TSI_TILE_LOAD:
        status = validate_load(walk, step);
        break;
    case TSI_TILE_CONST:
        status = validate_constant(walk, step);
        break;
    case TSI_TILE_SOURCE:
        status = validate_source_use(walk, step);
        break;
    case TSI_TILE_MAP:
        status = validate_map(walk, step);
        if (status == TESS_OK) {
            made =
                (uint8_t)tsi_op_result_dtype((enum tsi_op)step->operand, (tess_dtype)step->dtype);
        }
        break;
    case TSI_TILE_CAST:
        status = validate_cast(walk, step);
        break;
    default:
        status = broken(walk, "an instruction is unknown");
        break;
    }
    walk->dtype[step->out] = made;
    return status;
}

// Whether first + Σ step[a]·i[a] fits 62 bits for all loop indices, the end of each axis included.
static bool
is_in_range(const struct tsi_grid *loop, int64_t first, const int64_t *step, uint32_t axes)
{
    const int64_t limit = INT64_C(1) << 62;
    int64_t sum = 0;
    if (first < -limit || first > limit) {
        return false;
    }
    sum = first < 0 ? -first : first;
    for (int i = 0; i < loop->ndim; i++) {
        int64_t reach = 0;
        if ((axes >> i & 1) != 0 &&
            (step[i] < -limit ||
             !tsi_mul_i64(step[i] < 0 ? -step[i] : step[i], loop->axis[i].size, &reach) ||
             !tsi_add_i64(sum, reach, &sum) || sum > limit)) {
            return false;
        }
    }
    return true;
}

static tess_status
validate_sources(const struct walk *walk)
{
    for (int i = 0; i < walk->tile->source_count; i++) {
        const struct tsi_tile_source *source = &walk->tile->sources[i];
        if (source->source >= TSI_SOURCE_COUNT) {
            return broken(walk, "a source is unknown");
        }
        if (!is_in_range(&walk->op->loop, source->first, source->step, UINT32_MAX)) {
            return broken(walk, "the indices of a source are out of range");
        }
    }
    return TESS_OK;
}

static tess_status
validate_reduce(const struct walk *walk, uint8_t dtype)
{
    const struct tsi_chunk_op *op = walk->op;
    const struct tsi_tile_reduce *reduce = &walk->tile->reduce;
    const struct tsi_fold_rule rule = {reduce->reduction, reduce->dtype, reduce->finish,
                                       reduce->axes, reduce->folded};
    const tess_status status = tsi_fold_validate(op, &rule, walk->error);
    if (status != TESS_OK) {
        return status;
    }
    if (reduce->dtype != dtype) {
        return broken(walk, "it folds elements of another type");
    }
    for (int i = 0; i < op->loop.ndim; i++) {
        const bool is_folded = (reduce->axes >> i & 1) != 0;
        if (is_folded && reduce->order[i] < 0) {
            return broken(walk, "an axis is folded backwards");
        }
        if (is_folded && reduce->finish && op->loop.axis[i].count != 1) {
            return broken(walk, "it tells results of a part of an axis");
        }
        if (!reduce->finish &&
            (op->array.ndim != op->loop.ndim ||
             (is_folded ? !tsi_axis_is_unit(&op->array.axis[i], op->loop.axis[i].count)
                        : !tsi_axis_equal(&op->array.axis[i], &op->loop.axis[i])))) {
            return broken(walk, "its array is not cut as its accumulators");
        }
    }
    if (!is_in_range(&op->loop, 0, reduce->order, reduce->axes)) {
        return broken(walk, "the order of its elements is out of range");
    }
    if (reduce->finish ? !tsi_grid_agrees(&op->loop, reduce->axes, &op->array)
                       : op->array.ndim != op->loop.ndim) {
        return broken(walk, "its array is not cut as its results");
    }
    return TESS_OK;
}

static tess_status
validate_sink(const struct walk *walk, uint8_t dtype)
{
    const struct tsi_chunk_op *op = walk->op;
    switch (walk->tile->sink) {
    case TSI_SINK_REDUCE:
        return validate_reduce(walk, dtype);
    case TSI_SINK_STORE:
    case TSI_SINK_WRITE:
        if (op->is_planes || op->dtype != dtype) {
            return broken(walk, "it stores elements of another type");
        }
        return tsi_grid_equal(&op->loop, &op->array) ? TESS_OK
                                                     : broken(walk, "its loop is not its array");
    default:
        return broken(walk, "its sink is unknown");
    }
}

tess_status
tsi_tile_validate(const struct tsi_program *program, const struct tsi_chunk_op *op,
                  struct tsi_error *error)
{
    const struct tsi_tile *tile = &op->tile;
    struct walk walk = {.program = program, .op = op, .tile = tile, .error = error};
    if (tile->instruction_count < 1 || tile->instruction_count > TSI_TILE_INSTRUCTIONS_MAX ||
        tile->register_count < 1 || tile->register_count > TSI_TILE_REGISTERS_MAX ||
        tile->constant_count < 0 || tile->constant_count > TSI_TILE_INSTRUCTIONS_MAX ||
        tile->source_count < 0 || tile->source_count > TSI_TILE_INSTRUCTIONS_MAX) {
        return broken(&walk, "it has too few or too many instructions or operands");
    }
    tess_status status = validate_sources(&walk);
    for (int i = 0; status == TESS_OK && i < tile->instruction_count; i++) {
        status = validate_step(&walk, &tile->instructions[i]);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "instruction %d", i);
        }
    }
    if (status != TESS_OK) {
        return status;
    }
    const uint8_t last = tile->instructions[tile->instruction_count - 1].out;
    return validate_sink(&walk, walk.dtype[last]);
}
