// SPDX-License-Identifier: Apache-2.0
//
// Strangers are refused: over tcp whoever does not have the members' key, over ipc other users. And
// a network whose authenticator would let a stranger in, or cannot start, does not start at all.

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/auth.h"
#include "engine/net/ipc.h"
#include "tests/support/transfer_case.h"

// How long silence must last to count as none, and how long an answer may take.
#define SILENCE_MS 400
#define PATIENCE_MS 20000

static struct tsi_connection members;
static char scheduler_secret[TSI_KEY_TEXT];

static void
require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(EXIT_FAILURE);
    }
}

// While this is set, the keys of a stranger are those of the members: what an authenticator that
// lets everybody in looks like to the test at the start.
static const struct tsi_connection *not_so_strange;

int
zmq_curve_keypair(char *public_key, char *secret_key)
{
    if (not_so_strange != NULL) {
        memcpy(public_key, not_so_strange->member_public, TSI_KEY_TEXT);
        memcpy(secret_key, not_so_strange->member_secret, TSI_KEY_TEXT);
        return 0;
    }
    int (*real)(char *, char *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "zmq_curve_keypair");
    memcpy(&real, &symbol, sizeof real);
    return real(public_key, secret_key);
}

static void
fail_closed(void)
{
    struct tsi_error error = {.status = TESS_OK};
    not_so_strange = &members;
    struct tsi_net *net = tsi_net_new(&members, NULL, &error);
    not_so_strange = NULL;
    require(net == NULL && error.status == TESS_EACCESS, "a network that lets strangers in");
    require(strstr(error.text, "not refused") != NULL, error.text);

    // Somebody else answers for authentication in this context already.
    void *context = zmq_ctx_new();
    void *squatter = zmq_socket(context, ZMQ_REP);
    require(zmq_bind(squatter, "inproc://zeromq.zap.01") == 0, "the squatter");
    require(tsi_auth_new(context, &members, &error) == NULL && error.status == TESS_ECONNECT,
            "an authenticator that cannot start");
    zmq_close(squatter);
    zmq_ctx_term(context);

    struct tsi_connection broken = members;
    memset(broken.member_public, '~', TSI_KEY_TEXT - 1);
    require(tsi_net_new(&broken, NULL, &error) == NULL && error.status == TESS_EFORMAT,
            "a malformed key");
}

static void
send_get(void *socket)
{
    struct tsi_wire_buf out = {0};
    const struct tsi_message get = {.type = TSI_MESSAGE_GET,
                                    .get = {test_transfer_key(1, 9), 0, 0}};
    require(tsi_message_encode(&get, &out), "a GET");
    zmq_send(socket, out.bytes, out.count, ZMQ_DONTWAIT);
    tsi_wire_buf_fini(&out);
}

// Whether anything comes back from `endpoint` to a DEALER with these keys ("": none) in time.
static bool
is_answered(const char *endpoint, const char *server_public, const char *public_key,
            const char *secret_key, long milliseconds)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int));
    if (server_public[0] != '\0') {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_public, TSI_KEY_TEXT - 1);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, TSI_KEY_TEXT - 1);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret_key, TSI_KEY_TEXT - 1);
    }
    require(zmq_connect(socket, endpoint) == 0, "connecting");
    send_get(socket);
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    const bool answered = zmq_poll(&item, 1, milliseconds) == 1;
    zmq_close(socket);
    zmq_ctx_term(context);
    return answered;
}

