// SPDX-License-Identifier: Apache-2.0
//
// A document comes from a file that anybody may have changed, so its form is checked once, here.

#include <string.h>

#include "bench/bench_report.h"

#define FORMAT 1

static bool
has_text(const json_t *object, const char *key)
{
    return json_is_string(json_object_get(object, key));
}

static bool
has_number(const json_t *object, const char *key)
{
    return json_is_number(json_object_get(object, key));
}

static bool
is_series(const json_t *object)
{
    const json_t *status = json_object_get(object, "status");
    if (!json_is_string(status)) {
        return false;
    }
    if (strcmp(json_string_value(status), "measured") != 0) {
        return has_text(object, "why");
    }
    size_t i;
    json_t *value;
    const json_t *values = json_object_get(object, "values");
    json_array_foreach(values, i, value)
    {
        if (!json_is_number(value)) {
            return false;
        }
    }
    return json_is_array(values) && has_number(object, "min") && has_number(object, "median") &&
           has_number(object, "max") && has_number(object, "peak_resident_bytes");
}

static bool
is_bench(const json_t *bench)
{
    size_t i;
    json_t *item;
    const json_t *rivals = json_object_get(bench, "rivals");
    const json_t *targets = json_object_get(bench, "targets");
    bool sound = has_text(bench, "name") && has_text(bench, "suite") && has_text(bench, "work") &&
                 has_text(bench, "unit") && has_text(bench, "better") &&
                 has_number(bench, "size") && has_number(bench, "threads") && is_series(bench) &&
                 json_is_array(rivals) && json_is_array(targets);
    json_array_foreach(rivals, i, item)
    {
        sound = sound && has_text(item, "name") && has_text(item, "kind") && is_series(item);
    }
    json_array_foreach(targets, i, item)
    {
        sound = sound && has_text(item, "text") && has_text(item, "found") &&
                json_object_get(item, "met") != NULL;
    }
    return sound;
}

static const char *
find_fault(const json_t *document)
{
    size_t i;
    json_t *bench;
    const json_t *benches = json_object_get(document, "benches");
    if (json_integer_value(json_object_get(document, "format")) != FORMAT ||
        !json_is_array(benches)) {
        return "this is no document of tessera-bench";
    }
    if (!has_text(document, "command") || !has_text(document, "started") ||
        !json_is_object(json_object_get(document, "machine")) ||
        !json_is_object(json_object_get(document, "versions"))) {
        return "it does not say where it was measured";
    }
    json_array_foreach(benches, i, bench)
    {
        if (!is_bench(bench)) {
            return "a bench in it lacks something";
        }
    }
    return NULL;
}

json_t *
bench_report_read(const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, 0, &error);
    if (document == NULL) {
        fprintf(stderr, "tessera-bench: %s: %s\n", path, error.text);
        return NULL;
    }
    const char *fault = find_fault(document);
    if (fault != NULL) {
        fprintf(stderr, "tessera-bench: %s: %s\n", path, fault);
        json_decref(document);
        return NULL;
    }
    return document;
}
