// SPDX-License-Identifier: Apache-2.0
//
// Mapped input files, kept open between tasks and shared by threads.

#ifndef TSI_EXEC_FILES_H
#define TSI_EXEC_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/exec/exec.h"

struct tsi_mapped_file;

// Maps the file that `op`, of kind FILE, reads, or takes it from those that are kept; the caller
// has a reference to it until tsi_files_release(). Fails with TESS_EACCESS outside the allowed
// directories, TESS_EIO if it cannot be read or lost elements, TESS_EFORMAT if it is another array
// now, TESS_ENOMEM.
tess_status tsi_files_acquire(struct tsi_files *files, const struct tsi_chunk_op *op,
                              struct tsi_mapped_file **file, struct tsi_error *error);

// The first element; NULL if there is none, or the file is not mapped.
const unsigned char *tsi_files_data(const struct tsi_mapped_file *file);

// Whether the elements of the file may be seen where they are mapped: then all of its pages that a
// task touches are this process's while it reads them. Where the process has not much memory, or
// not enough addresses, they are to be read instead.
bool tsi_files_may_map(const struct tsi_mapped_file *file);

// Copies `bytes` bytes of the elements from byte `offset` on to `out`, without the mapping. In a
// control group without much room the system keeps nothing of them. Fails with TESS_EIO.
tess_status tsi_files_read(const struct tsi_mapped_file *file, int64_t offset, size_t bytes,
                           void *out, struct tsi_error *error);

// Gives the reference back. The bytes from `low` to `high` of the elements have been read: of a
// large file their pages leave this process's memory.
void tsi_files_release(struct tsi_files *files, struct tsi_mapped_file *file, int64_t low,
                       int64_t high);

// Opens the directory that a file may be written in as `path`: it is where it was checked to be
// whatever becomes of the path. AT_FDCWD, and `path` as it is, if files may be anywhere. Fails with
// TESS_EACCESS outside the allowed directories, TESS_EIO if its directory cannot be opened.
tess_status tsi_files_open_target(const struct tsi_files *files, const char *path, int *directory,
                                  struct tsi_error *error);
void tsi_files_close_target(int directory);

// Removes the temporary files that tasks of `program` write, where they may: for a job that has
// ended, of which no task runs here any more. One that was running when its job failed may have
// made a file again after the caller had removed it.
void tsi_files_remove_temporaries(const struct tsi_files *files, const struct tsi_program *program);

#endif
