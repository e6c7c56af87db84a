// SPDX-License-Identifier: Apache-2.0
//
// Where tasks go, how many at a time, and what memory allows.

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

enum { WORKERS = 4 };

Test(sched_place, neighbours_go_to_one_worker)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < WORKERS; i++) {
        sched_case_worker(&c, 2, 0);
    }
    sched_case_submit(&c, client, test_program_reduction(10240, 10, 16));
    uint64_t locations = 0;
    uint64_t folds = 0;
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(&c, 3, true) ? 0 : quiet + 1;
        for (size_t i = 0; i < c.actions.count; i++) {
            const struct tsi_sched_action *action = &c.actions.items[i];
            for (size_t k = 0; action->kind == TSI_SCHED_ASSIGN && k < action->assign.count; k++) {
                if (action->assign.items[k].task >= 1024) {
                    folds++;
                    locations += action->assign.items[k].location_count;
                }
            }
        }
    }
    cr_assert(c.ended == TESS_OK);
    // 64 + 4 + 1 folds of 16 inputs; few inputs are anywhere else than the fold.
    cr_assert(folds == 69 && locations < 69 * 2, "%lu inputs were fetched",
              (unsigned long)locations);
    sched_case_fini(&c, 0);
}

Test(sched_place, all_workers_get_a_share)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < WORKERS; i++) {
        sched_case_worker(&c, 2, 0);
    }
    sched_case_submit(&c, client, sched_program_leaves(8, TSI_TARGET_RUN));
    sched_case_poll(&c);
    for (int i = 0; i < WORKERS; i++) {
        cr_assert(sched_case_assigned(&c, c.workers[i].peer) == 2);
    }
    sched_case_fini(&c, 1);
}

Test(sched_place, a_task_goes_where_its_bytes_are)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    // A small array on one worker, a large one on the other, and a task that reads both.
    struct test_build build = test_build_start();
    const struct tsi_grid small = {.ndim = 1, .axis = {tsi_axis_regular(10, 10)}};
    const struct tsi_grid large = {.ndim = 2,
                                   .axis = {tsi_axis_regular(100, 100), tsi_axis_regular(10, 10)}};
    const int from[2] = {test_build_normal(&build, &small), test_build_normal(&build, &large)};
    const struct tsi_index_map maps[2] = {
        {.ndim = 1, .axis = {{.axis = 1, .stride = 1, .extent = 1}}},
        tsi_index_map_identity(&large)};
    test_build_target(&build, test_build_sum(&build, &large, 2, from, maps), TSI_TARGET_RUN);
    sched_case_submit(&c, client, test_build_finish(&build));
    sched_case_poll(&c);
    const uint32_t has_large = sched_case_assignment(&c, a, 1) != NULL ? a : b;
    const uint32_t has_small = has_large == a ? b : a;
    const struct tsi_assignment task = *sched_case_assignment(&c, has_large, 1);
    sched_case_done(&c, has_small, sched_case_assignment(&c, has_small, 0));
    sched_case_done(&c, has_large, &task);
    sched_case_poll(&c);
    cr_assert(sched_case_assignment(&c, has_large, 2) != NULL);
    sched_case_fini(&c, 1);
}

Test(sched_place, short_tasks_flow_and_long_ones_do_not_pile_up)
{
    struct sched_case c;
    struct tsi_sched_config config = tsi_sched_config_default();
    config.prefetch = 64;
    sched_case_init(&c, &config);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 2, 0);
    sched_case_submit(&c, client, sched_program_leaves(2000, TSI_TARGET_RUN));
    for (int i = 0; i < 20; i++) {
        sched_case_work(&c, 2, true);
    }
    sched_case_hear(&c);
    cr_assert(sched_case_crew(&c, w)->tasks.count == 2 + 64);
    c.duration_us = 1000000;
    for (int i = 0; i < 40; i++) {
        sched_case_work(&c, 2, true);
    }
    sched_case_hear(&c);
    cr_assert(sched_case_crew(&c, w)->tasks.count <= 3, "%zu", sched_case_crew(&c, w)->tasks.count);
    cr_assert(sched_case_crew(&c, w)->tasks.count >= 2);
    sched_case_fini(&c, 1);
}

Test(sched_place, an_idle_worker_gets_what_another_has_not_begun)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.duration_us = 500000;
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(6, TSI_TARGET_RUN));
    sched_case_work(&c, 1, true);
    sched_case_work(&c, 1, true);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_hear(&c);
    sched_case_hear(&c);
    sched_case_hear(&c);
    cr_assert(sched_case_crew(&c, b)->tasks.count >= 1);
    cr_assert(sched_case_crew(&c, a)->tasks.count >= 1);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && c.run_count == 6);
    sched_case_fini(&c, 0);
}

