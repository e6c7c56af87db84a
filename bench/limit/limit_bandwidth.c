// SPDX-License-Identifier: Apache-2.0
//
// What reading, copying, adding and converting arrays in memory takes at least. Jobs whose names
// end with "square" take the side of a square array.

#include <stdbool.h>
#include <stdlib.h>

#include "bench/limit/limit.h"
#include "bench/limit/limit_isa.h"

#define STEP 4096

enum { READ_1, READ_2, READ_SQUARE, READ_HALF, COPY, COPY_SQUARE, COPY_RATE, ADD, CAST };
static const char *const jobs[] = {"read-1", "read-2",      "read-square", "read-half-square",
                                   "copy",   "copy-square", "copy-rate",   "add",
                                   "cast",   NULL};

struct work {
    int job;
    int64_t size;
    int threads;
    int64_t count;
    const struct limit_kernels *kernels;
    double *a;
    double *b;
    double *out;
    double sums[1024]; // of each thread
};

// Every second row, each whole: strides in a row touch all lines of memory.
static double
sum_half(const struct work *work, int thread, int threads)
{
    double sum = 0;
    const int64_t end = limit_part(work->size, 2, thread + 1, threads);
    for (int64_t row = limit_part(work->size, 2, thread, threads); row < end; row += 2) {
        sum += work->kernels->sum(work->size, work->a + row * work->size);
    }
    return sum;
}

static void
run_part(void *state, int thread, int threads)
{
    struct work *work = state;
    const struct limit_kernels *kernels = work->kernels;
    const int64_t from = limit_part(work->count, STEP, thread, threads);
    const int64_t count = limit_part(work->count, STEP, thread + 1, threads) - from;
    switch (work->job) {
    case READ_1:
    case READ_SQUARE:
        work->sums[thread] = kernels->sum(count, work->a + from);
        break;
    case READ_2:
        work->sums[thread] =
            kernels->sum(count, work->a + from) + kernels->sum(count, work->b + from);
        break;
    case READ_HALF:
        work->sums[thread] = sum_half(work, thread, threads);
        break;
    case ADD:
        kernels->add(count, work->out + from, work->a + from, work->b + from);
        break;
    case CAST:
        kernels->cast(count, (float *)(void *)work->out + from, work->a + from);
        break;
    default:
        kernels->copy(count, work->out + from, work->a + from);
    }
}

static double
run(void *state)
{
    struct work *work = state;
    const double start = limit_now();
    limit_parallel(work->threads, run_part, work);
    const double seconds = limit_now() - start;
    return work->job == COPY_RATE ? (double)work->count * sizeof(double) / seconds : seconds;
}

int
main(int argc, char **argv)
{
    static struct work work;
    const int code = limit_arguments(argc, argv, jobs, &work.job, &work.size, &work.threads);
    if (code != 0) {
        return code;
    }
    const bool is_square =
        work.job == READ_SQUARE || work.job == READ_HALF || work.job == COPY_SQUARE;
    const bool is_read = work.job <= READ_HALF;
    work.kernels = limit_kernels();
    work.count = is_square ? work.size * work.size : work.size;
    work.a = limit_numbers(work.count);
    work.b = work.job == READ_2 || work.job == ADD ? limit_numbers(work.count) : NULL;
    work.out = is_read ? NULL : limit_numbers(work.count);
    const int end = limit_serve(run, &work);
    free(work.a);
    free(work.b);
    free(work.out);
    return end;
}
