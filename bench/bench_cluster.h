// SPDX-License-Identifier: Apache-2.0
//
// A scheduler and workers of one thread each on this machine, started from the programs beside the
// one that runs.

#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include <stdint.h>

struct bench_cluster;

// Returns when all workers have joined; NULL on failure, after bench_fail().
struct bench_cluster *bench_cluster_start(int workers);
const char *bench_cluster_file(const struct bench_cluster *cluster); // its connection file
void bench_cluster_stop(struct bench_cluster *cluster);              // accepts NULL

// Resident bytes of the scheduler; 0 if unknown.
int64_t bench_cluster_scheduler_bytes(const struct bench_cluster *cluster);

#endif
