// SPDX-License-Identifier: Apache-2.0
//
// Clients: many at once, one that is killed, one that cancels; results that are larger than what
// may be under way, arrays in the client's memory.
//
// With an argument the program is one of those clients.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/processes.h"

enum { CLIENTS = 8 };

static tess_array *
program(tess_session *session, int number)
{
    tess_array *x =
        tess_random_uniform(session, TESS_SHAPE(700, 500), TESS_CHUNKS(100, 90), 0, 1 + number);
    return tess_matmul(tess_transpose(x, TESS_REVERSED), tess_sqrt(x));
}

// Tasks of about 20 ms, for many seconds.
static tess_array *
endless_program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(100000, 2500), TESS_CHUNKS(200, 2500), 1, 2);
    for (int i = 0; i < 3; i++) {
        x = tess_exp(tess_sin(x));
    }
    return tess_mean(x, TESS_AXES_ALL);
}

// How long a small compute takes; ends the test if it does not come.
static void
expect_free_workers(tess_session *session, const char *what)
{
    double out;
    const uint64_t start = test_now_ms();
    tess_array *sum = tess_sum(
        tess_ones(session, TESS_SHAPE(1000, 1000), TESS_CHUNKS(100, 100), TESS_F64), TESS_AXES_ALL);
    test_check(tess_compute(sum, &out, sizeof out) == TESS_OK && out == 1e6, "%s: %s", what,
               tess_session_error(session));
    test_check(test_now_ms() - start < 3000, "%s: the workers are not free", what);
}

static int
run_client(const char *file, const char *what)
{
    double out;
    tess_session *session = tess_session_open(file);
    if (strcmp(what, "endless") == 0) {
        return tess_compute(endless_program(session), &out, sizeof out) == TESS_OK ? 0 : 1;
    }
    const int number = atoi(what);
    tess_session *embedded = tess_session_open("embedded");
    for (int i = 0; i < 5; i++) {
        if (test_digest(program(session, number)) != test_digest(program(embedded, number))) {
            return 1;
        }
    }
    tess_session_close(embedded);
    tess_session_close(session);
    return 0;
}

static pid_t
start_client(const struct test_cluster *cluster, const char *log, const char *what)
{
    const char *const argv[] = {"/proc/self/exe", cluster->file, what, NULL};
    return test_start(log, argv);
}

static void
many_at_once(const struct test_cluster *cluster)
{
    pid_t clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        char log[32];
        char number[8];
        snprintf(log, sizeof log, "client-%d.log", i);
        snprintf(number, sizeof number, "%d", i);
        clients[i] = start_client(cluster, log, number);
    }
    for (int i = 0; i < CLIENTS; i++) {
        const int code = test_wait(clients[i], 20000);
        test_check(code == 0, "client %d ended with %d", i, code);
    }
}

static void
one_is_killed(const struct test_cluster *cluster)
{
    tess_session *session = test_session(cluster);
    const int clients = test_log_count("scheduler.log", "client joined");
    const int jobs = test_log_count("scheduler.log", "job dropped");
    const pid_t client = start_client(cluster, "endless.log", "endless");
    test_log_wait("scheduler.log", "client joined", clients + 1, 5000);
    test_sleep_ms(500);
    test_signal(client, SIGKILL);
    test_wait(client, 1000);
    test_log_wait("scheduler.log", "job dropped", jobs + 1, 3000);
    expect_free_workers(session, "after a client was killed");
    tess_session_close(session);
}

static void
one_cancels(const struct test_cluster *cluster)
{
    double out;
    void *outs = &out;
    size_t bytes = sizeof out;
    tess_session *session = test_session(cluster);
    tess_array *x = endless_program(session);
    tess_future *future = tess_submit(&x, &outs, &bytes, 1);
    test_sleep_ms(300);
    tess_future_cancel(future);
    const tess_status status = tess_future_wait(future, 3000);
    test_check(status == TESS_ECANCELLED, "a cancelled compute is %s", tess_status_name(status));
    tess_future_free(future);
    expect_free_workers(session, "after a compute was cancelled");

    // Freeing the future and closing the session stop a compute too.
    future = tess_submit(&x, &outs, &bytes, 1);
    tess_future_free(future);
    future = tess_submit(&x, &outs, &bytes, 1);
    tess_future_free(future);
    expect_free_workers(session, "after a future was freed");
    tess_session_close(session);
}

