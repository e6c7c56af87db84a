// SPDX-License-Identifier: Apache-2.0
//
// A scheduler or worker records what it is told, and the core does the same again when it is told
// so once more.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cluster_run.h"

enum { WORKERS = 3, FULL_BYTES = 6000 };

// The end of sim_main --replay for a file of the directory.
static int
replay(const char *name, const char *log)
{
    char program[TEST_PATH_MAX * 2];
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place(name));
    snprintf(program, sizeof program, "%s/../tests/sim_main", getenv("TESSERA_BIN"));
    const char *const words[] = {program, "--replay", recording, NULL};
    return test_wait(test_start(log, words), 20000);
}

// A cluster whose scheduler records.
static void
start(struct test_cluster *cluster, const char *name)
{
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place(name));
    const char *const flags[] = {"--record", recording, NULL};
    const int joined = test_log_count("scheduler.log", "worker joined");
    *cluster = (struct test_cluster){.scheduler = 0};
    test_scheduler_start(cluster, flags);
    for (int i = 0; i < WORKERS; i++) {
        test_worker_start(cluster, 1, NULL);
    }
    test_log_wait("scheduler.log", "worker joined", joined + WORKERS, 5000);
}

static void
a_run_is_replayed(void)
{
    struct test_cluster cluster;
    start(&cluster, "killed.rec");
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[1], SIGKILL);
    test_wait(cluster.workers[1], 1000);
    cluster.workers[1] = 0;
    test_run_end(&run, "a worker was killed");
    test_log_wait("scheduler.log", "worker left", 1, 2000);
    test_cluster_stop(&cluster);
    test_check(replay("killed.rec", "replay.log") == 0, "the replay of a whole run differs");
    test_check(test_log_count("replay.log", "the same") == 1, "the replay does not say so");
}

static void
what_a_killed_scheduler_wrote_is_replayed(void)
{
    struct test_cluster cluster;
    start(&cluster, "torn.rec");
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.scheduler, SIGKILL);
    test_wait(cluster.scheduler, 1000);
    for (int i = 0; i < WORKERS; i++) {
        test_signal(cluster.workers[i], SIGKILL);
        test_wait(cluster.workers[i], 1000);
    }
    test_check(tess_future_wait(run.future, 20000) != TESS_OK, "nobody could end it");
    tess_future_free(run.future);
    tess_session_close(run.session);
    free(run.out);
    test_check(replay("torn.rec", "torn.log") == 0, "the replay of half a run differs");
}

static void
a_damaged_recording_is_refused(void)
{
    FILE *file = fopen(test_place("killed.rec"), "r+be");
    test_check(file != NULL && fseek(file, 40, SEEK_SET) == 0, "there is no recording");
    const int byte = fgetc(file);
    test_check(fseek(file, 40, SEEK_SET) == 0 && fputc(byte ^ 1, file) != EOF && fclose(file) == 0,
               "the recording cannot be damaged");
    test_check(replay("killed.rec", "damaged.log") == 1, "damage is not seen");
    test_check(test_log_count("damaged.log", "is damaged") == 1, "damage is not told");
}

// A limit on the size of its files is to the scheduler what a full disk is.
static void
a_full_disk_stops_the_recording_alone(void)
{
    struct test_cluster cluster;
    const struct rlimit limit = {FULL_BYTES, FULL_BYTES};
    start(&cluster, "full.rec");
    test_check(prlimit(cluster.scheduler, RLIMIT_FSIZE, &limit, NULL) == 0, "no limit");
    struct test_run run = test_run_start(&cluster);
    test_run_end(&run, "the disk was full");
    test_log_wait("scheduler.log", "recording stopped", 1, 2000);
    test_cluster_stop(&cluster);
    test_check(replay("full.rec", "full.log") == 0, "what was written differs");
}

static void
a_recording_that_cannot_begin_is_told(void)
{
    const char *const words[] = {test_program("tessera-scheduler"), "--record", "/dev/full", NULL};
    test_check(test_wait(test_start("none.log", words), 5000) == 1, "it starts on a full disk");
    test_check(test_log_count("none.log", "cannot record") == 1, "a full disk is not told");
}

// One worker records, and has little memory, so that it also writes and reads chunks; another one
// takes chunks from it, and is lost.
static void
a_worker_is_replayed(void)
{
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place("worker.rec"));
    const char *const flags[] = {"--record", recording, "--memory-limit", "32MB", NULL};
    struct test_cluster cluster = {.scheduler = 0};
    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(&cluster, NULL);
    test_worker_start(&cluster, 1, flags);
    test_worker_start(&cluster, 1, NULL);
    test_log_wait("scheduler.log", "worker joined", joined + 2, 5000);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[1], SIGKILL);
    test_wait(cluster.workers[1], 1000);
    cluster.workers[1] = 0;
    test_run_end(&run, "a worker was killed");
    test_cluster_stop(&cluster);
    test_check(replay("worker.rec", "worker.log") == 0, "the replay of a worker differs");
    test_check(test_log_count("worker.log", "the same") == 1, "the replay does not say so");
}

static void
what_a_killed_worker_wrote_is_replayed(void)
{
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place("torn-worker.rec"));
    const char *const flags[] = {"--no-nanny", "--record", recording, NULL};
    struct test_cluster cluster = {.scheduler = 0};
    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(&cluster, NULL);
    test_worker_start(&cluster, 1, flags);
    test_worker_start(&cluster, 1, NULL);
    test_log_wait("scheduler.log", "worker joined", joined + 2, 5000);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_signal(cluster.workers[0], SIGKILL);
    test_wait(cluster.workers[0], 1000);
    cluster.workers[0] = 0;
    test_run_end(&run, "the worker that records was killed");
    test_cluster_stop(&cluster);
    // As where the machine died: the end of the last block is not there.
    struct stat state;
    test_check(stat(recording, &state) == 0 && state.st_size > 100 &&
                   truncate(recording, state.st_size - 5) == 0,
               "the recording cannot be torn");
    test_check(replay("torn-worker.rec", "torn-worker.log") == 0,
               "the replay of half a run differs");
    test_check(test_log_count("torn-worker.log", "up to a torn block") == 1,
               "the tear is not told");
}

int
main(void)
{
    test_place_open(60);
    a_full_disk_stops_the_recording_alone(); // first, while the log is small too
    a_run_is_replayed();
    what_a_killed_scheduler_wrote_is_replayed();
    a_worker_is_replayed();
    what_a_killed_worker_wrote_is_replayed();
    a_damaged_recording_is_refused();
    a_recording_that_cannot_begin_is_told();
    puts("ok");
    return EXIT_SUCCESS;
}
