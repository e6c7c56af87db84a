// SPDX-License-Identifier: Apache-2.0
//
// The command line of tessera-bench, and the files that it names.

#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "bench/bench_run.h"

enum bench_what { BENCH_RUN, BENCH_LIST, BENCH_REPORT, BENCH_SERVE };

struct bench_command {
    enum bench_what what;
    const char **names; // of suites and benches; of `report` the file
    int name_count;
    const char *only; // a pattern; NULL: any
    struct bench_options run;
    bool all; // the table has benches without targets too
    // Files to write; NULL: none, "-": standard output.
    const char *json;
    const char *csv;
    const char *html;
    const char *table;
    const char *baseline; // a file to compare with
    // Of `serve`.
    const struct bench *served;
    struct bench_setup setup;
};

// Reads a command line. Returns an exit code if that is all there is to do, or −1.
int bench_options_read(struct bench_command *command, int argc, char **argv);
void bench_options_free(struct bench_command *command);

// Whether all files can be written, seen before anything runs; says which cannot.
bool bench_options_try_outputs(const struct bench_command *command);
bool bench_options_write_json(const struct bench_command *command, const json_t *document);
// Where words for people go: standard error if standard output is one of the files.
FILE *bench_options_words(const struct bench_command *command);
bool bench_options_write_reports(const struct bench_command *command, const json_t *document);

#endif
