// SPDX-License-Identifier: Apache-2.0
//
// What trust costs: encryption of all that daemons say to each other, and the time to recover from
// the loss of a worker.

#include "bench/bench_job.h"

#define WORKERS 2

static void *
open_wired(const struct bench_setup *setup)
{
    struct bench_job *job = bench_job_open_on(setup, WORKERS, (enum bench_wire)setup->variant);
    return bench_job_output(job, (size_t)setup->size * sizeof(double));
}

static void *
open_tasks(const struct bench_setup *setup)
{
    return bench_job_open_on(setup, WORKERS, (enum bench_wire)setup->variant);
}

static double
run_main_job(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    const double start = bench_now();
    tess_array *x =
        tess_random_normal(job->session, TESS_SHAPE(n, n), TESS_CHUNKS(n / 10, n / 10), 0.0, 1.0);
    return bench_job_compute(job, tess_mean(x, TESS_AXIS(0)), start);
}

static double
run_tasks(void *state)
{
    struct bench_job *job = state;
    const double start = bench_now();
    tess_array *x =
        tess_random_uniform(job->session, TESS_SHAPE(job->setup.size), TESS_CHUNKS(1), 0.0, 1.0);
    const double seconds = bench_job_persist(job, x, start);
    return seconds < 0 ? seconds : (double)job->setup.size / seconds;
}

// Keeps an array of n chunks on both workers, kills one of them, and sums the array: seconds from
// the kill to the sum, for which what the dead worker had must have been made again. An upper bound
// of the time until that begins.
static double
run_recovery(void *state)
{
    struct bench_job *job = state;
    const int64_t n = job->setup.size;
    tess_array *x =
        tess_random_uniform(job->session, TESS_SHAPE(n * 1000), TESS_CHUNKS(1000), 0.0, 1.0);
    if (tess_persist(x) != TESS_OK) {
        return bench_job_fail(job);
    }
    if (!bench_cluster_kill_worker(job->cluster)) {
        return -1;
    }
    const double start = bench_now();
    const double seconds = bench_job_compute(job, tess_sum(x, TESS_AXES_ALL), start);
    tess_release(x);
    return bench_cluster_replace_worker(job->cluster) ? seconds : -1;
}

static const struct bench benches[] = {
    {
        .name = "main-open",
        .work = "the main job on 2 workers over tcp, without encryption",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_wired,
        .run = run_main_job,
        .close = bench_job_close,
        .variant = BENCH_TCP_OPEN,
        .rivals = {{BENCH_SELF, "ipc", "main-cluster", NULL, 0}},
    },
    {
        .name = "main-curve",
        .work = "the same with CURVE, as is the default",
        .unit = "s",
        .size = 10000,
        .quick_size = 1000,
        .open = open_wired,
        .run = run_main_job,
        .close = bench_job_close,
        .variant = BENCH_TCP_CURVE,
        .rivals = {{BENCH_SELF, "tcp-open", "main-open", NULL, 0}},
    },
    {
        .name = "tasks-open",
        .work = "n tasks of one element on 2 workers over tcp, without encryption",
        .unit = "tasks/s",
        .more_is_better = true,
        .size = 200000,
        .quick_size = 2000,
        .open = open_tasks,
        .run = run_tasks,
        .close = bench_job_close,
        .variant = BENCH_TCP_OPEN,
        .rivals = {{BENCH_SELF, "ipc", "tasks-cluster", NULL, 0}},
    },
    {
        .name = "tasks-curve",
        .work = "the same with CURVE",
        .unit = "tasks/s",
        .more_is_better = true,
        .size = 200000,
        .quick_size = 2000,
        .open = open_tasks,
        .run = run_tasks,
        .close = bench_job_close,
        .variant = BENCH_TCP_CURVE,
        .rivals = {{BENCH_SELF, "tcp-open", "tasks-open", NULL, 0}},
    },
    {
        .name = "recovery",
        .work = "sum of n kept chunks, of which a worker killed by SIGKILL held half",
        .unit = "s",
        .size = 100,
        .quick_size = 10,
        .open = open_wired,
        .run = run_recovery,
        .close = bench_job_close,
        .variant = BENCH_IPC,
        .targets = {{BENCH_AT_MOST, NULL, 1, 0}},
    },
    {0},
};

const struct bench_suite bench_suite_trust = {
    "trust", "what encryption costs, and the loss of a worker", benches};
