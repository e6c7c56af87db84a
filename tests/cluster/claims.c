// SPDX-License-Identifier: Apache-2.0
//
// Who has a detached compute, when several want it: sessions that attach at the same moment, one
// that was away when its scheduler was started again and comes back when another has attached, and
// how long a result waits for the next one, also across a restart.
//
// With arguments the program is a client that detaches a compute, attaches to it, and uses it when
// it is told to.

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/processes.h"

enum { ROUNDS = 15, RIVALS = 2, COUNT = 40000 };

static char journal[TEST_PATH_MAX];
static char may_go[TEST_PATH_MAX]; // a file that is there when the client shall go on

static tess_array *
numbers(tess_session *session)
{
    return tess_sqrt(tess_arange(session, 0, COUNT, 1, TESS_CHUNKS(900), TESS_F64));
}

static uint64_t
expected(void)
{
    tess_session *embedded = tess_session_open("embedded");
    const uint64_t digest = test_digest(numbers(embedded));
    tess_session_close(embedded);
    return digest;
}

// The client: 0 if its compute is somebody else's when it comes back.
static int
run_client(const char *file, const char *go)
{
    char id[TESS_DETACHED_ID_BYTES];
    double out;
    tess_session *session = tess_session_open(file);
    tess_array *x = numbers(session);
    if (tess_detach(x, id) != TESS_OK) {
        fprintf(stderr, "%s\n", tess_session_error(session));
        return EXIT_FAILURE;
    }
    tess_array *own = tess_attach(session, id);
    printf("id %s %s\n", id, tess_array_error(own));
    fflush(stdout);
    while (access(go, F_OK) != 0) {
        usleep(10000);
    }
    const tess_status status = tess_compute(tess_sum(own, TESS_AXES_ALL), &out, sizeof out);
    printf("status %s: %s\n", tess_status_name(status), tess_session_error(session));
    fflush(stdout);
    tess_session_close(session);
    return status == TESS_EACCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
read_id(const char *log, char id[TESS_DETACHED_ID_BYTES])
{
    FILE *file = fopen(test_place(log), "r");
    test_check(file != NULL && fscanf(file, "id %16s", id) == 1, "%s: no name", log);
    fclose(file);
}

static void
expect_failed(tess_array *x, tess_status status, const char *text)
{
    test_check(tess_array_status(x) == status && strstr(tess_array_error(x), text) != NULL,
               "the array is %s and not %s: %s", tess_status_name(tess_array_status(x)),
               tess_status_name(status), tess_array_error(x));
}

static void
detach(const struct test_cluster *cluster, char id[TESS_DETACHED_ID_BYTES])
{
    const int ended = test_log_count("scheduler.log", "job ended");
    tess_session *session = test_session(cluster);
    test_check(tess_detach(numbers(session), id) == TESS_OK, "%s", tess_session_error(session));
    test_log_wait("scheduler.log", "job ended", ended + 1, 8000);
    tess_session_close(session);
}

struct rival {
    pthread_t thread;
    pthread_barrier_t *barrier;
    tess_session *session;
    const char *id;
    tess_array *array;
};

static void *
attach(void *argument)
{
    struct rival *rival = argument;
    pthread_barrier_wait(rival->barrier);
    rival->array = tess_attach(rival->session, rival->id);
    return NULL;
}

// Two sessions ask at the same moment, again and again: one gets it, the other hears why not.
static void
one_of_two_gets_it(uint64_t digest)
{
    char id[TESS_DETACHED_ID_BYTES];
    pthread_barrier_t barrier;
    struct test_cluster cluster;
    struct rival rivals[RIVALS];
    test_cluster_start_with(&cluster, NULL, 1, NULL);
    detach(&cluster, id);
    pthread_barrier_init(&barrier, NULL, RIVALS);
    for (int round = 0; round < ROUNDS; round++) {
        int winner = -1;
        for (int i = 0; i < RIVALS; i++) {
            rivals[i] =
                (struct rival){.barrier = &barrier, .session = test_session(&cluster), .id = id};
            pthread_create(&rivals[i].thread, NULL, attach, &rivals[i]);
        }
        for (int i = 0; i < RIVALS; i++) {
            pthread_join(rivals[i].thread, NULL);
        }
        for (int i = 0; i < RIVALS; i++) {
            if (tess_array_status(rivals[i].array) != TESS_OK) {
                expect_failed(rivals[i].array, TESS_EACCESS, "another session has attached");
                continue;
            }
            test_check(winner < 0, "round %d: both have it", round);
            winner = i;
        }
        test_check(winner >= 0, "round %d: nobody has it", round);
        test_check(test_digest(rivals[winner].array) == digest, "round %d: other bits", round);
        const int left = test_log_count("scheduler.log", "client left");
        for (int i = 0; i < RIVALS; i++) {
            tess_session_close(rivals[i].session);
        }
        test_log_wait("scheduler.log", "client left", left + RIVALS, 8000);
    }
    pthread_barrier_destroy(&barrier);
    test_cluster_stop(&cluster);
}

// A client that has a compute stands still while its scheduler is started again, and another one
// attaches. When it goes on, it claims its compute, which is the other's by now and stays that.
static void
who_comes_back_too_late_is_refused(uint64_t digest)
{
    const char *const flags[] = {"--journal", journal, NULL};
    char id[TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    const char *const argv[] = {"/proc/self/exe", cluster.file, may_go, NULL};
    const pid_t client = test_start("away.log", argv);
    test_log_wait("away.log", "id ", 1, 10000);
    read_id("away.log", id);
    test_signal(client, SIGSTOP);
    test_scheduler_kill(&cluster);
    test_scheduler_start(&cluster, flags);
    test_workers_await(&cluster, 1);

    tess_session *session = test_session(&cluster);
    tess_array *x = tess_attach(session, id);
    test_check(tess_array_status(x) == TESS_OK, "%s", tess_array_error(x));
    const int claimed = test_log_count("scheduler.log", "job claimed");
    FILE *file = fopen(may_go, "w");
    test_check(file != NULL && fclose(file) == 0, "no file");
    test_signal(client, SIGCONT);
    const int code = test_wait(client, 30000);
    test_check(code == EXIT_SUCCESS, "the client that came back ended with %d", code);
    test_check(test_log_count("away.log", "status TESS_EACCESS") == 1 &&
                   test_log_count("away.log", "another session has attached") >= 1,
               "it did not hear why");
    test_check(test_log_count("scheduler.log", "job claimed") == claimed, "it claimed the compute");
    test_check(test_digest(x) == digest, "the one that has attached has other bits");
    tess_session *third = test_session(&cluster);
    expect_failed(tess_attach(third, id), TESS_EACCESS, "another session has attached");
    tess_session_close(third);
    tess_release(x);
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// The time of a result runs from when the last one left; while somebody is there it does not run.
static void
time_runs_while_nobody_is_there(uint64_t digest)
{
    static const char *const flags[] = {"--result-lease", "2s", NULL};
    char id[TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    detach(&cluster, id);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_attach(session, id);
    test_sleep_ms(3000);
    test_check(tess_array_status(x) == TESS_OK && test_digest(x) == digest,
               "its time ran while somebody had it: %s", tess_array_error(x));
    tess_session_close(session);
    test_sleep_ms(3500);
    session = test_session(&cluster);
    expect_failed(tess_attach(session, id), TESS_ETIMEOUT, "--result-lease");
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// A scheduler that was started again keeps results no longer, and remembers those that are gone.
static void
time_runs_across_restarts(void)
{
    const char *const flags[] = {"--journal", journal, "--result-lease", "2s", NULL};
    char id[TESS_DETACHED_ID_BYTES];
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    detach(&cluster, id);
    for (int round = 0; round < 2; round++) {
        test_scheduler_kill(&cluster);
        test_scheduler_start(&cluster, flags);
        test_workers_await(&cluster, 1);
        if (round == 0) {
            test_sleep_ms(3500);
        }
        tess_session *session = test_session(&cluster);
        expect_failed(tess_attach(session, id), TESS_ETIMEOUT, "--result-lease");
        tess_session_close(session);
    }
    test_cluster_stop(&cluster);
}

int
main(int argc, char **argv)
{
    if (argc == 3) {
        return run_client(argv[1], argv[2]);
    }
    test_place_open(120);
    snprintf(journal, sizeof journal, "%s", test_place("tessera.journal"));
    snprintf(may_go, sizeof may_go, "%s", test_place("may-go"));
    const uint64_t digest = expected();
    one_of_two_gets_it(digest);
    who_comes_back_too_late_is_refused(digest);
    time_runs_while_nobody_is_there(digest);
    time_runs_across_restarts();
    puts("claims: ok");
    return EXIT_SUCCESS;
}
