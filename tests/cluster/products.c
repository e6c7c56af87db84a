// SPDX-License-Identifier: Apache-2.0
//
// Products of matrices that are larger than the memory of the workers: what OpenBLAS takes for
// itself, its code and a buffer for each thread, is within their limits as well. The matrices come
// from a file of whole numbers and are kept. That a product is right is seen by its rows' sums,
// which are exact: those of x · x are x times the sums of the rows of x.

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/numbers.h"
#include "tests/support/processes.h"

enum {
    SIDE = 2400,
    WORKERS = 2,
    LIMIT_KB = 40 * 1024,
    SANITIZED_LIMIT_KB = 200 * 1024,
};

static tess_array *
keep(tess_session *session, int64_t rows, int64_t columns)
{
    tess_array *x = tess_load_npy(session, test_place("numbers.npy"), TESS_CHUNKS(rows, columns));
    const tess_status status = tess_persist(x);
    test_check(status == TESS_OK, "persist: %s", tess_session_error(session));
    return x;
}

// Sums of the rows of x · x.
static double *
expected(void)
{
    struct test_sums sums;
    test_numbers_sum(&sums, SIDE);
    double *want = calloc(SIDE, sizeof *want);
    test_check(want != NULL, "out of memory");
    for (int64_t i = 0; i < SIDE; i++) {
        for (int64_t j = 0; j < SIDE; j++) {
            want[i] += test_number(SIDE, i, j) * sums.rows[j];
        }
    }
    test_numbers_free(&sums);
    return want;
}

static void
expect_product(tess_session *session, int64_t rows, int64_t inner, int64_t columns,
               const double *want)
{
    static double have[SIDE];
    tess_array *x = keep(session, rows, inner);
    tess_array *y = keep(session, inner, columns);
    const tess_status status =
        tess_compute(tess_sum(tess_matmul(x, y), TESS_AXIS(1)), have, sizeof have);
    test_check(status == TESS_OK, "matmul: %s", tess_session_error(session));
    for (int i = 0; i < SIDE; i++) {
        test_check(have[i] == want[i], "row %d is %.17g, not %.17g", i, have[i], want[i]);
    }
    tess_release(x);
    tess_release(y);
}

static void
expect_in_limit(const struct test_cluster *cluster)
{
    for (int i = 0; i < WORKERS; i++) {
        const long most = test_memory_kb(cluster->workers[i], "VmHWM");
        printf("worker %d: a limit of %d KB, %ld KB at most\n", i, LIMIT_KB, most);
        test_check(most > 0 && (most <= LIMIT_KB || test_is_sanitized()),
                   "worker %d: %ld KB, the limit is %d KB", i, most, LIMIT_KB);
    }
}

int
main(void)
{
    struct test_cluster cluster = {.scheduler = 0};
    char limit[32];
    test_place_open(200);
    snprintf(limit, sizeof limit, "%dKiB", test_is_sanitized() ? SANITIZED_LIMIT_KB : LIMIT_KB);
    const char *const flags[] = {"--memory-limit", limit, "--spill-dir", test_place("."), NULL};
    test_numbers_write(test_place("numbers.npy"), SIDE);
    double *want = expected();
    test_cluster_start_with(&cluster, NULL, WORKERS, flags);
    tess_session *session = test_session(&cluster);
    expect_product(session, 400, 400, 400, want);
    // Wide blocks, for which OpenBLAS takes most.
    expect_product(session, 200, 200, 1200, want);
    test_check(test_log_count("worker-0.log", "memory reserved for products") >= 1,
               "nothing was reserved");
    expect_in_limit(&cluster);
    tess_session_close(session);
    test_cluster_stop(&cluster);
    free(want);
    puts("products: ok");
    return EXIT_SUCCESS;
}
