// SPDX-License-Identifier: Apache-2.0
//
// What a socket of the kernel carries: two processes send an array, half of it each, to a third
// one, which has a thread for each of them and receives into the array's place.

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/limit/limit.h"

#define SENDERS 2

enum { UNIX, TCP };
static const char *const jobs[] = {"unix", "tcp", NULL};

struct work {
    int job;
    int64_t size;
    int threads;
    char *to;
    int sockets[SENDERS];
    pid_t senders[SENDERS];
    int failed[SENDERS];
};

// The bytes that one of them sends are those from its own number on to that of the next.
static size_t
start_of(const struct work *work, int sender)
{
    return (size_t)limit_part(work->size, 1, sender, SENDERS) * sizeof(double);
}

static void
connect_tcp(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || pair[1] < 0 || bind(listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0 ||
        connect(pair[1], (struct sockaddr *)&address, bytes) != 0 ||
        (pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        exit(limit_fail("a socket could not be opened"));
    }
    close(listener);
}

// Sends its part each time that it gets a byte, until the other end is closed.
static _Noreturn void
send_parts(int socket, size_t bytes)
{
    char word;
    const char *data = (const char *)limit_numbers((int64_t)(bytes / sizeof(double)) + 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (recv(socket, &word, 1, 0) == 1) {
        size_t sent = 0;
        while (sent < bytes) {
            const ssize_t count = send(socket, data + sent, bytes - sent, MSG_NOSIGNAL);
            if (count <= 0) {
                _exit(EXIT_FAILURE);
            }
            sent += (size_t)count;
        }
    }
    _exit(EXIT_SUCCESS);
}

static void
start_sender(struct work *work, int sender)
{
    int pair[2];
    const size_t bytes = start_of(work, sender + 1) - start_of(work, sender);
    if (work->job == TCP) {
        connect_tcp(pair);
    } else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        exit(limit_fail("a socket could not be opened"));
    }
    work->senders[sender] = fork();
    if (work->senders[sender] == 0) {
        close(pair[0]);
        send_parts(pair[1], bytes);
    }
    close(pair[1]);
    work->sockets[sender] = pair[0];
}

static void
receive_part(void *state, int sender, int senders)
{
    struct work *work = state;
    size_t at = start_of(work, sender);
    const size_t end = start_of(work, sender + 1);
    (void)senders;
    work->failed[sender] = send(work->sockets[sender], "", 1, MSG_NOSIGNAL) != 1;
    while (at < end && !work->failed[sender]) {
        const ssize_t count = recv(work->sockets[sender], work->to + at, end - at, 0);
        work->failed[sender] = count <= 0;
        at += count > 0 ? (size_t)count : 0;
    }
}

// Bytes a second.
static double
run(void *state)
{
    struct work *work = state;
    const double start = limit_now();
    limit_parallel(SENDERS, receive_part, work);
    const double seconds = limit_now() - start;
    for (int i = 0; i < SENDERS; i++) {
        if (work->failed[i]) {
            return -1;
        }
    }
    return (double)start_of(work, SENDERS) / seconds;
}

int
main(int argc, char **argv)
{
    static struct work work;
    const int code = limit_arguments(argc, argv, jobs, &work.job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    // Before there is memory that they would have to copy.
    for (int i = 0; i < SENDERS; i++) {
        start_sender(&work, i);
    }
    work.to = (char *)limit_numbers(work.size);
    const int end = limit_serve(run, &work);
    for (int i = 0; i < SENDERS; i++) {
        shutdown(work.sockets[i], SHUT_RDWR);
        waitpid(work.senders[i], NULL, 0);
    }
    free(work.to);
    return end;
}
