// SPDX-License-Identifier: Apache-2.0
//
// A bench got worse if its median did by more than the noise, which is that of the run that has
// more of it (bench_stats.h), and if even its best run is worse than the old median: then no few
// disturbed runs explain it. Benches of another size, or of other threads, are not compared.

#include <string.h>

#include "bench/bench_report.h"
#include "bench/bench_stats.h"
#include "bench/bench_text.h"
#include "bench/bench_view.h"

#define VALUES_MAX 1000

static struct bench_summary
summarize(const json_t *bench)
{
    static double values[VALUES_MAX];
    const json_t *array = json_object_get(bench, "values");
    size_t count = 0;
    for (; count < json_array_size(array) && count < VALUES_MAX; count++) {
        values[count] = json_number_value(json_array_get(array, count));
    }
    return bench_summarize(values, count);
}

static const json_t *
find(const json_t *document, const json_t *like)
{
    size_t i;
    json_t *bench;
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        if (json_equal(json_object_get(bench, "name"), json_object_get(like, "name")) &&
            json_equal(json_object_get(bench, "size"), json_object_get(like, "size")) &&
            json_equal(json_object_get(bench, "threads"), json_object_get(like, "threads"))) {
            return bench;
        }
    }
    return NULL;
}

// Says how a bench compares; true if it got worse.
static bool
compare(FILE *out, const json_t *bench, const json_t *before)
{
    const struct bench_summary now = summarize(bench);
    const struct bench_summary old = summarize(before);
    char now_text[BENCH_TEXT_BYTES];
    char old_text[BENCH_TEXT_BYTES];
    const char *unit = bench_view_text(bench, "unit");
    const bool more = strcmp(bench_view_text(bench, "better"), "more") == 0;
    const double now_noise = bench_noise(&now);
    const double old_noise = bench_noise(&old);
    const double noise = now_noise > old_noise ? now_noise : old_noise;
    if (now.count == 0 || old.count == 0 || old.median <= 0 || now.median <= 0) {
        fprintf(out, "%-21s not compared: it was not measured in both\n",
                bench_view_text(bench, "name"));
        return false;
    }
    const double worse = more ? old.median / now.median - 1 : now.median / old.median - 1;
    const bool best_is_worse = more ? now.max < old.median : now.min > old.median;
    const bool is_regression = worse > noise && best_is_worse;
    fprintf(out, "%-21s %s, was %s: %.1f %% %s, noise %.1f %%%s\n", bench_view_text(bench, "name"),
            bench_text_value(now.median, unit, now_text),
            bench_text_value(old.median, unit, old_text), 100 * (worse < 0 ? -worse : worse),
            worse > 0 ? "worse" : "better", 100 * noise, is_regression ? ": REGRESSION" : "");
    return is_regression;
}

int
bench_baseline_compare(FILE *out, const json_t *document, const json_t *baseline)
{
    size_t i;
    json_t *bench;
    int regressions = 0;
    fprintf(out, "against the baseline:\n");
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        const json_t *before = find(baseline, bench);
        if (before == NULL) {
            fprintf(out, "%-21s is not in the baseline in this size\n",
                    bench_view_text(bench, "name"));
        } else if (compare(out, bench, before)) {
            regressions++;
        }
    }
    fprintf(out, "%d %s\n", regressions, regressions == 1 ? "regression" : "regressions");
    return regressions;
}
