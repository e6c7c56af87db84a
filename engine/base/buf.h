// SPDX-License-Identifier: Apache-2.0
//
// A chunk's memory: the one object of the project that is counted by references, since threads and
// messages under way share it.

#ifndef TSI_BASE_BUF_H
#define TSI_BASE_BUF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All chunk memory starts on a boundary of this many bytes, the widest vector and a cache line; but
// what has at most TSI_BUF_TINY bytes, one number, on a boundary of those. It is in the line of its
// header.
#define TSI_BUF_ALIGN 64
#define TSI_BUF_TINY 8

// Buffers of at least so many bytes have pages of their own.
#define TSI_BUF_PAGES_MIN ((size_t)32 << 10)

struct tsi_buf {
    unsigned char *data;
    size_t bytes;
    atomic_uint refs;
    atomic_bool was_lent; // to another process, which reads it where it is
    // Called with `owner` when the last reference goes; NULL if the memory is the buffer's own.
    void (*on_free)(void *owner);
    void *owner;
    // Called with `owner`: whether the memory was the same all the time; NULL if it always is.
    bool (*is_sound)(void *owner);
};

// A buffer of `bytes` (0 is allowed) with one reference; contents undefined. NULL when memory is
// out.
struct tsi_buf *tsi_buf_new(size_t bytes);

// A buffer over memory that belongs to somebody else. NULL when memory is out; then `on_free` is
// not called.
struct tsi_buf *tsi_buf_wrap(void *data, size_t bytes, void (*on_free)(void *owner), void *owner);

struct tsi_buf *tsi_buf_ref(struct tsi_buf *buf);
void tsi_buf_unref(struct tsi_buf *buf); // accepts NULL

// Whether what was read from the buffer until now was its contents. Memory that another process
// lends can be taken back while it is read; whoever has used it asks afterwards.
bool tsi_buf_is_sound(const struct tsi_buf *buf);

// Bytes of all buffers of this process that own their memory, now and at most since the last reset.
uint64_t tsi_buf_bytes_now(void);
uint64_t tsi_buf_bytes_peak(void);
void tsi_buf_reset_peak(void);

#endif
