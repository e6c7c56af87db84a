// SPDX-License-Identifier: Apache-2.0
//
// A contestant: a process that does the work of a bench once for each line that it is sent, and
// answers with a number. bench_serve.c states the words.

#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_process;

enum bench_answer { BENCH_ANSWERED, BENCH_ABSENT, BENCH_FAILED };

// Starts `arguments` (which end with NULL; the first is the path of the program or is looked up)
// and waits until it is ready. Otherwise `*process` is NULL, and `why` says why: it is absent when
// it says so itself or when there is no such program. Standard error is dropped if `quiet`.
enum bench_answer bench_process_start(struct bench_process **process, char *const *arguments,
                                      bool quiet, double timeout_s, char *why, size_t why_bytes);

// Has it work once. A process that failed must be ended.
enum bench_answer bench_process_run(struct bench_process *process, double *value, char *why,
                                    size_t why_bytes);

// Ends the process, and tells the peak of resident memory of the largest process of it and of those
// that it started and waited for.
int64_t bench_process_end(struct bench_process *process);

// The folder of the program that runs.
void bench_process_home(char *out, size_t bytes);

#endif
