// SPDX-License-Identifier: Apache-2.0
//
// What a program has to keep as a whole: its grids and their sizes, the order of its operations,
// its index maps, texts, numbers and targets. work_validate.c and tile_validate.c look into the
// operations.
//
// The time is proportional to the size of the program, whatever the number of its chunks. Where
// listed boundaries are gone through once for each time that they are named, the names are counted
// first.

#include "engine/program/program.h"

#include <string.h>

#include "engine/base/dtype.h"
#include "engine/program/validate.h"

// Elements and sizes are so small that bytes, three planes of accumulators, and sums of a few
// offsets fit 64 bits.
#define ELEMENTS_MAX (INT64_C(1) << 58)

// Chunk boundaries that all axes of a program list, counted each time that an operation names them.
#define BOUNDS_MAX (INT64_C(1) << 26)

static tess_status
broken(struct tsi_error *error, const char *rule)
{
    return tsi_error_set(error, TESS_EPROTOCOL, "%s", rule);
}

static int64_t
count_bounds(const struct tsi_grid *grid)
{
    int64_t count = 0;
    for (int i = 0; i < grid->ndim; i++) {
        count += grid->axis[i].bounds != NULL ? grid->axis[i].count : 0;
    }
    return count;
}

// Whether the number of axes and the counts of listed ones are such that the grid may be looked at.
static bool
is_bounded(const struct tsi_grid *grid)
{
    if (grid->ndim < 0 || grid->ndim > TESS_NDIM_MAX) {
        return false;
    }
    for (int i = 0; i < grid->ndim; i++) {
        const struct tsi_axis *axis = &grid->axis[i];
        if (axis->bounds != NULL && (axis->count < 1 || axis->count > TSI_AXIS_BOUNDS_MAX)) {
            return false;
        }
    }
    return true;
}

static tess_status
validate_bounds(const struct tsi_program *program, struct tsi_error *error)
{
    int64_t count = 0;
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        if (!is_bounded(&op->loop) || !is_bounded(&op->array)) {
            return tsi_error_set(error, TESS_EPROTOCOL, "operation %d: a grid is malformed", i);
        }
        if (op->input_count < 0 || op->input_count > TSI_OP_INPUTS_MAX) {
            return tsi_error_set(error, TESS_EPROTOCOL, "operation %d: it has %d inputs", i,
                                 op->input_count);
        }
        count += count_bounds(&op->loop) + count_bounds(&op->array);
        for (int k = 0; k < op->input_count; k++) {
            const int source = op->inputs[k].op;
            if (source >= i) {
                return tsi_error_set(error, TESS_EPROTOCOL,
                                     "operation %d: input %d is operation %d, not an earlier one",
                                     i, k, source);
            }
            count += count_bounds(&program->ops[source].array);
        }
        if (count > BOUNDS_MAX) {
            return tsi_error_set(error, TESS_ELIMIT,
                                 "the program lists too many uneven chunks; use regular ones");
        }
    }
    return TESS_OK;
}

static tess_status
validate_grid(const struct tsi_grid *grid, struct tsi_error *error)
{
    for (int i = 0; i < grid->ndim; i++) {
        if (!tsi_axis_is_valid(&grid->axis[i])) {
            return tsi_error_set(error, TESS_EPROTOCOL, "axis %d of a grid is malformed", i);
        }
        if (grid->axis[i].size > ELEMENTS_MAX) {
            return tsi_error_set(error, TESS_ELIMIT, "axis %d has too many elements", i);
        }
    }
    const int64_t elements = tsi_grid_element_count(grid);
    const int64_t chunks = tsi_grid_chunk_count(grid);
    if (elements < 0 || elements > ELEMENTS_MAX) {
        return tsi_error_set(error, TESS_ELIMIT, "an array has too many elements");
    }
    if (chunks < 0 || chunks > (int64_t)TSI_PROGRAM_TASKS_MAX) {
        return tsi_error_set(error, TESS_ELIMIT, "an array has too many chunks");
    }
    return TESS_OK;
}

static bool
is_path(const char *path)
{
    const size_t length = strnlen(path, TSI_PATH_MAX);
    return length > 0 && length < TSI_PATH_MAX;
}

