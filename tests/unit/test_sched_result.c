// SPDX-License-Identifier: Apache-2.0
//
// What detached jobs keep, and who may have it for how long.

#include <criterion/criterion.h>

#include "engine/base/clock.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

#define LEASE_NS (10 * TSI_SECOND)

static struct sched_case c;
static uint32_t worker;

static void
setup_with(uint64_t bytes_max)
{
    struct tsi_sched_config config = tsi_sched_config_default();
    config.suspect_ns = config.lost_ns = 0;
    config.result_lease_ns = LEASE_NS;
    config.result_bytes_max = bytes_max;
    sched_case_init(&c, &config);
    worker = sched_case_worker(&c, 2, 0);
}

static uint32_t
submit(uint32_t client, uint32_t leaves)
{
    const uint32_t job =
        sched_case_submit_detached(&c, client, sched_program_leaves(leaves, TSI_TARGET_KEEP));
    sched_case_hear(&c);
    return job;
}

static void
wait(uint64_t ns)
{
    sched_case_wait(&c, ns);
    sched_case_hear(&c);
}

static void
feed(enum tsi_sched_event_kind kind, uint32_t client, uint32_t job)
{
    sched_case_about(&c, kind, client, job);
    sched_case_hear(&c);
}

// How the driver heard that a job is gone; TESS_RUNNING: it is not.
static tess_status
dropped(uint32_t job)
{
    const tess_status status = sched_case_gone(&c, job);
    return status == TESS_RUNNING && c.dropped[job] ? TESS_OK : status;
}

Test(sched_result, is_kept_for_its_time_and_no_longer)
{
    setup_with(UINT64_MAX);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = submit(client, 4);
    sched_case_client_leave(&c, client);
    sched_case_play(&c);
    cr_assert(sched_case_holds(&c, worker, tsi_key_of(job, 3)), "it goes on alone");
    wait(LEASE_NS - TSI_SECOND);
    cr_assert(!c.dropped[job] && sched_case_holds(&c, worker, tsi_key_of(job, 0)));
    wait(2 * TSI_SECOND);
    cr_assert(c.dropped[job] && !sched_case_holds(&c, worker, tsi_key_of(job, 0)));
    sched_case_fini(&c, 0);
}

Test(sched_result, the_driver_hears_the_end_without_a_client)
{
    setup_with(UINT64_MAX);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = submit(client, 2);
    sched_case_client_leave(&c, client);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == job);
    wait(LEASE_NS + TSI_SECOND);
    sched_case_fini(&c, 0);
}

Test(sched_result, time_stands_still_while_a_client_has_it)
{
    setup_with(UINT64_MAX);
    const uint32_t first = sched_case_client(&c);
    const uint32_t second = sched_case_client(&c);
    const uint32_t job = submit(first, 3);
    sched_case_client_leave(&c, first);
    sched_case_play(&c);
    wait(LEASE_NS / 2);
    feed(TSI_SCHED_JOB_CLAIMED, second, job);
    wait(3 * LEASE_NS);
    cr_assert(!c.dropped[job], "its client is there");
    sched_case_client_leave(&c, second);
    wait(LEASE_NS - TSI_SECOND);
    cr_assert(!c.dropped[job], "the time begins anew");
    wait(2 * TSI_SECOND);
    cr_assert(c.dropped[job]);
    sched_case_fini(&c, 0);
}

Test(sched_result, the_oldest_make_room_for_the_newest)
{
    // Three leaves take as much as may be kept; so two results of two do not fit together.
    struct tsi_program *probe = sched_program_leaves(3, TSI_TARGET_KEEP);
    const uint64_t most = tsi_sched_result_bytes(probe);
    tsi_program_free(probe);
    setup_with(most);
    const uint32_t client = sched_case_client(&c);
    const uint32_t old = submit(client, 2);
    sched_case_play(&c);
    const uint32_t newer = submit(client, 2);
    sched_case_play(&c);
    cr_assert(!c.dropped[old] && !c.dropped[newer], "their client is there");
    sched_case_client_leave(&c, client);
    sched_case_hear(&c);
    cr_assert(dropped(old) == TESS_ELIMIT, "%s", tess_status_name(dropped(old)));
    cr_assert(!c.dropped[newer]);
    wait(LEASE_NS + TSI_SECOND);
    cr_assert(c.dropped[newer]);
    sched_case_fini(&c, 0);
}

