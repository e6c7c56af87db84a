// SPDX-License-Identifier: Apache-2.0
//
// Where tasks go that a worker has no room for, and how that ends.

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

enum { SMALL = 3 };

// The worker that got task `task` in the last poll; TSI_PEER_NONE: nobody.
static uint32_t
who_got(const struct sched_case *c, uint32_t task)
{
    for (int i = 0; i < c->worker_count; i++) {
        if (sched_case_assignment(c, c->workers[i].peer, task) != NULL) {
            return c->workers[i].peer;
        }
    }
    return TSI_PEER_NONE;
}

static void
refuse(struct sched_case *c, uint32_t worker, uint32_t task)
{
    sched_case_end(c, worker, sched_case_assignment(c, worker, task), TSI_ATTEMPT_REFUSED,
                   TESS_EMEMLIMIT, "no room");
}

Test(sched_steer, a_task_that_found_no_room_goes_to_the_worker_with_most)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < SMALL; i++) {
        sched_case_worker(&c, 1, 1 << 20);
    }
    const uint32_t large = sched_case_worker(&c, 1, 1 << 30);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    const uint32_t first = who_got(&c, 0);
    cr_assert(first != TSI_PEER_NONE && first != large, "the first free one takes it");
    refuse(&c, first, 0);
    sched_case_poll(&c);
    cr_assert(who_got(&c, 0) == large, "other small ones stand before it, and are not asked");
    sched_case_fini(&c, 1);
}

Test(sched_steer, what_is_steered_is_loose_when_its_worker_goes)
{
    struct sched_case c;
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = 0;
    config.lost_ns = 0;
    config.prefetch = 0;
    sched_case_init(&c, &config);
    const uint32_t client = sched_case_client(&c);
    const uint32_t small = sched_case_worker(&c, 1, 1 << 20);
    const uint32_t large = sched_case_worker(&c, 1, 1 << 30);
    sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_RUN));
    sched_case_poll(&c);
    const uint32_t task = sched_case_assignment(&c, small, 0) != NULL ? 0 : 1;
    refuse(&c, small, task);
    sched_case_poll(&c);
    cr_assert(who_got(&c, task) == TSI_PEER_NONE, "it waits for the large one, which is busy");
    sched_case_wait(&c, 100000000);
    sched_case_poll(&c);
    cr_assert(who_got(&c, task) == TSI_PEER_NONE, "however idle the small one is");
    sched_case_leave(&c, large, true, NULL);
    sched_case_poll(&c);
    cr_assert(who_got(&c, task) == small, "then there is nobody else");
    sched_case_fini(&c, 1);
}

Test(sched_steer, refusals_by_small_workers_count_as_well)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < SMALL; i++) {
        sched_case_worker(&c, 1, (uint64_t)(i + 1) << 20);
    }
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    int asked[SMALL] = {0};
    for (int i = 0; i < 200 && c.ended == TESS_RUNNING; i++) {
        sched_case_poll(&c);
        const uint32_t got = who_got(&c, 0);
        for (int k = 0; k < SMALL; k++) {
            asked[k] += got == c.workers[k].peer ? 1 : 0;
        }
        if (got != TSI_PEER_NONE) {
            refuse(&c, got, 0);
        }
        sched_case_wait(&c, 30000000);
    }
    cr_assert(c.ended == TESS_EMEMLIMIT, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "no room") != NULL, "%s", c.ended_text);
    for (int k = 0; k < SMALL; k++) {
        cr_assert(asked[k] > 10, "worker %d was asked %d times", k, asked[k]);
    }
    sched_case_fini(&c, 0);
}

// The holder of the first chunk of a chain gives it up, and the task that reads it comes back.
static void
drop_first(struct sched_case *c, uint32_t worker, uint32_t job)
{
    const tsi_key key = tsi_key_of(job, 0);
    sched_case_done(c, worker, sched_case_assignment(c, worker, 0));
    sched_case_poll(c);
    const uint32_t reader = who_got(c, 1);
    cr_assert(reader != TSI_PEER_NONE);
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_DROPPED,
                                                .peer = worker,
                                                .dropped = {.keys = &key, .count = 1}});
    sched_case_fetch_failed(c, reader, sched_case_assignment(c, reader, 1), key, worker);
    sched_case_poll(c);
}

Test(sched_steer, a_chunk_that_is_given_up_again_is_made_elsewhere)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t small = sched_case_worker(&c, 1, 1 << 20);
    const uint32_t large = sched_case_worker(&c, 1, 1 << 30);
    const uint32_t job = sched_case_submit(&c, client, sched_program_chain(1, 2, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(who_got(&c, 0) == small);
    drop_first(&c, small, job);
    cr_assert(who_got(&c, 0) != TSI_PEER_NONE, "once is no reason");
    drop_first(&c, who_got(&c, 0), job);
    cr_assert(who_got(&c, 0) == large);
    sched_case_fini(&c, 1);
}

Test(sched_steer, a_chunk_that_is_given_up_for_ever_ends_its_job)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 1 << 20);
    sched_case_worker(&c, 1, 1 << 20);
    const uint32_t job = sched_case_submit(&c, client, sched_program_chain(1, 2, TSI_TARGET_RUN));
    sched_case_poll(&c);
    for (int i = 0; i < 1000 && c.ended == TESS_RUNNING; i++) {
        cr_assert(who_got(&c, 0) != TSI_PEER_NONE);
        drop_first(&c, who_got(&c, 0), job);
    }
    cr_assert(c.ended == TESS_EMEMLIMIT, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "lost 101 times") != NULL, "%s", c.ended_text);
    sched_case_fini(&c, 0);
}
