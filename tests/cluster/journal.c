// SPDX-License-Identifier: Apache-2.0
//
// Schedulers that die and are started again with their journal: computes go on, what workers hold
// is not made again, and a journal that cannot be believed is told of and stays.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/net/connection.h"
#include "tests/support/cluster_run.h"

// Tasks that may run twice: those that ran when the scheduler died, and what had been told of them
// but not been counted.
enum { TWICE_MAX = 24 };

static char journal[TEST_PATH_MAX];
static const char *const flags[] = {"--journal", journal, NULL};

static void
restart(struct test_cluster *cluster)
{
    test_scheduler_kill(cluster);
    test_scheduler_start(cluster, flags);
}

static off_t
journal_bytes(void)
{
    struct stat info;
    test_check(stat(journal, &info) == 0, "there is no journal");
    return info.st_size;
}

// Flips a bit of the journal.
static void
damage(off_t at)
{
    unsigned char byte = 0;
    const int file = open(journal, O_RDWR | O_CLOEXEC);
    test_check(file >= 0 && pread(file, &byte, 1, at) == 1, "the journal cannot be read");
    byte ^= 0x10;
    test_check(pwrite(file, &byte, 1, at) == 1, "the journal cannot be written");
    close(file);
}

static void
compute_goes_on(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, NULL);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 40), "the compute ended too early");
    test_scheduler_kill(&cluster);
    const tess_progress at_death = tess_future_progress(run.future);
    test_scheduler_start(&cluster, flags);
    test_check(tess_future_wait(run.future, 40000) == TESS_OK, "the compute failed: %s",
               tess_session_error(run.session));
    const tess_report report = tess_session_report(run.session);
    test_check(report.tasks + at_death.tasks_done <= at_death.tasks_total + TWICE_MAX,
               "%llu of %llu tasks were done, and %llu ran afterwards",
               (unsigned long long)at_death.tasks_done, (unsigned long long)at_death.tasks_total,
               (unsigned long long)report.tasks);
    test_run_end(&run, "the scheduler was killed");
    test_check(test_log_count("scheduler.log", "job claimed") > 0, "the job was not claimed");
    test_cluster_stop(&cluster);
}

static void
workers_outlive_three_schedulers(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, NULL);
    const int claimed = test_log_count("scheduler.log", "job claimed");
    const int ended = test_log_count("worker-0.log", "worker ended");
    struct test_run run = test_run_start(&cluster);
    for (int i = 0; i < 3; i++) {
        test_check(test_wait_progress(run.future, 4 + 6 * i), "the compute ended too early");
        restart(&cluster);
        test_log_wait("scheduler.log", "job claimed", claimed + i + 1, 8000);
    }
    test_run_end(&run, "three schedulers were killed");
    test_check(test_log_count("worker-0.log", "worker ended") == ended, "a worker ended");
    test_cluster_stop(&cluster);
}

static void
kept_chunks_survive(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 2, NULL);
    tess_session *session = test_session(&cluster);
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(1000, 1000), TESS_CHUNKS(100, 100), 1, 2);
    tess_array *kept = tess_exp(tess_rechunk(x, TESS_CHUNKS(70, 130)));
    test_check(tess_persist(kept) == TESS_OK, "%s", tess_session_error(session));
    const int gone_on = test_log_count("scheduler.log", "jobs go on");
    restart(&cluster);
    test_log_wait("scheduler.log", "jobs go on", gone_on + 1, 8000);
    const uint64_t digest = test_digest(tess_sum(kept, TESS_AXIS(0)));
    const tess_report report = tess_session_report(session);
    test_check(report.tasks < 200, "%llu tasks ran: the kept array was made again",
               (unsigned long long)report.tasks);
    tess_session_close(session);

    session = tess_session_open("embedded");
    x = tess_random_normal(session, TESS_SHAPE(1000, 1000), TESS_CHUNKS(100, 100), 1, 2);
    kept = tess_exp(tess_rechunk(x, TESS_CHUNKS(70, 130)));
    test_check(test_digest(tess_sum(kept, TESS_AXIS(0))) == digest, "the kept array has changed");
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

