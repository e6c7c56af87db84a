// SPDX-License-Identifier: Apache-2.0
//
// Writing an NPY file by many hands. The temporary file has the size and layout of the final one
// from the first chunk on, and behind it one byte for each chunk, which is set once the chunk's
// elements are written. The commit looks for all of them before it cuts them off, so a file with a
// hole never gets the name, whatever became of the writers: a chunk that was written twice is
// harmless, and a writer that comes late to a file that has been committed makes a temporary file
// that cannot be.
//
// Files are opened for writing only. A reader's page would be written back whole by network file
// systems, over what another machine wrote to the same page.

#include "engine/io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file_name.h"
#include "engine/base/memory.h"
#include "engine/io/npy_file.h"
#include "engine/io/uncached.h"

enum { WRITTEN = 1, MARK_STEP = 4096 };

#define CACHED_BYTES_MAX ((int64_t)1 << 20)

struct layout {
    int64_t header_bytes;
    int64_t data_bytes;
    int64_t file_bytes;
    int64_t marked_bytes; // with the marks behind the file
};

static tess_status
find_layout(const struct tsi_npy_target *target, struct layout *layout, struct tsi_error *error)
{
    const size_t header_bytes = tsi_npy_format_header(target->dtype, &target->shape, NULL, 0);
    if (header_bytes == 0 || target->chunk_count < 0) {
        return tsi_error_set(error, TESS_EINVAL, "%s: no shape of an array", target->path);
    }
    int64_t bytes = (int64_t)tess_dtype_bytes(target->dtype);
    bool fits = true;
    for (int i = 0; i < target->shape.ndim; i++) {
        fits = fits && tsi_mul_i64(bytes, target->shape.size[i], &bytes);
    }
    layout->header_bytes = (int64_t)header_bytes;
    layout->data_bytes = bytes;
    fits = fits && tsi_add_i64(layout->header_bytes, bytes, &layout->file_bytes) &&
           tsi_add_i64(layout->file_bytes, target->chunk_count, &layout->marked_bytes);
    return fits ? TESS_OK : tsi_error_set(error, TESS_EOVERFLOW, "%s: too large", target->path);
}

// Fails, with errno set, if the file cannot have its full size.
static bool
extend(int file, int64_t bytes)
{
    struct stat info;
    if (fstat(file, &info) != 0) {
        return false;
    }
    return info.st_size >= (off_t)bytes || ftruncate(file, (off_t)bytes) == 0;
}

static int
directory_of(const struct tsi_npy_target *target)
{
    return target->directory != NULL ? *target->directory : AT_FDCWD;
}

