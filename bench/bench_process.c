// SPDX-License-Identifier: Apache-2.0
//
// A contestant is the leader of a process group, so that one that hangs goes with all it started.
// In order it ends by itself when its standard input does, which also happens if this process dies.

#include "bench/bench_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define END_TIMEOUT_S 20.0
#define EXIT_NO_PROGRAM 127

struct bench_process {
    pid_t pid;
    int to;
    int from;
    double timeout_s;
    bool hangs;
    size_t filled; // of `line`
    char line[1024];
};

void
bench_process_home(char *out, size_t bytes)
{
    char self[PATH_MAX] = "";
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
    }
    snprintf(out, bytes, "%s", slash != NULL ? self : ".");
}

static _Noreturn void
become(char *const *arguments, int in, int out, bool quiet)
{
    setpgid(0, 0);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (quiet && nowhere >= 0) {
        dup2(nowhere, STDERR_FILENO);
    }
    execvp(arguments[0], arguments);
    _exit(EXIT_NO_PROGRAM);
}

static bool
spawn(struct bench_process *process, char *const *arguments, bool quiet)
{
    int to[2];
    int from[2];
    if (pipe2(to, O_CLOEXEC) != 0) {
        return false;
    }
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    process->pid = fork();
    if (process->pid == 0) {
        become(arguments, to[0], from[1], quiet);
    }
    close(to[0]);
    close(from[1]);
    process->to = to[1];
    process->from = from[0];
    return process->pid > 0;
}

// Reads more of the answer; false at its end, or when the time is over.
static bool
read_more(struct bench_process *process, double deadline)
{
    struct pollfd wait = {.fd = process->from, .events = POLLIN};
    const double left = deadline - bench_now();
    const int found = poll(&wait, 1, left > 0 ? (int)(left * 1e3) + 1 : 0);
    if (found < 0 && errno == EINTR) {
        return true;
    }
    if (found <= 0) {
        process->hangs = true;
        return false;
    }
    const size_t room = sizeof process->line - 1 - process->filled;
    const ssize_t got = read(process->from, process->line + process->filled, room);
    if (got > 0) {
        process->filled += (size_t)got;
    }
    return got > 0;
}

// Puts the next line into `out`; false if none comes.
static bool
read_line(struct bench_process *process, char *out, size_t bytes)
{
    const double deadline = bench_now() + process->timeout_s;
    char *end = memchr(process->line, '\n', process->filled);
    while (end == NULL && process->filled < sizeof process->line - 1) {
        if (!read_more(process, deadline)) {
            return false;
        }
        end = memchr(process->line, '\n', process->filled);
    }
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    snprintf(out, bytes, "%s", process->line);
    const size_t used = (size_t)(end - process->line) + 1;
    memmove(process->line, process->line + used, process->filled - used);
    process->filled -= used;
    return true;
}

// How the process ended, when it said nothing.
static void
explain(const struct bench_process *process, int status, char *why, size_t bytes)
{
    if (process->hangs) {
        snprintf(why, bytes, "no answer within %g s", process->timeout_s);
    } else if (WIFSIGNALED(status)) {
        snprintf(why, bytes, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == EXIT_NO_PROGRAM) {
        snprintf(why, bytes, "not installed");
    } else {
        snprintf(why, bytes, "ended with %d and without a word", WEXITSTATUS(status));
    }
}

// Waits for the end, at first in patience.
static int64_t
reap(struct bench_process *process, int *status)
{
    struct rusage usage = {0};
    const double deadline = bench_now() + (process->hangs ? 0.0 : END_TIMEOUT_S);
    pid_t ended = wait4(process->pid, status, WNOHANG, &usage);
    while (ended == 0 && bench_now() < deadline) {
        usleep(2000);
        ended = wait4(process->pid, status, WNOHANG, &usage);
    }
    // Whatever it started and left behind goes too.
    kill(-process->pid, SIGKILL);
    if (ended == 0) {
        wait4(process->pid, status, 0, &usage);
    }
    return (int64_t)usage.ru_maxrss * 1024;
}

static int64_t
end_process(struct bench_process *process, int *status)
{
    close(process->to);
    const int64_t peak = reap(process, status);
    close(process->from);
    return peak;
}

int64_t
bench_process_end(struct bench_process *process)
{
    int status = 0;
    if (process == NULL) {
        return 0;
    }
    const int64_t peak = end_process(process, &status);
    free(process);
    return peak;
}

enum bench_answer
bench_process_start(struct bench_process **out, char *const *arguments, bool quiet,
                    double timeout_s, char *why, size_t why_bytes)
{
    char line[512];
    int status = 0;
    *out = NULL;
    struct bench_process *process = calloc(1, sizeof *process);
    if (process == NULL || !spawn(process, arguments, quiet)) {
        snprintf(why, why_bytes, "%s", strerror(errno));
        free(process);
        return BENCH_FAILED;
    }
    process->timeout_s = timeout_s;
    const bool spoke = read_line(process, line, sizeof line);
    if (spoke && strcmp(line, "ready") == 0) {
        *out = process;
        return BENCH_ANSWERED;
    }
    end_process(process, &status);
    const bool absent = spoke && strncmp(line, "absent ", 7) == 0;
    if (spoke) {
        const char *space = strchr(line, ' ');
        snprintf(why, why_bytes, "%s", space != NULL ? space + 1 : line);
    } else {
        explain(process, status, why, why_bytes);
    }
    const bool missing =
        !spoke && !process->hangs && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM;
    free(process);
    return absent || missing ? BENCH_ABSENT : BENCH_FAILED;
}

enum bench_answer
bench_process_run(struct bench_process *process, double *value, char *why, size_t why_bytes)
{
    char line[512];
    char *end = line;
    const bool asked = write(process->to, "go\n", 3) == 3;
    const bool spoke = asked && read_line(process, line, sizeof line);
    if (spoke) {
        *value = strtod(line, &end);
    }
    if (spoke && end != line && *end == '\0' && *value >= 0) {
        return BENCH_ANSWERED;
    }
    if (spoke) {
        const char *space = strchr(line, ' ');
        snprintf(why, why_bytes, "%s", space != NULL ? space + 1 : line);
    } else {
        int status = 0;
        // It is reaped by bench_process_end(), so look without taking it away.
        siginfo_t info = {0};
        usleep(100000);
        if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == process->pid) {
            status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
        }
        explain(process, status, why, why_bytes);
    }
    return BENCH_FAILED;
}
