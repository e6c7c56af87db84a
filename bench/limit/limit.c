// SPDX-License-Identifier: Apache-2.0
//
// The frame around the work: arguments, threads, and the words that tessera-bench understands.

#include "bench/limit/limit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench_pages.h"

#define THREADS_MAX 1024

double
limit_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int
limit_fail(const char *why)
{
    printf("failed %s\n", why);
    fflush(stdout);
    return EXIT_FAILURE;
}

int
limit_serve(double (*run)(void *state), void *state)
{
    char line[64];
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        const double value = run(state);
        if (value < 0) {
            return limit_fail("it could not do its work");
        }
        printf("%.17g\n", value);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}

int
limit_arguments(int argc, char **argv, const char *const *jobs, int *job, int64_t *size,
                int *threads)
{
    if (argc != 4) {
        return limit_fail("it takes a job, a size and a number of threads");
    }
    *size = strtoll(argv[2], NULL, 10);
    *threads = (int)strtol(argv[3], NULL, 10);
    for (*job = 0; jobs[*job] != NULL && strcmp(jobs[*job], argv[1]) != 0; ++*job) {
    }
    if (jobs[*job] == NULL || *size < 1 || *threads < 1 || *threads > THREADS_MAX) {
        return limit_fail("no such job, size or number of threads");
    }
    return 0;
}

struct part {
    pthread_t thread;
    void (*call)(void *state, int thread, int threads);
    void *state;
    int index;
    int count;
};

static void *
run_part(void *argument)
{
    const struct part *part = argument;
    part->call(part->state, part->index, part->count);
    return NULL;
}

void
limit_parallel(int threads, void (*call)(void *state, int thread, int threads), void *state)
{
    static struct part parts[THREADS_MAX];
    int started = 1;
    for (int i = 1; i < threads; i++) {
        parts[i] = (struct part){.call = call, .state = state, .index = i, .count = threads};
        if (pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) != 0) {
            exit(limit_fail("no thread could be started"));
        }
        started++;
    }
    call(state, 0, threads);
    for (int i = 1; i < started; i++) {
        pthread_join(parts[i].thread, NULL);
    }
}

int64_t
limit_part(int64_t count, int64_t step, int thread, int threads)
{
    const int64_t steps = (count + step - 1) / step;
    const int64_t begin = steps * thread / threads * step;
    return begin < count ? begin : count;
}

double *
limit_numbers(int64_t count)
{
    double *numbers = bench_pages_take((size_t)count * sizeof *numbers);
    if (numbers == NULL) {
        exit(limit_fail("out of memory"));
    }
    for (int64_t i = 0; i < count; i++) {
        numbers[i] = (double)(i % 1000) / 1000.0;
    }
    return numbers;
}
