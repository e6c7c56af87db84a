// SPDX-License-Identifier: Apache-2.0
//
// Only a parent learns from the kernel how a process ended. The child is this program executed
// anew: a fork alone would not take along the threads that libraries may have. It has a process
// group of its own, so that a signal from the terminal reaches it once, through its parent, and the
// kernel kills it when its parent dies.
//
// The kernel counts the processes that it killed for want of memory for the machine as a whole, so
// the text says what is known and no more.

#include "worker/daemon/nanny.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/signals.h"
#include "engine/net/net.h"
#include "worker/daemon/loop.h"

#define MARK "TESSERA_WORKER_IS_WATCHED"

enum { LINGER_MS = 1000, EXIT_BY_SIGNAL = 128 };

bool
tsi_nanny_watches(void)
{
    static int watched = -1;
    if (watched < 0) {
        watched = getenv(MARK) != NULL ? 1 : 0;
        unsetenv(MARK);
    }
    return watched == 1;
}

// Processes that the kernel has killed for want of memory since the machine started.
static unsigned long long
count_memory_kills(void)
{
    char line[256];
    unsigned long long count = 0;
    FILE *file = fopen("/proc/vmstat", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "oom_kill %llu", &count) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

// In the child: becomes the worker.
static void
become_worker(char **argv, pid_t parent)
{
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        setenv(MARK, "1", 1) == 0) {
        execv("/proc/self/exe", argv);
    }
    _exit(EXIT_FAILURE);
}

// Waits for the child's end, and hands on signals meanwhile; what waitid() tells of the end.
static siginfo_t
watch(pid_t child, int child_fd, int signals)
{
    struct pollfd polled[] = {{.fd = child_fd, .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};
    siginfo_t info = {0};
    int number;
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) {
        // Without a descriptor for the child its end is noticed a little later.
        poll(polled, 2, child_fd >= 0 ? -1 : 20);
        while ((number = tsi_signals_next()) != 0) {
            kill(child, number);
        }
    }
    return info;
}

static void
describe(const siginfo_t *info, bool memory_was_short, char *out, size_t bytes)
{
    if (info->si_code == CLD_EXITED) {
        snprintf(out, bytes, "its process ended with exit status %d", info->si_status);
        return;
    }
    snprintf(out, bytes, "its process was killed by signal %d, %s%s", info->si_status,
             strsignal(info->si_status),
             memory_was_short ? "; the kernel killed for want of memory while it ran" : "");
}

// Whether the exit status is one that the worker gives itself, after a line in its log.
static bool
has_said_why(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED &&
           (info->si_status == EXIT_FAILURE || info->si_status == TSI_WORKER_EXIT_NO_SCHEDULER ||
            info->si_status == TSI_WORKER_EXIT_REFUSED);
}

static void
send_obituary(const struct tsi_worker_options *options, pid_t child, const char *text)
{
    struct tsi_connection connection;
    struct tsi_wire_buf frame = {NULL, 0, 0};
    char host[TSI_WIRE_NAME_MAX + 1];
    tsi_net_host_identity(host, sizeof host);
    struct tsi_message message = {.type = TSI_MESSAGE_OBITUARY,
                                  .obituary = {.host = host, .pid = (uint32_t)child, .text = text}};
    if (tsi_connection_find(options->scheduler, options->insecure, 0, NULL, &connection, NULL) !=
        TESS_OK) {
        return;
    }
    struct tsi_net *net = tsi_net_new(&connection, NULL, NULL);
    void *socket = net == NULL ? NULL
                               : tsi_net_connect(net, TSI_NET_CONTROL, connection.address,
                                                 connection.scheduler_public, NULL);
    if (socket != NULL && tsi_message_encode(&message, &frame)) {
        tsi_net_send(socket, NULL, frame.bytes, frame.count);
    }
    tsi_net_close(socket, LINGER_MS);
    tsi_net_free(net);
    tsi_wire_buf_fini(&frame);
    explicit_bzero(&connection, sizeof connection);
}

int
tsi_nanny_run(char **argv, const struct tsi_worker_options *options)
{
    const unsigned long long kills = count_memory_kills();
    const int signals = tsi_signals_open();
    const pid_t parent = getpid();
    const pid_t child = signals >= 0 ? fork() : -1;
    if (child < 0) {
        tsi_log(TSI_LOG_ERROR, "cannot start", "no process for the worker: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (child == 0) {
        become_worker(argv, parent);
    }
    const int child_fd = (int)syscall(SYS_pidfd_open, child, 0);
    const siginfo_t info = watch(child, child_fd, signals);
    if (info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS) {
        return EXIT_SUCCESS;
    }
    char text[256];
    describe(&info, count_memory_kills() > kills, text, sizeof text);
    tsi_log(has_said_why(&info) ? TSI_LOG_DEBUG : TSI_LOG_ERROR, "worker died", "%s", text);
    send_obituary(options, child, text);
    return info.si_code == CLD_EXITED ? info.si_status : EXIT_BY_SIGNAL + info.si_status;
}
