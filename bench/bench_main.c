// SPDX-License-Identifier: Apache-2.0
//
// tessera-bench: measures Tessera, and on request its peers in the same run.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_run.h"
#include "tessera.h"

#define EXIT_USAGE 2

static const char help[] =
    "Usage: tessera-bench list\n"
    "       tessera-bench run [NAME]... [--json FILE] [--repeat N] [--peers]\n"
    "Measure Tessera.\n"
    "\n"
    "  --json FILE   append one JSON object a bench, each on a line of its own\n"
    "  --repeat N    measured runs of each bench, after one that is not counted (default 5)\n"
    "  --peers       run the peers in turn with it, where Debian's python3-dask and\n"
    "                python3-distributed are installed\n"
    "  --version     print the version and exit\n"
    "  --help        print this help and exit\n"
    "\n"
    "Without NAME all benches run. Exit status: 0, 1 if a bench failed, 2 for a wrong command "
    "line.\n";

static int
list(void)
{
    for (int i = 0; bench_all[i] != NULL; i++) {
        printf("%-16s %s, in %s\n", bench_all[i]->name, bench_all[i]->configuration,
               bench_all[i]->unit);
    }
    return EXIT_SUCCESS;
}

static const struct bench *
find(const char *name)
{
    for (int i = 0; bench_all[i] != NULL; i++) {
        if (strcmp(bench_all[i]->name, name) == 0) {
            return bench_all[i];
        }
    }
    return NULL;
}

static int
wrong(const char *what, const char *value)
{
    fprintf(stderr, "tessera-bench: %s '%s'\nTry 'tessera-bench --help'.\n", what, value);
    return EXIT_USAGE;
}

// Reads what follows `run` into `options` and `chosen`, which has room for all. Returns an exit
// code, or −1 to go on.
static int
read_run(int argc, char **argv, struct bench_options *options, const struct bench **chosen)
{
    int count = 0;
    for (int i = 0; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--peers") == 0) {
            options->peers = true;
        } else if (strcmp(argv[i], "--repeat") == 0 && has_value) {
            options->repeat = atoi(argv[++i]);
            if (options->repeat < 1 || options->repeat > 1000) {
                return wrong("--repeat: not from 1 to 1000:", argv[i]);
            }
        } else if (strcmp(argv[i], "--json") == 0 && has_value) {
            options->json = fopen(argv[++i], "ae");
            if (options->json == NULL) {
                fprintf(stderr, "tessera-bench: %s: %s\n", argv[i], strerror(errno));
                return EXIT_FAILURE;
            }
        } else if (argv[i][0] == '-' || find(argv[i]) == NULL) {
            return wrong(argv[i][0] == '-' ? "unknown option" : "no such bench", argv[i]);
        } else {
            chosen[count++] = find(argv[i]);
        }
    }
    return -1;
}

static int
run(int argc, char **argv)
{
    struct bench_options options = {.repeat = 5};
    const struct bench **chosen = calloc((size_t)argc + 1, sizeof *chosen);
    if (chosen == NULL) {
        return EXIT_FAILURE;
    }
    int code = read_run(argc, argv, &options, chosen);
    if (code < 0) {
        const struct bench *const *benches = chosen[0] != NULL ? chosen : bench_all;
        code = EXIT_SUCCESS;
        for (int i = 0; benches[i] != NULL; i++) {
            code = bench_run(benches[i], &options) ? code : EXIT_FAILURE;
        }
    }
    if (options.json != NULL) {
        fclose(options.json);
    }
    free(chosen);
    return code;
}

int
main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "list") == 0) {
        return list();
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0) {
        return run(argc - 2, argv + 2);
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("tessera-bench %s\n", tess_version());
        return EXIT_SUCCESS;
    }
    const bool asked = argc >= 2 && strcmp(argv[1], "--help") == 0;
    fputs(help, asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : EXIT_USAGE;
}
