// SPDX-License-Identifier: Apache-2.0
//
// A transfer may be cut by the system into several, and interrupted by a signal before it began;
// both go on until all bytes are there.

#include "engine/io/npy_file.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/io/uncached.h"

// What the system keeps at once of what nobody wants it to keep.
#define UNCACHED_BYTES_MAX ((size_t)1 << 20)

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
    const bool is_uncached = tsi_uncached_is_wanted();
    const size_t most = is_uncached ? UNCACHED_BYTES_MAX : count;
    size_t done = 0;
    while (done < count) {
        const size_t left = count - done < most ? count - done : most;
        const off_t at = (off_t)(offset + (int64_t)done);
        const ssize_t got = is_uncached
                                ? tsi_uncached_read(file, (char *)out + done, left, (uint64_t)at)
                                : pread(file, (char *)out + done, left, at);
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
