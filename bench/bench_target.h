// SPDX-License-Identifier: Apache-2.0
//
// Targets: their words, and whether measurements meet them.

#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <jansson.h>

#include "bench/bench.h"

// How many times as good `own` is as `other`: above 1 is better.
double bench_target_ratio(const struct bench *bench, double own, double other);

// What is known when a target is looked at; `other` is negative if its rival was not measured.
struct bench_target_facts {
    double own;
    double other;
    double peak_bytes;
    bool judged; // sizes are those that the targets are about
};

// {"text": "≥ 12 × dask-threads", "found": "13.1", "met": true}; met is null if it is not known.
json_t *bench_target_judge(const struct bench *bench, const struct bench_target *target,
                           const struct bench_target_facts *facts);

#endif
