// SPDX-License-Identifier: Apache-2.0
//
// A table for other programs, as RFC 4180 says: a header, then a line for each contestant.

#include <string.h>

#include "bench/bench_report.h"
#include "bench/bench_view.h"

static void
print_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fprintf(out, "%s", text);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"" : "", out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void
print_contestant(FILE *out, const json_t *bench, const struct bench_view *view)
{
    const char *const texts[] = {bench_view_text(bench, "suite"),
                                 bench_view_text(bench, "name"),
                                 view->kind,
                                 view->name,
                                 view->why == NULL ? "measured"
                                 : view->absent    ? "absent"
                                                   : "failed",
                                 bench_view_text(bench, "unit"),
                                 bench_view_text(bench, "better")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        print_field(out, texts[i]);
        fputc(',', out);
    }
    fprintf(out, "%lld,%lld,", json_integer_value(json_object_get(bench, "size")),
            json_integer_value(json_object_get(bench, "threads")));
    if (view->why == NULL) {
        fprintf(out, "%zu,%.9g,%.9g,%.9g,%.0f,", view->runs, view->min, view->median, view->max,
                view->peak_bytes);
    } else {
        fprintf(out, "0,,,,,");
    }
    if (view->ratio > 0) {
        fprintf(out, "%.6g", view->ratio);
    }
    fprintf(out, "\r\n");
}

void
bench_report_csv(FILE *out, const json_t *document)
{
    size_t i;
    size_t j;
    json_t *bench;
    json_t *item;
    fprintf(out, "suite,bench,kind,name,status,unit,better,size,threads,runs,min,median,max,"
                 "peak_resident_bytes,ratio\r\n");
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        const struct bench_view own = bench_view_own(bench);
        print_contestant(out, bench, &own);
        json_array_foreach(json_object_get(bench, "rivals"), j, item)
        {
            const struct bench_view rival = bench_view_rival(item);
            print_contestant(out, bench, &rival);
        }
    }
}
