// SPDX-License-Identifier: Apache-2.0
//
// What a random element costs one core, with the sum that uses it up: seconds an element.

#include "bench/bench_job.h"

#define CHUNK 1000000
enum { NORMAL_F64, NORMAL_F32, UNIFORM, INTEGERS_I64, INTEGERS_I32, INTEGERS_U8 };

static void *
open_job(const struct bench_setup *setup)
{
    return bench_job_output(bench_job_open(setup, 0), sizeof(double));
}

static tess_array *
source(struct bench_job *job)
{
    const tess_shape shape = TESS_SHAPE(job->setup.size);
    const tess_chunks chunks = TESS_CHUNKS(CHUNK);
    tess_session *session = job->session;
    switch (job->setup.variant) {
    case NORMAL_F64:
        return tess_random_standard_normal(session, shape, chunks, TESS_F64);
    case NORMAL_F32:
        return tess_random_standard_normal(session, shape, chunks, TESS_F32);
    case UNIFORM:
        return tess_random_uniform(session, shape, chunks, 0.0, 1.0);
    case INTEGERS_I64:
        return tess_random_integers(session, shape, chunks, TESS_I64, 0, 1000);
    case INTEGERS_I32:
        return tess_random_integers(session, shape, chunks, TESS_I32, 0, 1000);
    default:
        return tess_random_integers(session, shape, chunks, TESS_U8, 0, 100);
    }
}

static double
run_source(void *state)
{
    struct bench_job *job = state;
    const double start = bench_now();
    const double seconds = bench_job_compute(job, tess_sum(source(job), TESS_AXES_ALL), start);
    return seconds / (double)job->setup.size;
}

#define ROW(title, what, which, limit, peer)                                                       \
    {                                                                                              \
        .name = (title), .work = (what), .unit = "s/element", .size = 50000000,                    \
        .quick_size = 500000, .threads = 1, .open = open_job, .run = run_source,                   \
        .close = bench_job_close, .variant = (which),                                              \
        .rivals = {                                                                                \
            {BENCH_LIMIT, "philox", "normal", (limit), 1},                                         \
            {BENCH_PEER, "numpy", "numpy_jobs.py", (peer), 1},                                     \
        },                                                                                         \
    }

static const struct bench benches[] = {
    ROW("normal-f64", "normal float64, by one thread, summed", NORMAL_F64, "normals",
        "random_normal"),
    ROW("normal-f32", "normal float32, by one thread, summed", NORMAL_F32, "normals",
        "random_normal_f32"),
    ROW("uniform-f64", "uniform float64, by one thread, summed", UNIFORM, "uniforms",
        "random_uniform"),
    ROW("integers-i64", "int64 below 1000, by one thread, summed", INTEGERS_I64, "uniforms",
        "random_i64"),
    ROW("integers-i32", "int32 below 1000, by one thread, summed", INTEGERS_I32, "uniforms",
        "random_i32"),
    ROW("integers-u8", "uint8 below 100, by one thread, summed", INTEGERS_U8, "uniforms",
        "random_u8"),
    {0},
};

const struct bench_suite bench_suite_random = {
    "random", "what a random element costs one core, and the sum that uses it", benches};
