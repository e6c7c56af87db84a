// SPDX-License-Identifier: Apache-2.0
//
// Reductions of one array in memory, along long and short axes. All read it once and write little.

#include "bench/bench_job.h"

enum { SUM_DOWN, SUM_ACROSS, SUM_SHORT_ROWS, SUM_SHORT_COLUMNS, VAR_DOWN, MIN_ALL, ARGMIN_ALL };
#define SHORT 4

// n elements as a matrix: nearly square, or with one axis of 4.
static tess_shape
shape_of(const struct bench_setup *setup)
{
    int64_t side = 1;
    while (side * side * 4 <= setup->size) {
        side *= 2;
    }
    switch (setup->variant) {
    case SUM_SHORT_ROWS:
        return TESS_SHAPE(setup->size / SHORT, SHORT);
    case SUM_SHORT_COLUMNS:
        return TESS_SHAPE(SHORT, setup->size / SHORT);
    default:
        return TESS_SHAPE(side, setup->size / side);
    }
}

static void *
open_job(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open(setup, 0);
    job = bench_job_input(job, 0, setup->size);
    const bool is_short = setup->variant == SUM_SHORT_ROWS || setup->variant == SUM_SHORT_COLUMNS;
    const int64_t results = is_short ? setup->size / SHORT : setup->size / 1024;
    return bench_job_output(job, (size_t)results * sizeof(double));
}

static double
run_reduction(void *state)
{
    struct bench_job *job = state;
    const double start = bench_now();
    tess_array *x = tess_from_memory(job->session, job->in[0], TESS_F64, shape_of(&job->setup),
                                     NULL, TESS_CHUNKS_AUTO);
    switch (job->setup.variant) {
    case SUM_DOWN:
    case SUM_SHORT_COLUMNS:
        return bench_job_compute(job, tess_sum(x, TESS_AXIS(0)), start);
    case SUM_ACROSS:
    case SUM_SHORT_ROWS:
        return bench_job_compute(job, tess_sum(x, TESS_AXIS(1)), start);
    case VAR_DOWN:
        return bench_job_compute(job, tess_var(x, TESS_AXIS(0), 0.0), start);
    case MIN_ALL:
        return bench_job_compute(job, tess_min(x, TESS_AXES_ALL), start);
    default:
        return bench_job_compute(job, tess_argmin(x, TESS_AXES_ALL), start);
    }
}

#define ROW(title, what, which, job)                                                               \
    {                                                                                              \
        .name = (title), .work = (what), .unit = "s", .size = 67108864, .quick_size = 1048576,     \
        .open = open_job, .run = run_reduction, .close = bench_job_close, .variant = (which),      \
        .rivals = {                                                                                \
            {BENCH_LIMIT, "memory-read", "bandwidth", "read-1", 0},                                \
            {BENCH_PEER, "dask-threads", "dask_threads.py", (job), 0},                             \
            {BENCH_PEER, "numpy", "numpy_jobs.py", (job), 0},                                      \
        },                                                                                         \
    }

static const struct bench benches[] = {
    ROW("sum-down", "sum over axis 0 of a square matrix of n float64", SUM_DOWN, "sum_down"),
    ROW("sum-across", "sum over axis 1 of a square matrix of n float64", SUM_ACROSS, "sum_across"),
    ROW("sum-short-rows", "sum over axis 1 of an n/4 x 4 matrix of float64", SUM_SHORT_ROWS,
        "sum_short_rows"),
    ROW("sum-short-columns", "sum over axis 0 of a 4 x n/4 matrix of float64", SUM_SHORT_COLUMNS,
        "sum_short_columns"),
    ROW("var-down", "variance over axis 0 of a square matrix of n float64", VAR_DOWN, "var_down"),
    ROW("min-all", "least of n float64", MIN_ALL, "min_all"),
    ROW("argmin-all", "place of the least of n float64", ARGMIN_ALL, "argmin_all"),
    {0},
};

const struct bench_suite bench_suite_reduce = {"reduce", "reductions of an array in memory",
                                               benches};
