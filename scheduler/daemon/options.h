// SPDX-License-Identifier: Apache-2.0
//
// The command line of tessera-scheduler.

#ifndef TSI_SCHEDULER_OPTIONS_H
#define TSI_SCHEDULER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/log.h"
#include "engine/net/connection.h"

struct tsi_scheduler_options {
    char address[TSI_WIRE_ENDPOINT_MAX]; // to listen at; "" for an ipc socket in the user's
                                         // directory
    char connection_file[TSI_PATH_MAX];  // "" for the default place
    char pid_file[TSI_PATH_MAX];         // "" for none
    char record_file[TSI_PATH_MAX];      // what the core is told; "" for none
    char journal[TSI_PATH_MAX];          // "" for none
    uint64_t result_lease_ns;            // how long what detached jobs made waits for somebody
    uint64_t result_bytes_max;           // that all of it may take together
    uint64_t client_lease_ns;            // how long the jobs of a client that is gone wait for it
    bool insecure;                       // tcp without keys
    uint64_t idle_timeout_ns;            // stop after so long without jobs; 0: never
    uint64_t worker_ttl_ns;              // silence after which a worker is lost
    enum tsi_log_level log_level;
    bool log_json;
};

// Reads the command line. Returns false if the program shall end now with `*exit_code`: after
// --help or
// --version, or after an error, which has been printed.
bool tsi_scheduler_options_read(int argc, char **argv, struct tsi_scheduler_options *options,
                                int *exit_code);

#endif
