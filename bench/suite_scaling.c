// SPDX-License-Identifier: Apache-2.0
//
// How cost grows: with threads and workers, with ever smaller chunks, with ever more of them.

#include "bench/bench_job.h"

#define WORKERS 2
#define FEWEST_CHUNKS 1000
// Each point of a curve is measured three times, unless it takes very long.
#define POINT_REPEATS 3
#define LONG_POINT_S 1.0
// A point of the curve of ever more chunks, if those are few.
#define SHORT_POINT_S 0.01
#define LONG_CHUNKS 1000000

static void *
open_embedded(const struct bench_setup *setup)
{
    return bench_job_output(bench_job_open(setup, 0), (size_t)setup->size * sizeof(double));
}

// Curves keep what they make where it is made.
static void *
open_curve_embedded(const struct bench_setup *setup)
{
    return bench_job_open(setup, 0);
}

static void *
open_curve_cluster(const struct bench_setup *setup)
{
    return bench_job_open(setup, WORKERS);
}

static void *
open_workers(const struct bench_setup *setup)
{
    return bench_job_output(bench_job_open(setup, setup->variant),
                            (size_t)setup->size * sizeof(double));
}

// The main job, with so many cuts of each axis.
static double
run_main_cut(struct bench_job *job, int64_t cuts)
{
    const int64_t n = job->setup.size;
    const double start = bench_now();
    tess_array *x = tess_random_normal(job->session, TESS_SHAPE(n, n),
                                       TESS_CHUNKS(n / cuts, n / cuts), 0.0, 1.0);
    return bench_job_compute(job, tess_mean(x, TESS_AXIS(0)), start);
}

static double
run_main(void *state)
{
    return run_main_cut(state, 10);
}

static double
run_cuts(void *state)
{
    struct bench_job *job = state;
    return run_main_cut(job, job->setup.variant);
}

// The shortest time of a few runs of `tasks` tasks that use up `elements` numbers each.
static double
time_tasks(struct bench_job *job, int64_t tasks, int64_t elements)
{
    double best = -1;
    for (int i = 0; i < POINT_REPEATS && best < LONG_POINT_S; i++) {
        const double start = bench_now();
        tess_array *x = tess_random_uniform(job->session, TESS_SHAPE(tasks, elements),
                                            TESS_CHUNKS(1, elements), 0.0, 1.0);
        const double seconds = bench_job_persist(job, tess_sum(x, TESS_AXIS(1)), start);
        if (seconds < 0) {
            return -1;
        }
        best = best < 0 || seconds < best ? seconds : best;
    }
    return best;
}

static int
processors_of(const struct bench_job *job)
{
    return job->cluster != NULL ? WORKERS : job->setup.threads;
}

// METG(50 %): tasks are made longer until half of the processors' time is work; the length of such
// a task, the time lost included. What an element costs is measured with long tasks; if the machine
// was disturbed so much that half is never work, it is the longest task that was tried.
static double
run_metg(void *state)
{
    struct bench_job *job = state;
    const double processors = processors_of(job);
    // The size is the time that a point takes at least, in milliseconds.
    const double point_s = (double)job->setup.size * 1e-3;
    const int64_t long_task = 1000000;
    const int64_t long_tasks = job->setup.size < 100 ? 4 : 32;
    const double whole = time_tasks(job, long_tasks, long_task);
    const double element = whole * processors / (double)(long_tasks * long_task);
    double share_before = 0;
    double length_before = 0;
    for (int64_t elements = 64; whole > 0 && elements <= long_task; elements *= 2) {
        const double work = (double)elements * element;
        const double expected = work > 2e-6 ? work : 2e-6;
        const int64_t tasks = (int64_t)(point_s * processors / expected) + 1;
        const double seconds = time_tasks(job, tasks, elements);
        if (seconds < 0) {
            return -1;
        }
        const double length = seconds * processors / (double)tasks;
        const double share = work / length;
        if (share >= 0.5) {
            const double part = (0.5 - share_before) / (share - share_before);
            return length_before + part * (length - length_before);
        }
        share_before = share;
        length_before = length;
    }
    return whole > 0 ? length_before : -1;
}

