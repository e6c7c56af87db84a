// SPDX-License-Identifier: Apache-2.0
//
// The command line of tessera-worker.

#ifndef TSI_WORKER_OPTIONS_H
#define TSI_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/log.h"
#include "scheduler/wire/message.h"

#define TSI_WORKER_PATHS_MAX 64

struct tsi_worker_options {
    char scheduler[TSI_PATH_MAX];       // an address or a connection file; "" for the default file
    char name[TSI_WIRE_NAME_MAX + 1];   // "" for one made of host and process
    char host[TSI_WIRE_ENDPOINT_MAX];   // where others reach its chunks; "" for the route's end
    char local_directory[TSI_PATH_MAX]; // working directory; "" to stay
    int threads;                        // 0: as many as processors
    char record_file[TSI_PATH_MAX];     // "": nothing is recorded
    uint64_t memory_bytes;              // 0: what the machine leaves
    char spill_directory[TSI_PATH_MAX]; // for chunks that memory has no room for; "": the usual one
    uint64_t spill_bytes;               // that they may take there; 0: none go there
    uint64_t death_timeout_ns;          // without a scheduler; 0: wait for ever
    const char *allow_paths[TSI_WORKER_PATHS_MAX]; // none: files may be anywhere
    int allow_path_count;
    bool insecure; // a tcp address without keys may be used
    bool nanny;    // a parent process watches over the worker
    enum tsi_log_level log_level;
    bool log_json;
};

// Reads the command line. Returns false if the program shall end now with `*exit_code`.
bool tsi_worker_options_read(int argc, char **argv, struct tsi_worker_options *options,
                             int *exit_code);

#endif
