// SPDX-License-Identifier: Apache-2.0
//
// Arrays ten times as large as the memory that a session's processes may take together: what is
// computed of them is right to the last bit, and the resident memory of a worker never comes up to
// its limit, all of it counted. The limit of an embedded session is of what the session adds to its
// process; records, stacks and code are beside it.
//
//     cluster_limits [MEGABYTES [SCALE]]      the limit of a process, and how large chunks are
//
// Without arguments small chunks, which are sent, and then large ones, which are lent. The arrays
// come from a file and are kept, so that all their chunks have to be held, most of them on disk:
// the kernel's own account of each process tells that they were written there and read back, and
// none could be dropped and made again. One result is written to a file as large. Results are whole
// numbers, so that each has one right value, which is known without the library.
//
// The second worker also gets little address space. The third one has no limit but that of a
// control group, if this process may make one.

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/group.h"
#include "tests/support/numbers.h"
#include "tests/support/processes.h"

enum {
    WORKERS = 3,
    TIMES = 10, // bytes of an array in those of all workers
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

// The processes that compute in a session.
struct crew {
    const pid_t *processes;
    int count;
};

static const char *
numbers_path(void)
{
    return test_place("numbers.npy");
}

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

static void
expect_ok(tess_session *session, tess_status status, const char *what)
{
    test_check(status == TESS_OK, "%s: %s: %s", what, tess_status_name(status),
               tess_session_error(session));
}

static tess_array *
load(tess_session *session, int64_t rows, int64_t columns)
{
    return tess_load_npy(session, numbers_path(), TESS_CHUNKS(rows * scale, columns * scale));
}

static tess_array *
keep(tess_array *x, const char *what)
{
    expect_ok(tess_array_session(x), tess_persist(x), what);
    return x;
}

static void
expect_sums(tess_array *x, const double *want, const char *what)
{
    const size_t bytes = tess_array_bytes(x);
    double *have = malloc(bytes);
    test_check(have != NULL, "out of memory");
    expect_ok(tess_array_session(x), tess_compute(x, have, bytes), what);
    for (size_t i = 0; i < bytes / sizeof *have; i++) {
        test_check(have[i] == want[i], "%s: element %zu is %.17g, not %.17g", what, i, have[i],
                   want[i]);
    }
    free(have);
}

// What a process has written to files and read of them so far, sockets aside, by the kernel's
// account.
struct transfers {
    long read_kb;
    long written_kb;
};

static struct transfers
transfers_of(pid_t process)
{
    struct transfers transfers = {0, 0};
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/%ld/io", (long)process);
    FILE *file = fopen(path, "re");
    test_check(file != NULL, "%s: %s", path, strerror(errno));
    while (fgets(text, sizeof text, file) != NULL) {
        if (strncmp(text, "rchar: ", 7) == 0) {
            transfers.read_kb = strtol(text + 7, NULL, 10) / 1024;
        } else if (strncmp(text, "wchar: ", 7) == 0) {
            transfers.written_kb = strtol(text + 7, NULL, 10) / 1024;
        }
    }
    fclose(file);
    return transfers;
}

// Since `before`, when an array had been kept, it was gone through twice and another one was kept,
// which was gone through twice as well. All but what memory holds of these has been written and
// read, and every process did its part.
static void
expect_spilled(const struct crew *crew, const struct transfers *before)
{
    struct transfers all = {0, 0};
    for (int i = 0; i < crew->count; i++) {
        const struct transfers now = transfers_of(crew->processes[i]);
        const long written = now.written_kb - before[i].written_kb;
        const long read = now.read_kb - before[i].read_kb;
        printf("process %d of %d: %ld KB were written, %ld KB were read\n", i + 1, crew->count,
               written, read);
        test_check(written > limit_kb && read > limit_kb, "process %d spilled nothing", i + 1);
        all.written_kb += written;
        all.read_kb += read;
    }
    const long held = limit_kb * crew->count;
    test_check(all.written_kb >= (TIMES - 1) * held && all.read_kb >= 4 * (TIMES - 1) * held,
               "%ld KB were written, %ld KB were read: arrays of %ld KB were not on disk",
               all.written_kb, all.read_kb, TIMES * held);
}

// Element-wise work on the file, all of which is kept, cut otherwise, and kept as well.
static void
run_rechunk(tess_session *session, const struct test_sums *sums, const struct crew *crew)
{
    struct transfers before[WORKERS];
    tess_array *x = load(session, 40, 800);
    tess_array *wide = keep(tess_sqrt(tess_multiply(x, x)), "sqrt(x · x)");
    for (int i = 0; i < crew->count; i++) {
        before[i] = transfers_of(crew->processes[i]);
    }
    expect_sums(tess_sum(wide, TESS_AXES_ALL), &sums->magnitudes, "sum");
    // Many small chunks make one of these, or a few large ones.
    const tess_chunks cut =
        scale == 1 ? TESS_CHUNKS(800, 40) : TESS_CHUNKS(60 * scale, 400 * scale);
    tess_array *tall = keep(tess_rechunk(wide, cut), "rechunk");
    tess_release(wide);
    expect_sums(tess_sum(tall, TESS_AXIS(0)), sums->magnitude_columns, "rechunk, columns");
    expect_sums(tess_sum(tall, TESS_AXIS(1)), sums->magnitude_rows, "rechunk, rows");
    expect_spilled(crew, before);
    tess_release(tall);
}

// x + x.T of kept chunks, and of the file itself, which is written to another one.
static void
run_turned(tess_session *session, const struct test_sums *sums)
{
    const char *saved = test_place("turned.npy");
    double *want = malloc((size_t)sums->n * sizeof *want);
    test_check(want != NULL, "out of memory");
    for (int64_t i = 0; i < sums->n; i++) {
        want[i] = sums->rows[i] + sums->columns[i];
    }
    tess_array *x = load(session, 200, 200);
    tess_array *of_file = tess_add(x, tess_transpose(x, TESS_REVERSED));
    expect_sums(tess_sum(of_file, TESS_AXIS(1)), want, "x + x.T of a file");
    expect_ok(session, tess_save_npy(of_file, saved), "save");
    tess_array *square = keep(tess_add(x, tess_scalar_int(session, 0)), "x + 0");
    tess_array *twice = tess_add(square, tess_transpose(square, TESS_REVERSED));
    expect_sums(tess_sum(twice, TESS_AXIS(1)), want, "x + x.T, rows");
    expect_sums(tess_sum(twice, TESS_AXIS(0)), want, "x + x.T, columns");
    tess_release(square);
    free(want);
}

static void
run(tess_session *session, const struct test_sums *sums, const struct crew *crew)
{
    run_rechunk(session, sums, crew);
    run_turned(session, sums);
}

static void
check_saved(int64_t n)
{
    test_numbers_expect_turned(test_place("turned.npy"), n);
    unlink(test_place("turned.npy"));
}

// Makes the file of a square that is ten times as large as what so many processes may take.
static void
make_numbers(struct test_sums *sums, int processes)
{
    const int64_t n = side(TIMES * limit_kb * processes);
    test_numbers_write(numbers_path(), n);
    test_numbers_sum(sums, n);
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
run_embedded(const struct test_sums *sums)
{
    const pid_t self = getpid();
    const struct crew crew = {&self, 1};
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.memory_limit_bytes = (uint64_t)limit_kb * 1024;
    options.spill_directory = test_place(".");
    tess_session *session = tess_session_open_with("embedded", &options);
    test_check(tess_session_status(session) == TESS_OK, "%s", tess_session_error(session));
    const long before_kb = test_memory_kb(self, "VmRSS");
    run(session, sums, &crew);
    test_check(tess_session_report(session).peak_bytes_measured <= options.memory_limit_bytes,
               "embedded: the ledger is beyond the limit");
    expect_in_limit(self, before_kb, OVERHEAD_KB, "embedded");
    tess_session_close(session);
}

// In a process of its own, whose memory nobody used before. ThreadSanitizer lets no child of a
// process with threads start any; but then memory is not measured anyway.
static void
run_embedded_alone(const struct test_sums *sums)
{
    if (test_is_sanitized()) {
        run_embedded(sums);
        return;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        run_embedded(sums);
        fflush(stdout);
        _exit(EXIT_SUCCESS);
    }
    test_check(child > 0 && test_wait(child, CHILD_MS) == 0, "embedded: it fails");
}

static void
embedded(void)
{
    struct test_sums sums;
    make_numbers(&sums, 1);
    run_embedded_alone(&sums);
    check_saved(sums.n);
    test_numbers_free(&sums);
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
    const struct crew crew = {cluster.workers, WORKERS};
    struct test_sums sums;
    make_numbers(&sums, WORKERS);
    tess_session *session = test_session(&cluster);
    run(session, &sums, &crew);
    for (int i = 0; i < WORKERS; i++) {
        expect_running(cluster.workers[i], has_group && i == WORKERS - 1 ? &group : NULL,
                       "a worker");
    }
    expect_in_limit(cluster.workers[0], 0, 0, "a worker");
    expect_in_limit(cluster.workers[1], 0, 0, "a worker with few addresses");
    expect_in_limit(cluster.workers[2], 0, 0,
                    has_group ? "a worker in a group" : "a worker (no group can be made)");
    tess_session_close(session);
    test_cluster_stop(&cluster);
    check_saved(sums.n);
    test_numbers_free(&sums);
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
    set_sizes(argc > 1 ? strtol(argv[1], NULL, 10) : 26, argc > 2 ? strtol(argv[2], NULL, 10) : 1);
    embedded();
    cluster();
    if (argc == 1) {
        set_sizes(40, 5);
        cluster();
    }
    puts("limits: ok");
    return EXIT_SUCCESS;
}
