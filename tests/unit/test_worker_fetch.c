// SPDX-License-Identifier: Apache-2.0
//
// Fetches: shared, ordered, failing, coming too late.

#include <criterion/criterion.h>

#include "tests/support/worker_case.h"

static const uint64_t no_limit = UINT64_MAX;
static const uint32_t peer = 91;
static const uint32_t other = 92;

static tsi_key
own(uint32_t task)
{
    return tsi_key_of(CASE_JOB, task);
}

// Tasks 16 + c need chunk c of operation 3 (twice) and of operation 2, which is of another job.
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
        {.key = kept(chunk), .peer = other},
    };
    return worker_case_assign_from(c, 16 + chunk, rank, places, 2);
}

static void
leave(struct worker_case *c, uint32_t who)
{
    worker_case_feed(c, (struct tsi_worker_event){
                            .kind = TSI_WORKER_PEER_LEFT,
                            .peer_left = {who},
                        });
}

Test(worker_fetch, one_chunk_is_fetched_once_for_all)
{
    struct worker_case c;
    worker_case_init(&c, 2, no_limit);
    assign_both(&c, 0, 0);
    const struct tsi_location places[] = {
        {.key = own(12), .peer = other},
        {.key = own(13), .peer = peer},
        {.key = own(14), .peer = peer},
        {.key = own(15), .peer = peer},
    };
    worker_case_assign_from(&c, 20, 1, places, 4);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 5);
    cr_assert_eq(tsi_worker_stats(c.worker).fetches, 5);
    worker_case_fetched(&c, own(12));
    worker_case_fetched(&c, kept(0));
    worker_case_run(&c, 16);
    for (uint32_t i = 1; i < 4; i++) {
        worker_case_fetched(&c, own(12 + i));
    }
    worker_case_run(&c, 20);
    worker_case_fini(&c);
}

Test(worker_fetch, fetches_start_by_rank_and_not_too_many)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    tsi_worker_free(c.worker, NULL, NULL, NULL);
    const struct tsi_worker_config config = {
        .threads = 1, .memory_bytes = no_limit, .fetches_max = 2};
    c.worker = tsi_worker_new(&config);
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_PROGRAM,
                             .program = {.job = CASE_JOB, .program = c.program},
                         });
    assign_both(&c, 3, 8);
    assign_both(&c, 1, 5);
    assign_both(&c, 2, 2);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 2);
    cr_assert_eq(c.actions[0].action.fetch.key, own(14));
    cr_assert_eq(c.actions[1].action.fetch.key, kept(2));
    worker_case_fetched(&c, kept(2));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 1);
    cr_assert_eq(worker_case_first(&c, TSI_WORKER_FETCH)->action.fetch.key, own(13));
    worker_case_fini(&c);
}

Test(worker_fetch, a_later_task_of_lower_rank_brings_a_fetch_forward)
{
    struct worker_case c;
    worker_case_init(&c, 1, CASE_CHUNK_BYTES);
    assign_both(&c, 0, 9);
    assign_both(&c, 1, 8);
    // Little memory: one fetch at a time. The first is that of task 17.
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 1);
    cr_assert_eq(c.actions[0].action.fetch.key, own(13));
    const struct tsi_location place = {.key = own(12), .peer = peer};
    const struct tsi_location copy[] = {place};
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_COPY,
                             .copy = {copy, 1},
                         });
    worker_case_fetch_lost(&c, own(13), peer);
    cr_assert_eq(worker_case_first(&c, TSI_WORKER_FETCH)->action.fetch.key, own(12));
    worker_case_fini(&c);
}

Test(worker_fetch, an_input_that_nobody_has_ends_the_task)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    const struct tsi_location place = {.key = own(12), .peer = peer};
    const uint32_t sequence = worker_case_assign_from(&c, 16, 0, &place, 1);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 1);
    const struct tsi_attempt *ended = &c.actions[0].action.ended;
    cr_assert_eq(c.actions[0].action.kind, TSI_WORKER_REPORT_ENDED);
    cr_assert_eq(ended->end, TSI_ATTEMPT_FETCH_FAILED);
    cr_assert_eq(ended->sequence, sequence);
    cr_assert_eq(ended->input, kept(0));
    cr_assert_eq(ended->peer, TSI_PEER_NONE);
    worker_case_fini(&c);
}

Test(worker_fetch, a_failure_ends_those_who_wait_and_no_others)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    assign_both(&c, 1, 1);
    worker_case_poll(&c);
    worker_case_fetch_lost(&c, own(12), peer);
    cr_assert_eq(c.action_count, 1);
    cr_assert_eq(c.actions[0].action.ended.task, 16);
    cr_assert_eq(c.actions[0].action.ended.input, own(12));
    cr_assert_eq(c.actions[0].action.ended.peer, peer);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 1);

    // What came for the task that ended is of no use.
    const void *handle = worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, handle));
    worker_case_fetched(&c, own(13));
    worker_case_fetched(&c, kept(1));
    worker_case_run(&c, 17);
    worker_case_fini(&c);
}

