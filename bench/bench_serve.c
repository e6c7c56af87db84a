// SPDX-License-Identifier: Apache-2.0
//
// The own side of a bench is a process of its own, as its rivals are: so each has its own peak of
// memory, and what breaks one leaves the others alone. All speak the same few words: `ready`, then
// for each line that is read a number, or `failed` and why.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"

static char failure[512] = "no reason is known";

double
bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    return -1;
}

double
bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
tell_failure(void)
{
    printf("failed %s\n", failure);
    fflush(stdout);
    return EXIT_FAILURE;
}

int
bench_serve(const struct bench *bench, const struct bench_setup *setup)
{
    char line[64];
    int code = EXIT_SUCCESS;
    void *state = bench->open(setup);
    if (state == NULL) {
        return tell_failure();
    }
    printf("ready\n");
    fflush(stdout);
    while (code == EXIT_SUCCESS && fgets(line, sizeof line, stdin) != NULL) {
        const double value = bench->run(state);
        if (value < 0) {
            code = tell_failure();
        } else {
            printf("%.17g\n", value);
            fflush(stdout);
        }
    }
    bench->close(state);
    return code;
}
