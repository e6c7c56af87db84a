// SPDX-License-Identifier: Apache-2.0
//
// Reading NPY files: the header with a few small reads, the elements through a mapping. The mapping
// is preferred since several tasks on one machine then share the pages of the system's cache, and
// views of an array read only what they need.

#include "engine/io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/io/npy_file.h"

enum { NO_FILE = -1 };

// Not blocking, so that a pipe of that name is refused and not waited for.
static tess_status
open_file(const char *path, int *file, struct tsi_error *error)
{
    struct stat info;
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0) {
        return tsi_npy_file_failed(error, "open", path);
    }
    tess_status status = TESS_OK;
    if (fstat(*file, &info) != 0) {
        status = tsi_npy_file_failed(error, "read", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = tsi_error_set(error, TESS_EIO, "cannot read %s: not a regular file", path);
    }
    if (status != TESS_OK) {
        close(*file);
        *file = NO_FILE;
    }
    return status;
}

static tess_status
file_bytes(int file, const char *path, int64_t *bytes, struct tsi_error *error)
{
    struct stat info;
    if (fstat(file, &info) != 0) {
        return tsi_npy_file_failed(error, "read", path);
    }
    *bytes = (int64_t)info.st_size;
    return TESS_OK;
}

// Parses the header of a file of `total` bytes; the text of a failure does not name the file yet.
static tess_status
parse_file(int file, const char *path, int64_t total, struct tsi_npy_header *header,
           struct tsi_error *error)
{
    unsigned char prefix[TSI_NPY_PREFIX_BYTES];
    const size_t prefix_bytes = total < TSI_NPY_PREFIX_BYTES ? (size_t)total : TSI_NPY_PREFIX_BYTES;
    tess_status status = tsi_npy_file_read(file, path, 0, prefix, prefix_bytes, error);
    if (status != TESS_OK) {
        return status;
    }
    const size_t header_bytes = tsi_npy_header_bytes(prefix, prefix_bytes);
    if (header_bytes == 0 || (int64_t)header_bytes > total) {
        status = tsi_npy_parse(prefix, prefix_bytes, header, error);
        tsi_error_prefix(error, "%s", path);
        return status;
    }
    unsigned char *bytes = tsi_alloc(header_bytes);
    if (bytes == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: no memory for the header", path);
    }
    status = tsi_npy_file_read(file, path, 0, bytes, header_bytes, error);
    if (status == TESS_OK) {
        status = tsi_npy_parse(bytes, header_bytes, header, error);
        if (status != TESS_OK) {
            tsi_error_prefix(error, "%s", path);
        }
    }
    tsi_free(bytes);
    return status;
}

static tess_status
read_header(int file, const char *path, struct tsi_npy_header *header, struct tsi_error *error)
{
    int64_t total = 0;
    tess_status status = file_bytes(file, path, &total, error);
    if (status == TESS_OK) {
        status = parse_file(file, path, total, header, error);
    }
    if (status == TESS_OK && total - header->data_offset < header->data_bytes) {
        status = tsi_error_set(error, TESS_EFORMAT,
                               "%s: %" PRId64 " bytes of elements, and the header says %" PRId64,
                               path, total - header->data_offset, header->data_bytes);
    }
    return status;
}

tess_status
tsi_npy_read_header(const char *path, struct tsi_npy_header *header, struct tsi_error *error)
{
    int file = NO_FILE;
    tess_status status = open_file(path, &file, error);
    if (status != TESS_OK) {
        return status;
    }
    status = read_header(file, path, header, error);
    close(file);
    return status;
}

static bool
same_header(const struct tsi_npy_header *a, const struct tsi_npy_header *b)
{
    return a->dtype == b->dtype && a->swapped == b->swapped &&
           a->fortran_order == b->fortran_order && a->data_offset == b->data_offset &&
           a->shape.ndim == b->shape.ndim &&
           memcmp(a->shape.size, b->shape.size, (size_t)a->shape.ndim * sizeof a->shape.size[0]) ==
               0;
}

// A mapping starts on a page, and the first byte of the file does; so all of it before the elements
// is mapped too. Where addresses do not suffice for that the file can still be read.
static tess_status
map_pages(struct tsi_npy_map *map, struct tsi_error *error)
{
    if (map->header.data_bytes == 0) {
        return TESS_OK;
    }
    const size_t bytes = (size_t)(map->header.data_offset + map->header.data_bytes);
    void *pages = mmap(NULL, bytes, PROT_READ, MAP_SHARED, map->file, 0);
    if (pages == MAP_FAILED && errno == ENOMEM) {
        return TESS_OK;
    }
    if (pages == MAP_FAILED) {
        return tsi_npy_file_failed(error, "map", map->path);
    }
    map->pages = pages;
    map->page_bytes = bytes;
    map->data = (const unsigned char *)pages + map->header.data_offset;
    return TESS_OK;
}

tess_status
tsi_npy_map_open(const char *path, const struct tsi_npy_header *expected, struct tsi_npy_map *map,
                 struct tsi_error *error)
{
    *map = (struct tsi_npy_map){.file = NO_FILE};
    map->path = tsi_strdup(path);
    if (map->path == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "%s: no memory for its name", path);
    }
    tess_status status = open_file(path, &map->file, error);
    if (status == TESS_OK) {
        status = read_header(map->file, path, &map->header, error);
    }
    if (status == TESS_OK && !same_header(&map->header, expected)) {
        status = tsi_error_set(error, TESS_EFORMAT,
                               "%s: it is not the file it was when the array was loaded", path);
    }
    if (status == TESS_OK) {
        status = map_pages(map, error);
    }
    if (status != TESS_OK) {
        tsi_npy_map_close(map);
    }
    return status;
}

void
tsi_npy_map_close(struct tsi_npy_map *map)
{
    if (map->pages != NULL) {
        munmap(map->pages, map->page_bytes);
    }
    if (map->file != NO_FILE) {
        close(map->file);
    }
    tsi_free(map->path);
    *map = (struct tsi_npy_map){.file = NO_FILE};
}

tess_status
tsi_npy_map_check(const struct tsi_npy_map *map, struct tsi_error *error)
{
    int64_t total = 0;
    const tess_status status = file_bytes(map->file, map->path, &total, error);
    if (status != TESS_OK) {
        return status;
    }
    if (total - map->header.data_offset < map->header.data_bytes) {
        return tsi_error_set(error, TESS_EIO, "cannot read %s: it became shorter", map->path);
    }
    return TESS_OK;
}

tess_status
tsi_npy_map_read(const struct tsi_npy_map *map, int64_t offset, size_t bytes, void *out,
                 struct tsi_error *error)
{
    int64_t end = 0;
    if (offset < 0 || bytes > INT64_MAX || !tsi_add_i64(offset, (int64_t)bytes, &end) ||
        end > map->header.data_bytes) {
        return tsi_error_set(error, TESS_EINDEX, "%s: bytes %" PRId64 " to %" PRId64 " of %" PRId64,
                             map->path, offset, end, map->header.data_bytes);
    }
    return tsi_npy_file_read(map->file, map->path, map->header.data_offset + offset, out, bytes,
                             error);
}
