// SPDX-License-Identifier: Apache-2.0
//
// Chunks that are dropped instead of written: those of operation 0, which is made from nothing and
// here no target.

#include <criterion/criterion.h>

#include "engine/base/check.h"
#include "tests/support/worker_case.h"

#define NONE UINT64_MAX

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
    c->program->target_count = 0;
}

static bool
is_held(const struct worker_case *c, uint32_t task)
{
    uint64_t bytes = 0;
    return tsi_worker_chunk(c->worker, own(task), &bytes) != NULL;
}

// Assigns `task` and runs it; nothing may have to be written for that. Gives the chunk that was
// dropped for it, or NONE.
static tsi_key
make(struct worker_case *c, uint32_t task)
{
    worker_case_assign(c, task, task);
    worker_case_poll(c);
    const struct worker_case_action *run = worker_case_first(c, TSI_WORKER_EXECUTE);
    const struct worker_case_action *dropped = worker_case_first(c, TSI_WORKER_REPORT_DROPPED);
    cr_assert(run != NULL && worker_case_count(c, TSI_WORKER_SPILL) == 0);
    cr_assert(dropped == NULL || dropped->action.dropped.count == 1);
    const tsi_key key = dropped != NULL ? dropped->dropped[0] : NONE;
    worker_case_executed(c, run->action.execute.run);
    worker_case_poll(c);
    return key;
}

Test(worker_spill_cheap, a_chunk_made_from_nothing_is_dropped_and_told)
{
    struct worker_case c;
    init(&c, 2);
    cr_assert(make(&c, 0) == NONE);
    cr_assert(make(&c, 1) == NONE);
    cr_assert(make(&c, 2) == own(1), "the youngest of equals");
    const struct tsi_worker_stats stats = tsi_worker_stats(c.worker);
    cr_assert_eq(stats.chunks_dropped, 1);
    cr_assert_eq(stats.chunks_lost, 0);
    cr_assert_eq(stats.bytes_spilled, 0);
    cr_assert_eq(stats.bytes_held, 2 * CASE_CHUNK_BYTES);
    cr_assert_eq(stats.chunks, 2);
    cr_assert(is_held(&c, 0) && !is_held(&c, 1) && is_held(&c, 2));
    cr_assert(!tsi_worker_chunk_demand(c.worker, own(1)), "it is nowhere");
    worker_case_fini(&c);
}

Test(worker_spill_cheap, its_completion_is_told_before)
{
    struct worker_case c;
    init(&c, 2);
    make(&c, 0);
    worker_case_assign(&c, 1, 1);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    worker_case_executed(&c, worker_case_first(&c, TSI_WORKER_EXECUTE)->action.execute.run);
    worker_case_poll(&c);
    // Task 2 needs room while the completion of task 1 is not told: chunk 1 stays.
    const struct worker_case_action *done = worker_case_first(&c, TSI_WORKER_REPORT_DONE);
    const struct worker_case_action *dropped = worker_case_first(&c, TSI_WORKER_REPORT_DROPPED);
    cr_assert(done != NULL && dropped != NULL && dropped->dropped[0] == own(0));
    cr_assert(done < dropped, "a completion tells of chunks that are here");
    worker_case_fini(&c);
}

Test(worker_spill_cheap, a_chunk_is_dropped_once_and_written_when_it_was_made_again)
{
    struct worker_case c;
    init(&c, 1);
    make(&c, 0);
    cr_assert(make(&c, 1) == own(0));
    cr_assert(make(&c, 0) == own(1), "chunk 0 is made again");
    worker_case_assign(&c, 1, 9);
    worker_case_poll(&c);
    cr_assert(worker_case_count(&c, TSI_WORKER_REPORT_DROPPED) == 0);
    worker_case_spilled(&c, worker_case_first(&c, TSI_WORKER_SPILL)->action.spill.run, true);
    worker_case_poll(&c);
    cr_assert(worker_case_first(&c, TSI_WORKER_EXECUTE) != NULL);
    cr_assert_eq(tsi_worker_stats(c.worker).chunks_dropped, 2);
    cr_assert(tsi_worker_chunk_demand(c.worker, own(0)), "it is on disk");
    worker_case_fini(&c);
}

