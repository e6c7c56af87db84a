// SPDX-License-Identifier: Apache-2.0
//
// The life of a program, the numbering of its tasks, and what is known of a task before it runs.
//
// Operations without tasks share the base of the next one, so the operation of a task is the last
// whose base is not above it.

#include "engine/program/program.h"

#include <stdio.h>

#include "engine/base/memory.h"

struct tsi_program *
tsi_program_new(void)
{
    struct tsi_program *program = tsi_calloc(1, sizeof *program);
    if (program != NULL) {
        tsi_arena_init(&program->arena);
    }
    return program;
}

void
tsi_program_free(struct tsi_program *program)
{
    if (program != NULL) {
        tsi_arena_fini(&program->arena);
        tsi_free(program);
    }
}

tess_status
tsi_program_number(struct tsi_program *program, struct tsi_error *error)
{
    uint32_t total = 0;
    for (int i = 0; i < program->op_count; i++) {
        struct tsi_chunk_op *op = &program->ops[i];
        const int64_t count = op->work == TSI_WORK_FILE ? 0 : tsi_grid_chunk_count(&op->loop);
        if (count < 0 || count > (int64_t)(TSI_PROGRAM_TASKS_MAX - total)) {
            char place[TSI_PLACE_TEXT_MAX];
            tsi_chunk_op_place(op, place, sizeof place);
            return tsi_error_set(error, TESS_ELIMIT,
                                 "%s: more than %lu chunks in one program; use larger chunks",
                                 place, (unsigned long)TSI_PROGRAM_TASKS_MAX);
        }
        op->task_base = total;
        op->task_count = (uint32_t)count;
        total += (uint32_t)count;
    }
    program->task_count = total;
    return TESS_OK;
}

int
tsi_program_op_of(const struct tsi_program *program, uint32_t task)
{
    int low = 0;
    int high = program->op_count;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (program->ops[middle].task_base <= task) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool
has_output(const struct tsi_chunk_op *op)
{
    return op->work != TSI_WORK_JOIN &&
           !(op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_WRITE);
}

static size_t
accumulator_bytes(enum tsi_reduction reduction, tess_dtype dtype, int64_t elements)
{
    const struct tsi_acc_layout layout = tsi_acc_layout(reduction, dtype);
    return tsi_acc_offset(&layout, layout.planes, elements);
}

// Bytes of `elements` elements of the output array of `op`.
static size_t
output_bytes(const struct tsi_chunk_op *op, int64_t elements)
{
    if (!has_output(op)) {
        return 0;
    }
    if (op->is_planes) {
        return accumulator_bytes(op->plane_reduction, (tess_dtype)op->dtype, elements);
    }
    return (size_t)elements * tess_dtype_bytes((tess_dtype)op->dtype);
}

size_t
tsi_chunk_op_bytes(const struct tsi_chunk_op *op, int64_t chunk)
{
    if (op->array.ndim == 1) { // many tiny chunks have one axis as a rule
        return output_bytes(op, tsi_axis_chunk_size(&op->array.axis[0], chunk));
    }
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    return output_bytes(op, tsi_grid_box(&op->array, chunk, start, size));
}

size_t
tsi_chunk_op_bytes_max(const struct tsi_chunk_op *op)
{
    return output_bytes(op, tsi_grid_chunk_elements_max(&op->array));
}

void
tsi_chunk_op_place(const struct tsi_chunk_op *op, char *out, size_t bytes)
{
    const char *label = op->label != NULL ? op->label : "";
    if (op->site != NULL && op->site[0] != '\0') {
        snprintf(out, bytes, "%s at %s", label, op->site);
    } else {
        snprintf(out, bytes, "%s", label);
    }
}
