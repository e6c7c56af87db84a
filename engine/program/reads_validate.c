// SPDX-License-Identifier: Apache-2.0
//
// How many chunks a task reads, and how often a chunk is read: bounds in closed form, for those who
// count both.
//
// On a source axis, the windows of a loop chunk lie in a span, which meets no more chunks than it
// has boundaries inside, plus one; and no more than all of its windows do, one by one. What the
// bounds say too much is little: a factor of two or so for each axis.

#include "engine/base/memory.h"
#include "engine/base/saturate.h"
#include "engine/program/validate.h"

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// Chunks of `axis` that `span` elements in a row may meet.
static int64_t
chunks_of_span(const struct tsi_axis *axis, int64_t span)
{
    const int64_t step = axis->bounds == NULL ? axis->step : 1;
    return smaller(axis->count, span <= 1 ? 1 : (span - 2) / step + 2);
}

// Chunks of `source` that one chunk of the loop may meet on one axis.
static int64_t
reads_of_axis(const struct tsi_map_axis *rule, const struct tsi_grid *loop,
              const struct tsi_axis *source)
{
    const bool is_fixed = rule->axis < 0 || rule->stride == 0;
    const int64_t windows = is_fixed ? 1 : tsi_axis_chunk_size_max(&loop->axis[rule->axis]);
    if (windows == 0) {
        return 0;
    }
    const int64_t stride = is_fixed ? 0 : rule->stride < 0 ? -rule->stride : rule->stride;
    const int64_t span = stride * (windows - 1) + rule->extent;
    const bool is_aligned = rule->extent == 1 && stride == 1 && rule->offset == 0 &&
                            tsi_axis_equal(&loop->axis[rule->axis], source);
    return is_aligned
               ? 1
               : smaller(chunks_of_span(source, span),
                         tsi_saturate_multiply_i64(windows, chunks_of_span(source, rule->extent)));
}

static int64_t
reads_of_list(const struct tsi_map_rows *rows, int64_t count)
{
    uint32_t most = 0;
    for (int64_t row = 0; row < count; row++) {
        const uint32_t reads = rows->starts[row + 1] - rows->starts[row];
        most = reads > most ? reads : most;
    }
    return most;
}

// Chunks that one task of `op` may read of `input`.
static int64_t
reads_of_input(const struct tsi_program *program, const struct tsi_chunk_op *op,
               const struct tsi_input *input)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    if (input->map.is_explicit) {
        return reads_of_list(&input->map.deps, tsi_grid_chunk_count(&op->loop));
    }
    int64_t reads = 1;
    for (int i = 0; i < input->map.ndim; i++) {
        reads = tsi_saturate_multiply_i64(
            reads, reads_of_axis(&input->map.axis[i], &op->loop, &source->axis[i]));
    }
    return reads;
}

// Adds the reads of operation `index` to `readers`, the tasks that read each operation.
static tess_status
add_reads(const struct tsi_program *program, int index, uint64_t *readers, struct tsi_error *error)
{
    const struct tsi_chunk_op *op = &program->ops[index];
    int64_t reads = 0;
    for (int i = 0; i < op->input_count; i++) {
        const int64_t more = reads_of_input(program, op, &op->inputs[i]);
        uint64_t *total = &readers[op->inputs[i].op];
        *total += op->task_count;
        if (more > TSI_TASK_READS_MAX - reads || *total > TSI_PROGRAM_TASKS_MAX) {
            char place[TSI_PLACE_TEXT_MAX];
            tsi_chunk_op_place(op, place, sizeof place);
            return tsi_error_set(error, TESS_ELIMIT,
                                 "operation %d: %s reads too many chunks; use larger ones", index,
                                 place);
        }
        reads += more;
    }
    return TESS_OK;
}

tess_status
tsi_reads_validate(const struct tsi_program *program, struct tsi_error *error)
{
    uint64_t *readers = tsi_calloc((size_t)program->op_count, sizeof *readers);
    if (readers == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory while a program is checked");
    }
    tess_status status = TESS_OK;
    for (int i = 0; status == TESS_OK && i < program->op_count; i++) {
        status = add_reads(program, i, readers, error);
    }
    tsi_free(readers);
    return status;
}