Test(worker_fetch, a_failed_fetch_is_tried_again)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_fetched(&c, kept(0));
    for (int i = 0; i < 2; i++) {
        worker_case_fetch_failed(&c, own(12), peer);
        worker_case_poll(&c);
        cr_assert_eq(c.action_count, 1);
        cr_assert_eq(c.actions[0].action.kind, TSI_WORKER_FETCH);
        cr_assert_eq(c.actions[0].action.fetch.key, own(12));
    }
    worker_case_fetched(&c, own(12));
    worker_case_run(&c, 16);
    worker_case_fini(&c);
}

Test(worker_fetch, when_a_peer_leaves_what_it_had_is_lost_at_once)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    leave(&c, peer);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_REPORT_ENDED), 1);
    cr_assert_eq(c.actions[0].action.ended.input, own(12));

    // The same chunk from another peer, then the late answer of the first, then the right one.
    const struct tsi_location places[] = {
        {.key = own(12), .peer = other},
        {.key = kept(0), .peer = other},
    };
    worker_case_assign_from(&c, 16, 0, places, 2);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 1);
    worker_case_fetch_failed(&c, own(12), peer);
    worker_case_fetched(&c, kept(0));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    worker_case_fetched(&c, own(12));
    worker_case_run(&c, 16);
    worker_case_fini(&c);
}

Test(worker_fetch, a_late_arrival_that_nobody_wants_is_given_back)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    leave(&c, peer);
    leave(&c, other);
    worker_case_poll(&c);
    const void *first = worker_case_fetched(&c, own(12));
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, first));
    worker_case_fetch_failed(&c, kept(0), other);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 0);
    worker_case_fini(&c);
}

Test(worker_fetch, a_chunk_that_comes_twice_is_given_back)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    worker_case_fetched(&c, own(12));
    const void *second = worker_case_fetched(&c, own(12));
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, second));
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 1);
    worker_case_fini(&c);
}

Test(worker_fetch, fetched_inputs_stay_until_they_are_freed)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    assign_both(&c, 0, 0);
    worker_case_poll(&c);
    const void *handle = worker_case_fetched(&c, own(12));
    worker_case_fetched(&c, kept(0));
    worker_case_run(&c, 16);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 3);
    worker_case_free(&c, own(12));
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, handle));
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 2);
    worker_case_fini(&c);
}

Test(worker_fetch, bytes_that_come_with_a_task_are_held_for_it)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_arrived(&c, own(12), TSI_PEER_NONE);
    worker_case_arrived(&c, kept(0), TSI_PEER_NONE);
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0, "the task that needs them is still to come");
    const struct tsi_location places[] = {
        {.key = own(12), .data = "x", .bytes = 1},
        {.key = kept(0), .data = "y", .bytes = 1},
    };
    worker_case_assign_from(&c, 16, 0, places, 2);
    worker_case_run(&c, 16);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 3);

    // With a task that cannot be taken they go at once.
    const struct tsi_location more = {.key = own(13), .data = "z", .bytes = 1};
    const void *handle = worker_case_arrived(&c, own(13), TSI_PEER_NONE);
    worker_case_assign_from(&c, 1000, 0, &more, 1);
    worker_case_poll(&c);
    cr_assert(worker_case_released(&c, handle));
    worker_case_fini(&c);
}

Test(worker_fetch, copies_are_fetched_kept_and_reported)
{
    struct worker_case c;
    worker_case_init(&c, 1, no_limit);
    worker_case_assign(&c, 0, 0);
    worker_case_run(&c, 0);
    const struct tsi_location places[] = {
        {.key = own(12), .peer = peer},
        {.key = own(0), .peer = peer},
        {.key = kept(2), .peer = peer},
        {.key = kept(3), .peer = TSI_PEER_NONE},
    };
    worker_case_feed(&c, (struct tsi_worker_event){
                             .kind = TSI_WORKER_COPY,
                             .copy = {places, 4},
                         });
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_FETCH), 2);
    const struct worker_case_action *copied = worker_case_first(&c, TSI_WORKER_REPORT_COPIED);
    cr_assert(copied != NULL);
    cr_assert_eq(copied->action.copied.count, 1);
    cr_assert_eq(copied->copied[0], own(0));
    const struct worker_case_action *ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
    cr_assert(ended != NULL);
    cr_assert_eq(ended->action.ended.sequence, 0);
    cr_assert_eq(ended->action.ended.input, kept(3));

    worker_case_fetched(&c, own(12));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 1);
    copied = worker_case_first(&c, TSI_WORKER_REPORT_COPIED);
    cr_assert_eq(copied->copied[0], own(12));
    worker_case_fetch_lost(&c, kept(2), peer);
    cr_assert_eq(c.action_count, 1);
    ended = worker_case_first(&c, TSI_WORKER_REPORT_ENDED);
    cr_assert_eq(ended->action.ended.sequence, 0);
    cr_assert_eq(ended->action.ended.end, TSI_ATTEMPT_FETCH_FAILED);
    cr_assert_eq(ended->action.ended.input, kept(2));
    cr_assert_eq(ended->action.ended.peer, peer);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 2);
    worker_case_fini(&c);
}
