// SPDX-License-Identifier: Apache-2.0

#include <criterion/criterion.h>

#include "engine/base/check.h"
#include "tests/support/worker_case.h"

static tsi_key
own(uint32_t task)
{
    return tsi_key_of(CASE_JOB, task);
}

// A worker with memory for `chunks` chunks, and a disk.
static void
init(struct worker_case *c, int chunks)
{
    worker_case_init_disk(c, 1, (uint64_t)chunks * CASE_CHUNK_BYTES, UINT64_MAX);
}

static const struct worker_case_action *
expect(const struct worker_case *c, enum tsi_worker_action_kind kind)
{
    const struct worker_case_action *action = worker_case_first(c, kind);
    cr_assert(action != NULL, "no action %d", (int)kind);
    return action;
}

// Makes chunks 0 to `count` − 1; each but the last two has to leave memory for it.
static void
make(struct worker_case *c, uint32_t count)
{
    for (uint32_t task = 0; task < count; task++) {
        worker_case_assign(c, task, task);
        worker_case_poll(c);
        while (worker_case_first(c, TSI_WORKER_EXECUTE) == NULL) {
            const uint32_t run = expect(c, TSI_WORKER_SPILL)->action.spill.run;
            worker_case_spilled(c, run, true);
            worker_case_poll(c);
        }
        worker_case_executed(c, expect(c, TSI_WORKER_EXECUTE)->action.execute.run);
        worker_case_poll(c);
    }
}

Test(worker_spill, a_chunk_leaves_when_there_is_no_room_and_comes_back_when_it_is_needed)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 3);
    struct tsi_worker_stats stats = tsi_worker_stats(c.worker);
    cr_assert_eq(stats.bytes_held, 2 * CASE_CHUNK_BYTES);
    cr_assert_eq(stats.bytes_spilled, CASE_CHUNK_BYTES);
    uint64_t bytes = 0;
    const bool is_gone = tsi_worker_chunk(c.worker, own(1), &bytes) == NULL;
    cr_assert(is_gone, "the youngest of equals leaves");

    cr_assert(tsi_worker_chunk_demand(c.worker, own(1)));
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, true);
    worker_case_poll(&c);
    cr_assert(tsi_worker_chunk(c.worker, own(1), &bytes) != NULL);
    cr_assert_leq(tsi_worker_stats(c.worker).bytes_peak, 2 * CASE_CHUNK_BYTES);
    worker_case_fini(&c);
}

Test(worker_spill, what_is_on_disk_already_leaves_without_being_written)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 3);
    (void)tsi_worker_chunk_demand(c.worker, own(1));
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, true);
    worker_case_poll(&c);
    // Two of three are on disk; one of those is in memory too.
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_spilled, 2 * CASE_CHUNK_BYTES);
    tsi_worker_chunk_served(c.worker, own(1));
    (void)tsi_worker_chunk_demand(c.worker, own(2));
    (void)tsi_worker_chunk_demand(c.worker, own(0));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 1);
    worker_case_fini(&c);
}

Test(worker_spill, a_chunk_that_is_freed_while_it_is_written_goes_afterwards)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 2);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    const uint32_t run = expect(&c, TSI_WORKER_SPILL)->action.spill.run;
    worker_case_free(&c, own(1));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 0, "the disk reads it");
    worker_case_spilled(&c, run, true);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_EXTENT), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_spilled, 0);
    worker_case_fini(&c);
}

Test(worker_spill, a_chunk_that_is_freed_while_it_is_read_goes_afterwards)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 3);
    worker_case_free(&c, own(0));
    (void)tsi_worker_chunk_demand(c.worker, own(1));
    worker_case_poll(&c);
    const uint32_t run = expect(&c, TSI_WORKER_LOAD)->action.load.run;
    worker_case_free(&c, own(1));
    worker_case_poll(&c);
    cr_assert_eq(c.action_count, 0);
    worker_case_loaded(&c, run, true);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_CHUNK), 1);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_EXTENT), 1);
    worker_case_fini(&c);
}

Test(worker_spill, the_job_may_go_while_the_disk_is_busy)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 2);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    const uint32_t run = expect(&c, TSI_WORKER_SPILL)->action.spill.run;
    worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_RESET});
    worker_case_poll(&c);
    worker_case_spilled(&c, run, true);
    worker_case_poll(&c);
    const struct tsi_worker_stats stats = tsi_worker_stats(c.worker);
    cr_assert_eq(stats.chunks + stats.spills, 0);
    cr_assert_eq(stats.bytes_held + stats.bytes_spilled, 0);
    worker_case_fini(&c);
}

