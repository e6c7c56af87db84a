// SPDX-License-Identifier: Apache-2.0
//
// Flags have the names that users of `dask worker` know, where there is such a flag.

#include "worker/daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/machine.h"
#include "engine/base/text.h"
#include "engine/net/interface.h"
#include "tessera/version.h"

#define EXIT_USAGE 2

static const char help[] =
    "Usage: tessera-worker [OPTION]... [SCHEDULER]\n"
    "Start a worker of a Tessera cluster.\n"
    "\n"
    "SCHEDULER is an address (tcp://host:port, ipc://path) or a connection file. Without it the "
    "worker\n"
    "takes TESSERA_SCHEDULER from the environment, or else the connection file that "
    "tessera-scheduler\n"
    "writes for this user. It waits for the file to appear.\n"
    "\n"
    "  --scheduler-file FILE     the scheduler's connection file\n"
    "  --insecure                use a scheduler at a tcp address without encryption and keys\n"
    "  --nthreads N              tasks to run at once (default: the processors it may use)\n"
    "  --memory-limit SIZE       resident memory of the process: 4GiB, 500MB, or a share such as "
    "0.5\n"
    "                            (default and most: what machine, control group and limits allow)\n"
    "  --spill-dir DIR           where chunks go that memory has no room for (default: $TMPDIR, "
    "else\n"
    "                            /var/tmp)\n"
    "  --spill-limit SIZE        how much may go there; 0: nothing (default: no limit)\n"
    "  --name NAME               how logs and messages call it\n"
    "  --host HOST               address at which others reach its chunks\n"
    "  --interface NAME          take that address from this network interface\n"
    "  --local-directory DIR     directory to work in\n"
    "  --allow-path DIR          let computes read and write files only below DIR; may be "
    "repeated\n"
    "  --record FILE             record all that its core is told and does, to be looked into "
    "later\n"
    "  --death-timeout DURATION  end after so long without a scheduler (default: wait for ever)\n"
    "  --no-nanny                run in this process; without a parent that watches, nobody can\n"
    "                            tell how the worker died\n"
    "  --log-level LEVEL         error, warning, info or debug (default info)\n"
    "  --log-format FORMAT       plain or json (default plain)\n"
    "  --version                 print the version and exit\n"
    "  --help                    print this help and exit\n"
    "\n"
    "SIGTERM, SIGINT or SIGHUP: finish what runs, hand chunks that only it holds to others, then\n"
    "exit; a second one stops at once.\n"
    "\n"
    "Exit status: 0 after an orderly end, 1 after a failure, 2 for a wrong command line, 3 if "
    "there was\n"
    "no scheduler within the death timeout, 4 if the scheduler refused it, 128 and the\n"
    "number of the signal if one ended the worker.\n";

enum option_id {
    OPTION_FILE = 256,
    OPTION_INSECURE,
    OPTION_THREADS,
    OPTION_MEMORY,
    OPTION_SPILL_DIR,
    OPTION_SPILL_LIMIT,
    OPTION_NAME,
    OPTION_HOST,
    OPTION_INTERFACE,
    OPTION_DIRECTORY,
    OPTION_ALLOW,
    OPTION_RECORD,
    OPTION_DEATH,
    OPTION_NO_NANNY,
    OPTION_LEVEL,
    OPTION_FORMAT,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option table[] = {
    {"scheduler-file", required_argument, NULL, OPTION_FILE},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"nthreads", required_argument, NULL, OPTION_THREADS},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY},
    {"spill-dir", required_argument, NULL, OPTION_SPILL_DIR},
    {"spill-limit", required_argument, NULL, OPTION_SPILL_LIMIT},
    {"name", required_argument, NULL, OPTION_NAME},
    {"host", required_argument, NULL, OPTION_HOST},
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"local-directory", required_argument, NULL, OPTION_DIRECTORY},
    {"allow-path", required_argument, NULL, OPTION_ALLOW},
    {"record", required_argument, NULL, OPTION_RECORD},
    {"death-timeout", required_argument, NULL, OPTION_DEATH},
    {"no-nanny", no_argument, NULL, OPTION_NO_NANNY},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"log-format", required_argument, NULL, OPTION_FORMAT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool
copy(char *out, size_t bytes, const char *text)
{
    return snprintf(out, bytes, "%s", text) < (int)bytes;
}

static bool
parse_threads(const char *text, int *threads)
{
    char *end;
    const long value = strtol(text, &end, 10);
    *threads = (int)value;
    return end != text && *end == '\0' && value >= 1 && value <= TSI_THREADS_MAX;
}

