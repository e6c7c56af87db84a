// SPDX-License-Identifier: Apache-2.0
//
// What scheduling costs: tasks that do next to nothing, one task at a time, and expressions of very
// many chunks.

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_job.h"
#include "bench/bench_stats.h"

#define WORKERS 2
enum { P50, P99 };
enum { SUBMIT_TIME, SUBMIT_BYTES };

static void *
open_embedded(const struct bench_setup *setup)
{
    return bench_job_open(setup, 0);
}

static void *
open_cluster(const struct bench_setup *setup)
{
    return bench_job_output(bench_job_open(setup, WORKERS), sizeof(double));
}

static tess_array *
tiny_tasks(struct bench_job *job)
{
    return tess_random_uniform(job->session, TESS_SHAPE(job->setup.size), TESS_CHUNKS(1), 0.0, 1.0);
}

// Tasks of one element each, whose chunks stay where they are made: tasks a second, from the
// expression to the news that all are done.
static double
run_tasks(void *state)
{
    struct bench_job *job = state;
    const double start = bench_now();
    const double seconds = bench_job_persist(job, tiny_tasks(job), start);
    return seconds < 0 ? seconds : (double)job->setup.size / seconds;
}

// A percentile of the time from building a fresh expression of one task to its result.
static double
run_latency(void *state)
{
    struct bench_job *job = state;
    const size_t count = (size_t)job->setup.size;
    double *times = malloc(count * sizeof *times);
    if (times == NULL) {
        return bench_fail("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        const double start = bench_now();
        tess_array *x =
            tess_full(job->session, TESS_SHAPE(1), TESS_CHUNKS_NONE, TESS_F64, (double)i);
        times[i] = bench_job_compute(job, tess_sum(x, TESS_AXES_ALL), start);
        if (times[i] < 0) {
            free(times);
            return -1;
        }
    }
    bench_sort(times, count);
    const double value = bench_percentile(times, count, job->setup.variant == P50 ? 0.5 : 0.99);
    free(times);
    return value;
}

// From building an expression of very many chunks until the call that submits it returns, and what
// was sent for it. The compute is then cancelled.
static double
run_submit(void *state)
{
    struct bench_job *job = state;
    void *const outs[] = {job->out};
    const size_t bytes[] = {job->out_bytes};
    const double start = bench_now();
    tess_array *const mean[] = {tess_mean(tiny_tasks(job), TESS_AXES_ALL)};
    tess_future *future = tess_submit(mean, outs, bytes, 1);
    const double seconds = bench_now() - start;
    tess_future_cancel(future);
    const tess_status status = tess_future_wait(future, -1);
    tess_future_free(future);
    if (status != TESS_ECANCELLED && status != TESS_OK) {
        return bench_job_fail(job);
    }
    const double sent = (double)tess_session_report(job->session).program_bytes;
    return job->setup.variant == SUBMIT_TIME ? seconds : sent;
}

// Resident bytes of the scheduler for each task, while the chunks of all of them are kept.
static double
run_scheduler_bytes(void *state)
{
    struct bench_job *job = state;
    tess_array *x = tiny_tasks(job);
    const int64_t before = bench_cluster_scheduler_bytes(job->cluster);
    if (tess_persist(x) != TESS_OK) {
        return bench_job_fail(job);
    }
    const int64_t grown = bench_cluster_scheduler_bytes(job->cluster) - before;
    tess_release(x);
    return (double)grown / (double)job->setup.size;
}

static void *
open_nothing(const struct bench_setup *setup)
{
    static struct bench_setup kept;
    kept = *setup;
    return &kept;
}

static void
close_nothing(void *state)
{
    (void)state;
}

// Opens a session in this process and computes the first thing.
static double
first_result(int threads)
{
    double out;
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = threads;
    const double start = bench_now();
    tess_session *session = tess_session_open_with("embedded", &options);
    tess_array *x = tess_ones(session, TESS_SHAPE(10, 10), TESS_CHUNKS(5, 5), TESS_F64);
    const tess_status status = tess_compute(tess_sum(x, TESS_AXES_ALL), &out, sizeof out);
    const double seconds = bench_now() - start;
    return status == TESS_OK && out == 100.0 ? seconds : -1;
}

// In a process that has done nothing before.
static double
run_first_result(void *state)
{
    const struct bench_setup *setup = state;
    double seconds = -1;
    int news[2];
    if (pipe(news) != 0) {
        return bench_fail("no pipe");
    }
    const pid_t pid = fork();
    if (pid == 0) {
        seconds = first_result(setup->threads);
        const ssize_t written = write(news[1], &seconds, sizeof seconds);
        _exit(written == sizeof seconds ? 0 : 1);
    }
    close(news[1]);
    const bool came = read(news[0], &seconds, sizeof seconds) == sizeof seconds;
    close(news[0]);
    waitpid(pid, NULL, 0);
    return came && seconds >= 0 ? seconds : bench_fail("the first compute failed");
}

static const struct bench benches[] = {
    {
        .name = "tasks-cluster",
        .work = "n tasks of one element, scheduler and 2 workers",
        .unit = "tasks/s",
        .more_is_better = true,
        .size = 200000,
        .quick_size = 2000,
        .open = open_cluster,
        .run = run_tasks,
        .close = bench_job_close,
        .rivals = {{BENCH_PEER, "dask-distributed", "dask_distributed.py", "tasks", 0},
                   {BENCH_PEER, "celery", "celery_tasks.py", "tasks", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 500e3, 0}},
    },
    {
        .name = "tasks-embedded",
        .work = "n tasks of one element, in this process",
        .unit = "tasks/s",
        .more_is_better = true,
        .size = 1000000,
        .quick_size = 2000,
        .open = open_embedded,
        .run = run_tasks,
        .close = bench_job_close,
        .rivals = {{BENCH_PEER, "dask-threads", "dask_threads.py", "tasks", 0}},
        .targets = {{BENCH_AT_LEAST, NULL, 3e6, 0}},
    },
    {
        .name = "latency-p50",
        .work = "one tiny compute at a time through scheduler and worker: median of n",
        .unit = "s",
        .size = 2000,
        .quick_size = 50,
        .open = open_cluster,
        .run = run_latency,
        .close = bench_job_close,
        .variant = P50,
        .rivals = {{BENCH_LIMIT, "zeromq", "round_trip", "p50", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "latency_p50", 0},
                   {BENCH_PEER, "celery", "celery_tasks.py", "latency_p50", 0}},
        .targets = {{BENCH_AT_MOST, NULL, 250e-6, 0}},
    },
    {
        .name = "latency-p99",
        .work = "the same: 99 of 100 are faster",
        .unit = "s",
        .size = 2000,
        .quick_size = 50,
        .open = open_cluster,
        .run = run_latency,
        .close = bench_job_close,
        .variant = P99,
        .rivals = {{BENCH_LIMIT, "zeromq", "round_trip", "p99", 0},
                   {BENCH_PEER, "dask-distributed", "dask_distributed.py", "latency_p99", 0},
                   {BENCH_PEER, "celery", "celery_tasks.py", "latency_p99", 0}},
        .targets = {{BENCH_AT_MOST, NULL, 1e-3, 0}},
    },
    {
        .name = "submit-time",
        .work = "build and submit the mean of an array of n chunks",
        .unit = "s",
        .size = 10000000,
        .quick_size = 10000,
        .open = open_cluster,
        .run = run_submit,
        .close = bench_job_close,
        .variant = SUBMIT_TIME,
        .targets = {{BENCH_AT_MOST, NULL, 10e-3, 0}},
    },
    {
        .name = "submit-bytes",
        .work = "what is sent for it",
        .unit = "B",
        .once = true,
        .size = 10000000,
        .quick_size = 10000,
        .open = open_cluster,
        .run = run_submit,
        .close = bench_job_close,
        .variant = SUBMIT_BYTES,
        .targets = {{BENCH_AT_MOST, NULL, 65536, 0}},
    },
    {
        .name = "scheduler-bytes",
        .work = "the scheduler's memory for each of n tasks whose chunks are kept",
        .unit = "B/task",
        .once = true,
        .size = 10000000,
        .quick_size = 10000,
        .open = open_cluster,
        .run = run_scheduler_bytes,
        .close = bench_job_close,
        .targets = {{BENCH_AT_MOST, NULL, 64, 0}},
    },
    {
        .name = "first-result",
        .work = "open a session in a new process and compute a sum of 4 chunks",
        .unit = "s",
        .size = 1,
        .quick_size = 1,
        .repeat = 20,
        .open = open_nothing,
        .run = run_first_result,
        .close = close_nothing,
        .targets = {{BENCH_AT_MOST, NULL, 2e-3, 0}},
    },
    {0},
};

const struct bench_suite bench_suite_scheduler = {
    "scheduler", "what scheduling costs: tiny tasks, one at a time, and very many", benches};