// The mean time of sums over `chunks` chunks of one element, as many as take a second: the shortest
// of several would come from a moment in which the machine is fast, if they are short, and not if
// they are long.
static double
time_chunks(struct bench_job *job, int64_t chunks)
{
    const double whole = job->setup.size < LONG_CHUNKS ? SHORT_POINT_S : LONG_POINT_S;
    double sum = 0;
    int count = 0;
    while (sum < whole) {
        const double start = bench_now();
        tess_array *x = tess_random_uniform(job->session, TESS_SHAPE(chunks), TESS_CHUNKS(1), 0, 1);
        const double seconds = bench_job_persist(job, tess_sum(x, TESS_AXES_ALL), start);
        if (seconds < 0) {
            return -1;
        }
        sum += seconds;
        count++;
    }
    return sum / count;
}

// Time a chunk at the most chunks, as a multiple of the least time a chunk at fewer.
static double
run_growth(void *state)
{
    struct bench_job *job = state;
    double least = 0;
    double chunk = 0;
    for (int64_t chunks = FEWEST_CHUNKS; chunks <= job->setup.size; chunks *= 10) {
        const double seconds = time_chunks(job, chunks);
        if (seconds < 0) {
            return -1;
        }
        least = chunk > 0 && (least <= 0 || chunk < least) ? chunk : least;
        chunk = seconds / (double)chunks;
    }
    return chunk / least;
}

// What the rows have in common that run the main job.
#define MAIN_ROW(title, what, opens, runs)                                                         \
    .name = (title), .work = (what), .unit = "s", .size = 10000, .quick_size = 1000,               \
    .open = (opens), .run = (runs), .close = bench_job_close

static const struct bench benches[] = {
    {MAIN_ROW("threads-1", "the main job by 1 thread", open_embedded, run_main), .threads = 1},
    {MAIN_ROW("threads-2", "the main job by 2 threads", open_embedded, run_main), .threads = 2,
     .rivals = {{BENCH_SELF, "one", "threads-1", NULL, 1}}},
    {MAIN_ROW("threads-4", "the main job by 4 threads", open_embedded, run_main), .threads = 4,
     .rivals = {{BENCH_SELF, "one", "threads-1", NULL, 1}}},
    {MAIN_ROW("threads-8", "the main job by 8 threads", open_embedded, run_main), .threads = 8,
     .rivals = {{BENCH_SELF, "one", "threads-1", NULL, 1}}},
    {MAIN_ROW("workers-1", "the main job on 1 worker", open_workers, run_main), .variant = 1},
    {MAIN_ROW("workers-2", "the main job on 2 workers", open_workers, run_main), .variant = 2,
     .rivals = {{BENCH_SELF, "one", "workers-1", NULL, 0}}},
    {MAIN_ROW("cuts-1", "the main job in one chunk", open_embedded, run_cuts), .variant = 1},
    {MAIN_ROW("cuts-4", "the main job in 4 x 4 chunks", open_embedded, run_cuts), .variant = 4},
    {MAIN_ROW("cuts-40", "the main job in 40 x 40 chunks", open_embedded, run_cuts), .variant = 40},
    {MAIN_ROW("cuts-200", "the main job in 200 x 200 chunks", open_embedded, run_cuts),
     .variant = 200},
    {
        .name = "metg-cluster",
        .work = "length of a task at which half of the time is work, scheduler and 2 workers",
        .unit = "s",
        .repeat = 3,
        .size = 100,
        .quick_size = 2,
        .open = open_curve_cluster,
        .run = run_metg,
        .close = bench_job_close,
        .targets = {{BENCH_AT_MOST, NULL, 20e-6, 0}},
    },
    {
        .name = "metg-embedded",
        .work = "length of a task at which half of the time is work, in this process",
        .unit = "s",
        .repeat = 3,
        .size = 100,
        .quick_size = 2,
        .open = open_curve_embedded,
        .run = run_metg,
        .close = bench_job_close,
    },
    {
        .name = "growth-cluster",
        .work = "time a chunk at n chunks against the least at fewer, scheduler and 2 workers",
        .unit = "",
        .once = true,
        .size = 10000000,
        .quick_size = 10000,
        .open = open_curve_cluster,
        .run = run_growth,
        .close = bench_job_close,
        .targets = {{BENCH_AT_MOST, NULL, 1.2, 0}},
    },
    {
        .name = "growth-embedded",
        .work = "time a chunk at n chunks against the least at fewer, in this process",
        .unit = "",
        .once = true,
        .size = 10000000,
        .quick_size = 10000,
        .open = open_curve_embedded,
        .run = run_growth,
        .close = bench_job_close,
        .targets = {{BENCH_AT_MOST, NULL, 1.2, 0}},
    },
    {0},
};

const struct bench_suite bench_suite_scaling = {
    "scaling", "how cost grows with threads, workers, and ever more chunks", benches};
