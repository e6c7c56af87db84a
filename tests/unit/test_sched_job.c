// SPDX-License-Identifier: Apache-2.0
//
// The life of jobs: accepted, reported on, ended, dropped; and of their clients.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/support/program_build.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

static void
done(struct sched_case *c, uint32_t worker, uint32_t task)
{
    const struct tsi_assignment *found = sched_case_assignment(c, worker, task);
    cr_assert(found != NULL, "task %u was not assigned", task);
    sched_case_done(c, worker, found);
}

Test(sched_job, nothing_to_do_ends_at_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, tsi_program_new());
    sched_case_poll(&c);
    cr_assert(c.actions.count == 3);
    cr_assert(c.actions.items[0].kind == TSI_SCHED_JOB_ACCEPTED);
    cr_assert(c.actions.items[1].kind == TSI_SCHED_JOB_ENDED);
    cr_assert(c.actions.items[2].kind == TSI_SCHED_JOB_DROPPED);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_job, ten_million_tasks_are_accepted_at_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.shallow = true;
    const uint32_t client = sched_case_client(&c);
    const uint64_t start = tsi_clock_ns();
    sched_case_submit(&c, client, test_program_reduction(100000000, 10, 16));
    sched_case_poll(&c);
    sched_case_worker(&c, 4, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_ASSIGN) == 1);
    cr_assert(tsi_clock_ns() - start < TSI_SECOND / 2);
    sched_case_cancel(&c, client, 1);
    sched_case_poll(&c);
    sched_case_fini(&c, 0);
}

Test(sched_job, progress_is_told_now_and_then)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_PROGRESS) == 0);
    cr_assert(tsi_sched_deadline(c.sched) == c.now_ns + 100000000);
    sched_case_wait(&c, 100000000);
    sched_case_poll(&c);
    const struct tsi_sched_action *told = sched_case_action(&c, TSI_SCHED_JOB_PROGRESS, 0);
    cr_assert(told->peer == client && told->job == job);
    cr_assert(told->progress.workers == 0 && told->progress.tasks_done == 0);
    cr_assert(told->progress.tasks_total == 4);
    cr_assert(tsi_sched_deadline(c.sched) == UINT64_MAX, "nothing changes any more");

    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_PROGRESS) == 0, "too early");
    done(&c, w, 0);
    sched_case_wait(&c, 100000000);
    sched_case_poll(&c);
    told = sched_case_action(&c, TSI_SCHED_JOB_PROGRESS, 0);
    cr_assert(told->progress.workers == 1 && told->progress.tasks_done == 1);
    sched_case_fini(&c, 1);
}

Test(sched_job, cancelled_it_ends_everywhere)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t other = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    sched_case_cancel(&c, other, job); // it is not his
    sched_case_poll(&c);
    cr_assert(c.actions.count == 0);
    sched_case_cancel(&c, client, job);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_ECANCELLED);
    cr_assert(sched_case_count(&c, TSI_SCHED_DROP_JOB) == 2);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_DROPPED) == 1);
    cr_assert(c.actions.items[c.actions.count - 1].kind == TSI_SCHED_JOB_DROPPED);
    cr_assert(tsi_sched_stats(c.sched).jobs == 0);
    (void)a;
    (void)b;
    sched_case_cancel(&c, client, job); // again: nothing
    sched_case_poll(&c);
    cr_assert(c.actions.count == 0);
    sched_case_fini(&c, 0);
}

Test(sched_job, kept_chunks_stay_until_they_are_released)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 2, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_chain(3, 2, TSI_TARGET_KEEP));
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && !c.dropped[job]);
    cr_assert(tsi_sched_stats(c.sched).bytes_held == 3 * SCHED_CHUNK_BYTES);
    cr_assert(sched_case_holds(&c, w, tsi_key_of(job, 3)));
    cr_assert(!sched_case_holds(&c, w, tsi_key_of(job, 0)));
    sched_case_release(&c, client, job);
    sched_case_play(&c);
    cr_assert(c.dropped[job] && tsi_sched_stats(c.sched).bytes_held == 0);
    cr_assert(c.workers[0].store.count == 0);
    sched_case_fini(&c, 0);
}

