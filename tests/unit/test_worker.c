// SPDX-License-Identifier: Apache-2.0
//
// Running tasks: inputs, order, memory, reports.

#include "worker/core/worker.h"

#include <criterion/criterion.h>

#include "engine/base/memory.h"
#include "tests/support/program_build.h"
#include "tests/support/worker_case.h"

static const uint64_t no_limit = UINT64_MAX;
static const uint32_t client = 90;
static const uint32_t peer = 91;

static tsi_key
own(uint32_t task)
{
    return tsi_key_of(CASE_JOB, task);
}

static tsi_key
kept(uint32_t chunk)
{
    return tsi_key_of(CASE_KEPT_JOB, CASE_KEPT_BASE + chunk);
}

Test(worker, a_task_without_inputs_runs_and_is_reported)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const uint32_t sequence = worker_case_assign(&c, 2, 0);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 1);
    const struct tsi_worker_action *execute = &c.actions[0].action;
    cr_assert_eq(execute->kind, TSI_WORKER_EXECUTE);
    cr_assert_eq(execute->execute.job, CASE_JOB);
    cr_assert_eq(execute->execute.task, 2);
    cr_assert_eq(execute->execute.op, 0);
    cr_assert_eq(execute->execute.chunk, 2);
    cr_assert(execute->execute.program == c.program);
    cr_assert_eq(execute->execute.input_count, 0);
    cr_assert_eq(execute->execute.output_bytes, CASE_CHUNK_BYTES);
    cr_assert_eq(tsi_worker_stats(c.worker).running, 1);

    const void *handle = worker_case_executed(&c, execute->execute.run);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 1);
    const struct worker_case_action *done = worker_case_first(&c, TSI_WORKER_REPORT_DONE);
    cr_assert(done != NULL);
    cr_assert_eq(done->action.done.count, 1);
    cr_assert(done->done[0].handle == handle);
    cr_assert_eq(done->done[0].completion.job, CASE_JOB);
    cr_assert_eq(done->done[0].completion.task, 2);
    cr_assert_eq(done->done[0].completion.sequence, sequence);
    cr_assert_eq(done->done[0].completion.bytes, CASE_CHUNK_BYTES);
    cr_assert_eq(done->done[0].completion.duration_us, 5);

    uint64_t bytes = 0;
    cr_assert(tsi_worker_chunk(c.worker, own(2), &bytes) == handle);
    cr_assert_eq(bytes, CASE_CHUNK_BYTES);
    const struct tsi_worker_stats stats = tsi_worker_stats(c.worker);
    cr_assert_eq(stats.assignments, 0);
    cr_assert_eq(stats.running, 0);
    cr_assert_eq(stats.chunks, 1);
    cr_assert_eq(stats.bytes_held, CASE_CHUNK_BYTES);
    cr_assert_eq(stats.bytes_reserved, 0);
    worker_case_fini(&c);
}

Test(worker, inputs_come_in_the_order_of_the_program)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 1, 0);
    worker_case_run(&c, 1);
    const struct tsi_location held = {.key = own(5), .peer = client};
    worker_case_assign_from(&c, 13, 1, &held, 1);
    worker_case_poll(&c);
    const struct worker_case_action *fetch = worker_case_first(&c, TSI_WORKER_FETCH);
    cr_assert(fetch != NULL);
    cr_assert_eq(fetch->action.fetch.key, own(5));
    cr_assert_eq(fetch->action.fetch.peer, client);
    cr_assert_eq(fetch->action.fetch.bytes, CASE_CHUNK_BYTES);
    worker_case_fetched(&c, own(5));
    worker_case_run(&c, 13);

    const struct tsi_location from = {.key = kept(1), .peer = peer};
    worker_case_assign_from(&c, 17, 2, &from, 1);
    const void *kept_handle = worker_case_fetched(&c, kept(1));
    worker_case_poll(&c);
    const struct worker_case_action *execute = worker_case_first(&c, TSI_WORKER_EXECUTE);
    cr_assert(execute != NULL);
    cr_assert_eq(execute->action.execute.input_count, 3);
    cr_assert_eq(execute->input_keys[0], own(13));
    cr_assert_eq(execute->input_keys[1], kept(1));
    cr_assert_eq(execute->input_keys[2], own(13));
    cr_assert(execute->inputs[0] == execute->inputs[2]);
    cr_assert(execute->inputs[1] == kept_handle);
    worker_case_fini(&c);
}