Test(sched_result, released_while_it_runs_it_is_cancelled)
{
    setup_with(UINT64_MAX);
    const uint32_t first = sched_case_client(&c);
    const uint32_t second = sched_case_client(&c);
    const uint32_t job = submit(first, 5);
    sched_case_client_leave(&c, first);
    sched_case_work(&c, 1, true);
    feed(TSI_SCHED_JOB_CLAIMED, second, job);
    cr_assert(c.ended == TESS_RUNNING, "it still runs");
    feed(TSI_SCHED_JOB_RELEASED, second, job);
    cr_assert(c.ended == TESS_ECANCELLED && c.dropped[job]);
    cr_assert(tsi_sched_stats(c.sched).bytes_held == 0);
    sched_case_fini(&c, 0);
}

Test(sched_result, only_its_client_may_release_it)
{
    setup_with(UINT64_MAX);
    const uint32_t first = sched_case_client(&c);
    const uint32_t second = sched_case_client(&c);
    const uint32_t job = submit(first, 2);
    sched_case_play(&c);
    feed(TSI_SCHED_JOB_CLAIMED, second, job);
    feed(TSI_SCHED_JOB_RELEASED, first, job);
    cr_assert(!c.dropped[job]);
    feed(TSI_SCHED_JOB_RELEASED, second, job);
    cr_assert(c.dropped[job]);
    sched_case_fini(&c, 0);
}

// What is kept may be made again after the end; whoever claims the job hears the report of its end.
Test(sched_result, what_is_made_again_later_is_not_in_the_report)
{
    setup_with(UINT64_MAX);
    const uint32_t first = sched_case_client(&c);
    const uint32_t job = submit(first, 4);
    sched_case_play(&c);
    const uint32_t heir = sched_case_worker(&c, 2, 0);
    sched_case_leave(&c, worker, false, "killed");
    sched_case_poll(&c);
    struct tsi_completion again = {.job = job, .bytes = SCHED_CHUNK_BYTES, .peak_bytes = 1 << 30};
    again.task = sched_case_assignment(&c, heir, 0)->task;
    again.sequence = sched_case_assignment(&c, heir, 0)->sequence;
    sched_case_feed(&c, (struct tsi_sched_event){.kind = TSI_SCHED_TASKS_DONE,
                                                 .peer = heir,
                                                 .done = {.items = &again, .count = 1}});
    sched_case_client_leave(&c, first);
    const uint32_t second = sched_case_client(&c);
    sched_case_poll(&c);
    struct tsi_sched_event claimed = {.kind = TSI_SCHED_JOB_CLAIMED, .peer = second};
    claimed.job.job = job;
    sched_case_feed(&c, claimed);
    sched_case_poll(&c);
    const struct tsi_sched_action *ended = sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0);
    cr_assert(ended != NULL && ended->peer == second);
    cr_assert(ended->ended.costs.peak_bytes_measured < 1 << 30, "that was after the end");
    sched_case_fini(&c, 1);
}

Test(sched_result, each_worker_has_its_line_in_the_report)
{
    setup_with(UINT64_MAX);
    const uint32_t other = sched_case_worker(&c, 2, 0);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, sched_program_leaves(8, TSI_TARGET_RUN));
    sched_case_work(&c, 1, true);
    sched_case_leave(&c, other, false, "killed");
    while (c.ended == TESS_RUNNING && sched_case_work(&c, 1, true)) {
    }
    const struct tsi_sched_action *ended = sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0);
    uint64_t most = 0;
    bool found[2] = {false, false};
    cr_assert(ended->ended.costs.worker_count == 2, "%zu lines", ended->ended.costs.worker_count);
    for (size_t i = 0; i < 2; i++) {
        const struct tsi_worker_peak *peak = &ended->ended.costs.workers[i];
        found[peak->peer == other] = true;
        most = peak->predicted > most ? peak->predicted : most;
        cr_assert(peak->predicted > 0 && peak->name != NULL);
    }
    cr_assert(found[0] && found[1], "the one that was lost has its line too");
    cr_assert(most == ended->ended.costs.peak_bytes_predicted);
    sched_case_fini(&c, 0);
}
