// SPDX-License-Identifier: Apache-2.0
//
// A list of programs of the public interface that covers every operation and every dtype. Their
// results must have the same bits wherever and however they run, so a digest of each is enough to
// compare two runs, also of two processes.

#ifndef TESS_TEST_PROGRAMS_H
#define TESS_TEST_PROGRAMS_H

#include <stdint.h>
#include <stdio.h>

#include "tessera.h"

#define TEST_PROGRAM_ARRAYS_MAX 192

// What a program builds on, and the arrays that it makes.
struct test_program_run {
    tess_session *session;
    tess_dtype dtype;      // the one that the program is about
    const char *directory; // for its files, the same for all workers
    int file_count;
    int count;
    tess_array *arrays[TEST_PROGRAM_ARRAYS_MAX];
};

struct test_program {
    const char *name;
    tess_dtype dtype; // TESS_NONE: it is about none in particular
    void (*build)(struct test_program_run *run);
};

extern const struct test_program test_programs[];
extern const int test_program_count;

// Builds program `index` in `session`, which should be fresh so that its random arrays are the same
// each time, computes it, and leaves a digest of dtypes, shapes and elements in `*digest`. Returns
// how it ended; the message is the session's.
tess_status test_program_digest(int index, tess_session *session, uint64_t *digest);

// Runs all programs, each in a session of its own at `where` with `threads` threads (0: as many as
// there are processors), and prints one line "name digest" for each to `out`. Returns how many
// failed; for those the line is the error.
int test_programs_print(const char *where, int threads, FILE *out);

#endif
