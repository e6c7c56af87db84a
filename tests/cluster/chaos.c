// SPDX-License-Identifier: Apache-2.0
//
// Everything goes wrong at once: while clients compute, workers are killed, stopped and cut off,
// disks are full and the scheduler is started again. Every compute ends with the right bits or with
// an error that tells why; none hangs; at the end all works, and nothing has leaked.
//
//   chaos [SECONDS [SEED [NAMESPACES [HOST]]]]
//
// The moments of faults come from the seed, what falls into them does not, so a seed repeats the
// kind of trouble and not the run. scripts/chaos.sh makes the namespaces.

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/random.h"
#include "tests/support/rig.h"

enum { CLIENTS = 3, PROGRAMS = 5, WAIT_MS = 90000, DESCRIPTORS_SLACK = 6, MEMORY_SLACK_KB = 16384 };

// What happened, counted for the last line.
static atomic_int right;
static atomic_int cancelled;
static atomic_int failed[TESS_STATUS_COUNT];

static uint64_t expected[PROGRAMS];
static char connection_file[TEST_PATH_MAX];
static atomic_bool is_over;

static tess_array *
exchange(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(1400, 1400), TESS_CHUNKS(130, 190), 1, 2);
    tess_array *y = tess_rechunk(tess_exp(tess_sin(x)), TESS_CHUNKS(370, 470));
    return tess_std(tess_add(tess_transpose(y, TESS_REVERSED), tess_cos(x)), TESS_AXIS(0), 1);
}

static tess_array *
product(tess_session *session)
{
    tess_array *x = tess_random_uniform(session, TESS_SHAPE(600, 500), TESS_CHUNKS(150, 170), 0, 1);
    return tess_matmul(x, tess_transpose(x, TESS_REVERSED));
}

// Wants more memory than all workers have, so that chunks must go to disk or be made again.
static tess_array *
large(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(6000, 6000), TESS_CHUNKS(600, 6000), 0, 1);
    return tess_mean(tess_rechunk(tess_sin(x), TESS_CHUNKS(6000, 600)), TESS_AXIS(0));
}

static tess_array *
many_small(tess_session *session)
{
    return tess_sum(tess_arange(session, 0, 200000, 1, TESS_CHUNKS(50), TESS_I64), TESS_AXES_ALL);
}

// A result of some megabytes, fetched from all workers.
static tess_array *
wide(tess_session *session)
{
    return tess_sqrt(tess_arange(session, 0, 800000, 1, TESS_CHUNKS(30000), TESS_F64));
}

static tess_array *(*const programs[PROGRAMS])(tess_session *session) = {
    exchange, product, large, many_small, wide,
};

static void
compute_expected(void)
{
    for (int i = 0; i < PROGRAMS; i++) {
        tess_session *session = tess_session_open("embedded");
        expected[i] = test_digest(programs[i](session));
        tess_session_close(session);
    }
}

// The errors that the faults explain.
static bool
is_explained(tess_status status)
{
    return status == TESS_ELOST || status == TESS_EIO || status == TESS_ECONNECT ||
           status == TESS_EWORKERS || status == TESS_EMEMLIMIT;
}

static void
judge(int program, tess_status status, bool was_cancelled, tess_session *session, const void *out,
      size_t bytes)
{
    const char *text = tess_session_error(session);
    if (status == TESS_OK) {
        test_check(test_hash(out, bytes) == expected[program], "program %d has other bits",
                   program);
        right++;
    } else if (was_cancelled && status == TESS_ECANCELLED) {
        cancelled++;
    } else {
        test_check(is_explained(status) && strlen(text) > 20, "program %d: %s: %s", program,
                   tess_status_name(status), text);
        printf("  program %d: %s: %s\n", program, tess_status_name(status), text);
        failed[status]++;
    }
}

static void
compute_one(tess_session *session, struct test_random *random)
{
    const int program = (int)test_random_between(random, 0, PROGRAMS - 1);
    const bool cancels = test_random_one_in(random, 8);
    tess_array *x = programs[program](session);
    size_t bytes = tess_array_bytes(x);
    void *out = malloc(bytes + 1);
    test_check(out != NULL, "out of memory");
    tess_future *future = tess_submit(&x, &out, &bytes, 1);
    if (cancels) {
        test_sleep_ms((int)test_random_between(random, 0, 200));
        tess_future_cancel(future);
    }
    const tess_status status = tess_future_wait(future, WAIT_MS);
    test_check(status != TESS_RUNNING && status != TESS_ETIMEOUT, "program %d hangs", program);
    judge(program, status, cancels, session, out, bytes);
    tess_future_free(future);
    free(out);
}

// A fresh one for every compute, since its random arrays are numbered.
static tess_session *
open_session(void)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.worker_timeout_ms = 60000;
    return tess_session_open_with(connection_file, &options);
}

static void *
use_cluster(void *argument)
{
    struct test_random random = {.state = *(const uint64_t *)argument};
    while (!is_over) {
        tess_session *session = open_session();
        const tess_status status = tess_session_status(session);
        if (status == TESS_OK) {
            compute_one(session, &random);
        } else {
            test_check(status == TESS_ECONNECT, "a session cannot be opened: %s",
                       tess_session_error(session));
            test_sleep_ms(100);
        }
        tess_session_close(session);
    }
    return NULL;
}

