// SPDX-License-Identifier: Apache-2.0
//
// Workers that run out of memory: an array whose chunks do not fit their limits fails with a
// message, and so does one that fits the limit of a worker whose process may not have that much.
// Nobody crashes, and what fits is computed afterwards. Every compute tells what each worker took.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/processes.h"

// Chunks of `megabytes` each, `count` of them kept at once.
static void
expect_no_room(tess_session *session, int count, int megabytes, const char *what)
{
    const int64_t columns = (int64_t)megabytes * 125000;
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(count, columns), TESS_CHUNKS(1, columns), 0, 1);
    const tess_status status = tess_persist(x);
    test_check(status == TESS_ENOMEM || status == TESS_EMEMLIMIT || status == TESS_ELOST,
               "%s: %s: %s", what, tess_status_name(status), tess_session_error(session));
    printf("%s: %s: %s\n", what, tess_status_name(status), tess_session_error(session));
}

static void
expect_sum(tess_session *session)
{
    double out;
    tess_array *x = tess_ones(session, TESS_SHAPE(1000, 1000), TESS_CHUNKS(100, 100), TESS_F64);
    test_check(tess_compute(tess_sum(x, TESS_AXES_ALL), &out, sizeof out) == TESS_OK && out == 1e6,
               "afterwards: %s", tess_session_error(session));
}

static void
limit_of_the_worker(void)
{
    static const char *const flags[] = {"--memory-limit", "150MB", NULL};
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 1, flags);
    tess_session *session = test_session(&cluster);
    expect_no_room(session, 4, 160, "a limit of 150 MB");
    test_check(strstr(tess_session_error(session), "the largest worker may use") != NULL,
               "the message is “%s”", tess_session_error(session));
    test_check(strstr(tess_session_error(session), "chunks of shape (1, 10000000) would fit") !=
                   NULL,
               "the message is “%s”", tess_session_error(session));
    expect_sum(session);
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// What is too little for a worker is refused before it joins, with what it takes.
static void
limit_too_small(void)
{
    static const char *const flags[] = {"--memory-limit", "6MB", NULL};
    const char *const argv[] = {
        test_program("tessera-worker"), "--no-nanny", "--nthreads", "1", flags[0], flags[1], NULL};
    const pid_t worker = test_start("little.log", argv);
    const int code = test_wait(worker, 5000);
    test_check(code == 1, "a worker of 6 MB ended with %d", code);
    test_check(test_log_count("little.log", "is too little: a worker with 1 threads needs") == 1,
               "it does not tell why");
}

// The worker believes that it has 1 GB, but later its process gets less address space.
static void
limit_of_the_process(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    const struct rlimit limit = {420000L * 1024, 420000L * 1024};
    test_scheduler_start(&cluster, NULL);
    const char *const argv[] = {test_program("tessera-worker"),
                                "--no-nanny",
                                "--scheduler-file",
                                cluster.file,
                                "--nthreads",
                                "1",
                                "--memory-limit",
                                "1GB",
                                "--spill-limit",
                                "0",
                                NULL};
    // What is shared would be mapped beforehand.
    setenv("TESSERA_SHARE_MEMORY", "0", 1);
    const pid_t worker = test_start("small.log", argv);
    unsetenv("TESSERA_SHARE_MEMORY");
    test_log_wait("small.log", "joined", 1, 5000);
    test_check(prlimit(worker, RLIMIT_AS, &limit, NULL) == 0, "no limit can be set");
    tess_session *session = test_session(&cluster);
    expect_no_room(session, 60, 8, "an address space of 420 MB");
    // It may have ended in order, because it could not go on; then another takes its place.
    if (test_is_running(worker)) {
        expect_sum(session);
        test_signal(worker, SIGTERM);
        const int code = test_wait(worker, 5000);
        test_check(code == 0 || code == 1, "the worker ended with %d", code);
    } else {
        const int code = test_wait(worker, 1000);
        test_check(code == 1, "the worker ended with %d", code);
        test_worker_start(&cluster, 1, NULL);
        expect_sum(session);
    }
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// The lines of a report are within what was foreseen, and the two maxima are theirs.
static void
check_lines(const tess_session *session, int workers, const char *const *names)
{
    const tess_report report = tess_session_report(session);
    uint64_t predicted = 0;
    uint64_t measured = 0;
    test_check(report.workers == workers, "%d lines", report.workers);
    for (int i = 0; i < workers; i++) {
        const tess_worker_report line = tess_session_worker_report(session, i);
        bool is_known = false;
        for (int k = 0; k < workers; k++) {
            is_known = is_known || strcmp(line.name, names[k]) == 0;
        }
        test_check(is_known, "a line of “%s”", line.name);
        test_check(line.peak_bytes_measured > 0 &&
                       line.peak_bytes_measured <= line.peak_bytes_predicted,
                   "%s took %llu bytes, predicted were %llu", line.name,
                   (unsigned long long)line.peak_bytes_measured,
                   (unsigned long long)line.peak_bytes_predicted);
        predicted = line.peak_bytes_predicted > predicted ? line.peak_bytes_predicted : predicted;
        measured = line.peak_bytes_measured > measured ? line.peak_bytes_measured : measured;
    }
    test_check(report.peak_bytes_predicted == predicted && report.peak_bytes_measured == measured,
               "the maxima are those of nobody");
    const int beyond[] = {-1, workers};
    for (int i = 0; i < 2; i++) {
        const tess_worker_report line = tess_session_worker_report(session, beyond[i]);
        test_check(line.name[0] == '\0' && line.peak_bytes_predicted == 0, "a line beyond");
    }
    test_check(tess_session_worker_report(NULL, 0).name[0] == '\0', "NULL");
}

static void
run_lines(tess_session *session, int workers, const char *const *names)
{
    enum { COLUMNS = 900 };
    static double sums[COLUMNS];
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(1600, COLUMNS), TESS_CHUNKS(100, 90), 0, 1);
    tess_array *sum = tess_sum(tess_exp(tess_rechunk(x, TESS_CHUNKS(130, 70))), TESS_AXIS(0));
    test_check(tess_session_report(session).workers == 0, "lines of nothing");
    for (int round = 0; round < 2; round++) {
        // Once it ends with its last target, once with the scheduler's word.
        const tess_status status =
            round == 0 ? tess_compute(sum, sums, sizeof sums) : tess_persist(sum);
        test_check(status == TESS_OK, "%s", tess_session_error(session));
        check_lines(session, workers, names);
    }
}

static void
each_worker_has_its_line(void)
{
    static const char *const names[] = {"w0", "w1", "w2"};
    static const char *const embedded[] = {"embedded"};
    struct test_cluster cluster = {.scheduler = 0};
    test_cluster_start(&cluster, 3, 1);
    tess_session *session = test_session(&cluster);
    run_lines(session, 3, names);
    tess_session_close(session);
    test_cluster_stop(&cluster);
    session = tess_session_open("embedded");
    run_lines(session, 1, embedded);
    tess_session_close(session);
}

int
main(void)
{
    test_place_open(60);
    each_worker_has_its_line();
    limit_of_the_worker();
    // A sanitizer needs more memory, and more addresses, than any limit here allows.
    if (!test_is_sanitized()) {
        limit_too_small();
        limit_of_the_process();
    }
    puts("memory: ok");
    return EXIT_SUCCESS;
}
