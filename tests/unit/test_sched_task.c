// SPDX-License-Identifier: Apache-2.0
//
// The life of tasks: every transition as the messages to and from workers show it.

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "scheduler/core/sched_job.h"
#include "tests/support/sched_case.h"
#include "tests/support/sched_programs.h"

// Sends one assignment back as done.
static void
done(struct sched_case *c, uint32_t worker, uint32_t task)
{
    const struct tsi_assignment *found = sched_case_assignment(c, worker, task);
    cr_assert(found != NULL, "task %u was not assigned", task);
    sched_case_done(c, worker, found);
}

Test(sched_task, the_table_of_transitions)
{
    static const char *const rows[TSI_TASK_STATES] = {
        [TSI_TASK_RELEASED] = ".wq.md.", [TSI_TASK_WAITING] = "r.q.m..",
        [TSI_TASK_QUEUED] = "rw.a...",   [TSI_TASK_ASSIGNED] = "r...mde",
        [TSI_TASK_MEMORY] = "r......",   [TSI_TASK_DURABLE] = "r......",
        [TSI_TASK_ERRED] = ".......",
    };
    for (int from = 0; from < TSI_TASK_STATES; from++) {
        for (int to = 0; to < TSI_TASK_STATES; to++) {
            const bool may = rows[from][to] != '.';
            const bool does =
                tsi_sched_task_may_move((enum tsi_task_state)from, (enum tsi_task_state)to);
            cr_assert(may == does, "%s to %s", tsi_sched_task_state_name((enum tsi_task_state)from),
                      tsi_sched_task_state_name((enum tsi_task_state)to));
        }
    }
}

Test(sched_task, a_chain_runs_link_by_link)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job =
        sched_case_submit(&c, client, sched_program_chain(1, 2, TSI_TARGET_DELIVER));

    sched_case_poll(&c);
    cr_assert(c.actions.count == 3);
    cr_assert(sched_case_action(&c, TSI_SCHED_SEND_PROGRAM, 0)->peer == w);
    cr_assert(sched_case_action(&c, TSI_SCHED_SEND_PROGRAM, 0)->job == job);
    cr_assert(c.actions.items[0].kind == TSI_SCHED_JOB_ACCEPTED);
    cr_assert(c.actions.items[0].accepted.token == 1000 + job);
    cr_assert(sched_case_assigned(&c, w) == 1);
    cr_assert(sched_case_assignment(&c, w, 0)->sequence == 1);
    cr_assert(sched_case_assignment(&c, w, 0)->location_count == 0);
    done(&c, w, 0);

    // The worker has the input of task 1 itself.
    sched_case_poll(&c);
    cr_assert(c.actions.count == 1);
    cr_assert(sched_case_assignment(&c, w, 1)->sequence == 2);
    cr_assert(sched_case_assignment(&c, w, 1)->location_count == 0);
    done(&c, w, 1);

    // Task 0 is not needed any more; task 1 waits for the client.
    sched_case_poll(&c);
    cr_assert(c.actions.count == 2);
    cr_assert(sched_case_freed(&c, w, tsi_key_of(job, 0)));
    const struct tsi_sched_action *ready = sched_case_action(&c, TSI_SCHED_TARGETS_READY, 0);
    cr_assert(ready->peer == client && ready->job == job && ready->ready.count == 1);
    cr_assert(ready->ready.items[0].task == 1 && ready->ready.items[0].peer == w);
    cr_assert(ready->ready.items[0].bytes == SCHED_CHUNK_BYTES);
    cr_assert(ready->ready.items[0].data == NULL);
    sched_case_take(&c, client, job, 1);

    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    cr_assert(sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs.tasks_run == 2);
    cr_assert(sched_case_action(&c, TSI_SCHED_DROP_JOB, 0)->peer == w);
    cr_assert(sched_case_count(&c, TSI_SCHED_JOB_DROPPED) == 1);
    sched_case_poll(&c);
    cr_assert(c.actions.count == 0);
    cr_assert(tsi_sched_deadline(c.sched) == UINT64_MAX);
    sched_case_fini(&c, 0);
}

