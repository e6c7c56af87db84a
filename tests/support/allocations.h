// SPDX-License-Identifier: Apache-2.0
//
// Counts the calls of the allocator in the program of one test: its functions are caught on their
// way to the C library's. To be included by one file of the program. Where ALLOCATIONS_ARE_COUNTED
// is not defined, another C library or a sanitizer has an allocator that cannot be caught so.

#ifndef TESTS_SUPPORT_ALLOCATIONS_H
#define TESTS_SUPPORT_ALLOCATIONS_H

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/sanitizer.h"

#if defined(__GLIBC__) && !TEST_WITH_ASAN && !TEST_WITH_TSAN
#define ALLOCATIONS_ARE_COUNTED

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static atomic_long allocations;

void *
malloc(size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(bytes);
}

void *
calloc(size_t count, size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_calloc(count, bytes);
}

void *
realloc(void *old, size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_realloc(old, bytes);
}

void *
aligned_alloc(size_t alignment, size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_memalign(alignment, bytes);
}

#endif

#endif
