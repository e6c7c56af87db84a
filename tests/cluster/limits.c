// SPDX-License-Identifier: Apache-2.0
//
// Arrays ten times as large as the memory that a session's processes may take together: what is
// computed of them has the same bits as with room enough, and the resident memory of a worker never
// comes up to its limit, all of it counted. The limit of an embedded session is of what the session
// adds to its process; records, stacks and code are beside it.
//
//     cluster_limits [MEGABYTES [SCALE]]      the limit of a process, and how large chunks are
//
// Without arguments small chunks, which are sent, and then large ones, which are lent. The arrays
// are kept, so that all their chunks have to be held, most of them on disk. The second worker also
// gets little address space. The third one has no limit but that of a control group, if this
// process may make one.

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/group.h"
#include "tests/support/processes.h"

enum {
    WORKERS = 3,
    TIMES = 10, // bytes of an array in those of all workers
    CASES = 3,
    CHILD_MS = 120000,
    // What an embedded session takes beside chunks: stacks and workspaces of threads, records, code
    // that was not used before.
    OVERHEAD_KB = 8 * 1024,
    // Addresses that a worker takes beside chunks: stacks, heaps, libraries.
    ADDRESSES_KB = 256 * 1024,
    // What a process begins with more if it has a sanitizer.
    SANITIZER_KB = 32 * 1024,
};

static long limit_kb;
static long scale;

struct results {
    uint64_t digest[CASES];
};

// The side of a square of float64 of so many kilobytes.
static int64_t
side(int64_t kilobytes)
{
    int64_t n = 0;
    while (n * n * (int64_t)sizeof(double) < kilobytes * 1024) {
        n += 50;
    }
    return n;
}

static tess_array *
keep(tess_session *session, int64_t n, int64_t rows, int64_t columns)
{
    tess_array *x = tess_random_uniform(session, TESS_SHAPE(n, n),
                                        TESS_CHUNKS(rows * scale, columns * scale), -1, 1);
    const tess_status status = tess_persist(x);
    test_check(status == TESS_OK, "persist: %s: %s", tess_status_name(status),
               tess_session_error(session));
    return x;
}

static struct results
run(tess_session *session, int processes)
{
    struct results results;
    const int64_t n = side(TIMES * limit_kb * processes);
    tess_array *wide = keep(session, n, 40, 800);
    tess_array *tall = tess_rechunk(wide, TESS_CHUNKS(800 * scale, 40 * scale));
    results.digest[0] = test_digest(tess_sum(tess_sqrt(tess_abs(tall)), TESS_AXIS(0)));
    results.digest[1] = test_digest(tess_sum(wide, TESS_AXES_ALL));
    tess_release(wide);
    tess_array *square = keep(session, n, 200, 200);
    tess_array *twice = tess_add(square, tess_transpose(square, TESS_REVERSED));
    results.digest[2] = test_digest(tess_sum(twice, TESS_AXIS(1)));
    tess_release(square);
    return results;
}

// The same with room enough.
static struct results
expected(int processes)
{
    tess_session *session = tess_session_open("embedded");
    const struct results results = run(session, processes);
    tess_session_close(session);
    return results;
}

static void
expect_same(const struct results *have, const struct results *want, const char *what)
{
    static const char *const names[CASES] = {"rechunk", "sum", "x + x.T"};
    for (int i = 0; i < CASES; i++) {
        test_check(have->digest[i] == want->digest[i], "%s: %s has other bits", what, names[i]);
    }
}

// How a process ended that should be there.
static void
expect_running(pid_t process, const struct test_group *group, const char *what)
{
    if (!test_is_running(process)) {
        const long kills = group != NULL ? test_group_kills(group) : 0;
        test_check(false, "%s: it ended with %d; killed for memory in its group: %ld", what,
                   test_wait(process, 0), kills);
    }
}

// All that is charged to the group, pages of files and of the kernel included, stays below its
// limit: at the limit the system has to take pages away or to kill.
static void
expect_group_in_limit(const struct test_group *group)
{
    const long most = test_group_peak_kb(group);
    printf("the group: a limit of %ld KB, %ld KB at most\n", limit_kb, most);
    test_check(most < limit_kb, "the group came up to its limit");
}

// Beyond `before_kb` the process never had more resident memory than its limit and `beside_kb`.
static void
expect_in_limit(pid_t process, long before_kb, long beside_kb, const char *what)
{
    const long most = test_memory_kb(process, "VmHWM") - before_kb;
    const long bound = limit_kb + beside_kb;
    printf("%s: a limit of %ld KB, %ld KB at most\n", what, limit_kb, most);
    test_check(most > 0 && (most <= bound || test_is_sanitized()),
               "%s: %ld KB, the bound is %ld KB", what, most, bound);
}