// Labels and places are written to logs and terminals.
static bool
is_printable(const char *text)
{
    if (text == NULL || strnlen(text, TSI_PATH_MAX) == TSI_PATH_MAX) {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

static tess_status
validate_texts(const struct tsi_chunk_op *op, struct tsi_error *error)
{
    const bool is_write = op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_WRITE;
    const struct tsi_work_target_file *target = &op->target_file;
    if (!is_printable(op->label) || !is_printable(op->site)) {
        return broken(error, "its label or its place is no line of text");
    }
    if (op->work == TSI_WORK_FILE && (op->file.path == NULL || !is_path(op->file.path))) {
        return broken(error, "a file without a name");
    }
    if (target->temporary != NULL && !is_path(target->temporary)) {
        return broken(error, "a temporary file without a name");
    }
    if (target->path != NULL && (!is_path(target->path) || target->temporary == NULL)) {
        return broken(error, "a target file without a name or a temporary one");
    }
    if (is_write && target->temporary == NULL) {
        return broken(error, "it writes no file");
    }
    if (target->temporary != NULL && !is_write && op->work != TSI_WORK_JOIN) {
        return broken(error, "it names a target file but does not write");
    }
    return TESS_OK;
}

// Whether nothing can be read from `op`.
static bool
has_no_array(const struct tsi_chunk_op *op)
{
    return op->work == TSI_WORK_JOIN ||
           (op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_WRITE);
}

static tess_status
validate_input(const struct tsi_program *program, const struct tsi_chunk_op *op, int index,
               struct tsi_error *error)
{
    const struct tsi_input *input = &op->inputs[index];
    const struct tsi_chunk_op *source = &program->ops[input->op];
    if (op->work != TSI_WORK_JOIN && has_no_array(source)) {
        return tsi_error_set(error, TESS_EPROTOCOL, "input %d has no data", index);
    }
    if (op->work != TSI_WORK_JOIN && op->work != TSI_WORK_FOLD && source->is_planes) {
        return tsi_error_set(error, TESS_EPROTOCOL, "input %d is accumulators", index);
    }
    if (op->work != TSI_WORK_JOIN && input->map.is_explicit) {
        return tsi_error_set(error, TESS_EPROTOCOL, "the map of input %d is a list", index);
    }
    const tess_status status =
        tsi_index_map_validate(&input->map, &op->loop, &source->array, error);
    if (status != TESS_OK) {
        tsi_error_prefix(error, "the map of input %d", index);
    }
    return status;
}

static tess_status
validate_op(const struct tsi_program *program, const struct tsi_chunk_op *op,
            struct tsi_error *error)
{
    if (op->work >= TSI_WORK_COUNT) {
        return broken(error, "its kind of work is unknown");
    }
    if (!tsi_dtype_is_valid(op->dtype)) {
        return broken(error, "its element type is unknown");
    }
    if (op->is_planes && (int)op->plane_reduction >= TSI_REDUCE_COUNT) {
        return broken(error, "its reduction is unknown");
    }
    tess_status status = validate_texts(op, error);
    if (status == TESS_OK) {
        status = validate_grid(&op->loop, error);
    }
    if (status == TESS_OK) {
        status = validate_grid(&op->array, error);
    }
    if (status == TESS_OK && tsi_grid_chunk_count(&op->loop) != tsi_grid_chunk_count(&op->array)) {
        status = broken(error, "its loop and its array have different numbers of chunks");
    }
    for (int i = 0; status == TESS_OK && i < op->input_count; i++) {
        status = validate_input(program, op, i, error);
    }
    return status != TESS_OK ? status : tsi_work_validate(program, op, error);
}

static tess_status
validate_numbers(const struct tsi_program *program, struct tsi_error *error)
{
    uint64_t base = 0;
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        const int64_t count = op->work == TSI_WORK_FILE ? 0 : tsi_grid_chunk_count(&op->loop);
        if (op->task_base != base || op->task_count != count) {
            return tsi_error_set(error, TESS_EPROTOCOL, "operation %d: its tasks are misnumbered",
                                 i);
        }
        base += (uint64_t)count;
        if (base > TSI_PROGRAM_TASKS_MAX) {
            return tsi_error_set(error, TESS_ELIMIT, "the program has too many chunks");
        }
    }
    return program->task_count == base ? TESS_OK : broken(error, "the tasks are misnumbered");
}

static tess_status
validate_target(const struct tsi_program *program, int index, struct tsi_error *error)
{
    const struct tsi_target *target = &program->targets[index];
    if (target->op >= program->op_count || target->mode >= TSI_TARGET_MODE_COUNT) {
        return tsi_error_set(error, TESS_EPROTOCOL, "target %d does not exist", index);
    }
    const struct tsi_chunk_op *op = &program->ops[target->op];
    if (op->work == TSI_WORK_HELD || op->work == TSI_WORK_KEPT || op->work == TSI_WORK_FILE) {
        return tsi_error_set(error, TESS_EPROTOCOL, "target %d is not made by the program", index);
    }
    if (target->mode != TSI_TARGET_RUN && (op->is_planes || has_no_array(op))) {
        return tsi_error_set(error, TESS_EPROTOCOL, "target %d has no results", index);
    }
    return TESS_OK;
}

static tess_status
validate_targets(const struct tsi_program *program, struct tsi_error *error)
{
    uint64_t seen[TSI_PROGRAM_OPS_MAX / 64 + 1] = {0};
    for (int i = 0; i < program->target_count; i++) {
        const tess_status status = validate_target(program, i, error);
        if (status != TESS_OK) {
            return status;
        }
        const int op = program->targets[i].op;
        const uint64_t bit = UINT64_C(1) << (op % 64);
        if ((seen[op / 64] & bit) != 0) {
            return tsi_error_set(error, TESS_EPROTOCOL, "operation %d is a target twice", op);
        }
        seen[op / 64] |= bit;
    }
    return TESS_OK;
}

tess_status
tsi_program_validate(const struct tsi_program *program, struct tsi_error *error)
{
    if (program->op_count < 1 || program->op_count > TSI_PROGRAM_OPS_MAX ||
        program->target_count < 1 || program->target_count > program->op_count) {
        return broken(error, "the program has no operations, no targets, or too many of them");
    }
    tess_status status = validate_bounds(program, error);
    for (int i = 0; status == TESS_OK && i < program->op_count; i++) {
        status = validate_op(program, &program->ops[i], error);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "operation %d", i);
        }
    }
    if (status == TESS_OK) {
        status = validate_numbers(program, error);
    }
    if (status == TESS_OK) {
        status = tsi_reads_validate(program, error);
    }
    return status != TESS_OK ? status : validate_targets(program, error);
}
