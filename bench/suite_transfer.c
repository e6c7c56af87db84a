// SPDX-License-Identifier: Apache-2.0
//
// Arrays between processes of one host: from the client to a worker and back, and from worker to
// worker.

#include "bench/bench_job.h"

#define CHUNKS 16
enum { SCATTER, GATHER, EXCHANGE };

static void *
open_add(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open(setup, 1);
    job = bench_job_input(job, 0, setup->size);
    job = bench_job_input(job, 1, setup->size);
    return bench_job_output(job, (size_t)setup->size * sizeof(double));
}

// Both operands go to the worker, the sum comes back.
static double
run_add(void *state)
{
    struct bench_job *job = state;
    const tess_shape shape = TESS_SHAPE(job->setup.size);
    const double start = bench_now();
    tess_array *a =
        tess_from_memory(job->session, job->in[0], TESS_F64, shape, NULL, TESS_CHUNKS_AUTO);
    tess_array *b =
        tess_from_memory(job->session, job->in[1], TESS_F64, shape, NULL, TESS_CHUNKS_AUTO);
    return bench_job_compute(job, tess_add(a, b), start);
}

// A square of elements in rows of chunks.
static int64_t
side_of(const struct bench_setup *setup)
{
    int64_t side = CHUNKS;
    while ((side + CHUNKS) * (side + CHUNKS) <= setup->size) {
        side += CHUNKS;
    }
    return side;
}

static void *
open_square(const struct bench_setup *setup)
{
    const int64_t n = side_of(setup);
    struct bench_job *job = bench_job_open(setup, 2);
    job = bench_job_input(job, 0, n * n);
    job = bench_job_output(job, (size_t)(n * n) * sizeof(double));
    if (job == NULL || setup->variant == SCATTER) {
        return job;
    }
    tess_array *x = tess_from_memory(job->session, job->in[0], TESS_F64, TESS_SHAPE(n, n), NULL,
                                     TESS_CHUNKS(n / CHUNKS, n));
    job->kept[0] = tess_negative(x);
    if (tess_persist(job->kept[0]) != TESS_OK) {
        bench_job_fail(job);
        bench_job_close(job);
        return NULL;
    }
    return job;
}

// Bytes of the whole array a second.
static double
run_square(void *state)
{
    struct bench_job *job = state;
    const int64_t n = side_of(&job->setup);
    const double bytes = (double)(n * n) * sizeof(double);
    const double start = bench_now();
    double seconds;
    if (job->setup.variant == SCATTER) {
        tess_array *x = tess_from_memory(job->session, job->in[0], TESS_F64, TESS_SHAPE(n, n), NULL,
                                         TESS_CHUNKS(n / CHUNKS, n));
        seconds = bench_job_persist(job, tess_negative(x), start);
    } else if (job->setup.variant == GATHER) {
        seconds = bench_job_compute(job, job->kept[0], start);
    } else {
        seconds = bench_job_persist(
            job, tess_negative(tess_rechunk(job->kept[0], TESS_CHUNKS(n, n / CHUNKS))), start);
    }
    return seconds < 0 ? seconds : bytes / seconds;
}

static const struct bench benches[] = {
    {
        .name = "vector-add-8MB",
        .work = "a + b by a worker: 2 x 8 MB to it, 8 MB back",
        .unit = "s",
        .size = 1000000,
        .quick_size = 100000,
        .open = open_add,
        .run = run_add,
        .close = bench_job_close,
        .rivals = {{BENCH_PEER, "mpi", "mpi_add.py", "add", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "vector_add", 0}},
        .targets = {{BENCH_RATIO, "mpi", 1, 0}},
    },
    {
        .name = "vector-add-80MB",
        .work = "the same with 2 x 80 MB and 80 MB",
        .unit = "s",
        .size = 10000000,
        .quick_size = 200000,
        .open = open_add,
        .run = run_add,
        .close = bench_job_close,
        .rivals = {{BENCH_PEER, "mpi", "mpi_add.py", "add", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "vector_add", 0}},
        .targets = {{BENCH_RATIO, "mpi", 1, 0}},
    },
    {
        .name = "scatter-1GB",
        .work = "n float64 from the client to 2 workers, negated there",
        .unit = "B/s",
        .more_is_better = true,
        .size = 125000000,
        .quick_size = 250000,
        .open = open_square,
        .run = run_square,
        .close = bench_job_close,
        .variant = SCATTER,
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "scatter", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {
        .name = "gather-1GB",
        .work = "n float64 from 2 workers to the client",
        .unit = "B/s",
        .more_is_better = true,
        .size = 125000000,
        .quick_size = 250000,
        .open = open_square,
        .run = run_square,
        .close = bench_job_close,
        .variant = GATHER,
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "gather", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {
        .name = "exchange-1GB",
        .work = "n float64 on 2 workers from rows to columns of chunks, worker to worker, negated",
        .unit = "B/s",
        .more_is_better = true,
        .size = 125000000,
        .quick_size = 250000,
        .open = open_square,
        .run = run_square,
        .close = bench_job_close,
        .variant = EXCHANGE,
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {0},
};

const struct bench_suite bench_suite_transfer = {"transfer", "arrays between processes of one host",
                                                 benches};
