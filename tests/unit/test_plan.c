// SPDX-License-Identifier: Apache-2.0
//
// The planner's choices: what is fused, what becomes an array of its own, how reductions, products
// and files are laid out. Whether programs compute the right thing is what tests/api looks at.

#include "engine/plan/plan.h"

#include <math.h>

#include "engine/base/text.h"
#include "engine/plan/explain.h"
#include "engine/plan/peak.h"
#include "engine/program/codec.h"
#include "tests/support/graph.h"

static struct tess_session session;
static struct tsi_plan plan;
static struct tsi_error error;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
    plan = (struct tsi_plan){0};
}

static void
tear_down(void)
{
    tsi_plan_fini(&plan);
    tsi_session_fini(&session);
}

TestSuite(plan, .init = set_up, .fini = tear_down);

// Plans to deliver `x`; every program must be one that a stranger may send.
static const struct tsi_program *
plan_targets(const struct tsi_plan_target *targets, int count)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct tsi_program *decoded = NULL;
    tsi_plan_fini(&plan);
    cr_assert_eq(tsi_plan_make(targets, count, &plan, &error), TESS_OK, "%s", error.text);
    cr_assert_eq(tsi_program_encode(plan.program, &bytes, &length, &error), TESS_OK);
    cr_assert_eq(tsi_program_decode(bytes, length, &decoded, &error), TESS_OK, "%s", error.text);
    cr_assert_eq(decoded->task_count, plan.program->task_count);
    tsi_program_free(decoded);
    tsi_free(bytes);
    return plan.program;
}

static const struct tsi_program *
plan_one(tess_array *x)
{
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
    return plan_targets(&(struct tsi_plan_target){.array = x, .mode = TSI_TARGET_DELIVER}, 1);
}

static int
count_work(const struct tsi_program *program, enum tsi_work work)
{
    int count = 0;
    for (int i = 0; i < program->op_count; i++) {
        count += program->ops[i].work == work;
    }
    return count;
}

static tess_array *
normal(int64_t rows, int64_t columns)
{
    return tess_random_normal(&session, TESS_SHAPE(rows, columns), TESS_CHUNKS(10, 10), 0, 1);
}

Test(plan, chains_are_one_operation)
{
    tess_array *x = normal(35, 20);
    const struct tsi_program *program =
        plan_one(tess_sqrt(tess_abs(tess_add(x, tess_scalar_int(&session, 1)))));
    cr_assert_eq(program->op_count, 1);
    cr_assert_eq(program->ops[0].work, TSI_WORK_TILE);
    cr_assert_eq(program->ops[0].tile.sink, TSI_SINK_STORE);
    cr_assert_eq(program->ops[0].input_count, 0);
    cr_assert_eq(program->ops[0].tile.instruction_count, 5);
    cr_assert_eq(program->task_count, 8);
    cr_assert_str_eq(program->ops[0].label, "random_normal+add+abs+sqrt");
}

// A view of a random array makes the numbers at other places; nothing is read.
Test(plan, views_are_no_operations)
{
    tess_array *x = normal(35, 20);
    tess_array *part = tess_slice(x, TESS_INDEX(TESS_RANGE(30, 3, -3), TESS_AT(4)));
    cr_assert_eq(plan_one(part)->op_count, 1);
    cr_assert_eq(plan.program->ops[0].input_count, 0);
    tess_array *sum = tess_add(x, tess_rechunk(x, TESS_CHUNKS(7, 3)));
    cr_assert_eq(plan_one(sum)->op_count, 1);

    static const double data[12] = {0};
    tess_array *held =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(3, 4), NULL, TESS_CHUNKS(2, 2));
    const struct tsi_program *program = plan_one(tess_add(
        held, tess_slice(held, TESS_INDEX(TESS_WHOLE, TESS_RANGE(TESS_OPEN, TESS_OPEN, -1)))));
    cr_assert_eq(program->op_count, 2);
    cr_assert_eq(program->ops[0].work, TSI_WORK_HELD);
    cr_assert_eq(program->ops[1].input_count, 2, "one array, two maps");
    cr_assert_eq(plan.held_count, 1);
    cr_assert(plan.held[0] == held);
}

// What the same task reads twice at the same place is there once.
Test(plan, common_operands_are_computed_once)
{
    tess_array *x = normal(20, 20);
    tess_array *y = tess_exp(x);
    const struct tsi_program *program = plan_one(tess_add(tess_multiply(y, y), y));
    cr_assert_eq(program->op_count, 1);
    cr_assert_eq(program->ops[0].tile.instruction_count, 4);
    cr_assert(program->ops[0].tile.register_count <= 3);
}

