// SPDX-License-Identifier: Apache-2.0
//
// ZeroMQ alone on the way that a tiny compute takes: from this process to a second one, from there
// to a third, and back over both, over Unix sockets.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "bench/limit/limit.h"

#define MESSAGE_BYTES 32

enum { P50, P99 };
static const char *const jobs[] = {"p50", "p99", NULL};

struct work {
    int job;
    int64_t size;
    int threads;
    char near[64];
    char far[64];
    void *socket;
    double *times;
};

static void *
open_socket(const char *address, int listens)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PAIR);
    const int failed = listens ? zmq_bind(socket, address) : zmq_connect(socket, address);
    if (failed != 0) {
        exit(limit_fail("a socket could not be opened"));
    }
    return socket;
}

static _Noreturn void
echo(const char *address)
{
    char message[MESSAGE_BYTES];
    void *socket = open_socket(address, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        zmq_recv(socket, message, sizeof message, 0);
        zmq_send(socket, message, sizeof message, 0);
    }
}

static _Noreturn void
forward(const struct work *work)
{
    char message[MESSAGE_BYTES];
    void *near = open_socket(work->near, 0);
    void *far = open_socket(work->far, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    zmq_pollitem_t items[] = {{near, 0, ZMQ_POLLIN, 0}, {far, 0, ZMQ_POLLIN, 0}};
    while (zmq_poll(items, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            if ((items[i].revents & ZMQ_POLLIN) != 0) {
                zmq_recv(items[i].socket, message, sizeof message, 0);
                zmq_send(items[1 - i].socket, message, sizeof message, 0);
            }
        }
    }
    _exit(EXIT_FAILURE);
}

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double
run(void *state)
{
    struct work *work = state;
    char message[MESSAGE_BYTES] = "";
    for (int64_t i = 0; i < work->size; i++) {
        const double start = limit_now();
        if (zmq_send(work->socket, message, sizeof message, 0) < 0 ||
            zmq_recv(work->socket, message, sizeof message, 0) < 0) {
            return -1;
        }
        work->times[i] = limit_now() - start;
    }
    qsort(work->times, (size_t)work->size, sizeof(double), compare);
    return work->times[(work->size - 1) * (work->job == P50 ? 50 : 99) / 100];
}

int
main(int argc, char **argv)
{
    static struct work work;
    const int code = limit_arguments(argc, argv, jobs, &work.job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    snprintf(work.near, sizeof work.near, "ipc:///tmp/tessera-limit-%d-near", (int)getpid());
    snprintf(work.far, sizeof work.far, "ipc:///tmp/tessera-limit-%d-far", (int)getpid());
    work.times = limit_numbers(work.size);
    const pid_t middle = fork();
    if (middle == 0) {
        forward(&work);
    }
    const pid_t end = fork();
    if (end == 0) {
        echo(work.far);
    }
    work.socket = open_socket(work.near, 1);
    const int result = limit_serve(run, &work);
    kill(end, SIGKILL);
    kill(middle, SIGKILL);
    waitpid(end, NULL, 0);
    waitpid(middle, NULL, 0);
    unlink(work.near + strlen("ipc://"));
    unlink(work.far + strlen("ipc://"));
    free(work.times);
    return result;
}