static void
refuse_strangers_over_tcp(void)
{
    struct test_transfer_server server;
    char public_key[TSI_KEY_TEXT];
    char secret_key[TSI_KEY_TEXT];
    require(test_transfer_start(&server, &members, "tcp://127.0.0.1:*"), "the server");
    require(zmq_curve_keypair(public_key, secret_key) == 0, "keys");
    require(
        !is_answered(server.endpoint, members.member_public, public_key, secret_key, SILENCE_MS),
        "a stranger that knows the server's key");
    require(!is_answered(server.endpoint, members.scheduler_public, members.member_public,
                         members.member_secret, SILENCE_MS),
            "a member that takes the server for another");
    require(!is_answered(server.endpoint, members.member_public, members.member_public, secret_key,
                         SILENCE_MS),
            "a stranger with the members' public key");
    require(!is_answered(server.endpoint, "", "", "", SILENCE_MS), "a stranger without encryption");
    require(atomic_load(&server.lookups) == 0, "nothing of a stranger's gets through");
    require(is_answered(server.endpoint, members.member_public, members.member_public,
                        members.member_secret, PATIENCE_MS),
            "a member");
    require(atomic_load(&server.lookups) == 1, "one question");
    test_transfer_stop(&server);
}

// The scheduler's socket has a key of its own.
static void
talk_to_the_scheduler(void)
{
    struct tsi_error error = {.status = TESS_OK};
    char bound[TSI_WIRE_ENDPOINT_MAX];
    struct tsi_net *net = tsi_net_new(&members, scheduler_secret, &error);
    require(net != NULL, error.text);
    void *scheduler =
        tsi_net_bind(net, TSI_NET_CONTROL, "tcp://127.0.0.1:*", bound, sizeof bound, &error);
    require(scheduler != NULL, error.text);
    void *member = tsi_net_connect(net, TSI_NET_CONTROL, bound, members.scheduler_public, &error);
    void *fooled = tsi_net_connect(net, TSI_NET_CONTROL, bound, members.member_public, &error);
    require(member != NULL && fooled != NULL, error.text);
    require(tsi_net_connect(net, TSI_NET_CONTROL, bound, "", &error) == NULL &&
                error.status == TESS_EACCESS,
            "no connection without a key");
    require(tsi_net_send(member, NULL, "a", 1) && tsi_net_send(fooled, NULL, "b", 1), "sending");
    int heard = 0;
    uint64_t end = tsi_clock_ns() + PATIENCE_MS * TSI_MILLISECOND;
    while (tsi_clock_ns() < end) {
        zmq_pollitem_t item = {.socket = scheduler, .events = ZMQ_POLLIN};
        struct tsi_route route;
        zmq_msg_t frame;
        zmq_poll(&item, 1, 50);
        if (tsi_net_receive(scheduler, &route, &frame, 1) == 1) {
            require(*(char *)zmq_msg_data(&frame) == 'a' && route.count > 0, "only the member");
            require(tsi_net_send(scheduler, &route, "c", 1), "an answer");
            zmq_msg_close(&frame);
            heard++;
            end = tsi_clock_ns() + SILENCE_MS * TSI_MILLISECOND;
        }
    }
    require(heard == 1, "the member is heard");
    struct tsi_route nobody = {.bytes = {1, 2, 3, 4, 5}, .count = 5};
    require(!tsi_net_send(scheduler, &nobody, "d", 1) && errno == EHOSTUNREACH, "nobody there");
    tsi_net_close(member, 0);
    tsi_net_close(fooled, 0);
    tsi_net_close(scheduler, 0);
    tsi_net_free(net);
}

// A fetcher whose keys are not the server's learns that it gets nothing, without waiting a minute.
static int fetch_failures;

static void
count_failure(void *context, tsi_key key, uint32_t peer, struct tsi_buf *chunk, const char *text)
{
    (void)context;
    (void)key;
    (void)peer;
    require(chunk == NULL && text != NULL, "a stranger got a chunk");
    fetch_failures++;
}

