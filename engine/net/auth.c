// SPDX-License-Identifier: Apache-2.0
//
// ZAP asks by six frames or more: version, request, domain, address, identity, mechanism, then what
// the mechanism offers (for CURVE the peer's public key, 32 bytes). The answer is version, request,
// status code, text, user, metadata.
//
// A CURVE socket without an authenticator accepts every key. That is why the start includes a test
// with a stranger's key, watched through the server's monitor: its handshake must fail for
// authentication.

#include "engine/net/auth.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define OPTION_ZAP_ENFORCE_DOMAIN 93
#define FRAMES_MAX 8
#define KEY_BYTES 32

// How long the test at the start may take; it usually takes a few milliseconds.
#define TEST_TIMEOUT_MS 5000

struct tsi_auth {
    pthread_t thread;
    void *socket;
    uint8_t member[KEY_BYTES];
};

struct request {
    int count;
    zmq_msg_t frames[FRAMES_MAX];
};

static void
close_request(struct request *request)
{
    for (int i = 0; i < request->count; i++) {
        zmq_msg_close(&request->frames[i]);
    }
    request->count = 0;
}

// Receives one whole request; what is beyond FRAMES_MAX frames is dropped. False when the context
// ends.
static bool
receive_request(void *socket, struct request *request)
{
    bool more = true;
    request->count = 0;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, 0) < 0) {
            const bool interrupted = zmq_errno() == EINTR;
            zmq_msg_close(&frame);
            if (interrupted) {
                continue;
            }
            close_request(request);
            return false;
        }
        more = zmq_msg_more(&frame) != 0;
        if (request->count < FRAMES_MAX) {
            zmq_msg_init(&request->frames[request->count]);
            zmq_msg_move(&request->frames[request->count++], &frame);
        }
        zmq_msg_close(&frame);
    }
    return true;
}

static bool
frame_is(zmq_msg_t *frame, const void *bytes, size_t count)
{
    return zmq_msg_size(frame) == count && memcmp(zmq_msg_data(frame), bytes, count) == 0;
}

static bool
may_enter(const struct tsi_auth *auth, struct request *request)
{
    return request->count == 7 && frame_is(&request->frames[0], "1.0", 3) &&
           frame_is(&request->frames[5], "CURVE", 5) &&
           frame_is(&request->frames[6], auth->member, KEY_BYTES);
}

static void
send_answer(void *socket, struct request *request, bool enters)
{
    if (request->count < 2) {
        return;
    }
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(socket, zmq_msg_data(&request->frames[1]), zmq_msg_size(&request->frames[1]),
             ZMQ_SNDMORE);
    zmq_send(socket, enters ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(socket, "", 0, ZMQ_SNDMORE);
    zmq_send(socket, "", 0, ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0);
}

static void *
answer_requests(void *argument)
{
    struct tsi_auth *auth = argument;
    struct request request;
    while (receive_request(auth->socket, &request)) {
        send_answer(auth->socket, &request, may_enter(auth, &request));
        close_request(&request);
    }
    zmq_close(auth->socket);
    return NULL;
}

// A server socket with the same rules as tsi_net_bind() sets, watched by `*monitor`.
static void *
open_test_server(void *context, const struct tsi_connection *keys, char *address, size_t bytes,
                 void **monitor)
{
    const int one = 1;
    void *server = zmq_socket(context, ZMQ_ROUTER);
    *monitor = zmq_socket(context, ZMQ_PAIR);
    if (server == NULL || *monitor == NULL) {
        return server;
    }
    zmq_setsockopt(server, ZMQ_LINGER, &(int){0}, sizeof(int));
    zmq_setsockopt(server, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt(server, ZMQ_CURVE_SECRETKEY, keys->member_secret, TSI_KEY_TEXT - 1);
    zmq_setsockopt(server, ZMQ_ZAP_DOMAIN, TSI_AUTH_DOMAIN, strlen(TSI_AUTH_DOMAIN));
    zmq_setsockopt(server, OPTION_ZAP_ENFORCE_DOMAIN, &one, sizeof one);
    zmq_socket_monitor(server, "inproc://tessera-auth-test", ZMQ_EVENT_ALL);
    zmq_connect(*monitor, "inproc://tessera-auth-test");
    if (zmq_bind(server, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, address, &bytes) != 0) {
        address[0] = '\0';
    }
    return server;
}

static void *
open_stranger(void *context, const struct tsi_connection *keys, const char *address)
{
    char public_key[TSI_KEY_TEXT];
    char secret_key[TSI_KEY_TEXT];
    void *stranger = zmq_socket(context, ZMQ_DEALER);
    if (stranger == NULL || zmq_curve_keypair(public_key, secret_key) != 0) {
        return stranger;
    }
    zmq_setsockopt(stranger, ZMQ_LINGER, &(int){0}, sizeof(int));
    zmq_setsockopt(stranger, ZMQ_CURVE_SERVERKEY, keys->member_public, TSI_KEY_TEXT - 1);
    zmq_setsockopt(stranger, ZMQ_CURVE_PUBLICKEY, public_key, TSI_KEY_TEXT - 1);
    zmq_setsockopt(stranger, ZMQ_CURVE_SECRETKEY, secret_key, TSI_KEY_TEXT - 1);
    zmq_connect(stranger, address);
    return stranger;
}

// Whether the server's monitor tells of a handshake that failed for authentication, before one that
// succeeded.
static bool
sees_refusal(void *monitor)
{
    const uint64_t end = tsi_clock_ns() + TEST_TIMEOUT_MS * TSI_MILLISECOND;
    while (tsi_clock_ns() < end) {
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        struct request event;
        uint16_t number = 0;
        if (zmq_poll(&item, 1, 100) <= 0) {
            continue;
        }
        if (!receive_request(monitor, &event)) {
            return false;
        }
        if (zmq_msg_size(&event.frames[0]) >= sizeof number) {
            memcpy(&number, zmq_msg_data(&event.frames[0]), sizeof number);
        }
        close_request(&event);
        if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
            return true;
        }
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            return false;
        }
    }
    return false;
}

