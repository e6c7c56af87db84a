// SPDX-License-Identifier: Apache-2.0
//
// What a bench is: a row of a suite. Its own side is set up once and run several times; its rivals
// do the same work in processes of their own, in turn with it; its targets say what is promised.

#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_RIVALS_MAX 6
#define BENCH_TARGETS_MAX 5

enum bench_rival_kind {
    BENCH_NONE,  // no more rivals
    BENCH_LIMIT, // a program of bench/limit: what the machine, or a library alone, can do
    BENCH_PEER,  // a Python program of bench/peer: what others do
    BENCH_SELF,  // the own side of another bench
};

struct bench_rival {
    enum bench_rival_kind kind;
    const char *name;
    const char *program; // its file; of BENCH_SELF the bench
    const char *job;     // which of its jobs
    int threads;         // 0: as many as the bench
};

// The last three are about the row's own side, whatever its rivals did.
enum bench_check {
    BENCH_RATIO = 1, // at least `bound` times as good as the rival
    BENCH_TIMES,     // at most `bound` times the rival's number and `slack` more
    BENCH_AT_LEAST,
    BENCH_AT_MOST,
    BENCH_PEAK, // at most `bound` bytes resident in any process
};

struct bench_target {
    enum bench_check check; // 0: no more targets
    const char *rival;
    double bound;
    double slack;
};

// What a bench is run with.
struct bench_setup {
    int64_t size;
    int threads;
    int variant;
};

struct bench {
    const char *name;
    const char *work;
    // A unit of SI without prefix: s, B, tasks/s, s/element; empty for a plain number.
    const char *unit;
    bool more_is_better;
    // Counts once only, without a run before that warms up: it takes long, or is about beginnings.
    bool once;
    int64_t size;
    int64_t quick_size; // with --quick
    int threads;        // 0: all that the process may use
    int repeat;         // measured runs at most; 0: as many as asked for
    int variant;        // distinguishes the rows that share functions
    // Sets up; NULL on failure, after bench_fail().
    void *(*open)(const struct bench_setup *setup);
    // Runs once; the measured number in `unit`, negative on failure, after bench_fail().
    double (*run)(void *state);
    void (*close)(void *state);
    struct bench_rival rivals[BENCH_RIVALS_MAX];
    struct bench_target targets[BENCH_TARGETS_MAX];
};

struct bench_suite {
    const char *name;
    const char *about;
    const struct bench *benches; // ends with a NULL name
};

extern const struct bench_suite bench_suite_main;
extern const struct bench_suite bench_suite_elementwise;
extern const struct bench_suite bench_suite_reduce;
extern const struct bench_suite bench_suite_random;
extern const struct bench_suite bench_suite_linalg;
extern const struct bench_suite bench_suite_movement;
extern const struct bench_suite bench_suite_scheduler;
extern const struct bench_suite bench_suite_transfer;
extern const struct bench_suite bench_suite_trust;
extern const struct bench_suite bench_suite_memory;
extern const struct bench_suite bench_suite_scaling;

// bench_suites.c: all suites, in the order of the list; ends with NULL.
extern const struct bench_suite *const bench_suites[];
const struct bench *bench_find(const char *name);             // NULL if there is none
const struct bench_suite *bench_find_suite(const char *name); // NULL if there is none

// bench_serve.c: the own side of a bench, as a process: it answers each line that it reads with a
// number. Returns an exit code.
int bench_serve(const struct bench *bench, const struct bench_setup *setup);

// Says why a bench cannot go on; returns −1, for `run` to return.
__attribute__((format(printf, 1, 2))) double bench_fail(const char *format, ...);

// Seconds of a clock that never goes back.
double bench_now(void);

#endif
