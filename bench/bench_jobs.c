// SPDX-License-Identifier: Apache-2.0
//
// The benches: the main job, embedded and on a cluster, and tasks that do nearly nothing.

#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "tessera.h"

struct job {
    tess_session *session;
    struct bench_cluster *cluster; // NULL if embedded
    double *out;
};

#define COLUMNS 10000
#define TINY_TASKS 100000

static void
close_job(void *state)
{
    struct job *job = state;
    tess_session_close(job->session);
    bench_cluster_stop(job->cluster);
    free(job->out);
    free(job);
}

static struct job *
open_job(struct bench_cluster *cluster, int threads)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    struct job *job = calloc(1, sizeof *job);
    double *out = calloc(COLUMNS, sizeof *out);
    if (job == NULL || out == NULL) {
        free(job);
        free(out);
        return NULL;
    }
    options.threads = threads;
    job->cluster = cluster;
    job->out = out;
    job->session = tess_session_open_with(
        cluster != NULL ? bench_cluster_file(cluster) : "embedded", &options);
    if (tess_session_status(job->session) != TESS_OK) {
        fprintf(stderr, "tessera-bench: %s\n", tess_session_error(job->session));
        close_job(job);
        return NULL;
    }
    return job;
}

static void *
open_embedded(void)
{
    return open_job(NULL, 2);
}

static void *
open_cluster(void)
{
    struct bench_cluster *cluster = bench_cluster_start(2);
    struct job *job = cluster != NULL ? open_job(cluster, 0) : NULL;
    double one;
    // Both workers are there once this has run on each of them; the warm-up run sees to the rest.
    if (job != NULL &&
        tess_compute(tess_sum(tess_ones(job->session, TESS_SHAPE(64), TESS_CHUNKS(1), TESS_F64),
                              TESS_AXES_ALL),
                     &one, sizeof one) != TESS_OK) {
        fprintf(stderr, "tessera-bench: %s\n", tess_session_error(job->session));
        close_job(job);
        return NULL;
    }
    return job;
}

static double
failed(const struct job *job)
{
    fprintf(stderr, "tessera-bench: %s\n", tess_session_error(job->session));
    return -1;
}

// A fresh random array each time, as in the peers: seconds from the expression to the result in
// memory.
static double
run_main_job(void *state)
{
    struct job *job = state;
    const double start = bench_now();
    tess_array *x = tess_random_normal(job->session, TESS_SHAPE(COLUMNS, COLUMNS),
                                       TESS_CHUNKS(1000, 1000), 0.0, 1.0);
    if (tess_compute(tess_mean(x, TESS_AXIS(0)), job->out, COLUMNS * sizeof(double)) != TESS_OK) {
        return failed(job);
    }
    return bench_now() - start;
}

// Tasks of one element each, whose chunks stay where they are made: tasks a second, from the
// expression to the news that all are done.
static double
run_tiny_tasks(void *state)
{
    struct job *job = state;
    const double start = bench_now();
    tess_array *x =
        tess_random_uniform(job->session, TESS_SHAPE(TINY_TASKS), TESS_CHUNKS(1), 0.0, 1.0);
    if (tess_persist(x) != TESS_OK) {
        return failed(job);
    }
    const double seconds = bench_now() - start;
    tess_release(x);
    return TINY_TASKS / seconds;
}

static const struct bench main_embedded = {
    .name = "main-embedded",
    .configuration = "normal(10000 x 10000, chunks 1000 x 1000).mean(axis 0), 2 threads",
    .unit = "s",
    .open = open_embedded,
    .run = run_main_job,
    .close = close_job,
    .peers = {{"dask-threads", "main_threads.py"}, {"dask-threads-generator", "main_generator.py"}},
};

static const struct bench main_cluster = {
    .name = "main-cluster",
    .configuration =
        "normal(10000 x 10000, chunks 1000 x 1000).mean(axis 0), scheduler and 2 workers",
    .unit = "s",
    .open = open_cluster,
    .run = run_main_job,
    .close = close_job,
    .peers = {{"dask-distributed", "main_distributed.py"}},
};

static const struct bench tiny_embedded = {
    .name = "tasks-embedded",
    .configuration = "100000 tasks of one element, 2 threads",
    .unit = "tasks/s",
    .more_is_better = true,
    .open = open_embedded,
    .run = run_tiny_tasks,
    .close = close_job,
};

static const struct bench tiny_cluster = {
    .name = "tasks-cluster",
    .configuration = "100000 tasks of one element, scheduler and 2 workers",
    .unit = "tasks/s",
    .more_is_better = true,
    .open = open_cluster,
    .run = run_tiny_tasks,
    .close = close_job,
    .peers = {{"dask-distributed", "tasks_distributed.py"}},
};

const struct bench *const bench_all[] = {&main_embedded, &main_cluster, &tiny_embedded,
                                         &tiny_cluster, NULL};