Test(sched_task, locations_are_given_only_for_what_a_worker_lacks)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_join(2));
    sched_case_poll(&c);
    done(&c, a, 0);
    done(&c, b, 1);
    sched_case_poll(&c);
    // Equal bytes on both: the lower slot.
    cr_assert(sched_case_assigned(&c, a) == 1 && sched_case_assigned(&c, b) == 0);
    cr_assert(sched_case_assignment(&c, a, 2)->location_count == 1);
    const struct tsi_location *place = sched_case_location(&c, a, 2, tsi_key_of(job, 1));
    cr_assert(place != NULL && place->peer == b && place->data == NULL);
    done(&c, a, 2);
    sched_case_poll(&c);
    // The worker fetched chunk 1, so it is told to free it as well.
    cr_assert(sched_case_freed(&c, a, tsi_key_of(job, 0)));
    cr_assert(sched_case_freed(&c, a, tsi_key_of(job, 1)));
    cr_assert(sched_case_freed(&c, b, tsi_key_of(job, 1)));
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_task, small_outputs_go_on_inside_the_next_assignment)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_join(2));
    unsigned char data[SCHED_CHUNK_BYTES];
    memset(data, 7, sizeof data);
    sched_case_poll(&c);
    done(&c, a, 0);
    sched_case_done_with(&c, b, sched_case_assignment(&c, b, 1), data, sizeof data);
    sched_case_poll(&c);
    const struct tsi_location *place = sched_case_location(&c, a, 2, tsi_key_of(job, 1));
    cr_assert(place != NULL && place->bytes == sizeof data);
    cr_assert(memcmp(place->data, data, sizeof data) == 0);
    // The bytes are here, so the worker that made them may go.
    sched_case_leave(&c, b, false, "it died");
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, a) == 0);
    sched_case_fini(&c, 1);
}

Test(sched_task, bytes_of_the_wrong_size_are_not_believed)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    const unsigned char data[8] = {0};
    sched_case_done_with(&c, w, sched_case_assignment(&c, w, 0), data, sizeof data);
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_TARGETS_READY, 0)->ready.items[0].data == NULL);
    sched_case_fini(&c, 1);
}

Test(sched_task, targets_come_with_their_bytes)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    unsigned char data[SCHED_CHUNK_BYTES];
    memset(data, 9, sizeof data);
    sched_case_done_with(&c, w, sched_case_assignment(&c, w, 0), data, sizeof data);
    sched_case_poll(&c);
    const struct tsi_sched_action *ready = sched_case_action(&c, TSI_SCHED_TARGETS_READY, 0);
    cr_assert(ready->ready.items[0].data != NULL && ready->ready.items[0].peer == w);
    sched_case_fini(&c, 1);
}

Test(sched_task, one_chunk_through_two_inputs)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    sched_case_worker(&c, 2, 0);
    sched_case_worker(&c, 2, 0);
    sched_case_submit(&c, client, sched_program_twice(5));
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && c.run_count == 10);
    sched_case_fini(&c, 0);
}

Test(sched_task, held_chunks_are_the_clients)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_held(2));
    sched_case_poll(&c);
    const struct tsi_location *place = sched_case_location(&c, w, 2, tsi_key_of(job, 0));
    cr_assert(place != NULL && place->peer == client && place->data == NULL);
    done(&c, w, 2);
    sched_case_poll(&c);
    cr_assert(sched_case_freed(&c, w, tsi_key_of(job, 0)));
    sched_case_fini(&c, 1);
}

Test(sched_task, a_broadcast_chunk_is_freed_everywhere)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_broadcast(6));
    sched_case_play(&c);
    cr_assert(c.ended == TESS_OK && c.run_count == 7);
    cr_assert(!sched_case_holds(&c, a, tsi_key_of(job, 0)));
    cr_assert(!sched_case_holds(&c, b, tsi_key_of(job, 0)));
    sched_case_fini(&c, 0);
}

Test(sched_task, chunks_without_bytes_are_durable)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_write(1));
    sched_case_poll(&c);
    done(&c, a, 0);
    sched_case_poll(&c);
    done(&c, a, 1);
    // What was written stays written when the worker goes.
    sched_case_leave(&c, a, false, "gone");
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, b) == 1);
    const struct tsi_location *place = sched_case_location(&c, b, 2, tsi_key_of(job, 1));
    cr_assert(place != NULL && place->data != NULL && place->bytes == 0);
    done(&c, b, 2);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_OK);
    sched_case_fini(&c, 0);
}

Test(sched_task, reports_about_the_past_only_count)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(2, TSI_TARGET_RUN));
    sched_case_poll(&c);
    struct tsi_assignment task = *sched_case_assignment(&c, w, 0);
    struct tsi_assignment wrong[5] = {task, task, task, task, task};
    wrong[0].sequence = 77;
    wrong[1].job = job + 1;
    wrong[2].task = 1000;
    wrong[3].sequence = 0;
    for (int i = 0; i < 4; i++) {
        sched_case_done(&c, w, &wrong[i]);
        sched_case_end(&c, w, &wrong[i], TSI_ATTEMPT_FAILED, TESS_EIO, "?");
    }
    sched_case_done(&c, 99, &task);     // a peer that nobody knows
    sched_case_done(&c, client, &task); // a client is no worker
    cr_assert(tsi_sched_stats(c.sched).stale_reports == 10);
    cr_assert(tsi_sched_stats(c.sched).tasks_done == 0);

    done(&c, w, 0);
    sched_case_done(&c, w, &task); // once more
    cr_assert(tsi_sched_stats(c.sched).stale_reports == 11);
    cr_assert(tsi_sched_stats(c.sched).tasks_done == 1);
    sched_case_fini(&c, 1);
}

