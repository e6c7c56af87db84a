// SPDX-License-Identifier: Apache-2.0
//
// A fresh page costs a page fault and its zeroing, which for large chunks is more than the work on
// them. Freed blocks are therefore kept for the next one of the same size; the oldest go first when
// there are too many bytes of them.
//
// The file is mapped once, as large as it may ever become, and grows as blocks are taken. What is
// free of it is a list of extents in order of their place, of which those that touch are one. An
// extent in the list has no memory: it is given back to the system by a hole in the file. That is
// why the file is not sealed against writing, which would forbid holes as well; others get a
// descriptor that only reads. Fresh parts are filled by one call, which is several times faster
// than a fault for each page, and tells that memory is out instead of ending the process.

#include "engine/base/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/base/vec.h"

// Since Linux 5.14; the headers may be older.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { KEPT_MAX = 512 };

static const size_t shared_kept_bytes_max = (size_t)1 << 30;
static const uint64_t file_step = (uint64_t)64 << 20;

struct block {
    void *pages;
    size_t bytes;
};

struct extent {
    uint64_t offset;
    uint64_t bytes;
};

// All of it is under the mutex; `base` and `bytes_max` do not change once `base` is set.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct block kept[KEPT_MAX]; // oldest first
static size_t kept_count;
static size_t kept_bytes;
static size_t kept_bytes_max = (size_t)64 << 20;

static int file = -1;
static _Atomic(unsigned char *) base; // NULL: nothing is shared
static uint64_t bytes_max;            // of the file
static uint64_t file_bytes;           // now
static TSI_VEC(struct extent) extents;
static size_t taken; // blocks of the file

static struct block
remove_kept(size_t index)
{
    const struct block block = kept[index];
    kept_count--;
    for (size_t i = index; i < kept_count; i++) {
        kept[i] = kept[i + 1];
    }
    kept_bytes -= block.bytes;
    return block;
}

// A block of the file's for whose return there is room in the list; false when memory is out or
// the file is full.
static bool
take_extent(uint64_t bytes, uint64_t *offset)
{
    if (!tsi_vec_reserve(&extents, taken + 2)) {
        return false;
    }
    for (size_t i = 0; i < extents.count; i++) {
        struct extent *extent = &extents.items[i];
        const uint64_t end = extent->offset + bytes;
        if (extent->bytes < bytes) {
            continue;
        }
        if (end > file_bytes) {
            const uint64_t grown = (end + file_step - 1) / file_step * file_step;
            const uint64_t wanted = grown < bytes_max ? grown : bytes_max;
            if (ftruncate(file, (off_t)wanted) != 0) {
                return false;
            }
            file_bytes = wanted;
        }
        *offset = extent->offset;
        extent->offset += bytes;
        extent->bytes -= bytes;
        if (extent->bytes == 0) {
            extents.count--;
            for (size_t k = i; k < extents.count; k++) {
                extents.items[k] = extents.items[k + 1];
            }
        }
        taken++;
        return true;
    }
    return false;
}

// Puts an extent into the list, together with those that it touches.
static void
give_extent(uint64_t offset, uint64_t bytes)
{
    size_t at = 0;
    while (at < extents.count && extents.items[at].offset < offset) {
        at++;
    }
    struct extent *before = at > 0 ? &extents.items[at - 1] : NULL;
    struct extent *after = at < extents.count ? &extents.items[at] : NULL;
    const bool joins_before = before != NULL && before->offset + before->bytes == offset;
    const bool joins_after = after != NULL && offset + bytes == after->offset;
    taken--;
    if (joins_before) {
        before->bytes += bytes + (joins_after ? after->bytes : 0);
        if (joins_after) {
            extents.count--;
            for (size_t k = at; k < extents.count; k++) {
                extents.items[k] = extents.items[k + 1];
            }
        }
    } else if (joins_after) {
        after->offset = offset;
        after->bytes += bytes;
    } else {
        extents.count++; // take_extent() made room
        for (size_t k = extents.count - 1; k > at; k--) {
            extents.items[k] = extents.items[k - 1];
        }
        extents.items[at] = (struct extent){offset, bytes};
    }
}

static bool
is_shared(const void *pages)
{
    const unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    const unsigned char *at = pages;
    return start != NULL && at >= start && at < start + bytes_max;
}

// Gives the memory back to the system. The mutex is not held.
static void
drop_block(struct block block)
{
    if (!is_shared(block.pages)) {
        munmap(block.pages, block.bytes);
        return;
    }
    const uint64_t offset = (uint64_t)((unsigned char *)block.pages - atomic_load(&base));
    (void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                    (off_t)block.bytes);
    pthread_mutex_lock(&mutex);
    give_extent(offset, block.bytes);
    pthread_mutex_unlock(&mutex);
}

