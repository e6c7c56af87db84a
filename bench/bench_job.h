// SPDX-License-Identifier: Apache-2.0
//
// What most benches need: a session, embedded or on a cluster of its own, memory for what goes in
// and comes out, and a clock around one compute.

#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include "bench/bench.h"
#include "bench/bench_cluster.h"
#include "tessera.h"

struct bench_job {
    struct bench_setup setup;
    tess_session *session;
    struct bench_cluster *cluster; // NULL if embedded
    double *in[2];
    void *out;
    size_t out_bytes;
    tess_array *kept[2]; // computed once by open, and kept by the session
};

// A session on the threads of this process, or on a scheduler with `workers` workers of one thread
// that have all joined, if `workers` is above 0. NULL on failure, after bench_fail().
struct bench_job *bench_job_open(const struct bench_setup *setup, int workers);
struct bench_job *bench_job_open_on(const struct bench_setup *setup, int workers,
                                    enum bench_wire wire);

// Memory for `in` or `out`. They are written to, so that no page is missing later; inputs get
// numbers between 0 and 1, the same in every run. Large ones are in huge pages where the system has
// them, as NumPy's arrays are. NULL for a job that is NULL, or closes the job
// and is NULL when memory runs out.
struct bench_job *bench_job_input(struct bench_job *job, int which, int64_t count);
struct bench_job *bench_job_output(struct bench_job *job, size_t bytes);

void bench_job_close(void *state);

// Seconds that computing `x` into `out` takes, from `start` on; −1 on failure, after bench_fail().
double bench_job_compute(struct bench_job *job, tess_array *x, double start);

// Seconds until all chunks of `x` are made where they are kept, after which they are given back.
double bench_job_persist(struct bench_job *job, tess_array *x, double start);

// What a session says went wrong, as bench_fail().
double bench_job_fail(const struct bench_job *job);

#endif
