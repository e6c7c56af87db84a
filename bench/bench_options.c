// SPDX-License-Identifier: Apache-2.0
//
// A command is the first word; options may stand anywhere after it. What starts with an option is a
// run.

#include "bench/bench_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_report.h"
#include "engine/base/machine.h"
#include "tessera.h"

#define EXIT_USAGE 2
#define REPEAT_DEFAULT 5
#define REPEAT_QUICK 2
#define SECONDS_DEFAULT 20.0
#define TIMEOUT_DEFAULT 180.0

static const char help[] =
    "Usage: tessera-bench list\n"
    "       tessera-bench run [SUITE|BENCH|all]... [OPTION]...\n"
    "       tessera-bench report FILE [--csv FILE] [--html FILE] [--table FILE] [--all]\n"
    "                                 [--baseline FILE]\n"
    "Measure Tessera beside the limits of the machine and beside its peers.\n"
    "\n"
    "  --peers          run NumPy, numexpr, Dask, mpi4py and Celery in turn with it, as far as\n"
    "                   Debian's packages of them are installed\n"
    "  --quick          tiny sizes, two runs: shows that everything runs, and no more\n"
    "  --repeat N       measured runs of each bench, after one that is not counted (default 5)\n"
    "  --only PATTERN   of the chosen benches, those whose names match, such as 'sum-*'\n"
    "  --seconds N      begin no further run of a bench after so long, if it has three "
    "(default 20)\n"
    "  --timeout N      seconds after which a process that does not answer has failed "
    "(default 180)\n"
    "  --threads N      threads of embedded sessions (default: the processors of this process)\n"
    "  --json FILE      write all that was measured\n"
    "  --csv FILE       write a line for each contestant of each bench\n"
    "  --html FILE      write a page with charts\n"
    "  --table FILE     write a Markdown table of the benches that have targets\n"
    "  --all            the table has benches without targets too\n"
    "  --baseline FILE  compare with what --json wrote in an earlier run\n"
    "  --version        print the version and exit\n"
    "  --help           print this help and exit\n"
    "\n"
    "FILE '-' is standard output. `report` makes reports of a file that --json wrote.\n"
    "\n"
    "Exit status: 0, 1 if a bench failed, a file cannot be used or something got worse than in\n"
    "the baseline, 2 for a wrong command line.\n";

enum option_id {
    OPTION_PEERS = 256,
    OPTION_QUICK,
    OPTION_REPEAT,
    OPTION_ONLY,
    OPTION_SECONDS,
    OPTION_TIMEOUT,
    OPTION_THREADS,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_HTML,
    OPTION_TABLE,
    OPTION_ALL,
    OPTION_BASELINE,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option options[] = {
    {"peers", no_argument, NULL, OPTION_PEERS},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"json", required_argument, NULL, OPTION_JSON},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"html", required_argument, NULL, OPTION_HTML},
    {"table", required_argument, NULL, OPTION_TABLE},
    {"all", no_argument, NULL, OPTION_ALL},
    {"baseline", required_argument, NULL, OPTION_BASELINE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int
wrong(const char *what, const char *value)
{
    fprintf(stderr, "tessera-bench: %s '%s'\nTry 'tessera-bench --help'.\n", what, value);
    return EXIT_USAGE;
}

// A whole number of `least` to `most`; false after a message.
static bool
read_number(const char *option, const char *text, long long least, long long most, long long *out)
{
    char *end = NULL;
    errno = 0;
    *out = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text != NULL && errno == 0 && end != text && *end == '\0' && *out >= least &&
        *out <= most) {
        return true;
    }
    fprintf(stderr, "tessera-bench: --%s: not from %lld to %lld: '%s'\n", option, least, most,
            text != NULL ? text : "");
    return false;
}

