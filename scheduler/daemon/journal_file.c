// SPDX-License-Identifier: Apache-2.0
//
// A journal is replaced as a whole when it is opened and when it has grown, and appended to
// otherwise. What could be written of a record that did not fit is cut off again, so that the file
// never has half a record in its midst. The lock is on a file of its own, since the journal's own
// name moves from file to file.

#include "scheduler/daemon/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static tess_status
fail(const struct tsi_journal_file *file, const char *what, struct tsi_error *error)
{
    const tess_status status = errno == ENOMEM ? TESS_ENOMEM : TESS_EIO;
    return tsi_error_set(error, status, "the journal %s: cannot %s: %s", file->path, what,
                         strerror(errno));
}

static tess_status
set_path(struct tsi_journal_file *file, const char *path, struct tsi_error *error)
{
    struct stat info;
    const bool is_directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    const int length = snprintf(file->path, sizeof file->path, "%s%s", path,
                                is_directory ? "/tessera.journal" : "");
    // Names that end in something are made from it.
    if (length < 0 || (size_t)length + sizeof ".damaged" > sizeof file->path) {
        return tsi_error_set(error, TESS_ELIMIT, "%.200s…: the name of the journal is too long",
                             path);
    }
    return TESS_OK;
}

static tess_status
take_lock(struct tsi_journal_file *file, struct tsi_error *error)
{
    char path[TSI_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s.lock", file->path);
    file->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->lock < 0) {
        return fail(file, "make its lock", error);
    }
    if (flock(file->lock, LOCK_EX | LOCK_NB) != 0) {
        return tsi_error_set(error, TESS_EACCESS, "the journal %s: another scheduler uses it",
                             file->path);
    }
    return TESS_OK;
}

static tess_status
map(struct tsi_journal_file *file, struct tsi_error *error)
{
    struct stat info;
    if (fstat(file->file, &info) != 0) {
        return fail(file, "look at it", error);
    }
    if (!S_ISREG(info.st_mode)) {
        return tsi_error_set(error, TESS_EIO, "the journal %s: is no file", file->path);
    }
    file->found_bytes = (size_t)info.st_size;
    if (file->found_bytes == 0) {
        return TESS_OK;
    }
    void *found = mmap(NULL, file->found_bytes, PROT_READ, MAP_PRIVATE, file->file, 0);
    if (found == MAP_FAILED) {
        file->found_bytes = 0;
        return fail(file, "read it", error);
    }
    file->found = found;
    return TESS_OK;
}

static void
unmap(struct tsi_journal_file *file)
{
    if (file->found != NULL) {
        munmap((void *)(uintptr_t)file->found, file->found_bytes);
    }
    file->found = NULL;
    file->found_bytes = 0;
}

tess_status
tsi_journal_file_open(struct tsi_journal_file *file, const char *path, struct tsi_error *error)
{
    *file = (struct tsi_journal_file){.file = -1, .lock = -1};
    tess_status status = set_path(file, path, error);
    if (status == TESS_OK) {
        status = take_lock(file, error);
    }
    if (status == TESS_OK) {
        file->file = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        status = file->file >= 0 ? map(file, error) : fail(file, "open it", error);
    }
    return status;
}

static bool
write_all(int file, const unsigned char *bytes, size_t count, uint64_t at)
{
    while (count > 0) {
        const ssize_t written = pwrite(file, bytes, count, (off_t)at);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        const size_t done = written > 0 ? (size_t)written : 0;
        bytes += done;
        count -= done;
        at += done;
    }
    return true;
}

// The name of a file is on the disk when its directory is. Where that cannot be, the old file comes
// back when the machine ends, which is no worse than before.
static void
sync_directory(const struct tsi_journal_file *file)
{
    char path[TSI_PATH_MAX];
    memcpy(path, file->path, sizeof path);
    const int directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        fsync(directory);
        close(directory);
    }
}

tess_status
tsi_journal_file_replace(struct tsi_journal_file *file, const void *bytes, size_t count,
                         bool keeps_old, struct tsi_error *error)
{
    char fresh[TSI_PATH_MAX + 8];
    char damaged[TSI_PATH_MAX + 16];
    snprintf(fresh, sizeof fresh, "%s.new", file->path);
    snprintf(damaged, sizeof damaged, "%s.damaged", file->path);
    unlink(fresh);
    const int written = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (written < 0) {
        return fail(file, "make a new file", error);
    }
    if (keeps_old) {
        unlink(damaged);
        (void)!link(file->path, damaged);
    }
    if (!write_all(written, bytes, count, 0) || fsync(written) != 0 ||
        rename(fresh, file->path) != 0) {
        const tess_status status = fail(file, "write it", error);
        close(written);
        unlink(fresh);
        return status;
    }
    sync_directory(file);
    unmap(file);
    close(file->file);
    file->file = written;
    file->bytes = count;
    file->dirty = false;
    return TESS_OK;
}

tess_status
tsi_journal_file_append(struct tsi_journal_file *file, const void *bytes, size_t count,
                        struct tsi_error *error)
{
    if (!write_all(file->file, bytes, count, file->bytes)) {
        const tess_status status = fail(file, "write to it", error);
        (void)!ftruncate(file->file, (off_t)file->bytes);
        return status;
    }
    file->bytes += count;
    file->dirty = true;
    return TESS_OK;
}

tess_status
tsi_journal_file_sync(struct tsi_journal_file *file, struct tsi_error *error)
{
    if (file->dirty && fdatasync(file->file) != 0) {
        return fail(file, "bring it to the disk", error);
    }
    file->dirty = false;
    return TESS_OK;
}

void
tsi_journal_file_close(struct tsi_journal_file *file)
{
    unmap(file);
    if (file->file >= 0) {
        fdatasync(file->file);
        close(file->file);
    }
    if (file->lock >= 0) {
        close(file->lock);
    }
    file->file = file->lock = -1;
}
