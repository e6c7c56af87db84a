// SPDX-License-Identifier: Apache-2.0
//
// The bound on what a process takes for chunks: what is kept for the next use goes first, then
// others wait for what comes back.

#include "engine/base/pages.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/machine.h"
#include "tests/support/processes.h"

#define MIB ((size_t)1 << 20)

enum { BLOCKS = 8, ROUNDS = 300, THREADS = 3, PATIENCE_MS = 10000 };

Test(pages, what_is_kept_and_what_is_taken_stay_below_what_is_expected)
{
    void *blocks[BLOCKS];
    tsi_pages_expect((int64_t)(BLOCKS * MIB));
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = tsi_pages_take(MIB);
        cr_assert(blocks[i] != NULL);
    }
    for (int i = 0; i < BLOCKS; i++) {
        tsi_pages_give(blocks[i], MIB);
    }
    cr_assert_eq(tsi_pages_kept_bytes(), BLOCKS * MIB, "nothing is kept");
    // Blocks of another size: what is kept is of no use to them, and has to go.
    for (int i = 0; i < 2; i++) {
        blocks[i] = tsi_pages_take(3 * MIB);
        cr_assert(tsi_pages_bytes() <= BLOCKS * MIB, "%zu", (size_t)tsi_pages_bytes());
        memset(blocks[i], 1, 3 * MIB);
    }
    // The same for what is taken elsewhere.
    tsi_pages_count((int64_t)(2 * MIB));
    cr_assert_eq(tsi_pages_bytes(), 8 * MIB);
    cr_assert_eq(tsi_pages_kept_bytes(), 0);
    // What is given back beyond the bound is not kept.
    tsi_pages_expect(-(int64_t)(4 * MIB));
    tsi_pages_give(blocks[0], 3 * MIB);
    cr_assert_eq(tsi_pages_kept_bytes(), 0);
    cr_assert_eq(tsi_pages_bytes(), 5 * MIB);
    tsi_pages_give(blocks[1], 3 * MIB);
    tsi_pages_count(-(int64_t)(2 * MIB));
    tsi_pages_expect(-(int64_t)(4 * MIB));
}

Test(pages, there_is_room_for_what_is_kept_but_not_for_more_than_is_expected)
{
    cr_assert(tsi_pages_has_room(1000 * MIB), "nothing is expected, and so nothing bounded");
    tsi_pages_expect((int64_t)(BLOCKS * MIB));
    void *block = tsi_pages_take(5 * MIB);
    cr_assert(tsi_pages_has_room(3 * MIB));
    cr_assert_not(tsi_pages_has_room(3 * MIB + 1));
    tsi_pages_give(block, 5 * MIB);
    cr_assert_gt(tsi_pages_kept_bytes(), 0);
    cr_assert(tsi_pages_has_room(BLOCKS * MIB));
    cr_assert_not(tsi_pages_has_room(BLOCKS * MIB + 1));
    tsi_pages_expect(-(int64_t)(BLOCKS * MIB));
}

static void *
take_one(void *unused)
{
    (void)unused;
    tsi_pages_may_wait();
    return tsi_pages_take(2 * MIB);
}

Test(pages, a_thread_that_may_wait_gets_what_others_give_back)
{
    pthread_t thread;
    void *got;
    tsi_pages_expect((int64_t)(4 * MIB));
    void *block = tsi_pages_take(3 * MIB);
    struct pollfd watched = {.fd = tsi_pages_watch(), .events = POLLIN};
    cr_assert(watched.fd >= 0 && poll(&watched, 1, 0) == 0);
    cr_assert_eq(pthread_create(&thread, NULL, take_one, NULL), 0);
    cr_assert_eq(poll(&watched, 1, PATIENCE_MS), 1, "it does not wait");
    tsi_pages_watched();
    tsi_pages_give(block, 3 * MIB);
    cr_assert_eq(pthread_join(thread, &got), 0);
    cr_assert(got != NULL && tsi_pages_bytes() <= 4 * MIB);
    tsi_pages_give(got, 2 * MIB);
    tsi_pages_expect(-(int64_t)(4 * MIB));
}

// Starts the kernel's record of the most resident memory anew; false if it cannot.
static bool
forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    const bool is_open = file != NULL && fputs("5", file) >= 0;
    return file != NULL && fclose(file) == 0 && is_open;
}

static void *
take_and_give(void *argument)
{
    const size_t bytes = *(const size_t *)argument;
    tsi_pages_may_wait();
    for (int i = 0; i < ROUNDS; i++) {
        void *block = tsi_pages_take(bytes);
        memset(block, i, bytes);
        tsi_pages_give(block, bytes);
    }
    return NULL;
}

// Blocks of several sizes, so that each has to be given back to the system for the next one.
Test(pages, resident_memory_stays_below_while_blocks_come_and_go)
{
    static const size_t sizes[THREADS] = {4 * MIB, 5 * MIB, 6 * MIB};
    pthread_t threads[THREADS];
    if (test_is_sanitized() || !forget_peak()) {
        cr_skip_test("the peak is a sanitizer's, or cannot be reset");
    }
    const uint64_t before = tsi_machine_resident_peak_bytes();
    tsi_pages_expect((int64_t)(6 * MIB));
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, (void *)(uintptr_t)&sizes[i]),
                     0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    const uint64_t more = tsi_machine_resident_peak_bytes() - before;
    cr_assert_leq(more, 7 * MIB, "%zu KB", (size_t)more / 1024);
}