static void
do_fault(struct test_rig *rig, struct test_random *random, int kind, int worker)
{
    switch (kind) {
    case 0:
        test_rig_kill(rig, worker);
        return;
    case 1:
        test_rig_stop(rig, worker);
        return;
    case 2:
        test_rig_cut(rig, worker);
        return;
    case 3:
        test_rig_silence(rig, worker);
        return;
    case 4:
        test_rig_delay(rig, worker, (int)test_random_between(random, 5, 400));
        return;
    case 5:
        test_rig_unplug(rig, worker);
        return;
    case 6:
        test_rig_fill_disk(rig, worker);
        return;
    default:
        test_rig_restart_scheduler(rig);
        return;
    }
}

// One fault after the other; what is broken is mended some faults later, so that several lie over
// each other but a worker is left now and then.
static void
do_faults(struct test_rig *rig, struct test_random *random, int seconds)
{
    static const char *const names[] = {"killed", "stopped",   "cut",  "silent",
                                        "slow",   "unplugged", "full", "scheduler restarted"};
    enum { KINDS = sizeof names / sizeof *names };
    int counts[KINDS] = {0};
    const uint64_t end = test_now_ms() + (uint64_t)seconds * 1000;
    while (test_now_ms() < end) {
        const int worker = (int)test_random_between(random, 0, TEST_RIG_WORKERS - 1);
        int kind = (int)test_random_between(random, 0, KINDS - 1);
        kind = kind == KINDS - 1 && test_random_one_in(random, 2) ? 0 : kind;
        do_fault(rig, random, kind, worker);
        counts[kind]++;
        test_sleep_ms((int)test_random_between(random, 50, 900));
        test_rig_mend(rig, (int)test_random_between(random, 0, TEST_RIG_WORKERS - 1));
    }
    for (int i = 0; i < TEST_RIG_WORKERS; i++) {
        test_rig_mend(rig, i);
    }
    for (int i = 0; i < KINDS; i++) {
        printf("  %3d × %s\n", counts[i], names[i]);
    }
}

static int
count_descriptors(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)process);
    DIR *folder = opendir(path);
    test_check(folder != NULL, "%s cannot be read", path);
    int count = 0;
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static void
compute_all(const char *when)
{
    for (int i = 0; i < PROGRAMS; i++) {
        tess_session *session = open_session();
        test_check(test_digest(programs[i](session)) == expected[i],
                   "%s: program %d has other bits", when, i);
        tess_session_close(session);
    }
}

// What a process has when nobody uses the cluster.
struct usage {
    int descriptors;
    long memory_kb;
};

// Of this process what is allocated, since the C library keeps freed memory of threads that came
// and went; of another one what is resident.
static struct usage
measure(pid_t process)
{
    if (process == getpid()) {
        const struct mallinfo2 info = mallinfo2();
        return (struct usage){count_descriptors(process),
                              (long)((info.uordblks + info.hblkhd) / 1024)};
    }
    return (struct usage){count_descriptors(process), test_memory_kb(process, "VmRSS")};
}

static void
compare(const char *who, pid_t process, struct usage before)
{
    const uint64_t end = test_now_ms() + 20000;
    struct usage now = measure(process);
    // Connections of clients that are gone are closed a little later.
    while (now.descriptors > before.descriptors + DESCRIPTORS_SLACK && test_now_ms() < end) {
        test_sleep_ms(100);
        now = measure(process);
    }
    printf("  %s: %d descriptors, before %d; %ld kB, before %ld kB\n", who, now.descriptors,
           before.descriptors, now.memory_kb, before.memory_kb);
    test_check(now.descriptors <= before.descriptors + DESCRIPTORS_SLACK, "%s leaks descriptors",
               who);
    if (!test_is_sanitized()) {
        test_check(now.memory_kb <= before.memory_kb + MEMORY_SLACK_KB, "%s leaks memory", who);
    }
}

static void
run_chaos(struct test_rig *rig, int seconds, uint64_t seed)
{
    struct test_random random = {.state = seed};
    pthread_t threads[CLIENTS];
    uint64_t seeds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        seeds[i] = test_random_bits(&random);
        test_check(pthread_create(&threads[i], NULL, use_cluster, &seeds[i]) == 0, "no thread");
    }
    do_faults(rig, &random, seconds);
    is_over = true;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
print_counts(void)
{
    printf("  %d computes right, %d cancelled\n", right, cancelled);
    for (int i = 0; i < TESS_STATUS_COUNT; i++) {
        if (failed[i] > 0) {
            printf("  %d computes failed with %s\n", failed[i], tess_status_name((tess_status)i));
        }
    }
}

int
main(int argc, char **argv)
{
    const int seconds = argc > 1 ? atoi(argv[1]) : 8;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    test_place_open(seconds + 200);
    static struct test_rig rig; // its relays run until the process ends
    rig.host = argc > 4 ? argv[4] : "127.0.0.1";
    rig.namespaces = argc > 3 ? argv[3] : NULL;
    printf("chaos: %d seconds, seed %" PRIu64 "\n", seconds, seed);
    compute_expected();
    test_rig_start(&rig);
    snprintf(connection_file, sizeof connection_file, "%s", rig.cluster.file);
    compute_all("before");
    const struct usage client = measure(getpid());
    const struct usage scheduler = measure(rig.cluster.scheduler);

    run_chaos(&rig, seconds, seed);

    print_counts();
    test_rig_settle(&rig);
    compute_all("after");
    compare("client", getpid(), client);
    compare("scheduler", rig.cluster.scheduler, scheduler);
    test_check(right > 0, "no compute had a result");
    test_rig_end(&rig);
    puts("ok");
    return EXIT_SUCCESS;
}
