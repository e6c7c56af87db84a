// SPDX-License-Identifier: Apache-2.0
//
// What stays in memory of work that is far larger than it. The number of a row is the peak of
// resident memory of the process, which has done nothing before.

#include "bench/bench_job.h"
#include "engine/base/machine.h"

// Rows of 8 MB, cut in ten.
#define COLUMNS 1000000
#define CHUNK 100000
enum { MEAN, CENTRED, IDLE };

static void *
open_job(const struct bench_setup *setup)
{
    const size_t results = setup->variant == CENTRED ? COLUMNS : 1;
    return bench_job_output(bench_job_open(setup, 0), results * sizeof(double));
}

static tess_array *
expression(struct bench_job *job)
{
    if (job->setup.variant == IDLE) {
        return tess_sum(tess_ones(job->session, TESS_SHAPE(8), TESS_CHUNKS(1), TESS_F64),
                        TESS_AXES_ALL);
    }
    tess_array *x = tess_random_uniform(job->session, TESS_SHAPE(job->setup.size, COLUMNS),
                                        TESS_CHUNKS(10, CHUNK), 0.0, 1.0);
    if (job->setup.variant == CENTRED) {
        return tess_std(tess_subtract(x, tess_mean(x, TESS_AXIS(0))), TESS_AXIS(0), 0.0);
    }
    return tess_mean(x, TESS_AXES_ALL);
}

static double
run_peak(void *state)
{
    struct bench_job *job = state;
    if (bench_job_compute(job, expression(job), 0.0) < 0) {
        return -1;
    }
    return (double)tsi_machine_resident_peak_bytes();
}

static const struct bench benches[] = {
    {
        .name = "mean-100GB",
        .work = "peak of the mean of a uniform n x 1,000,000 array of float64",
        .unit = "B",
        .once = true,
        .size = 12500,
        .quick_size = 20,
        .open = open_job,
        .run = run_peak,
        .close = bench_job_close,
        .variant = MEAN,
        .targets = {{BENCH_AT_MOST, NULL, 12e6, 0}},
    },
    {
        .name = "centred-8GB",
        .work = "peak of (x - x.mean(axis 0)).std(axis 0) of one, with 2 x 8 MB that it needs",
        .unit = "B",
        .once = true,
        .size = 1000,
        .quick_size = 20,
        .open = open_job,
        .run = run_peak,
        .close = bench_job_close,
        .variant = CENTRED,
    },
    {
        .name = "idle",
        .work = "peak of a session that has computed a sum of 8 chunks of one element",
        .unit = "B",
        .once = true,
        .size = 1,
        .quick_size = 1,
        .open = open_job,
        .run = run_peak,
        .close = bench_job_close,
        .variant = IDLE,
    },
    {0},
};

const struct bench_suite bench_suite_memory = {
    "memory", "what stays in memory of work that is far larger", benches};