static bool
refuses_strangers(void *context, const struct tsi_connection *keys)
{
    char address[128] = "";
    void *monitor = NULL;
    void *server = open_test_server(context, keys, address, sizeof address, &monitor);
    void *stranger = address[0] != '\0' ? open_stranger(context, keys, address) : NULL;
    const bool refused = stranger != NULL && sees_refusal(monitor);
    if (server != NULL) {
        zmq_socket_monitor(server, NULL, 0);
    }
    void *const sockets[] = {stranger, monitor, server};
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
        if (sockets[i] != NULL) {
            zmq_setsockopt(sockets[i], ZMQ_LINGER, &(int){0}, sizeof(int));
            zmq_close(sockets[i]);
        }
    }
    return refused;
}

// The thread gets no signals: they are for threads of the program that uses the library.
static bool
start_thread(struct tsi_auth *auth)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool ok = pthread_create(&auth->thread, NULL, answer_requests, auth) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

struct tsi_auth *
tsi_auth_new(void *context, const struct tsi_connection *keys, struct tsi_error *error)
{
    struct tsi_auth *auth = tsi_calloc(1, sizeof *auth);
    if (auth == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "authenticator: out of memory");
        return NULL;
    }
    if (zmq_z85_decode(auth->member, keys->member_public) == NULL) {
        tsi_error_set(error, TESS_EFORMAT, "authenticator: the members' key is malformed");
        tsi_free(auth);
        return NULL;
    }
    auth->socket = zmq_socket(context, ZMQ_REP);
    if (auth->socket == NULL || zmq_bind(auth->socket, ZAP_ENDPOINT) != 0 || !start_thread(auth)) {
        tsi_error_set(error, TESS_ECONNECT, "authenticator: cannot start");
        if (auth->socket != NULL) {
            zmq_close(auth->socket);
        }
        tsi_free(auth);
        return NULL;
    }
    if (!refuses_strangers(context, keys)) {
        tsi_error_set(error, TESS_EACCESS,
                      "authenticator: a stranger's key was not refused; not starting");
        zmq_ctx_shutdown(context);
        tsi_auth_free(auth);
        return NULL;
    }
    return auth;
}

void
tsi_auth_free(struct tsi_auth *auth)
{
    if (auth != NULL) {
        pthread_join(auth->thread, NULL);
        tsi_free(auth);
    }
}