Test(worker, a_window_of_chunks_is_listed_in_order)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    struct tsi_location places[4];
    for (uint32_t i = 0; i < 4; i++) {
        places[i] = (struct tsi_location){.key = own(12 + i), .peer = peer + i};
    }
    worker_case_assign_from(&c, 20, 0, places, 4);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 4);
    for (uint32_t i = 0; i < 4; i++) {
        worker_case_poll(&c);
        cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 0);
        worker_case_fetched(&c, own(15 - i));
    }
    worker_case_poll(&c);
    const struct worker_case_action *execute = worker_case_first(&c, TSI_WORKER_EXECUTE);
    cr_assert(execute != NULL);
    cr_assert_eq(execute->action.execute.input_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(execute->input_keys[i], own(12 + i));
    }
    cr_assert_eq(execute->action.execute.output_bytes, 0);
    worker_case_fini(&c);
}

Test(worker, tasks_run_by_rank_then_by_sequence)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 0, 5);
    worker_case_assign(&c, 1, 3);
    worker_case_assign(&c, 2, 9);
    worker_case_assign(&c, 3, 3);
    const uint32_t order[] = {1, 3, 0, 2};
    for (size_t i = 0; i < 4; i++) {
        worker_case_poll(&c);
        const struct worker_case_action *execute = worker_case_first(&c, TSI_WORKER_EXECUTE);
        cr_assert(execute != NULL);
        cr_assert_eq(execute->action.execute.task, order[i]);
        worker_case_executed(&c, execute->action.execute.run);
    }
    worker_case_fini(&c);
}

Test(worker, runs_are_below_the_number_of_threads_and_differ)
{
    struct worker_case c;
    worker_case_init(&c, 3, no_limit);
    for (uint32_t task = 0; task < 4; task++) {
        worker_case_assign(&c, task, task);
    }
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 3);
    bool used[3] = {false};
    for (int i = 0; i < c.action_count; i++) {
        const uint32_t run = c.actions[i].action.execute.run;
        cr_assert(run < 3);
        cr_assert_not(used[run]);
        used[run] = true;
    }
    worker_case_executed(&c, 1);
    worker_case_poll(&c);
    const struct worker_case_action *execute = worker_case_first(&c, TSI_WORKER_EXECUTE);
    cr_assert(execute != NULL);
    cr_assert_eq(execute->action.execute.run, 1);
    cr_assert_eq(execute->action.execute.task, 3);
    worker_case_fini(&c);
}

Test(worker, memory_bounds_what_runs_together)
{
    struct worker_case c;
    worker_case_init(&c, 4, 2 * CASE_CHUNK_BYTES + CASE_CHUNK_BYTES / 2);
    for (uint32_t task = 0; task < 4; task++) {
        worker_case_assign(&c, task, task);
    }
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 2);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_reserved, 2 * CASE_CHUNK_BYTES);

    // The outputs take what the reservations took, so nothing more fits beside a running task.
    worker_case_executed(&c, 0);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 0);
    worker_case_free(&c, own(0));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_peak, 2 * CASE_CHUNK_BYTES);
    worker_case_fini(&c);
}

Test(worker, a_task_that_memory_does_not_suffice_for_is_given_back)
{
    struct worker_case c;
    worker_case_init(&c, 4, CASE_CHUNK_BYTES - 1);
    worker_case_assign(&c, 0, 0);
    worker_case_assign(&c, 1, 1);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 0);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_ENDED), 2);
    const struct tsi_attempt *ended = &worker_case_first(&c, TSI_WORKER_REPORT_ENDED)->action.ended;
    cr_assert_eq(ended->end, TSI_ATTEMPT_REFUSED);
    cr_assert_eq(ended->task, 1, "what runs last goes first");
    worker_case_fini(&c);
}

Test(worker, peak_starts_again_from_what_is_taken_now)
{
    struct worker_case c;
    worker_case_init(&c, 2, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_assign(&c, 1, 0);
    worker_case_poll(&c);
    worker_case_executed(&c, 0);
    worker_case_executed(&c, 1);
    worker_case_poll(&c);
    worker_case_free(&c, own(0));
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_peak, 2 * CASE_CHUNK_BYTES);
    tsi_worker_reset_peak(c.worker);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_peak, CASE_CHUNK_BYTES);
    worker_case_fini(&c);
}

Test(worker, a_failed_run_is_reported_with_its_text)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const uint32_t sequence = worker_case_assign(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_EXECUTED,
                             .executed = {.run = 0, .status = TESS_EIO, .text = "disk is gone"},
                         });
    struct tsi_worker_action action;
    cr_assert(tsi_worker_poll(c.worker, 0, &action));
    cr_assert_eq(action.kind, TSI_WORKER_REPORT_ENDED);
    cr_assert_eq(action.ended.end, TSI_ATTEMPT_FAILED);
    cr_assert_eq(action.ended.status, TESS_EIO);
    cr_assert_eq(action.ended.job, CASE_JOB);
    cr_assert_eq(action.ended.task, 0);
    cr_assert_eq(action.ended.sequence, sequence);
    cr_assert_str_eq(action.ended.text, "disk is gone");
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);
    worker_case_fini(&c);
}