Test(sched_job, kept_chunks_are_the_inputs_of_later_jobs)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    sched_case_worker(&c, 1, 0);
    const uint32_t first =
        sched_case_submit(&c, client, sched_program_chain(6, 2, TSI_TARGET_KEEP));
    sched_case_play(&c);
    const uint32_t second =
        sched_case_submit(&c, client, sched_program_kept(6, first, 6, TSI_TARGET_DELIVER));
    // Released while it is in use: it stays as long as it is.
    sched_case_release(&c, client, first);
    sched_case_poll(&c);
    cr_assert(!c.dropped[first]);
    for (size_t i = 0; i < c.actions.count; i++) {
        const struct tsi_sched_action *action = &c.actions.items[i];
        cr_assert(action->kind != TSI_SCHED_ASSIGN || action->assign.location_count <= 1,
                  "placed where the chunks are");
    }
    sched_case_cancel(&c, client, second);
    sched_case_poll(&c);
    cr_assert(c.dropped[first] && c.dropped[second]);
    sched_case_fini(&c, 0);
}

// One round of a first job with kept chunks and a second that reads them.
static void
play_kept(struct sched_case *c, uint32_t client, uint32_t *first)
{
    *first = sched_case_submit(c, client, sched_program_chain(6, 2, TSI_TARGET_KEEP));
    sched_case_play(c);
    cr_assert(c->ended == TESS_OK && c->ended_job == *first);
}

Test(sched_job, a_kept_input_that_is_lost_is_made_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    uint32_t first = 0;
    play_kept(&c, client, &first);
    const uint32_t second =
        sched_case_submit(&c, client, sched_program_kept(6, first, 6, TSI_TARGET_DELIVER));
    sched_case_hear(&c);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_leave(&c, a, false, "gone");
    sched_case_play(&c);
    cr_assert(c.ended_job == second && c.ended == TESS_OK, "%s", c.ended_text);
    for (uint32_t task = 0; task < 12; task++) {
        cr_assert(sched_case_runs(&c, first, task) == 2);
    }
    cr_assert(sched_case_holds(&c, b, tsi_key_of(first, 6)), "still kept");
    sched_case_release(&c, client, first);
    sched_case_play(&c);
    sched_case_fini(&c, 0);
}

Test(sched_job, a_job_may_read_what_is_still_being_made)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t first =
        sched_case_submit(&c, client, sched_program_chain(6, 3, TSI_TARGET_KEEP));
    const uint32_t second =
        sched_case_submit(&c, client, sched_program_kept(6, first, 12, TSI_TARGET_KEEP));
    const uint32_t third =
        sched_case_submit(&c, client, sched_program_kept(6, second, 6, TSI_TARGET_DELIVER));
    sched_case_worker(&c, 2, 0);
    sched_case_worker(&c, 1, 0);
    sched_case_play(&c);
    cr_assert(c.ended_job == third && c.ended == TESS_OK);
    cr_assert(c.run_count == 30);
    sched_case_release(&c, client, first);
    sched_case_release(&c, client, second);
    sched_case_play(&c);
    cr_assert(tsi_sched_stats(c.sched).bytes_held == 0);
    sched_case_fini(&c, 0);
}

Test(sched_job, a_job_fails_with_the_one_whose_chunks_it_reads)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t first =
        sched_case_submit(&c, client, sched_program_chain(2, 2, TSI_TARGET_KEEP));
    const uint32_t second =
        sched_case_submit(&c, client, sched_program_kept(2, first, 2, TSI_TARGET_KEEP));
    sched_case_submit(&c, client, sched_program_kept(2, second, 2, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    sched_case_cancel(&c, client, first);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_ENDED) == 3);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_DROPPED) == 3);
    for (size_t i = 0; i < 3; i++) {
        const struct tsi_sched_action *ended = sched_case_action(&c, TSI_SCHED_JOB_ENDED, i);
        cr_assert(ended->ended.status == TESS_ECANCELLED);
    }
    sched_case_fini(&c, 0);
}