Test(sched_task, a_late_completion_is_freed_where_it_is)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t a = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_DELIVER));
    sched_case_poll(&c);
    const struct tsi_assignment task = *sched_case_assignment(&c, a, 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_end(&c, a, &task, TSI_ATTEMPT_RETRACTED, TESS_OK, NULL);
    sched_case_poll(&c);
    const bool on_a = sched_case_assigned(&c, a) == 1;
    const uint32_t worker = on_a ? a : b;
    const uint32_t other = on_a ? b : a;
    const struct tsi_assignment again = *sched_case_assignment(&c, worker, 0);
    if (!on_a) {
        sched_case_done(&c, other, &task);
        sched_case_poll(&c);
        cr_assert(sched_case_freed(&c, other, tsi_key_of(job, 0)));
    } else {
        // It will have the chunk once more, so nothing is freed under its hands.
        sched_case_done(&c, a, &task);
        sched_case_poll(&c);
        cr_assert(!sched_case_freed(&c, a, tsi_key_of(job, 0)));
    }
    sched_case_done(&c, worker, &again);
    sched_case_poll(&c);
    cr_assert(sched_case_count(&c, TSI_SCHED_TARGETS_READY) == 1);
    sched_case_fini(&c, 1);
}

Test(sched_task, the_last_news_of_targets_tell_what_the_job_took)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(3, TSI_TARGET_DELIVER));
    struct tsi_assignment given[3];
    sched_case_poll(&c);
    for (uint32_t task = 0; task < 3; task++) {
        given[task] = *sched_case_assignment(&c, w, task);
    }
    for (uint32_t task = 0; task < 3; task++) {
        sched_case_done(&c, w, &given[task]);
        sched_case_poll(&c);
        const struct tsi_sched_action *ready = sched_case_action(&c, TSI_SCHED_TARGETS_READY, 0);
        cr_assert(ready->ready.is_last == (task == 2));
        cr_assert(ready->ready.costs.tasks_run == (task == 2 ? 3 : 0));
        cr_assert((ready->ready.costs.peak_bytes_predicted >= 3 * SCHED_CHUNK_BYTES) ==
                  (task == 2));
    }
    for (uint32_t task = 0; task < 3; task++) {
        sched_case_take(&c, client, job, task);
    }
    sched_case_poll(&c);
    cr_assert(sched_case_action(&c, TSI_SCHED_JOB_ENDED, 0)->ended.costs.tasks_run == 3);
    sched_case_fini(&c, 0);
}

// A task that fails again and again for its disk, `retries` times more than once: each comes after
// a pause of its own length in milliseconds, and the message tells of them.
static void
expect_retries(int retries, const uint64_t *pauses_ms, const char *text)
{
    struct sched_case c;
    struct tsi_sched_config config = tsi_sched_config_default();
    config.retries_max = retries;
    config.suspect_ns = config.lost_ns = 0; // the worker says nothing meanwhile
    sched_case_init(&c, &config);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    for (int i = 0; i <= retries; i++) {
        sched_case_poll(&c);
        cr_assert(sched_case_assigned(&c, w) == 1);
        sched_case_end(&c, w, sched_case_assignment(&c, w, 0), TSI_ATTEMPT_FAILED, TESS_EIO,
                       "the disk is bad");
        if (i < retries) {
            sched_case_wait(&c, (pauses_ms[i] - 10) * 1000000);
            sched_case_poll(&c);
            cr_assert(sched_case_assigned(&c, w) == 0, "too early");
            sched_case_wait(&c, 20000000);
        }
    }
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EIO);
    cr_assert_str_eq(c.ended_text, text);
    sched_case_fini(&c, 0);
}

Test(sched_task, errors_of_input_and_output_are_tried_again)
{
    static const uint64_t pauses_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 6400};
    expect_retries(0, pauses_ms, "the disk is bad (tried once)");
    expect_retries(1, pauses_ms, "the disk is bad (tried 2 times, with a pause of 100 ms)");
    expect_retries(2, pauses_ms,
                   "the disk is bad (tried 3 times, with pauses that grew from "
                   "100 ms to 200 ms)");
    expect_retries(8, pauses_ms,
                   "the disk is bad (tried 9 times, with pauses that grew from "
                   "100 ms to 6400 ms)");
}

