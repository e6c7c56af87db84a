// SPDX-License-Identifier: Apache-2.0
//
// Bars start at zero while all can be seen so; else the axis is logarithmic from the power of ten
// below the least, and its powers of ten have lines. Colours come from the style sheet of the page.

#include "bench/bench_chart.h"

#include <math.h>
#include <string.h>

#include "bench/bench_text.h"
#include "bench/bench_view.h"

#define ROWS_MAX 16
#define ROW_HEIGHT 24
#define BAR_HEIGHT 14
#define LABEL_WIDTH 132
#define BAR_WIDTH 230
#define WIDTH 540
// Beyond this factor the smallest bar would be a hair.
#define LINEAR_FACTOR 25.0

struct chart {
    int count;
    struct bench_view rows[ROWS_MAX];
    bool is_log;
    double low; // of a logarithmic axis, as a power of ten
    double high;
};

void
bench_chart_escape(FILE *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void
set_scale(struct chart *chart)
{
    double least = chart->rows[0].min;
    double greatest = chart->rows[0].max;
    for (int i = 1; i < chart->count; i++) {
        least = fmin(least, chart->rows[i].min);
        greatest = fmax(greatest, chart->rows[i].max);
    }
    chart->is_log = least > 0 && greatest / least > LINEAR_FACTOR;
    chart->high = greatest;
    if (chart->is_log) {
        chart->low = floor(log10(least) - 0.05);
        chart->high = ceil(log10(greatest));
    }
}

static double
place(const struct chart *chart, double value)
{
    const double share = chart->is_log ? (log10(value) - chart->low) / (chart->high - chart->low)
                                       : value / (chart->high > 0 ? chart->high : 1);
    return LABEL_WIDTH + BAR_WIDTH * fmax(share, 0.0);
}

static void
print_grid(FILE *out, const struct chart *chart, const char *unit)
{
    const int bottom = chart->count * ROW_HEIGHT;
    if (!chart->is_log) {
        return;
    }
    // A label at most every few powers of ten, so that they do not run into each other.
    const int powers = (int)(chart->high - chart->low);
    const int step = powers > 4 ? 2 : 1;
    for (int i = 0; i <= powers; i += step) {
        char text[BENCH_TEXT_BYTES];
        const double value = pow(10, chart->low + i);
        const double x = place(chart, value);
        fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%d\"/>", x, x,
                bottom);
        fprintf(out, "<text class=\"dim tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">", x,
                bottom + 12);
        bench_chart_escape(out, bench_text_round(value, unit, text));
        fprintf(out, "</text>\n");
    }
}

static void
print_row(FILE *out, const struct chart *chart, int row, const char *unit)
{
    char value[BENCH_TEXT_BYTES];
    char ratio[BENCH_VIEW_BYTES];
    const struct bench_view *view = &chart->rows[row];
    const bool is_own = row == 0;
    const double top = row * ROW_HEIGHT + (ROW_HEIGHT - BAR_HEIGHT) / 2.0;
    const double middle = top + BAR_HEIGHT / 2.0;
    const double end = place(chart, view->median);
    fprintf(out, "<text class=\"%s\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">",
            is_own ? "strong" : "dim", LABEL_WIDTH - 8, middle + 4.5);
    bench_chart_escape(out, view->name);
    fprintf(out,
            "</text><rect class=\"%s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
            "rx=\"2\"/>",
            view->kind, LABEL_WIDTH, top, fmax(end - LABEL_WIDTH, 1.0), BAR_HEIGHT);
    fprintf(out, "<line class=\"spread\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
            place(chart, view->min), middle, place(chart, view->max), middle);
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", is_own ? "strong" : "",
            fmax(end, place(chart, view->max)) + 6, middle + 4.5);
    bench_chart_escape(out, bench_text_value(view->median, unit, value));
    if (bench_view_ratio(view, ratio)[0] != '\0') {
        fprintf(out, "<tspan class=\"dim\"> · ");
        bench_chart_escape(out, ratio);
        fprintf(out, "</tspan>");
    }
    fprintf(out, "</text>\n");
}

void
bench_chart_print(FILE *out, const json_t *bench)
{
    size_t i;
    json_t *item;
    struct chart chart = {.count = 1, .rows = {bench_view_own(bench)}};
    const char *unit = bench_view_text(bench, "unit");
    json_array_foreach(json_object_get(bench, "rivals"), i, item)
    {
        const struct bench_view rival = bench_view_rival(item);
        if (rival.why == NULL && rival.runs > 0 && chart.count < ROWS_MAX) {
            chart.rows[chart.count++] = rival;
        }
    }
    set_scale(&chart);
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
            chart.count * ROW_HEIGHT + (chart.is_log ? 16 : 2));
    bench_chart_escape(out, bench_view_text(bench, "name"));
    fprintf(out, ": %s is better\">\n",
            strcmp(bench_view_text(bench, "better"), "more") == 0 ? "longer" : "shorter");
    print_grid(out, &chart, unit);
    for (int row = 0; row < chart.count; row++) {
        print_row(out, &chart, row, unit);
    }
    fprintf(out, "</svg>\n<p class=\"note soft\">%s is better%s</p>\n",
            strcmp(bench_view_text(bench, "better"), "more") == 0 ? "Longer" : "Shorter",
            chart.is_log ? ", logarithmic scale" : "");
}
