// SPDX-License-Identifier: Apache-2.0
//
// Running benches and telling what they measured.

#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stdio.h>

#include "bench/bench.h"

struct bench_options {
    int repeat;
    bool peers;
    FILE *json; // NULL: none
};

// Runs `bench`, prints a line for people and, if asked for, one JSON object on a line. False on
// failure.
bool bench_run(const struct bench *bench, const struct bench_options *options);

#endif