static bool
parse_spill_limit(const char *text, uint64_t *bytes)
{
    *bytes = 0;
    return strcmp(text, "0") == 0 || tsi_text_parse_bytes(text, UINT64_MAX, bytes);
}

static bool
set_interface(const char *name, struct tsi_worker_options *options)
{
    struct tsi_error error;
    if (tsi_interface_address(name, options->host, sizeof options->host, &error) != TESS_OK) {
        fprintf(stderr, "tessera-worker: %s\n", error.text);
        return false;
    }
    return true;
}

static bool
add_allowed(const char *path, struct tsi_worker_options *options)
{
    if (options->allow_path_count == TSI_WORKER_PATHS_MAX) {
        return false;
    }
    options->allow_paths[options->allow_path_count++] = path;
    return true;
}

static bool
set_option(int id, const char *value, struct tsi_worker_options *options)
{
    switch (id) {
    case OPTION_FILE:
        return copy(options->scheduler, sizeof options->scheduler, value);
    case OPTION_INSECURE:
        options->insecure = true;
        return true;
    case OPTION_THREADS:
        return parse_threads(value, &options->threads);
    case OPTION_MEMORY:
        return tsi_text_parse_bytes(value, tsi_machine_memory_bytes(), &options->memory_bytes);
    case OPTION_SPILL_DIR:
        return copy(options->spill_directory, sizeof options->spill_directory, value);
    case OPTION_SPILL_LIMIT:
        return parse_spill_limit(value, &options->spill_bytes);
    case OPTION_NAME:
        return copy(options->name, sizeof options->name, value);
    case OPTION_HOST:
        return copy(options->host, sizeof options->host, value);
    case OPTION_INTERFACE:
        return set_interface(value, options);
    case OPTION_DIRECTORY:
        return copy(options->local_directory, sizeof options->local_directory, value);
    case OPTION_ALLOW:
        return add_allowed(value, options);
    case OPTION_RECORD:
        return copy(options->record_file, sizeof options->record_file, value);
    case OPTION_DEATH:
        return tsi_text_parse_duration(value, &options->death_timeout_ns);
    case OPTION_NO_NANNY:
        options->nanny = false;
        return true;
    case OPTION_LEVEL:
        return tsi_log_level_parse(value, &options->log_level);
    case OPTION_FORMAT:
        options->log_json = strcmp(value, "json") == 0;
        return options->log_json || strcmp(value, "plain") == 0;
    default:
        return false;
    }
}

static bool
refuse(int *exit_code, const char *name, const char *value)
{
    fprintf(stderr,
            "tessera-worker: --%s: cannot use '%s'\n"
            "Try 'tessera-worker --help'.\n",
            name, value != NULL ? value : "");
    *exit_code = EXIT_USAGE;
    return false;
}

static bool
take_scheduler(int argc, char **argv, struct tsi_worker_options *options, int *exit_code)
{
    if (argc - optind > 1) {
        fprintf(stderr, "tessera-worker: unexpected argument '%s'\n", argv[optind + 1]);
        *exit_code = EXIT_USAGE;
        return false;
    }
    const char *environment = getenv("TESSERA_SCHEDULER");
    const char *named = argc > optind                   ? argv[optind]
                        : options->scheduler[0] != '\0' ? NULL
                                                        : environment;
    if (named != NULL && !copy(options->scheduler, sizeof options->scheduler, named)) {
        return refuse(exit_code, "scheduler-file", named);
    }
    return true;
}

bool
tsi_worker_options_read(int argc, char **argv, struct tsi_worker_options *options, int *exit_code)
{
    int index = 0;
    int id;
    *options = (struct tsi_worker_options){
        .spill_bytes = UINT64_MAX, .nanny = true, .log_level = TSI_LOG_INFO};
    *exit_code = EXIT_SUCCESS;
    while ((id = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (id == OPTION_HELP) {
            fputs(help, stdout);
            return false;
        }
        if (id == OPTION_VERSION) {
            printf("tessera-worker %s\n", tess_version());
            return false;
        }
        if (id == '?') {
            fputs("Try 'tessera-worker --help'.\n", stderr);
            *exit_code = EXIT_USAGE;
            return false;
        }
        // An empty value is a variable that was not set, and not a wish for the default. An option
        // that takes none does not look at it.
        const char *const value = optarg != NULL ? optarg : "no value";
        if (value[0] == '\0' || !set_option(id, value, options)) {
            return refuse(exit_code, table[index].name, optarg);
        }
    }
    return take_scheduler(argc, argv, options, exit_code);
}
