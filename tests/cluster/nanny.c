// SPDX-License-Identifier: Apache-2.0
//
// A worker with a nanny, which is how tessera-worker runs when nothing else is said: messages tell
// how a worker died, signals pass through, and no process stays behind.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/net/connection.h"
#include "tests/planted/blas_that_exits.h"
#include "tests/support/group.h"
#include "tests/support/processes.h"
#include "tests/support/relay.h"

static pid_t
start_watched_by(const char *connection_file)
{
    const int joined = test_log_count("scheduler.log", "worker joined");
    const char *const argv[] = {test_program("tessera-worker"),
                                "--scheduler-file",
                                connection_file,
                                "--nthreads",
                                "1",
                                "--name",
                                "watched",
                                NULL};
    const pid_t nanny = test_start("watched.log", argv);
    test_log_wait("scheduler.log", "worker joined", joined + 1, 10000);
    return nanny;
}

static pid_t
start_watched(const struct test_cluster *cluster)
{
    return start_watched_by(cluster->file);
}

static pid_t
child_of(pid_t nanny)
{
    char path[64];
    long child = 0;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)nanny, (long)nanny);
    FILE *file = fopen(path, "re");
    test_check(file != NULL && fscanf(file, "%ld", &child) == 1 && child > 0,
               "the nanny has no child");
    fclose(file);
    return (pid_t)child;
}

static void
wait_gone(pid_t process)
{
    const uint64_t end = test_now_ms() + 5000;
    while (kill(process, 0) == 0) {
        test_check(test_now_ms() < end, "process %ld stays behind", (long)process);
        test_sleep_ms(10);
    }
}

// So often a worker is ended, since it need not have run the task that the others ran.
enum { TRIES = 12 };

// Kills whichever worker runs the task until the scheduler has had enough of it.
static void
message_tells_how_workers_died(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    test_scheduler_start(&cluster, NULL);
    pid_t nanny = start_watched(&cluster);
    tess_session *session = test_session(&cluster);
    tess_array *x =
        tess_full(session, TESS_SHAPE(6000, 6000), TESS_CHUNKS(6000, 6000), TESS_F64, 2);
    tess_array *product = tess_sum(tess_matmul(x, x), TESS_AXES_ALL);
    double result;
    void *out = &result;
    const size_t bytes = sizeof result;
    tess_future *future = tess_submit(&product, &out, &bytes, 1);
    for (int i = 0; i < TRIES && tess_future_poll(future) == TESS_RUNNING; i++) {
        const int number = i % 2 == 0 ? SIGKILL : SIGUSR1;
        test_sleep_ms(700);
        test_signal(child_of(nanny), number);
        test_check(test_wait(nanny, 5000) == 128 + number, "the nanny hides the signal");
        nanny = start_watched(&cluster);
    }
    const char *text = tess_session_error(session);
    test_check(tess_future_wait(future, 100) == TESS_ELOST, "the compute ended with “%s”", text);
    test_check(strstr(text, "nanny.c:") != NULL && strstr(text, "chunk (0, 0)") != NULL &&
                   strstr(text, "3 workers were lost") != NULL &&
                   strstr(text, "watched (its process was killed by signal 9, Killed") != NULL &&
                   strstr(text, "killed by signal 10, User defined signal 1") != NULL,
               "the message is “%s”", text);
    tess_future_free(future);
    tess_session_close(session);
    test_signal(nanny, SIGTERM);
    test_check(test_wait(nanny, 10000) == 0, "the last worker did not end in order");
    test_cluster_stop(&cluster);
}

// One task of a product, which takes seconds and 600 MB if there are 6000 rows.
struct compute {
    tess_session *session;
    tess_future *future;
    double result;
};

static void
start_compute(struct compute *compute, const struct test_cluster *cluster, int64_t rows)
{
    compute->session = test_session(cluster);
    tess_array *x =
        tess_full(compute->session, TESS_SHAPE(rows, rows), TESS_CHUNKS(rows, rows), TESS_F64, 2);
    tess_array *product = tess_sum(tess_matmul(x, x), TESS_AXES_ALL);
    void *out = &compute->result;
    const size_t bytes = sizeof compute->result;
    compute->future = tess_submit(&product, &out, &bytes, 1);
}

static bool
goes_on(const struct compute *compute)
{
    return tess_future_wait(compute->future, 300) == TESS_RUNNING;
}

static void
expect_lost(struct compute *compute, const char *how)
{
    const tess_status status = tess_future_wait(compute->future, 5000);
    const char *text = tess_session_error(compute->session);
    test_check(status == TESS_ELOST && strstr(text, "3 workers were lost") != NULL &&
                   strstr(text, how) != NULL,
               "%s: the compute ended with “%s”", tess_status_name(status), text);
    tess_future_free(compute->future);
    tess_session_close(compute->session);
}

// The worker is there, but is not heard.
static void
message_tells_of_the_unreachable(void)
{
    static const char *const flags[] = {"--worker-ttl", "700ms", NULL};
    struct test_cluster cluster = {.scheduler = 0};
    struct compute compute;
    test_scheduler_start(&cluster, flags);
    start_compute(&compute, &cluster, 6000);
    for (int i = 0; i < TRIES && goes_on(&compute); i++) {
        const int lost = test_log_count("scheduler.log", "no sign of life");
        const pid_t nanny = start_watched(&cluster);
        const pid_t child = child_of(nanny);
        test_sleep_ms(700);
        test_signal(child, SIGSTOP);
        test_log_wait("scheduler.log", "no sign of life", lost + 1, 8000);
        test_signal(child, SIGKILL);
        test_check(test_wait(nanny, 5000) == 128 + SIGKILL, "the nanny hides the signal");
    }
    expect_lost(&compute, "watched (gave no sign of life");
    test_cluster_stop(&cluster);
}

