// SPDX-License-Identifier: Apache-2.0
//
// Reports of a document that tessera-bench wrote. All of them print to a stream that the caller
// opened, and stand on what bench_report_check() has found sound.

#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

// Reads a document and checks that all that reports look at is there; NULL if it is none, with the
// reason on standard error. The caller decrefs it.
json_t *bench_report_read(const char *path);

// bench_report_text.c: lines for a terminal
void bench_report_text(FILE *out, const json_t *bench);
void bench_report_total(FILE *out, const json_t *document);

// bench_report_csv.c: a line for each contestant of each bench
void bench_report_csv(FILE *out, const json_t *document);

// bench_report_html.c: a page that stands alone
void bench_report_html(FILE *out, const json_t *document);

// bench_report_table.c: a Markdown table of the benches that have targets, or of all
void bench_report_table(FILE *out, const json_t *document, bool all);

// bench_baseline.c: says what got worse by more than the noise of both runs, and how many did
int bench_baseline_compare(FILE *out, const json_t *document, const json_t *baseline);

#endif