Test(worker_spill, a_task_that_starts_with_a_chunk_keeps_it_in_memory)
{
    struct worker_case c;
    init(&c, 4);
    make(&c, 1);
    const struct tsi_location place = {.key = own(4), .peer = CASE_PEER};
    worker_case_assign_from(&c, 12, 1, &place, 1);
    worker_case_poll(&c);
    worker_case_fetched(&c, own(4));
    worker_case_poll(&c);
    const uint32_t run = expect(&c, TSI_WORKER_EXECUTE)->action.execute.run;
    // Inputs and output of the task take three of four; there is room for one more.
    worker_case_assign(&c, 1, 2);
    worker_case_assign(&c, 2, 3);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_SPILL), 0);
    worker_case_executed(&c, run);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    worker_case_fini(&c);
}

Test(worker_spill, a_ready_task_of_later_rank_gives_its_input_up_and_gets_it_back)
{
    struct worker_case c;
    init(&c, 3);
    make(&c, 1);
    const struct tsi_location place = {.key = own(4), .peer = CASE_PEER};
    // Task 12 reads chunks 0 and 4, later than task 1, 2 and 3.
    worker_case_assign_from(&c, 12, 9, &place, 1);
    worker_case_poll(&c);
    worker_case_assign(&c, 1, 1);
    worker_case_assign(&c, 2, 2);
    worker_case_assign(&c, 3, 3);
    worker_case_fetched(&c, own(4));
    worker_case_poll(&c);
    for (int i = 0; i < 40 && tsi_worker_stats(c.worker).assignments > 0; i++) {
        for (int k = 0; k < c.action_count; k++) {
            const struct tsi_worker_action action = c.actions[k].action;
            if (action.kind == TSI_WORKER_EXECUTE) {
                worker_case_executed(&c, action.execute.run);
            } else if (action.kind == TSI_WORKER_SPILL) {
                worker_case_spilled(&c, action.spill.run, true);
            } else if (action.kind == TSI_WORKER_LOAD) {
                worker_case_loaded(&c, action.load.run, true);
            }
        }
        worker_case_poll(&c);
    }
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);
    cr_assert_leq(tsi_worker_stats(c.worker).bytes_peak, 3 * CASE_CHUNK_BYTES);
    worker_case_fini(&c);
}

Test(worker_spill, a_full_disk_fails_the_task_that_needs_room_and_nothing_else)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 2);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    for (int i = 0; worker_case_first(&c, TSI_WORKER_SPILL) != NULL; i++) {
        cr_assert(i < 10, "it tries for ever");
        worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, false);
        worker_case_poll(&c);
    }
    const struct tsi_attempt *ended = &expect(&c, TSI_WORKER_REPORT_ENDED)->action.ended;
    cr_assert_eq(ended->end, TSI_ATTEMPT_FAILED);
    cr_assert_eq(ended->status, TESS_EIO);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks, 2);
    // The next one tries again.
    worker_case_assign(&c, 3, 3);
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_EXECUTE), 1);
    worker_case_fini(&c);
}

Test(worker_spill, a_chunk_that_cannot_be_read_back_is_dropped_and_its_task_ends)
{
    struct worker_case c;
    init(&c, 3);
    make(&c, 4);
    uint64_t bytes = 0;
    uint32_t lost = 0;
    while (tsi_worker_chunk(c.worker, own(lost), &bytes) != NULL) {
        lost++;
    }
    cr_assert(lost < 4);
    (void)tsi_worker_chunk_demand(c.worker, own(lost));
    worker_case_poll(&c);
    while (worker_case_first(&c, TSI_WORKER_LOAD) == NULL) {
        worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
        worker_case_poll(&c);
    }
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, false);
    worker_case_poll(&c);
    const struct worker_case_action *dropped = expect(&c, TSI_WORKER_REPORT_DROPPED);
    cr_assert_eq(dropped->action.dropped.count, 1);
    cr_assert_eq(dropped->dropped[0], own(lost));
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_RELEASE_EXTENT), 1);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks_lost, 1);
    cr_assert_not(tsi_worker_chunk_demand(c.worker, own(lost)));
    worker_case_fini(&c);
}

Test(worker_spill, no_more_goes_to_disk_than_may)
{
    struct worker_case c;
    worker_case_init_disk(&c, 1, 2 * CASE_CHUNK_BYTES, CASE_CHUNK_BYTES);
    make(&c, 3);
    worker_case_assign(&c, 3, 3);
    worker_case_poll(&c);
    const struct tsi_attempt *ended = &expect(&c, TSI_WORKER_REPORT_ENDED)->action.ended;
    cr_assert_eq(ended->end, TSI_ATTEMPT_REFUSED);
    cr_assert_eq(ended->status, TESS_EMEMLIMIT);
    worker_case_fini(&c);
}

