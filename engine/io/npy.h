// SPDX-License-Identifier: Apache-2.0
//
// NPY files, NumPy's format of one array in one file: a header that is a Python literal, then the
// elements. Versions 1 to 3 are read, version 1 is written.
//
// Functions with an error fill it with a message that names the file, unless it is NULL.

#ifndef TSI_IO_NPY_H
#define TSI_IO_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "tessera/dtype.h"
#include "tessera/geometry.h"

struct tsi_npy_header {
    tess_dtype dtype;
    bool swapped; // elements are big-endian
    bool fortran_order;
    tess_shape shape;
    int64_t data_offset;
    int64_t data_bytes;
};

// Reads the header at the start of `bytes`, which may hold any other part of the file too. Fails
// with TESS_EFORMAT if it is no NPY header or is cut off, TESS_EDTYPE if its elements have no dtype
// here, TESS_ESHAPE for more than 16 axes, TESS_EOVERFLOW where the number of bytes does not fit
// int64. `bytes` may be anything.
tess_status tsi_npy_parse(const unsigned char *bytes, size_t count, struct tsi_npy_header *header,
                          struct tsi_error *error);

// How many bytes the header takes, from at least the first 12 bytes of the file (or all, where it
// has fewer); 0 if they begin none.
#define TSI_NPY_PREFIX_BYTES 12
size_t tsi_npy_header_bytes(const unsigned char *bytes, size_t count);

// The header of an array in C order as NumPy writes it, padded so that the elements start at a
// multiple of 64. Returns its bytes, at most TSI_NPY_FORMAT_BYTES_MAX, and writes it to `out` if
// `capacity` has room for it. Returns 0 for what is no dtype or no shape.
#define TSI_NPY_FORMAT_BYTES_MAX 512
size_t tsi_npy_format_header(tess_dtype dtype, const tess_shape *shape, unsigned char *out,
                             size_t capacity);

// Reads the header of the file at `path` and checks that its elements are all there. Fails as
// tsi_npy_parse() does, with TESS_EIO if the file cannot be read, with TESS_ENOMEM.
tess_status tsi_npy_read_header(const char *path, struct tsi_npy_header *header,
                                struct tsi_error *error);

// A file that is mapped to be read. `data` is the first element, NULL if the file has none, or if
// this process has too few addresses left: then it can only be read by tsi_npy_map_read().
// Elements are as unaligned as data_offset is.
//
// A mapped file that somebody cuts while it is read ends the process with SIGBUS at the first page
// that is gone. tsi_npy_map_check() right before each chunk is read makes this a race of one
// chunk's time; only tsi_npy_map_read(), which copies, has none.
struct tsi_npy_map {
    struct tsi_npy_header header;
    const unsigned char *data;
    char *path;
    int file;
    void *pages;
    size_t page_bytes;
};

// Maps the file at `path`. Fails as tsi_npy_read_header() does, and with TESS_EFORMAT if its header
// is not `expected` any more. After a failure there is nothing to close.
tess_status tsi_npy_map_open(const char *path, const struct tsi_npy_header *expected,
                             struct tsi_npy_map *map, struct tsi_error *error);
void tsi_npy_map_close(struct tsi_npy_map *map);

// Whether the file still has all its elements; TESS_EIO if not.
tess_status tsi_npy_map_check(const struct tsi_npy_map *map, struct tsi_error *error);

// Copies `bytes` bytes of the elements from byte `offset` on to `out`.
tess_status tsi_npy_map_read(const struct tsi_npy_map *map, int64_t offset, size_t bytes, void *out,
                             struct tsi_error *error);

// A file that several writers fill chunk by chunk, in any order, and each chunk any number of times
// with the same data. It is written as `temporary` and named `path` when every one of its
// `chunk_count` chunks is there. Both are in one directory.
struct tsi_npy_target {
    const char *path;
    const char *temporary;
    tess_dtype dtype;
    tess_shape shape;
    int64_t chunk_count;
    const int *directory; // of both names, open; NULL: where their paths lead
};

// The path as seen from an open directory, which is its last part; or, from AT_FDCWD, all of it.
const char *tsi_npy_name_in(int directory, const char *path);

// Writes chunk `chunk`: the elements in `data`, contiguous in C order, at the box that begins at
// `start` and has `size` elements on each axis. An empty chunk has to be written too. Creates the
// file where it is the first. Fails with TESS_EIO, also for a full disk.
tess_status tsi_npy_write_chunk(const struct tsi_npy_target *target, int64_t chunk,
                                const int64_t *start, const int64_t *size, const void *data,
                                struct tsi_error *error);

// Writes the header, makes all of the file durable and gives it its name, replacing a file that had
// it. Fails with TESS_EIO, also if a chunk was not written or the name is that of a device or
// directory; then `path` is as it was.
tess_status tsi_npy_commit(const struct tsi_npy_target *target, struct tsi_error *error);

#endif
