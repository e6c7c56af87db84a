// SPDX-License-Identifier: Apache-2.0
//
// Orderly ends: a worker that is asked to end hands over what it alone holds, a scheduler finishes
// what runs; a second request ends both at once.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/processes.h"

static tess_array *
base(tess_session *session)
{
    return tess_random_normal(session, TESS_SHAPE(1200, 1000), TESS_CHUNKS(100, 250), 0, 1);
}

static uint64_t
expected(void)
{
    tess_session *session = tess_session_open("embedded");
    const uint64_t digest = test_digest(tess_exp(base(session)));
    tess_session_close(session);
    return digest;
}

// Runs for a second or two on one thread, in 20 tasks.
static tess_array *
long_program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(4000, 2500), TESS_CHUNKS(200, 2500), 1, 2);
    for (int i = 0; i < 60; i++) {
        x = tess_exp(tess_sin(x));
    }
    return tess_mean(x, TESS_AXES_ALL);
}

static void
expect_refusal(const struct test_cluster *cluster, tess_session *session, const char *what)
{
    double out;
    tess_array *sum =
        tess_sum(tess_ones(session, TESS_SHAPE(10), TESS_CHUNKS_AUTO, TESS_F64), TESS_AXES_ALL);
    const tess_status status = tess_compute(sum, &out, sizeof out);
    (void)cluster;
    test_check(status == TESS_ECONNECT && strstr(tess_session_error(session), what) != NULL,
               "instead of a refusal: %s: %s", tess_status_name(status),
               tess_session_error(session));
}

// The workers that hold the kept chunks go one after the other; the last has them all.
static void
workers_hand_over(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 3, 1);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_exp(base(session));
    test_check(tess_persist(x) == TESS_OK, "persist: %s", tess_session_error(session));
    for (int i = 0; i < 2; i++) {
        test_signal(cluster.workers[i], SIGTERM);
        const int code = test_wait(cluster.workers[i], 5000);
        test_check(code == 0, "a worker that drains ended with %d", code);
        cluster.workers[i] = 0;
    }
    test_check(test_digest(x) == expected(), "other bits after the workers left");
    tess_session_close(session);
    test_cluster_stop(&cluster);
    // Every chunk was handed over: 48 tasks made the chunks, 48 passed them on, none ran again.
    test_log_wait("scheduler.log", "scheduler ended: tasks=96 workers_lost=0", 1, 1000);
}

// One that came after the compute, and knows nothing of it, takes over what the only worker has.
static void
who_comes_takes_over(void)
{
    struct test_cluster cluster;
    const int ended = test_log_count("scheduler.log", "scheduler ended: tasks=96 workers_lost=0");
    test_cluster_start(&cluster, 1, 1);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_exp(base(session));
    test_check(tess_persist(x) == TESS_OK, "persist: %s", tess_session_error(session));
    test_worker_start(&cluster, 1, NULL);
    test_workers_await(&cluster, 2);
    test_signal(cluster.workers[0], SIGTERM);
    const int code = test_wait(cluster.workers[0], 5000);
    test_check(code == 0, "the worker that drains ended with %d", code);
    cluster.workers[0] = 0;
    test_check(test_digest(x) == expected(), "other bits after the worker left");
    tess_session_close(session);
    test_cluster_stop(&cluster);
    test_log_wait("scheduler.log", "scheduler ended: tasks=96 workers_lost=0", ended + 1, 1000);
}

// Nobody can take the chunks of the only worker; it ends all the same.
static void
last_worker_ends(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 1, 1);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_exp(base(session));
    test_check(tess_persist(x) == TESS_OK, "persist: %s", tess_session_error(session));
    test_signal(cluster.workers[0], SIGTERM);
    const int code = test_wait(cluster.workers[0], 5000);
    test_check(code == 0, "the only worker ended with %d", code);
    cluster.workers[0] = 0;
    test_worker_start(&cluster, 1, NULL);
    test_check(test_digest(x) == expected(), "other bits after the only worker was replaced");
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// A scheduler that is asked to end finishes what runs and waits for no kept chunks.
static void
scheduler_finishes(void)
{
    double out;
    void *outs = &out;
    size_t bytes = sizeof out;
    struct test_cluster cluster;
    test_cluster_start(&cluster, 2, 1);
    tess_session *session = test_session(&cluster);
    tess_session *other = test_session(&cluster);
    test_check(tess_persist(base(session)) == TESS_OK, "persist: %s", tess_session_error(session));
    tess_array *x = long_program(session);
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    test_check(test_wait_progress(future, 5), "the compute ended too early");
    const int before = test_log_count("scheduler.log", "draining");
    test_signal(cluster.scheduler, SIGTERM);
    test_log_wait("scheduler.log", "draining", before + 1, 2000);
    expect_refusal(&cluster, other, "shutting down");
    const tess_status status = tess_future_wait(future, 40000);
    test_check(status == TESS_OK, "while the scheduler drained: %s: %s", tess_status_name(status),
               tess_session_error(session));
    const int code = test_wait(cluster.scheduler, 3000);
    test_check(code == 0, "the scheduler that drained ended with %d", code);
    expect_refusal(&cluster, other, "gone");
    tess_future_free(future);
    tess_session_close(session);
    tess_session_close(other);
    cluster.scheduler = 0;
    test_cluster_stop(&cluster);
}

static void
second_signal_stops(void)
{
    double out;
    void *outs = &out;
    size_t bytes = sizeof out;
    struct test_cluster cluster;
    test_cluster_start(&cluster, 1, 1);
    tess_session *session = test_session(&cluster);
    tess_array *x = long_program(session);
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    test_check(test_wait_progress(future, 1), "the compute ended too early");
    const int before = test_log_count("scheduler.log", "draining");
    test_signal(cluster.scheduler, SIGTERM);
    test_log_wait("scheduler.log", "draining", before + 1, 2000);
    test_signal(cluster.scheduler, SIGTERM);
    const int code = test_wait(cluster.scheduler, 2500);
    test_check(code == 0, "the scheduler that was stopped ended with %d", code);
    const tess_status status = tess_future_wait(future, 3000);
    test_check(status == TESS_ECONNECT, "after the scheduler's end: %s", tess_status_name(status));
    tess_future_free(future);
    tess_session_close(session);
    cluster.scheduler = 0;
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(60);
    workers_hand_over();
    who_comes_takes_over();
    last_worker_ends();
    scheduler_finishes();
    second_signal_stops();
    puts("drain: ok");
    return EXIT_SUCCESS;
}
