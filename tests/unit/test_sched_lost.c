// SPDX-License-Identifier: Apache-2.0
//
// Workers that are lost: what runs again, what does not, and who is blamed.

#include <criterion/criterion.h>
#include <stdio.h>
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

Test(sched_lost, what_it_had_is_assigned_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(3, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 3);
    const struct tsi_assignment old = *sched_case_assignment(&c, a, 0);
    sched_case_leave(&c, a, false, "killed by signal 9");
    cr_assert(tsi_sched_stats(c.sched).workers_lost == 1);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, b) == 3);
    cr_assert(sched_case_count(&c, TSI_SCHED_ASSIGN) == 1);
    sched_case_done(&c, a, &old); // too late
    cr_assert(tsi_sched_stats(c.sched).tasks_done == 0);
    for (uint32_t task = 0; task < 3; task++) {
        done(&c, b, task);
    }
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_lost_input_is_made_again_and_its_user_waits)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 3, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_join(3));
    sched_case_poll(&c);
    done(&c, a, 0);
    done(&c, a, 1);
    const struct tsi_assignment third = *sched_case_assignment(&c, a, 2);
    // The holder of two of three inputs goes while it runs the third.
    sched_case_leave(&c, a, false, "gone");
    const uint32_t b = sched_case_worker(&c, 3, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, b) == 3);
    sched_case_done(&c, a, &third);
    for (uint32_t task = 0; task < 3; task++) {
        done(&c, b, task);
    }
    // The join is ready now, and loses its inputs once more before it is assigned.
    sched_case_leave(&c, b, false, "gone");
    const uint32_t d = sched_case_worker(&c, 3, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, d) == 3 && sched_case_assignment(&c, d, 3) == NULL);
    for (uint32_t task = 0; task < 3; task++) {
        done(&c, d, task);
    }
    sched_case_poll(&c);
    done(&c, d, 3);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK && c.ended_job == job);
    cr_assert(sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs.tasks_run == 9);
    sched_case_fini(&c, 0);
}

Test(sched_lost, only_ancestors_of_what_is_lost_run_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.duration_us = 1000;
    const uint32_t client = sched_case_client(&c);
    for (int i = 0; i < 4; i++) {
        sched_case_worker(&c, 1, 0);
    }
    struct tsi_program *program = test_program_reduction(2560, 10, 4);
    const uint32_t job = sched_case_submit(&c, client, program);
    for (int i = 0; i < 40; i++) {
        sched_case_work(&c, 1, true);
    }
    const uint64_t lost = c.workers[1].store.count;
    cr_assert(lost > 0 && c.ended == TESS_RUNNING);
    const uint64_t before = c.run_count;
    sched_case_leave(&c, c.workers[1].peer, false, "gone");
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK);
    // A lost chunk is at most the root of a tree of four levels below it, all on this worker.
    uint64_t again = 0;
    for (uint32_t task = 0; task < program->task_count; task++) {
        const uint64_t runs = sched_case_runs(&c, job, task);
        cr_assert(runs >= 1 && runs <= 2);
        again += runs - 1;
    }
    cr_assert(c.run_count == program->task_count + again);
    cr_assert(again <= before / 2, "%lu of %lu ran again", (unsigned long)again,
              (unsigned long)before);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_chunk_with_a_second_holder_is_not_made_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    c.duration_us = 100000;
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_broadcast(8));
    sched_case_hear(&c);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_work(&c, 1, true); // a makes the chunk
    for (int i = 0; i < 4 && !sched_case_holds(&c, b, tsi_key_of(1, 0)); i++) {
        sched_case_work(&c, 1, true);
    }
    cr_assert(sched_case_holds(&c, b, tsi_key_of(1, 0)), "it was fetched");
    cr_assert(c.ended == TESS_RUNNING);
    sched_case_leave(&c, a, false, "gone");
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK);
    cr_assert(sched_case_runs(&c, 1, 0) == 1);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_target_that_was_not_taken_is_made_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    done(&c, a, 0);
    done(&c, a, 1);
    sched_case_poll(&c);
    sched_case_take(&c, client, job, 1);
    sched_case_leave(&c, a, false, "gone");
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, b) == 1);
    done(&c, b, 0);
    sched_case_poll(&c);
    const struct tsi_sched_action *ready = sched_case_action(&c, TSI_SCHED_TARGETS_READY, 0);
    cr_assert(ready->ready.count == 1 && ready->ready.items[0].peer == b);
    sched_case_take(&c, client, job, 0);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, taken_while_it_is_made_again)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    done(&c, a, 0);
    sched_case_poll(&c);
    sched_case_leave(&c, a, false, "gone");
    sched_case_poll(&c);
    sched_case_take(&c, client, job, 0);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, three_deaths_of_one_task_fail_the_job)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, sched_program_leaves(5, TSI_TARGET_RUN));
    for (int i = 0; i < 3; i++) {
        const uint32_t w = sched_case_worker(&c, 1, 0);
        sched_case_poll(&c);
        cr_assert(c.ended == TESS_RUNNING);
        // Task 0 was activated first, so it runs; the others only wait.
        cr_assert(sched_case_assignment(&c, w, 0) != NULL);
        char text[32];
        snprintf(text, sizeof text, "signal %d", 9 + i);
        sched_case_leave(&c, w, false, text);
    }
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_ELOST, "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "op0") != NULL && strstr(c.ended_text, "chunk (0,)") != NULL,
              "%s", c.ended_text);
    cr_assert(strstr(c.ended_text, "signal 9") != NULL &&
                  strstr(c.ended_text, "signal 10") != NULL &&
                  strstr(c.ended_text, "signal 11") != NULL,
              "%s", c.ended_text);
    sched_case_fini(&c, 0);
}

