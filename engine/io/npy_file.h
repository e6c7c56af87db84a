// SPDX-License-Identifier: Apache-2.0
//
// What reading and writing NPY files share: whole transfers, and messages that name the file.

#ifndef TSI_IO_NPY_FILE_H
#define TSI_IO_NPY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

// "cannot `verb` `path`: " and the text of errno, as TESS_EIO.
tess_status tsi_npy_file_failed(struct tsi_error *error, const char *verb, const char *path);

// Reads `count` bytes at `offset`. Fails with TESS_EIO, also where the file ends before them.
tess_status tsi_npy_file_read(int file, const char *path, int64_t offset, void *out, size_t count,
                              struct tsi_error *error);

tess_status tsi_npy_file_write(int file, const char *path, int64_t offset, const void *bytes,
                               size_t count, struct tsi_error *error);

#endif
