// SPDX-License-Identifier: Apache-2.0
//
// A worker's connection file is a copy of the scheduler's with the address of the worker's relay,
// written anew whenever a scheduler starts. Workers that are in a namespace listen at 10.77.0.2 and
// following addresses, otherwise all are on the scheduler's host.

#include "tests/support/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/net/connection.h"

enum { SETTLE_MS = 45000, FILE_LIMIT = 1 << 16 };

static int joined_before; // the lines of earlier schedulers in the log
static int left_before;

static const char *
worker_file(int worker)
{
    char name[32];
    snprintf(name, sizeof name, "worker-%d.json", worker);
    return test_place(name);
}

static void
write_worker_files(struct test_rig *rig)
{
    struct tsi_connection connection;
    struct tsi_error error;
    tess_status status = tsi_connection_read(rig->cluster.file, &connection, &error);
    for (int i = 0; i < TEST_RIG_WORKERS && status == TESS_OK; i++) {
        snprintf(connection.address, sizeof connection.address, "tcp://%s:%d", rig->relays[i].host,
                 rig->relays[i].port);
        remove(worker_file(i));
        status = tsi_connection_write(worker_file(i), &connection, &error);
    }
    test_check(status == TESS_OK, "connection files: %s", error.text);
}

static void
start_scheduler(struct test_rig *rig)
{
    char port[16];
    snprintf(port, sizeof port, "%d", rig->port);
    const char *const flags[] = {"--host",
                                 rig->host,
                                 "--port",
                                 port,
                                 "--worker-ttl",
                                 "2s",
                                 "--journal",
                                 test_place("journal"),
                                 NULL};
    joined_before = test_log_count("scheduler.log", "worker joined");
    left_before = test_log_count("scheduler.log", "worker left");
    test_scheduler_start(&rig->cluster, flags);
    write_worker_files(rig);
}

static void
start_worker(struct test_rig *rig, int worker)
{
    char space[64];
    char host[32];
    char log[32];
    char name[16];
    snprintf(log, sizeof log, "worker-%d.log", worker);
    snprintf(name, sizeof name, "w%d", worker);
    snprintf(host, sizeof host, "10.77.0.%d", worker + 2);
    const char *argv[32];
    int count = 0;
    if (rig->namespaces != NULL) {
        snprintf(space, sizeof space, "%s-%d", rig->namespaces, worker);
        const char *const words[] = {"/usr/sbin/ip", "netns", "exec", space};
        memcpy(argv, words, sizeof words);
        count = sizeof words / sizeof *words;
    }
    const char *const words[] = {test_program("tessera-worker"),
                                 "--no-nanny",
                                 "--scheduler-file",
                                 worker_file(worker),
                                 "--host",
                                 rig->namespaces != NULL ? host : rig->host,
                                 "--nthreads",
                                 "1",
                                 "--memory-limit",
                                 "64MB",
                                 "--name",
                                 name,
                                 NULL};
    memcpy(argv + count, words, sizeof words);
    rig->cluster.workers[worker] = test_start(log, argv);
}

void
test_rig_start(struct test_rig *rig)
{
    rig->port = test_free_port(rig->host);
    for (int i = 0; i < TEST_RIG_WORKERS; i++) {
        test_relay_start(&rig->relays[i], rig->host, rig->port);
    }
    start_scheduler(rig);
    rig->cluster.worker_count = TEST_RIG_WORKERS;
    for (int i = 0; i < TEST_RIG_WORKERS; i++) {
        start_worker(rig, i);
    }
    test_rig_settle(rig);
}

void
test_rig_restart_scheduler(struct test_rig *rig)
{
    test_signal(rig->cluster.scheduler, SIGKILL);
    test_wait(rig->cluster.scheduler, 2000);
    start_scheduler(rig);
}

void
test_rig_kill(struct test_rig *rig, int worker)
{
    test_signal(rig->cluster.workers[worker], SIGKILL);
    test_wait(rig->cluster.workers[worker], 2000);
    rig->is_stopped[worker] = false;
    rig->is_disk_full[worker] = false;
    start_worker(rig, worker);
}

void
test_rig_stop(struct test_rig *rig, int worker)
{
    test_signal(rig->cluster.workers[worker], SIGSTOP);
    rig->is_stopped[worker] = true;
}

void
test_rig_cut(struct test_rig *rig, int worker)
{
    rig->relays[worker].is_cut = true;
}

void
test_rig_silence(struct test_rig *rig, int worker)
{
    rig->relays[worker].is_silent = true;
}

void
test_rig_delay(struct test_rig *rig, int worker, int milliseconds)
{
    rig->relays[worker].delay_ms = milliseconds;
}

static void
set_cable(const struct test_rig *rig, int worker, const char *state)
{
    char space[64];
    snprintf(space, sizeof space, "%s-%d", rig->namespaces, worker);
    const char *const words[] = {"/usr/sbin/ip", "-n", space, "link", "set", "net", state, NULL};
    const int code = test_wait(test_start("ip.log", words), 5000);
    test_check(code == 0, "ip link set net %s ended with %d", state, code);
}

void
test_rig_unplug(struct test_rig *rig, int worker)
{
    if (rig->namespaces != NULL && !rig->is_unplugged[worker]) {
        set_cable(rig, worker, "down");
        rig->is_unplugged[worker] = true;
    }
}

// No file of the process may grow beyond some kilobytes: writing fails as on a full disk.
static void
limit_files(const struct test_rig *rig, int worker, rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    test_check(prlimit(rig->cluster.workers[worker], RLIMIT_FSIZE, &limit, NULL) == 0,
               "prlimit: %s", strerror(errno));
}

void
test_rig_fill_disk(struct test_rig *rig, int worker)
{
    limit_files(rig, worker, FILE_LIMIT);
    rig->is_disk_full[worker] = true;
}

void
test_rig_mend(struct test_rig *rig, int worker)
{
    rig->relays[worker].is_cut = false;
    rig->relays[worker].is_silent = false;
    rig->relays[worker].delay_ms = 0;
    if (rig->is_stopped[worker]) {
        test_signal(rig->cluster.workers[worker], SIGCONT);
        rig->is_stopped[worker] = false;
    }
    if (rig->is_unplugged[worker]) {
        set_cable(rig, worker, "up");
        rig->is_unplugged[worker] = false;
    }
    if (rig->is_disk_full[worker]) {
        limit_files(rig, worker, RLIM_INFINITY);
        rig->is_disk_full[worker] = false;
    }
}

void
test_rig_settle(struct test_rig *rig)
{
    const uint64_t end = test_now_ms() + SETTLE_MS;
    (void)rig;
    for (;;) {
        const int joined = test_log_count("scheduler.log", "worker joined") - joined_before;
        const int left = test_log_count("scheduler.log", "worker left") - left_before;
        if (joined - left == TEST_RIG_WORKERS) {
            return;
        }
        test_check(test_now_ms() < end, "%d workers are members, not %d", joined - left,
                   TEST_RIG_WORKERS);
        test_sleep_ms(50);
    }
}

void
test_rig_end(struct test_rig *rig)
{
    test_cluster_stop(&rig->cluster);
}
