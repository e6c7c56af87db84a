// SPDX-License-Identifier: Apache-2.0
//
// Workers that die, stop and come back while a compute runs: the result has the same bits.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cluster_run.h"

static void
worker_is_killed(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 3, 1);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_worker_kill(&cluster, 1);
    test_run_end(&run, "a worker was killed");
    test_log_wait("scheduler.log", "worker left", 1, 2000);
    test_cluster_stop(&cluster);
}

static void
worker_stops_and_goes_on(void)
{
    static const char *const flags[] = {"--worker-ttl", "700ms", NULL};
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, NULL);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[0], SIGSTOP);
    test_run_end(&run, "a worker was stopped");
    test_log_wait("scheduler.log", "no sign of life", 1, 5000);
    test_signal(cluster.workers[0], SIGCONT);
    test_workers_await(&cluster, 3); // two, and one again
    run = test_run_start(&cluster);
    test_run_end(&run, "a worker came back");
    test_cluster_stop(&cluster);
}

// The killed worker has chunks of the result that are not fetched yet.
static void
worker_is_killed_in_gather(void)
{
    enum { COUNT = 20000000 };
    static const char *const flags[] = {"--memory-limit", "60MB", NULL};
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 3, flags);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_arange(session, 0, COUNT, 1, TESS_CHUNKS(200000), TESS_F64);
    size_t bytes = tess_array_bytes(x);
    double *out = malloc(bytes);
    void *outs = out;
    test_check(out != NULL, "out of memory");
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    test_check(test_wait_progress(future, 20), "the compute ended too early");
    test_worker_kill(&cluster, 2);
    const tess_status status = tess_future_wait(future, 9000);
    test_check(status == TESS_OK, "while gathering: %s", tess_session_error(session));
    for (int64_t i = 0; i < COUNT; i++) {
        test_check(out[i] == (double)i, "element %lld is %g", (long long)i, out[i]);
    }
    tess_future_free(future);
    free(out);
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(60);
    worker_is_killed();
    worker_stops_and_goes_on();
    worker_is_killed_in_gather();
    puts("ok");
    return EXIT_SUCCESS;
}
