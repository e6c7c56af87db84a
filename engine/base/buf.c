// SPDX-License-Identifier: Apache-2.0
//
// Small buffers are one piece of memory, the header before the data: the smallest, of which there
// may be millions, a block (blocks.c). Others are not asked for with their alignment, which the C
// library does slowly, but with room to move the data up. Large ones are
// pages of their own (pages.c), so that their memory goes back to the system when it is not needed,
// whatever else was allocated in between, and so that other processes can be allowed to read them.

#include "engine/base/buf.h"

#include <assert.h>

#include "engine/base/blocks.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"

// A sanitizer has to see each buffer come and go.
#if defined(__SANITIZE_ADDRESS__)
#define HAS_BLOCKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_BLOCKS false
#endif
#endif
#ifndef HAS_BLOCKS
#define HAS_BLOCKS true
#endif

// A block that is a buffer; the data follows at once if it is tiny, else at the next multiple of
// the alignment.
struct in_block {
    struct tsi_block block;
    struct tsi_buf buf;
};

static_assert(sizeof(struct in_block) % TSI_BUF_TINY == 0 &&
                  sizeof(struct in_block) + TSI_BUF_TINY <= TSI_BUF_ALIGN &&
                  TSI_BUF_ALIGN == TSI_BLOCKS_ALIGN,
              "data is as aligned as is promised");

static atomic_uint_fast64_t bytes_now;
static atomic_uint_fast64_t bytes_peak;

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

// What a small buffer takes.
static size_t
small_bytes(size_t bytes)
{
    return sizeof(struct tsi_buf) + TSI_BUF_ALIGN - 1 + bytes;
}

static struct tsi_buf *
new_small(size_t bytes)
{
    struct tsi_buf *buf = tsi_alloc(small_bytes(bytes));
    if (buf == NULL) {
        return NULL;
    }
    tsi_pages_count((int64_t)small_bytes(bytes));
    unsigned char *after = (unsigned char *)(buf + 1);
    start(buf, after + -(uintptr_t)after % TSI_BUF_ALIGN, bytes);
    return buf;
}

static bool
fits_block(size_t bytes)
{
    return HAS_BLOCKS && bytes <= TSI_BLOCKS_BYTES_MAX - TSI_BUF_ALIGN;
}

static struct tsi_buf *
new_in_block(size_t bytes)
{
    const size_t head = bytes <= TSI_BUF_TINY ? sizeof(struct in_block) : TSI_BUF_ALIGN;
    struct in_block *block = (struct in_block *)(void *)tsi_blocks_take(head + bytes);
    if (block == NULL) {
        return NULL;
    }
    start(&block->buf, (unsigned char *)block + head, bytes);
    return &block->buf;
}

static struct tsi_buf *
new_mapped(size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    struct tsi_buf *buf = tsi_alloc(sizeof *buf);
    if (buf == NULL) {
        return NULL;
    }
    void *pages = tsi_pages_take(bytes);
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
    struct tsi_buf *buf = fits_block(bytes)           ? new_in_block(bytes)
                          : bytes < TSI_BUF_PAGES_MIN ? new_small(bytes)
                                                      : new_mapped(bytes);
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
        tsi_free(buf);
        return;
    }
    atomic_fetch_sub_explicit(&bytes_now, buf->bytes, memory_order_relaxed);
    if (fits_block(buf->bytes)) {
        tsi_blocks_give(
            (struct tsi_block *)(void *)((unsigned char *)buf - offsetof(struct in_block, buf)));
        return;
    }
    if (buf->bytes >= TSI_BUF_PAGES_MIN) {
        tsi_pages_give(buf->data, buf->bytes);
    } else {
        tsi_pages_count(-(int64_t)small_bytes(buf->bytes));
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

bool
tsi_buf_is_sound(const struct tsi_buf *buf)
{
    return buf->is_sound == NULL || buf->is_sound(buf->owner);
}