static void
fetch_as_a_stranger(void)
{
    struct tsi_connection strangers = {.epoch = 1};
    struct test_transfer_server server;
    char secret[TSI_KEY_TEXT];
    struct tsi_error error = {.status = TESS_OK};
    require(tsi_net_make_keys(&strangers, secret, &error) == TESS_OK, "keys");
    require(test_transfer_start(&server, &members, "tcp://127.0.0.1:*"), "the server");
    struct tsi_net *net = tsi_net_new(&strangers, NULL, &error);
    require(net != NULL, error.text);
    struct tsi_fetcher *fetcher = tsi_fetcher_new(net, count_failure, NULL);
    require(fetcher != NULL && tsi_fetcher_peer(fetcher, 1, server.endpoint, false), "a fetcher");
    require(tsi_fetcher_start(fetcher, test_transfer_key(1, 9), 1, 9, NULL), "a fetch");
    const uint64_t end = tsi_clock_ns() + SILENCE_MS * TSI_MILLISECOND;
    while (tsi_clock_ns() < end) {
        tsi_fetcher_turn(fetcher, tsi_clock_ns());
        zmq_poll(NULL, 0, 20);
    }
    require(atomic_load(&server.lookups) == 0, "a stranger's question gets through");
    tsi_fetcher_free(fetcher);
    tsi_net_free(net);
    test_transfer_stop(&server);
}

// Only root can become another user. It does so in a process that is made before there are threads,
// and that waits for the word to go.
struct other_user {
    pid_t process;
    int go; // the pipe's end
};

static struct other_user
start_other_user(const char *endpoint)
{
    int ends[2];
    require(pipe(ends) == 0, "a pipe");
    struct other_user other = {.process = fork(), .go = ends[1]};
    if (other.process == 0) {
        char word;
        close(ends[1]);
        const bool ok = read(ends[0], &word, 1) == 1 && setgid(12345) == 0 && setuid(12345) == 0 &&
                        !is_answered(endpoint, "", "", "", SILENCE_MS);
        _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[0]);
    return other;
}

static bool
other_user_is_refused(const struct other_user *other)
{
    int status = 1;
    require(write(other->go, "x", 1) == 1, "the word");
    waitpid(other->process, &status, 0);
    return status == 0;
}

// The directory is opened to all here, so that only the socket itself refuses.
static void
refuse_other_users_over_ipc(const char *directory, const char *address,
                            const struct other_user *other)
{
    struct test_transfer_server server;
    const struct tsi_connection open = {.epoch = 1};
    require(test_transfer_start(&server, &open, address), "the server");
    require(is_answered(server.endpoint, "", "", "", PATIENCE_MS), "the same user");
    const int lookups = atomic_load(&server.lookups);
    if (geteuid() == 0) {
        require(chmod(directory, 0777) == 0 && chmod(tsi_ipc_path(address), 0777) == 0, "open it");
        require(other_user_is_refused(other), "another user");
        require(atomic_load(&server.lookups) == lookups, "another user gets through");
    }

    struct tsi_error error = {.status = TESS_OK};
    char bound[TSI_WIRE_ENDPOINT_MAX];
    struct tsi_net *net = tsi_net_new(&open, NULL, &error);
    const char *const refused[] = {address,
                                   "ipc://@name",
                                   "inproc://x",
                                   "udp://127.0.0.1:1",
                                   "tcp://127.0.0.1:*",
                                   "tcp://no.such.host.invalid:1"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        require(tsi_net_bind(net, TSI_NET_DATA, refused[i], bound, sizeof bound, &error) == NULL &&
                    strstr(error.text, refused[i]) != NULL,
                refused[i]);
    }
    tsi_net_free(net);
    test_transfer_stop(&server);
    require(access(tsi_ipc_path(address), F_OK) != 0, "the socket's file goes with it");
}

int
main(void)
{
    char directory[] = "/tmp/tessera-test-XXXXXX";
    char address[TSI_WIRE_ENDPOINT_MAX];
    require(mkdtemp(directory) != NULL, "a directory");
    snprintf(address, sizeof address, "ipc://%s/socket", directory);
    const struct other_user other = start_other_user(address);
    require(tsi_net_make_keys(&members, scheduler_secret, NULL) == TESS_OK, "keys");
    fail_closed();
    refuse_strangers_over_tcp();
    talk_to_the_scheduler();
    fetch_as_a_stranger();
    refuse_other_users_over_ipc(directory, address, &other);
    close(other.go);
    require(rmdir(directory) == 0, "an empty directory");
    return EXIT_SUCCESS;
}
