// SPDX-License-Identifier: Apache-2.0
//
// The context and its sockets.
//
// Every option is set before a socket binds or connects. A ROUTER reports peers that are gone
// instead of dropping what is sent to them; nothing ever blocks. With keys, CURVE is on for every
// tcp socket, and a peer whose key is not the cluster's is refused by the authenticator (auth.c),
// which libzmq is told to require: without that, a missing authenticator would let everybody in. On
// ipc the kernel tells who connects; other users are refused whatever the mode of the directory.

#include "engine/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/net/auth.h"
#include "engine/net/interface.h"
#include "engine/net/ipc.h"

// Options that the header hides behind its draft switch, though the library has them.
#define OPTION_ZAP_ENFORCE_DOMAIN 93

enum {
    HANDSHAKE_MS = 5000,
    KEEPALIVE_IDLE_S = 30,
    KEEPALIVE_STEP_S = 10,
    KEEPALIVE_TRIES = 3,
    TCP_PATIENCE_MS = 60000, // that bytes wait for a peer before the connection is given up
    CONTROL_QUEUE_MESSAGES = 64,
    DATA_QUEUE_MESSAGES = 64,
    QUESTION_BYTES = 1024, // more than any GET has
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000,
    SOCKETS_MAX = 16384,
};

struct tsi_net {
    void *context;
    struct tsi_auth *auth; // NULL without keys
    struct tsi_connection keys;
    char scheduler_secret[TSI_KEY_TEXT]; // "" but in the scheduler
};

static tess_status
fail_zmq(struct tsi_error *error, const char *what, const char *address)
{
    // What ZeroMQ says of a name that it cannot resolve, "No such device", misleads.
    const char *text = errno == ENODEV ? "no such host or interface" : zmq_strerror(errno);
    return tsi_error_set(error, errno == ENOMEM ? TESS_ENOMEM : TESS_ECONNECT, "%s %s: %s", what,
                         address, text);
}

static void
set_int(void *socket, int option, int value, bool *ok)
{
    *ok = zmq_setsockopt(socket, option, &value, sizeof value) == 0 && *ok;
}

static void
set_text(void *socket, int option, const char *value, bool *ok)
{
    *ok = zmq_setsockopt(socket, option, value, strlen(value)) == 0 && *ok;
}

// No heartbeats of the transport: with a bounded queue, libzmq 4.3.4 aborts the process when a
// connection breaks while reading from it is paused and a heartbeat is due (libzmq issues 3937 and
// 4364). Members send signs of life of their own.
static void
set_limits(void *socket, enum tsi_net_use use, bool *ok)
{
    const int64_t most = use == TSI_NET_CONTROL ? (int64_t)TSI_WIRE_MESSAGE_MAX
                                                : (int64_t)TSI_WIRE_SEGMENT_MAX + 4096;
    *ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0 && *ok;
    set_int(socket, ZMQ_LINGER, 0, ok);
    set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS, ok);
    set_int(socket, ZMQ_TCP_KEEPALIVE, 1, ok);
    set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S, ok);
    set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_STEP_S, ok);
    set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_TRIES, ok);
    set_int(socket, ZMQ_TCP_MAXRT, TCP_PATIENCE_MS, ok);
    set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS, ok);
    set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS, ok);
    if (use == TSI_NET_CONTROL) {
        set_int(socket, ZMQ_SNDHWM, 0, ok);
        set_int(socket, ZMQ_RCVHWM, CONTROL_QUEUE_MESSAGES, ok);
    } else {
        set_int(socket, ZMQ_SNDHWM, DATA_QUEUE_MESSAGES, ok);
        set_int(socket, ZMQ_RCVHWM, DATA_QUEUE_MESSAGES, ok);
    }
}

static bool
is_tcp(const char *address)
{
    return strncmp(address, "tcp://", 6) == 0;
}

// Whether the host of a tcp address is a number such as 127.0.0.1.
static bool
is_ipv4(const char *address)
{
    char host[TSI_WIRE_ENDPOINT_MAX];
    struct in_addr number;
    tsi_address_host(address, host, sizeof host);
    return inet_pton(AF_INET, host, &number) == 1;
}