// The file of those who reach the scheduler through `relay`, which is started.
static const char *
lay_cable(struct test_relay *relay, const struct test_cluster *cluster)
{
    static char file[TEST_PATH_MAX];
    struct tsi_connection connection;
    test_check(tsi_connection_read(cluster->file, &connection, NULL) == TESS_OK, "no file");
    test_relay_start(relay, "127.0.0.1", atoi(strrchr(connection.address, ':') + 1));
    snprintf(connection.address, sizeof connection.address, "tcp://127.0.0.1:%d", relay->port);
    snprintf(file, sizeof file, "%s", test_place("relayed.json"));
    test_check(tsi_connection_write(file, &connection, NULL) == TESS_OK, "no file");
    return file;
}

// The worker goes on, but its link to the scheduler ends: it is cut, so that both ends are told, or
// nothing passes any more and nobody is told.
static void
message_tells_of_a_cut_link(bool is_told, const char *how)
{
    static const char *const flags[] = {"--port", "0", "--worker-ttl", "700ms", NULL};
    static struct test_relay relays[2];
    struct test_relay *relay = &relays[is_told];
    struct test_cluster cluster = {.scheduler = 0};
    struct compute compute;
    char text[128];
    snprintf(text, sizeof text, "why=%s", how);
    test_scheduler_start(&cluster, flags);
    const char *file = lay_cable(relay, &cluster);
    start_compute(&compute, &cluster, 6000);
    for (int i = 0; i < TRIES && goes_on(&compute); i++) {
        const int lost = test_log_count("scheduler.log", text);
        const pid_t nanny = start_watched_by(file);
        const pid_t child = child_of(nanny);
        test_sleep_ms(700);
        relay->is_cut = is_told;
        relay->is_silent = !is_told;
        test_log_wait("scheduler.log", text, lost + 1, 8000);
        test_check(test_is_running(nanny), "the worker did not outlive its link");
        test_signal(child, SIGKILL);
        test_check(test_wait(nanny, 5000) == 128 + SIGKILL, "the nanny hides the signal");
        relay->is_cut = relay->is_silent = false;
    }
    snprintf(text, sizeof text, "watched (%s", how);
    expect_lost(&compute, text);
    test_cluster_stop(&cluster);
}

// A library that the kernel calls ends the worker's process.
static void
message_tells_of_exit_status(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct compute compute;
    test_scheduler_start(&cluster, NULL);
    start_compute(&compute, &cluster, 300);
    setenv("TESSERA_OPENBLAS", test_program("../tests/blas_that_exits.so"), 1);
    for (int i = 0; i < 3; i++) {
        const pid_t nanny = start_watched(&cluster);
        test_check(test_wait(nanny, 10000) == BLAS_EXIT_STATUS, "the nanny hides the exit status");
    }
    unsetenv("TESSERA_OPENBLAS");
    expect_lost(&compute, "watched (its process ended with exit status 3)");
    test_cluster_stop(&cluster);
}

// The system kills the worker, since its control group has no room for what the task makes.
static void
message_tells_of_want_of_memory(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct compute compute;
    struct test_group group;
    char path[TEST_PATH_MAX + 16];
    if (test_is_sanitized() || !test_group_make(&group, 30L << 20)) {
        puts("nanny: no control group can be made, so nobody is killed for want of memory");
        return;
    }
    snprintf(path, sizeof path, "%s/cgroup.procs", group.path);
    test_scheduler_start(&cluster, NULL);
    start_compute(&compute, &cluster, 6000);
    for (int i = 0; i < TRIES && goes_on(&compute); i++) {
        const pid_t nanny = start_watched(&cluster);
        FILE *file = fopen(path, "we");
        test_check(file != NULL && fprintf(file, "%ld", (long)child_of(nanny)) > 0 &&
                       fclose(file) == 0,
                   "the worker does not get into the group");
        test_check(test_wait(nanny, 15000) == 128 + SIGKILL, "the worker was not killed");
    }
    test_check(test_group_kills(&group) >= 3, "the system killed %ld", test_group_kills(&group));
    expect_lost(&compute, "killed for want of memory");
    test_cluster_stop(&cluster);
    rmdir(group.path);
}

static void
signals_pass_through(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    test_scheduler_start(&cluster, NULL);
    pid_t nanny = start_watched(&cluster);
    pid_t child = child_of(nanny);
    const int drains = test_log_count("watched.log", "draining");
    test_signal(nanny, SIGTERM);
    test_signal(child, SIGTERM);
    test_check(test_wait(nanny, 5000) == 0, "SIGTERM to both is no orderly end");
    wait_gone(child);
    test_check(test_log_count("watched.log", "draining") == drains + 1, "it did not drain");

    nanny = start_watched(&cluster);
    child = child_of(nanny);
    test_signal(nanny, SIGKILL);
    test_check(test_wait(nanny, 5000) == -SIGKILL, "the nanny survives SIGKILL");
    wait_gone(child);
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(180);
    message_tells_how_workers_died();
    message_tells_of_the_unreachable();
    message_tells_of_a_cut_link(true, "its connection broke");
    message_tells_of_a_cut_link(false, "gave no sign of life");
    message_tells_of_exit_status();
    message_tells_of_want_of_memory();
    signals_pass_through();
    puts("ok");
    return EXIT_SUCCESS;
}
