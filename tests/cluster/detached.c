// SPDX-License-Identifier: Apache-2.0
//
// Computes that go on when the one that started them is gone: others attach to them by name, also
// after their scheduler has died; what nobody comes for is given up; and what was not detached goes
// with its client, and leaves no memory behind.
//
// With arguments the program is a client that detaches a compute, tells its name, and waits for its
// end.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/processes.h"

enum { COLUMNS = 1100 };

static char journal[TEST_PATH_MAX];

// Takes a second or two on two workers.
static tess_array *
program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(4000, COLUMNS), TESS_CHUNKS(200, 300), 1, 2);
    for (int i = 0; i < 6; i++) {
        x = tess_exp(tess_sin(x));
    }
    return tess_add(tess_rechunk(x, TESS_CHUNKS(170, 130)), tess_mean(x, TESS_AXIS(0)));
}

// Never ends in the time of a test.
static tess_array *
endless_program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(1000000, 2500), TESS_CHUNKS(200, 2500), 1, 2);
    return tess_mean(tess_exp(tess_sin(x)), TESS_AXES_ALL);
}

// 200 MB.
static tess_array *
large_array(tess_session *session)
{
    return tess_full(session, TESS_SHAPE(50, 1 << 20), TESS_CHUNKS(1, 1 << 19), TESS_F32, 3);
}

static uint64_t
expected(void)
{
    tess_session *embedded = tess_session_open("embedded");
    const uint64_t digest = test_digest(program(embedded));
    tess_session_close(embedded);
    return digest;
}

static int
run_client(const char *file, const char *what)
{
    char id[TESS_DETACHED_ID_BYTES];
    tess_session *session = tess_session_open(file);
    const bool holds = strcmp(what, "hold") == 0;
    tess_array *x = holds ? large_array(session) : program(session);
    if ((holds ? tess_persist(x) : tess_detach(x, id)) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        return EXIT_FAILURE;
    }
    printf("id %s\n", holds ? "-" : id);
    fflush(stdout);
    if (strcmp(what, "leave") == 0) {
        tess_session_close(session);
        return EXIT_SUCCESS;
    }
    pause();
    return EXIT_FAILURE;
}

static pid_t
start_client(const struct test_cluster *cluster, const char *log, const char *what)
{
    const char *const argv[] = {"/proc/self/exe", cluster->file, what, NULL};
    const pid_t client = test_start(log, argv);
    test_log_wait(log, "id ", 1, 10000);
    return client;
}

// The name that a client has told.
static void
read_id(const char *log, char id[TESS_DETACHED_ID_BYTES])
{
    char format[16];
    FILE *file = fopen(test_place(log), "r");
    snprintf(format, sizeof format, "id %%%ds", TESS_DETACHED_ID_BYTES - 1);
    test_check(file != NULL && fscanf(file, format, id) == 1, "%s: no name", log);
    fclose(file);
}

static void
kill_client(pid_t client)
{
    test_signal(client, SIGKILL);
    test_wait(client, 2000);
}

static void
expect_failed(tess_array *x, tess_status status, const char *text)
{
    test_check(tess_array_status(x) == status, "the array is %s: %s",
               tess_status_name(tess_array_status(x)), tess_array_error(x));
    test_check(strstr(tess_array_error(x), text) != NULL, "“%s” has no “%s”", tess_array_error(x),
               text);
}

static void
expect_result(tess_array *x, uint64_t digest, const char *what)
{
    test_check(tess_array_status(x) == TESS_OK, "%s: %s", what, tess_array_error(x));
    const tess_shape shape = tess_array_shape(x);
    test_check(shape.ndim == 2 && shape.size[0] == 4000 && shape.size[1] == COLUMNS, "%s: shape",
               what);
    test_check(tess_array_dtype(x) == TESS_F64, "%s: dtype", what);
    test_check(test_digest(x) == digest, "%s: other bits", what);
}

