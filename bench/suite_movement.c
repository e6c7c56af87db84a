// SPDX-License-Identifier: Apache-2.0
//
// Transposes, rechunks, strided reads and files: work that is movement of memory. The arrays are
// larger than any cache.

#include <stdio.h>
#include <unistd.h>

#include "bench/bench_job.h"

#define WORKERS 2
#define CUTS 8
#define RECHUNK_CUTS 32
enum { TRANSPOSE_ADD, RECHUNK_SUM, TRANSPOSE, STRIDED_SUM, NPY_SUM, NPY_SAVE };

static char npy_path[64];

static bool
is_result_matrix(int variant)
{
    return variant == TRANSPOSE;
}

static tess_chunks
chunks_of(const struct bench_setup *setup)
{
    const int64_t n = setup->size;
    return setup->variant == RECHUNK_SUM ? TESS_CHUNKS(n, n / RECHUNK_CUTS)
                                         : TESS_CHUNKS(n / CUTS, n / CUTS);
}

static struct bench_job *
open_with(const struct bench_setup *setup, int workers)
{
    const int64_t n = setup->size;
    struct bench_job *job = bench_job_open(setup, workers);
    return bench_job_output(job, (size_t)(is_result_matrix(setup->variant) ? n * n : n) *
                                     sizeof(double));
}

static void *
open_memory(const struct bench_setup *setup)
{
    struct bench_job *job = open_with(setup, 0);
    job = bench_job_input(job, 0, setup->size * setup->size);
    if (job != NULL) {
        job->kept[0] =
            tess_from_memory(job->session, job->in[0], TESS_F64,
                             TESS_SHAPE(setup->size, setup->size), NULL, chunks_of(setup));
    }
    return job;
}

static void *
open_cluster(const struct bench_setup *setup)
{
    struct bench_job *job = open_with(setup, WORKERS);
    if (job == NULL) {
        return NULL;
    }
    job->kept[0] = tess_random_uniform(job->session, TESS_SHAPE(setup->size, setup->size),
                                       chunks_of(setup), 0.0, 1.0);
    if (tess_persist(job->kept[0]) != TESS_OK) {
        bench_job_fail(job);
        bench_job_close(job);
        return NULL;
    }
    return job;
}

static void
close_file(void *state)
{
    bench_job_close(state);
    unlink(npy_path);
}

static void *
open_file(const struct bench_setup *setup)
{
    struct bench_job *job = open_memory(setup);
    snprintf(npy_path, sizeof npy_path, "/tmp/tessera-bench-%d.npy", (int)getpid());
    if (job != NULL && tess_save_npy(job->kept[0], npy_path) != TESS_OK) {
        bench_job_fail(job);
        close_file(job);
        return NULL;
    }
    return job;
}

static double
run_save(struct bench_job *job, double start)
{
    if (tess_save_npy(job->kept[0], npy_path) != TESS_OK) {
        return bench_job_fail(job);
    }
    return bench_now() - start;
}

static double
run_movement(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    tess_array *x = job->kept[0];
    const double start = bench_now();
    switch (job->setup.variant) {
    case TRANSPOSE_ADD:
        x = tess_mean(tess_add(x, tess_transpose(x, TESS_REVERSED)), TESS_AXIS(1));
        break;
    case RECHUNK_SUM:
        x = tess_sum(tess_rechunk(x, TESS_CHUNKS(n / RECHUNK_CUTS, n)), TESS_AXIS(1));
        break;
    case TRANSPOSE:
        x = tess_transpose(x, TESS_REVERSED);
        break;
    case STRIDED_SUM:
        x = tess_sum(
            tess_slice(x, TESS_INDEX(TESS_RANGE(0, TESS_OPEN, 2), TESS_RANGE(0, TESS_OPEN, 3))),
            TESS_AXIS(1));
        break;
    case NPY_SUM:
        x = tess_sum(tess_load_npy(job->session, npy_path, TESS_CHUNKS_AUTO), TESS_AXIS(1));
        break;
    default:
        return run_save(job, start);
    }
    return bench_job_compute(job, x, start);
}

// What all rows have in common.
#define ROW(title, what, which, opens, closes)                                                     \
    .name = (title), .work = (what), .unit = "s", .size = 8000, .quick_size = 800,                 \
    .open = (opens), .run = run_movement, .close = (closes), .variant = (which)

static const struct bench benches[] = {
    {
        ROW("transpose-add", "(x + x.T).mean(axis 1), x n x n float64 in memory", TRANSPOSE_ADD,
            open_memory, bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "transpose_add", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "transpose_add", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "transpose_add", 0}},
        .targets = {{BENCH_RATIO, "dask-distributed", 8, 0}, {BENCH_RATIO, "memory-copy", 0.5, 0}},
    },
    {
        ROW("transpose-add-cluster", "the same, x on 2 workers", TRANSPOSE_ADD, open_cluster,
            bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "transpose_add", 0}},
        .targets = {{BENCH_RATIO, "dask-distributed", 8, 0}},
    },
    {
        ROW("rechunk-sum", "columns to rows of chunks, then sum(axis 1), x n x n float64 in memory",
            RECHUNK_SUM, open_memory, bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "rechunk_sum", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "rechunk_sum", 0}},
        .targets = {{BENCH_RATIO, "dask-distributed", 8, 0}, {BENCH_RATIO, "memory-copy", 0.5, 0}},
    },
    {
        ROW("rechunk-sum-cluster", "the same, x on 2 workers", RECHUNK_SUM, open_cluster,
            bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "rechunk_sum", 0}},
        .targets = {{BENCH_RATIO, "dask-distributed", 8, 0}},
    },
    {
        ROW("transpose", "x.T to memory, x n x n float64", TRANSPOSE, open_memory, bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "transpose", 0}},
    },
    {
        ROW("strided-sum", "x[::2, ::3].sum(axis 1), x n x n float64 in memory", STRIDED_SUM,
            open_memory, bench_job_close),
        .rivals = {{BENCH_LIMIT, "memory-read-half", "bandwidth", "read-half-square", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "strided_sum", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "strided_sum", 0}},
    },
    {
        ROW("npy-sum", "sum(axis 1) of an n x n NPY file that is in the page cache", NPY_SUM,
            open_file, close_file),
        .rivals = {{BENCH_LIMIT, "memory-read", "bandwidth", "read-square", 0},
                   {BENCH_PEER, "dask-threads", "dask_threads.py", "npy_sum", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "npy_sum", 0},
                   {BENCH_PEER, "numpy-read", "numpy_jobs.py", "npy_sum_read", 0}},
    },
    {
        ROW("npy-save", "x to an NPY file and to the disk, x n x n float64 in memory", NPY_SAVE,
            open_file, close_file),
        .repeat = 3,
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-square", 0},
                   {BENCH_PEER, "numpy", "numpy_jobs.py", "npy_save", 0},
                   {BENCH_PEER, "numpy-fsync", "numpy_jobs.py", "npy_save_durably", 0}},
    },
    {0},
};

const struct bench_suite bench_suite_movement = {
    "movement", "transposes, rechunks, strided reads and files", benches};
