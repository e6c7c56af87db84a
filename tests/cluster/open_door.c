// SPDX-License-Identifier: Apache-2.0
//
// Scheduler, worker and client refuse to run when the sockets that they listen at would let
// strangers in: the mistakes of tests/planted/open_door.c, one at a time.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/processes.h"

struct mistake {
    const char *name;
    const char *text; // what is said of it
};

static const struct mistake mistakes[] = {
    {"answer", "a stranger's key was not refused; not starting"},
    {"domain", "a stranger's key was not refused; not starting"},
    {"socket", "the socket would let strangers in"},
};

enum { MISTAKES = sizeof mistakes / sizeof *mistakes };

static void
plant(const struct mistake *mistake)
{
    setenv("TESSERA_TEST_DOOR", mistake->name, 1);
}

static void
mend(void)
{
    unsetenv("TESSERA_TEST_DOOR");
}

// The program ends by itself, says why, and says nothing that whoever started it would take for its
// start.
static void
expect_end(const char *const *argv, const struct mistake *mistake, const char *started)
{
    char log[64];
    snprintf(log, sizeof log, "%s-%s.log", strrchr(argv[0], '/') + 1, mistake->name);
    plant(mistake);
    const int code = test_wait(test_start(log, argv), 15000);
    mend();
    test_check(code == EXIT_FAILURE, "%s: it ended with %d", log, code);
    test_check(test_log_count(log, mistake->text) == 1, "%s: it does not say why", log);
    test_check(test_log_count(log, started) == 0, "%s: it started", log);
}

static void
schedulers_do_not_start(void)
{
    char program[TEST_PATH_MAX];
    char file[TEST_PATH_MAX];
    snprintf(program, sizeof program, "%s", test_program("../tests/open_scheduler"));
    snprintf(file, sizeof file, "%s", test_place("open.json"));
    const char *const argv[] = {program, "--scheduler-file", file, "--port", "0", NULL};
    for (int i = 0; i < MISTAKES; i++) {
        expect_end(argv, &mistakes[i], "scheduler started");
    }
    // Without a mistake the same program runs.
    const pid_t sound = test_start("sound.log", argv);
    test_log_wait("sound.log", "security=curve", 1, 8000);
    test_signal(sound, SIGTERM);
    test_check(test_wait(sound, 8000) == EXIT_SUCCESS, "the scheduler did not end in order");
}

static void
workers_do_not_join(const struct test_cluster *cluster)
{
    char program[TEST_PATH_MAX];
    snprintf(program, sizeof program, "%s", test_program("../tests/open_worker"));
    const char *const argv[] = {
        program, "--no-nanny", "--scheduler-file", cluster->file, "--nthreads", "1", NULL};
    for (int i = 0; i < MISTAKES; i++) {
        expect_end(argv, &mistakes[i], "worker joined");
    }
    const pid_t sound = test_start("sound.log", argv);
    test_workers_await(cluster, 1);
    test_signal(sound, SIGTERM);
    test_check(test_wait(sound, 8000) == EXIT_SUCCESS, "the worker did not end in order");
}

static void
clients_do_not_join(const struct test_cluster *cluster)
{
    for (int i = 0; i < MISTAKES; i++) {
        plant(&mistakes[i]);
        tess_session *session = tess_session_open(cluster->file);
        mend();
        test_check(tess_session_status(session) == TESS_EACCESS &&
                       strstr(tess_session_error(session), mistakes[i].text) != NULL,
                   "%s: %s: %s", mistakes[i].name, tess_status_name(tess_session_status(session)),
                   tess_session_error(session));
        tess_session_close(session);
    }
    tess_session_close(test_session(cluster));
}

int
main(void)
{
    static const char *const flags[] = {"--port", "0", NULL};
    struct test_cluster cluster = {.scheduler = 0};
    test_place_open(120);
    schedulers_do_not_start();
    test_scheduler_start(&cluster, flags);
    workers_do_not_join(&cluster);
    clients_do_not_join(&cluster);
    test_log_wait("scheduler.log", "client joined", 1, 8000);
    test_check(test_log_count("scheduler.log", "worker joined") == 1 &&
                   test_log_count("scheduler.log", "client joined") == 1,
               "somebody joined who was open");
    test_cluster_stop(&cluster);
    puts("open door: ok");
    return EXIT_SUCCESS;
}
