// SPDX-License-Identifier: Apache-2.0
//
// Small buffers are one allocation, the header in the 64 bytes before the data. Large ones are
// pages of their own, so that their memory goes back to the system the moment it is not needed,
// whatever else was allocated in between.
//
// A fresh page costs a page fault and its zeroing, which for large chunks is more than the work on
// them. A few freed blocks are therefore kept for the next buffer of about the same size; the
// oldest go first when there are too many bytes of them.

#include "engine/base/buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "engine/base/memory.h"

enum {
    HEADER_BYTES = TSI_BUF_ALIGN,
    KEPT_MAX = 64,
};

static const size_t MAPPED_BYTES_MIN = (size_t)1 << 20;
static const size_t BLOCK_BYTES_STEP = (size_t)64 << 10;
static const size_t KEPT_BYTES_MAX = (size_t)64 << 20;

_Static_assert(sizeof(struct tsi_buf) <= HEADER_BYTES, "the header fits in front of the data");

struct kept_block {
    void *pages;
    size_t bytes;
};

// Freed blocks, oldest first.
static pthread_mutex_t kept_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kept_block kept[KEPT_MAX];
static size_t kept_count;
static size_t kept_bytes;

static atomic_uint_fast64_t bytes_now;
static atomic_uint_fast64_t bytes_peak;

// The size of the block of a large buffer. It is coarse, so that blocks fit again.
static size_t
block_bytes(size_t bytes)
{
    return (bytes + BLOCK_BYTES_STEP - 1) / BLOCK_BYTES_STEP * BLOCK_BYTES_STEP;
}

static struct kept_block
remove_kept(size_t index)
{
    const struct kept_block block = kept[index];
    kept_count--;
    for (size_t i = index; i < kept_count; i++) {
        kept[i] = kept[i + 1];
    }
    kept_bytes -= block.bytes;
    return block;
}

static void *
map_block(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

// Pages of exactly block_bytes(bytes) bytes.
static void *
take_block(size_t bytes)
{
    const size_t wanted = block_bytes(bytes);
    void *pages = NULL;
    pthread_mutex_lock(&kept_mutex);
    for (size_t i = kept_count; i-- > 0;) {
        if (kept[i].bytes == wanted) {
            pages = remove_kept(i).pages;
            break;
        }
    }
    pthread_mutex_unlock(&kept_mutex);
    return pages != NULL ? pages : map_block(wanted);
}

// Drops the oldest kept blocks until one of `bytes` more fits; they go to `dropped`.
static size_t
make_room(size_t bytes, struct kept_block dropped[KEPT_MAX])
{
    size_t count = 0;
    while (kept_count == KEPT_MAX || kept_bytes + bytes > KEPT_BYTES_MAX) {
        dropped[count++] = remove_kept(0);
    }
    return count;
}

static void
give_block(void *pages, size_t buf_bytes)
{
    const size_t bytes = block_bytes(buf_bytes);
    if (bytes > KEPT_BYTES_MAX) {
        munmap(pages, bytes);
        return;
    }
    struct kept_block dropped[KEPT_MAX];
    pthread_mutex_lock(&kept_mutex);
    const size_t dropped_count = make_room(bytes, dropped);
    kept[kept_count++] = (struct kept_block){pages, bytes};
    kept_bytes += bytes;
    pthread_mutex_unlock(&kept_mutex);
    for (size_t i = 0; i < dropped_count; i++) {
        munmap(dropped[i].pages, dropped[i].bytes);
    }
}

static void
count_more(uint64_t bytes)
{
    const uint64_t now = atomic_fetch_add_explicit(&bytes_now, bytes, memory_order_relaxed) + bytes;
    uint64_t peak = atomic_load_explicit(&bytes_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &bytes_peak, &peak, now, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void
start(struct tsi_buf *buf, void *data, size_t bytes)
{
    *buf = (struct tsi_buf){.data = data, .bytes = bytes};
    atomic_init(&buf->refs, 1);
}

static struct tsi_buf *
new_small(size_t bytes)
{
    unsigned char *block = tsi_alloc_aligned(TSI_BUF_ALIGN, HEADER_BYTES + bytes);
    if (block == NULL) {
        return NULL;
    }
    struct tsi_buf *buf = (void *)block;
    start(buf, block + HEADER_BYTES, bytes);
    return buf;
}

static struct tsi_buf *
new_mapped(size_t bytes)
{
    if (bytes > SIZE_MAX - BLOCK_BYTES_STEP) {
        return NULL;
    }
    struct tsi_buf *buf = tsi_alloc(sizeof *buf);
    if (buf == NULL) {
        return NULL;
    }
    void *pages = take_block(bytes);
    if (pages == NULL) {
        tsi_free(buf);
        return NULL;
    }
    start(buf, pages, bytes);
    return buf;
}

struct tsi_buf *
tsi_buf_new(size_t bytes)
{
    struct tsi_buf *buf = bytes < MAPPED_BYTES_MIN ? new_small(bytes) : new_mapped(bytes);
    if (buf != NULL) {
        count_more(bytes);
    }
    return buf;
}

// The owner of memory that nobody has to be told about.
static void
ignore_free(void *owner)
{
    (void)owner;
}

struct tsi_buf *
tsi_buf_wrap(void *data, size_t bytes, void (*on_free)(void *owner), void *owner)
{
    struct tsi_buf *buf = tsi_alloc(sizeof *buf);
    if (buf == NULL) {
        return NULL;
    }
    start(buf, data, bytes);
    buf->on_free = on_free != NULL ? on_free : ignore_free;
    buf->owner = owner;
    return buf;
}

struct tsi_buf *
tsi_buf_ref(struct tsi_buf *buf)
{
    atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
    return buf;
}

static void
free_buf(struct tsi_buf *buf)
{
    if (buf->on_free != NULL) {
        buf->on_free(buf->owner);
    } else {
        atomic_fetch_sub_explicit(&bytes_now, buf->bytes, memory_order_relaxed);
        if (buf->bytes >= MAPPED_BYTES_MIN) {
            give_block(buf->data, buf->bytes);
        }
    }
    tsi_free(buf);
}

void
tsi_buf_unref(struct tsi_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    // What other threads did with the buffer happens before it is freed.
    if (atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) == 1) {
        free_buf(buf);
    }
}

uint64_t
tsi_buf_bytes_now(void)
{
    return atomic_load_explicit(&bytes_now, memory_order_relaxed);
}

uint64_t
tsi_buf_bytes_peak(void)
{
    return atomic_load_explicit(&bytes_peak, memory_order_relaxed);
}

void
tsi_buf_reset_peak(void)
{
    atomic_store_explicit(&bytes_peak, tsi_buf_bytes_now(), memory_order_relaxed);
}