// More than may be under way at once, from workers that may hold only a part of it.
static void
large_result(const struct test_cluster *cluster)
{
    enum { COUNT = 45000000 };
    tess_session *session = test_session(cluster);
    tess_array *x = tess_arange(session, 0, COUNT, 1, TESS_CHUNKS(500000), TESS_F64);
    double *out = malloc(sizeof(double) * COUNT);
    test_check(out != NULL, "out of memory");
    const tess_status status = tess_compute(x, out, sizeof(double) * COUNT);
    test_check(status == TESS_OK, "%s: %s", tess_status_name(status), tess_session_error(session));
    for (int64_t i = 0; i < COUNT; i++) {
        test_check(out[i] == (double)i, "element %lld is %g", (long long)i, out[i]);
    }
    free(out);
    tess_session_close(session);
    for (int i = 0; i < cluster->worker_count; i++) {
        const long peak = test_memory_kb(cluster->workers[i], "VmHWM");
        test_check(test_is_sanitized() || peak < 250000,
                   "worker %d took %ld kB for a part of 100 MB", i, peak);
    }
}

// An array of the client's whose rows are apart and whose columns run backwards, used by several
// computes; the memory goes before the session does.
static void
own_memory(const struct test_cluster *cluster)
{
    enum { ROWS = 1000, COLUMNS = 700, WIDE = 1600 };
    tess_session *session = test_session(cluster);
    int32_t *memory = malloc(sizeof(int32_t) * ROWS * WIDE);
    int64_t *rows = malloc(sizeof(int64_t) * ROWS);
    test_check(memory != NULL && rows != NULL, "out of memory");
    for (int i = 0; i < ROWS * WIDE; i++) {
        memory[i] = i % 1013;
    }
    const int64_t strides[] = {4 * WIDE, -8};
    const int32_t *first = memory + 2 * COLUMNS;
    tess_array *x = tess_from_memory(session, first, TESS_I32, TESS_SHAPE(ROWS, COLUMNS), strides,
                                     TESS_CHUNKS(130, 90));
    tess_array *plain = tess_from_memory(session, memory, TESS_I32, TESS_SHAPE(ROWS, WIDE), NULL,
                                         TESS_CHUNKS(500, TESS_WHOLE_AXIS));
    tess_array *sums = tess_sum(x, TESS_AXIS(1));
    for (int round = 0; round < 3; round++) {
        const tess_status status = tess_compute(sums, rows, sizeof(int64_t) * ROWS);
        test_check(status == TESS_OK, "%s", tess_session_error(session));
        for (int i = 0; i < ROWS; i++) {
            int64_t sum = 0;
            for (int j = 0; j < COLUMNS; j++) {
                sum += first[i * WIDE - 2 * j];
            }
            test_check(rows[i] == sum, "row %d is %lld", i, (long long)rows[i]);
        }
    }
    int64_t total;
    tess_array *all = tess_sum(plain, TESS_AXES_ALL);
    test_check(tess_compute(all, &total, sizeof total) == TESS_OK, "%s",
               tess_session_error(session));
    int64_t wanted = 0;
    for (int i = 0; i < ROWS * WIDE; i++) {
        wanted += memory[i];
    }
    test_check(total == wanted, "the sum of all is %lld", (long long)total);
    free(memory);
    free(rows);
    tess_session_close(session);
}

int
main(int argc, char **argv)
{
    static const char *const flags[] = {"--memory-limit", "100MB", NULL};
    static const char *const verbose[] = {"--log-level", "debug", NULL};
    struct test_cluster cluster = {.scheduler = 0};
    if (argc == 3) {
        return run_client(argv[1], argv[2]);
    }
    test_place_open(90);
    test_cluster_start_with(&cluster, verbose, 2, flags);
    large_result(&cluster);
    own_memory(&cluster);
    one_cancels(&cluster);
    one_is_killed(&cluster);
    many_at_once(&cluster);
    test_cluster_stop(&cluster);
    puts("clients: ok");
    return EXIT_SUCCESS;
}
