// SPDX-License-Identifier: Apache-2.0
//
// What is told of several measurements of the same thing.

#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct bench_summary {
    size_t count;
    double min;
    double lower; // quartile
    double median;
    double upper; // quartile
    double max;
};

// All zero for no values. Quartiles and the median of an even count lie between two values.
struct bench_summary bench_summarize(const double *values, size_t count);

// How far measurements like these lie apart by chance, as a share of the median: twice the distance
// of the quartiles, at least 5 %.
double bench_noise(const struct bench_summary *summary);

// The value that a share (0 to 1) of the sorted values lies below, between two of them where it
// falls between. 0 for no values.
double bench_percentile(const double *sorted, size_t count, double share);

// Sorts in place.
void bench_sort(double *values, size_t count);

#endif