static void *
map_private(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

// Fills the pages with memory; false when that is out. A kernel that cannot do it beforehand does
// it page by page.
static bool
fill(void *pages, size_t bytes)
{
    return madvise(pages, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

static void *
map_fresh(size_t bytes)
{
    uint64_t offset = 0;
    unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    pthread_mutex_lock(&mutex);
    const bool found = start != NULL && take_extent(bytes, &offset);
    pthread_mutex_unlock(&mutex);
    if (!found) {
        return map_private(bytes);
    }
    if (!fill(start + offset, bytes)) {
        drop_block((struct block){start + offset, bytes});
        return NULL;
    }
    return start + offset;
}

void *
tsi_pages_take(size_t bytes)
{
    void *pages = NULL;
    pthread_mutex_lock(&mutex);
    for (size_t i = kept_count; i-- > 0;) {
        if (kept[i].bytes == bytes) {
            pages = remove_kept(i).pages;
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
    return pages != NULL ? pages : map_fresh(bytes);
}

// Drops kept blocks until one of `bytes` more fits.
static void
make_room(size_t bytes)
{
    while (kept_count > 0 && (kept_count == KEPT_MAX || kept_bytes + bytes > kept_bytes_max)) {
        const struct block block = remove_kept(0);
        pthread_mutex_unlock(&mutex);
        drop_block(block);
        pthread_mutex_lock(&mutex);
    }
}

void
tsi_pages_give(void *pages, size_t bytes)
{
    const struct block block = {pages, bytes};
    pthread_mutex_lock(&mutex);
    // Pages from before the file are not for others to read, so the next block is better fresh.
    bool keeps = bytes <= kept_bytes_max &&
                 (is_shared(pages) || atomic_load_explicit(&base, memory_order_relaxed) == NULL);
    if (keeps) {
        make_room(bytes);
        keeps = kept_count < KEPT_MAX && kept_bytes + bytes <= kept_bytes_max;
    }
    if (keeps) {
        kept[kept_count++] = block;
        kept_bytes += bytes;
    }
    pthread_mutex_unlock(&mutex);
    if (!keeps) {
        drop_block(block);
    }
}

// A file that nobody can make smaller, with its first step filled with zeros, and mapped.
static unsigned char *
open_file(void)
{
    file = memfd_create("tessera", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0 || ftruncate(file, (off_t)TSI_PAGES_STEP) != 0 || fchmod(file, 0400) != 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0 ||
        !tsi_vec_reserve(&extents, 2)) {
        return NULL;
    }
    unsigned char *start =
        mmap(NULL, bytes_max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    // A child of this process is no part of it.
    (void)madvise(start, bytes_max, MADV_DONTFORK);
    if (!fill(start, TSI_PAGES_STEP)) {
        munmap(start, bytes_max);
        return NULL;
    }
    return start;
}

bool
tsi_pages_share(uint64_t wanted)
{
    static bool tried;
    struct block dropped[KEPT_MAX];
    size_t dropped_count = 0;
    pthread_mutex_lock(&mutex);
    const char *wish = getenv("TESSERA_SHARE_MEMORY");
    tried = tried || (wish != NULL && strcmp(wish, "0") == 0);
    if (!tried) {
        // Twice what is needed: free extents may be too small for a block.
        bytes_max = 2 * wanted / TSI_PAGES_STEP * TSI_PAGES_STEP + file_step;
        unsigned char *start = open_file();
        if (start == NULL && file >= 0) {
            close(file);
            file = -1;
        }
        if (start != NULL) {
            const uint64_t part = wanted / 8;
            file_bytes = TSI_PAGES_STEP;
            extents.items[0] = (struct extent){TSI_PAGES_STEP, bytes_max - TSI_PAGES_STEP};
            extents.count = 1;
            kept_bytes_max = part > shared_kept_bytes_max ? shared_kept_bytes_max : (size_t)part;
            atomic_store_explicit(&base, start, memory_order_release);
            while (kept_count > 0) {
                dropped[dropped_count++] = remove_kept(0);
            }
        }
        tried = true;
    }
    const bool shares = atomic_load_explicit(&base, memory_order_relaxed) != NULL;
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < dropped_count; i++) {
        munmap(dropped[i].pages, dropped[i].bytes);
    }
    return shares;
}

bool
tsi_pages_place(const void *data, uint64_t *offset)
{
    if (!is_shared(data)) {
        return false;
    }
    *offset = (uint64_t)((const unsigned char *)data - atomic_load(&base));
    return true;
}

int
tsi_pages_open(uint64_t *most)
{
    char path[64];
    if (atomic_load_explicit(&base, memory_order_acquire) == NULL) {
        return -1;
    }
    *most = bytes_max;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

_Atomic(uint64_t) *
tsi_pages_words(size_t *count)
{
    unsigned char *start = atomic_load_explicit(&base, memory_order_acquire);
    *count = start != NULL ? TSI_PAGES_STEP / sizeof(uint64_t) : 0;
    return (_Atomic(uint64_t) *)(void *)start;
}