static void
refused(struct sched_case *c, uint32_t client, struct tsi_program *program)
{
    const uint32_t job = sched_case_submit(c, client, program);
    sched_case_hear(c);
    cr_assert(c->ended == TESS_EINVAL && c->ended_job == job && c->dropped[job]);
    cr_assert(strstr(c->ended_text, "input") != NULL, "%s", c->ended_text);
    c->ended = TESS_RUNNING;
}

Test(sched_job, kept_inputs_that_are_none_are_refused)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t other = sched_case_client(&c);
    sched_case_worker(&c, 2, 0);
    uint32_t first = 0;
    play_kept(&c, client, &first);
    refused(&c, client, sched_program_kept(6, 4711, 6, TSI_TARGET_DELIVER));        // no job
    refused(&c, other, sched_program_kept(6, first, 6, TSI_TARGET_DELIVER));        // not his
    refused(&c, client, sched_program_kept(6, first, 0, TSI_TARGET_DELIVER));       // no target
    refused(&c, client, sched_program_kept(5, first, 6, TSI_TARGET_DELIVER));       // not as many
    refused(&c, client, sched_program_kept(6, first, 4000000, TSI_TARGET_DELIVER)); // far away
    const uint32_t run = sched_case_submit(&c, client, sched_program_leaves(6, TSI_TARGET_RUN));
    refused(&c, client, sched_program_kept(6, run, 0, TSI_TARGET_DELIVER)); // not kept
    sched_case_release(&c, client, first);
    refused(&c, client, sched_program_kept(6, first, 6, TSI_TARGET_DELIVER)); // released
    sched_case_play(&c);
    sched_case_fini(&c, 0);
}

Test(sched_job, a_client_that_left_has_a_while)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_RUN));
    const uint32_t kept = sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_KEEP));
    sched_case_hear(&c);
    sched_case_client_leave(&c, client);
    cr_assert(tsi_sched_stats(c.sched).clients == 0);
    sched_case_poll(&c);
    cr_assert(!c.dropped[job]);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_ENDED) == 0);
    sched_case_wait(&c, 31 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert(c.dropped[job] && c.dropped[kept]);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_ENDED) == 0, "there is nobody to tell");
    cr_assert(tsi_sched_deadline(c.sched) == UINT64_MAX);
    sched_case_fini(&c, 0);
}

Test(sched_job, without_a_lease_its_jobs_end_at_once)
{
    struct sched_case c;
    struct tsi_sched_config config = tsi_sched_config_default();
    config.client_lease_ns = 0;
    sched_case_init(&c, &config);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, sched_program_leaves(4, TSI_TARGET_DELIVER));
    sched_case_client_leave(&c, client);
    sched_case_poll(&c);
    cr_assert(c.dropped[1]);
    sched_case_fini(&c, 0);
}

Test(sched_job, a_detached_job_goes_on_alone)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job =
        sched_case_submit_detached(&c, client, sched_program_leaves(5, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    done(&c, w, 0);
    const struct tsi_assignment rest[4] = {
        *sched_case_assignment(&c, w, 1), *sched_case_assignment(&c, w, 2),
        *sched_case_assignment(&c, w, 3), *sched_case_assignment(&c, w, 4)};
    sched_case_poll(&c);
    sched_case_client_leave(&c, client);
    sched_case_poll(&c);
    cr_assert(sched_case_freed(&c, w, tsi_key_of(job, 0)), "nobody will take it");
    sched_case_wait(&c, 31 * TSI_SECOND);
    cr_assert(tsi_sched_stats(c.sched).jobs == 1);
    for (int i = 0; i < 4; i++) {
        sched_case_done(&c, w, &rest[i]);
    }
    sched_case_poll(&c);
    cr_assert(c.dropped[job]);
    sched_case_fini(&c, 0);
}

Test(sched_job, what_a_client_holds_goes_with_it)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit_detached(&c, client, sched_program_held(3));
    sched_case_client_leave(&c, client);
    sched_case_poll(&c);
    cr_assert(c.dropped[1]);
    sched_case_fini(&c, 0);
}

