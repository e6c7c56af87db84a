// SPDX-License-Identifier: Apache-2.0
//
// Peers that do not read: a client that is stopped, one that asks for answers and never takes
// them, a stranger and a worker of that kind, and a reader of chunks. The memory of scheduler and
// workers stays bounded, the peers are given up, and everybody else goes on.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cluster_run.h"
#include "tests/support/stub.h"

enum { MEGABYTE_KB = 1024 };

static void
expect_bounded(pid_t process, long before_kb, long megabytes, const char *what)
{
    const long now_kb = test_memory_kb(process, "VmHWM");
    test_check(test_is_sanitized() || now_kb - before_kb < megabytes * MEGABYTE_KB,
               "%s: %ld MB became %ld MB", what, before_kb / MEGABYTE_KB, now_kb / MEGABYTE_KB);
}

static tess_array *
many_results(tess_session *session)
{
    return tess_sqrt(tess_arange(session, 0, 600000, 1, TESS_CHUNKS(10), TESS_F64));
}

// A client with tens of thousands of results to take.
static int
run_client(const char *file)
{
    tess_session *session = tess_session_open(file);
    for (int i = 0; i < 100; i++) {
        test_digest(many_results(session));
    }
    return 0;
}

static void
stop_a_client(const struct test_cluster *cluster)
{
    const char *const argv[] = {"/proc/self/exe", cluster->file, NULL};
    const long before = test_memory_kb(cluster->scheduler, "VmRSS");
    const int joined = test_log_count("scheduler.log", "client joined");
    const pid_t client = test_start("stopped.log", argv);
    test_log_wait("scheduler.log", "client joined", joined + 1, 5000);
    test_sleep_ms(300);
    test_signal(client, SIGSTOP);
    struct test_run run = test_run_start(cluster);
    test_run_end(&run, "beside a stopped client");
    expect_bounded(cluster->scheduler, before, 200, "a stopped client");
    test_signal(client, SIGKILL);
    test_signal(client, SIGCONT);
    test_wait(client, 5000);
}

// Each submission is refused with a text, which nobody reads.
static void
ask_and_do_not_read(const struct test_cluster *cluster)
{
    static const unsigned char nonsense[8] = {255};
    const long before = test_memory_kb(cluster->scheduler, "VmRSS");
    const int given_up = test_log_count("scheduler.log", "does not read");
    struct test_stub stub = test_stub_join(cluster, TSI_ROLE_CLIENT);
    struct tsi_message submit = {
        .type = TSI_MESSAGE_SUBMIT,
        .submit = {.token = 1, .bytes = nonsense, .count = sizeof nonsense}};
    for (int i = 0; i < 2000000; i++) {
        test_stub_send(&stub, &submit);
        if (i % 50000 == 0 && test_log_count("scheduler.log", "does not read") > given_up) {
            break;
        }
    }
    test_log_wait("scheduler.log", "does not read", given_up + 1, 5000);
    struct test_run run = test_run_start(cluster);
    test_run_end(&run, "beside a client that does not read");
    expect_bounded(cluster->scheduler, before, 400, "a client that does not read");
    test_stub_close(&stub);
}

// Somebody who is no member, and is told so each time, takes what waited for him in the end: of
// many answers no more than the few that the scheduler keeps for strangers.
static void
knock_and_do_not_read(const struct test_cluster *cluster)
{
    enum { KNOCKS = 100000, ANSWERS_MAX = 30000 };
    const int silence_ms = 1000;
    char answer[512];
    int answers = 0;
    struct tsi_connection connection;
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_CLIENT,
                                          .name = "stranger",
                                          .library = "0",
                                          .endpoint = "ipc:///nowhere",
                                          .host = "nowhere"}};
    test_check(tsi_connection_read(cluster->file, &connection, NULL) == TESS_OK, "no file");
    struct test_stub stub = test_stub_open(connection.address, &connection);
    stub.epoch = UINT32_MAX; // it obeys no scheduler as old as this one
    for (int i = 0; i < KNOCKS; i++) {
        test_stub_send(&stub, &hello);
    }
    zmq_setsockopt(stub.socket, ZMQ_RCVTIMEO, &silence_ms, sizeof silence_ms);
    while (zmq_recv(stub.socket, answer, sizeof answer, 0) >= 0) {
        answers++;
    }
    test_check(answers > 0 && answers < ANSWERS_MAX, "%d answers were kept for a stranger",
               answers);
    test_stub_close(&stub);
}

