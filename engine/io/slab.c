// SPDX-License-Identifier: Apache-2.0
//
// Room is given in blocks of 4 KiB, from a list of what is free between 0 and the limit. The last
// free part is what lies behind the end of the file, so what is given back before it makes the file
// shorter. The first part that is large enough is taken, which keeps the file short.
//
// Past the page cache, what does not start or end with a block in memory goes through a block of
// its own; extents are whole blocks in the file. Where a file system knows no direct transfers, the
// pages are written and let go, a piece after the other.

#include "engine/io/slab.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/checksum.h"
#include "engine/base/extents.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/io/uncached.h"

#define BLOCK_BYTES TSI_UNCACHED_STEP

// What may be in the page cache at once, and what goes through memory of its own at once.
#define PIECE_BYTES ((uint64_t)1 << 20)
#define BOUNCE_BYTES ((uint64_t)64 << 10)

struct tsi_slab {
    int fd;
    int direct_fd; // −1: none
    atomic_bool is_uncached;
    char directory[PATH_MAX];
    uint64_t limit_bytes;
    uint64_t room_bytes; // whole blocks within the limit
    uint64_t taken;
    struct tsi_extents free;
};

const char *
tsi_slab_directory(void)
{
    const char *named = getenv("TMPDIR");
    return named != NULL && named[0] == '/' ? named : "/var/tmp";
}

// A file without a name. Where the file system cannot make one, its name is taken away at once.
static int
open_nameless(const char *directory)
{
    char path[PATH_MAX + 32];
    const int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
    snprintf(path, sizeof path, "%s/tessera-spill-XXXXXX", directory);
    const int named = mkostemp(path, O_CLOEXEC);
    if (named >= 0) {
        unlink(path);
    }
    return named;
}

struct tsi_slab *
tsi_slab_open(const char *directory, uint64_t limit_bytes, struct tsi_error *error)
{
    struct tsi_slab *slab = tsi_calloc(1, sizeof *slab);
    if (slab == NULL) {
        tsi_error_set(error, TESS_ENOMEM, "spill: out of memory");
        return NULL;
    }
    slab->limit_bytes = limit_bytes;
    slab->room_bytes =
        (limit_bytes < INT64_MAX ? limit_bytes : INT64_MAX) / BLOCK_BYTES * BLOCK_BYTES;
    if (!tsi_extents_init(&slab->free, 0, slab->room_bytes)) {
        tsi_error_set(error, TESS_ENOMEM, "spill: out of memory");
        tsi_free(slab);
        return NULL;
    }
    snprintf(slab->directory, sizeof slab->directory, "%s", directory);
    slab->fd = open_nameless(slab->directory);
    if (slab->fd < 0) {
        tsi_error_set(error, TESS_EIO, "spill: no file can be made in %s: %s", directory,
                      strerror(errno));
        tsi_extents_fini(&slab->free);
        tsi_free(slab);
        return NULL;
    }
    atomic_init(&slab->is_uncached, false);
    slab->direct_fd = tsi_uncached_open(slab->fd);
    return slab;
}

void
tsi_slab_close(struct tsi_slab *slab)
{
    if (slab != NULL) {
        if (slab->direct_fd >= 0) {
            close(slab->direct_fd);
        }
        close(slab->fd);
        tsi_extents_fini(&slab->free);
        tsi_free(slab);
    }
}