Test(sched_lost, those_that_only_waited_are_not_blamed)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, sched_program_leaves(20, TSI_TARGET_RUN));
    uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_hear(&c);
    for (int i = 0; i < 6; i++) {
        // The worker that is lost runs another task each time.
        sched_case_work(&c, 2, true);
        sched_case_leave(&c, w, false, "gone");
        w = sched_case_worker(&c, 1, 0);
    }
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK, "%s", c.ended_text);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_clean_goodbye_is_no_death)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    for (int i = 0; i < 5; i++) {
        const uint32_t w = sched_case_worker(&c, 1, 0);
        sched_case_poll(&c);
        cr_assert(sched_case_assigned(&c, w) == 1);
        sched_case_leave(&c, w, true, NULL);
    }
    cr_assert(tsi_sched_stats(c.sched).workers_lost == 0);
    sched_case_worker(&c, 1, 0);
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

// A core that watches: suspect after 5 s, lost after 15 s.
static void
init_watching(struct sched_case *c)
{
    const struct tsi_sched_config config = tsi_sched_config_default();
    sched_case_init(c, &config);
}

static void
heard(struct sched_case *c, uint32_t worker)
{
    sched_case_feed(c, (struct tsi_sched_event){.kind = TSI_SCHED_WORKER_HEARD, .peer = worker});
}

Test(sched_lost, silence_makes_suspect_and_then_lost)
{
    struct sched_case c;
    init_watching(&c);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    for (int i = 0; i < 7; i++) {
        sched_case_wait(&c, TSI_SECOND);
        heard(&c, b);
    }
    sched_case_submit(&c, client, sched_program_leaves(8, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 0 && sched_case_assigned(&c, b) > 0);
    cr_assert(sched_case_count(&c, TSI_SCHED_DROP_WORKER) == 0);
    for (int i = 0; i < 10; i++) {
        sched_case_wait(&c, TSI_SECOND);
        heard(&c, b);
    }
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_DROP_WORKER, 0)->peer == a);
    cr_assert(tsi_sched_stats(c.sched).workers == 1);
    cr_assert(tsi_sched_stats(c.sched).workers_lost == 1);
    heard(&c, a); // nobody
    cr_assert(tsi_sched_stats(c.sched).stale_reports == 1);
    sched_case_fini(&c, 1);
}

Test(sched_lost, a_word_clears_the_suspicion)
{
    struct sched_case c;
    init_watching(&c);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_wait(&c, 8 * TSI_SECOND);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 0);
    heard(&c, a);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 1);
    sched_case_fini(&c, 1);
}

