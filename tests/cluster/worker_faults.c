// SPDX-License-Identifier: Apache-2.0
//
// Workers that die, stop and come back while a compute runs: the result has the same bits. And
// tasks that fail on them: the message tells what was tried.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

// The killed worker has chunks of the result that are not fetched yet. Elements are turned over an
// even number of times, so that the client hears of progress before all are there. On a machine
// that is fast, or busy with something else, the compute may be over before it is looked at; then
// there is another.
static void
worker_is_killed_in_gather(void)
{
    enum { COUNT = 20000000, NEGATIONS = 50, TRIES = 20 };
    static const char *const flags[] = {"--memory-limit", "60MB", NULL};
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 3, flags);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_arange(session, 0, COUNT, 1, TESS_CHUNKS(200000), TESS_F64);
    for (int i = 0; i < NEGATIONS; i++) {
        x = tess_negative(x);
    }
    size_t bytes = tess_array_bytes(x);
    double *out = malloc(bytes);
    void *outs = out;
    test_check(out != NULL, "out of memory");
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    int tries = 1;
    for (; tries < TRIES && !test_wait_progress(future, 5); tries++) {
        tess_future_free(future);
        future = tess_submit(&x, &outs, &bytes, 1);
    }
    test_check(tries < TRIES, "each compute ended too early");
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

// What the client hears of a task that fails.
static void
expect_failure(tess_session *session, tess_array *x, tess_status status, const char *part,
               const char *tries)
{
    double out[4];
    const tess_status found = tess_compute(x, out, sizeof out);
    const char *text = tess_session_error(session);
    test_check(found == status && strstr(text, part) != NULL && strstr(text, tries) != NULL,
               "%s: “%s” has no “%s” and “%s”", tess_status_name(found), text, part, tries);
}

// An error of the disk may pass and is tried again; one that is none of the disk's is not. Both are
// told.
static void
failures_tell_of_retries(void)
{
    char path[TEST_PATH_MAX];
    char allowed[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s", test_place("four.npy"));
    snprintf(allowed, sizeof allowed, "%s", test_place("allowed"));
    test_check(mkdir(allowed, 0700) == 0, "no directory");
    const char *const flags[] = {"--allow-path", allowed, NULL};
    struct test_cluster cluster;
    tess_session *embedded = tess_session_open("embedded");
    tess_array *four = tess_ones(embedded, TESS_SHAPE(4), TESS_CHUNKS(4), TESS_F64);
    test_check(tess_save_npy(four, path) == TESS_OK, "%s", tess_session_error(embedded));
    tess_session_close(embedded);

    test_cluster_start_with(&cluster, NULL, 1, NULL);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_negative(tess_load_npy(session, path, TESS_CHUNKS(4)));
    test_check(unlink(path) == 0, "no file");
    expect_failure(session, x, TESS_EIO, "four.npy",
                   "(tried 3 times, with pauses that grew from 100 ms to 200 ms)");
    tess_session_close(session);
    test_cluster_stop(&cluster);

    embedded = tess_session_open("embedded");
    four = tess_ones(embedded, TESS_SHAPE(4), TESS_CHUNKS(4), TESS_F64);
    test_check(tess_save_npy(four, path) == TESS_OK, "%s", tess_session_error(embedded));
    tess_session_close(embedded);
    test_cluster_start_with(&cluster, NULL, 1, flags);
    session = test_session(&cluster);
    x = tess_negative(tess_load_npy(session, path, TESS_CHUNKS(4)));
    expect_failure(session, x, TESS_EACCESS, "four.npy",
                   "(not tried again: it would fail the same way)");
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
    failures_tell_of_retries();
    puts("ok");
    return EXIT_SUCCESS;
}
