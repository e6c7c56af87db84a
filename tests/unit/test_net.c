// SPDX-License-Identifier: Apache-2.0
//
// Sockets and addresses: who is reached where, which files of sockets are taken away, and that
// watching a socket can end without harm. Chunks and strangers are for tests/race.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/interface.h"
#include "engine/net/ipc.h"
#include "engine/net/net.h"

static char directory[256];

static void
begin(void)
{
    snprintf(directory, sizeof directory, "/tmp/tessera-test-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    setenv("XDG_RUNTIME_DIR", directory, 1);
}

static void
end(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0) {
        fprintf(stderr, "%s stays\n", directory);
    }
}

TestSuite(net, .init = begin, .fini = end);

Test(net, the_host_of_an_address)
{
    static const char *const cases[][2] = {
        {"tcp://node7:8786", "node7"},
        {"tcp://10.0.0.1:1", "10.0.0.1"},
        {"tcp://[fe80::1]:1", "fe80::1"},
        {"tcp://nothing", ""},
        {"ipc:///x/y", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char host[64];
        tsi_address_host(cases[i][0], host, sizeof host);
        cr_assert(strcmp(host, cases[i][1]) == 0, "%s gives %s", cases[i][0], host);
    }
    char small[4];
    tsi_address_host("tcp://a-long-name:1", small, sizeof small);
    cr_assert(small[0] == '\0', "no room");
}

Test(net, addresses_of_interfaces_and_routes)
{
    struct tsi_error error;
    char out[64];
    cr_assert(tsi_interface_address("lo", out, sizeof out, &error) == TESS_OK, "%s", error.text);
    cr_assert(strcmp(out, "127.0.0.1") == 0, "%s", out);
    cr_assert(tsi_interface_address("nosuch0", out, sizeof out, &error) == TESS_EINVAL);
    cr_assert(strstr(error.text, "nosuch0") != NULL, "%s", error.text);
    tsi_address_towards("tcp://127.0.0.1:8786", out, sizeof out);
    cr_assert(strcmp(out, "127.0.0.1") == 0, "%s", out);
    tsi_address_towards("ipc:///x", out, sizeof out);
    cr_assert(strcmp(out, "127.0.0.1") == 0, "%s", out);
}

Test(net, data_sockets_are_reached_as_the_scheduler_is)
{
    char out[256];
    char other[256];
    struct tsi_error error;
    cr_assert(tsi_net_data_address("tcp://h:1", "10.1.2.3", out, sizeof out, &error) == TESS_OK);
    cr_assert(strcmp(out, "tcp://10.1.2.3:*") == 0, "%s", out);
    cr_assert(tsi_net_data_address("tcp://h:1", "fe80::1", out, sizeof out, &error) == TESS_OK);
    cr_assert(strcmp(out, "tcp://[fe80::1]:*") == 0, "%s", out);
    cr_assert(tsi_net_data_address("ipc:///x", "", out, sizeof out, &error) == TESS_OK);
    cr_assert(tsi_net_data_address("ipc:///x", "", other, sizeof other, &error) == TESS_OK);
    cr_assert(strncmp(out, "ipc:///tmp/tessera-test-", 24) == 0 && strcmp(out, other) != 0);
    cr_assert(tsi_net_data_address("ipc:///x", "", out, 20, &error) == TESS_ELIMIT);
}

Test(net, the_identity_of_a_host_stays)
{
    char one[TSI_WIRE_NAME_MAX + 1];
    char two[TSI_WIRE_NAME_MAX + 1];
    tsi_net_host_identity(one, sizeof one);
    tsi_net_host_identity(two, sizeof two);
    cr_assert(strcmp(one, two) == 0 && strlen(one) > 30 && strlen(one) < TSI_WIRE_NAME_MAX);
}

// A socket of the given name in the test's directory; listened at or not.
static int
make_socket(const char *name, char *path, size_t bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, bytes, "%s/%s", directory, name);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int file = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(bind(file, (struct sockaddr *)&address, sizeof address) == 0);
    return file;
}

static bool
is_there(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static pid_t
dead_process(void)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return child;
}

