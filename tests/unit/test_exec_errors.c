// SPDX-License-Identifier: Apache-2.0
//
// What a task does that cannot do its work: statuses, messages, and memory that runs out anywhere.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/memory.h"
#include "tests/support/exec_case.h"

// The sum of a client's array and a cast of it, over several tiles and source chunks.
static int
add_sum(struct exec_case *c)
{
    const struct tsi_grid source = {2, {tsi_axis_regular(90, 25), tsi_axis_regular(80, 33)}};
    const struct tsi_grid loop = {2, {tsi_axis_regular(90, 60), tsi_axis_regular(80, 70)}};
    const struct tsi_index_map map = tsi_index_map_identity(&loop);
    const int from = exec_case_held(c, TESS_F64, &source, EXEC_CASE_SMALL);
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F64, &loop, NULL);
    exec_case_input(c, op, from, &map);
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0});
    exec_case_step(c, op,
                   (struct tsi_tile_instruction){TSI_TILE_MAP, TESS_F64, 0, 1, {0, 0}, TSI_OP_ADD});
    return op;
}

// A reduction of the sum to float32, so that its end needs memory too.
static int
add_mean(struct exec_case *c, int from)
{
    const struct tsi_grid loop = c->program->ops[from].array;
    struct tsi_grid array = loop;
    array.axis[0] = tsi_axis_regular(loop.axis[0].count, 1);
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F64, &loop, &array);
    struct tsi_chunk_op *const to = &c->program->ops[op];
    const struct tsi_index_map map = tsi_index_map_identity(&loop);
    exec_case_input(c, op, from, &map);
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0});
    to->is_planes = true;
    to->plane_reduction = TSI_REDUCE_MEAN;
    to->tile.sink = TSI_SINK_REDUCE;
    to->tile.reduce.reduction = TSI_REDUCE_MEAN;
    to->tile.reduce.dtype = TESS_F64;
    to->tile.reduce.axes = 1;
    struct tsi_grid grid = array;
    struct tsi_index_map window = tsi_index_map_identity(&grid);
    grid.axis[0] = tsi_axis_regular(1, 1);
    window.axis[0].stride = 2;
    window.axis[0].extent = 2;
    const int fold = exec_case_op(c, TSI_WORK_FOLD, TESS_F32, &grid, NULL);
    c->program->ops[fold].fold = (struct tsi_work_fold){
        .reduction = TSI_REDUCE_MEAN, .dtype = TESS_F64, .finish = true, .axes = 1, .folded = 90};
    exec_case_input(c, fold, op, &window);
    return fold;
}

Test(exec_errors, a_result_of_another_type_is_cast)
{
    struct exec_case c;
    exec_case_init(&c, 3);
    const int op = add_mean(&c, add_sum(&c));
    exec_case_run(&c);
    double *const result = exec_case_result(&c, op);
    for (int64_t column = 0; column < 80; column++) {
        double sum = 0;
        for (int64_t row = 0; row < 90; row++) {
            sum += 2 * c.values[0][row * 80 + column];
        }
        cr_assert(result[column] == (double)(float)(sum / 90), "column %lld", (long long)column);
    }
    tsi_free(result);
    exec_case_fini(&c);
}

// Memory that is out at any place is an error that names the task, and nothing leaks or is left
// behind.
Test(exec_errors, memory_may_run_out_anywhere)
{
    int failures = 0;
    for (int64_t successes = 0; successes < 60; successes++) {
        struct exec_case c;
        struct tsi_error error = {0};
        exec_case_init(&c, 3);
        (void)add_mean(&c, add_sum(&c));
        cr_assert(tsi_program_number(c.program, NULL) == TESS_OK, "cannot number");
        c.serial = serial_new(c.program, c.held);
        cr_assert(c.serial != NULL, "no runner");
        tsi_memory_fail_after(successes);
        const tess_status status = serial_run(c.serial, &error);
        tsi_memory_fail_after(-1);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "%s", error.text);
        failures += status != TESS_OK;
        exec_case_fini(&c);
    }
    cr_assert(failures > 5, "only %d failures", failures);
}

Test(exec_errors, a_cancelled_task_says_so)
{
    struct exec_case c;
    struct tsi_error error = {0};
    atomic_bool cancelled = true;
    exec_case_init(&c, 3);
    const int op = add_sum(&c);
    c.program->ops[op].label = "add";
    exec_case_run(&c);
    const uint32_t task = c.program->ops[op].task_base + 1;
    const tess_status status = serial_run_task(c.serial, task, &cancelled, &error);
    cr_assert(status == TESS_ECANCELLED, "%s", tess_status_name(status));
    cr_assert(strcmp(error.text, "add at main.c:7, chunk 1 (0, 1): cancelled") == 0, "%s",
              error.text);
    atomic_store(&cancelled, false);
    cr_assert(serial_run_task(c.serial, task, &cancelled, &error) == TESS_OK, "%s", error.text);
    exec_case_fini(&c);
}

static void
expect_internal(const struct tsi_program *program, int op, const struct tsi_exec_chunk *chunks,
                size_t count, const char *part)
{
    struct tsi_error error = {0};
    struct tsi_buf *const out = tsi_buf_new(8 * 90 * 80);
    const struct tsi_exec_task task = {program, op, 0, chunks, count, out->data, NULL, NULL, NULL};
    const tess_status status = tsi_exec_run(&task, &error);
    cr_assert(status == TESS_EINTERNAL, "%s", tess_status_name(status));
    cr_assert(strstr(error.text, part) != NULL, "'%s' is not in '%s'", part, error.text);
    cr_assert(tsi_exec_run(&task, NULL) == TESS_EINTERNAL, "without a message");
    tsi_buf_unref(out);
}

Test(exec_errors, our_own_mistakes_are_errors)
{
    struct exec_case c;
    exec_case_init(&c, 3);
    const int op = add_sum(&c);
    struct tsi_chunk_op *const to = &c.program->ops[op];
    expect_internal(c.program, 0, NULL, 0, "not made by tasks");
    expect_internal(c.program, op, NULL, 0, "is missing");
    c.program->ops[0].work = TSI_WORK_FILE;
    c.program->ops[0].file.path = "nowhere";
    expect_internal(c.program, op, NULL, 0, "has no files");
    c.program->ops[0].work = TSI_WORK_KEPT;
    expect_internal(c.program, 0, NULL, 0, "not made by tasks");
    to->inputs[0].map.is_explicit = true;
    expect_internal(c.program, op, NULL, 0, "list of chunks");
    to->input_count = 0;
    to->tile.instructions[0].code = 77;
    expect_internal(c.program, op, NULL, 0, "no such kernel");
    to->tile.instruction_count = 0;
    expect_internal(c.program, op, NULL, 0, "empty");
    to->work = TSI_WORK_MATMUL;
    expect_internal(c.program, op, NULL, 0, "no product");
    to->work = TSI_WORK_JOIN;
    to->target_file.path = "x";
    expect_internal(c.program, op, NULL, 0, "without a name");
    to->target_file.temporary = "y";
    expect_internal(c.program, op, NULL, 0, "nothing writes");
    exec_case_fini(&c);
}