Test(worker_spill_cheap, an_input_of_an_assigned_task_is_written_instead)
{
    struct worker_case c;
    init(&c, 3);
    make(&c, 0);
    const struct tsi_location place = {.key = own(4), .peer = CASE_PEER};
    worker_case_assign_from(&c, 12, 9, &place, 1); // reads chunks 0 and 4
    worker_case_poll(&c);
    worker_case_assign(&c, 1, 1);
    worker_case_assign(&c, 2, 2);
    worker_case_fetched(&c, own(4));
    bool was_written = false;
    for (int i = 0; i < 40; i++) {
        worker_case_poll(&c);
        for (int k = 0; k < c.action_count; k++) {
            const struct worker_case_action *at = &c.actions[k];
            if (at->action.kind == TSI_WORKER_EXECUTE) {
                worker_case_executed(&c, at->action.execute.run);
            } else if (at->action.kind == TSI_WORKER_SPILL) {
                was_written = true;
                worker_case_spilled(&c, at->action.spill.run, true);
            } else if (at->action.kind == TSI_WORKER_LOAD) {
                worker_case_loaded(&c, at->action.load.run, true);
            } else if (at->action.kind == TSI_WORKER_REPORT_DROPPED) {
                cr_assert(at->dropped[0] != own(0) && at->dropped[0] != own(4));
            }
        }
    }
    cr_assert(was_written);
    cr_assert_eq(tsi_worker_stats(c.worker).assignments, 0);
    worker_case_fini(&c);
}

Test(worker_spill_cheap, what_was_fetched_is_never_dropped)
{
    struct worker_case c;
    init(&c, 2);
    const struct tsi_location place = {.key = own(0), .peer = CASE_PEER};
    worker_case_feed(
        &c, (struct tsi_worker_event){.kind = TSI_WORKER_COPY, .copy = {.locations = &place, 1}});
    worker_case_poll(&c);
    worker_case_fetched(&c, own(0));
    worker_case_poll(&c);
    make(&c, 1);
    worker_case_assign(&c, 2, 2);
    worker_case_poll(&c);
    const struct worker_case_action *dropped = worker_case_first(&c, TSI_WORKER_REPORT_DROPPED);
    cr_assert(dropped != NULL && dropped->dropped[0] == own(1), "chunk 1 was made here");
    worker_case_executed(&c, worker_case_first(&c, TSI_WORKER_EXECUTE)->action.execute.run);
    worker_case_poll(&c);
    worker_case_assign(&c, 3, 3);
    worker_case_poll(&c);
    worker_case_executed(&c, worker_case_first(&c, TSI_WORKER_EXECUTE)->action.execute.run);
    worker_case_poll(&c);
    worker_case_assign(&c, 1, 4); // chunks 0 and 3 are here
    worker_case_poll(&c);
    worker_case_executed(&c, worker_case_first(&c, TSI_WORKER_EXECUTE)->action.execute.run);
    worker_case_poll(&c);
    worker_case_assign(&c, 2, 5); // chunks 0 and 1: both stay what they are, one is written
    worker_case_poll(&c);
    cr_assert(worker_case_count(&c, TSI_WORKER_REPORT_DROPPED) == 0);
    cr_assert(worker_case_count(&c, TSI_WORKER_SPILL) == 1);
    worker_case_fini(&c);
}

Test(worker_spill_cheap, a_target_is_written)
{
    struct worker_case c;
    init(&c, 1);
    c.program->target_count = 1;
    make(&c, 0);
    worker_case_assign(&c, 1, 1);
    worker_case_poll(&c);
    cr_assert(worker_case_count(&c, TSI_WORKER_SPILL) == 1);
    cr_assert(worker_case_count(&c, TSI_WORKER_REPORT_DROPPED) == 0);
    worker_case_fini(&c);
}

Test(worker_spill_cheap, what_writes_a_file_is_not_made_again)
{
    struct worker_case c;
    init(&c, 1);
    c.program->ops[0].tile.sink = TSI_SINK_WRITE;
    make(&c, 0);
    worker_case_assign(&c, 1, 1);
    worker_case_poll(&c);
    cr_assert(worker_case_count(&c, TSI_WORKER_REPORT_DROPPED) == 0);
    worker_case_fini(&c);
}

Test(worker_spill_cheap, after_the_scheduler_is_lost_nothing_is_dropped_that_it_was_not_told_of)
{
    struct worker_case c;
    init(&c, 1);
    make(&c, 0);
    worker_case_feed(&c, (struct tsi_worker_event){.kind = TSI_WORKER_PARTED});
    worker_case_poll(&c);
    struct tsi_worker_offer offer = {0};
    cr_assert(tsi_worker_offer(c.worker, &offer));
    worker_case_assign(&c, 1, 1);
    worker_case_poll(&c);
    cr_assert(worker_case_count(&c, TSI_WORKER_REPORT_DROPPED) == 0);
    cr_assert(worker_case_count(&c, TSI_WORKER_SPILL) == 1);
    worker_case_fini(&c);
}
