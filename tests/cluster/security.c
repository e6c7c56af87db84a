// SPDX-License-Identifier: Apache-2.0
//
// Who gets in: on tcp only those who have the keys of the connection file, unless --insecure says
// otherwise; and what those are told who do not.

#include <errno.h>
#include <signal.h>
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

// A bare address of which the keys are in no file is refused at once.
static void
expect_refusal(const char *where)
{
    const uint64_t start = test_now_ms();
    tess_session *session = tess_session_open(where);
    test_check(tess_session_status(session) == TESS_EACCESS, "%s: the status is %s", where,
               tess_status_name(tess_session_status(session)));
    test_check(strstr(tess_session_error(session), "connection file") != NULL &&
                   strstr(tess_session_error(session), "--insecure") != NULL,
               "“%s”", tess_session_error(session));
    test_check(test_now_ms() - start < 2000, "%s: it was waited for", where);
    tess_session_close(session);
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

static struct tsi_message
hello(void)
{
    return (struct tsi_message){.type = TSI_MESSAGE_HELLO,
                                .hello = {.role = TSI_ROLE_CLIENT,
                                          .name = "stranger",
                                          .library = "0",
                                          .endpoint = "tcp://127.0.0.1:9",
                                          .host = "nowhere"}};
}

// Whether whoever listens at `address` answers `message` of somebody with these keys ("" for
// `server_key`: without any).
static bool
is_answered(const char *address, struct tsi_message message, const char *server_key,
            const char *public_key, const char *secret_key)
{
    char answer[64];
    struct tsi_wire_buf out = {NULL, 0, 0};
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    const int timeout = 600;
    const int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    if (server_key[0] != '\0') {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, strlen(server_key));
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, strlen(public_key));
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, strlen(secret_key));
    }
    test_check(tsi_message_encode(&message, &out) && zmq_connect(socket, address) == 0, "%s",
               address);
    zmq_send(socket, out.bytes, out.count, 0);
    const bool is_answered = zmq_recv(socket, answer, sizeof answer, 0) >= 0;
    tsi_wire_buf_fini(&out);
    zmq_close(socket);
    zmq_ctx_term(context);
    return is_answered;
}

// The same with a key pair of his own.
static bool
stranger_is_answered(const char *address, struct tsi_message message, const char *server_key)
{
    char public_key[TSI_KEY_TEXT];
    char secret_key[TSI_KEY_TEXT];
    test_check(zmq_curve_keypair(public_key, secret_key) == 0, "no key pair");
    return is_answered(address, message, server_key, public_key, secret_key);
}

// The data sockets of workers and client answer members alone.
static void
data_sockets_need_keys(const struct tsi_connection *connection)
{
    char endpoints[3][TEST_PATH_MAX];
    const struct tsi_message get = {.type = TSI_MESSAGE_GET, .get = {.key = 77}};
    test_endpoints("worker joined", &endpoints[0], 2);
    test_endpoints("client joined", &endpoints[2], 1);
    for (int i = 0; i < 3; i++) {
        const char *at = endpoints[i];
        test_check(strncmp(at, "tcp://", 6) == 0, "a data socket is at %s", at);
        test_check(is_answered(at, get, connection->member_public, connection->member_public,
                               connection->member_secret),
                   "%s: a member is not answered", at);
        test_check(!stranger_is_answered(at, get, ""), "%s: answered without keys", at);
        test_check(!stranger_is_answered(at, get, connection->member_public),
                   "%s: a stranger is answered", at);
    }
}

static void
start_tcp(struct test_cluster *cluster, const char *more)
{
    const char *const flags[] = {"--port", "0", more, NULL};
    test_cluster_start_with(cluster, flags, 2, NULL);
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
    data_sockets_need_keys(&connection);
    tess_session_close(session);

    expect_refusal(connection.address);
    setenv("TESSERA_INSECURE", "1", 1);
    expect_no_session(connection.address, "without keys");
    unsetenv("TESSERA_INSECURE");
    test_check(!stranger_is_answered(connection.address, hello(), ""), "without keys: answered");
    test_check(!stranger_is_answered(connection.address, hello(), connection.scheduler_public),
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
    test_check(!connection.has_keys && connection.insecure, "--insecure has keys");
    tess_session *session = tess_session_open(cluster.file);
    test_check(sum(session) == 300.0 * 300 * 300, "a wrong sum");
    tess_session_close(session);
    test_check(stranger_is_answered(connection.address, hello(), ""), "--insecure does not answer");

    // The address alone does not say that there are no keys: somebody has to.
    expect_refusal(connection.address);
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.insecure = 1;
    session = tess_session_open_with(connection.address, &options);
    test_check(sum(session) == 300.0 * 300 * 300, "a wrong sum");
    tess_session_close(session);
    setenv("TESSERA_INSECURE", "1", 1);
    session = tess_session_open(connection.address);
    unsetenv("TESSERA_INSECURE");
    test_check(sum(session) == 300.0 * 300 * 300, "a wrong sum");
    tess_session_close(session);

    const char *const bare[] = {test_program("tessera-worker"), connection.address, NULL};
    test_check(test_wait(test_start("bare.log", bare), 4000) == EXIT_FAILURE,
               "a worker without keys did not end");
    test_check(test_log_count("bare.log", "connection file") > 0, "it did not say why");
    const int joined = test_log_count("scheduler.log", "worker joined");
    const char *const open[] = {test_program("tessera-worker"), connection.address, "--insecure",
                                NULL};
    const pid_t worker = test_start("open.log", open);
    test_log_wait("scheduler.log", "worker joined", joined + 1, 4000);
    test_signal(worker, SIGTERM);
    test_check(test_wait(worker, 8000) == 0, "the worker did not end well");

    // A file that has lost its keys is not one that says that there are none.
    connection.insecure = false;
    test_check(tsi_connection_write(test_place("lost.json"), &connection, NULL) == TESS_OK,
               "no file");
    session = tess_session_open(test_place("lost.json"));
    test_check(tess_session_status(session) == TESS_EACCESS, "%s", tess_session_error(session));
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

// Nobody there: the messages say where was looked and what to start.
static void
nobody_answers(void)
{
    setenv("TESSERA_INSECURE", "1", 1);
    expect_no_session("tcp://127.0.0.1:9", "tcp://127.0.0.1:9");
    expect_no_session("tcp://127.0.0.1:9", "tessera-scheduler");
    unsetenv("TESSERA_INSECURE");
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
