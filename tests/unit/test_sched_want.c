// SPDX-License-Identifier: Apache-2.0
//
// Chunks that nobody will ask for, and chunks that are best used at once.

#include <criterion/criterion.h>

#include "scheduler/core/sched_job.h"
#include "scheduler/core/sched_want.h"
#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"

// Whether a target of the program needs a task, found the long way.
static bool
needs(const struct tsi_program *program, uint32_t task)
{
    const int op = tsi_program_op_of(program, task);
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].op == op) {
            return true;
        }
    }
    for (int user = op + 1; user < program->op_count; user++) {
        const struct tsi_chunk_op *reader = &program->ops[user];
        for (int k = 0; k < reader->input_count; k++) {
            if (reader->inputs[k].op != op) {
                continue;
            }
            struct tsi_chunk_set set =
                tsi_index_map_users(&reader->inputs[k].map, &reader->loop, &program->ops[op].array,
                                    (int64_t)(task - program->ops[op].task_base));
            int64_t chunk = 0;
            while (tsi_chunk_set_next(&set, &chunk)) {
                if (needs(program, reader->task_base + (uint32_t)chunk)) {
                    return true;
                }
            }
        }
    }
    return false;
}

Test(sched_want, every_task_of_random_programs)
{
    uint32_t unwanted = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        const struct test_program_options options = {.tasks_max = 60, .with_held = true};
        struct tsi_program *program = test_program_random(seed, &options);
        struct tsi_sched_job *job = tsi_sched_job_new(program);
        cr_assert(job != NULL);
        uint64_t total = 0;
        for (uint32_t task = 0; task < program->task_count; task++) {
            const bool expected = needs(program, task);
            const bool found = tsi_sched_want(job, tsi_sched_job_op(job, task), task);
            cr_assert(!expected || found, "seed %lu: task %u is needed", (unsigned long)seed, task);
            // A chunk without elements has no users, and nobody asks what is wanted of it.
            const struct tsi_chunk_op *op = &program->ops[tsi_program_op_of(program, task)];
            if (tsi_chunk_op_bytes(op, (int64_t)(task - op->task_base)) > 0) {
                cr_assert(expected || !found, "seed %lu: task %u is not needed",
                          (unsigned long)seed, task);
            }
            unwanted += found ? 0 : 1;
            total += found && tsi_sched_op_runs(&job->ops[tsi_sched_job_op(job, task)]) ? 1 : 0;
        }
        cr_assert(job->tasks_total == total, "seed %lu: progress counts what never runs",
                  (unsigned long)seed);
        tsi_sched_job_free(job);
        tsi_program_free(program);
    }
    cr_assert(unwanted > 100, "the test saw too little");
}

Test(sched_want, chunks_are_not_kept_for_those_who_never_come)
{
    // a → b chunk by chunk; only every tenth chunk of b is read, all chunks of a by a sum as well.
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(1000, 10)}};
    const struct tsi_grid few = {.ndim = 1, .axis = {tsi_axis_regular(10, 1)}};
    const struct tsi_index_map same = tsi_index_map_identity(&grid);
    const struct tsi_index_map tenth = {.ndim = 1,
                                        .axis = {{.axis = 0, .stride = 100, .extent = 1}}};
    const int a = test_build_normal(&build, &grid);
    const int b = test_build_sum(&build, &grid, 1, &a, &same);
    const int part = test_build_reduce(&build, &grid, a, &same, TSI_REDUCE_SUM, 1, true);
    test_build_target(&build, test_build_folds(&build, part, 1, 10), TSI_TARGET_DELIVER);
    test_build_target(&build, test_build_sum(&build, &few, 1, &b, &tenth), TSI_TARGET_DELIVER);
    const uint32_t job = sched_case_submit(&c, client, test_build_finish(&build));
    size_t most = 0;
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(&c, 1, true) ? 0 : quiet + 1;
        most = c.workers[0].store.count > most ? c.workers[0].store.count : most;
    }
    cr_assert(c.ended == TESS_OK);
    for (uint32_t chunk = 0; chunk < 100; chunk++) {
        cr_assert(sched_case_runs(&c, job, chunk) == 1);
        cr_assert(sched_case_runs(&c, job, 100 + chunk) == (chunk % 10 == 0 ? 1 : 0));
    }
    // The tenth chunks wait for their other reader, the rest is freed soon.
    cr_assert(most <= 60, "%zu chunks at once", most);
    sched_case_fini(&c, 0);
}

Test(sched_want, two_reductions_of_one_array_do_not_keep_it)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 2, 0);
    sched_case_worker(&c, 2, 0);
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(100000, 100)}};
    const struct tsi_index_map same = tsi_index_map_identity(&grid);
    const int a = test_build_normal(&build, &grid);
    const int sum = test_build_reduce(&build, &grid, a, &same, TSI_REDUCE_SUM, 1, true);
    const int max = test_build_reduce(&build, &grid, a, &same, TSI_REDUCE_MAX, 1, true);
    test_build_target(&build, test_build_folds(&build, sum, 1, 16), TSI_TARGET_DELIVER);
    test_build_target(&build, test_build_folds(&build, max, 1, 16), TSI_TARGET_DELIVER);
    sched_case_submit(&c, client, test_build_finish(&build));
    uint64_t most = 0;
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(&c, 2, true) ? 0 : quiet + 1;
        const uint64_t held = tsi_sched_stats(c.sched).bytes_held;
        most = held > most ? held : most;
    }
    cr_assert(c.ended == TESS_OK);
    cr_assert(most < 300 * 800, "%lu of 800000 bytes at once", (unsigned long)most);
    sched_case_fini(&c, 0);
}

Test(sched_want, as_many_tasks_run_as_were_counted)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        const struct test_program_options options = {.tasks_max = 80};
        struct tsi_program *program = test_program_random(seed, &options);
        struct tsi_sched_job *job = tsi_sched_job_new(program);
        cr_assert(job != NULL);
        const uint64_t total = job->tasks_total;
        tsi_sched_job_free(job);
        struct sched_case c;
        sched_case_init(&c, NULL);
        const uint32_t client = sched_case_client(&c);
        sched_case_worker(&c, 2, 0);
        sched_case_submit(&c, client, program);
        sched_case_play(&c);
        cr_assert(c.ended == TESS_OK && c.run_count <= total, "seed %lu: %lu of %lu",
                  (unsigned long)seed, (unsigned long)c.run_count, (unsigned long)total);
        sched_case_fini(&c, 1 - c.programs_dropped);
    }
}