static bool
set_number(struct bench_command *command, int id)
{
    long long number = 0;
    switch (id) {
    case OPTION_REPEAT:
        if (!read_number("repeat", optarg, 1, 1000, &number)) {
            return false;
        }
        command->run.repeat = (int)number;
        return true;
    case OPTION_THREADS:
        if (!read_number("threads", optarg, 1, 1024, &number)) {
            return false;
        }
        command->run.threads = (int)number;
        return true;
    case OPTION_SECONDS:
        if (!read_number("seconds", optarg, 1, 86400, &number)) {
            return false;
        }
        command->run.seconds = (double)number;
        return true;
    default:
        if (!read_number("timeout", optarg, 1, 86400, &number)) {
            return false;
        }
        command->run.timeout_s = (double)number;
        return true;
    }
}

// False after a message.
static bool
set_option(struct bench_command *command, int id)
{
    switch (id) {
    case OPTION_PEERS:
        command->run.peers = true;
        return true;
    case OPTION_QUICK:
        command->run.quick = true;
        return true;
    case OPTION_ONLY:
        command->only = optarg;
        return true;
    case OPTION_JSON:
        command->json = optarg;
        return true;
    case OPTION_CSV:
        command->csv = optarg;
        return true;
    case OPTION_HTML:
        command->html = optarg;
        return true;
    case OPTION_TABLE:
        command->table = optarg;
        return true;
    case OPTION_ALL:
        command->all = true;
        return true;
    case OPTION_BASELINE:
        command->baseline = optarg;
        return true;
    default:
        return set_number(command, id);
    }
}

// What the words after the options must be for each command.
static int
check_names(struct bench_command *command)
{
    for (int i = 0; i < command->name_count && command->what == BENCH_RUN; i++) {
        const char *name = command->names[i];
        if (name != NULL && strcmp(name, "all") != 0 && bench_find(name) == NULL &&
            bench_find_suite(name) == NULL) {
            return wrong("no such suite or bench", name);
        }
    }
    if (command->what == BENCH_REPORT && command->name_count != 1) {
        return wrong("report takes one file, not",
                     command->name_count > 1 ? command->names[1] : "none");
    }
    if (command->what == BENCH_LIST && command->name_count > 0) {
        return wrong("unexpected argument", command->names[0]);
    }
    return -1;
}

// serve BENCH SIZE THREADS: what a run starts for each contestant of its own.
static int
read_serve(struct bench_command *command)
{
    long long size = 0;
    long long threads = 0;
    command->served = command->name_count == 3 ? bench_find(command->names[0]) : NULL;
    if (command->served == NULL ||
        !read_number("size", command->names[1], 1, INT64_MAX / 2, &size) ||
        !read_number("threads", command->names[2], 1, 1024, &threads)) {
        return wrong("serve takes a bench, its size and threads, not",
                     command->name_count > 0 ? command->names[0] : "nothing");
    }
    command->setup = (struct bench_setup){
        .size = size, .threads = (int)threads, .variant = command->served->variant};
    return -1;
}

static int
read_options(struct bench_command *command, int argc, char **argv)
{
    int id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == OPTION_HELP) {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (id == OPTION_VERSION) {
            printf("tessera-bench %s\n", tess_version());
            return EXIT_SUCCESS;
        }
        if (id == '?') {
            fprintf(stderr, "Try 'tessera-bench --help'.\n");
            return EXIT_USAGE;
        }
        if (!set_option(command, id)) {
            return EXIT_USAGE;
        }
    }
    return -1;
}

static int
read_what(struct bench_command *command, const char *word)
{
    static const char *const words[] = {"run", "list", "report", "serve"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(word, words[i]) == 0) {
            command->what = (enum bench_what)i;
            return -1;
        }
    }
    return wrong("no such command", word);
}

