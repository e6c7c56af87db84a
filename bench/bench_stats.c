// SPDX-License-Identifier: Apache-2.0
//
// Medians are compared, since a few runs that something disturbed do not move them; quartiles tell
// the noise, for the same reason.

#include "bench/bench_stats.h"

#include <stdlib.h>
#include <string.h>

#define NOISE_MIN 0.05

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

void
bench_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
}

double
bench_percentile(const double *sorted, size_t count, double share)
{
    if (count == 0) {
        return 0.0;
    }
    const double place = share * (double)(count - 1);
    const size_t below = (size_t)place;
    if (below + 1 >= count) {
        return sorted[count - 1];
    }
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct bench_summary
bench_summarize(const double *values, size_t count)
{
    struct bench_summary summary = {0};
    double *sorted = count > 0 ? malloc(count * sizeof *sorted) : NULL;
    if (sorted == NULL) {
        return summary;
    }
    memcpy(sorted, values, count * sizeof *sorted);
    bench_sort(sorted, count);
    summary.count = count;
    summary.min = sorted[0];
    summary.lower = bench_percentile(sorted, count, 0.25);
    summary.median = bench_percentile(sorted, count, 0.5);
    summary.upper = bench_percentile(sorted, count, 0.75);
    summary.max = sorted[count - 1];
    free(sorted);
    return summary;
}

double
bench_noise(const struct bench_summary *summary)
{
    const double spread = summary->upper - summary->lower;
    const double share = summary->median > 0 ? 2 * spread / summary->median : 0.0;
    return share > NOISE_MIN ? share : NOISE_MIN;
}