Test(sched_task, other_errors_fail_the_job_at_once)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 2, 0);
    const uint32_t job = sched_case_submit(&c, client, sched_program_leaves(8, TSI_TARGET_RUN));
    sched_case_poll(&c);
    const struct tsi_assignment other = *sched_case_assignment(&c, w, 1);
    sched_case_end(&c, w, sched_case_assignment(&c, w, 0), TSI_ATTEMPT_FAILED, TESS_EDTYPE, NULL);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EDTYPE);
    cr_assert(strstr(c.ended_text, "op0") != NULL && strstr(c.ended_text, "chunk (0,)") != NULL &&
                  strstr(c.ended_text, " (not tried again: it would fail the same way)") != NULL,
              "%s", c.ended_text);
    cr_assert(sched_case_action(&c, TSI_SCHED_DROP_JOB, 0)->job == job);
    cr_assert(tsi_sched_stats(c.sched).tasks_assigned == 0);
    sched_case_done(&c, w, &other); // it had started
    sched_case_poll(&c);
    sched_case_fini(&c, 0);
}

Test(sched_task, a_status_that_is_none_is_an_internal_error)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    sched_case_end(&c, w, sched_case_assignment(&c, w, 0), TSI_ATTEMPT_FAILED, (tess_status)4711,
                   NULL);
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EINTERNAL);
    sched_case_fini(&c, 0);
}

Test(sched_task, a_refused_task_comes_later)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    sched_case_poll(&c);
    sched_case_end(&c, w, sched_case_assignment(&c, w, 0), TSI_ATTEMPT_REFUSED, TESS_ENOMEM, NULL);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, w) == 0);
    const uint32_t b = sched_case_worker(&c, 1, 0);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, b) == 1, "another worker takes it at once");
    sched_case_end(&c, b, sched_case_assignment(&c, b, 0), TSI_ATTEMPT_REFUSED, TESS_ENOMEM, NULL);
    sched_case_wait(&c, 30000000);
    sched_case_poll(&c);
    cr_assert(sched_case_assigned(&c, w) + sched_case_assigned(&c, b) == 1);
    sched_case_fini(&c, 1);
}

Test(sched_task, refused_for_ever_it_fails)
{
    struct sched_case c;
    sched_case_init(&c, NULL);
    const uint32_t client = sched_case_client(&c);
    const uint32_t w = sched_case_worker(&c, 1, 0);
    sched_case_submit(&c, client, sched_program_leaves(1, TSI_TARGET_RUN));
    for (int i = 0; i < 100 && c.ended == TESS_RUNNING; i++) {
        sched_case_poll(&c);
        if (sched_case_assigned(&c, w) == 1) {
            sched_case_end(&c, w, sched_case_assignment(&c, w, 0), TSI_ATTEMPT_REFUSED, TESS_ENOMEM,
                           NULL);
        }
        sched_case_wait(&c, 30000000);
    }
    sched_case_poll(&c);
    cr_assert(c.ended == TESS_EMEMLIMIT, "%s", c.ended_text);
    sched_case_fini(&c, 0);
}

static bool
is_resident(const void *record)
{
    unsigned char resident = 0;
    const uintptr_t page = (uintptr_t)record / 4096 * 4096;
    cr_assert(mincore((void *)page, 1, &resident) == 0);
    return (resident & 1) != 0;
}

Test(sched_task, the_records_of_tasks_that_are_done_go_back)
{
    struct tsi_program *program = sched_program_leaves(3 * TSI_SCHED_BLOCK, TSI_TARGET_RUN);
    struct tsi_sched_job *job = tsi_sched_job_new(program);
    cr_assert(job != NULL);
    for (uint32_t task = 0; task < 2 * TSI_SCHED_BLOCK; task++) {
        tsi_sched_job_move(job, 0, task, TSI_TASK_QUEUED);
        tsi_sched_job_move(job, 0, task, TSI_TASK_ASSIGNED);
        tsi_sched_job_move(job, 0, task, TSI_TASK_MEMORY);
        job->tasks[task].link = task;
    }
    // The last one of the second block stays.
    for (uint32_t task = 0; task < 2 * TSI_SCHED_BLOCK - 1; task++) {
        cr_assert(is_resident(&job->tasks[TSI_SCHED_BLOCK - 1]) == (task < TSI_SCHED_BLOCK));
        tsi_sched_job_move(job, 0, task, TSI_TASK_RELEASED);
        tsi_sched_job_set_retired(job, task, true);
    }
    cr_assert(is_resident(&job->tasks[2 * TSI_SCHED_BLOCK - 1]));
    cr_assert(job->tasks[2 * TSI_SCHED_BLOCK - 1].link == 2 * TSI_SCHED_BLOCK - 1);
    for (uint32_t task = 0; task < 2 * TSI_SCHED_BLOCK - 1; task++) {
        const struct tsi_sched_task *record = &job->tasks[task];
        cr_assert(record->bits == 0 && record->where == 0 && record->link == 0 &&
                  record->users_left == 0 && tsi_sched_job_is_retired(job, task));
    }
    tsi_sched_job_free(job);
    tsi_program_free(program);
}
