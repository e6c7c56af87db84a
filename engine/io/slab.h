// SPDX-License-Identifier: Apache-2.0
//
// A slab: one file without a name in which chunks wait that memory has no room for. It is gone when
// it is closed, or when its process ends in whatever way.
//
// Taking and giving back room belongs to one thread at a time; reading and writing of different
// extents may go on at once on others.

#ifndef TSI_IO_SLAB_H
#define TSI_IO_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct tsi_slab;

// Room for one chunk.
struct tsi_extent {
    uint64_t offset;
    uint64_t bytes;
    uint64_t checksum; // of what was written
};

// The directory for the slabs of those who name none: TMPDIR, else /var/tmp.
const char *tsi_slab_directory(void);

// Opens a slab of at most `limit_bytes` in `directory`; NULL with an error that names the
// directory.
struct tsi_slab *tsi_slab_open(const char *directory, uint64_t limit_bytes,
                               struct tsi_error *error);
void tsi_slab_close(struct tsi_slab *slab);

// Finds room. Fails with TESS_EMEMLIMIT if that would be more than the limit, and with TESS_ENOMEM.
tess_status tsi_slab_take(struct tsi_slab *slab, uint64_t bytes, struct tsi_extent *extent,
                          struct tsi_error *error);
void tsi_slab_give(struct tsi_slab *slab, const struct tsi_extent *extent);

// Whether what is written and read from now on leaves next to nothing in the page cache. At first
// it does leave it there. On any thread.
void tsi_slab_pass_cache(struct tsi_slab *slab, bool is_uncached);

// Writes the extent's bytes and notes their checksum. Fails with TESS_EIO; the message names the
// directory and how many bytes the slab has.
tess_status tsi_slab_write(struct tsi_slab *slab, struct tsi_extent *extent, const void *data,
                           struct tsi_error *error);

// Reads them. Fails with TESS_EIO, also if they are not what was written.
tess_status tsi_slab_read(struct tsi_slab *slab, const struct tsi_extent *extent, void *data,
                          struct tsi_error *error);

// Bytes that are taken, whole blocks, and bytes of the file.
uint64_t tsi_slab_taken_bytes(const struct tsi_slab *slab);
uint64_t tsi_slab_file_bytes(const struct tsi_slab *slab);

#endif
