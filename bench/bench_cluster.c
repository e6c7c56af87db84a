// SPDX-License-Identifier: Apache-2.0
//
// The daemons of a bench: started as a user would, in a directory of their own.

#include "bench/bench_cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/bench_process.h"

#define WORKERS_MAX 64
#define JOIN_TIMEOUT_S 20.0

struct bench_cluster {
    pid_t scheduler;
    pid_t workers[WORKERS_MAX];
    int worker_count;
    int joined; // workers that have, those included that are no more
    char directory[64];
    char file[96];
    char log[96]; // what the scheduler says
};

// Standard output belongs to the words of bench_serve.c, so what the program says goes to `log`, or
// to standard error if that is NULL.
static pid_t
start(const char *program, char *const *arguments, const char *log)
{
    char home[PATH_MAX];
    char path[PATH_MAX + 64];
    bench_process_home(home, sizeof home);
    snprintf(path, sizeof path, "%s/%s", home, program);
    const pid_t pid = fork();
    if (pid == 0) {
        // Nobody is left to stop it if this process dies.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int file = log != NULL ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                                     : STDERR_FILENO;
        dup2(file, STDOUT_FILENO);
        dup2(file, STDERR_FILENO);
        execv(path, arguments);
        fprintf(stderr, "tessera-bench: %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    return pid;
}

static int
count_joined(const char *log)
{
    char line[512];
    int count = 0;
    FILE *file = fopen(log, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, "worker joined") != NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

// Looks without taking away what stop() waits for.
static bool
has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return pid <= 0 || (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                        info.si_pid == pid);
}

static bool
lost_one(const struct bench_cluster *cluster)
{
    bool lost = has_ended(cluster->scheduler);
    for (int i = 0; i < cluster->worker_count; i++) {
        lost = lost || has_ended(cluster->workers[i]);
    }
    return lost;
}

// False after bench_fail().
static bool
wait_for_workers(const struct bench_cluster *cluster)
{
    const double deadline = bench_now() + JOIN_TIMEOUT_S;
    while (count_joined(cluster->log) < cluster->joined) {
        if (bench_now() > deadline) {
            bench_fail("only %d of %d workers joined within %g s", count_joined(cluster->log),
                       cluster->joined, JOIN_TIMEOUT_S);
            return false;
        }
        if (lost_one(cluster)) {
            bench_fail("the scheduler or a worker could not start");
            return false;
        }
        usleep(5000);
    }
    return true;
}

static pid_t
start_worker(struct bench_cluster *cluster)
{
    char *const worker[] = {
        "tessera-worker", "--no-nanny", "--scheduler-file", cluster->file, "--nthreads", "1",
        "--log-level",    "error",      "--death-timeout",  "60",          NULL};
    cluster->joined++;
    return start("tessera-worker", worker, NULL);
}

static pid_t
start_scheduler(const struct bench_cluster *cluster, enum bench_wire wire)
{
    const bool is_tcp = wire == BENCH_TCP_OPEN || wire == BENCH_TCP_CURVE;
    char *const words[] = {"tessera-scheduler",
                           "--scheduler-file",
                           (char *)(uintptr_t)cluster->file,
                           is_tcp ? "--host" : NULL,
                           "127.0.0.1",
                           "--port",
                           "0",
                           wire == BENCH_TCP_OPEN ? "--insecure" : NULL,
                           NULL};
    return start("tessera-scheduler", words, cluster->log);
}

struct bench_cluster *
bench_cluster_start(int workers, enum bench_wire wire)
{
    struct bench_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        bench_fail("out of memory");
        return NULL;
    }
    snprintf(cluster->directory, sizeof cluster->directory, "/tmp/tessera-bench-XXXXXX");
    if (mkdtemp(cluster->directory) == NULL) {
        bench_fail("%s: %s", cluster->directory, strerror(errno));
        free(cluster);
        return NULL;
    }
    snprintf(cluster->file, sizeof cluster->file, "%s/scheduler.json", cluster->directory);
    snprintf(cluster->log, sizeof cluster->log, "%s/scheduler.log", cluster->directory);
    if (wire != BENCH_IPC) {
        setenv("TESSERA_SHARE_MEMORY", "0", 1);
    }
    cluster->scheduler = start_scheduler(cluster, wire);
    for (int i = 0; i < workers && i < WORKERS_MAX; i++) {
        cluster->workers[cluster->worker_count++] = start_worker(cluster);
    }
    if (!wait_for_workers(cluster)) {
        bench_cluster_stop(cluster);
        return NULL;
    }
    return cluster;
}

bool
bench_cluster_kill_worker(struct bench_cluster *cluster)
{
    if (cluster->workers[0] <= 0 || kill(cluster->workers[0], SIGKILL) != 0) {
        bench_fail("no worker to kill");
        return false;
    }
    waitpid(cluster->workers[0], NULL, 0);
    cluster->workers[0] = 0;
    return true;
}

bool
bench_cluster_replace_worker(struct bench_cluster *cluster)
{
    cluster->workers[0] = start_worker(cluster);
    return wait_for_workers(cluster);
}

const char *
bench_cluster_file(const struct bench_cluster *cluster)
{
    return cluster->file;
}

int64_t
bench_cluster_scheduler_bytes(const struct bench_cluster *cluster)
{
    char path[64];
    long long total = 0;
    long long resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)cluster->scheduler);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    const bool known = fscanf(file, "%lld %lld", &total, &resident) == 2;
    fclose(file);
    return known ? resident * sysconf(_SC_PAGESIZE) : 0;
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
    unlink(cluster->log);
    rmdir(cluster->directory);
    free(cluster);
}
