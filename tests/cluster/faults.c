// SPDX-License-Identifier: Apache-2.0
//
// Processes that die, stop and come back while a compute runs: the result has the same bits, or the call
// tells why there is none.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/processes.h"

// Enough work that a fault falls into its middle, with chunks that travel between workers.
static tess_array *
long_program(tess_session *session)
{
    tess_array *x = tess_random_normal(session, TESS_SHAPE(3000, 3000), TESS_CHUNKS(250, 300), 1, 2);
    tess_array *y = tess_exp(tess_sin(tess_transpose(x, TESS_REVERSED)));
    tess_array *z = tess_add(tess_rechunk(y, TESS_CHUNKS(400, 500)), tess_cos(x));
    return tess_std(tess_multiply(z, z), TESS_AXIS(0), 1);
}

static uint64_t
expected(void)
{
    static uint64_t digest;
    if (digest == 0) {
        tess_session *session = tess_session_open("embedded");
        digest = test_digest(long_program(session));
        tess_session_close(session);
    }
    return digest;
}

struct run {
    tess_session *session;
    tess_array *array;
    tess_future *future;
    void *out;
    size_t bytes;
};

static struct run
start_run(const struct test_cluster *cluster)
{
    struct run run = {.session = test_session(cluster)};
    run.array = long_program(run.session);
    run.bytes = tess_array_bytes(run.array);
    run.out = malloc(run.bytes);
    test_check(run.out != NULL && run.bytes > 0, "%s", tess_array_error(run.array));
    run.future = tess_submit(&run.array, &run.out, &run.bytes, 1);
    return run;
}

static void
end_run(struct run *run, const char *what)
{
    const tess_status status = tess_future_wait(run->future, 9000);
    test_check(status == TESS_OK, "%s: %s: %s", what, tess_status_name(status),
               tess_session_error(run->session));
    test_check(test_hash(run->out, run->bytes) == expected(), "%s: the result has other bits", what);
    tess_future_free(run->future);
    tess_session_close(run->session);
    free(run->out);
}

static void
worker_is_killed(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 3, 1);
    struct run run = start_run(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[1], SIGKILL);
    test_wait(cluster.workers[1], 1000);
    cluster.workers[1] = 0;
    end_run(&run, "a worker was killed");
    test_log_wait("scheduler.log", "worker left", 1, 2000);
    test_cluster_stop(&cluster);
}

static void
worker_stops_and_goes_on(void)
{
    static const char *const flags[] = {"--worker-ttl", "700ms", NULL};
    struct test_cluster cluster = {.scheduler = 0};
    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(&cluster, flags);
    test_worker_start(&cluster, 1, NULL);
    test_worker_start(&cluster, 1, NULL);
    test_log_wait("scheduler.log", "worker joined", joined + 2, 5000);
    struct run run = start_run(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[0], SIGSTOP);
    end_run(&run, "a worker was stopped");
    test_log_wait("scheduler.log", "no sign of life", 1, 5000);
    test_signal(cluster.workers[0], SIGCONT);
    test_log_wait("scheduler.log", "worker joined", joined + 3, 5000);
    run = start_run(&cluster);
    end_run(&run, "a worker came back");
    test_cluster_stop(&cluster);
}

static void
scheduler_is_killed(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 2, 1);
    struct run run = start_run(&cluster);
    test_check(test_wait_progress(run.future, 20), "the compute ended too early");
    test_signal(cluster.scheduler, SIGKILL);
    test_wait(cluster.scheduler, 1000);
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

    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(&cluster, NULL);
    test_log_wait("scheduler.log", "worker joined", joined + 2, 8000);
    run = start_run(&cluster);
    end_run(&run, "the scheduler was started again");
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(60);
    (void)expected();
    worker_is_killed();
    worker_stops_and_goes_on();
    scheduler_is_killed();
    puts("faults: ok");
    return EXIT_SUCCESS;
}
