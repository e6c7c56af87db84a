// SPDX-License-Identifier: Apache-2.0
//
// Runs benches with their rivals. What was measured is a JSON document; every report is made from
// it, so that one of a file is the same as one of a run. docs/man/tessera-bench.1 describes it.

#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <jansson.h>
#include <stdbool.h>

#include "bench/bench.h"

struct bench_options {
    int repeat;
    int threads; // of this machine that may be used
    bool peers;
    bool quick;
    double seconds;   // after which a bench stops, once it has three runs
    double timeout_s; // of one answer
};

// Runs one bench; a new object that says also what failed. NULL when memory runs out.
json_t *bench_run(const struct bench_suite *suite, const struct bench *bench,
                  const struct bench_options *options);

#endif
