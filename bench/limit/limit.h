// SPDX-License-Identifier: Apache-2.0
//
// What the programs of this folder share. Each does one job of a bench by itself, as fast as we
// know how to: by hand, or by one call of a library. They use nothing of Tessera, so that they can
// tell what it costs.

#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#define LIMIT_ALIGNMENT 64

// Answers each line that is read with what `run` measures, in the words of bench_serve.c, until the
// input ends. Returns an exit code.
int limit_serve(double (*run)(void *state), void *state);

// Says why the program cannot work and returns the exit code.
int limit_fail(const char *why);

// Reads `job size threads`; `*job` is the index in `jobs`, which ends with NULL. 0, or an exit code
// after a message.
int limit_arguments(int argc, char **argv, const char *const *jobs, int *job, int64_t *size,
                    int *threads);

// Calls `part` once on each of `threads` threads, the caller's among them, and waits for all.
void limit_parallel(int threads, void (*part)(void *state, int thread, int threads), void *state);

// Where the part of a thread begins, in steps of `step`, if `count` is dealt out evenly; that of
// thread `threads` is `count`.
int64_t limit_part(int64_t count, int64_t step, int thread, int threads);

// Aligned memory of doubles between 0 and 1, never NULL: the program ends without memory.
double *limit_numbers(int64_t count);

double limit_now(void);

#endif