static void
end_without_memory(struct worker_case *c, uint32_t run)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_EXECUTED,
                            .executed = {.run = run, .status = TESS_ENOMEM},
                        });
    worker_case_poll(c);
}

Test(worker, a_task_without_memory_is_given_back_while_others_run)
{
    struct worker_case c;
    worker_case_init(&c, 2, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_assign(&c, 1, 0);
    worker_case_poll(&c);
    end_without_memory(&c, 0);
    const struct worker_case_action *ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
    cr_assert(ended != NULL);
    cr_assert_eq(ended->action.ended.end, TSI_ATTEMPT_REFUSED);
    end_without_memory(&c, 1);
    ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
    cr_assert(ended != NULL);
    cr_assert_eq(ended->action.ended.end, TSI_ATTEMPT_FAILED);
    cr_assert_eq(ended->action.ended.status, TESS_ENOMEM);
    worker_case_fini(&c);
}

Test(worker, short_tasks_go_ahead_of_the_threads)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    tsi_worker_free(c.worker, NULL, NULL, NULL);
    const struct tsi_worker_config config = {
        .threads = 1, .runs_ahead = 2, .memory_bytes = no_limit};
    c.worker = tsi_worker_new(&config);
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_PROGRAM,
                             .program = {.job = CASE_JOB, .program = c.program},
                         });
    for (uint32_t task = 0; task < 4; task++) {
        worker_case_assign(&c, task, 0);
    }
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 3);
    worker_case_executed(&c, 1);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    cr_assert_eq(worker_case_first(&c, TSI_WORKER_EXECUTE)->action.execute.run, 1);
    worker_case_fini(&c);
}

Test(worker, a_task_that_is_not_there_is_reported)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const uint32_t tasks[] = {21, 4, 8, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        worker_case_assign(&c, tasks[i], 0);
        worker_case_poll(&c);
        const struct worker_case_action *ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
        cr_assert(ended != NULL);
        cr_assert_eq(ended->action.ended.end, TSI_ATTEMPT_FAILED);
        cr_assert_eq(ended->action.ended.status, TESS_EPROTOCOL);
    }
    const struct tsi_assignment unknown = {.job = 1000, .task = 0, .sequence = 500};
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_ASSIGNED,
                             .assigned = {.items = &unknown, .count = 1},
                         });
    worker_case_poll(&c);
    const struct worker_case_action *ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
    cr_assert(ended != NULL);
    cr_assert_eq(ended->action.ended.job, 1000);
    worker_case_fini(&c);
}

Test(worker, completions_of_one_round_are_told_together)
{
    struct worker_case c;
    worker_case_init(&c, 4, no_limit);
    for (uint32_t task = 0; task < 4; task++) {
        worker_case_assign(&c, task, 0);
    }
    worker_case_poll(&c);
    for (uint32_t run = 0; run < 4; run++) {
        worker_case_executed(&c, run);
    }
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_DONE), 1);
    cr_assert_eq(worker_case_first(&c, TSI_WORKER_REPORT_DONE)->action.done.count, 4);
    worker_case_fini(&c);
}

// A life of a worker, with all kinds of events.
static void
live(struct worker_case *c)
{
    const struct tsi_location held = {.key = own(4), .peer = client};
    const struct tsi_location copy = {.key = kept(3), .peer = peer};
    worker_case_assign(c, 0, 0);
    worker_case_poll(c);
    if (tsi_worker_stats(c->worker).running > 0) {
        worker_case_executed(c, 0);
    }
    worker_case_assign_from(c, 12, 1, &held, 1);
    worker_case_fetched(c, own(4));
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_COPY,
                            .copy = {&copy, 1},
                        });
    worker_case_poll(c);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_PEER_LEFT,
                            .peer_left = {peer},
                        });
    worker_case_poll(c);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_DROP_JOB,
                            .drop_job = {CASE_JOB},
                        });
    worker_case_poll(c);
}

Test(worker, every_failed_allocation_is_survived)
{
    bool failed = true;
    for (int64_t successes = 0; failed; successes++) {
        struct worker_case c;
        worker_case_init(&c, 2, no_limit);
        tsi_memory_fail_after(successes);
        live(&c);
        void *left = tsi_alloc(1);
        failed = left == NULL;
        tsi_free(left);
        tsi_memory_fail_after(-1);
        worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_RESET});
        worker_case_poll(&c);
        for (uint32_t run = 0; run < 2 && tsi_worker_stats(c.worker).running > 0; run++) {
            worker_case_executed(&c, run);
        }
        worker_case_poll(&c);
        cr_assert_eq(tsi_worker_stats(c.worker).chunks, 0);
        cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);
        worker_case_fini(&c);
    }
}