Test(worker_spill, what_is_read_for_a_peer_stays_until_the_peer_has_got_it)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 3); // chunk 1 has left
    cr_assert(tsi_worker_chunk_demand(c.worker, own(1)));
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, true);
    worker_case_assign(&c, 3, 3); // it needs room
    worker_case_poll(&c);
    uint64_t bytes = 0;
    cr_assert(tsi_worker_chunk(c.worker, own(1), &bytes) != NULL, "the other one leaves");
    tsi_worker_chunk_served(c.worker, own(1));
    worker_case_fini(&c);
}

Test(worker_spill, a_chunk_read_for_a_peer_that_does_not_come_leaves_where_nothing_else_can)
{
    struct worker_case c;
    init(&c, 1);
    make(&c, 2); // chunk 0 has left
    cr_assert(tsi_worker_chunk_demand(c.worker, own(0)));
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, true);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    expect(&c, TSI_WORKER_EXECUTE);
    uint64_t bytes = 0;
    cr_assert(tsi_worker_chunk(c.worker, own(0), &bytes) == NULL);
    worker_case_fini(&c);
}

Test(worker_spill, a_limit_that_is_lowered_makes_chunks_leave_and_one_that_is_raised_lets_them_in)
{
    struct worker_case c;
    struct tsi_worker_event event = {.kind = TSI_WORKER_LIMITED};
    init(&c, 4);
    make(&c, 3);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_held, 3 * CASE_CHUNK_BYTES);
    event.limited.memory_bytes = 2 * CASE_CHUNK_BYTES;
    worker_case_feed(&c, event);
    worker_case_poll(&c);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_held, 2 * CASE_CHUNK_BYTES);
    cr_assert(worker_case_first(&c, TSI_WORKER_SPILL) == NULL, "that is enough");

    worker_case_assign(&c, 3, 3);
    worker_case_poll(&c);
    cr_assert(worker_case_first(&c, TSI_WORKER_EXECUTE) == NULL, "it has no room");
    const uint32_t run = expect(&c, TSI_WORKER_SPILL)->action.spill.run;
    event.limited.memory_bytes = 4 * CASE_CHUNK_BYTES;
    worker_case_feed(&c, event);
    worker_case_poll(&c);
    expect(&c, TSI_WORKER_EXECUTE);
    worker_case_spilled(&c, run, true);
    worker_case_fini(&c);
}

Test(worker_spill, what_is_on_disk_is_offered_to_the_next_scheduler)
{
    struct worker_case c;
    struct tsi_worker_offer offer = {0};
    init(&c, 2);
    make(&c, 4);
    cr_assert_eq(tsi_worker_stats(c.worker).bytes_spilled, 2 * CASE_CHUNK_BYTES);
    worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_PARTED});
    cr_assert(tsi_worker_offer(c.worker, &offer));
    cr_assert(offer.count == 1 && offer.holdings[0].job == CASE_JOB);
    cr_assert(offer.range_count == 1 && offer.ranges[0].first == 0 && offer.ranges[0].count == 4,
              "chunks in memory and on disk alike");
    cr_assert(tsi_worker_chunk_demand(c.worker, own(1)), "and it can be read");
    worker_case_fini(&c);
}

// Of one who waits for the disk to write and one to read, that one goes first whose end makes room.
Test(worker_spill, writes_come_before_reads)
{
    struct worker_case c;
    uint64_t bytes = 0;
    init(&c, 3);
    make(&c, 4);
    uint32_t gone = 0;
    while (tsi_worker_chunk(c.worker, own(gone), &bytes) != NULL) {
        gone++;
    }
    struct tsi_worker_event limited = {.kind = TSI_WORKER_LIMITED};
    limited.limited.memory_bytes = CASE_CHUNK_BYTES;
    worker_case_feed(&c, limited);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_SPILL), 1, "one at a time");
    const uint32_t run = expect(&c, TSI_WORKER_SPILL)->action.spill.run;
    limited.limited.memory_bytes = 3 * CASE_CHUNK_BYTES;
    worker_case_feed(&c, limited);
    cr_assert(tsi_worker_chunk_demand(c.worker, own(gone)));
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_LOAD), 0, "the disk is busy");
    worker_case_spilled(&c, run, true);
    worker_case_poll(&c);
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_SPILL), 1, "what leaves is written first");
    cr_assert_eq(worker_case_count(&c, TSI_WORKER_LOAD), 0);
    worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    while (worker_case_first(&c, TSI_WORKER_SPILL) != NULL) {
        worker_case_spilled(&c, expect(&c, TSI_WORKER_SPILL)->action.spill.run, true);
        worker_case_poll(&c);
    }
    worker_case_loaded(&c, expect(&c, TSI_WORKER_LOAD)->action.load.run, true);
    worker_case_poll(&c);
    cr_assert(tsi_worker_chunk(c.worker, own(gone), &bytes) != NULL);
    worker_case_fini(&c);
}