static uint64_t
blocks_of(uint64_t bytes)
{
    const uint64_t least = bytes > 0 ? bytes : 1;
    return (least + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

tess_status
tsi_slab_take(struct tsi_slab *slab, uint64_t bytes, struct tsi_extent *extent,
              struct tsi_error *error)
{
    char limit[TSI_BYTES_TEXT_MAX];
    if (!tsi_extents_reserve(&slab->free)) {
        return tsi_error_set(error, TESS_ENOMEM, "spill: out of memory");
    }
    uint64_t offset = 0;
    if (bytes > slab->room_bytes || !tsi_extents_take(&slab->free, blocks_of(bytes), &offset)) {
        return tsi_error_set(error, TESS_EMEMLIMIT, "spill: no more than %s may be in %s",
                             tsi_text_bytes(limit, slab->limit_bytes), slab->directory);
    }
    *extent = (struct tsi_extent){.offset = offset, .bytes = bytes};
    slab->taken += blocks_of(bytes);
    return TESS_OK;
}

void
tsi_slab_give(struct tsi_slab *slab, const struct tsi_extent *extent)
{
    const uint64_t bytes = blocks_of(extent->bytes);
    const uint64_t end = tsi_slab_file_bytes(slab);
    tsi_extents_give(&slab->free, extent->offset, bytes);
    slab->taken -= bytes;
    if (tsi_slab_file_bytes(slab) < end) {
        // If it fails the file is longer than it need be.
        (void)!ftruncate(slab->fd, (off_t)tsi_slab_file_bytes(slab));
    }
}

static tess_status
fail(const struct tsi_slab *slab, const char *what, const struct tsi_extent *extent,
     const char *why, struct tsi_error *error)
{
    return tsi_error_set(error, TESS_EIO, "spill: cannot %s %" PRIu64 " bytes in %s: %s", what,
                         extent->bytes, slab->directory, why);
}

// What is written or read: one of them, the other is NULL.
struct side {
    const unsigned char *from;
    unsigned char *to;
};

static struct side
advance(struct side side, uint64_t bytes)
{
    return side.from != NULL ? (struct side){.from = side.from + bytes}
                             : (struct side){.to = side.to + bytes};
}

enum { FILE_ENDS = -1 };

// 0, the number of an error, or FILE_ENDS.
static int
move(int fd, struct side side, uint64_t bytes, uint64_t offset)
{
    uint64_t done = 0;
    while (done < bytes) {
        const struct side at = advance(side, done);
        const size_t left = (size_t)(bytes - done);
        const ssize_t count = at.from != NULL ? pwrite(fd, at.from, left, (off_t)(offset + done))
                                              : pread(fd, at.to, left, (off_t)(offset + done));
        if (count < 0 && errno != EINTR) {
            return errno;
        }
        if (count == 0 && at.to != NULL) {
            return FILE_ENDS;
        }
        done += count > 0 ? (uint64_t)count : 0;
    }
    return 0;
}

// What is not in whole blocks, through memory that is.
static int
move_by_blocks(int fd, struct side side, uint64_t bytes, uint64_t offset)
{
    const uint64_t most = blocks_of(bytes < BOUNCE_BYTES ? bytes : BOUNCE_BYTES);
    unsigned char *blocks = tsi_alloc_aligned((size_t)BLOCK_BYTES, (size_t)most);
    int failed = blocks == NULL ? ENOMEM : 0;
    for (uint64_t done = 0; failed == 0 && done < bytes; done += most) {
        const uint64_t count = bytes - done < most ? bytes - done : most;
        const struct side at = advance(side, done);
        if (at.from != NULL) {
            memset(blocks, 0, (size_t)most);
            memcpy(blocks, at.from, (size_t)count);
            failed = move(fd, (struct side){.from = blocks}, blocks_of(count), offset + done);
        } else if (at.to != NULL) {
            failed = move(fd, (struct side){.to = blocks}, blocks_of(count), offset + done);
            memcpy(at.to, blocks, failed == 0 ? (size_t)count : 0);
        }
    }
    tsi_free(blocks);
    return failed;
}

static int
move_direct(int fd, struct side side, uint64_t bytes, uint64_t offset)
{
    const uintptr_t address = (uintptr_t)(side.from != NULL ? side.from : side.to);
    const uint64_t whole = address % BLOCK_BYTES == 0 ? bytes / BLOCK_BYTES * BLOCK_BYTES : 0;
    const int failed = move(fd, side, whole, offset);
    return failed != 0 || whole == bytes
               ? failed
               : move_by_blocks(fd, advance(side, whole), bytes - whole, offset + whole);
}

static int
move_in_pieces(int fd, struct side side, uint64_t bytes, uint64_t offset)
{
    int failed = 0;
    for (uint64_t done = 0; failed == 0 && done < bytes; done += PIECE_BYTES) {
        const uint64_t count = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        failed = move(fd, advance(side, done), count, offset + done);
        tsi_uncached_let_go(fd, offset + done, count);
    }
    return failed;
}

static int
move_extent(const struct tsi_slab *slab, struct side side, const struct tsi_extent *extent)
{
    if (!atomic_load_explicit(&slab->is_uncached, memory_order_relaxed)) {
        return move(slab->fd, side, extent->bytes, extent->offset);
    }
    const int failed = slab->direct_fd >= 0
                           ? move_direct(slab->direct_fd, side, extent->bytes, extent->offset)
                           : EINVAL;
    // Some file systems let a file be opened so, and then want other steps or none at all.
    return failed == EINVAL ? move_in_pieces(slab->fd, side, extent->bytes, extent->offset)
                            : failed;
}

void
tsi_slab_pass_cache(struct tsi_slab *slab, bool is_uncached)
{
    atomic_store_explicit(&slab->is_uncached, is_uncached, memory_order_relaxed);
}

tess_status
tsi_slab_write(struct tsi_slab *slab, struct tsi_extent *extent, const void *data,
               struct tsi_error *error)
{
    const int failed = move_extent(slab, (struct side){.from = data}, extent);
    if (failed != 0) {
        return fail(slab, "write", extent, strerror(failed), error);
    }
    extent->checksum = tsi_checksum(data, (size_t)extent->bytes);
    return TESS_OK;
}

tess_status
tsi_slab_read(struct tsi_slab *slab, const struct tsi_extent *extent, void *data,
              struct tsi_error *error)
{
    const int failed = move_extent(slab, (struct side){.to = data}, extent);
    if (failed != 0) {
        return fail(slab, "read", extent,
                    failed == FILE_ENDS ? "the file ends before that" : strerror(failed), error);
    }
    if (tsi_checksum(data, (size_t)extent->bytes) != extent->checksum) {
        return fail(slab, "read", extent, "they are not those that were written", error);
    }
    return TESS_OK;
}

uint64_t
tsi_slab_taken_bytes(const struct tsi_slab *slab)
{
    return slab->taken;
}

uint64_t
tsi_slab_file_bytes(const struct tsi_slab *slab)
{
    if (slab->free.parts.count == 0) {
        return slab->room_bytes;
    }
    const struct tsi_extents_part last = tsi_vec_last(&slab->free.parts);
    return last.offset + last.bytes == slab->room_bytes ? last.offset : slab->room_bytes;
}
