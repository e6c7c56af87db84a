// SPDX-License-Identifier: Apache-2.0
//
// The list of all suites; each has a file of its own.

#include <string.h>

#include "bench/bench.h"

const struct bench_suite *const bench_suites[] = {
    &bench_suite_main,   &bench_suite_elementwise, &bench_suite_reduce,    &bench_suite_random,
    &bench_suite_linalg, &bench_suite_movement,    &bench_suite_scheduler, &bench_suite_transfer,
    &bench_suite_trust,  &bench_suite_memory,      &bench_suite_scaling,   NULL,
};

const struct bench *
bench_find(const char *name)
{
    for (int s = 0; bench_suites[s] != NULL; s++) {
        for (const struct bench *bench = bench_suites[s]->benches; bench->name != NULL; bench++) {
            if (strcmp(bench->name, name) == 0) {
                return bench;
            }
        }
    }
    return NULL;
}

const struct bench_suite *
bench_find_suite(const char *name)
{
    for (int s = 0; bench_suites[s] != NULL; s++) {
        if (strcmp(bench_suites[s]->name, name) == 0) {
            return bench_suites[s];
        }
    }
    return NULL;
}
