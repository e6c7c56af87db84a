// SPDX-License-Identifier: Apache-2.0
//
// A scheduler that stops and goes on, or dies and is started again: computes go on, or the call
// tells why there is no result, and the workers find the new one by themselves.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cluster_run.h"

// How many tasks a compute takes when nothing happens.
static uint64_t
tasks_undisturbed(const struct test_cluster *cluster)
{
    struct test_run run = test_run_start(cluster);
    test_check(tess_future_wait(run.future, 40000) == TESS_OK, "%s",
               tess_session_error(run.session));
    const uint64_t tasks = tess_session_report(run.session).tasks;
    test_run_end(&run, "nothing happened");
    return tasks;
}

// A scheduler that stands still for longer than its patience does not blame the workers for it:
// nobody is lost, and nothing is computed again.
static void
scheduler_stops_and_goes_on(void)
{
    static const char *const flags[] = {"--worker-ttl", "1500ms", NULL};
    struct test_cluster cluster;
    const int lost = test_log_count("scheduler.log", "no sign of life");
    test_cluster_start_with(&cluster, flags, 2, NULL);
    const uint64_t tasks = tasks_undisturbed(&cluster);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 20), "the compute ended too early");
    test_signal(cluster.scheduler, SIGSTOP);
    test_sleep_ms(2500);
    test_signal(cluster.scheduler, SIGCONT);
    test_check(tess_future_wait(run.future, 40000) == TESS_OK, "the scheduler was stopped: %s",
               tess_session_error(run.session));
    const uint64_t ran = tess_session_report(run.session).tasks;
    test_check(ran == tasks, "%llu tasks were run, and %llu when nothing happens",
               (unsigned long long)ran, (unsigned long long)tasks);
    test_run_end(&run, "the scheduler was stopped");
    test_cluster_stop(&cluster);
    test_check(test_log_count("scheduler.log", "workers_lost=0") == 1, "workers were lost");
    test_check(test_log_count("scheduler.log", "no sign of life") == lost,
               "a scheduler that was stopped lost its workers");
}

static void
scheduler_is_killed(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 2, 1);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 20), "the compute ended too early");
    test_scheduler_kill(&cluster);
    const tess_status status = tess_future_wait(run.future, 5000);
    test_check(status == TESS_ECONNECT, "the scheduler was killed: %s: %s",
               tess_status_name(status), tess_session_error(run.session));
    test_check(strstr(tess_session_error(run.session), "gone") != NULL, "the message is “%s”",
               tess_session_error(run.session));
    tess_future_free(run.future);
    const uint64_t start = test_now_ms();
    test_check(tess_compute(run.array, run.out, run.bytes) == TESS_ECONNECT,
               "a compute after the scheduler's end does not fail");
    tess_session_close(run.session);
    free(run.out);
    test_check(test_now_ms() - start < 2000, "closing a session of a dead scheduler takes long");

    test_scheduler_start(&cluster, NULL);
    test_workers_await(&cluster, 2);
    run = test_run_start(&cluster);
    test_run_end(&run, "the scheduler was started again");
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(60);
    scheduler_stops_and_goes_on();
    scheduler_is_killed();
    puts("ok");
    return EXIT_SUCCESS;
}
