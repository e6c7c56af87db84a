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
    test_cluster_start_with(cluster, flags, WORKERS, NULL);
}

static void
a_run_is_replayed(void)
{
    struct test_cluster cluster;
    start(&cluster, "killed.rec");
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_worker_kill(&cluster, 1);
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
    test_scheduler_kill(&cluster);
    for (int i = 0; i < WORKERS; i++) {
        test_worker_kill(&cluster, i);
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

// Two workers that may take so much memory each; the first one records.
static void
start_one_that_records(struct test_cluster *cluster, const char *name, const char *limit)
{
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place(name));
    const char *const flags[] = {"--record", recording, "--memory-limit", limit, NULL};
    *cluster = (struct test_cluster){.scheduler = 0};
    test_scheduler_start(cluster, NULL);
    test_worker_start(cluster, 1, flags);
    test_worker_start(cluster, 1, &flags[2]);
    test_workers_await(cluster, 2);
}

// Chunks that are kept, 59 MB, and are made from others, so that none is dropped to be made again.
static tess_array *
persist_much(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(2800, 2640), TESS_CHUNKS(200, 300), 0, 1);
    tess_array *kept = tess_rechunk(x, TESS_CHUNKS(300, 200));
    test_check(tess_persist(kept) == TESS_OK, "%s", tess_session_error(session));
    return kept;
}

// Kept chunks are more than both workers' memory, so the one that records writes and reads some;
// the other one, from which it takes chunks too, is lost.
static void
a_worker_is_replayed(void)
{
    struct test_cluster cluster;
    start_one_that_records(&cluster, "worker.rec", test_is_sanitized() ? "64MB" : "32MB");
    tess_session *session = test_session(&cluster);
    tess_array *kept = persist_much(session);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_worker_kill(&cluster, 1);
    test_run_end(&run, "a worker was killed");
    double sums[2];
    for (int i = 0; i < 2; i++) {
        test_check(tess_compute(tess_sum(kept, TESS_AXES_ALL), &sums[i], sizeof sums[i]) == TESS_OK,
                   "%s", tess_session_error(session));
        tess_release(kept);
    }
    test_check(sums[0] == sums[1], "the kept chunks are %g, made again %g", sums[0], sums[1]);
    tess_session_close(session);
    test_cluster_stop(&cluster);
    test_check(replay("worker.rec", "worker.log") == 0, "the replay of a worker differs");
    test_check(test_log_count("worker.log", "the same") == 1, "the replay does not say so");
    test_check(test_log_count("worker.log", " 0 chunks written") == 0 &&
                   test_log_count("worker.log", " 0 read") == 0,
               "the worker wrote or read no chunks");
}

static void
what_a_killed_worker_wrote_is_replayed(void)
{
    char recording[TEST_PATH_MAX];
    snprintf(recording, sizeof recording, "%s", test_place("torn-worker.rec"));
    struct test_cluster cluster;
    start_one_that_records(&cluster, "torn-worker.rec", "1GB");
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 30), "the compute ended too early");
    test_worker_kill(&cluster, 0);
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