static int
fold_levels(int64_t chunks)
{
    tess_array *x = tess_random_normal(&session, TESS_SHAPE(chunks * 5), TESS_CHUNKS(5), 0, 1);
    const struct tsi_program *program = plan_one(tess_sum(x, TESS_AXES_ALL));
    cr_assert_eq(program->ops[0].tile.sink, TSI_SINK_REDUCE);
    cr_assert_eq(program->ops[0].tile.reduce.finish, chunks == 1);
    return count_work(program, TSI_WORK_FOLD);
}

Test(plan, reductions_are_trees_of_sixteen)
{
    cr_assert_eq(fold_levels(1), 0);
    cr_assert_eq(fold_levels(2), 1);
    cr_assert_eq(fold_levels(16), 1);
    cr_assert_eq(fold_levels(17), 2);
    cr_assert_eq(fold_levels(256), 2);
    cr_assert_eq(fold_levels(257), 3);
    cr_assert_eq(fold_levels(100000), 5);
}

// Cheap things are made twice rather than stored, costly ones are stored.
Test(plan, keeps_what_costs_more_than_memory)
{
    tess_array *x = normal(40, 40);
    tess_array *cheap = tess_add(x, tess_scalar_int(&session, 1));
    tess_array *costly = tess_power(tess_exp(x), tess_sin(x));
    plan_one(tess_subtract(cheap, tess_mean(cheap, TESS_AXIS(0))));
    cr_assert_eq(count_work(plan.program, TSI_WORK_TILE), 2);
    plan_one(tess_subtract(costly, tess_mean(costly, TESS_AXIS(0))));
    cr_assert_eq(count_work(plan.program, TSI_WORK_TILE), 3);
}

Test(plan, long_chains_are_cut)
{
    tess_array *x = normal(20, 20);
    tess_array *sum = x;
    for (int i = 0; i < 1000; i++) {
        sum = tess_add(sum, i % 2 == 0 ? x : tess_scalar_int(&session, i));
    }
    const struct tsi_program *program = plan_one(sum);
    cr_assert(program->op_count > 10 && program->op_count < 60, "%d", program->op_count);
    for (int i = 0; i < program->op_count; i++) {
        cr_assert(program->ops[i].tile.instruction_count <= TSI_TILE_REGISTERS_MAX);
        cr_assert(program->ops[i].tile.register_count <= program->ops[i].tile.instruction_count);
    }
}

// (rows, inner) times (inner, rows), all in square chunks.
static const struct tsi_program *
plan_product(int64_t rows, int64_t inner, int64_t chunk)
{
    const tess_chunks chunks = TESS_CHUNKS(chunk, chunk);
    tess_array *a = tess_random_normal(&session, TESS_SHAPE(rows, inner), chunks, 0, 1);
    tess_array *b = tess_random_normal(&session, TESS_SHAPE(inner, rows), chunks, 0, 1);
    return plan_one(tess_matmul(a, b));
}

static const struct tsi_axis *
inner_axis(const struct tsi_program *program)
{
    for (int i = 0; i < program->op_count; i++) {
        if (program->ops[i].work == TSI_WORK_MATMUL) {
            return &program->ops[i].loop.axis[2];
        }
    }
    cr_assert_fail("there is no product");
    return NULL;
}

