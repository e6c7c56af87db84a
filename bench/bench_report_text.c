// SPDX-License-Identifier: Apache-2.0
//
// For a terminal: a block for each bench, as soon as it has run.

#include "bench/bench_report.h"
#include "bench/bench_text.h"
#include "bench/bench_view.h"

static void
print_series(FILE *out, const struct bench_view *view, const char *unit)
{
    char median[BENCH_TEXT_BYTES];
    char min[BENCH_TEXT_BYTES];
    char max[BENCH_TEXT_BYTES];
    char peak[BENCH_TEXT_BYTES];
    fprintf(out, "%s (%s … %s; %zu %s; peak %s)", bench_text_value(view->median, unit, median),
            bench_text_value(view->min, unit, min), bench_text_value(view->max, unit, max),
            view->runs, view->runs == 1 ? "run" : "runs",
            bench_text_value(view->peak_bytes, "B", peak));
}

void
bench_report_text(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    const char *unit = bench_view_text(bench, "unit");
    const struct bench_view own = bench_view_own(bench);
    fprintf(out, "%-21s ", bench_view_text(bench, "name"));
    if (own.why != NULL) {
        fprintf(out, "%s: %s\n", own.absent ? "skipped" : "FAILED", own.why);
        fflush(out);
        return;
    }
    print_series(out, &own, unit);
    fprintf(out, "\n");
    json_array_foreach(json_object_get(bench, "rivals"), i, item)
    {
        char ratio[BENCH_VIEW_BYTES];
        const struct bench_view rival = bench_view_rival(item);
        fprintf(out, "  %-5s %-18s ", rival.kind, rival.name);
        if (rival.why != NULL) {
            fprintf(out, "%s: %s\n", rival.absent ? "absent" : "failed", rival.why);
        } else {
            fprintf(out, "%7s  ", bench_view_ratio(&rival, ratio));
            print_series(out, &rival, unit);
            fprintf(out, "\n");
        }
    }
    json_array_foreach(json_object_get(bench, "targets"), i, item)
    {
        fprintf(out, "  target %s: %s, %s\n", bench_view_text(item, "text"),
                bench_view_text(item, "found"), bench_view_verdict(item));
    }
    fflush(out);
}

void
bench_report_total(FILE *out, const json_t *document)
{
    int met;
    int missed;
    bench_view_count(document, &met, &missed);
    fprintf(out, "%zu benches; of their targets %d met, %d missed\n",
            json_array_size(json_object_get(document, "benches")), met, missed);
}
