// SPDX-License-Identifier: Apache-2.0
//
// The main job and its relatives by hand. Threads share the columns, a strip that stays in the
// first cache at a time, so nothing has to be put together at the end.

#include <stdlib.h>
#include <string.h>

#include "bench/limit/limit.h"
#include "bench/limit/limit_isa.h"

#define STRIP 960 // columns, whole groups of registers of every instruction set
#define PIECE (INT64_C(1) << 16)

enum { MEAN, ELEMENT, STD, NORMALS, UNIFORMS };
static const char *const jobs[] = {"mean", "element", "std", "normals", "uniforms", NULL};

struct work {
    int job;
    int64_t size;
    int threads;
    const struct limit_kernels *kernels;
    double *mean;
    double sums[1024][2]; // of each thread
};

// Elements 2k and 2k + 1 of a strip are summed apart.
static void
sum_strip(const struct work *work, int64_t column, int64_t columns)
{
    _Alignas(LIMIT_ALIGNMENT) double even[STRIP / 2] = {0};
    _Alignas(LIMIT_ALIGNMENT) double odd[STRIP / 2] = {0};
    const int64_t n = work->size;
    for (int64_t row = 0; row < n; row++) {
        work->kernels->add_normals((uint64_t)(row * n + column), (columns + 1) / 2, even, odd);
    }
    for (int64_t j = 0; j < columns; j++) {
        work->mean[column + j] = (j % 2 == 0 ? even : odd)[j / 2] / (double)n;
    }
}

static void
sum_columns(void *state, int thread, int threads)
{
    const struct work *work = state;
    // Shares of whole strips would be uneven: the last strip of each share is narrower.
    const int64_t step = 32;
    const int64_t end = limit_part(work->size, step, thread + 1, threads);
    for (int64_t column = limit_part(work->size, step, thread, threads); column < end;
         column += STRIP) {
        sum_strip(work, column, end - column < STRIP ? end - column : STRIP);
    }
}

static void
sum_elements(void *state, int thread, int threads)
{
    struct work *work = state;
    const int64_t count = work->job == STD ? work->size * work->size : work->size;
    const int64_t end = limit_part(count, PIECE, thread + 1, threads);
    double total[2] = {0, 0};
    for (int64_t at = limit_part(count, PIECE, thread, threads); at < end; at += PIECE) {
        const int64_t elements = end - at < PIECE ? end - at : PIECE;
        double sums[2];
        (work->job == UNIFORMS ? work->kernels->sum_uniforms
                               : work->kernels->sum_normals)((uint64_t)at, elements / 2, sums);
        total[0] += sums[0];
        total[1] += sums[1];
    }
    memcpy(work->sums[thread], total, sizeof total);
}

static double
run(void *state)
{
    struct work *work = state;
    const double n = (double)work->size;
    const double start = limit_now();
    limit_parallel(work->threads, work->job <= ELEMENT ? sum_columns : sum_elements, work);
    const double seconds = limit_now() - start;
    switch (work->job) {
    case ELEMENT:
        return seconds / (n * n);
    case NORMALS:
    case UNIFORMS:
        return seconds / n;
    default:
        return seconds;
    }
}

int
main(int argc, char **argv)
{
    static struct work work;
    const int code = limit_arguments(argc, argv, jobs, &work.job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    work.kernels = limit_kernels();
    work.mean = limit_numbers(work.size + STRIP);
    const int end = limit_serve(run, &work);
    free(work.mean);
    return end;
}