Test(plan, products_take_several_chunks_of_the_inner_axis)
{
    const struct tsi_axis *inner = inner_axis(plan_product(40, 95, 10));
    cr_assert_eq(inner->count, 3, "four chunks of ten each, and the rest");
    cr_assert_eq(tsi_axis_chunk_size(inner, 0), 40);
    cr_assert_eq(tsi_axis_chunk_size(inner, 2), 15);
    inner = inner_axis(plan_product(40, 35, 10));
    cr_assert(inner->count == 1 && inner->size == 35);
    inner = inner_axis(plan_product(10, 80, 10));
    cr_assert_eq(inner->count, 4, "four blocks are left to run side by side");
    inner = inner_axis(plan_product(10, 35, 10));
    cr_assert_eq(inner->count, 4, "there are no more than four blocks as it is");
    inner = inner_axis(plan_product(16384, 16384, 4096));
    cr_assert_eq(inner->count, 4, "two blocks of 256 MiB would be too much for a task");
    inner = inner_axis(plan_product(8192, 8192, 2048));
    cr_assert_eq(inner->count, 1, "eight chunks of 32 MiB are not");
    tess_array *x = normal(40, 80);
    static const double data[81 * 41] = {0};
    tess_array *held =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(81, 41), NULL, TESS_CHUNKS(10, 10));
    const tess_index late = TESS_RANGE(1, 81, 1);
    tess_array *moved = tess_slice(held, TESS_INDEX(late, TESS_RANGE(1, 41, 1)));
    inner = inner_axis(plan_one(tess_matmul(x, moved)));
    cr_assert_eq(inner->count, 2, "chunks that are cut elsewhere along the inner axis do no harm");
    moved = tess_slice(held, TESS_INDEX(TESS_RANGE(0, 80, 1), TESS_RANGE(0, 40, 2)));
    inner = inner_axis(plan_one(tess_matmul(x, moved)));
    cr_assert_eq(inner->count, 8, "those that are cut elsewhere along another axis are copied");
}

Test(plan, matrix_operands_are_arrays)
{
    tess_array *x = normal(20, 30);
    tess_array *turned = tess_transpose(x, TESS_REVERSED);
    const struct tsi_program *program = plan_one(tess_matmul(turned, x));
    cr_assert_eq(program->ops[0].work, TSI_WORK_TILE);
    cr_assert_eq(count_work(program, TSI_WORK_MATMUL), 1);
    cr_assert_eq(count_work(program, TSI_WORK_FOLD), 0, "the inner axis is one block");

    static const double data[600] = {0};
    tess_array *held =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(20, 30), NULL, TESS_CHUNKS(20, 10));
    program = plan_one(tess_matmul(tess_transpose(held, TESS_REVERSED), held));
    cr_assert_eq(program->op_count, 2, "transposes are read in place");
    cr_assert(program->ops[1].matmul.finish);
    cr_assert_eq(program->ops[1].inputs[0].op, 0);
    cr_assert_eq(program->ops[1].inputs[1].op, 0);
    const tess_index one = TESS_RANGE(4, 5, 1);
    tess_array *row = tess_slice(held, TESS_INDEX(one));
    program = plan_one(tess_matmul(tess_broadcast_to(row, TESS_SHAPE(7, 30)),
                                   tess_transpose(held, TESS_REVERSED)));
    cr_assert_eq(count_work(program, TSI_WORK_TILE), 1, "what repeats rows is made");
    program = plan_one(tess_matmul(tess_broadcast_to(held, TESS_SHAPE(3, 20, 30)),
                                   tess_transpose(held, TESS_REVERSED)));
    cr_assert_eq(count_work(program, TSI_WORK_TILE), 0, "what repeats matrices is not");
}

Test(plan, targets)
{
    tess_array *x = normal(20, 20);
    tess_array *y = tess_exp(x);
    tess_array *sum = tess_sum(y, TESS_AXES_ALL);
    static const double data[4] = {0};
    tess_array *held =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(4), NULL, TESS_CHUNKS(3));
    const struct tsi_plan_target targets[] = {{.array = y, .mode = TSI_TARGET_DELIVER},
                                              {.array = sum, .mode = TSI_TARGET_DELIVER},
                                              {.array = y, .mode = TSI_TARGET_DELIVER},
                                              {.array = held, .mode = TSI_TARGET_DELIVER},
                                              {.array = held, .mode = TSI_TARGET_DELIVER}};
    const struct tsi_program *program = plan_targets(targets, 5);
    cr_assert_eq(program->target_count, 3);
    cr_assert_eq(plan.target_ops[0], plan.target_ops[2]);
    cr_assert_eq(plan.target_ops[3], plan.target_ops[4]);
    cr_assert_eq(program->ops[plan.target_ops[0]].work, TSI_WORK_TILE);
    cr_assert_eq(program->ops[plan.target_ops[3]].work, TSI_WORK_TILE, "leaves are copied");
    cr_assert_eq(program->ops[plan.target_ops[1]].work, TSI_WORK_FOLD);
}

