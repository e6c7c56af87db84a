// SPDX-License-Identifier: Apache-2.0
//
// One page that stands alone: no scripts, no other files, charts as inline SVG (bench_chart.c).
// Verdicts first, then a card for each bench, then where and how it was measured.

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bench/bench_chart.h"
#include "bench/bench_report.h"
#include "bench/bench_text.h"
#include "bench/bench_view.h"

static const char style[] =
    ":root{--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--own:#0b6e8a;--limit:#9aa5b1;"
    "--peer:#d9a25f;--self:#74b3c4;--good:#1a7f37;--bad:#b42318}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:#f5f7f9;color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "main{max-width:1120px;margin:0 auto;padding:40px 24px 64px}\n"
    "h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}\n"
    "h2{font-size:20px;margin:44px 0 2px}\n"
    "h3{font-size:16px;margin:0}\n"
    "p{margin:0}\n"
    ".soft{color:var(--soft)}\n"
    ".figures{display:flex;gap:16px;flex-wrap:wrap;margin:24px 0 0;padding:0;list-style:none}\n"
    ".figures li{background:#fff;border:1px solid var(--line);border-radius:10px;"
    "padding:12px 20px;min-width:130px}\n"
    ".figures b{display:block;font-size:26px;line-height:1.2}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(500px,1fr));gap:16px;"
    "margin-top:14px}\n"
    ".card{background:#fff;border:1px solid var(--line);border-radius:10px;padding:16px 18px;"
    "display:flex;flex-direction:column;gap:8px;break-inside:avoid}\n"
    ".card svg{width:100%;height:auto;display:block}\n"
    ".card ul{list-style:none;margin:auto 0 0;padding:0;display:flex;flex-wrap:wrap;gap:6px}\n"
    ".card li{font-size:13px;border:1px solid var(--line);border-radius:999px;padding:1px 10px}\n"
    ".card .note{font-size:13px}\n"
    ".good{color:var(--good)}\n"
    ".bad{color:var(--bad);font-weight:600}\n"
    ".card li.good,.card li.bad{border-color:currentColor}\n"
    "table{border-collapse:collapse;width:100%;background:#fff;border:1px solid var(--line);"
    "border-radius:10px;margin-top:14px;font-size:14px}\n"
    "td,th{padding:6px 14px;text-align:left;border-top:1px solid var(--line);"
    "vertical-align:top}\n"
    "tr:first-child>*{border-top:0}\n"
    "th{font-weight:600;white-space:nowrap}\n"
    "td{overflow-wrap:anywhere}\n"
    "code{font:13px ui-monospace,'DejaVu Sans Mono',monospace}\n"
    ".key{display:flex;gap:18px;flex-wrap:wrap;margin-top:16px;font-size:13px}\n"
    ".key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;"
    "vertical-align:-1px}\n"
    "svg text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;"
    "fill:var(--ink)}\n"
    "svg .dim{fill:var(--soft)}\nsvg .strong{font-weight:600}\nsvg .tick{font-size:10px}\n"
    "svg .own{fill:var(--own)}\nsvg .limit{fill:var(--limit)}\nsvg .peer{fill:var(--peer)}\n"
    "svg .self{fill:var(--self)}\nsvg .grid{stroke:var(--line)}\n"
    "svg .spread{stroke:var(--ink);stroke-opacity:.6}\n"
    "@media(max-width:600px){.cards{grid-template-columns:1fr}}\n"
    "@page{margin:14mm}\n"
    "@media print{body{background:#fff;font-size:11px}main{max-width:none;padding:0}"
    "h2{break-after:avoid;margin-top:20px}.cards{grid-template-columns:1fr 1fr;gap:8px}"
    ".card{padding:10px 12px}.card,table,.figures li{border-radius:6px}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n";

static void
print_head(FILE *out, const json_t *document)
{
    int met;
    int missed;
    const json_t *machine = json_object_get(document, "machine");
    bench_view_count(document, &met, &missed);
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<title>Tessera benchmarks</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n"
            "<h1>Tessera benchmarks</h1>\n<p class=\"soft\">",
            style);
    bench_chart_escape(out, bench_view_text(machine, "processor"));
    fprintf(out, ", %lld processors, ", json_integer_value(json_object_get(machine, "processors")));
    bench_chart_escape(out, bench_view_text(machine, "system"));
    fprintf(out, ", ");
    bench_chart_escape(out, bench_view_text(document, "started"));
    if (json_is_true(json_object_get(document, "quick"))) {
        fprintf(out, ". Quick sizes: the numbers only show that everything runs");
    }
    fprintf(out,
            "</p>\n<ul class=\"figures\"><li><b>%zu</b>benches</li><li><b class=\"good\">%d</b>"
            "targets met</li><li><b class=\"%s\">%d</b>targets missed</li></ul>\n",
            json_array_size(json_object_get(document, "benches")), met, missed > 0 ? "bad" : "good",
            missed);
    fprintf(out, "<div class=\"key\"><span><i style=\"background:var(--own)\"></i>Tessera</span>"
                 "<span><i style=\"background:var(--limit)\"></i>limit: what the machine or a "
                 "library alone does</span>"
                 "<span><i style=\"background:var(--peer)\"></i>peers</span>"
                 "<span><i style=\"background:var(--self)\"></i>Tessera otherwise</span>"
                 "<span>Bars are medians, thin lines reach from the least to the greatest</span>"
                 "</div>\n");
}

