// SPDX-License-Identifier: Apache-2.0
//
// A file is known by its path and by the header that the program promises, and by the inode that
// was opened: a file of the same name that replaced it is another one. What is mapped stays mapped
// while tasks read it; beyond FILES_KEPT the least recently used of the others are closed. Files
// are opened outside the lock, so that a slow disk holds up only those who read from it; if two
// threads open the same file at once, the second takes the first one's mapping.

#include "engine/exec/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/base/vec.h"
#include "engine/io/npy.h"

// Each takes a file descriptor.
#define FILES_KEPT 64
// Smaller files may stay in memory, as long as all that are kept take no more than this part of
// what the process expects to take.
#define RELEASE_BYTES_MIN ((int64_t)64 << 20)
#define KEPT_PART 16
// A process that expects to take less reads files rather than map them.
#define MAPPING_BYTES_MIN ((uint64_t)1 << 30)

struct tsi_mapped_file {
    struct tsi_npy_map map;
    char *name; // the path in the program
    dev_t device;
    ino_t inode;
    int refs;
    uint64_t used; // tsi_files.clock of the last use
};

struct tsi_files {
    pthread_mutex_t mutex;
    TSI_VEC(struct tsi_mapped_file *) open;
    uint64_t clock;
    char **allowed; // NULL: any; else directories without links in their names
    int allowed_count;
};

// What is compared with resolved paths has to be resolved itself. A directory that is not there
// admits nothing until it is one of exactly that name.
static bool
resolve_allowed(struct tsi_files *files, const char *const *allowed, int count)
{
    files->allowed = tsi_calloc((size_t)count + 1, sizeof *files->allowed);
    for (int i = 0; i < count && files->allowed != NULL; i++) {
        char resolved[PATH_MAX];
        files->allowed[i] =
            tsi_strdup(realpath(allowed[i], resolved) != NULL ? resolved : allowed[i]);
        if (files->allowed[i] == NULL) {
            return false;
        }
        files->allowed_count++;
    }
    return files->allowed != NULL;
}

struct tsi_files *
tsi_files_new(const char *const *allowed, int allowed_count)
{
    struct tsi_files *const files = tsi_calloc(1, sizeof *files);
    if (files == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&files->mutex, NULL) != 0) {
        tsi_free(files);
        return NULL;
    }
    if (allowed != NULL && !resolve_allowed(files, allowed, allowed_count)) {
        tsi_files_free(files);
        return NULL;
    }
    return files;
}

static void
close_file(struct tsi_mapped_file *file)
{
    tsi_npy_map_close(&file->map);
    tsi_free(file->name);
    tsi_free(file);
}

void
tsi_files_free(struct tsi_files *files)
{
    if (files == NULL) {
        return;
    }
    for (size_t i = 0; i < files->open.count; i++) {
        close_file(files->open.items[i]);
    }
    tsi_vec_fini(&files->open);
    for (int i = 0; i < files->allowed_count; i++) {
        tsi_free(files->allowed[i]);
    }
    tsi_free(files->allowed);
    (void)pthread_mutex_destroy(&files->mutex);
    tsi_free(files);
}

static struct tsi_npy_header
header_of(const struct tsi_chunk_op *op)
{
    return (struct tsi_npy_header){
        .dtype = (tess_dtype)op->dtype,
        .swapped = op->file.swapped,
        .fortran_order = op->file.fortran_order,
        .shape = tsi_grid_shape(&op->array),
        .data_offset = op->file.data_offset,
        .data_bytes =
            tsi_grid_element_count(&op->array) * (int64_t)tess_dtype_bytes((tess_dtype)op->dtype),
    };
}

static bool
is_header_equal(const struct tsi_npy_header *a, const struct tsi_npy_header *b)
{
    return a->dtype == b->dtype && a->swapped == b->swapped &&
           a->fortran_order == b->fortran_order && a->data_offset == b->data_offset &&
           a->data_bytes == b->data_bytes && a->shape.ndim == b->shape.ndim &&
           memcmp(a->shape.size, b->shape.size, (size_t)a->shape.ndim * sizeof a->shape.size[0]) ==
               0;
}

// What is open as `name` with this header and inode, with one more reference; NULL if nothing is.
// The mutex is held.
static struct tsi_mapped_file *
find_file(struct tsi_files *files, const char *name, const struct tsi_npy_header *header,
          const struct stat *now)
{
    for (size_t i = 0; i < files->open.count; i++) {
        struct tsi_mapped_file *const file = files->open.items[i];
        if (file->inode == now->st_ino && file->device == now->st_dev &&
            strcmp(file->name, name) == 0 && is_header_equal(&file->map.header, header)) {
            file->refs++;
            file->used = ++files->clock;
            return file;
        }
    }
    return NULL;
}

static bool
is_inside(const char *path, const char *directory)
{
    size_t count = strlen(directory);
    while (count > 0 && directory[count - 1] == '/') {
        count--;
    }
    return directory[0] == '/' && strncmp(path, directory, count) == 0 && path[count] == '/';
}

