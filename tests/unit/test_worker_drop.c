// SPDX-License-Identifier: Apache-2.0
//
// Taking things back: chunks that are freed, tasks that are retracted, jobs that are dropped, and
// the loss of the scheduler.

#include <criterion/criterion.h>

#include "tests/support/worker_case.h"

static const uint64_t no_limit = UINT64_MAX;
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

static uint32_t
assign_both(struct worker_case *c, uint32_t chunk, uint32_t rank)
{
    const struct tsi_location places[] = {
        {.key = own(12 + chunk), .peer = peer},
        {.key = kept(chunk), .peer = peer},
    };
    return worker_case_assign_from(c, 16 + chunk, rank, places, 2);
}

static void
retract(struct worker_case *c, uint32_t sequence)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_RETRACT,
                            .retract = {&sequence, 1},
                        });
}

static void
drop_job(struct worker_case *c, uint32_t job)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_DROP_JOB,
                            .drop_job = {job},
                        });
}

Test(worker_drop, a_chunk_in_use_is_freed_after_its_users)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    const void *first = worker_case_fetched(&c, own(12));
    worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    worker_case_free(&c, own(12));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    worker_case_executed(&c, 0);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, first));
    worker_case_fini(&c);
}

Test(worker_drop, a_later_task_takes_the_freeing_back)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    const void *first = worker_case_fetched(&c, own(12));
    worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    worker_case_free(&c, own(12));
    assign_both(&c, 0, 1);
    worker_case_executed(&c, 0);
    worker_case_run(&c, 16);
    cr_assert_not(worker_case_released(&c, first));
    uint64_t bytes = 0;
    cr_assert(tsi_worker_chunk(c.worker, own(12), &bytes) == first);
    worker_case_fini(&c);
}

Test(worker_drop, an_output_stays_until_its_report_was_taken)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_poll(&c);
    const void *handle = worker_case_executed(&c, 0);
    worker_case_free(&c, own(0));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 2);
    cr_assert_eq(c.actions[0].action.kind, TSI_WORKER_REPORT_DONE);
    cr_assert(c.actions[0].done[0].handle == handle);
    cr_assert_eq(c.actions[1].action.kind, TSI_WORKER_RELEASE_CHUNK);
    worker_case_fini(&c);
}

Test(worker_drop, a_task_that_runs_again_keeps_the_chunk_that_is_there)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_run(&c, 0);
    uint64_t bytes = 0;
    const void *first = tsi_worker_chunk(c.worker, own(0), &bytes);
    const uint32_t sequence = worker_case_assign(&c, 0, 0);
    worker_case_poll(&c);
    const void *second = worker_case_executed(&c, 0);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, second));
    const struct worker_case_action *done = worker_case_first(&c, TSI_WORKER_REPORT_DONE);
    cr_assert_eq(done->done[0].completion.sequence, sequence);
    cr_assert(done->done[0].handle == first);
    worker_case_fini(&c);
}

Test(worker_drop, only_tasks_that_have_not_started_are_given_back)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const uint32_t running = worker_case_assign(&c, 0, 0);
    const uint32_t ready = worker_case_assign(&c, 1, 1);
    const uint32_t waiting = assign_both(&c, 0, 2);
    worker_case_poll(&c);
    retract(&c, running);
    retract(&c, ready);
    retract(&c, waiting);
    retract(&c, 12345);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_ENDED), 2);
    cr_assert_eq(c.actions[0].action.ended.sequence, ready);
    cr_assert_eq(c.actions[0].action.ended.end, TSI_ATTEMPT_RETRACTED);
    cr_assert_eq(c.actions[1].action.ended.sequence, waiting);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 1);

    const void *unwanted = worker_case_fetched(&c, own(12));
    worker_case_executed(&c, 0);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, unwanted));
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_DONE), 1);
    worker_case_fini(&c);
}

Test(worker_drop, a_fetch_that_has_not_started_ends_with_its_last_task)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const uint32_t sequence = assign_both(&c, 0, 0);
    retract(&c, sequence);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 0);
    worker_case_fini(&c);
}

Test(worker_drop, a_dropped_job_leaves_nothing)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 1, 0);
    worker_case_run(&c, 1);
    worker_case_assign(&c, 0, 0);
    worker_case_assign(&c, 2, 1);
    assign_both(&c, 0, 2);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    drop_job(&c, CASE_JOB);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_CANCEL_RUN), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 1);
    cr_assert_eq(c.action_count, 2);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);
    cr_assert_eq(tsi_worker_stats(c.worker).running, 1);

    const void *late = worker_case_executed(&c, 0);
    const void *fetched = worker_case_fetched(&c, own(12));
    worker_case_fetch_failed(&c, kept(0), peer);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, late));
    cr_assert(worker_case_released(&c, fetched));
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_PROGRAM), 1);
    cr_assert_eq(c.action_count, 3);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 0);
    cr_assert_eq(tsi_worker_stats(c.worker).fetches, 0);
    drop_job(&c, CASE_JOB);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    worker_case_fini(&c);
}