Test(sched_lost, the_cores_own_sleep_is_nobodys_silence)
{
    struct sched_case c;
    init_watching(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    sched_case_wait(&c, TSI_SECOND);
    c.now_ns += 3600 * TSI_SECOND; // the machine was asleep
    sched_case_feed(&c, (struct tsi_sched_event){.kind = TSI_SCHED_TICK});
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_DROP_WORKER) == 0);
    cr_assert(tsi_sched_stats(c.sched).workers == 1);
    sched_case_wait(&c, 20 * TSI_SECOND);
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_DROP_WORKER, 0)->peer == a);
    sched_case_fini(&c, 0);
}

// Two workers with one chunk each, and a join of both on the first.
static uint32_t
start_join(struct sched_case *c, uint32_t *a, uint32_t *b)
{
    sched_case_init(c, NULL);
    const uint32_t client = sched_case_client(c);
    *a = sched_case_worker(c, 1, 0);
    *b = sched_case_worker(c, 1, 0);
    const uint32_t job = sched_case_submit(c, client, sched_program_join(2));
    sched_case_poll(c);
    done(c, *a, 0);
    done(c, *b, 1);
    sched_case_poll(c);
    cr_assert(sched_case_assigned(c, *a) == 1);
    return job;
}

Test(sched_lost, two_failed_fetches_make_a_holder_none)
{
    struct sched_case c;
    uint32_t a = 0;
    uint32_t b = 0;
    const uint32_t job = start_join(&c, &a, &b);
    sched_case_fetch_failed(&c, a, sched_case_assignment(&c, a, 2), tsi_key_of(job, 1), b);
    sched_case_poll(&c);
    // Once may be a mistake: the same place is tried again.
    const uint32_t second = sched_case_assignment(&c, a, 2) != NULL ? a : b;
    const uint32_t input = second == a ? 1 : 0;
    const uint32_t holder = second == a ? b : a;
    cr_assert(sched_case_location(&c, second, 2, tsi_key_of(job, input))->peer == holder);
    sched_case_fetch_failed(&c, second, sched_case_assignment(&c, second, 2),
                            tsi_key_of(job, input), holder);
    sched_case_poll(&c);
    if (second == a) {
        cr_assert(sched_case_assignment(&c, a, 2) == NULL);
        cr_assert(sched_case_freed(&c, b, tsi_key_of(job, 1)));
        const uint32_t again = sched_case_assignment(&c, a, 1) != NULL ? a : b;
        done(&c, again, 1);
    }
    for (int i = 0; i < 10 && c.ended == TESS_RUNNING; i++) {
        sched_case_poll(&c);
        for (int k = 0; k < 2; k++) {
            const uint32_t worker = k == 0 ? a : b;
            if (sched_case_assignment(&c, worker, 2) != NULL) {
                done(&c, worker, 2);
            }
        }
        sched_case_wait(&c, 150000000);
    }
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

static void
dropped(struct sched_case *c, uint32_t worker, tsi_key key)
{
    sched_case_feed(c, (struct tsi_sched_event){
                           .kind = TSI_SCHED_DROPPED,
                           .peer = worker,
                           .dropped = {.keys = &key, .count = 1},
                       });
}

// The worker that has task `task` now, after some time if need be.
static uint32_t
worker_of(struct sched_case *c, uint32_t a, uint32_t b, uint32_t task)
{
    for (int i = 0; i < 10; i++) {
        sched_case_poll(c);
        if (sched_case_assignment(c, a, task) != NULL) {
            return a;
        }
        if (sched_case_assignment(c, b, task) != NULL) {
            return b;
        }
        sched_case_wait(c, 150000000);
    }
    cr_assert(false, "task %u is not assigned", task);
    return a;
}

Test(sched_lost, an_input_that_was_told_to_be_lost_is_not_charged_to_the_task)
{
    struct sched_case c;
    uint32_t a = 0;
    uint32_t b = 0;
    const uint32_t job = start_join(&c, &a, &b);
    const tsi_key key = tsi_key_of(job, 1);
    uint32_t user = a;
    uint32_t holder = b;
    for (int i = 0; i < 40; i++) {
        dropped(&c, holder, key);
        sched_case_fetch_failed(&c, user, sched_case_assignment(&c, user, 2), key, holder);
        holder = worker_of(&c, a, b, 1);
        cr_assert(c.ended == TESS_RUNNING);
        done(&c, holder, 1);
        user = worker_of(&c, a, b, 2);
    }
    done(&c, user, 2);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_worker_that_misses_its_own_chunk_is_believed_at_once)
{
    struct sched_case c;
    uint32_t a = 0;
    uint32_t b = 0;
    const uint32_t job = start_join(&c, &a, &b);
    sched_case_fetch_failed(&c, a, sched_case_assignment(&c, a, 2), tsi_key_of(job, 0),
                            TSI_PEER_NONE);
    sched_case_poll(&c);
    cr_assert(sched_case_assignment(&c, a, 2) == NULL && sched_case_assignment(&c, b, 2) == NULL);
    const uint32_t again = sched_case_assignment(&c, a, 0) != NULL ? a : b;
    done(&c, again, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) + sched_case_assigned(&c, b) == 1);
    sched_case_fini(&c, 1);
}