const char *
tsi_npy_name_in(int directory, const char *path)
{
    const char *const slash = directory == AT_FDCWD ? NULL : strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const char *
name_of(const struct tsi_npy_target *target, const char *path)
{
    return tsi_npy_name_in(directory_of(target), path);
}

// The first axis from which on the box is contiguous in the file: behind it, it has all of every
// axis.
static int
first_contiguous_axis(const tess_shape *shape, const int64_t *size)
{
    int axis = shape->ndim;
    while (axis > 0 && size[axis - 1] == shape->size[axis - 1]) {
        axis--;
    }
    return axis > 0 ? axis - 1 : 0;
}

// Steps `coords` through the first `axes` axes of a box in C order; false after the last.
static bool
next_run(int64_t *coords, const int64_t *size, int axes)
{
    for (int i = axes - 1; i >= 0; i--) {
        if (++coords[i] < size[i]) {
            return true;
        }
        coords[i] = 0;
    }
    return false;
}

// Writes one run of a chunk. With `writes` its pages are let go, some at a time: a control group
// that has not much room beside what the process takes would be killed for them.
static tess_status
write_run(int file, const char *path, int64_t offset, const char *from, int64_t bytes,
          struct tsi_uncached_writes *writes, struct tsi_error *error)
{
    const int64_t most = writes != NULL ? CACHED_BYTES_MAX : bytes;
    tess_status status = TESS_OK;
    for (int64_t done = 0; done < bytes && status == TESS_OK; done += most) {
        const int64_t count = bytes - done < most ? bytes - done : most;
        const int64_t at = offset + done;
        status = tsi_npy_file_write(file, path, at, from + done, (size_t)count, error);
        if (writes != NULL) {
            tsi_uncached_note(writes, file, (uint64_t)at, (uint64_t)count);
        }
    }
    return status;
}

static tess_status
write_box(int file, const struct tsi_npy_target *target, const struct layout *layout,
          const int64_t *start, const int64_t *size, const void *data, struct tsi_error *error)
{
    const tess_shape *shape = &target->shape;
    const int axes = first_contiguous_axis(shape, size);
    int64_t run_bytes = (int64_t)tess_dtype_bytes(target->dtype);
    for (int i = axes; i < shape->ndim; i++) {
        run_bytes *= size[i];
    }
    int64_t coords[TESS_NDIM_MAX] = {0};
    const char *from = data;
    struct tsi_uncached_writes noted = {.count = 0};
    struct tsi_uncached_writes *writes = tsi_uncached_is_wanted() ? &noted : NULL;
    do {
        int64_t element = 0;
        for (int i = 0; i < shape->ndim; i++) {
            element = element * shape->size[i] + start[i] + coords[i];
        }
        const int64_t offset =
            layout->header_bytes + element * (int64_t)tess_dtype_bytes(target->dtype);
        const tess_status status =
            write_run(file, target->temporary, offset, from, run_bytes, writes, error);
        if (status != TESS_OK) {
            return status;
        }
        from += run_bytes;
    } while (next_run(coords, size, axes));
    tsi_uncached_flush(&noted, file);
    return TESS_OK;
}

static bool
box_fits(const struct tsi_npy_target *target, const int64_t *start, const int64_t *size)
{
    for (int i = 0; i < target->shape.ndim; i++) {
        if (start[i] < 0 || size[i] < 0 || start[i] > target->shape.size[i] ||
            size[i] > target->shape.size[i] - start[i]) {
            return false;
        }
    }
    return true;
}

static bool
box_is_empty(const struct tsi_npy_target *target, const int64_t *size)
{
    for (int i = 0; i < target->shape.ndim; i++) {
        if (size[i] == 0) {
            return true;
        }
    }
    return false;
}

static tess_status
fill_chunk(int file, const struct tsi_npy_target *target, const struct layout *layout,
           int64_t chunk, const int64_t *start, const int64_t *size, const void *data,
           struct tsi_error *error)
{
    static const unsigned char mark = WRITTEN;
    if (!extend(file, layout->marked_bytes)) {
        return tsi_npy_file_failed(error, "extend", target->temporary);
    }
    if (!box_is_empty(target, size)) {
        const tess_status status = write_box(file, target, layout, start, size, data, error);
        if (status != TESS_OK) {
            return status;
        }
    }
    return tsi_npy_file_write(file, target->temporary, layout->file_bytes + chunk, &mark,
                              sizeof mark, error);
}

tess_status
tsi_npy_write_chunk(const struct tsi_npy_target *target, int64_t chunk, const int64_t *start,
                    const int64_t *size, const void *data, struct tsi_error *error)
{
    struct layout layout = {0};
    tess_status status = find_layout(target, &layout, error);
    if (status != TESS_OK) {
        return status;
    }
    if (chunk < 0 || chunk >= target->chunk_count || !box_fits(target, start, size)) {
        return tsi_error_set(error, TESS_EINVAL, "%s: chunk %" PRId64 " is not of the array",
                             target->path, chunk);
    }
    const int file = openat(directory_of(target), name_of(target, target->temporary),
                            O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (file < 0) {
        return tsi_npy_file_failed(error, "create", target->temporary);
    }
    status = fill_chunk(file, target, &layout, chunk, start, size, data, error);
    // Some file systems report only here that the disk is full.
    if (close(file) != 0 && errno != EINTR && status == TESS_OK) {
        status = tsi_npy_file_failed(error, "write", target->temporary);
    }
    return status;
}

static tess_status
check_marks(int file, const struct tsi_npy_target *target, const struct layout *layout,
            struct tsi_error *error)
{
    unsigned char marks[MARK_STEP];
    for (int64_t chunk = 0; chunk < target->chunk_count; chunk += MARK_STEP) {
        const int64_t left = target->chunk_count - chunk;
        const size_t count = left < MARK_STEP ? (size_t)left : MARK_STEP;
        const tess_status status = tsi_npy_file_read(
            file, target->temporary, layout->file_bytes + chunk, marks, count, error);
        if (status != TESS_OK) {
            return status;
        }
        for (size_t i = 0; i < count; i++) {
            if (marks[i] != WRITTEN) {
                return tsi_error_set(error, TESS_EIO, "%s: chunk %" PRId64 " was not written",
                                     target->temporary, chunk + (int64_t)i);
            }
        }
    }
    return TESS_OK;
}

// Makes of the temporary file, all of whose chunks are there, a durable NPY file. Nearly all of the
// time goes to the first fsync(), and until it is over the marks stay, so that a commit that was
// cut short can be made again.
static tess_status
finish_file(int file, const struct tsi_npy_target *target, const struct layout *layout,
            struct tsi_error *error)
{
    unsigned char header[TSI_NPY_FORMAT_BYTES_MAX];
    tess_status status = check_marks(file, target, layout, error);
    if (status != TESS_OK) {
        return status;
    }
    const size_t bytes =
        tsi_npy_format_header(target->dtype, &target->shape, header, sizeof header);
    status = tsi_npy_file_write(file, target->temporary, 0, header, bytes, error);
    if (status != TESS_OK) {
        return status;
    }
    if (fsync(file) != 0 || ftruncate(file, (off_t)layout->file_bytes) != 0 || fsync(file) != 0) {
        return tsi_npy_file_failed(error, "write", target->temporary);
    }
    return TESS_OK;
}

// A new name is durable when its directory is. Not every file system can do that; then there is
// nothing more that could be done.
static tess_status
sync_directory(const struct tsi_npy_target *target, struct tsi_error *error)
{
    const char *const path = target->path;
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t count = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (count >= sizeof directory) {
        return tsi_error_set(error, TESS_EIO, "%s: name too long", path);
    }
    memcpy(directory, path, count);
    directory[count] = '\0';
    const bool is_here = count == 0 || directory_of(target) != AT_FDCWD;
    const int file =
        openat(directory_of(target), is_here ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return tsi_npy_file_failed(error, "open the directory of", path);
    }
    tess_status status = TESS_OK;
    if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) {
        status = tsi_npy_file_failed(error, "write the directory of", path);
    }
    close(file);
    return status;
}

tess_status
tsi_npy_commit(const struct tsi_npy_target *target, struct tsi_error *error)
{
    struct layout layout = {0};
    tess_status status = find_layout(target, &layout, error);
    if (status != TESS_OK) {
        return status;
    }
    const int directory = directory_of(target);
    if (!tsi_file_name_is_free(directory, name_of(target, target->path))) {
        return tsi_error_set(error, TESS_EIO, "cannot replace %s: it is no file", target->path);
    }
    const int file = openat(directory, name_of(target, target->temporary),
                            O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return tsi_npy_file_failed(error, "open", target->temporary);
    }
    status = finish_file(file, target, &layout, error);
    if (close(file) != 0 && errno != EINTR && status == TESS_OK) {
        status = tsi_npy_file_failed(error, "write", target->temporary);
    }
    if (status == TESS_OK && renameat(directory, name_of(target, target->temporary), directory,
                                      name_of(target, target->path)) != 0) {
        status = tsi_npy_file_failed(error, "rename the finished file to", target->path);
    }
    return status == TESS_OK ? sync_directory(target, error) : status;
}
