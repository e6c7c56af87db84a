// SPDX-License-Identifier: Apache-2.0
//
// A job is set up so that what is measured is the work: pages are touched, workers have joined.

#include "bench/bench_job.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench_pages.h"

double
bench_job_fail(const struct bench_job *job)
{
    return bench_fail("%s", tess_session_error(job->session));
}

void
bench_job_close(void *state)
{
    struct bench_job *job = state;
    if (job == NULL) {
        return;
    }
    tess_session_close(job->session);
    bench_cluster_stop(job->cluster);
    free(job->in[0]);
    free(job->in[1]);
    free(job->out);
    free(job);
}

static bool
open_session(struct bench_job *job, int workers, enum bench_wire wire)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    const char *where = "embedded";
    if (workers > 0) {
        job->cluster = bench_cluster_start(workers, wire);
        if (job->cluster == NULL) {
            return false;
        }
        where = bench_cluster_file(job->cluster);
    } else {
        options.threads = job->setup.threads;
    }
    job->session = tess_session_open_with(where, &options);
    if (tess_session_status(job->session) != TESS_OK) {
        bench_job_fail(job);
        return false;
    }
    return true;
}

struct bench_job *
bench_job_open(const struct bench_setup *setup, int workers)
{
    return bench_job_open_on(setup, workers, BENCH_IPC);
}

struct bench_job *
bench_job_open_on(const struct bench_setup *setup, int workers, enum bench_wire wire)
{
    struct bench_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        bench_fail("out of memory");
        return NULL;
    }
    job->setup = *setup;
    if (!open_session(job, workers, wire)) {
        bench_job_close(job);
        return NULL;
    }
    return job;
}

static struct bench_job *
give_up(struct bench_job *job)
{
    bench_fail("out of memory");
    bench_job_close(job);
    return NULL;
}

struct bench_job *
bench_job_input(struct bench_job *job, int which, int64_t count)
{
    uint64_t state = (uint64_t)which + 1;
    double *data = job != NULL ? bench_pages_take((size_t)count * sizeof *data) : NULL;
    if (data == NULL) {
        return job != NULL ? give_up(job) : NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (double)(state >> 11) * 0x1p-53;
    }
    job->in[which] = data;
    return job;
}

struct bench_job *
bench_job_output(struct bench_job *job, size_t bytes)
{
    void *data = job != NULL ? bench_pages_take(bytes) : NULL;
    if (data == NULL) {
        return job != NULL ? give_up(job) : NULL;
    }
    memset(data, 1, bytes);
    job->out = data;
    job->out_bytes = bytes;
    return job;
}

double
bench_job_compute(struct bench_job *job, tess_array *x, double start)
{
    if (tess_compute(x, job->out, job->out_bytes) != TESS_OK) {
        return bench_job_fail(job);
    }
    return bench_now() - start;
}

double
bench_job_persist(struct bench_job *job, tess_array *x, double start)
{
    if (tess_persist(x) != TESS_OK) {
        return bench_job_fail(job);
    }
    const double seconds = bench_now() - start;
    tess_release(x);
    return seconds;
}
