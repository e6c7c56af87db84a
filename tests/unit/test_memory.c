// SPDX-License-Identifier: Apache-2.0
//
// Allocation, its failures and the arithmetic of sizes.

#include "engine/base/memory.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/sanitizer.h"

Test(memory, nothing_is_something)
{
    void *pieces[] = {
        tsi_alloc(0),
        tsi_calloc(0, 8),
        tsi_calloc(8, 0),
        tsi_realloc(NULL, 0, 4),
        tsi_alloc_aligned(64, 0),
    };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        cr_assert(pieces[i] != NULL, "%zu", i);
        tsi_free(pieces[i]);
    }
    tsi_free(NULL);
    tsi_free_pages(NULL, 0);
}

Test(memory, sizes_that_overflow_are_refused)
{
    cr_assert(tsi_calloc(SIZE_MAX / 2, 4) == NULL);
    cr_assert(tsi_realloc(NULL, SIZE_MAX / 2, 4) == NULL);
    cr_assert(tsi_alloc_aligned(64, SIZE_MAX - 10) == NULL);
}

Test(memory, aligned_memory_is_aligned)
{
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        char *memory = tsi_alloc_aligned(alignment, 100);
        cr_assert(memory != NULL);
        cr_assert_eq((uintptr_t)memory % alignment, 0);
        memset(memory, 1, 100);
        tsi_free(memory);
    }
}

Test(memory, reallocation_keeps_the_content)
{
    char *memory = tsi_realloc(NULL, 4, 1);
    memcpy(memory, "abc", 4);

    memory = tsi_realloc(memory, 100, 1000);

    cr_assert_str_eq(memory, "abc");
    tsi_free(memory);
}

Test(memory, pages_are_zero)
{
    const size_t bytes = 3 * 4096 + 5;
    unsigned char *pages = tsi_alloc_pages(bytes);
    cr_assert(pages != NULL);

    for (size_t i = 0; i < bytes; i++) {
        cr_assert_eq(pages[i], 0);
        pages[i] = 1;
    }
    tsi_free_pages(pages, bytes);
}

// Little of it is from the heap, where the bytes of another may have been.
Test(memory, few_zeros_are_zeros_again)
{
    for (size_t bytes = 1; bytes <= 8192; bytes *= 2) {
        for (int i = 0; i < 3; i++) {
            unsigned char *zeros = tsi_alloc_pages(bytes);
            cr_assert(zeros != NULL);
            for (size_t k = 0; k < bytes; k++) {
                cr_assert(zeros[k] == 0);
            }
            memset(zeros, 0xff, bytes);
            tsi_free_pages(zeros, bytes);
        }
    }
}

Test(memory, pages_cost_nothing_until_they_are_touched)
{
    if (TEST_WITH_TSAN) {
        cr_skip_test("ThreadSanitizer leaves no terabyte of addresses");
    }
    const size_t bytes = (size_t)1 << 40;
    unsigned char *pages = tsi_alloc_pages(bytes);
    cr_assert(pages != NULL);

    pages[bytes / 2] = 1;

    tsi_free_pages(pages, bytes);
}

Test(memory, a_text_is_copied)
{
    char *copy = tsi_strdup("text");

    cr_assert_str_eq(copy, "text");
    tsi_free(copy);
}

static void *
allocate(int kind)
{
    switch (kind) {
    case 0:
        return tsi_alloc(1);
    case 1:
        return tsi_calloc(1, 1);
    case 2:
        return tsi_realloc(NULL, 1, 1);
    case 3:
        return tsi_alloc_aligned(64, 1);
    case 4:
        return tsi_strdup("");
    default:
        return tsi_alloc_pages(1);
    }
}

static void
release(int kind, void *memory)
{
    if (kind == 5) {
        tsi_free_pages(memory, 1);
    } else {
        tsi_free(memory);
    }
}

Test(memory, every_kind_of_allocation_counts_and_fails)
{
    for (int kind = 0; kind <= 5; kind++) {
        tsi_memory_fail_after(2);
        void *first = allocate(kind);
        void *second = allocate(kind);
        const void *third = allocate(kind);
        const void *fourth = allocate(kind);
        tsi_memory_fail_after(-1);
        void *fifth = allocate(kind);

        cr_assert(first != NULL && second != NULL, "kind %d", kind);
        cr_assert(third == NULL && fourth == NULL, "kind %d", kind);
        cr_assert(fifth != NULL, "kind %d", kind);
        release(kind, first);
        release(kind, second);
        release(kind, fifth);
    }
}

Test(memory, a_failed_reallocation_leaves_the_old_memory)
{
    char *memory = tsi_strdup("old");

    tsi_memory_fail_after(0);
    cr_assert(tsi_realloc(memory, 100, 1) == NULL);
    tsi_memory_fail_after(-1);

    cr_assert_str_eq(memory, "old");
    tsi_free(memory);
}

Test(memory, products_and_sums_know_their_limits)
{
    int64_t result = -5;

    cr_assert(tsi_mul_i64(INT64_C(3037000499), INT64_C(3037000499), &result));
    cr_assert_eq(result, INT64_C(9223372030926249001));
    cr_assert(tsi_mul_i64(0, INT64_MAX, &result));
    cr_assert_eq(result, 0);
    cr_assert(tsi_mul_i64(INT64_MAX, 1, &result));
    cr_assert_eq(result, INT64_MAX);
    cr_assert(!tsi_mul_i64(INT64_C(3037000500), INT64_C(3037000500), &result));
    cr_assert(!tsi_mul_i64(-1, 1, &result));
    cr_assert(!tsi_mul_i64(1, -1, &result));
    cr_assert(tsi_add_i64(INT64_MAX, INT64_MIN, &result));
    cr_assert_eq(result, -1);
    cr_assert(!tsi_add_i64(INT64_MAX, 1, &result));
    cr_assert(!tsi_add_i64(INT64_MIN, -1, &result));
}