Test(sched_job, a_submission_from_nobody_comes_back)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    sched_case_submit(&c, 77, sched_program_leaves(3, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(c.actions.count == 1 && c.dropped[1]);
    sched_case_fini(&c, 0);
}

Test(sched_job, targets_that_are_none_cannot_be_taken)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job =
        sched_case_submit(&c, client, sched_program_chain(2, 2, TSI_TARGET_DELIVER));
    sched_case_take(&c, client, job, 2); // nobody asked for it yet
    sched_case_poll(&c);
    sched_case_take(&c, client, job, 0);    // no target
    sched_case_take(&c, client, job, 4000); // no task
    sched_case_take(&c, client, job + 1, 2);
    sched_case_take(&c, w, job, 2);
    cr_assert(tsi_sched_stats(c.sched).stale_reports == 5);
    sched_case_play(&c);
    sched_case_fini(&c, 1);
}

Test(sched_job, two_clients_share)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.duration_us = 20000;
    const uint32_t a = sched_case_client(&c);
    const uint32_t b = sched_case_client(&c);
    sched_case_worker(&c, 1, 0);
    const uint32_t first = sched_case_submit(&c, a, sched_program_leaves(3000, TSI_TARGET_RUN));
    for (int i = 0; i < 40; i++) {
        sched_case_work(&c, 1, true);
    }
    const uint32_t second = sched_case_submit(&c, b, sched_program_leaves(3000, TSI_TARGET_RUN));
    const uint64_t before = c.run_count;
    for (int i = 0; i < 200; i++) {
        sched_case_work(&c, 1, true);
    }
    uint64_t runs = 0;
    for (uint32_t task = 0; task < 3000; task++) {
        runs += sched_case_runs(&c, second, task);
    }
    const uint64_t both = c.run_count - before;
    cr_assert(runs > both / 3 && runs < both * 2 / 3, "%lu of %lu", (unsigned long)runs,
              (unsigned long)both);
    (void)first;
    sched_case_fini(&c, 2);
}

Test(sched_job, a_slow_client_holds_activation_back)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.shallow = true;
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 4, (uint64_t)8 << 20);
    struct test_build build = test_build_start();
    const struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(4000 * 131072, 131072)}};
    test_build_target(&build, test_build_normal(&build, &grid), TSI_TARGET_DELIVER); // 1 MiB each
    const uint32_t job = sched_case_submit(&c, client, test_build_finish(&build));
    for (int i = 0; i < 200; i++) {
        sched_case_work(&c, 8, false);
    }
    // 64 MiB may be on their way; one worker of 8 MiB goes on with one at a time.
    cr_assert(c.run_count >= 60 && c.run_count <= 64, "%lu", (unsigned long)c.run_count);
    for (uint32_t task = 0; task < 10; task++) {
        sched_case_take(&c, client, job, task);
    }
    for (int i = 0; i < 50; i++) {
        sched_case_work(&c, 8, false);
    }
    cr_assert(c.run_count >= 70 && c.run_count <= 74, "%lu", (unsigned long)c.run_count);
    sched_case_fini(&c, 1);
}

Test(sched_job, equal_histories_have_equal_digests)
{
    uint64_t digests[2][60];
    for (int run = 0; run < 2; run++) {
        struct sched_case c;
        sched_case_init(&c, NULL);
        const uint32_t client = sched_case_client(&c);
        for (int i = 0; i < 3; i++) {
            sched_case_worker(&c, 2, 0);
        }
        sched_case_submit(&c, client, test_program_matmul(60, 10, 4));
        for (int i = 0; i < 60; i++) {
            sched_case_work(&c, 1, true);
            if (i == 20) {
                sched_case_leave(&c, c.workers[1].peer, false, "gone");
            }
            digests[run][i] = tsi_sched_digest(c.sched);
        }
        sched_case_fini(&c, c.dropped[1] ? 0 : 1);
    }
    cr_assert(memcmp(digests[0], digests[1], sizeof digests[0]) == 0);
    cr_assert(digests[0][3] != digests[0][4]);
}
