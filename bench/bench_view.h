// SPDX-License-Identifier: Apache-2.0
//
// The parts of a sound document, read as C values.

#ifndef BENCH_VIEW_H
#define BENCH_VIEW_H

#include <jansson.h>
#include <stdbool.h>

// One contestant: the own side of a bench, or a rival.
struct bench_view {
    const char *name;
    const char *kind; // "own", "limit", "peer", "self"
    const char *why;  // NULL: it was measured
    bool absent;      // not measured, since it is not there
    size_t runs;
    double min;
    double median;
    double max;
    double peak_bytes;
    double ratio; // of a rival to the own side; 0 if unknown
};

struct bench_view bench_view_own(const json_t *bench);
struct bench_view bench_view_rival(const json_t *rival);

// The text of a member that is there.
const char *bench_view_text(const json_t *object, const char *key);

// "96 %" or "9.4 ×": how a rival compares, in words; empty if it was not measured.
#define BENCH_VIEW_BYTES 64
const char *bench_view_ratio(const struct bench_view *rival, char out[BENCH_VIEW_BYTES]);

// "met", "MISSED" or "not judged".
const char *bench_view_verdict(const json_t *target);

// The benches of a document whose targets are met and missed.
void bench_view_count(const json_t *document, int *met, int *missed);

#endif