Test(worker_drop, what_is_done_and_not_told_is_dropped_with_the_job)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_poll(&c);
    const void *handle = worker_case_executed(&c, 0);
    drop_job(&c, CASE_JOB);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, handle));
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_DONE), 0);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_PROGRAM), 1);
    worker_case_fini(&c);
}

Test(worker_drop, kept_chunks_of_a_dropped_job_stay_for_tasks_of_others)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_fetched(&c, own(12));
    const void *handle = worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    drop_job(&c, CASE_KEPT_JOB);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    worker_case_executed(&c, 0);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, handle));
    worker_case_fini(&c);
}

Test(worker_drop, a_freed_copy_is_not_reported)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const struct tsi_location place = {.key = own(12), .peer = peer};
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_COPY,
                             .copy = {&place, 1},
                         });
    worker_case_poll(&c);
    worker_case_free(&c, own(12));
    const void *handle = worker_case_fetched(&c, own(12));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 1);
    cr_assert(worker_case_released(&c, handle));
    worker_case_fini(&c);
}

Test(worker_drop, after_a_reset_the_same_numbers_are_new)
{
    struct worker_case c;
    worker_case_init(&c, 2, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_run(&c, 0);
    worker_case_assign(&c, 1, 0);
    assign_both(&c, 0, 1);
    worker_case_poll(&c);
    worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_RESET});
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_ENDED), 0);
    cr_assert_eq(tsi_worker_stats(c.worker).fetches, 0);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);

    // A new scheduler gives the number to another program while a task of the old one still runs.
    struct tsi_program *fresh = worker_case_program();
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_PROGRAM,
                             .program = {.job = CASE_JOB, .program = fresh},
                         });
    c.sequence = 0;
    worker_case_assign(&c, 1, 0);
    worker_case_poll(&c);
    const struct worker_case_action *execute = worker_case_first(&c, TSI_WORKER_EXECUTE);
    cr_assert(execute != NULL);
    cr_assert(execute->action.execute.program == fresh);
    const uint32_t run = execute->action.execute.run;
    const void *old = worker_case_executed(&c, 1 - run);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, old));
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_PROGRAM), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_DONE), 0);
    const void *output = worker_case_executed(&c, run);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_DONE), 1);
    uint64_t bytes = 0;
    cr_assert(tsi_worker_chunk(c.worker, own(1), &bytes) == output);

    // The fixture knows one program; the other goes back by hand.
    drop_job(&c, CASE_JOB);
    struct tsi_worker_action action;
    int programs = 0;
    while (tsi_worker_poll(c.worker, 0, &action)) {
        if (action.kind == TSI_WORKER_RELEASE_PROGRAM) {
            cr_assert(action.release_program.program == fresh);
            programs++;
        } else if (action.kind == TSI_WORKER_RELEASE_CHUNK) {
            *(int *)action.release_chunk.handle = 0;
        }
    }
    cr_assert_eq(programs, 1);
    tsi_program_free(fresh);
    worker_case_fini(&c);
}

// The scheduler drops a job without looking at what its tasks still report. What they fetched of a
// job that goes on stays, so the scheduler has to hear of it in another way.
Test(worker_drop, chunks_of_other_jobs_are_told_again)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_fetched(&c, own(12));
    const void *other = worker_case_fetched(&c, kept(0));
    worker_case_run(&c, 16);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_COPIED), 0);

    drop_job(&c, CASE_JOB);
    worker_case_poll(&c);
    const struct worker_case_action *told = worker_case_first(&c, TSI_WORKER_REPORT_COPIED);
    cr_assert(told != NULL && told->action.copied.count == 1, "what is left must be told");
    cr_assert_eq(told->copied[0], kept(0));
    cr_assert(!worker_case_released(&c, other));

    worker_case_free(&c, kept(0));
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, other), "it goes when the scheduler answers");
    worker_case_fini(&c);
}

Test(worker_drop, chunks_that_the_scheduler_knows_are_not_told_again)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const struct tsi_location place = {.key = kept(0), .peer = peer};
    worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_COPY, .copy = {&place, 1}});
    worker_case_poll(&c);
    worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_COPIED), 1);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_fetched(&c, own(12));
    worker_case_run(&c, 16);

    drop_job(&c, CASE_JOB);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_COPIED), 0);
    worker_case_fini(&c);
}