static void
set_server_keys(const struct tsi_net *net, void *socket, enum tsi_net_use use, bool *ok)
{
    const bool is_scheduler = use == TSI_NET_CONTROL && net->scheduler_secret[0] != '\0';
    set_int(socket, ZMQ_CURVE_SERVER, 1, ok);
    set_text(socket, ZMQ_CURVE_SECRETKEY,
             is_scheduler ? net->scheduler_secret : net->keys.member_secret, ok);
    set_text(socket, ZMQ_ZAP_DOMAIN, TSI_AUTH_DOMAIN, ok);
    set_int(socket, OPTION_ZAP_ENFORCE_DOMAIN, 1, ok);
}

static void
set_client_keys(const struct tsi_net *net, void *socket, const char *server_public, bool *ok)
{
    set_text(socket, ZMQ_CURVE_SERVERKEY, server_public, ok);
    set_text(socket, ZMQ_CURVE_PUBLICKEY, net->keys.member_public, ok);
    set_text(socket, ZMQ_CURVE_SECRETKEY, net->keys.member_secret, ok);
}

// Tcp without keys needs somebody's word for it.
static bool
goes_open(const struct tsi_net *net, const char *address)
{
    return is_tcp(address) && !net->keys.has_keys && !net->keys.insecure;
}

// Whether `address` may be listened at. libzmq would take the name of an ipc socket that is in use
// away from whoever listens there.
static tess_status
check_address(const struct tsi_net *net, const char *address, struct tsi_error *error)
{
    const char *path = tsi_ipc_path(address);
    if (goes_open(net, address)) {
        return tsi_error_set(
            error, TESS_EACCESS,
            "cannot listen at %s: there are no keys, and nothing says that it is --insecure",
            address);
    }
    if (path == NULL && !is_tcp(address)) {
        return tsi_error_set(error, TESS_EINVAL, "cannot listen at %s: neither tcp:// nor ipc://",
                             address);
    }
    if (tsi_ipc_is_abstract(address)) {
        return tsi_error_set(
            error, TESS_EACCESS,
            "cannot listen at %s: an abstract name is not protected by a directory", address);
    }
    if (path != NULL && tsi_ipc_is_live(path)) {
        return tsi_error_set(error, TESS_ECONNECT, "cannot listen at %s: somebody listens there",
                             address);
    }
    return TESS_OK;
}

static void
set_server_rules(const struct tsi_net *net, void *socket, enum tsi_net_use use, const char *address,
                 bool *ok)
{
    const uid_t user = geteuid();
    const int64_t question = QUESTION_BYTES;
    set_limits(socket, use, ok);
    if (use == TSI_NET_DATA) {
        *ok = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &question, sizeof question) == 0 && *ok;
    }
    // A socket of both families would tell its IPv4 address as that of a mapped IPv6 one, which is
    // not the address that people know.
    set_int(socket, ZMQ_IPV6, is_ipv4(address) ? 0 : 1, ok);
    set_int(socket, ZMQ_ROUTER_MANDATORY, 1, ok);
    if (!is_tcp(address)) {
        *ok = zmq_setsockopt(socket, ZMQ_IPC_FILTER_UID, &user, sizeof user) == 0 && *ok;
    } else if (net->keys.has_keys) {
        set_server_keys(net, socket, use, ok);
    }
}