Test(plan, kept_arrays_are_leaves)
{
    tess_array *x = normal(20, 20);
    tess_array *y = tess_exp(x);
    y->kept = true;
    y->kept_job = 7;
    y->kept_base = 40;
    const struct tsi_program *program = plan_one(tess_add(y, tess_scalar_int(&session, 1)));
    cr_assert_eq(program->op_count, 2);
    cr_assert_eq(program->ops[0].work, TSI_WORK_KEPT);
    cr_assert_eq(program->ops[0].kept.job, 7);
    cr_assert_eq(program->ops[0].kept.base, 40);
    cr_assert_eq(program->ops[1].tile.instruction_count, 3);
}

static int
joins_of(int64_t chunks)
{
    tess_array *x = tess_random_normal(&session, TESS_SHAPE(chunks), TESS_CHUNKS(1), 0, 1);
    const struct tsi_plan_target target = {
        .array = x, .mode = TSI_TARGET_RUN, .path = "/a/x.npy", .temporary = "/a/x.part"};
    const struct tsi_program *program = plan_targets(&target, 1);
    const struct tsi_chunk_op *last = &program->ops[program->op_count - 1];
    cr_assert_eq(program->ops[0].tile.sink, TSI_SINK_WRITE);
    cr_assert_str_eq(program->ops[0].target_file.temporary, "/a/x.part");
    cr_assert_eq(last->work, TSI_WORK_JOIN);
    cr_assert_eq(last->task_count, 1);
    cr_assert_str_eq(last->target_file.path, "/a/x.npy");
    return count_work(program, TSI_WORK_JOIN);
}

Test(plan, files_are_written_by_chunks_and_joined)
{
    cr_assert_eq(joins_of(1), 1);
    cr_assert_eq(joins_of(16), 1);
    cr_assert_eq(joins_of(17), 2);
    cr_assert_eq(joins_of(257), 3);
}

// Empty chunks write nothing, and nothing waits for them.
Test(plan, files_have_no_empty_chunks)
{
    static const int64_t list[] = {0, 3, 0, 0, 2, 0};
    tess_array *x = tess_random_normal(&session, TESS_SHAPE(5),
                                       tess_chunks_list(TESS_CHUNKS(1), 0, list, 6), 0, 1);
    const struct tsi_plan_target target = {
        .array = x, .mode = TSI_TARGET_RUN, .path = "/a/x.npy", .temporary = "/a/x.part"};
    cr_assert_eq(plan_targets(&target, 1)->ops[0].task_count, 2);
}

Test(plan, estimates_and_text)
{
    tess_array *x = normal(100, 100);
    const struct tsi_program *program = plan_one(tess_mean(tess_exp(x), TESS_AXIS(0)));
    const struct tsi_estimate estimate = tsi_estimate(program, 2);
    cr_assert_eq(estimate.tasks, program->task_count);
    cr_assert(estimate.peak_bytes > 0 && estimate.peak_bytes < 1 << 20);
    struct tsi_text text = {0};
    tsi_explain(program, 2, 1234, &text);
    cr_assert(strstr(tsi_text_chars(&text), "random_normal+exp+mean") != NULL, "%s",
              tsi_text_chars(&text));
    cr_assert(strstr(tsi_text_chars(&text), "100 chunks of (10, 10)") != NULL);
    cr_assert(strstr(tsi_text_chars(&text), "test_plan.c:") != NULL);
    tsi_text_fini(&text);
}

// Every allocation of a plan may fail; nothing leaks and the message says so.
Test(plan, without_memory)
{
    static const double data[24] = {0};
    tess_array *held =
        tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(4, 6), NULL, TESS_CHUNKS(2, 2));
    tess_array *x = normal(4, 6);
    tess_array *product = tess_matmul(held, tess_transpose(tess_exp(x), TESS_REVERSED));
    const struct tsi_plan_target targets[] = {
        {.array = tess_std(product, TESS_AXES_ALL, 0), .mode = TSI_TARGET_DELIVER},
        {.array = x, .mode = TSI_TARGET_RUN, .path = "/a/x.npy", .temporary = "/a/x.part"}};
    tess_status status = TESS_ENOMEM;
    int64_t n = 0;
    for (; status != TESS_OK && n < 1000; n++) {
        struct tsi_plan fresh = {0};
        error = (struct tsi_error){.status = TESS_OK};
        tsi_memory_fail_after(n);
        status = tsi_plan_make(targets, 2, &fresh, &error);
        tsi_memory_fail_after(-1);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "%s", error.text);
        cr_assert(status == TESS_OK || strlen(error.text) > 0);
        tsi_plan_fini(&fresh);
    }
    cr_assert(status == TESS_OK && n > 10, "%lld", (long long)n);
}
