// SPDX-License-Identifier: Apache-2.0
//
// What a bench is: something that is set up once, run several times, and measured each time, beside
// its peers in the same run.

#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_PEERS_MAX 4

// A peer is a Python program in bench/peer that does the same work. It prints `ready`, then for
// each line that it reads does the work once and prints the measured number.
struct bench_peer {
    const char *name;
    const char *script;
};

struct bench {
    const char *name;
    const char *configuration;
    const char *unit;
    bool more_is_better;
    // Sets up; NULL on failure, which has been printed.
    void *(*open)(void);
    // Runs once; the measured number in `unit`, negative on failure, which has been printed.
    double (*run)(void *state);
    void (*close)(void *state);
    struct bench_peer peers[BENCH_PEERS_MAX];
};

// All benches, in the order of the list; ends with a NULL name.
extern const struct bench *const bench_all[];

// bench_cluster.c: a scheduler and workers of one thread each, started from the programs beside
// this one.
struct bench_cluster;
struct bench_cluster *bench_cluster_start(int workers); // NULL on failure, which has been printed
const char *bench_cluster_file(const struct bench_cluster *cluster); // its connection file
void bench_cluster_stop(struct bench_cluster *cluster);

// bench_peer.c
struct bench_peer_process;
struct bench_peer_process *bench_peer_start(const struct bench_peer *peer); // NULL: not installed
double bench_peer_run(struct bench_peer_process *process);                  // negative on failure
void bench_peer_stop(struct bench_peer_process *process);

// Seconds of a clock that never goes back.
double bench_now(void);

#endif