// One client ends in order, one by a signal in the middle of the compute.
static void
clients_go_and_others_come(uint64_t digest)
{
    char id[2][TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 2, NULL);
    const pid_t leaves = start_client(&cluster, "leave.log", "leave");
    test_check(test_wait(leaves, 5000) == 0, "the client failed");
    read_id("leave.log", id[0]);
    const pid_t dies = start_client(&cluster, "die.log", "die");
    kill_client(dies);
    read_id("die.log", id[1]);
    test_check(strcmp(id[0], id[1]) != 0, "two computes have one name");

    tess_session *session = test_session(&cluster);
    tess_session *other = test_session(&cluster);
    for (int i = 0; i < 2; i++) {
        tess_array *x = tess_attach(session, id[i]);
        expect_result(x, digest, i == 0 ? "its client left" : "its client was killed");
        test_check(tess_attach(session, id[i]) == x, "attached twice, it is two arrays");
        expect_failed(tess_attach(other, id[i]), TESS_EACCESS, "another session");
    }

    // A session that ends leaves the result to others; one that gives it back does not.
    tess_session_close(session);
    test_log_wait("scheduler.log", "client left", 3, 4000);
    tess_array *x = tess_attach(other, id[0]);
    double sums[COLUMNS];
    tess_array *sum = tess_sum(x, TESS_AXIS(0));
    test_check(tess_compute(sum, sums, sizeof sums) == TESS_OK, "%s", tess_session_error(other));
    test_check(tess_session_report(other).tasks < 600, "the result was computed again");
    tess_release(x);
    test_check(tess_compute(sum, sums, sizeof sums) == TESS_EINVAL, "it was given back");
    test_check(strstr(tess_session_error(other), "tess_release") != NULL, "%s",
               tess_session_error(other));
    expect_failed(tess_attach(other, id[0]), TESS_EINVAL, "given back");
    expect_result(tess_attach(other, id[1]), digest, "the second session that attaches");
    tess_release(tess_attach(other, id[1]));

    expect_failed(tess_attach(other, "0123456789abcdef"), TESS_EINVAL, "no such compute");
    static const char *const bad[] = {
        "", "x", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcde\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_failed(tess_attach(other, bad[i]), TESS_EINVAL, "no name of a detached compute");
    }
    test_check(tess_array_status(tess_attach(other, NULL)) == TESS_EINVAL, "NULL");
    tess_session_close(other);
    test_cluster_stop(&cluster);
}

// Who attached to a compute that still runs gives it back: it ends, and workers are free.
static void
attached_is_cancelled(void)
{
    char id[TESS_DETACHED_ID_BYTES];
    double out;
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 2, NULL);
    tess_session *first = test_session(&cluster);
    tess_session *second = test_session(&cluster);
    test_check(tess_detach(endless_program(first), id) == TESS_OK, "%s", tess_session_error(first));
    tess_session_close(first);
    tess_array *x = tess_attach(second, id);
    test_check(tess_array_status(x) == TESS_OK && tess_array_shape(x).ndim == 0, "%s",
               tess_array_error(x));
    void *outs = &out;
    size_t bytes = sizeof out;
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    test_check(tess_future_wait(future, 200) == TESS_RUNNING, "it cannot be there yet");
    tess_future_free(future);
    tess_release(x);
    const uint64_t start_ms = test_now_ms();
    tess_array *small =
        tess_sum(tess_ones(second, TESS_SHAPE(1000), TESS_CHUNKS(100), TESS_F64), TESS_AXES_ALL);
    test_check(tess_compute(small, &out, sizeof out) == TESS_OK && out == 1000, "%s",
               tess_session_error(second));
    test_check(test_now_ms() - start_ms < 3000, "the workers are not free");
    expect_failed(tess_attach(second, id), TESS_ECANCELLED, "released before");
    tess_session_close(second);
    test_cluster_stop(&cluster);
}