static void
run_embedded(struct results *results)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.memory_limit_bytes = (uint64_t)limit_kb * 1024;
    options.spill_directory = test_place(".");
    tess_session *session = tess_session_open_with("embedded", &options);
    test_check(tess_session_status(session) == TESS_OK, "%s", tess_session_error(session));
    const long before_kb = test_memory_kb(getpid(), "VmRSS");
    *results = run(session, 1);
    test_check(tess_session_report(session).peak_bytes_measured <= options.memory_limit_bytes,
               "embedded: the ledger is beyond the limit");
    expect_in_limit(getpid(), before_kb, OVERHEAD_KB, "embedded");
    tess_session_close(session);
}

// In a process of its own, whose memory nobody used before. ThreadSanitizer lets no child of a
// process with threads start any; but then memory is not measured anyway.
static void
run_embedded_alone(struct results *results)
{
    if (test_is_sanitized()) {
        run_embedded(results);
        return;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        run_embedded(results);
        fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    test_check(child > 0 && test_wait(child, CHILD_MS) == 0, "embedded: it fails");
}

static void
embedded(void)
{
    struct results *have =
        mmap(NULL, sizeof *have, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_check(have != MAP_FAILED, "mmap: %s", strerror(errno));
    run_embedded_alone(have);
    const struct results want = expected(1);
    expect_same(have, &want, "embedded");
    munmap(have, sizeof *have);
}

// Starts a worker after what the shell does before it.
static void
start_worker(struct test_cluster *cluster, const char *before, bool has_flag)
{
    char flag[64] = "";
    char command[4 * TEST_PATH_MAX];
    char log[32];
    const int index = cluster->worker_count++;
    snprintf(log, sizeof log, "worker-%d.log", index);
    if (has_flag) {
        snprintf(flag, sizeof flag, "--memory-limit %ldKiB",
                 limit_kb + (test_is_sanitized() ? SANITIZER_KB : 0));
    }
    snprintf(command, sizeof command,
             "%s exec '%s' --no-nanny --scheduler-file '%s' --nthreads 1 --name w%d "
             "%s --spill-dir '%s'",
             before, test_program("tessera-worker"), cluster->file, index, flag, test_place("."));
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    cluster->workers[index] = test_start(log, argv);
    test_workers_await(cluster, index + 1);
}

// Whether what is spilled takes memory, which then is the group's.
static bool
spills_to_memory(void)
{
    struct statfs info;
    return statfs(test_place("."), &info) != 0 || info.f_type == TMPFS_MAGIC;
}

// Three workers, each with another kind of limit beside its own one. Returns whether the control
// group was made.
static bool
start_cluster(struct test_cluster *cluster, struct test_group *group)
{
    char before[TEST_PATH_MAX + 64] = "";
    test_scheduler_start(cluster, NULL);
    start_worker(cluster, before, true);
    // A sanitizer needs more addresses than any limit here allows.
    if (!test_is_sanitized()) {
        snprintf(before, sizeof before, "ulimit -v %ld;", limit_kb + ADDRESSES_KB);
    }
    start_worker(cluster, before, true);
    const bool has_group =
        !test_is_sanitized() && !spills_to_memory() && test_group_make(group, limit_kb * 1024);
    before[0] = '\0';
    if (has_group) {
        snprintf(before, sizeof before, "echo $$ >'%s/cgroup.procs' &&", group->path);
    }
    start_worker(cluster, before, !has_group);
    return has_group;
}

static void
cluster(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct test_group group;
    const bool has_group = start_cluster(&cluster, &group);
    const struct results want = expected(WORKERS);
    tess_session *session = test_session(&cluster);
    const struct results have = run(session, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        expect_running(cluster.workers[i], has_group && i == WORKERS - 1 ? &group : NULL,
                       "a worker");
    }
    expect_same(&have, &want, "cluster");
    expect_in_limit(cluster.workers[0], 0, 0, "a worker");
    expect_in_limit(cluster.workers[1], 0, 0, "a worker with few addresses");
    expect_in_limit(cluster.workers[2], 0, 0,
                    has_group ? "a worker in a group" : "a worker (no group can be made)");
    tess_session_close(session);
    test_cluster_stop(&cluster);
    if (has_group) {
        expect_group_in_limit(&group);
        rmdir(group.path);
    }
}

static void
set_sizes(long megabytes, long chunk_scale)
{
    limit_kb = megabytes * 1024;
    scale = chunk_scale;
}

int
main(int argc, char **argv)
{
    test_place_open(300);
    set_sizes(argc > 1 ? strtol(argv[1], NULL, 10) : 24, argc > 2 ? strtol(argv[2], NULL, 10) : 1);
    embedded();
    cluster();
    if (argc == 1) {
        set_sizes(40, 5);
        cluster();
    }
    puts("limits: ok");
    return EXIT_SUCCESS;
}