static void
torn_end_is_dropped(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    const int torn = test_log_count("scheduler.log", "journal torn");
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 10), "the compute ended too early");
    test_scheduler_kill(&cluster);
    test_check(truncate(journal, journal_bytes() + 7) == 0, "the journal cannot grow");
    test_scheduler_start(&cluster, flags);
    test_run_end(&run, "the end of the journal was torn");
    test_check(test_log_count("scheduler.log", "journal torn") == torn + 1, "nobody told of it");
    test_cluster_stop(&cluster);
}

// The job is in what is not believed: its compute ends with an error.
static void
damage_is_told(void)
{
    struct test_cluster cluster;
    char damaged[TEST_PATH_MAX + 16];
    test_cluster_start_with(&cluster, flags, 1, NULL);
    struct test_run run = test_run_start(&cluster);
    test_check(test_wait_progress(run.future, 10), "the compute ended too early");
    test_scheduler_kill(&cluster);
    damage(30); // in the first record: the job comes behind it
    test_scheduler_start(&cluster, flags);
    const tess_status status = tess_future_wait(run.future, 20000);
    test_check(status == TESS_ECONNECT, "the job is lost: %s", tess_status_name(status));
    test_check(strstr(tess_session_error(run.session), "does not know the job") != NULL,
               "the message is “%s”", tess_session_error(run.session));
    test_check(test_log_count("scheduler.log", "journal damaged") == 1, "nobody told of it");
    snprintf(damaged, sizeof damaged, "%s.damaged", journal);
    test_check(access(damaged, F_OK) == 0, "the damaged journal is not kept");
    tess_future_free(run.future);
    tess_session_close(run.session);
    free(run.out);
    test_cluster_stop(&cluster);
}

static void
no_scheduler_comes_back(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.scheduler_timeout_ms = 700;
    tess_session *session = tess_session_open_with(cluster.file, &options);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(4000, 4000), TESS_CHUNKS(50, 50), 1, 2);
    x = tess_sum(tess_exp(x), TESS_AXES_ALL);
    double out = 0;
    void *outs[] = {&out};
    const size_t bytes[] = {sizeof out};
    tess_future *future = tess_submit(&x, outs, bytes, 1);
    test_check(test_wait_progress(future, 5), "the compute ended too early");
    test_scheduler_kill(&cluster);
    const uint64_t begin = test_now_ms();
    const tess_status status = tess_future_wait(future, 10000);
    test_check(status == TESS_ECONNECT, "no scheduler: %s", tess_status_name(status));
    test_check(test_now_ms() - begin < 5000, "it takes long to give up");
    test_check(strstr(tess_session_error(session), "did not come back") != NULL,
               "the message is “%s”", tess_session_error(session));
    tess_future_free(future);
    tess_session_close(session);
    test_scheduler_start(&cluster, flags);
    test_cluster_stop(&cluster);
}

static void
foreign_files_are_left_alone(void)
{
    static const char text[] = "these are not the bytes of a journal";
    char path[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s", test_place("notes.txt"));
    char back[sizeof text] = "";
    FILE *file = fopen(path, "w");
    test_check(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "no file");
    const char *const argv[] = {test_program("tessera-scheduler"),
                                "--scheduler-file",
                                test_place("foreign.json"),
                                "--journal",
                                path,
                                NULL};
    test_check(test_wait(test_start("foreign.log", argv), 5000) == EXIT_FAILURE,
               "a scheduler starts with a file that is no journal");
    test_check(test_log_count("foreign.log", "is no journal") == 1, "it does not say why");
    file = fopen(path, "r");
    test_check(file != NULL && fread(back, 1, sizeof back, file) == sizeof text - 1 &&
                   memcmp(back, text, sizeof text - 1) == 0,
               "the file was changed");
    fclose(file);
}

static void
one_journal_has_one_scheduler(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 0, NULL);
    const char *const argv[] = {test_program("tessera-scheduler"),
                                "--scheduler-file",
                                test_place("second.json"),
                                "--journal",
                                journal,
                                NULL};
    test_check(test_wait(test_start("second.log", argv), 5000) == EXIT_FAILURE,
               "two schedulers use one journal");
    test_check(test_log_count("second.log", "another scheduler uses it") == 1,
               "it does not say why");
    test_cluster_stop(&cluster);
}

