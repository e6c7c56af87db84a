// SPDX-License-Identifier: Apache-2.0
//
// Allocation: the single place where memory comes from, so that tests can make it fail.
//
// Functions return NULL when memory is out; callers report TESS_ENOMEM. Sizes are checked for
// overflow here. Freeing NULL is allowed.

#ifndef TSI_BASE_MEMORY_H
#define TSI_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *tsi_alloc(size_t bytes);
void *tsi_calloc(size_t count, size_t bytes);
void *tsi_realloc(void *old, size_t count, size_t bytes);
void tsi_free(void *memory);
char *tsi_strdup(const char *text);

// `alignment` is a power of two; the memory is freed with tsi_free().
void *tsi_alloc_aligned(size_t alignment, size_t bytes);

// `bytes` of zeros that cost nothing until they are touched, if they are more than a page; those
// are whole pages. Freed with tsi_free_pages(pages, bytes).
void *tsi_alloc_pages(size_t bytes);
// Makes whole pages as they were when they were fresh, zero and without memory.
void tsi_drop_pages(void *pages, size_t bytes);
// Gives whole pages their memory beforehand, which is several times faster than a fault for each;
// false when memory is out. A kernel that cannot do it does it page by page, later.
bool tsi_fill_pages(void *pages, size_t bytes);
void tsi_free_pages(void *pages, size_t bytes);

// Makes the allocation after `successes` more ones fail, and all after it; negative: none fails.
// For tests; the count is of the whole process.
void tsi_memory_fail_after(int64_t successes);
// Counts an allocation by other means; false if it has to fail.
bool tsi_memory_may_take(void);

// a·b and a+b in `*result`; false if that overflows, or if a factor is negative.
bool tsi_mul_i64(int64_t a, int64_t b, int64_t *result);
bool tsi_add_i64(int64_t a, int64_t b, int64_t *result);

#endif
