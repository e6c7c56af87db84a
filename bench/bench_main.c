// SPDX-License-Identifier: Apache-2.0
//
// tessera-bench: the commands. Runs fill a document, reports are made of one.

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench_machine.h"
#include "bench/bench_options.h"
#include "bench/bench_report.h"
#include "bench/bench_run.h"
#include "tessera.h"

#define FORMAT 1

static int
list(void)
{
    for (int s = 0; bench_suites[s] != NULL; s++) {
        printf("%s: %s\n", bench_suites[s]->name, bench_suites[s]->about);
        for (const struct bench *bench = bench_suites[s]->benches; bench->name != NULL; bench++) {
            printf("  %-21s %s (n = %lld)\n", bench->name, bench->work, (long long)bench->size);
        }
    }
    return EXIT_SUCCESS;
}

static json_t *
start_document(const struct bench_command *command, const char *typed)
{
    char started[32] = "";
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL) {
        strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    // A word that is no UTF-8 has no place in a document.
    json_t *command_text = json_string(typed);
    if (command_text == NULL) {
        command_text = json_string("tessera-bench");
    }
    return json_pack("{s:i, s:o, s:s, s:b, s:i, s:o, s:o, s:[]}", "format", FORMAT, "command",
                     command_text, "started", started, "quick", command->run.quick, "repeat",
                     command->run.repeat, "machine", bench_machine_describe(), "versions",
                     bench_machine_versions(command->run.peers), "benches");
}

static bool
is_chosen(const struct bench_command *command, const struct bench_suite *suite,
          const struct bench *bench)
{
    bool named = command->name_count == 0;
    for (int i = 0; i < command->name_count && !named; i++) {
        named = strcmp(command->names[i], "all") == 0 ||
                strcmp(command->names[i], suite->name) == 0 ||
                strcmp(command->names[i], bench->name) == 0;
    }
    return named && (command->only == NULL || fnmatch(command->only, bench->name, 0) == 0);
}

// Runs one bench, prints it, and writes the document again, so that an interrupted run is not lost.
static bool
run_bench(const struct bench_command *command, json_t *document, const struct bench_suite *suite,
          const struct bench *bench)
{
    json_t *result = bench_run(suite, bench, &command->run);
    if (result == NULL ||
        json_array_append_new(json_object_get(document, "benches"), result) != 0) {
        fprintf(stderr, "tessera-bench: out of memory\n");
        return false;
    }
    bench_report_text(bench_options_words(command), result);
    const char *status = json_string_value(json_object_get(result, "status"));
    return bench_options_write_json(command, document) && strcmp(status, "failed") != 0;
}

// Exit status 1 if something got worse than in the baseline.
static int
compare(const struct bench_command *command, const json_t *document, const json_t *baseline)
{
    const bool is_worse = baseline != NULL && bench_baseline_compare(bench_options_words(command),
                                                                     document, baseline) > 0;
    return bench_options_write_reports(command, document) && !is_worse ? EXIT_SUCCESS
                                                                       : EXIT_FAILURE;
}

static int
run(const struct bench_command *command, const char *typed)
{
    json_t *baseline = command->baseline != NULL ? bench_report_read(command->baseline) : NULL;
    if ((command->baseline != NULL && baseline == NULL) || !bench_options_try_outputs(command)) {
        json_decref(baseline);
        return EXIT_FAILURE;
    }
    json_t *document = start_document(command, typed);
    bool ok = document != NULL;
    if (!ok) {
        fprintf(stderr, "tessera-bench: out of memory\n");
    }
    for (int s = 0; bench_suites[s] != NULL && document != NULL; s++) {
        for (const struct bench *bench = bench_suites[s]->benches; bench->name != NULL; bench++) {
            if (is_chosen(command, bench_suites[s], bench)) {
                ok = run_bench(command, document, bench_suites[s], bench) && ok;
            }
        }
    }
    if (document != NULL) {
        bench_report_total(bench_options_words(command), document);
        ok = compare(command, document, baseline) == EXIT_SUCCESS && ok;
    }
    json_decref(document);
    json_decref(baseline);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
print_all(const json_t *document)
{
    size_t i;
    json_t *bench;
    json_array_foreach(json_object_get(document, "benches"), i, bench)
    {
        bench_report_text(stdout, bench);
    }
    bench_report_total(stdout, document);
}

static int
report(const struct bench_command *command)
{
    json_t *baseline = command->baseline != NULL ? bench_report_read(command->baseline) : NULL;
    json_t *document = bench_report_read(command->names[0]);
    int code = EXIT_FAILURE;
    if (document != NULL && (command->baseline == NULL || baseline != NULL) &&
        bench_options_try_outputs(command)) {
        if (command->csv == NULL && command->html == NULL && command->table == NULL &&
            baseline == NULL) {
            print_all(document);
        }
        code = compare(command, document, baseline);
    }
    json_decref(document);
    json_decref(baseline);
    return code;
}

// The command as it could be typed again, before its words are moved about.
static void
note_command(int argc, char **argv, char *out, size_t bytes)
{
    size_t used = (size_t)snprintf(out, bytes, "tessera-bench");
    for (int i = 1; i < argc && used < bytes; i++) {
        used += (size_t)snprintf(out + used, bytes - used, " %s", argv[i]);
    }
}

int
main(int argc, char **argv)
{
    struct bench_command command;
    char typed[1024];
    note_command(argc, argv, typed, sizeof typed);
    int code = bench_options_read(&command, argc, argv);
    if (code >= 0) {
        return code;
    }
    switch (command.what) {
    case BENCH_LIST:
        code = list();
        break;
    case BENCH_SERVE:
        code = bench_serve(command.served, &command.setup);
        break;
    case BENCH_REPORT:
        code = report(&command);
        break;
    default:
        code = run(&command, typed);
    }
    bench_options_free(&command);
    return code;
}