static tess_status
check_allowed(const struct tsi_files *files, const char *name, const char *resolved,
              struct tsi_error *error)
{
    if (files->allowed == NULL) {
        return TESS_OK;
    }
    for (int i = 0; i < files->allowed_count; i++) {
        if (is_inside(resolved, files->allowed[i])) {
            return TESS_OK;
        }
    }
    return tsi_error_set(error, TESS_EACCESS,
                         "%s is outside the directories that files may be in here", name);
}

// A file without a mapping yet; NULL when memory is out.
static struct tsi_mapped_file *
new_file(const char *name)
{
    struct tsi_mapped_file *const file = tsi_calloc(1, sizeof *file);
    char *const copy = tsi_strdup(name);
    if (file == NULL || copy == NULL) {
        tsi_free(file);
        tsi_free(copy);
        return NULL;
    }
    file->name = copy;
    file->refs = 1;
    return file;
}

// Where what was opened as `name` is by now. Between the look at its path and its opening a
// directory of the path may have become a link to another one.
static tess_status
check_opened(const struct tsi_files *files, int file, const char *name, const char *behind,
             struct tsi_error *error)
{
    char link[64];
    char path[PATH_MAX];
    if (files->allowed == NULL) {
        return TESS_OK;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 2);
    if (length < 0) {
        return tsi_error_set(error, TESS_EIO, "cannot open %s: %s", name, strerror(errno));
    }
    snprintf(path + length, 2, "%s", behind);
    return check_allowed(files, name, path, error);
}

static tess_status
map_file(const struct tsi_files *files, struct tsi_mapped_file *file, const char *resolved,
         const struct tsi_npy_header *header, struct tsi_error *error)
{
    tess_status status = tsi_npy_map_open(resolved, header, &file->map, error);
    if (status != TESS_OK) {
        return status;
    }
    struct stat now;
    if (fstat(file->map.file, &now) != 0) {
        tsi_npy_map_close(&file->map);
        return tsi_error_set(error, TESS_EIO, "cannot read %s: %s", file->name, strerror(errno));
    }
    status = check_opened(files, file->map.file, file->name, "", error);
    if (status != TESS_OK) {
        tsi_npy_map_close(&file->map);
        return status;
    }
    file->device = now.st_dev;
    file->inode = now.st_ino;
    return TESS_OK;
}

// Opens the file by its resolved path, the one that was checked. NULL with the reason in `*status`.
static struct tsi_mapped_file *
open_file(const struct tsi_files *files, const char *name, const struct tsi_npy_header *header,
          tess_status *status, struct tsi_error *error)
{
    char resolved[PATH_MAX];
    if (realpath(name, resolved) == NULL) {
        *status = tsi_error_set(error, TESS_EIO, "cannot open %s: %s", name, strerror(errno));
        return NULL;
    }
    *status = check_allowed(files, name, resolved, error);
    if (*status != TESS_OK) {
        return NULL;
    }
    struct tsi_mapped_file *const file = new_file(name);
    if (file == NULL) {
        *status = tsi_error_set(error, TESS_ENOMEM, "no memory to open %s", name);
        return NULL;
    }
    *status = map_file(files, file, resolved, header, error);
    if (*status != TESS_OK) {
        tsi_free(file->name);
        tsi_free(file);
        return NULL;
    }
    return file;
}

// Takes the least recently used file that nobody reads out of the list, if there are too many. The
// mutex is held.
static struct tsi_mapped_file *
evict_file(struct tsi_files *files)
{
    if (files->open.count <= FILES_KEPT) {
        return NULL;
    }
    size_t oldest = files->open.count;
    for (size_t i = 0; i < files->open.count; i++) {
        const struct tsi_mapped_file *const file = files->open.items[i];
        if (file->refs == 0 &&
            (oldest == files->open.count || file->used < files->open.items[oldest]->used)) {
            oldest = i;
        }
    }
    if (oldest == files->open.count) {
        return NULL;
    }
    struct tsi_mapped_file *const file = files->open.items[oldest];
    files->open.items[oldest] = tsi_vec_last(&files->open);
    files->open.count--;
    return file;
}

// Opens the file and puts it into the list, unless another thread did so meanwhile. NULL with the
// reason in `*status`.
static struct tsi_mapped_file *
add_file(struct tsi_files *files, const char *name, const struct tsi_npy_header *header,
         tess_status *status, struct tsi_error *error)
{
    struct tsi_mapped_file *const file = open_file(files, name, header, status, error);
    if (file == NULL) {
        return NULL;
    }
    const struct stat now = {.st_dev = file->device, .st_ino = file->inode};
    struct tsi_mapped_file *unused = file;
    (void)pthread_mutex_lock(&files->mutex);
    struct tsi_mapped_file *added = find_file(files, name, header, &now);
    if (added == NULL && tsi_vec_push(&files->open, file)) {
        file->used = ++files->clock;
        added = file;
        unused = evict_file(files);
    }
    (void)pthread_mutex_unlock(&files->mutex);
    if (unused != NULL) {
        close_file(unused);
    }
    if (added == NULL) {
        *status = tsi_error_set(error, TESS_ENOMEM, "no memory to open %s", name);
    }
    return added;
}