Test(worker, equal_histories_have_equal_digests)
{
    struct worker_case a;
    struct worker_case b;
    worker_case_init(&a, 2, no_limit);
    worker_case_init(&b, 2, no_limit);
    const uint64_t fresh = tsi_worker_digest(a.worker);
    live(&a);
    live(&b);
    cr_assert_eq(tsi_worker_digest(a.worker), tsi_worker_digest(b.worker));
    cr_assert_neq(tsi_worker_digest(a.worker), fresh);
    worker_case_fini(&a);
    worker_case_fini(&b);
}

// x of 4 × 4 in chunks of 2 × 2, tasks 0–3, and the sums of the rows of x and of its transpose.
static struct tsi_program *
mirrored_program(void)
{
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {2, {tsi_axis_regular(4, 2), tsi_axis_regular(4, 2)}};
    struct tsi_index_map map = tsi_index_map_identity(&grid);
    const int x = test_build_normal(&build, &grid);
    const int op = test_build_reduce(&build, &grid, x, &map, TSI_REDUCE_SUM, 2, false);
    map.axis[0].axis = 1;
    map.axis[1].axis = 0;
    test_build_input(&build, op, x, &map);
    test_build_target(&build, test_build_folds(&build, op, 2, 2), TSI_TARGET_RUN);
    return test_build_finish(&build);
}

// A worker that holds all of x.
static void
open_mirrored(struct worker_case *c, int threads)
{
    const struct tsi_worker_config config = {
        .threads = threads, .runs_ahead = 4, .memory_bytes = no_limit};
    worker_case_init(c, 1, no_limit);
    tsi_worker_free(c->worker, NULL, NULL, NULL);
    tsi_program_free(c->program);
    c->program = mirrored_program();
    c->worker = tsi_worker_new(&config);
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_PROGRAM,
                            .program = {.job = CASE_JOB, .program = c->program},
                        });
    for (uint32_t task = 0; task < 4; task++) {
        worker_case_assign(c, task, 0);
    }
    for (int done = 0; done < 4;) {
        worker_case_poll(c);
        for (int i = 0; i < c->action_count; i++) {
            const struct tsi_worker_action *action = &c->actions[i].action;
            if (action->kind == TSI_WORKER_EXECUTE) {
                cr_assert(!action->execute.is_along);
                worker_case_executed(c, action->execute.run);
                done++;
            }
        }
    }
    worker_case_poll(c);
}

// Which of the tasks that the last poll started run along with the one before.
static void
check_along(const struct worker_case *c, int count, const uint32_t *tasks, const bool *along)
{
    cr_assert_eq(worker_case_count(c, TSI_WORKER_EXECUTE), count);
    for (int i = 0, k = 0; i < c->action_count; i++) {
        const struct tsi_worker_action *action = &c->actions[i].action;
        if (action->kind == TSI_WORKER_EXECUTE) {
            cr_assert_eq(action->execute.task, tasks[k]);
            cr_assert_eq(action->execute.is_along, along[k]);
            k++;
        }
    }
}

Test(worker, mirror_images_run_along_with_each_other)
{
    struct worker_case c;
    open_mirrored(&c, 1);
    // Tasks 4 + 2·i + j.
    const uint32_t order[] = {5, 6, 4, 7};
    for (uint32_t i = 0; i < 4; i++) {
        worker_case_assign(&c, order[i], i);
    }
    worker_case_poll(&c);
    check_along(&c, 4, order, (const bool[]){false, true, false, false});
    worker_case_fini(&c);
}

Test(worker, mirror_images_run_apart_where_threads_have_nothing)
{
    struct worker_case c;
    open_mirrored(&c, 3);
    const uint32_t order[] = {5, 6, 4};
    for (uint32_t i = 0; i < 3; i++) {
        worker_case_assign(&c, order[i], i);
    }
    worker_case_poll(&c);
    check_along(&c, 3, order, (const bool[]){false, false, false});
    worker_case_fini(&c);
}

// Something else was started between the two.
Test(worker, mirror_images_run_apart_if_they_do_not_follow_each_other)
{
    struct worker_case c;
    open_mirrored(&c, 1);
    const uint32_t order[] = {5, 4, 6};
    for (uint32_t i = 0; i < 3; i++) {
        worker_case_assign(&c, order[i], i);
    }
    worker_case_poll(&c);
    check_along(&c, 3, order, (const bool[]){false, false, false});
    worker_case_fini(&c);
}
