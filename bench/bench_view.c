// SPDX-License-Identifier: Apache-2.0
//
// All reports say the same of the same thing, so the words are here.

#include "bench/bench_view.h"

#include <stdio.h>
#include <string.h>

#include "bench/bench_text.h"

const char *
bench_view_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static double
number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static struct bench_view
view(const json_t *object, const char *name, const char *kind)
{
    struct bench_view found = {.name = name, .kind = kind};
    const char *status = bench_view_text(object, "status");
    if (strcmp(status, "measured") != 0) {
        found.why = bench_view_text(object, "why");
        found.absent = strcmp(status, "absent") == 0;
        return found;
    }
    found.runs = json_array_size(json_object_get(object, "values"));
    found.min = number(object, "min");
    found.median = number(object, "median");
    found.max = number(object, "max");
    found.peak_bytes = number(object, "peak_resident_bytes");
    found.ratio = number(object, "ratio");
    return found;
}

struct bench_view
bench_view_own(const json_t *bench)
{
    return view(bench, "Tessera", "own");
}

struct bench_view
bench_view_rival(const json_t *rival)
{
    return view(rival, bench_view_text(rival, "name"), bench_view_text(rival, "kind"));
}

const char *
bench_view_ratio(const struct bench_view *rival, char out[BENCH_VIEW_BYTES])
{
    char factor[BENCH_TEXT_BYTES];
    out[0] = '\0';
    if (rival->why != NULL || rival->ratio <= 0) {
        return out;
    }
    if (strcmp(rival->kind, "limit") == 0) {
        snprintf(out, BENCH_VIEW_BYTES, "%.0f %%", 100 * rival->ratio);
    } else {
        snprintf(out, BENCH_VIEW_BYTES, "%s ×", bench_text_factor(rival->ratio, factor));
    }
    return out;
}

const char *
bench_view_verdict(const json_t *target)
{
    const json_t *met = json_object_get(target, "met");
    return json_is_true(met) ? "met" : json_is_false(met) ? "MISSED" : "not judged";
}

void
bench_view_count(const json_t *document, int *met, int *missed)
{
    size_t i;
    size_t j;
    json_t *bench;
    json_t *target;
    *met = 0;
    *missed = 0;
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        json_array_foreach(json_object_get(bench, "targets"), j, target)
        {
            *met += json_is_true(json_object_get(target, "met"));
            *missed += json_is_false(json_object_get(target, "met"));
        }
    }
}
