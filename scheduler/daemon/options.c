// SPDX-License-Identifier: Apache-2.0
//
// Flags have the names that users of `dask scheduler` know, where there is such a flag.

#include "scheduler/daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/net/interface.h"
#include "tessera/version.h"

#define DEFAULT_PORT 8786
#define EXIT_USAGE 2

static const char help[] =
    "Usage: tessera-scheduler [OPTION]...\n"
    "Start the scheduler of a Tessera cluster.\n"
    "\n"
    "Without options it serves this user on this machine: it listens on a socket in a directory "
    "that\n"
    "nobody else may enter, and writes a connection file that tessera-worker and programs find by\n"
    "themselves.\n"
    "\n"
    "  --host HOST             listen on tcp at this address or name\n"
    "  --port PORT             listen on tcp at this port (default 8786; 0: any free one)\n"
    "  --interface NAME        listen on tcp at the address of this network interface\n"
    "  --scheduler-file FILE   where to write the connection file\n"
    "                          (default $XDG_RUNTIME_DIR/tessera/scheduler.json)\n"
    "  --insecure              listen on tcp without encryption and without keys\n"
    "  --worker-ttl DURATION   silence after which a worker counts as lost (default 15s)\n"
    "  --idle-timeout DURATION stop after so long without work (default: never)\n"
    "  --pid-file FILE         write the process number to this file\n"
    "  --record FILE           record all that is decided, to be looked into later\n"
    "  --journal PATH          keep a journal in this file or directory: when the scheduler dies "
    "and "
    "is\n"
    "                          started again with it, computes go on\n"
    "  --client-lease DURATION with a journal, how long jobs wait for a client that is gone "
    "(default "
    "30s)\n"
    "  --result-lease DURATION how long the results of detached computes that nobody has are kept\n"
    "                          (default 1h)\n"
    "  --result-limit SIZE     how much they may take together (default 16GiB)\n"
    "  --log-level LEVEL       error, warning, info or debug (default info)\n"
    "  --log-format FORMAT     plain or json (default plain)\n"
    "  --version               print the version and exit\n"
    "  --help                  print this help and exit\n"
    "\n"
    "SIGTERM, SIGINT or SIGHUP: take no more jobs, finish those that run, then exit; a second one\n"
    "stops at once.\n"
    "\n"
    "Exit status: 0 after an orderly end, 1 after a failure, 2 for a wrong command line.\n";

