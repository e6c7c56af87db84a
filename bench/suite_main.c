// SPDX-License-Identifier: Apache-2.0
//
// The main job, normal(n × n).mean(axis 0), and its relatives: made and used up in small pieces, so
// that no chunk of the random array is ever stored.

#include "bench/bench_job.h"

#define WORKERS 2
// The two mean rows, kept in memory between them, are far from one chunk of x (8 MB).
#define PEAK_BYTES 24e6
// The expressions of this suite.
enum { MEAN, MEAN_PER_ELEMENT, STD_ALL, STD_CENTRED };

static void *
open_embedded(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open(setup, 0);
    return bench_job_output(job, (size_t)setup->size * sizeof(double));
}

static void *
open_cluster(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open(setup, WORKERS);
    return bench_job_output(job, (size_t)setup->size * sizeof(double));
}

static tess_array *
expression(int variant, tess_array *x)
{
    switch (variant) {
    case STD_ALL:
        return tess_std(x, TESS_AXES_ALL, 0.0);
    case STD_CENTRED:
        return tess_std(tess_subtract(x, tess_mean(x, TESS_AXIS(0))), TESS_AXIS(0), 0.0);
    default:
        return tess_mean(x, TESS_AXIS(0));
    }
}

// A fresh random array each time, as in the peers: seconds from the expression to the result in
// memory.
static double
run_normal(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    const double start = bench_now();
    tess_array *x =
        tess_random_normal(job->session, TESS_SHAPE(n, n), TESS_CHUNKS(n / 10, n / 10), 0.0, 1.0);
    const double seconds = bench_job_compute(job, expression(job->setup.variant, x), start);
    return job->setup.variant == MEAN_PER_ELEMENT ? seconds / ((double)n * (double)n) : seconds;
}

static const struct bench benches[] = {
    {
        .name = "main-embedded",
        .work = "normal(n x n, 10 x 10 chunks).mean(axis 0), in this process",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_embedded,
        .run = run_normal,
        .close = bench_job_close,
        .variant = MEAN,
        .rivals = {{BENCH_LIMIT, "normal-mean", "normal", "mean", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "normal_mean", 0},
                   {BENCH_PEER, "dask-generator", "dask_threads.py", "generator_mean", 0}},
        .targets = {{BENCH_RATIO, "normal-mean", 0.9, 0},
                    {BENCH_RATIO, "dask-threads", 12, 0},
                    {BENCH_RATIO, "dask-generator", 8, 0}},
    },
    {
        .name = "main-core",
        .work = "the same by one thread, for each normal",
        .unit = "s/element",
        .size = 10000,
        .quick_size = 1000,
        .threads = 1,
        .open = open_embedded,
        .run = run_normal,
        .close = bench_job_close,
        .variant = MEAN_PER_ELEMENT,
        .rivals = {{BENCH_LIMIT, "normal-mean", "normal", "element", 1},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "normal_element", 1}},
        .targets = {{BENCH_AT_MOST, NULL, 1.4e-9, 0}},
    },
    {
        .name = "main-cluster",
        .work = "the same on a scheduler and 2 workers of one thread",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_cluster,
        .run = run_normal,
        .close = bench_job_close,
        .variant = MEAN,
        .rivals = {{BENCH_SELF, "embedded", "main-embedded", NULL, WORKERS},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "normal_mean", 0}},
        .targets = {{BENCH_TIMES, "embedded", 1.1, 2e-3}, {BENCH_RATIO, "dask-distributed", 15, 0}},
    },
    {
        .name = "std-all",
        .work = "normal(n x n, 10 x 10 chunks).std() over both axes",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_embedded,
        .run = run_normal,
        .close = bench_job_close,
        .variant = STD_ALL,
        .rivals = {{BENCH_LIMIT, "normal-std", "normal", "std", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "normal_std", 0}},
        .targets = {{BENCH_RATIO, "dask-threads", 10, 0}, {BENCH_PEAK, NULL, PEAK_BYTES, 0}},
    },
    {
        .name = "std-centred",
        .work = "x = normal(n x n, 10 x 10 chunks); (x - x.mean(axis 0)).std(axis 0)",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_embedded,
        .run = run_normal,
        .close = bench_job_close,
        .variant = STD_CENTRED,
        .rivals = {{BENCH_PEER, "dask-threads", "dask_threads.py", "normal_centred_std", 0}},
        .targets = {{BENCH_RATIO, "dask-threads", 10, 0}, {BENCH_PEAK, NULL, PEAK_BYTES, 0}},
    },
    {0},
};

const struct bench_suite bench_suite_main = {
    "main", "a random array made, reduced and never stored", benches};
