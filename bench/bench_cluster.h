// SPDX-License-Identifier: Apache-2.0
//
// A scheduler and workers of one thread each on this machine, started from the programs beside the
// one that runs.

#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

struct bench_cluster;

// How its processes are joined, each way with one thing more than the one before. Memory is lent by
// the first alone; the others send chunks in segments, as members on different hosts must.
enum bench_wire { BENCH_IPC, BENCH_IPC_SENT, BENCH_TCP_OPEN, BENCH_TCP_CURVE };

// Returns when all workers have joined; NULL on failure, after bench_fail(). Whether memory is lent
// is set in this process's environment, for the daemons and for the session of this process.
struct bench_cluster *bench_cluster_start(int workers, enum bench_wire wire);

// Kills the first worker by SIGKILL, and starts another one in its place. False after bench_fail().
bool bench_cluster_kill_worker(struct bench_cluster *cluster);
bool bench_cluster_replace_worker(struct bench_cluster *cluster);

const char *bench_cluster_file(const struct bench_cluster *cluster); // its connection file
void bench_cluster_stop(struct bench_cluster *cluster);              // accepts NULL

// Resident bytes of the scheduler; 0 if unknown.
int64_t bench_cluster_scheduler_bytes(const struct bench_cluster *cluster);

#endif