enum option_id {
    OPTION_HOST = 256,
    OPTION_PORT,
    OPTION_INTERFACE,
    OPTION_FILE,
    OPTION_INSECURE,
    OPTION_TTL,
    OPTION_IDLE,
    OPTION_PID,
    OPTION_RECORD,
    OPTION_JOURNAL,
    OPTION_LEASE,
    OPTION_RESULT_LEASE,
    OPTION_RESULT_LIMIT,
    OPTION_LEVEL,
    OPTION_FORMAT,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option table[] = {
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"interface", required_argument, NULL, OPTION_INTERFACE},
    {"scheduler-file", required_argument, NULL, OPTION_FILE},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"worker-ttl", required_argument, NULL, OPTION_TTL},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE},
    {"pid-file", required_argument, NULL, OPTION_PID},
    {"record", required_argument, NULL, OPTION_RECORD},
    {"journal", required_argument, NULL, OPTION_JOURNAL},
    {"client-lease", required_argument, NULL, OPTION_LEASE},
    {"result-lease", required_argument, NULL, OPTION_RESULT_LEASE},
    {"result-limit", required_argument, NULL, OPTION_RESULT_LIMIT},
    {"log-level", required_argument, NULL, OPTION_LEVEL},
    {"log-format", required_argument, NULL, OPTION_FORMAT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

// What of the address the command line names.
struct place {
    char host[TSI_WIRE_ENDPOINT_MAX];
    int port; // −1: not given
};

static bool
copy(char *out, size_t bytes, const char *text)
{
    return snprintf(out, bytes, "%s", text) < (int)bytes;
}

static bool
parse_port(const char *text, int *port)
{
    char *end;
    const long value = strtol(text, &end, 10);
    *port = (int)value;
    return end != text && *end == '\0' && value >= 0 && value <= 65535;
}

static bool
set_interface(const char *name, struct place *place)
{
    struct tsi_error error;
    if (tsi_interface_address(name, place->host, sizeof place->host, &error) != TESS_OK) {
        fprintf(stderr, "tessera-scheduler: %s\n", error.text);
        return false;
    }
    return true;
}

static bool
set_option(int id, const char *value, struct tsi_scheduler_options *options, struct place *place)
{
    switch (id) {
    case OPTION_HOST:
        return copy(place->host, sizeof place->host, value);
    case OPTION_PORT:
        return parse_port(value, &place->port);
    case OPTION_INTERFACE:
        return set_interface(value, place);
    case OPTION_FILE:
        return copy(options->connection_file, sizeof options->connection_file, value);
    case OPTION_INSECURE:
        options->insecure = true;
        return true;
    case OPTION_TTL:
        return tsi_text_parse_duration(value, &options->worker_ttl_ns) &&
               options->worker_ttl_ns > 0;
    case OPTION_IDLE:
        return tsi_text_parse_duration(value, &options->idle_timeout_ns);
    case OPTION_PID:
        return copy(options->pid_file, sizeof options->pid_file, value);
    case OPTION_RECORD:
        return copy(options->record_file, sizeof options->record_file, value);
    case OPTION_JOURNAL:
        return copy(options->journal, sizeof options->journal, value);
    case OPTION_LEASE:
        return tsi_text_parse_duration(value, &options->client_lease_ns);
    case OPTION_RESULT_LEASE:
        return tsi_text_parse_duration(value, &options->result_lease_ns);
    case OPTION_RESULT_LIMIT:
        return tsi_text_parse_bytes(value, UINT64_MAX, &options->result_bytes_max);
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
            "tessera-scheduler: --%s: cannot use '%s'\n"
            "Try 'tessera-scheduler --help'.\n",
            name, value != NULL ? value : "");
    *exit_code = EXIT_USAGE;
    return false;
}

static bool
finish(struct tsi_scheduler_options *options, const struct place *place, int *exit_code)
{
    const bool is_tcp = place->host[0] != '\0' || place->port >= 0;
    const bool is_ipv6 = strchr(place->host, ':') != NULL;
    if (!is_tcp) {
        return true;
    }
    // Without a host only this machine is meant: whoever wants others to come in says where.
    const int length =
        snprintf(options->address, sizeof options->address, "tcp://%s%s%s:%d", is_ipv6 ? "[" : "",
                 place->host[0] != '\0' ? place->host : "127.0.0.1", is_ipv6 ? "]" : "",
                 place->port >= 0 ? place->port : DEFAULT_PORT);
    if (length < 0 || (size_t)length >= sizeof options->address) {
        return refuse(exit_code, "host", place->host);
    }
    return true;
}

bool
tsi_scheduler_options_read(int argc, char **argv, struct tsi_scheduler_options *options,
                           int *exit_code)
{
    struct place place = {.port = -1};
    int index = 0;
    int id;
    *options = (struct tsi_scheduler_options){.log_level = TSI_LOG_INFO,
                                              .worker_ttl_ns = 15 * TSI_SECOND,
                                              .client_lease_ns = 30 * TSI_SECOND,
                                              .result_lease_ns = 3600 * TSI_SECOND,
                                              .result_bytes_max = (uint64_t)16 << 30};
    *exit_code = EXIT_SUCCESS;
    while ((id = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (id == OPTION_HELP) {
            fputs(help, stdout);
            return false;
        }
        if (id == OPTION_VERSION) {
            printf("tessera-scheduler %s\n", tess_version());
            return false;
        }
        if (id == '?') {
            fputs("Try 'tessera-scheduler --help'.\n", stderr);
            *exit_code = EXIT_USAGE;
            return false;
        }
        // An empty value is a variable that was not set, and not a wish for the default. An option
        // that takes none does not look at it.
        const char *const value = optarg != NULL ? optarg : "no value";
        if (value[0] == '\0' || !set_option(id, value, options, &place)) {
            return refuse(exit_code, table[index].name, optarg);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "tessera-scheduler: unexpected argument '%s'\n", argv[optind]);
        *exit_code = EXIT_USAGE;
        return false;
    }
    return finish(options, &place, exit_code);
}
