// SPDX-License-Identifier: Apache-2.0
//
// One line an operation: what it does, how many chunks of which size, what it reads and by which
// map, and how many instructions its tile program has.

#include "engine/plan/explain.h"

#include "engine/plan/peak.h"

static const char *
work_name(const struct tsi_chunk_op *op)
{
    switch (op->work) {
    case TSI_WORK_HELD:
        return "memory";
    case TSI_WORK_KEPT:
        return "kept";
    case TSI_WORK_FILE:
        return "file";
    case TSI_WORK_FOLD:
        return "fold";
    case TSI_WORK_MATMUL:
        return "matmul";
    case TSI_WORK_JOIN:
        return "join";
    default:
        return op->tile.sink == TSI_SINK_STORE    ? "tile"
               : op->tile.sink == TSI_SINK_REDUCE ? "tile, fold"
                                                  : "tile, write";
    }
}

static void
add_chunk_shape(const struct tsi_chunk_op *op, struct tsi_text *text)
{
    int64_t size[TESS_NDIM_MAX] = {0};
    char shape[TSI_SHAPE_TEXT_MAX];
    for (int a = 0; a < op->loop.ndim; a++) {
        size[a] = tsi_axis_chunk_size_max(&op->loop.axis[a]);
    }
    tsi_text_add(text, "%s", tsi_text_shape(shape, op->loop.ndim, size));
}

static void
add_inputs(const struct tsi_program *program, const struct tsi_chunk_op *op, struct tsi_text *text)
{
    for (int k = 0; k < op->input_count; k++) {
        const struct tsi_input *input = &op->inputs[k];
        tsi_text_add(text, "%s %%%d (%s)", k == 0 ? "; reads" : ",", input->op,
                     tsi_index_map_name(&input->map, &op->loop, &program->ops[input->op].array));
    }
}

static void
add_op(const struct tsi_program *program, int i, struct tsi_text *text)
{
    const struct tsi_chunk_op *op = &program->ops[i];
    char bytes[TSI_BYTES_TEXT_MAX];
    char place[256];
    tsi_chunk_op_place(op, place, sizeof place);
    tsi_text_add(text, "%%%-3d %-11s %s: %lld chunks of ", i, work_name(op), place,
                 (long long)tsi_grid_chunk_count(&op->loop));
    add_chunk_shape(op, text);
    tsi_text_add(text, " %s", tess_dtype_name((tess_dtype)op->dtype));
    if (op->work != TSI_WORK_FILE) {
        tsi_text_add(text, ", %s each", tsi_text_bytes(bytes, tsi_chunk_op_bytes_max(op)));
    }
    if (op->work == TSI_WORK_TILE) {
        tsi_text_add(text, ", %d instructions", op->tile.instruction_count);
    }
    add_inputs(program, op, text);
    tsi_text_add(text, "\n");
}

void
tsi_explain(const struct tsi_program *program, int threads, size_t program_bytes,
            struct tsi_text *text)
{
    const struct tsi_estimate estimate = tsi_estimate(program, threads);
    char a[TSI_BYTES_TEXT_MAX];
    char b[TSI_BYTES_TEXT_MAX];
    for (int i = 0; i < program->op_count; i++) {
        add_op(program, i, text);
    }
    tsi_text_add(text, "%llu tasks; ", (unsigned long long)estimate.tasks);
    tsi_text_add(text, "%s read and %s written by tasks; ", tsi_text_bytes(a, estimate.bytes_read),
                 tsi_text_bytes(b, estimate.bytes_written));
    tsi_text_add(text, "predicted peak %s with %d threads; ",
                 tsi_text_bytes(a, estimate.peak_bytes), threads);
    tsi_text_add(text, "program of %s\n", tsi_text_bytes(a, program_bytes));
}