Test(sched_lost, an_assigned_user_of_a_lost_chunk_is_left_alone)
{
    struct sched_case c;
    uint32_t a = 0;
    uint32_t b = 0;
    const uint32_t job = start_join(&c, &a, &b);
    const struct tsi_assignment join = *sched_case_assignment(&c, a, 2);
    sched_case_leave(&c, b, false, "gone");
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_ASSIGN) == 0, "nobody needs chunk 1 yet");
    sched_case_done(&c, a, &join); // it had fetched it
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    cr_assert(sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs.tasks_run == 3);
    (void)job;
    sched_case_fini(&c, 0);
}

Test(sched_lost, an_assigned_user_of_a_lost_chunk_asks_for_it)
{
    struct sched_case c;
    uint32_t a = 0;
    uint32_t b = 0;
    const uint32_t job = start_join(&c, &a, &b);
    const struct tsi_assignment join = *sched_case_assignment(&c, a, 2);
    sched_case_leave(&c, b, false, "gone");
    sched_case_poll(&c);
    sched_case_fetch_failed(&c, a, &join, tsi_key_of(job, 1), b);
    sched_case_poll(&c);
    cr_assert(sched_case_assignment(&c, a, 1) != NULL && sched_case_assigned(&c, a) == 1);
    done(&c, a, 1);
    sched_case_poll(&c);
    done(&c, a, 2);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, a_slot_is_used_again_by_another_incarnation)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    uint32_t w = sched_case_worker(&c, 2, 0);
    sched_case_submit(&c, client, test_program_reduction(600, 10, 4));
    for (int i = 0; i < 10; i++) {
        sched_case_work(&c, 7, true);
        sched_case_leave(&c, w, true, NULL);
        w = sched_case_worker(&c, 2, 0);
    }
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_lost, random_programs_with_losses)
{
    for (uint64_t seed = 0; seed < 120; seed++) {
        const struct test_program_options options = {.tasks_max = 120, .with_held = true};
        struct sched_case c;
        struct test_random random = {seed + 77};
        struct tsi_sched_config config = tsi_sched_config_default();
        config.suspect_ns = 0;
        config.lost_ns = 0;
        config.kills_max = 1000;
        sched_case_init(&c, &config);
        c.inline_data = seed % 2 == 0;
        const uint32_t client = sched_case_client(&c);
        for (int i = 0; i < 3; i++) {
            sched_case_worker(&c, 1 + (int)(seed % 2), 0);
        }
        const uint32_t job = sched_case_submit(&c, client, test_program_random(seed, &options));
        for (int i = 0; i < 60 && c.ended == TESS_RUNNING; i++) {
            sched_case_work(&c, 2, true);
            if (test_random_one_in(&random, 3) && c.worker_count < SCHED_CASE_WORKERS_MAX - 1) {
                const int victim = (int)test_random_between(&random, 0, c.worker_count - 1);
                if (!c.workers[victim].gone) {
                    sched_case_leave(&c, c.workers[victim].peer, false, "gone");
                    sched_case_worker(&c, 1, 0);
                }
            }
        }
        sched_case_play(&c);
        cr_assert(c.ended == TESS_OK, "seed %lu: %d %s", (unsigned long)seed, (int)c.ended,
                  c.ended_text);
        sched_case_release(&c, client, job);
        sched_case_play(&c);
        for (int i = 0; i < c.worker_count; i++) {
            cr_assert(c.workers[i].gone || c.workers[i].store.count == 0, "seed %lu",
                      (unsigned long)seed);
        }
        cr_assert(tsi_sched_stats(c.sched).bytes_held == 0);
        sched_case_fini(&c, 0);
    }
}
