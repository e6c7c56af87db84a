// SPDX-License-Identifier: Apache-2.0
//
// Connection files: how workers and clients find their scheduler, and the keys with which all of a
// cluster know each other.
//
// The scheduler writes one when it starts, with mode 0600, under a temporary name first, so that a
// reader sees all of it or none. It is JSON: format, address, epoch, pid, and, for tcp, the
// scheduler's public key and the key pair that every member of the cluster uses, or the word that
// there are none.

#ifndef TSI_NET_CONNECTION_H
#define TSI_NET_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "scheduler/wire/message.h"

// A CURVE key as text, with its final zero.
#define TSI_KEY_TEXT 41

struct tsi_connection {
    char address[TSI_WIRE_ENDPOINT_MAX]; // "tcp://host:port" or "ipc://path"
    uint32_t epoch;                      // of the scheduler's life; higher is newer
    int64_t pid;
    bool has_keys; // false: ipc, or tcp that is insecure
    bool insecure; // tcp goes without keys, because somebody said so in as many words
    char scheduler_public[TSI_KEY_TEXT];
    char member_public[TSI_KEY_TEXT]; // of workers and clients alike, towards scheduler and each
                                      // other
    char member_secret[TSI_KEY_TEXT];
};

// The directory for sockets and the connection file of this user, made with mode 0700 if it is not
// there: $XDG_RUNTIME_DIR/tessera, or tessera-<uid> in the directory for temporary files. Fails
// with TESS_EACCESS if it belongs to somebody else or others may enter it.
tess_status tsi_connection_directory(char *out, size_t bytes, struct tsi_error *error);

// Where the connection file is by default: scheduler.json in that directory.
tess_status tsi_connection_default_path(char *out, size_t bytes, struct tsi_error *error);

// Writes atomically, with fsync. Refuses (TESS_EACCESS) to replace the file of a scheduler with a
// higher epoch that still runs.
tess_status tsi_connection_write(const char *path, const struct tsi_connection *connection,
                                 struct tsi_error *error);

// Reads and checks. TESS_EIO if there is no file, TESS_EFORMAT if it is none of ours, TESS_EACCESS
// if others may read the keys in it.
tess_status tsi_connection_read(const char *path, struct tsi_connection *connection,
                                struct tsi_error *error);

// Parses the text of a connection file, from anywhere; pure.
tess_status tsi_connection_parse(const char *text, size_t count, struct tsi_connection *connection,
                                 struct tsi_error *error);

// What a user names as scheduler: an address ("tcp://…", "ipc://…": then the keys are taken from
// the default connection file if its address is the same) or a path. NULL or "": the default path.
// Waits for a file to appear until `deadline_ns` of tsi_clock_ns(); `stop` (may be NULL) is asked
// between tries. A tcp address whose keys are in no file is refused (TESS_EACCESS), unless
// `insecure` says that there are none.
tess_status tsi_connection_find(const char *where, bool insecure, uint64_t deadline_ns,
                                bool (*stop)(void), struct tsi_connection *connection,
                                struct tsi_error *error);

#endif
