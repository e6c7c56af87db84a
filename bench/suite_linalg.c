// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of arrays in memory. The limit is OpenBLAS called once for the whole product,
// with its kernels for this very processor.

#include "bench/bench_job.h"

// As the peers have it: a quarter or half of an axis.
#define CHUNK 2000
enum { F64, F32 };

static size_t
element_bytes(const struct bench_setup *setup)
{
    return setup->variant == F64 ? sizeof(double) : sizeof(float);
}

// The inputs of float32 are the first half of memory for float64.
static struct bench_job *
narrow(struct bench_job *job, int64_t count)
{
    for (int which = 0; which < 2 && job != NULL && job->setup.variant == F32; which++) {
        float *to = (float *)(void *)job->in[which];
        for (int64_t i = 0; i < count; i++) {
            to[i] = (float)(i % 1000) / 1000.0F;
        }
    }
    return job;
}

static void *
open_job(const struct bench_setup *setup)
{
    const int64_t count = setup->size * setup->size;
    struct bench_job *job = bench_job_open(setup, 0);
    job = bench_job_input(job, 0, count);
    job = bench_job_input(job, 1, count);
    job = narrow(job, count);
    return bench_job_output(job, (size_t)count * element_bytes(setup));
}

static double
run_product(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    const tess_shape shape = TESS_SHAPE(n, n);
    const tess_chunks chunks = TESS_CHUNKS(CHUNK, CHUNK);
    const tess_dtype dtype = job->setup.variant == F64 ? TESS_F64 : TESS_F32;
    const double start = bench_now();
    tess_array *a = tess_from_memory(job->session, job->in[0], dtype, shape, NULL, chunks);
    tess_array *b = tess_from_memory(job->session, job->in[1], dtype, shape, NULL, chunks);
    const double seconds = bench_job_compute(job, tess_matmul(a, b), start);
    return seconds < 0 ? seconds : 2.0 * (double)n * (double)n * (double)n / seconds;
}

#define ROW(title, what, n, which, type, job)                                                      \
    {                                                                                              \
        .name = (title), .work = (what), .unit = "FLOP/s", .more_is_better = true, .size = (n),    \
        .quick_size = 400, .repeat = 3, .open = open_job, .run = run_product,                      \
        .close = bench_job_close, .variant = (which),                                              \
        .rivals =                                                                                  \
            {                                                                                      \
                {BENCH_LIMIT, "openblas", "blas", (type), 0},                                      \
                {BENCH_PEER, "dask-threads", "dask_threads.py", (job), 0},                         \
                {BENCH_PEER, "numpy", "numpy_jobs.py", (job), 0},                                  \
            },                                                                                     \
        .targets = {{BENCH_RATIO, "openblas", 0.92, 0}, {BENCH_RATIO, "dask-threads", 2, 0}},      \
    }

static const struct bench benches[] = {
    ROW("matmul-4000-f64", "product of two 4000 x 4000 matrices of float64", 4000, F64, "f64",
        "matmul_f64"),
    ROW("matmul-4000-f32", "product of two 4000 x 4000 matrices of float32", 4000, F32, "f32",
        "matmul_f32"),
    ROW("matmul-8000-f64", "product of two 8000 x 8000 matrices of float64", 8000, F64, "f64",
        "matmul_f64"),
    ROW("matmul-8000-f32", "product of two 8000 x 8000 matrices of float32", 8000, F32, "f32",
        "matmul_f32"),
    {0},
};

const struct bench_suite bench_suite_linalg = {"linalg", "matrix products", benches};