// What is given back while a compute still reads it is there, but nobody can have it any more.
static void
given_back_while_it_is_read(void)
{
    char id[TESS_DETACHED_ID_BYTES];
    double out;
    void *outs = &out;
    size_t bytes = sizeof out;
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 2, NULL);
    tess_session *first = test_session(&cluster);
    tess_session *second = test_session(&cluster);
    tess_array *ones = tess_ones(first, TESS_SHAPE(1000), TESS_CHUNKS(100), TESS_F64);
    test_check(tess_detach(ones, id) == TESS_OK, "%s", tess_session_error(first));
    tess_array *x = tess_attach(first, id);
    test_check(tess_array_status(x) == TESS_OK, "%s", tess_array_error(x));
    tess_array *reader = tess_add(endless_program(first), tess_sum(x, TESS_AXES_ALL));
    tess_future *future = tess_submit(&reader, &outs, &bytes, 1);
    test_check(tess_future_wait(future, 200) == TESS_RUNNING, "it cannot be there yet");
    tess_release(x);
    tess_array *other = tess_attach(second, id);
    while (tess_array_status(other) == TESS_EACCESS) { // the scheduler has not heard of it yet
        test_sleep_ms(10);
        other = tess_attach(second, id);
    }
    expect_failed(other, TESS_EINVAL, "given back");
    test_check(tess_future_wait(future, 0) == TESS_RUNNING, "who reads it goes on");
    tess_future_cancel(future);
    tess_future_free(future);
    tess_session_close(first);
    tess_session_close(second);
    test_cluster_stop(&cluster);
}

// What cannot be detached, and a compute that fails when nobody is there.
static void
failures_are_told(void)
{
    char id[TESS_DETACHED_ID_BYTES] = "x";
    const double own[3] = {1, 2, 3};
    double out[3];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, NULL, 0, NULL);
    tess_session *embedded = tess_session_open("embedded");
    tess_array *ones = tess_ones(embedded, TESS_SHAPE(3), TESS_CHUNKS(1), TESS_F64);
    test_check(tess_detach(ones, id) == TESS_EINVAL && id[0] == '\0' &&
                   strstr(tess_session_error(embedded), "embedded") != NULL,
               "%s", tess_session_error(embedded));
    expect_failed(tess_attach(embedded, "0123456789abcdef"), TESS_EINVAL, "embedded");
    test_check(tess_detach(NULL, id) == TESS_EINVAL && tess_detach(ones, NULL) == TESS_EINVAL,
               "NULL");
    const char *path = test_place("three.npy");
    test_check(tess_save_npy(ones, path) == TESS_OK, "%s", tess_session_error(embedded));
    tess_session_close(embedded);

    tess_session *session = test_session(&cluster);
    tess_array *held =
        tess_from_memory(session, own, TESS_F64, TESS_SHAPE(3), NULL, TESS_CHUNKS(2));
    test_check(tess_detach(tess_negative(held), id) == TESS_EINVAL &&
                   strstr(tess_session_error(session), "memory of this process") != NULL,
               "%s", tess_session_error(session));
    tess_array *file = tess_negative(tess_load_npy(session, path, TESS_CHUNKS(2)));
    test_check(unlink(path) == 0, "no file");
    test_check(tess_detach(file, id) == TESS_OK, "%s", tess_session_error(session));
    tess_array *x = tess_attach(session, id);
    test_check(tess_array_status(x) == TESS_OK, "nobody has tried it: %s", tess_array_error(x));
    test_worker_start(&cluster, 1, NULL);
    test_log_wait("scheduler.log", "status=TESS_EIO", 1, 8000);
    test_check(tess_compute(x, out, sizeof out) == TESS_EIO &&
                   strstr(tess_session_error(session), "three.npy") != NULL,
               "%s", tess_session_error(session));
    tess_session_close(session);
    session = test_session(&cluster);
    expect_failed(tess_attach(session, id), TESS_EIO, "three.npy");

    tess_array *kept = tess_ones(session, TESS_SHAPE(3), TESS_CHUNKS(1), TESS_F64);
    test_check(tess_persist(kept) == TESS_OK, "%s", tess_session_error(session));
    test_check(tess_detach(tess_negative(kept), id) == TESS_EINVAL &&
                   strstr(tess_session_error(session), "kept for this session") != NULL,
               "%s", tess_session_error(session));
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

