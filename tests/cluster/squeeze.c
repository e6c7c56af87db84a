// SPDX-License-Identifier: Apache-2.0
//
// A worker's control group gets less memory while the worker runs, and then more again: the worker
// notices both, keeps the limit of now, and computes the same bits. Without a control group nothing
// can be lowered, and the test is skipped.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/group.h"
#include "tests/support/processes.h"

enum {
    SKIPPED = 77,
    LIMIT_MB = 96,
    LOW_MB = 64,    // for the group
    RESERVE_MB = 8, // of that at least, which are not for chunks
    SIDE = 3200,    // of an array of float64, 78 MiB
    CHUNK = 400,
};

// Keeps two arrays, which together have no room, and adds them up. `peak` is the most memory that
// was taken for the second one.
static uint64_t
digest(tess_session *session, uint64_t *peak)
{
    tess_array *x =
        tess_random_uniform(session, TESS_SHAPE(SIDE, SIDE), TESS_CHUNKS(CHUNK, SIDE), -1, 1);
    test_check(tess_persist(x) == TESS_OK, "persist: %s", tess_session_error(session));
    tess_array *y = tess_exp(x);
    test_check(tess_persist(y) == TESS_OK, "persist: %s", tess_session_error(session));
    *peak = tess_session_report(session).peak_bytes_measured;
    const uint64_t hash = test_digest(tess_sum(tess_multiply(x, y), TESS_AXIS(1)));
    tess_release(x);
    tess_release(y);
    return hash;
}

// Both results, one after the other as random arrays are numbered.
static void
expect(uint64_t want[2])
{
    tess_session *session = tess_session_open("embedded");
    uint64_t peak = 0;
    want[0] = digest(session, &peak);
    want[1] = digest(session, &peak);
    tess_session_close(session);
}

static void
start_worker(struct test_cluster *cluster, const struct test_group *group)
{
    char command[4 * TEST_PATH_MAX];
    snprintf(command, sizeof command,
             "echo $$ >'%s/cgroup.procs' && exec '%s' --no-nanny --scheduler-file '%s' "
             "--nthreads 1 --memory-limit %dMiB --spill-dir '%s'",
             group->path, test_program("tessera-worker"), cluster->file, LIMIT_MB, test_place("."));
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    cluster->workers[cluster->worker_count++] = test_start("worker-0.log", argv);
    test_workers_await(cluster, 1);
}

int
main(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    struct test_group group;
    uint64_t want[2];
    uint64_t peak = 0;
    test_place_open(120);
    if (test_is_sanitized() || !test_group_make(&group, 1L << 30)) {
        puts("squeeze: no control group can be made, or its limit would be the sanitizer's");
        return SKIPPED;
    }
    expect(want);
    test_scheduler_start(&cluster, NULL);
    start_worker(&cluster, &group);
    tess_session *session = test_session(&cluster);
    test_check(test_group_limit(&group, (long)LOW_MB << 20), "it is not lowered");
    test_log_wait("worker-0.log", "memory limit changed", 1, 20000);
    test_check(digest(session, &peak) == want[0], "with less memory it has other bits");
    test_check(peak <= (uint64_t)(LOW_MB - RESERVE_MB) << 20, "with less memory it took %llu",
               (unsigned long long)peak);
    test_check(test_group_limit(&group, 1L << 30), "it is not raised");
    test_log_wait("worker-0.log", "memory limit changed", 2, 20000);
    test_check(test_log_count("worker-0.log", "to=100663296") == 1, "not back at what was said");
    test_check(digest(session, &peak) == want[1], "with more memory again it has other bits");
    test_check(peak > (uint64_t)(LOW_MB - RESERVE_MB) << 20, "with more memory it took %llu",
               (unsigned long long)peak);
    tess_session_close(session);
    test_cluster_stop(&cluster);
    rmdir(group.path);
    puts("squeeze: ok");
    return EXIT_SUCCESS;
}
