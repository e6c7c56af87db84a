// SPDX-License-Identifier: Apache-2.0
//
// Arrays between processes of one host: from the client to a worker and back, and from worker to
// worker. Some rows do the same by one way after the other, each beside the way before it: so what
// is between two of them is what lending memory saves, what tcp costs, and what CURVE does.

#include "bench/bench_job.h"

#define CHUNKS 16
#define WORKERS 2
enum { ADD, SCATTER, GATHER, EXCHANGE, BROADCAST };

// A bench has one number to tell its rows apart: it holds what is moved, and how.
#define VARIANT(what, wire) ((wire)*8 + (what))

static int
what_of(const struct bench_setup *setup)
{
    return setup->variant % 8;
}

static enum bench_wire
wire_of(const struct bench_setup *setup)
{
    return (enum bench_wire)(setup->variant / 8);
}

static void *
open_add(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open_on(setup, 1, wire_of(setup));
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

// Keeps `x` on the workers; NULL on failure, after bench_fail().
static struct bench_job *
keep(struct bench_job *job, tess_array *x)
{
    job->kept[0] = x;
    if (tess_persist(x) != TESS_OK) {
        bench_job_fail(job);
        bench_job_close(job);
        return NULL;
    }
    return job;
}

static void *
open_square(const struct bench_setup *setup)
{
    const int64_t n = side_of(setup);
    struct bench_job *job = bench_job_open_on(setup, WORKERS, wire_of(setup));
    job = bench_job_input(job, 0, n * n);
    job = bench_job_output(job, (size_t)(n * n) * sizeof(double));
    if (job == NULL || what_of(setup) == SCATTER) {
        return job;
    }
    tess_array *x = tess_from_memory(job->session, job->in[0], TESS_F64, TESS_SHAPE(n, n), NULL,
                                     TESS_CHUNKS(n / CHUNKS, n));
    return keep(job, tess_negative(x));
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
    if (what_of(&job->setup) == SCATTER) {
        tess_array *x = tess_from_memory(job->session, job->in[0], TESS_F64, TESS_SHAPE(n, n), NULL,
                                         TESS_CHUNKS(n / CHUNKS, n));
        seconds = bench_job_persist(job, tess_negative(x), start);
    } else if (what_of(&job->setup) == GATHER) {
        seconds = bench_job_compute(job, job->kept[0], start);
    } else {
        seconds = bench_job_persist(
            job, tess_negative(tess_rechunk(job->kept[0], TESS_CHUNKS(n, n / CHUNKS))), start);
    }
    return seconds < 0 ? seconds : bytes / seconds;
}

// One row of chunks for each worker, each larger than the array that is read: so that a task goes
// to where its row is, and not to where that array is.
static void *
open_broadcast(const struct bench_setup *setup)
{
    const int64_t n = setup->size + setup->size / 4;
    struct bench_job *job = bench_job_open_on(setup, WORKERS, wire_of(setup));
    job = bench_job_output(job, WORKERS * sizeof(double));
    if (job == NULL) {
        return NULL;
    }
    return keep(job, tess_random_uniform(job->session, TESS_SHAPE(WORKERS, n), TESS_CHUNKS(1, n),
                                         0.0, 1.0));
}

// Makes an array in one chunk, which one worker has, and lets both read it whole: each adds the
// first element of its row to all elements and sums them up. The array is new each time, since a
// worker keeps what it has fetched.
static double
run_broadcast(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    tess_array *x =
        tess_random_uniform(job->session, TESS_SHAPE(1, n), TESS_CHUNKS(1, n), 0.0, 1.0);
    tess_array *first =
        tess_slice(job->kept[0], TESS_INDEX(TESS_RANGE(0, TESS_OPEN, 1), TESS_RANGE(0, 1, 1)));
    if (tess_persist(x) != TESS_OK) {
        return bench_job_fail(job);
    }
    const double start = bench_now();
    const double seconds =
        bench_job_compute(job, tess_sum(tess_add(x, first), TESS_AXIS(1)), start);
    tess_release(x);
    return seconds;
}

// What all rows of a kind have in common.
#define ADDS(title, what, n, quick, wire)                                                          \
    .name = (title), .work = (what), .unit = "s", .size = (n), .quick_size = (quick),              \
    .open = open_add, .run = run_add, .close = bench_job_close, .variant = VARIANT(ADD, wire)
#define MOVES(title, what, which, wire)                                                            \
    .name = (title), .work = (what), .unit = "B/s", .more_is_better = true, .size = 125000000,     \
    .quick_size = 250000, .open = open_square, .run = run_square, .close = bench_job_close,        \
    .variant = VARIANT(which, wire)
#define BROADCASTS(title, what, wire)                                                              \
    .name = (title), .work = (what), .unit = "s", .size = 12500000, .quick_size = 100000,          \
    .open = open_broadcast, .run = run_broadcast, .close = bench_job_close,                        \
    .variant = VARIANT(BROADCAST, wire)

static const struct bench benches[] = {
    {
        ADDS("vector-add-8MB", "a + b by a worker: 2 x 8 MB to it, 8 MB back", 1000000, 100000,
             BENCH_IPC),
        .rivals = {{BENCH_PEER, "mpi", "mpi_add.py", "add", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "vector_add", 0}},
        .targets = {{BENCH_RATIO, "mpi", 1, 0}},
    },
    {
        ADDS("vector-add-80MB", "the same with 2 x 80 MB and 80 MB", 10000000, 200000, BENCH_IPC),
        .rivals = {{BENCH_PEER, "mpi", "mpi_add.py", "add", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "vector_add", 0}},
        .targets = {{BENCH_RATIO, "mpi", 1, 0}},
    },
    {
        ADDS("vector-add-80MB-ipc", "the same, sent over ipc instead of lent", 10000000, 200000,
             BENCH_IPC_SENT),
        .rivals = {{BENCH_SELF, "lent", "vector-add-80MB", NULL, 0}},
    },
    {
        ADDS("vector-add-80MB-tcp", "the same over tcp, without encryption", 10000000, 200000,
             BENCH_TCP_OPEN),
        .rivals = {{BENCH_SELF, "ipc", "vector-add-80MB-ipc", NULL, 0},
                   {BENCH_PEER, "mpi-tcp", "mpi_add.py", "add_tcp", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "vector_add", 0}},
    },
    {
        ADDS("vector-add-80MB-curve", "the same with CURVE, as between hosts", 10000000, 200000,
             BENCH_TCP_CURVE),
        .rivals = {{BENCH_SELF, "tcp-open", "vector-add-80MB-tcp", NULL, 0},
                   {BENCH_PEER, "dask-tls", "dask_distributed.py", "vector_add_tls", 0}},
    },
    {
        MOVES("scatter-1GB", "n float64 from the client to 2 workers, negated there", SCATTER,
              BENCH_IPC),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "scatter", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {
        MOVES("gather-1GB", "n float64 from 2 workers to the client", GATHER, BENCH_IPC),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "gather", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {
        MOVES("gather-1GB-ipc", "the same, sent over ipc instead of lent", GATHER, BENCH_IPC_SENT),
        .rivals = {{BENCH_LIMIT, "unix-socket", "stream", "unix", 0},
                   {BENCH_LIMIT, "xxh3", "checksum", "xxh3", 0},
                   {BENCH_SELF, "lent", "gather-1GB", NULL, 0}},
    },
    {
        MOVES("gather-1GB-tcp", "the same over tcp, without encryption", GATHER, BENCH_TCP_OPEN),
        .rivals = {{BENCH_LIMIT, "tcp-socket", "stream", "tcp", 0},
                   {BENCH_SELF, "ipc", "gather-1GB-ipc", NULL, 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "gather", 0}},
    },
    {
        MOVES("gather-1GB-curve", "the same with CURVE, as between hosts", GATHER, BENCH_TCP_CURVE),
        .rivals = {{BENCH_LIMIT, "libsodium", "curve", "box", 0},
                   {BENCH_SELF, "tcp-open", "gather-1GB-tcp", NULL, 0},
                   {BENCH_PEER, "dask-tls", "dask_distributed.py", "gather_tls", 0}},
    },
    {
        MOVES("exchange-1GB",
              "n float64 on 2 workers from rows to columns of chunks, worker to worker, negated",
              EXCHANGE, BENCH_IPC),
        .rivals = {{BENCH_LIMIT, "memory-copy", "bandwidth", "copy-rate", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 6e9, 0}},
    },
    {
        BROADCASTS("broadcast-100MB", "n float64 that one of 2 workers has, summed by both",
                   BENCH_IPC),
        .rivals = {{BENCH_LIMIT, "memory-read", "bandwidth", "read-2", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "broadcast", 0}},
    },
    {
        BROADCASTS("broadcast-100MB-curve", "the same with CURVE, as between hosts",
                   BENCH_TCP_CURVE),
        .rivals = {{BENCH_SELF, "lent", "broadcast-100MB", NULL, 0},
                   {BENCH_PEER, "dask-tls", "dask_distributed.py", "broadcast_tls", 0}},
    },
    {0},
};

const struct bench_suite bench_suite_transfer = {"transfer", "arrays between processes of one host",
                                                 benches};
