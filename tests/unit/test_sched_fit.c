// SPDX-License-Identifier: Apache-2.0
//
// How much is looked at to tell whether a job can run: tasks of one operation up to a number,
// evenly, and inputs of the whole job up to a number. What is not looked at is seen from here by
// one task that is too large for the only worker: where it is looked at the job is refused, where
// not it begins.

#include <criterion/criterion.h>

#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"

enum {
    CHUNK = 10,            // elements of a chunk of a reader, and of most chunks of a source
    COUNTED_MAX = 1 << 18, // tasks of an operation from which on not all are looked at
    // Bytes of what the large task reads: two chunks, each of which counts as the largest of their
    // array. Of another array without it, two chunks are 2 · CHUNK · 8 bytes.
    LARGE = 2 * (CHUNK + CHUNK / 2) * 8,
};

// An axis of `count` chunks of which that at `at` ends early, so that the reader's chunk `at` reads
// two. The next one is larger by as much if `is_large`; else one more is put in behind it.
static struct tsi_axis
shifted_axis(struct test_build *build, int64_t count, int64_t at, bool is_large)
{
    struct tsi_arena *arena = &build->program->arena;
    const int64_t chunks = is_large ? count : count + 1;
    int64_t *sizes = tsi_arena_alloc(arena, (size_t)chunks * sizeof *sizes);
    struct tsi_axis axis;
    cr_assert(sizes != NULL);
    for (int64_t i = 0; i < chunks; i++) {
        sizes[i] = CHUNK;
    }
    sizes[at] = CHUNK / 2;
    sizes[is_large ? at + 1 : at + 2] = is_large ? CHUNK + CHUNK / 2 : CHUNK / 2;
    cr_assert(tsi_axis_from_sizes(arena, count * CHUNK, sizes, chunks, &axis, NULL) == TESS_OK);
    return axis;
}

// An operation of `count` chunks that reads such an array of the client's.
static int
add_reader(struct test_build *build, int64_t count, int64_t at, bool is_large)
{
    const struct tsi_grid loop = {1, {tsi_axis_regular(count * CHUNK, CHUNK)}};
    const struct tsi_grid from = {1, {shifted_axis(build, count, at, is_large)}};
    const struct tsi_index_map map = tsi_index_map_identity(&from);
    const int held = test_build_op(build, TSI_WORK_HELD, TESS_F64, &from, NULL);
    const int op = test_build_sum(build, &loop, 1, &held, &map);
    test_build_target(build, op, TSI_TARGET_RUN);
    return op;
}

// How the job has ended when a worker with room for all but the large task has come.
static tess_status
judge(struct test_build *build, int reader)
{
    struct sched_case c;
    const struct tsi_chunk_op *op = test_build_at(build, reader);
    const uint64_t own =
        tsi_chunk_op_bytes_max(op) + tsi_chunk_op_workspace_max(build->program, op);
    sched_case_init(&c, NULL);
    c.shallow = true;
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, test_build_finish(build));
    sched_case_worker(&c, 1, own + LARGE - 1);
    sched_case_poll(&c);
    const tess_status status = c.ended;
    sched_case_fini(&c, status == TESS_RUNNING ? 1 : 0);
    return status;
}

static tess_status
judge_one(int64_t count, int64_t at)
{
    struct test_build build = test_build_start();
    const int reader = add_reader(&build, count, at, true);
    return judge(&build, reader);
}

Test(sched_fit, all_tasks_of_an_operation_count_up_to_a_number)
{
    cr_assert(judge_one(1000, 0) == TESS_EMEMLIMIT);
    cr_assert(judge_one(1000, 777) == TESS_EMEMLIMIT);
    cr_assert(judge_one(COUNTED_MAX - 1, COUNTED_MAX - 4) == TESS_EMEMLIMIT);
    cr_assert(judge_one(COUNTED_MAX - 1, COUNTED_MAX - 3) == TESS_EMEMLIMIT);
}

// Every second one.
Test(sched_fit, of_more_tasks_some_are_looked_at_evenly)
{
    cr_assert(judge_one(COUNTED_MAX + 1000, COUNTED_MAX + 100) == TESS_EMEMLIMIT);
    cr_assert(judge_one(COUNTED_MAX + 1000, 100) == TESS_EMEMLIMIT);
    cr_assert(judge_one(COUNTED_MAX + 1000, 101) == TESS_RUNNING);
    cr_assert(judge_one(COUNTED_MAX + 1000, COUNTED_MAX + 101) == TESS_RUNNING);
}

// Operations with nothing too large take the job's budget, an input and one more for each task; to
// the next one three tasks are left.
static tess_status
judge_last(int before, int64_t at)
{
    struct test_build build = test_build_start();
    for (int i = 0; i < before; i++) {
        add_reader(&build, COUNTED_MAX - 1, 50, false);
    }
    const int reader = add_reader(&build, COUNTED_MAX - 1, at, true);
    return judge(&build, reader);
}

Test(sched_fit, inputs_of_a_job_count_up_to_a_number)
{
    cr_assert(judge_last(1, 5000) == TESS_EMEMLIMIT);
    cr_assert(judge_last(3, 0) == TESS_EMEMLIMIT, "the first task of each is looked at");
    cr_assert(judge_last(3, 5000) == TESS_RUNNING);
}