// Whether libzmq says of itself that it will ask the authenticator about whoever connects: asked
// anew of each socket, since one that is not guarded takes everybody without a word.
static bool
is_guarded(void *socket)
{
    char domain[64] = "";
    int server = 0;
    int mechanism = 0;
    int enforces = 0;
    size_t domain_bytes = sizeof domain;
    size_t bytes[] = {sizeof(int), sizeof(int), sizeof(int)};
    return zmq_getsockopt(socket, ZMQ_CURVE_SERVER, &server, &bytes[0]) == 0 && server == 1 &&
           zmq_getsockopt(socket, ZMQ_MECHANISM, &mechanism, &bytes[1]) == 0 &&
           mechanism == ZMQ_CURVE &&
           zmq_getsockopt(socket, OPTION_ZAP_ENFORCE_DOMAIN, &enforces, &bytes[2]) == 0 &&
           enforces == 1 && zmq_getsockopt(socket, ZMQ_ZAP_DOMAIN, domain, &domain_bytes) == 0 &&
           strcmp(domain, TSI_AUTH_DOMAIN) == 0;
}

void *
tsi_net_bind(struct tsi_net *net, enum tsi_net_use use, const char *address, char *bound,
             size_t bound_bytes, struct tsi_error *error)
{
    bool ok = true;
    if (check_address(net, address, error) != TESS_OK) {
        return NULL;
    }
    void *socket = zmq_socket(net->context, ZMQ_ROUTER);
    if (socket == NULL) {
        fail_zmq(error, "cannot open a socket for", address);
        return NULL;
    }
    set_server_rules(net, socket, use, address, &ok);
    if (ok && is_tcp(address) && net->keys.has_keys && !is_guarded(socket)) {
        tsi_error_set(error, TESS_EACCESS, "cannot listen at %s: the socket would let strangers in",
                      address);
        zmq_close(socket);
        return NULL;
    }
    ok = ok && zmq_bind(socket, address) == 0 &&
         zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &bound_bytes) == 0;
    if (!ok) {
        fail_zmq(error, "cannot listen at", address);
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

void *
tsi_net_connect(struct tsi_net *net, enum tsi_net_use use, const char *address,
                const char *server_public, struct tsi_error *error)
{
    bool ok = true;
    const bool has_key = server_public != NULL && server_public[0] != '\0';
    if (is_tcp(address) && !has_key && !net->keys.insecure) {
        tsi_error_set(error, TESS_EACCESS, "cannot connect to %s: its key is not known", address);
        return NULL;
    }
    void *socket = zmq_socket(net->context, ZMQ_DEALER);
    if (socket == NULL) {
        fail_zmq(error, "cannot open a socket for", address);
        return NULL;
    }
    set_limits(socket, use, &ok);
    set_int(socket, ZMQ_IPV6, 1, &ok);
    if (is_tcp(address) && has_key) {
        set_client_keys(net, socket, server_public, &ok);
    }
    if (!ok || zmq_connect(socket, address) != 0) {
        fail_zmq(error, "cannot connect to", address);
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

// Removes the file of a bound ipc socket.
static void
remove_file(void *socket)
{
    char address[TSI_WIRE_ENDPOINT_MAX];
    size_t bytes = sizeof address;
    int type = 0;
    size_t type_bytes = sizeof type;
    if (zmq_getsockopt(socket, ZMQ_TYPE, &type, &type_bytes) == 0 && type == ZMQ_ROUTER &&
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, address, &bytes) == 0 &&
        tsi_ipc_path(address) != NULL) {
        unlink(tsi_ipc_path(address));
    }
}

void
tsi_net_close(void *socket, int linger_ms)
{
    if (socket != NULL) {
        remove_file(socket);
        zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(socket);
    }
}

void *
tsi_net_monitor(struct tsi_net *net, void *socket, struct tsi_error *error)
{
    static atomic_uint counter;
    char address[64];
    snprintf(address, sizeof address, "inproc://monitor-%u", atomic_fetch_add(&counter, 1));
    void *monitor = NULL;
    if (zmq_socket_monitor(socket, address, ZMQ_EVENT_DISCONNECTED) == 0) {
        monitor = zmq_socket(net->context, ZMQ_PAIR);
    }
    if (monitor == NULL || zmq_connect(monitor, address) != 0) {
        fail_zmq(error, "cannot watch", "connections");
        tsi_net_unwatch(socket, monitor);
        return NULL;
    }
    return monitor;
}

void
tsi_net_unwatch(void *socket, void *monitor)
{
    if (socket != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
    }
    tsi_net_close(monitor, 0);
}

bool
tsi_net_broke(void *monitor)
{
    bool broke = false;
    zmq_msg_t frames[2];
    int count;
    while ((count = tsi_net_receive(monitor, NULL, frames, 2)) > 0) {
        broke = true;
        tsi_net_close_frames(frames, count);
    }
    return broke;
}

tess_status
tsi_net_make_keys(struct tsi_connection *connection, char scheduler_secret[TSI_KEY_TEXT],
                  struct tsi_error *error)
{
    if (zmq_curve_keypair(connection->scheduler_public, scheduler_secret) != 0 ||
        zmq_curve_keypair(connection->member_public, connection->member_secret) != 0) {
        return fail_zmq(error, "cannot make", "CURVE keys");
    }
    connection->has_keys = true;
    return TESS_OK;
}

// libzmq starts another library, for multicast, with the first context of a process and ends it
// with the last one, by a count without a lock: while one thread ends it, another may start it, and
// both write the same variables. A context that stays keeps it from ending; it has no sockets, and
// so no threads, and one descriptor.
static void *lasting_context;

static void
make_lasting_context(void)
{
    lasting_context = zmq_ctx_new();
}

static void *
new_context(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_lasting_context);
    return lasting_context != NULL ? zmq_ctx_new() : NULL;
}

struct tsi_net *
tsi_net_new(const struct tsi_connection *connection, const char *scheduler_secret,
            struct tsi_error *error)
{
    struct tsi_net *net = tsi_calloc(1, sizeof *net);
    if (net == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "network: out of memory");
        return NULL;
    }
    net->keys = *connection;
    snprintf(net->scheduler_secret, sizeof net->scheduler_secret, "%s",
             scheduler_secret != NULL ? scheduler_secret : "");
    net->context = new_context();
    if (net->context == NULL) {
        fail_zmq(error, "cannot start", "ZeroMQ");
        tsi_net_free(net);
        return NULL;
    }
    zmq_ctx_set(net->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    if (connection->has_keys) {
        net->auth = tsi_auth_new(net->context, &net->keys, error);
        if (net->auth == NULL) {
            tsi_net_free(net);
            return NULL;
        }
    }
    return net;
}

void
tsi_net_free(struct tsi_net *net)
{
    if (net == NULL) {
        return;
    }
    if (net->context != NULL) {
        zmq_ctx_shutdown(net->context);
        tsi_auth_free(net->auth);
        zmq_ctx_term(net->context);
    }
    explicit_bzero(net, sizeof *net); // the keys
    tsi_free(net);
}

bool
tsi_net_encrypts(const struct tsi_net *net, const char *address)
{
    return is_tcp(address) && net->keys.has_keys;
}

const char *
tsi_net_member_public(const struct tsi_net *net)
{
    return net->keys.has_keys ? net->keys.member_public : "";
}

tess_status
tsi_net_data_address(const char *like, const char *host, char *out, size_t bytes,
                     struct tsi_error *error)
{
    static atomic_uint counter;
    char directory[TSI_WIRE_ENDPOINT_MAX];
    if (is_tcp(like)) {
        const bool is_bare = strchr(host, ':') != NULL && host[0] != '[';
        snprintf(out, bytes, is_bare ? "tcp://[%s]:*" : "tcp://%s:*", host);
        return TESS_OK;
    }
    const tess_status status = tsi_connection_directory(directory, sizeof directory, error);
    if (status != TESS_OK) {
        return status;
    }
    tsi_ipc_sweep(directory);
    const int length = snprintf(out, bytes, "ipc://%s/d%ld-%u-%llx", directory, (long)getpid(),
                                atomic_fetch_add(&counter, 1),
                                (unsigned long long)(tsi_clock_wall_ns() / 1000 & 0xffffff));
    if (length < 0 || (size_t)length >= bytes) {
        return tsi_error_set(error, TESS_ELIMIT, "%s: too long for a socket's path", directory);
    }
    return TESS_OK;
}
