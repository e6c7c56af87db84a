// SPDX-License-Identifier: Apache-2.0
//
// Silence counts only while the scheduler listened. When the core was not called for a while, its
// process stood still or its clock jumped, and nobody could have been heard.

#include <criterion/criterion.h>

#include "engine/base/clock.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

static void
start(struct sched_case *c)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = 3 * TSI_SECOND;
    config.lost_ns = 10 * TSI_SECOND;
    config.client_lease_ns = 5 * TSI_SECOND;
    sched_case_init(c, &config);
}

// The core hears nothing, not even the time, for so long.
static void
sleep_for(struct sched_case *c, uint64_t ns)
{
    c->now_ns += ns;
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_TICK});
    sched_case_poll(c);
}

Test(sched_silence, a_silent_worker_is_lost)
{
    struct sched_case c;
    start(&c);
    sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    sched_case_wait(&c, 12 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert_eq(sched_case_count(&c, TSI_SCHED_DROP_WORKER), 1);
    sched_case_fini(&c, 0);
}

Test(sched_silence, a_scheduler_that_slept_blames_no_worker)
{
    struct sched_case c;
    start(&c);
    sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    sched_case_wait(&c, 2 * TSI_SECOND);
    sleep_for(&c, 60 * TSI_SECOND);
    cr_assert_eq(sched_case_count(&c, TSI_SCHED_DROP_WORKER), 0);
    sched_case_wait(&c, 7 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert_eq(sched_case_count(&c, TSI_SCHED_DROP_WORKER), 0, "9 of 10 seconds of silence");
    sched_case_wait(&c, 3 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert_eq(sched_case_count(&c, TSI_SCHED_DROP_WORKER), 1, "and then it is lost");
    sched_case_fini(&c, 0);
}

Test(sched_silence, a_scheduler_that_slept_gives_no_client_up)
{
    struct sched_case c;
    start(&c);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_RUN));
    sched_case_poll(&c);
    sched_case_client_leave(&c, client);
    sched_case_poll(&c);
    sleep_for(&c, 60 * TSI_SECOND);
    cr_assert_eq(tsi_sched_stats(c.sched).jobs, 1, "its lease has hardly begun");
    sched_case_wait(&c, 6 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert_eq(tsi_sched_stats(c.sched).jobs, 0, "and then it is over");
    sched_case_fini(&c, 0);
}
