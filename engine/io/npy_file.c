// SPDX-License-Identifier: Apache-2.0
//
// A transfer may be cut by the system into several, and interrupted by a signal before it began;
// both go on until all bytes are there.

#include "engine/io/npy_file.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

tess_status
tsi_npy_file_failed(struct tsi_error *error, const char *verb, const char *path)
{
    char reason[128];
    // The GNU function, which returns the text and may leave the buffer alone.
    const char *text = strerror_r(errno, reason, sizeof reason);
    return tsi_error_set(error, TESS_EIO, "cannot %s %s: %s", verb, path, text);
}

tess_status
tsi_npy_file_read(int file, const char *path, int64_t offset, void *out, size_t count,
                  struct tsi_error *error)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t got =
            pread(file, (char *)out + done, count - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tsi_npy_file_failed(error, "read", path);
        }
        if (got == 0) {
            return tsi_error_set(error, TESS_EIO, "cannot read %s: it became shorter", path);
        }
        done += (size_t)got;
    }
    return TESS_OK;
}

tess_status
tsi_npy_file_write(int file, const char *path, int64_t offset, const void *bytes, size_t count,
                   struct tsi_error *error)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t put =
            pwrite(file, (const char *)bytes + done, count - done, (off_t)(offset + (int64_t)done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return tsi_npy_file_failed(error, "write", path);
        }
        done += (size_t)put;
    }
    return TESS_OK;
}