tess_status
tsi_files_acquire(struct tsi_files *files, const struct tsi_chunk_op *op,
                  struct tsi_mapped_file **file, struct tsi_error *error)
{
    const struct tsi_npy_header header = header_of(op);
    const char *const name = op->file.path;
    tess_status status = TESS_OK;
    struct stat now;
    if (stat(name, &now) != 0) {
        return tsi_error_set(error, TESS_EIO, "cannot open %s: %s", name, strerror(errno));
    }
    (void)pthread_mutex_lock(&files->mutex);
    struct tsi_mapped_file *found = find_file(files, name, &header, &now);
    (void)pthread_mutex_unlock(&files->mutex);
    if (found == NULL) {
        found = add_file(files, name, &header, &status, error);
    }
    if (found == NULL) {
        return status;
    }
    status = tsi_npy_map_check(&found->map, error);
    if (status != TESS_OK) {
        tsi_files_release(files, found, 0, 0);
        return status;
    }
    *file = found;
    return TESS_OK;
}

// Whether its pages are to leave this process's memory when they have been read.
static bool
is_released(const struct tsi_mapped_file *file)
{
    const uint64_t expected = tsi_pages_expected();
    return file->map.header.data_bytes >= RELEASE_BYTES_MIN ||
           (expected > 0 &&
            (uint64_t)file->map.header.data_bytes > expected / (FILES_KEPT * KEPT_PART));
}

bool
tsi_files_may_map(const struct tsi_mapped_file *file)
{
    const uint64_t expected = tsi_pages_expected();
    return file->map.data != NULL &&
           (expected == 0 || expected >= MAPPING_BYTES_MIN || !is_released(file));
}

tess_status
tsi_files_read(const struct tsi_mapped_file *file, int64_t offset, size_t bytes, void *out,
               struct tsi_error *error)
{
    return tsi_npy_map_read(&file->map, offset, bytes, out, error);
}

const unsigned char *
tsi_files_data(const struct tsi_mapped_file *file)
{
    return file->map.data;
}

// With the pages at both ends, which would stay else when their other parts have been read as well:
// whoever reads these now finds them again. Advice that is not taken does no harm.
static void
release_pages(const struct tsi_mapped_file *file, int64_t low, int64_t high)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)(file->map.data + low) / page * page;
    const size_t skipped = first - (uintptr_t)file->map.pages;
    const size_t bytes = (uintptr_t)(file->map.data + high) - first;
    (void)madvise((unsigned char *)file->map.pages + skipped, bytes, MADV_DONTNEED);
}

void
tsi_files_release(struct tsi_files *files, struct tsi_mapped_file *file, int64_t low, int64_t high)
{
    if (low < high && is_released(file)) {
        release_pages(file, low, high);
    }
    (void)pthread_mutex_lock(&files->mutex);
    file->refs--;
    struct tsi_mapped_file *const unused = evict_file(files);
    (void)pthread_mutex_unlock(&files->mutex);
    if (unused != NULL) {
        close_file(unused);
    }
}

// A target need not be there yet, so it is its directory that is looked at, and the name in it must
// be a plain one. The directory is looked at when it is open, and the file is opened in it: no link
// that is swapped meanwhile leads elsewhere.
tess_status
tsi_files_open_target(const struct tsi_files *files, const char *path, int *directory,
                      struct tsi_error *error)
{
    *directory = AT_FDCWD;
    if (files == NULL || files->allowed == NULL) {
        return TESS_OK;
    }
    const char *const slash = strrchr(path, '/');
    const char *const name = slash == NULL ? path : slash + 1;
    const size_t count = slash == NULL ? 1 : (size_t)(slash - path) + 1;
    char place[PATH_MAX];
    if (count >= sizeof place || strcmp(name, "") == 0 || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        return tsi_error_set(error, TESS_EIO, "cannot write %s: it names no file", path);
    }
    memcpy(place, slash == NULL ? "." : path, count);
    place[count] = '\0';
    const int file = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return tsi_error_set(error, TESS_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    const tess_status status = check_opened(files, file, path, "/", error);
    if (status != TESS_OK) {
        close(file);
        return status;
    }
    *directory = file;
    return TESS_OK;
}

void
tsi_files_close_target(int directory)
{
    if (directory != AT_FDCWD) {
        close(directory);
    }
}

void
tsi_files_remove_temporaries(const struct tsi_files *files, const struct tsi_program *program)
{
    for (int i = 0; program != NULL && i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        const char *temporary = op->target_file.temporary;
        int directory = AT_FDCWD;
        if (op->work != TSI_WORK_TILE || op->tile.sink != TSI_SINK_WRITE || temporary == NULL ||
            tsi_files_open_target(files, temporary, &directory, NULL) != TESS_OK) {
            continue;
        }
        unlinkat(directory, tsi_npy_name_in(directory, temporary), 0);
        tsi_files_close_target(directory);
    }
}
