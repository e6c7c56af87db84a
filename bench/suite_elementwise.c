// SPDX-License-Identifier: Apache-2.0
//
// Element-wise chains over arrays in memory. Those that are reduced at the end read their operands
// once and write nothing, so that reading memory is their limit; the others write as much as one
// operand.

#include "bench/bench_job.h"

#define CHUNK 1000000
enum { SUM_LINEAR, MEAN_WAVES, ADD, EXP, WHERE, CAST };

static void *
open_job(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open(setup, 0);
    job = bench_job_input(job, 0, setup->size);
    job = bench_job_input(job, 1, setup->size);
    const bool is_reduced = setup->variant == SUM_LINEAR || setup->variant == MEAN_WAVES;
    return bench_job_output(job,
                            is_reduced ? sizeof(double) : (size_t)setup->size * sizeof(double));
}

static tess_array *
expression(struct bench_job *job, tess_array *a, tess_array *b)
{
    tess_session *session = job->session;
    switch (job->setup.variant) {
    case SUM_LINEAR:
        return tess_sum(tess_add(tess_multiply(tess_scalar(session, 2.0), a),
                                 tess_multiply(tess_scalar(session, 3.0), b)),
                        TESS_AXES_ALL);
    case MEAN_WAVES: {
        tess_array *s = tess_sin(a);
        tess_array *c = tess_cos(b);
        return tess_mean(tess_add(tess_multiply(s, s), tess_multiply(c, c)), TESS_AXES_ALL);
    }
    case ADD:
        return tess_add(a, b);
    case EXP:
        return tess_exp(a);
    case WHERE:
        return tess_where(tess_less(a, b), a, b);
    default:
        return tess_cast(a, TESS_F32);
    }
}

static double
run_chain(void *state)
{
    struct bench_job *job = state;
    const tess_shape shape = TESS_SHAPE(job->setup.size);
    const double start = bench_now();
    tess_array *a =
        tess_from_memory(job->session, job->in[0], TESS_F64, shape, NULL, TESS_CHUNKS(CHUNK));
    tess_array *b =
        tess_from_memory(job->session, job->in[1], TESS_F64, shape, NULL, TESS_CHUNKS(CHUNK));
    return bench_job_compute(job, expression(job, a, b), start);
}

static const struct bench benches[] = {
    {
        .name = "sum-linear",
        .work = "sum(2 a + 3 b), n float64 each in memory",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = SUM_LINEAR,
        .rivals = {{BENCH_LIMIT, "memory-read", "bandwidth", "read-2", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "sum_linear", 0},
                   {BENCH_PEER, "numexpr", "numpy_jobs.py", "numexpr_sum_linear", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "sum_linear", 0}},
        .targets = {{BENCH_RATIO, "memory-read", 0.85, 0},
                    {BENCH_RATIO, "dask-threads", 5, 0},
                    {BENCH_RATIO, "numexpr", 4, 0}},
    },
    {
        .name = "mean-waves",
        .work = "mean(sin(a)^2 + cos(b)^2), n float64 each in memory",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = MEAN_WAVES,
        .rivals = {{BENCH_LIMIT, "memory-read", "bandwidth", "read-2", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "mean_waves", 0},
                   {BENCH_PEER, "numexpr", "numpy_jobs.py", "numexpr_mean_waves", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "mean_waves", 0}},
        .targets = {{BENCH_RATIO, "dask-threads", 3, 0}},
    },
    {
        .name = "add",
        .work = "a + b to memory, n float64 each",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = ADD,
        .rivals = {{BENCH_LIMIT, "memory-add", "bandwidth", "add", 0},
                   {BENCH_PEER, "numexpr", "numpy_jobs.py", "numexpr_add", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "add", 0}},
    },
    {
        .name = "exp",
        .work = "exp(a) to memory, n float64",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = EXP,
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy", 0},
                   {BENCH_PEER, "numexpr", "numpy_jobs.py", "numexpr_exp", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "exp", 0}},
    },
    {
        .name = "where",
        .work = "where(a < b, a, b) to memory, n float64 each",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = WHERE,
        .rivals = {{BENCH_LIMIT, "memory-add", "bandwidth", "add", 0},
                   {BENCH_PEER, "numexpr", "numpy_jobs.py", "numexpr_where", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "where", 0}},
    },
    {
        .name = "cast",
        .work = "a to float32 in memory, n float64",
        .unit = "s",
        .size = 50000000,
        .quick_size = 500000,
        .open = open_job,
        .run = run_chain,
        .close = bench_job_close,
        .variant = CAST,
        .rivals = {{BENCH_LIMIT, "memory-cast", "bandwidth", "cast", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "cast", 0}},
    },
    {0},
};

const struct bench_suite bench_suite_elementwise = {
    "elementwise", "chains of element-wise operations over arrays in memory", benches};
