// SPDX-License-Identifier: Apache-2.0
//
// Who gets in: on tcp only those who have the keys of the connection file, unless --insecure says
// otherwise; and what those are told who do not.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "engine/net/connection.h"
#include "scheduler/wire/message.h"
#include "tests/support/processes.h"

static double
sum(tess_session *session)
{
    double out = 0;
    tess_array *x = tess_ones(session, TESS_SHAPE(300, 300), TESS_CHUNKS(100, 100), TESS_F64);
    tess_array *y = tess_sum(tess_matmul(x, x), TESS_AXES_ALL);
    test_check(tess_compute(y, &out, sizeof out) == TESS_OK, "%s", tess_session_error(session));
    return out;
}

static void
expect_no_session(const char *where, const char *text)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.connect_timeout_ms = 700;
    const uint64_t start = test_now_ms();
    tess_session *session = tess_session_open_with(where, &options);
    const uint64_t time = test_now_ms() - start;
    test_check(tess_session_status(session) == TESS_ECONNECT, "%s: the status is %s", where,
               tess_status_name(tess_session_status(session)));
    test_check(strstr(tess_session_error(session), text) != NULL, "%s: “%s” has no “%s”", where,
               tess_session_error(session), text);
    test_check(time >= 600 && time < 2500, "%s: it took %llu ms", where, (unsigned long long)time);
    tess_session_close(session);
}

// Whether the scheduler at `address` answers a hello of somebody with a key pair of his own.
static bool
stranger_is_answered(const char *address, const char *server_key)
{
    char public_key[TSI_KEY_TEXT];
    char secret_key[TSI_KEY_TEXT];
    char answer[64];
    struct tsi_wire_buf out = {NULL, 0, 0};
    struct tsi_message hello = {.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_CLIENT,
                                          .name = "stranger",
                                          .library = "0",
                                          .endpoint = "tcp://127.0.0.1:9",
                                          .host = "nowhere"}};
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    const int timeout = 600;
    const int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    if (server_key[0] != '\0') {
        test_check(zmq_curve_keypair(public_key, secret_key) == 0, "no key pair");
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, strlen(server_key));
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, strlen(public_key));
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, strlen(secret_key));
    }
    test_check(tsi_message_encode(&hello, &out) && zmq_connect(socket, address) == 0, "%s",
               address);
    zmq_send(socket, out.bytes, out.count, 0);
    const bool is_answered = zmq_recv(socket, answer, sizeof answer, 0) >= 0;
    tsi_wire_buf_fini(&out);
    zmq_close(socket);
    zmq_ctx_term(context);
    return is_answered;
}

static void
start_tcp(struct test_cluster *cluster, const char *more)
{
    const char *const flags[] = {"--port", "0", more, NULL};
    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(cluster, flags);
    test_worker_start(cluster, 1, NULL);
    test_worker_start(cluster, 1, NULL);
    test_log_wait("scheduler.log", "worker joined", joined + 2, 8000);
}

static void
tcp_needs_keys(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct tsi_connection connection;
    struct tsi_connection other;
    char secret[TSI_KEY_TEXT];
    struct stat info;
    start_tcp(&cluster, NULL);
    test_check(stat(cluster.file, &info) == 0 && (info.st_mode & 0777) == 0600,
               "others may read the keys");
    test_check(tsi_connection_read(cluster.file, &connection, NULL) == TESS_OK, "no file");
    test_check(connection.has_keys && strncmp(connection.address, "tcp://127.0.0.1:", 16) == 0,
               "the address is %s", connection.address);

    tess_session *session = test_session(&cluster);
    test_check(sum(session) == 300.0 * 300 * 300, "a wrong sum");
    tess_session_close(session);

    expect_no_session(connection.address, "connection file");
    test_check(!stranger_is_answered(connection.address, ""), "without keys: answered");
    test_check(!stranger_is_answered(connection.address, connection.scheduler_public),
               "with a stranger's key: answered");

    // The right address and server key, but another member's pair.
    other = connection;
    test_check(zmq_curve_keypair(other.member_public, other.member_secret) == 0, "no key pair");
    (void)secret;
    test_check(tsi_connection_write(test_place("other.json"), &other, NULL) == TESS_OK, "no file");
    expect_no_session(test_place("other.json"), "no scheduler answers");
    test_check(test_log_count("scheduler.log", "client joined") == 1, "somebody got in");
    test_cluster_stop(&cluster);
}

static void
insecure_needs_none(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct tsi_connection connection;
    start_tcp(&cluster, "--insecure");
    test_check(tsi_connection_read(cluster.file, &connection, NULL) == TESS_OK, "no file");
    test_check(!connection.has_keys, "--insecure has keys");
    tess_session *session = tess_session_open(connection.address);
    test_check(sum(session) == 300.0 * 300 * 300, "a wrong sum");
    tess_session_close(session);
    test_check(stranger_is_answered(connection.address, ""), "--insecure does not answer");
    test_cluster_stop(&cluster);
}

// Nobody there: the messages say where was looked and what to start.
static void
nobody_answers(void)
{
    expect_no_session("tcp://127.0.0.1:9", "tcp://127.0.0.1:9");
    expect_no_session("tcp://127.0.0.1:9", "tessera-scheduler");
    expect_no_session(test_place("no-such-file.json"), "start tessera-scheduler");

    struct test_cluster cluster = {.scheduler = 0};
    test_scheduler_start(&cluster, NULL);
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.worker_timeout_ms = 600;
    tess_session *session = tess_session_open_with(cluster.file, &options);
    double out;
    const uint64_t start = test_now_ms();
    const tess_status status = tess_compute(
        tess_sum(tess_ones(session, TESS_SHAPE(9), TESS_CHUNKS_AUTO, TESS_F64), TESS_AXES_ALL),
        &out, sizeof out);
    const uint64_t time = test_now_ms() - start;
    test_check(status == TESS_EWORKERS && strstr(tess_session_error(session), "tessera-worker"),
               "without workers: %s: %s", tess_status_name(status), tess_session_error(session));
    test_check(time >= 500 && time < 2500, "it took %llu ms", (unsigned long long)time);
    tess_session_close(session);

    // A killed scheduler leaves its file; who comes after that waits for the next scheduler.
    test_signal(cluster.scheduler, 9);
    test_wait(cluster.scheduler, 1000);
    cluster.scheduler = 0;
    expect_no_session(cluster.file, "no scheduler answers");
}

int
main(void)
{
    test_place_open(60);
    tcp_needs_keys();
    insecure_needs_none();
    nobody_answers();
    puts("security: ok");
    return EXIT_SUCCESS;
}