Test(sched_place, what_does_not_fit_waits)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    // Room for the workspace and output of two tasks, not for three.
    struct tsi_program *program = sched_program_leaves(10, TSI_TARGET_KEEP);
    const uint64_t each = tsi_chunk_op_bytes_max(&program->ops[0]) +
                          tsi_chunk_op_workspace_max(program, &program->ops[0]);
    const uint32_t w = sched_case_worker(&c, 4, 2 * each + each / 2);
    sched_case_submit(&c, client, program);
    sched_case_hear(&c);
    cr_assert(sched_case_assigned(&c, w) == 2);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 1);
}

Test(sched_place, one_task_may_always_run)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    struct tsi_program *program = sched_program_leaves(50, TSI_TARGET_KEEP);
    const uint64_t each = tsi_chunk_op_bytes_max(&program->ops[0]) +
                          tsi_chunk_op_workspace_max(program, &program->ops[0]);
    const uint32_t w = sched_case_worker(&c, 4, each + 10 * SCHED_CHUNK_BYTES);
    sched_case_submit(&c, client, program);
    for (int i = 0; i < 60; i++) {
        sched_case_work(&c, 1, true);
        cr_assert(sched_case_crew(&c, w)->tasks.count <= 1);
    }
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK, "more is kept than there should be memory for");
    sched_case_fini(&c, 1);
}

Test(sched_place, a_plan_that_cannot_fit_is_refused)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = sched_case_submit(&c, client, test_program_matmul(1000, 500, 4));
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_RUNNING, "nobody knows yet");
    sched_case_worker(&c, 1, 1 << 20);
    sched_case_worker(&c, 1, 2 << 20);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EMEMLIMIT && c.ended_job == job && c.dropped[job]);
    cr_assert(strstr(c.ended_text, "op3 at test.c:1") != NULL, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "(500, 500, 1)") != NULL, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "7.6 MiB") != NULL, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "2.0 MiB") != NULL, "%s", c.ended_text);
    // Two inputs, the output and its workspace of 250 · 250 · 8 bytes are below 2 MiB.
    cr_assert(strstr(c.ended_text, "chunks of shape (250, 250, 1) would fit") != NULL, "%s",
              c.ended_text);
    sched_case_fini(&c, 0);
}

// What the core says of chunks of 1000 · 1000 float64 in a plane of 4000 · 4000 that are read by
// chunks of `rows` · `columns` of a square root.
static void
expect_advice(int64_t rows, int64_t columns, uint64_t limit, const char *want)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(4000, 1000);
    const struct tsi_grid from = {2, {axis, axis}};
    const struct tsi_grid to = {2, {tsi_axis_regular(4000, rows), tsi_axis_regular(4000, columns)}};
    const struct tsi_index_map map = tsi_index_map_identity(&from);
    const int source = test_build_normal(&build, &from);
    const int op = test_build_sum(&build, &to, 1, &source, &map);
    test_build_target(&build, op, TSI_TARGET_RUN);
    sched_case_submit(&c, client, test_build_finish(&build));
    sched_case_worker(&c, 1, limit);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EMEMLIMIT, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, want) != NULL, "no “%s” in: %s", want, c.ended_text);
    sched_case_fini(&c, 0);
}

Test(sched_place, a_refusal_tells_what_would_fit)
{
    // Cut alike, both become smaller.
    expect_advice(1000, 1000, 10 << 20, "chunks of shape (500, 1000) would fit");
    // Rows of chunks are read whole: 8 MB of one chunk at least.
    expect_advice(1000, 4000, 30 << 20, "chunks of shape (1000, 1000) would fit");
    // A few columns of all rows still need four chunks; one chunk of them fits.
    expect_advice(4000, 10, 20 << 20, "chunks of shape (1000, 10) would fit");
    // Not even one fits.
    expect_advice(4000, 10, 6 << 20, "no smaller chunk would fit unless its inputs");
}

// x + x.T of `n` · `n` chunks of 8,000,000 bytes, which may be kept by a job before.
static void
submit_turned(struct sched_case *c, int64_t n, bool is_kept, uint64_t limit)
{
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(1000 * n, 1000);
    const struct tsi_grid grid = {2, {axis, axis}};
    struct tsi_index_map maps[2] = {tsi_index_map_identity(&grid), tsi_index_map_identity(&grid)};
    maps[1].axis[0].axis = 1;
    maps[1].axis[1].axis = 0;
    const uint32_t client = sched_case_client(c);
    sched_case_worker(c, 1, limit);
    int source = test_build_normal(&build, &grid);
    if (is_kept) {
        test_build_target(&build, source, TSI_TARGET_KEEP);
        const uint32_t maker = sched_case_submit(c, client, test_build_finish(&build));
        sched_case_play(c);
        cr_assert(c->ended == TESS_OK, "%s", c->ended_text);
        c->ended = TESS_RUNNING;
        build = test_build_start();
        source = test_build_op(&build, TSI_WORK_KEPT, TESS_F64, &grid, NULL);
        test_build_at(&build, source)->kept.job = maker;
    }
    const int from[2] = {source, source};
    test_build_target(&build, test_build_sum(&build, &grid, 2, from, maps), TSI_TARGET_RUN);
    sched_case_submit(c, client, test_build_finish(&build));
}