int
bench_options_read(struct bench_command *command, int argc, char **argv)
{
    *command = (struct bench_command){
        .run = {.threads = tsi_machine_processors(),
                .seconds = SECONDS_DEFAULT,
                .timeout_s = TIMEOUT_DEFAULT},
    };
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    command->names = calloc((size_t)argc, sizeof *command->names);
    if (command->names == NULL) {
        return EXIT_FAILURE;
    }
    // getopt_long() says the name of the program in its messages, and moves words about.
    static char name[] = "tessera-bench";
    argv[0] = name;
    const bool has_command = argv[1][0] != '-';
    int code = read_options(command, argc, argv);
    if (code < 0 && has_command && optind < argc) {
        code = read_what(command, argv[optind]);
    }
    for (int i = optind + (has_command ? 1 : 0); i < argc; i++) {
        command->names[command->name_count++] = argv[i];
    }
    if (command->run.repeat == 0) {
        command->run.repeat = command->run.quick ? REPEAT_QUICK : REPEAT_DEFAULT;
    }
    code = code < 0 ? check_names(command) : code;
    code = code < 0 && command->what == BENCH_SERVE ? read_serve(command) : code;
    if (code >= 0) {
        bench_options_free(command);
    }
    return code;
}

void
bench_options_free(struct bench_command *command)
{
    free(command->names);
    command->names = NULL;
}

static bool
is_standard_output(const char *path)
{
    return strcmp(path, "-") == 0;
}

FILE *
bench_options_words(const struct bench_command *command)
{
    const char *const paths[] = {command->json, command->csv, command->html, command->table};
    for (int i = 0; i < 4; i++) {
        if (paths[i] != NULL && is_standard_output(paths[i])) {
            return stderr;
        }
    }
    return stdout;
}

// Standard output is left open. NULL after a message.
static FILE *
open_output(const char *path, const char *mode)
{
    FILE *file = is_standard_output(path) ? stdout : fopen(path, mode);
    if (file == NULL) {
        fprintf(stderr, "tessera-bench: %s: %s\n", path, strerror(errno));
    }
    return file;
}

static bool
close_output(FILE *file, const char *path)
{
    const bool ok = fflush(file) == 0 && ferror(file) == 0;
    const bool closed = is_standard_output(path) || fclose(file) == 0;
    if (!ok || !closed) {
        fprintf(stderr, "tessera-bench: %s: it cannot be written in full\n", path);
    }
    return ok && closed;
}

bool
bench_options_try_outputs(const struct bench_command *command)
{
    const char *const paths[] = {command->json, command->csv, command->html, command->table};
    for (int i = 0; i < 4; i++) {
        if (paths[i] == NULL || is_standard_output(paths[i])) {
            continue;
        }
        FILE *file = open_output(paths[i], "ae");
        if (file == NULL) {
            return false;
        }
        fclose(file);
    }
    return true;
}

bool
bench_options_write_json(const struct bench_command *command, const json_t *document)
{
    if (command->json == NULL || is_standard_output(command->json)) {
        return true;
    }
    FILE *file = open_output(command->json, "we");
    if (file == NULL) {
        return false;
    }
    json_dumpf(document, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    fputc('\n', file);
    return close_output(file, command->json);
}

bool
bench_options_write_reports(const struct bench_command *command, const json_t *document)
{
    bool ok = true;
    const char *const paths[] = {command->csv, command->html, command->table, command->json};
    for (int i = 0; i < 4; i++) {
        // A document in a file was written after each bench.
        const bool is_json = i == 3;
        if (paths[i] == NULL || (is_json && !is_standard_output(paths[i]))) {
            continue;
        }
        FILE *file = open_output(paths[i], "we");
        if (file == NULL) {
            ok = false;
            continue;
        }
        if (i == 0) {
            bench_report_csv(file, document);
        } else if (i == 1) {
            bench_report_html(file, document);
        } else if (i == 2) {
            bench_report_table(file, document, command->all);
        } else {
            json_dumpf(document, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
            fputc('\n', file);
        }
        ok = close_output(file, paths[i]) && ok;
    }
    return ok;
}