Test(net, only_dead_sockets_are_swept_away)
{
    char name[64];
    char dead[300];
    char listening[300];
    char of_the_living[300];
    char other[300];
    char text[300];
    const long pid = (long)dead_process();
    snprintf(name, sizeof name, "d%ld-0-abc", pid);
    close(make_socket(name, dead, sizeof dead));
    snprintf(name, sizeof name, "d%ld-1-abc", pid);
    const int file = make_socket(name, listening, sizeof listening);
    cr_assert(listen(file, 1) == 0);
    snprintf(name, sizeof name, "s%ld", (long)getpid());
    close(make_socket(name, of_the_living, sizeof of_the_living));
    snprintf(name, sizeof name, "x%ld", pid);
    close(make_socket(name, other, sizeof other));
    snprintf(text, sizeof text, "%s/s%ld", directory, pid);
    fclose(fopen(text, "w"));

    cr_assert(!tsi_ipc_is_live(dead) && tsi_ipc_is_live(listening));
    tsi_ipc_sweep(directory);
    cr_assert(!is_there(dead), "nobody listens there, and nobody will");
    cr_assert(is_there(listening) && is_there(of_the_living) && is_there(other) && is_there(text));
    close(file);
    tsi_ipc_sweep("/no/such/place");
}

Test(net, kinds_of_ipc_addresses)
{
    cr_assert(strcmp(tsi_ipc_path("ipc:///a"), "/a") == 0 && tsi_ipc_path("tcp://a:1") == NULL);
    cr_assert(tsi_ipc_is_abstract("ipc://@a") && !tsi_ipc_is_abstract("ipc:///@a"));
    char path[300];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert(!tsi_ipc_is_live(path), "longer than any socket's name");
}

// Waits until a message of one byte arrives; 0 if none does.
static char
receive(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    struct tsi_route route;
    zmq_msg_t frame;
    if (zmq_poll(&item, 1, 3000) != 1 || tsi_net_receive(socket, &route, &frame, 1) != 1) {
        return 0;
    }
    const char byte = *(const char *)zmq_msg_data(&frame);
    zmq_msg_close(&frame);
    return byte;
}

Test(net, a_broken_connection_is_noticed_and_watching_can_end)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[256];
    char bound[256];
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    struct tsi_net *peers = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    void *server = tsi_net_bind(net, TSI_NET_CONTROL, address, bound, sizeof bound, &error);
    cr_assert(server != NULL && strcmp(address, bound) == 0, "%s", error.text);
    void *monitor = tsi_net_monitor(net, server, &error);
    void *first = tsi_net_connect(peers, TSI_NET_CONTROL, bound, NULL, &error);
    void *second = tsi_net_connect(peers, TSI_NET_CONTROL, bound, NULL, &error);
    cr_assert(monitor != NULL && first != NULL && second != NULL, "%s", error.text);
    cr_assert(tsi_net_send(first, NULL, "1", 1) && receive(server) == '1');
    cr_assert(tsi_net_send(second, NULL, "2", 1) && receive(server) == '2');
    cr_assert(!tsi_net_broke(monitor));

    tsi_net_close(first, 0);
    zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
    cr_assert(zmq_poll(&item, 1, 3000) == 1 && tsi_net_broke(monitor) && !tsi_net_broke(monitor));

    // Nobody reads events any more, and another connection breaks: the rest must go on.
    tsi_net_unwatch(server, monitor);
    void *third = tsi_net_connect(peers, TSI_NET_CONTROL, bound, NULL, &error);
    cr_assert(tsi_net_send(third, NULL, "3", 1) && receive(server) == '3');
    tsi_net_close(second, 0);
    zmq_poll(NULL, 0, 100);
    cr_assert(tsi_net_send(third, NULL, "4", 1) && receive(server) == '4');

    tsi_net_close(third, 0);
    tsi_net_close(server, 0);
    cr_assert(!is_there(bound + 6), "the socket's file goes with it");
    tsi_net_close(NULL, 0);
    tsi_net_unwatch(NULL, NULL);
    tsi_net_free(peers);
    tsi_net_free(net);
    tsi_net_free(NULL);
}

