// SPDX-License-Identifier: Apache-2.0
//
// The table of results of the README: Markdown, a row for each bench, its rivals in one cell.

#include "bench/bench_report.h"
#include "bench/bench_text.h"
#include "bench/bench_view.h"

static void
print_rivals(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    const char *separator = "";
    json_array_foreach(json_object_get(bench, "rivals"), i, item)
    {
        char value[BENCH_TEXT_BYTES];
        char ratio[BENCH_VIEW_BYTES];
        const struct bench_view rival = bench_view_rival(item);
        if (rival.why == NULL) {
            fprintf(out, "%s%s %s: **%s**", separator, rival.name,
                    bench_text_value(rival.median, bench_view_text(bench, "unit"), value),
                    bench_view_ratio(&rival, ratio));
            separator = "<br>";
        }
    }
}

static void
print_targets(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    const char *separator = "";
    json_array_foreach(json_object_get(bench, "targets"), i, item)
    {
        fprintf(out, "%s%s: %s", separator, bench_view_text(item, "text"),
                bench_view_verdict(item));
        separator = "<br>";
    }
}

static void
print_row(FILE *out, const json_t *bench)
{
    char value[BENCH_TEXT_BYTES];
    const struct bench_view own = bench_view_own(bench);
    const json_int_t size = json_integer_value(json_object_get(bench, "size"));
    fprintf(out, "| `%s` | %s", bench_view_text(bench, "name"), bench_view_text(bench, "work"));
    if (size > 1) {
        fprintf(out, ", n = %lld", size);
    }
    fprintf(out, " | ");
    if (own.why != NULL) {
        fprintf(out, "%s: %s | | |\n", own.absent ? "skipped" : "failed", own.why);
        return;
    }
    fprintf(out, "%s | ", bench_text_value(own.median, bench_view_text(bench, "unit"), value));
    print_rivals(out, bench);
    fprintf(out, " | ");
    print_targets(out, bench);
    fprintf(out, " |\n");
}

void
bench_report_table(FILE *out, const json_t *document, bool all)
{
    size_t i;
    json_t *bench;
    const json_t *machine = json_object_get(document, "machine");
    fprintf(out, "%s, %lld processors, %s; medians of `%s`.\n\n",
            bench_view_text(machine, "processor"),
            json_integer_value(json_object_get(machine, "processors")),
            bench_view_text(machine, "system"), bench_view_text(document, "command"));
    fprintf(out, "| Bench | Work | Tessera | Beside it | Target |\n|---|---|---|---|---|\n");
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        if (all || json_array_size(json_object_get(bench, "targets")) > 0) {
            print_row(out, bench);
        }
    }
}