static void
print_targets(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    const json_t *targets = json_object_get(bench, "targets");
    if (json_array_size(targets) == 0) {
        return;
    }
    fprintf(out, "<ul>");
    json_array_foreach(targets, i, item)
    {
        const json_t *met = json_object_get(item, "met");
        fprintf(out, "<li class=\"%s\">%s ",
                json_is_true(met)    ? "good"
                : json_is_false(met) ? "bad"
                                     : "soft",
                json_is_true(met)    ? "✓"
                : json_is_false(met) ? "✗"
                                     : "–");
        bench_chart_escape(out, bench_view_text(item, "text"));
        if (bench_view_text(item, "found")[0] != '\0') {
            fprintf(out, " (");
            bench_chart_escape(out, bench_view_text(item, "found"));
            fprintf(out, ")");
        }
        fprintf(out, "</li>");
    }
    fprintf(out, "</ul>\n");
}

// Rivals that have no bar, with the reason.
static void
print_missing(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(bench, "rivals"), i, item)
    {
        const struct bench_view rival = bench_view_rival(item);
        if (rival.why != NULL) {
            fprintf(out, "<p class=\"note soft\">");
            bench_chart_escape(out, rival.name);
            fprintf(out, rival.absent ? " is absent: " : " failed: ");
            bench_chart_escape(out, rival.why);
            fprintf(out, "</p>\n");
        }
    }
}

static void
print_bench(FILE *out, const json_t *bench)
{
    char peak[BENCH_TEXT_BYTES];
    const struct bench_view own = bench_view_own(bench);
    fprintf(out, "<section class=\"card\">\n<h3>");
    bench_chart_escape(out, bench_view_text(bench, "name"));
    fprintf(out, "</h3>\n<p class=\"soft note\">");
    bench_chart_escape(out, bench_view_text(bench, "work"));
    const json_int_t size = json_integer_value(json_object_get(bench, "size"));
    if (size > 1) {
        fprintf(out, "; n = %lld", size);
    }
    if (own.why != NULL) {
        fprintf(out, "</p>\n<p class=\"%s\">%s: ", own.absent ? "soft" : "bad",
                own.absent ? "Skipped" : "Failed");
        bench_chart_escape(out, own.why);
        fprintf(out, "</p>\n</section>\n");
        return;
    }
    fprintf(out, "; %zu %s, peak %s</p>\n", own.runs, own.runs == 1 ? "run" : "runs",
            bench_text_value(own.peak_bytes, "B", peak));
    bench_chart_print(out, bench);
    print_missing(out, bench);
    print_targets(out, bench);
    fprintf(out, "</section>\n");
}

// What was promised and is not kept, together.
static void
print_missed(FILE *out, const json_t *document)
{
    size_t i;
    size_t j;
    json_t *bench;
    json_t *item;
    bool any = false;
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        json_array_foreach(json_object_get(bench, "targets"), j, item)
        {
            if (!json_is_false(json_object_get(item, "met"))) {
                continue;
            }
            fprintf(out, "%s<tr><th scope=\"row\">",
                    any ? "" : "<h2>Targets missed</h2>\n<table>\n");
            bench_chart_escape(out, bench_view_text(bench, "name"));
            fprintf(out, "</th><td>");
            bench_chart_escape(out, bench_view_text(item, "text"));
            fprintf(out, "</td><td class=\"bad\">");
            bench_chart_escape(out, bench_view_text(item, "found"));
            fprintf(out, "</td></tr>\n");
            any = true;
        }
    }
    fprintf(out, "%s", any ? "</table>\n" : "");
}

static void
print_suites(FILE *out, const json_t *document)
{
    size_t i;
    json_t *bench;
    const char *suite = "";
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        const char *name = bench_view_text(bench, "suite");
        if (strcmp(name, suite) != 0) {
            fprintf(out, "%s<h2>", suite[0] != '\0' ? "</div>\n" : "");
            bench_chart_escape(out, name);
            fprintf(out, "</h2>\n<div class=\"cards\">\n");
            suite = name;
        }
        print_bench(out, bench);
    }
    fprintf(out, "%s", suite[0] != '\0' ? "</div>\n" : "");
}

static void
print_facts(FILE *out, const char *title, const json_t *facts)
{
    const char *key;
    json_t *value;
    fprintf(out, "<h2>%s</h2>\n<table>\n", title);
    // jansson's iterator wants an object that could change.
    json_t *object = json_copy((json_t *)(uintptr_t)facts);
    json_object_foreach(object, key, value)
    {
        fprintf(out, "<tr><th scope=\"row\">");
        bench_chart_escape(out, key);
        fprintf(out, "</th><td>");
        if (json_is_string(value)) {
            bench_chart_escape(out, json_string_value(value));
        } else {
            fprintf(out, "%lld", json_integer_value(value));
        }
        fprintf(out, "</td></tr>\n");
    }
    json_decref(object);
    fprintf(out, "</table>\n");
}

void
bench_report_html(FILE *out, const json_t *document)
{
    print_head(out, document);
    print_missed(out, document);
    print_suites(out, document);
    print_facts(out, "Machine", json_object_get(document, "machine"));
    print_facts(out, "Versions", json_object_get(document, "versions"));
    fprintf(out, "<h2>Command</h2>\n<p><code>");
    bench_chart_escape(out, bench_view_text(document, "command"));
    fprintf(out, "</code></p>\n</main>\n</body>\n</html>\n");
}