Test(net, tcp_is_open_only_where_somebody_says_so)
{
    struct tsi_connection connection = {.epoch = 1};
    const enum tsi_net_use uses[] = {TSI_NET_CONTROL, TSI_NET_DATA};
    struct tsi_error error;
    char bound[256];
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    connection.insecure = true;
    struct tsi_net *open = tsi_net_new(&connection, NULL, &error);
    cr_assert(net != NULL && open != NULL, "%s", error.text);
    for (int i = 0; i < 2; i++) {
        cr_assert(tsi_net_bind(net, uses[i], "tcp://127.0.0.1:*", bound, sizeof bound, &error) ==
                  NULL);
        cr_assert(error.status == TESS_EACCESS && strstr(error.text, "--insecure") != NULL, "%s",
                  error.text);
        cr_assert(tsi_net_connect(net, uses[i], "tcp://127.0.0.1:9", NULL, &error) == NULL &&
                  error.status == TESS_EACCESS);
        void *server =
            tsi_net_bind(open, uses[i], "tcp://127.0.0.1:*", bound, sizeof bound, &error);
        void *client = tsi_net_connect(open, uses[i], bound, NULL, &error);
        cr_assert(server != NULL && client != NULL, "%s", error.text);
        cr_assert(tsi_net_send(client, NULL, "1", 1) && receive(server) == '1');
        tsi_net_close(client, 0);
        tsi_net_close(server, 0);
    }
    tsi_net_free(open);
    tsi_net_free(net);
}

static int64_t
longest(void *socket)
{
    int64_t bytes = -1;
    size_t size = sizeof bytes;
    cr_assert(zmq_getsockopt(socket, ZMQ_MAXMSGSIZE, &bytes, &size) == 0);
    return bytes;
}

// Nobody makes a process take memory for a message that no member sends.
Test(net, every_socket_has_a_longest_message)
{
    const struct tsi_connection connection = {.epoch = 1, .insecure = true};
    const enum tsi_net_use uses[] = {TSI_NET_CONTROL, TSI_NET_DATA};
    const int64_t most[2][2] = {{TSI_WIRE_MESSAGE_MAX, TSI_WIRE_MESSAGE_MAX},
                                {1024, TSI_WIRE_SEGMENT_MAX + 4096}};
    struct tsi_error error;
    char bound[256];
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    cr_assert(net != NULL, "%s", error.text);
    for (int i = 0; i < 2; i++) {
        void *server = tsi_net_bind(net, uses[i], "tcp://127.0.0.1:*", bound, sizeof bound, &error);
        void *client = tsi_net_connect(net, uses[i], bound, NULL, &error);
        cr_assert(server != NULL && client != NULL, "%s", error.text);
        cr_assert(longest(server) == most[i][0] && longest(client) == most[i][1]);
        tsi_net_close(client, 0);
        tsi_net_close(server, 0);
    }
    void *server =
        tsi_net_bind(net, TSI_NET_DATA, "tcp://127.0.0.1:*", bound, sizeof bound, &error);
    void *large = tsi_net_connect(net, TSI_NET_DATA, bound, NULL, &error);
    void *small = tsi_net_connect(net, TSI_NET_DATA, bound, NULL, &error);
    char *bytes = calloc(4096, 1);
    cr_assert(server != NULL && large != NULL && small != NULL && bytes != NULL);
    bytes[0] = '2';
    cr_assert(tsi_net_send(large, NULL, bytes, 4096));
    zmq_poll(NULL, 0, 200); // it would be there before the other one
    cr_assert(tsi_net_send(small, NULL, "1", 1));
    cr_assert(receive(server) == '1', "a message that is too long came through");
    free(bytes);
    tsi_net_close(small, 0);
    tsi_net_close(large, 0);
    tsi_net_close(server, 0);
    tsi_net_free(net);
}

