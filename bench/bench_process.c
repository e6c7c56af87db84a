// SPDX-License-Identifier: Apache-2.0
//
// The processes that benches start: a scheduler and workers, and peers.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define WORKERS_MAX 64

struct bench_cluster {
    pid_t scheduler;
    pid_t workers[WORKERS_MAX];
    int worker_count;
    char directory[64];
    char file[96];
};

struct bench_peer_process {
    pid_t pid;
    FILE *to;
    FILE *from;
};

// The path of `program` beside the one that runs.
static void
beside(const char *program, char *out, size_t bytes)
{
    char self[PATH_MAX] = "";
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
    }
    snprintf(out, bytes, "%s/%s", slash != NULL ? self : ".", program);
}

static pid_t
start(const char *program, char *const *arguments)
{
    char path[PATH_MAX + 64];
    beside(program, path, sizeof path);
    const pid_t pid = fork();
    if (pid == 0) {
        execv(path, arguments);
        fprintf(stderr, "tessera-bench: %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    return pid;
}

struct bench_cluster *
bench_cluster_start(int workers)
{
    struct bench_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        return NULL;
    }
    snprintf(cluster->directory, sizeof cluster->directory, "/tmp/tessera-bench-XXXXXX");
    if (mkdtemp(cluster->directory) == NULL) {
        fprintf(stderr, "tessera-bench: %s: %s\n", cluster->directory, strerror(errno));
        free(cluster);
        return NULL;
    }
    snprintf(cluster->file, sizeof cluster->file, "%s/scheduler.json", cluster->directory);
    char *const scheduler[] = {
        "tessera-scheduler", "--scheduler-file", cluster->file, "--log-level", "error", NULL};
    char *const worker[] = {
        "tessera-worker", "--no-nanny", "--scheduler-file", cluster->file, "--nthreads", "1",
        "--log-level",    "error",      "--death-timeout",  "60",          NULL};
    cluster->scheduler = start("tessera-scheduler", scheduler);
    for (int i = 0; i < workers && i < WORKERS_MAX; i++) {
        cluster->workers[cluster->worker_count++] = start("tessera-worker", worker);
    }
    return cluster;
}

const char *
bench_cluster_file(const struct bench_cluster *cluster)
{
    return cluster->file;
}

static void
stop(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
}

void
bench_cluster_stop(struct bench_cluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    for (int i = 0; i < cluster->worker_count; i++) {
        stop(cluster->workers[i]);
    }
    stop(cluster->scheduler);
    unlink(cluster->file);
    rmdir(cluster->directory);
    free(cluster);
}

// Debian's Python, whose packages the peers are.
static const char *
python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

static bool
become_peer(const struct bench_peer *peer, const int to[2], const int from[2])
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", BENCH_PEER_DIRECTORY, peer->script);
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    close(to[1]);
    close(from[0]);
    // By its whole name, since Python starts more of itself by the name it was called.
    execlp(python(), python(), path, (char *)NULL);
    return false;
}

struct bench_peer_process *
bench_peer_start(const struct bench_peer *peer)
{
    char line[64];
    int to[2];
    int from[2];
    struct bench_peer_process *process = calloc(1, sizeof *process);
    if (process == NULL || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        free(process);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    process->pid = fork();
    if (process->pid == 0) {
        become_peer(peer, to, from);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    process->to = fdopen(to[1], "w");
    process->from = fdopen(from[0], "r");
    if (fgets(line, sizeof line, process->from) == NULL || strcmp(line, "ready\n") != 0) {
        bench_peer_stop(process);
        return NULL;
    }
    return process;
}

double
bench_peer_run(struct bench_peer_process *process)
{
    char line[64];
    if (fputs("go\n", process->to) < 0 || fflush(process->to) != 0 ||
        fgets(line, sizeof line, process->from) == NULL) {
        return -1;
    }
    return atof(line);
}

void
bench_peer_stop(struct bench_peer_process *process)
{
    if (process == NULL) {
        return;
    }
    fclose(process->to);
    fclose(process->from);
    waitpid(process->pid, NULL, 0);
    free(process);
}
