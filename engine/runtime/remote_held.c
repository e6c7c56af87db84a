// SPDX-License-Identifier: Apache-2.0
//
// Arrays in the caller's memory, served chunk by chunk.
//
// A chunk is copied before it is sent, even where it lies in memory as it is to be sent: the
// transport's thread reads it when it comes to it, and by then the compute may have ended and the
// caller's memory may be gone. Workers ask for large chunks in parts and several at once, so the
// copies used last stay. One that was lent and is back has done its work, though, and where no
// other pages are there the next copy gets its: fresh ones cost far more than to copy it again.

#include <string.h>

#include "engine/base/pages.h"
#include "engine/runtime/remote.h"
#include "engine/runtime/scatter.h"

// Bytes of copies that stay; the one in use may be larger.
#define COPIES_BYTES_MAX ((uint64_t)256 << 20)

static void
drop_copy(struct tsi_remote *remote, size_t index)
{
    struct tsi_remote_copy *copy = &remote->copies.items[index];
    remote->bytes_copied -= copy->chunk->bytes;
    tsi_buf_unref(copy->chunk);
    remote->copies.count--;
    memmove(copy, copy + 1, (remote->copies.count - index) * sizeof *copy);
}

void
tsi_remote_drop_copies(struct tsi_remote *remote, uint32_t job)
{
    for (size_t i = remote->copies.count; i-- > 0;) {
        if (tsi_key_job(remote->copies.items[i].key) == job) {
            drop_copy(remote, i);
        }
    }
}

// The copy of `key`, which becomes the last; NULL if there is none.
static struct tsi_buf *
find_copy(struct tsi_remote *remote, tsi_key key)
{
    for (size_t i = remote->copies.count; i-- > 0;) {
        const struct tsi_remote_copy copy = remote->copies.items[i];
        if (copy.key == key) {
            struct tsi_remote_copy *place = &remote->copies.items[i];
            memmove(place, place + 1, (remote->copies.count - i - 1) * sizeof *place);
            tsi_vec_last(&remote->copies) = copy;
            return copy.chunk;
        }
    }
    return NULL;
}

// Gives up the oldest copy of `bytes` that nobody reads any more, if there is one.
static void
drop_read(struct tsi_remote *remote, size_t bytes)
{
    for (size_t i = 0; i < remote->copies.count; i++) {
        const struct tsi_buf *const chunk = remote->copies.items[i].chunk;
        if (chunk->bytes == bytes && atomic_load_explicit(&chunk->was_lent, memory_order_relaxed) &&
            atomic_load_explicit(&chunk->refs, memory_order_acquire) == 1) {
            drop_copy(remote, i);
            return;
        }
    }
}

static struct tsi_buf *
make_copy(struct tsi_remote *remote, tsi_key key, size_t bytes)
{
    if (bytes >= TSI_PAGES_SHARED_MIN && !tsi_pages_are_kept(bytes)) {
        drop_read(remote, bytes);
    }
    while (remote->copies.count > 0 && remote->bytes_copied + bytes > COPIES_BYTES_MAX) {
        drop_copy(remote, 0);
    }
    const struct tsi_remote_copy copy = {key, tsi_buf_new(bytes)};
    if (copy.chunk == NULL || !tsi_vec_push(&remote->copies, copy)) {
        tsi_buf_unref(copy.chunk);
        return NULL;
    }
    remote->bytes_copied += bytes;
    return copy.chunk;
}

struct tsi_buf *
tsi_remote_held(struct tsi_remote *remote, tsi_key key, const struct tsi_chunk_op *op,
                const struct tess_array *array)
{
    struct tsi_buf *chunk = find_copy(remote, key);
    if (chunk == NULL) {
        const int64_t index = tsi_key_task(key) - op->task_base;
        chunk = make_copy(remote, key, tsi_chunk_op_bytes(op, index));
        if (chunk == NULL) {
            return NULL;
        }
        tsi_gather_chunk(&array->grid, index, tess_dtype_bytes(array->dtype), array->memory.data,
                         array->memory.stride, chunk->data,
                         tsi_remote_helper(remote, chunk->bytes));
    }
    return tsi_buf_ref(chunk);
}