// A peer may choose its own name, also one that is longer than those that libzmq gives.
// How many messages of `bytes` somebody can send to `address` whom nobody reads.
static int
send_unread(const char *address, size_t bytes, int most)
{
    static const char message[1 << 16];
    const int few = 1;
    const int linger = 0;
    const int patience_ms = 300;
    int sent = 0;
    void *context = zmq_ctx_new();
    void *peer = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(peer, ZMQ_SNDHWM, &few, sizeof few);
    zmq_setsockopt(peer, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(peer, ZMQ_SNDTIMEO, &patience_ms, sizeof patience_ms);
    cr_assert(zmq_connect(peer, address) == 0);
    while (sent < most && zmq_send(peer, message, bytes, 0) >= 0) {
        sent++;
    }
    zmq_close(peer);
    zmq_ctx_term(context);
    return sent;
}

// Of somebody who is not heard just now 64 messages are taken in, and what the kernel holds.
Test(net, every_socket_takes_in_so_many_messages)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[256];
    char bound[256];
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    void *control = tsi_net_bind(net, TSI_NET_CONTROL, address, bound, sizeof bound, &error);
    const int of_control = send_unread(bound, 1 << 16, 2000);
    cr_assert(of_control >= 64 && of_control < 90, "%d messages", of_control);
    tsi_net_close(control, 0);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    void *data = tsi_net_bind(net, TSI_NET_DATA, address, bound, sizeof bound, &error);
    const int of_data = send_unread(bound, 1000, 20000);
    cr_assert(of_data >= 64 && of_data < 2000, "%d messages", of_data);
    tsi_net_close(data, 0);
    tsi_net_free(net);
}

Test(net, names_that_peers_choose_do_no_harm)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[256];
    char bound[256];
    char name[200];
    memset(name, 'n', sizeof name);
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    void *server = tsi_net_bind(net, TSI_NET_CONTROL, address, bound, sizeof bound, &error);
    void *context = zmq_ctx_new();
    void *peer = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(peer, ZMQ_ROUTING_ID, name, sizeof name);
    cr_assert(zmq_connect(peer, bound) == 0 && zmq_send(peer, "a", 1, ZMQ_SNDMORE) == 1 &&
              zmq_send(peer, "b", 1, 0) == 1);
    zmq_pollitem_t item = {.socket = server, .events = ZMQ_POLLIN};
    struct tsi_route route;
    zmq_msg_t frames[1];
    cr_assert(zmq_poll(&item, 1, 3000) == 1);
    cr_assert(tsi_net_receive(server, &route, frames, 1) == 1, "further frames are dropped");
    cr_assert(route.count == 0 && *(const char *)zmq_msg_data(&frames[0]) == 'a');
    tsi_net_close_frames(frames, 1);
    cr_assert(tsi_net_receive(server, &route, frames, 1) == 0);
    cr_assert(!tsi_net_send(server, &route, "c", 1));
    tsi_net_close(peer, 0);
    zmq_ctx_term(context);
    tsi_net_close(server, 0);
    tsi_net_free(net);
}

// As many as a receiver takes, and one that is a message of its own.
Test(net, parts_of_a_message_arrive_in_order_and_whole)
{
    const struct tsi_connection connection = {.epoch = 1};
    struct tsi_error error;
    char address[256];
    char bound[256];
    struct tsi_net *net = tsi_net_new(&connection, NULL, &error);
    cr_assert(tsi_net_data_address("ipc:///x", "", address, sizeof address, &error) == TESS_OK);
    void *server = tsi_net_bind(net, TSI_NET_CONTROL, address, bound, sizeof bound, &error);
    void *client = tsi_net_connect(net, TSI_NET_CONTROL, bound, NULL, &error);
    cr_assert(server != NULL && client != NULL, "%s", error.text);
    for (int i = 0; i < TSI_NET_FRAMES_MAX + 1; i++) {
        zmq_msg_t frame;
        zmq_msg_init_size(&frame, 1);
        *(char *)zmq_msg_data(&frame) = (char)('a' + i);
        cr_assert(tsi_net_send_part(client, NULL, &frame, i < TSI_NET_FRAMES_MAX - 1));
    }
    const int counts[] = {TSI_NET_FRAMES_MAX, 1};
    char next = 'a';
    for (int i = 0; i < 2; i++) {
        zmq_pollitem_t item = {.socket = server, .events = ZMQ_POLLIN};
        struct tsi_route route;
        zmq_msg_t frames[TSI_NET_FRAMES_MAX];
        cr_assert(zmq_poll(&item, 1, 3000) == 1);
        cr_assert(tsi_net_receive(server, &route, frames, TSI_NET_FRAMES_MAX) == counts[i]);
        cr_assert(tsi_net_is_own_route(&route));
        for (int k = 0; k < counts[i]; k++) {
            cr_assert(*(const char *)zmq_msg_data(&frames[k]) == next++);
        }
        tsi_net_close_frames(frames, counts[i]);
    }
    tsi_net_close(client, 0);
    tsi_net_close(server, 0);
    tsi_net_free(net);
}
