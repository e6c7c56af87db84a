// SPDX-License-Identifier: Apache-2.0
//
// The file of a journal: locked, read once, then written at its end. It knows nothing of what the
// records say.

#ifndef TSI_SCHEDULER_JOURNAL_FILE_H
#define TSI_SCHEDULER_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/net/connection.h"

struct tsi_journal_file {
    char path[TSI_PATH_MAX];
    int file;                   // −1: none
    int lock;                   // −1: none
    uint64_t bytes;             // of it that are good
    bool dirty;                 // something was written since the last sync
    const unsigned char *found; // what was there when it was opened, until it is replaced
    size_t found_bytes;
};

// Opens the journal at `path`, or the file tessera.journal in the directory `path`, and keeps all
// other schedulers out of it until it is closed. Fails if another one has it.
tess_status tsi_journal_file_open(struct tsi_journal_file *file, const char *path,
                                  struct tsi_error *error);

// Puts a new file with these bytes, on the disk, in the place of the old one, which stays as it is
// if that fails. With `keeps_old` the old one is kept under a name that ends in .damaged.
tess_status tsi_journal_file_replace(struct tsi_journal_file *file, const void *bytes, size_t count,
                                     bool keeps_old, struct tsi_error *error);

// Adds bytes at the end: all of them, or none. They survive the end of the process at once, and the
// end of the machine after the next sync.
tess_status tsi_journal_file_append(struct tsi_journal_file *file, const void *bytes, size_t count,
                                    struct tsi_error *error);
tess_status tsi_journal_file_sync(struct tsi_journal_file *file, struct tsi_error *error);

void tsi_journal_file_close(struct tsi_journal_file *file);

#endif