// The file is lost, so a second scheduler cannot see the first one.
static void
later_scheduler_wins(void)
{
    struct test_cluster cluster;
    test_cluster_start(&cluster, 1, 1);
    const pid_t first = cluster.scheduler;
    test_check(unlink(cluster.file) == 0, "there is no connection file");
    test_scheduler_start(&cluster, NULL);
    test_check(test_wait(first, 8000) == EXIT_FAILURE, "the older scheduler goes on");
    test_check(test_log_count("scheduler.log", "superseded") == 1, "it does not say why");
    test_workers_await(&cluster, 1);
    struct test_run run = test_run_start(&cluster);
    test_run_end(&run, "a later scheduler took over");
    test_cluster_stop(&cluster);
}

// A worker has obeyed a scheduler that is gone, and then finds an older one that still runs: it
// waits for a newer one instead, and the older one does not take it.
static void
older_scheduler_is_not_obeyed(void)
{
    struct test_cluster older;
    struct test_cluster newer = {.scheduler = 0};
    struct tsi_connection connection;
    test_cluster_start(&older, 0, 1);
    test_sleep_ms(1100); // epochs are seconds
    snprintf(newer.file, sizeof newer.file, "%s", test_place("newer.json"));
    const int joined = test_log_count("scheduler.log", "worker joined");
    test_scheduler_start(&newer, NULL);
    test_worker_start(&newer, 1, NULL);
    test_workers_await(&newer, 1);
    test_scheduler_kill(&newer);
    const int refused = test_log_count("worker-0.log", "lower epoch");
    test_check(tsi_connection_read(older.file, &connection, NULL) == TESS_OK &&
                   unlink(newer.file) == 0 &&
                   tsi_connection_write(newer.file, &connection, NULL) == TESS_OK,
               "no file");
    test_log_wait("worker-0.log", "lower epoch", refused + 1, 10000);
    test_check(unlink(newer.file) == 0, "no file");
    test_scheduler_start(&newer, NULL);
    test_workers_await(&newer, 1);
    test_check(test_log_count("scheduler.log", "worker joined") == joined + 2,
               "the older scheduler took the worker");
    test_cluster_stop(&newer);
    test_cluster_stop(&older);
}

static void
full_disk_refuses_jobs(void)
{
    struct test_cluster cluster;
    test_cluster_start_with(&cluster, flags, 1, NULL);
    tess_session *session = test_session(&cluster);
    tess_array *x = tess_ones(session, TESS_SHAPE(10), TESS_CHUNKS(5), TESS_F64);
    double out = 0;
    struct rlimit full = {.rlim_cur = (rlim_t)journal_bytes() + 20, .rlim_max = RLIM_INFINITY};
    const struct rlimit empty = {RLIM_INFINITY, RLIM_INFINITY};
    test_check(prlimit(cluster.scheduler, RLIMIT_FSIZE, &full, NULL) == 0, "no limit");
    tess_array *sum = tess_sum(x, TESS_AXES_ALL);
    const tess_status status = tess_compute(sum, &out, sizeof out);
    test_check(status == TESS_EIO, "the disk is full: %s", tess_status_name(status));
    test_check(strstr(tess_session_error(session), "journal") != NULL, "the message is “%s”",
               tess_session_error(session));
    test_check(prlimit(cluster.scheduler, RLIMIT_FSIZE, &empty, NULL) == 0, "no limit");
    test_check(tess_compute(sum, &out, sizeof out) == TESS_OK && out == 10.0,
               "the disk has room again: %s", tess_session_error(session));
    tess_session_close(session);
    test_cluster_stop(&cluster);
}

int
main(void)
{
    test_place_open(120);
    snprintf(journal, sizeof journal, "%s", test_place("tessera.journal"));
    compute_goes_on();
    workers_outlive_three_schedulers();
    kept_chunks_survive();
    torn_end_is_dropped();
    damage_is_told();
    no_scheduler_comes_back();
    foreign_files_are_left_alone();
    one_journal_has_one_scheduler();
    later_scheduler_wins();
    older_scheduler_is_not_obeyed();
    full_disk_refuses_jobs();
    puts("journal: ok");
    return EXIT_SUCCESS;
}
