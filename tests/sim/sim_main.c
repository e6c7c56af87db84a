// SPDX-License-Identifier: Apache-2.0
//
// Simulations of scheduler and workers:
//
//     sim_main [--seed S] [--seeds FROM COUNT] [--big WORKERS TASKS] [--verbose]
//
// Without arguments it runs a fixed set of seeds, some of them twice to see that they give the
// same. A failure prints its seed and its last steps, and ends with status 1.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/sim/sim_world.h"

enum { SEEDS_DEFAULT = 400, TWICE_EVERY = 10 };

static uint64_t
run_seed(uint64_t seed, bool verbose)
{
    const struct sim_config config = {.seed = seed, .verbose = verbose};
    return sim_run(&config);
}

static void
run_seeds(uint64_t from, uint64_t count, bool verbose)
{
    for (uint64_t seed = from; seed < from + count; seed++) {
        const uint64_t digest = run_seed(seed, verbose);
        if (seed % TWICE_EVERY == 0 && run_seed(seed, verbose) != digest) {
            printf("seed %" PRIu64 ": two runs differ\n", seed);
            exit(1);
        }
    }
    printf("%" PRIu64 " seeds from %" PRIu64 ": good\n", count, from);
}

static void
run_big(int workers, int64_t tasks)
{
    const struct sim_config config = {.seed = 1, .big_workers = workers, .big_tasks = tasks};
    const uint64_t start = tsi_clock_ns();
    sim_run(&config);
    const double seconds = (double)(tsi_clock_ns() - start) / (double)TSI_SECOND;
    printf("%d workers, %" PRId64 " tasks: %.2f s, %.0f tasks/s\n", workers, tasks, seconds,
           (double)tasks / seconds);
}

static uint64_t
number(int argc, char **argv, int at)
{
    char *end = NULL;
    const uint64_t value = at < argc ? strtoull(argv[at], &end, 10) : 0;
    if (at >= argc || end == argv[at] || *end != '\0') {
        fprintf(stderr,
                "usage: %s [--seed S] [--seeds FROM COUNT] [--big WORKERS TASKS] "
                "[--verbose]\n",
                argv[0]);
        exit(2);
    }
    return value;
}

int
main(int argc, char **argv)
{
    uint64_t from = 1;
    uint64_t count = SEEDS_DEFAULT;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--seed") == 0) {
            from = number(argc, argv, ++i);
            count = 1;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            from = number(argc, argv, ++i);
            count = number(argc, argv, ++i);
        } else if (strcmp(argv[i], "--big") == 0) {
            const int workers = (int)number(argc, argv, ++i);
            run_big(workers, (int64_t)number(argc, argv, ++i));
            return 0;
        } else {
            number(argc, argv, argc);
        }
    }
    run_seeds(from, count, verbose);
    return 0;
}
