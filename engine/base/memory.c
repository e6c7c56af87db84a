// SPDX-License-Identifier: Apache-2.0
//
// Allocation over the C library's, with a counter that lets tests make any single allocation fail.
//
// The counter holds how many more allocations succeed; a negative one is off. A request for no
// bytes is a request for one, so that NULL always means that memory is out.

#include "engine/base/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Since Linux 5.14; the headers may be older.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

// What is not larger is not mapped, which takes microseconds with the fault and the end of it.
#define SMALL_BYTES 4096

static _Atomic int64_t successes_left = -1;

void
tsi_memory_fail_after(int64_t successes)
{
    atomic_store_explicit(&successes_left, successes, memory_order_relaxed);
}

bool
tsi_memory_may_take(void)
{
    int64_t left = atomic_load_explicit(&successes_left, memory_order_relaxed);
    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&successes_left, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return left < 0;
}

static size_t
at_least_one(size_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

void *
tsi_alloc(size_t bytes)
{
    return tsi_memory_may_take() ? malloc(at_least_one(bytes)) : NULL;
}

void *
tsi_calloc(size_t count, size_t bytes)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, bytes, &total) || !tsi_memory_may_take()) {
        return NULL;
    }
    return calloc(at_least_one(count), at_least_one(bytes));
}

void *
tsi_realloc(void *old, size_t count, size_t bytes)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, bytes, &total) || !tsi_memory_may_take()) {
        return NULL;
    }
    return realloc(old, at_least_one(total));
}

void
tsi_free(void *memory)
{
    free(memory);
}

char *
tsi_strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = tsi_alloc(bytes);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void *
tsi_alloc_aligned(size_t alignment, size_t bytes)
{
    if (bytes > SIZE_MAX - alignment || !tsi_memory_may_take()) {
        return NULL;
    }
    const size_t rounded = (at_least_one(bytes) + alignment - 1) & ~(alignment - 1);
    return aligned_alloc(alignment, rounded);
}

void *
tsi_alloc_pages(size_t bytes)
{
    if (!tsi_memory_may_take()) {
        return NULL;
    }
    if (bytes <= SMALL_BYTES) {
        return calloc(1, at_least_one(bytes));
    }
    void *pages = mmap(NULL, at_least_one(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void
tsi_drop_pages(void *pages, size_t bytes)
{
    // Where pages are larger than what is dropped this fails, and the pages stay, as they are.
    (void)madvise(pages, bytes, MADV_DONTNEED);
}

bool
tsi_fill_pages(void *pages, size_t bytes)
{
    return madvise(pages, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

void
tsi_free_pages(void *pages, size_t bytes)
{
    if (bytes <= SMALL_BYTES) {
        free(pages);
    } else if (pages != NULL) {
        munmap(pages, bytes);
    }
}

bool
tsi_mul_i64(int64_t a, int64_t b, int64_t *result)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, result);
}

bool
tsi_add_i64(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}