static void
nobody_comes_in_time(void)
{
    static const char *const flags[] = {"--result-lease", "400ms", "--result-limit", "1MiB", NULL};
    char id[3][TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    const int ended = test_log_count("scheduler.log", "job ended");
    test_cluster_start_with(&cluster, flags, 1, NULL);
    tess_session *session = test_session(&cluster);
    for (int i = 0; i < 2; i++) {
        tess_array *x = tess_full(session, TESS_SHAPE(80000), TESS_CHUNKS(20000), TESS_F64, i);
        test_check(tess_detach(x, id[i]) == TESS_OK, "%s", tess_session_error(session));
    }
    tess_array *large = tess_ones(session, TESS_SHAPE(200000), TESS_CHUNKS(20000), TESS_F64);
    test_check(tess_detach(large, id[2]) == TESS_ELIMIT && id[2][0] == '\0' &&
                   strstr(tess_session_error(session), "--result-limit") != NULL,
               "%s", tess_session_error(session));
    test_log_wait("scheduler.log", "job ended", ended + 2, 5000);
    tess_session_close(session);

    // Of the two only one may stay, and that one not for long.
    session = test_session(&cluster);
    expect_failed(tess_attach(session, id[0]), TESS_ELIMIT, "--result-limit");
    test_sleep_ms(900);
    expect_failed(tess_attach(session, id[1]), TESS_ETIMEOUT, "--result-lease");
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// The scheduler dies while nobody is there, and again when somebody has attached.
static void
scheduler_dies(uint64_t digest)
{
    const char *const flags[] = {"--journal", journal, NULL};
    char id[TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, NULL);
    kill_client(start_client(&cluster, "journal.log", "die"));
    read_id("journal.log", id);
    for (int round = 0; round < 2; round++) {
        test_scheduler_kill(&cluster);
        test_scheduler_start(&cluster, flags);
    }
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_attach(session, id);
    expect_result(x, digest, "the scheduler was killed");
    const int gone_on = test_log_count("scheduler.log", "jobs go on");
    test_scheduler_kill(&cluster);
    test_scheduler_start(&cluster, flags);
    test_log_wait("scheduler.log", "jobs go on", gone_on + 1, 9000);
    expect_result(x, digest, "the scheduler was killed again");
    tess_release(x);
    expect_failed(tess_attach(session, id), TESS_EINVAL, "given back");
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

static long
worker_memory_kb(const struct test_cluster *cluster)
{
    long sum = 0;
    for (int i = 0; i < cluster->worker_count; i++) {
        sum += test_memory_kb(cluster->workers[i], "VmRSS");
    }
    return sum;
}

// What is not detached goes with its client, after the lease, and so does its memory, of which a
// worker keeps an eighth of its limit for what comes next. More clients come and are killed than
// would fit together.
static void
others_leave_nothing(void)
{
    const char *const flags[] = {"--journal", journal, "--client-lease", "1s", NULL};
    const char *const limits[] = {"--memory-limit", "240MB", "--spill-limit", "0", NULL};
    const long spare_kb = 2 * 240000 / 8 + 40000;
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, limits);
    const long before = worker_memory_kb(&cluster);
    for (int round = 0; round < 4; round++) {
        char log[32];
        snprintf(log, sizeof log, "hold-%d.log", round);
        const pid_t client = start_client(&cluster, log, "hold");
        const long held = worker_memory_kb(&cluster);
        test_check(held > before + 190000, "%ld kB are held, %ld before", held, before);
        kill_client(client);
        const uint64_t start_ms = test_now_ms();
        long after = held;
        while (after > before + spare_kb && test_now_ms() - start_ms < 8000) {
            test_sleep_ms(50);
            after = worker_memory_kb(&cluster);
        }
        test_check(after <= before + spare_kb || test_is_sanitized(),
                   "%ld kB are still there, %ld before", after, before);
        test_check(test_now_ms() - start_ms >= 800, "the lease was not waited for");
    }
    test_cluster_stop(&cluster);
}

int
main(int argc, char **argv)
{
    if (argc == 3) {
        return run_client(argv[1], argv[2]);
    }
    test_place_open(150);
    snprintf(journal, sizeof journal, "%s", test_place("tessera.journal"));
    const uint64_t digest = expected();
    clients_go_and_others_come(digest);
    attached_is_cancelled();
    given_back_while_it_is_read();
    failures_are_told();
    nobody_comes_in_time();
    scheduler_dies(digest);
    others_leave_nothing();
    puts("detached: ok");
    return EXIT_SUCCESS;
}