// The first chunk, the last one and the one in the middle read one chunk, all others two.
static void
expect_turned_refused(bool is_kept)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    submit_turned(&c, 3, is_kept, 20 << 20);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EMEMLIMIT, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "one chunk of shape (1000, 1000) needs 2") != NULL, "%s",
              c.ended_text);
    // Rows and columns are of one array, and become smaller together.
    cr_assert(strstr(c.ended_text, "chunks of shape (500, 500) would fit") != NULL, "%s",
              c.ended_text);
    sched_case_fini(&c, is_kept ? 1 : 0);
}

Test(sched_place, tasks_with_more_inputs_than_others_count)
{
    expect_turned_refused(false);
    expect_turned_refused(true);
}

// Read twice, but there once.
Test(sched_place, an_input_that_is_read_twice_counts_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    submit_turned(&c, 1, false, 20 << 20);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK, "%s", c.ended_text);
    sched_case_fini(&c, 0);
}

Test(sched_place, finishing_comes_before_beginning)
{
    // A deep tree over many leaves: at no time is there much more than what is being worked on.
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, test_program_reduction(40960, 10, 4));
    uint64_t most = 0;
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(&c, 1, true) ? 0 : quiet + 1;
        const uint64_t now = c.workers[0].store.count;
        most = now > most ? now : most;
    }
    cr_assert(c.ended == TESS_OK);
    // Three a level wait for a fourth, and the prefetched leaves go before their folds.
    cr_assert(most <= 160, "%lu chunks at once", (unsigned long)most);
    sched_case_fini(&c, 0);
}

// x of n × n chunks, tasks 0 … n² − 1, kept; behind them the tasks of the sums of rows of x and of
// its transpose, in the same order.
static struct tsi_program *
mirrored_program(int64_t n, bool is_held)
{
    struct test_build build = test_build_start();
    const struct tsi_axis axis = tsi_axis_regular(n * 10, 10);
    const struct tsi_grid grid = {2, {axis, axis}};
    struct tsi_index_map map = tsi_index_map_identity(&grid);
    const int x = is_held ? test_build_op(&build, TSI_WORK_HELD, TESS_F64, &grid, NULL)
                          : test_build_normal(&build, &grid);
    const int op = test_build_reduce(&build, &grid, x, &map, TSI_REDUCE_SUM, 2, false);
    map.axis[0].axis = 1;
    map.axis[1].axis = 0;
    test_build_input(&build, op, x, &map);
    test_build_target(&build, test_build_folds(&build, op, 2, 16), TSI_TARGET_RUN);
    return test_build_finish(&build);
}

// Mirror images read the same two chunks: they go to one worker, one right after the other.
static void
check_mirrored(int64_t n, bool is_held, int workers)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < workers; i++) {
        sched_case_worker(&c, 1, 0);
    }
    sched_case_submit(&c, client, mirrored_program(n, is_held));
    const uint32_t base = (uint32_t)(n * n);
    int pairs = 0;
    for (int quiet = 0; quiet < 3;) {
        quiet = sched_case_work(&c, 2, true) ? 0 : quiet + 1;
        for (size_t i = 0; i < c.actions.count; i++) {
            const struct tsi_sched_action *const action = &c.actions.items[i];
            for (size_t k = 1; action->kind == TSI_SCHED_ASSIGN && k < action->assign.count; k++) {
                const uint32_t a = action->assign.items[k - 1].task - base;
                const uint32_t b = action->assign.items[k].task - base;
                pairs += a < base && b < base && a != b && a / n == b % n && a % n == b / n;
            }
        }
    }
    cr_assert_eq(c.ended, TESS_OK);
    // A batch may end between two.
    cr_assert(pairs * 3 >= n * (n - 1) / 2 * 2, "%d pairs", pairs);
    sched_case_fini(&c, 0);
}

Test(sched_place, mirror_images_follow_each_other)
{
    check_mirrored(8, true, 1);
    check_mirrored(8, true, 2);
    check_mirrored(8, false, 1);
    check_mirrored(8, false, 2);
}
