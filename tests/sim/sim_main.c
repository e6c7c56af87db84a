// SPDX-License-Identifier: Apache-2.0
//
// Simulations of scheduler and workers:
//
//     sim_main [--seeds FROM COUNT]          random runs; 1,000 from 1 when nothing is said
//     sim_main [--verbose] --seed S          one of them
//     sim_main --big WORKERS TASKS           a large cluster without faults, and its time
//     sim_main --exhaustive                  all interleavings of a tiny case
//     sim_main [--verbose] --choices LIST    one of them
//     sim_main [--verbose] --replay FILE     what a daemon wrote with --record
//
// Every tenth seed runs twice, to see that it gives the same. A failure prints its seed and its
// last steps, and ends with status 1.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/sim/sim_world.h"

enum { SEEDS_DEFAULT = 1000, TWICE_EVERY = 10 };

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
                "usage: %s [--verbose] [--seeds FROM COUNT | --seed S | --big WORKERS TASKS |"
                " --exhaustive | --choices LIST | --replay FILE]\n",
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
        } else if (strcmp(argv[i], "--exhaustive") == 0) {
            sim_exhaust();
            return 0;
        } else if (strcmp(argv[i], "--choices") == 0 && i + 1 < argc) {
            sim_exhaust_path(argv[i + 1], verbose);
            return 0;
        } else if (strcmp(argv[i], "--replay") == 0 && i + 1 < argc) {
            return sim_replay(argv[i + 1], verbose) ? 0 : 1;
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