static void
work_and_do_not_read(const struct test_cluster *cluster)
{
    const long before = test_memory_kb(cluster->scheduler, "VmRSS");
    const int lost = test_log_count("scheduler.log", "worker left");
    struct test_stub stub = test_stub_join(cluster, TSI_ROLE_WORKER);
    struct test_run run = test_run_start(cluster);
    test_run_end(&run, "beside a worker that does not read");
    test_log_wait("scheduler.log", "worker left", lost + 1, 5000);
    expect_bounded(cluster->scheduler, before, 400, "a worker that does not read");
    test_stub_close(&stub);
}

// Where a worker serves chunks, as its log at the scheduler tells.
static void
find_endpoint(const char *name, char *out, size_t bytes)
{
    char line[1024];
    char wanted[32];
    FILE *log = fopen(test_place("scheduler.log"), "r");
    test_check(log != NULL, "no log");
    snprintf(wanted, sizeof wanted, "name=%s ", name);
    out[0] = '\0';
    while (fgets(line, sizeof line, log) != NULL) {
        const char *endpoint = strstr(line, "endpoint=");
        if (strstr(line, "worker joined") != NULL && strstr(line, wanted) != NULL &&
            endpoint != NULL) {
            snprintf(out, bytes, "%.*s", (int)strcspn(endpoint + 9, "\n"), endpoint + 9);
        }
    }
    fclose(log);
    test_check(out[0] != '\0', "worker %s has no endpoint", name);
}

// Asks for all chunks of all jobs again and again, and reads nothing. What the reader asked for is
// given back when its owner gives it back, but for what may wait.
static void
fetch_and_do_not_read(const struct test_cluster *cluster)
{
    char endpoint[TSI_WIRE_ENDPOINT_MAX];
    tess_session *session = test_session(cluster);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(60, 1000000), TESS_CHUNKS(1, 1000000), 0,
                                       1); // 480 MB on two workers
    const long before = test_memory_kb(cluster->workers[0], "VmRSS");
    test_check(tess_persist(x) == TESS_OK, "%s", tess_session_error(session));
    find_endpoint("w0", endpoint, sizeof endpoint);
    struct test_stub stub = test_stub_open(endpoint, NULL);
    for (int round = 0; round < 40; round++) {
        for (uint32_t job = 1; job < 12; job++) {
            for (uint32_t task = 0; task < 80; task++) {
                struct tsi_message get = {.type = TSI_MESSAGE_GET,
                                          .get = {.key = tsi_key_of(job, task)}};
                test_stub_send(&stub, &get);
            }
        }
    }
    test_sleep_ms(300);
    tess_release(x);
    const uint64_t end = test_now_ms() + 8000;
    long now = test_memory_kb(cluster->workers[0], "VmRSS");
    while (now - before > 150L * MEGABYTE_KB && test_now_ms() < end) {
        test_sleep_ms(20);
        now = test_memory_kb(cluster->workers[0], "VmRSS");
    }
    test_check(test_is_sanitized() || test_now_ms() < end, "the worker keeps %ld MB",
               (now - before) / MEGABYTE_KB);
    struct test_run run = test_run_start(cluster);
    test_run_end(&run, "beside a reader that does not read");
    test_stub_close(&stub);
    tess_session_close(session);
}

int
main(int argc, char **argv)
{
    static const char *const flags[] = {"--worker-ttl", "2s", NULL};
    static const char *const limit[] = {"--memory-limit", "500MB", NULL}; // a part of it is kept
    struct test_cluster cluster = {.scheduler = 0};
    if (argc > 1) {
        return run_client(argv[1]);
    }
    test_place_open(90);
    test_cluster_start_with(&cluster, flags, 2, limit);
    stop_a_client(&cluster);
    ask_and_do_not_read(&cluster);
    knock_and_do_not_read(&cluster);
    work_and_do_not_read(&cluster);
    fetch_and_do_not_read(&cluster);
    for (int i = 0; i < cluster.worker_count; i++) {
        test_check(test_is_running(cluster.workers[i]), "worker %d has died", i);
    }
    test_cluster_stop(&cluster);
    puts("slow: ok");
    return EXIT_SUCCESS;
}
