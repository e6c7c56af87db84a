// SPDX-License-Identifier: Apache-2.0
//
// Fields one by one: what was put comes back, in little-endian bytes, and a failure stays one.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/memory.h"
#include "scheduler/wire/cursor.h"

Test(cursor, fields_are_little_endian_and_come_back)
{
    static const unsigned char expected[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e,
                                             0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 2,    0,    0,
                                             0,    'x',  'y',  3,    0,    'a',  'b',  'c'};
    struct tsi_arena arena;
    struct tsi_put put = {0};
    size_t count;
    tsi_arena_init(&arena);
    tsi_put_u8(&put, 0x01);
    tsi_put_u16(&put, 0x0203);
    tsi_put_u32(&put, 0x04050607);
    tsi_put_u64(&put, UINT64_C(0x08090a0b0c0d0e0f));
    tsi_put_run(&put, "xy", 2);
    tsi_put_text(&put, "abcdef", 3);
    cr_assert(!put.failed);
    cr_assert(put.count == sizeof expected && memcmp(put.bytes, expected, sizeof expected) == 0);

    struct tsi_take take = {.at = put.bytes, .end = put.bytes + put.count, .scratch = &arena};
    cr_assert(tsi_take_u8(&take) == 0x01);
    cr_assert(tsi_take_u16(&take) == 0x0203);
    cr_assert(tsi_take_u32(&take) == 0x04050607);
    cr_assert(tsi_take_u64(&take) == UINT64_C(0x08090a0b0c0d0e0f));
    const unsigned char *run = tsi_take_run(&take, &count);
    cr_assert(count == 2 && memcmp(run, "xy", 2) == 0);
    cr_assert(strcmp(tsi_take_text(&take, 3), "abc") == 0);
    cr_assert(!take.failed && tsi_take_left(&take) == 0);
    cr_assert(tsi_take_u8(&take) == 0 && take.failed, "a field past the end");
    tsi_free(put.bytes);
    tsi_arena_fini(&arena);
}

Test(cursor, nothing_is_taken_after_a_failure)
{
    static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct tsi_arena arena;
    struct tsi_take take = {.at = bytes, .end = bytes + 3, .scratch = &arena};
    size_t count = 77;
    tsi_arena_init(&arena);
    cr_assert(tsi_take_u32(&take) == 0 && take.failed);
    cr_assert(tsi_take_u8(&take) == 0 && tsi_take_left(&take) == 0);
    cr_assert(tsi_take_run(&take, &count) == NULL && count == 0);
    cr_assert(tsi_take_count(&take, 1) == 0);
    cr_assert(tsi_take_array(&take, 1, 8) == NULL);
    cr_assert(strcmp(tsi_take_text(&take, 10), "") == 0);
    cr_assert(!take.no_memory);
    tsi_arena_fini(&arena);
}

Test(cursor, counts_are_held_against_what_is_left)
{
    static const unsigned char bytes[] = {2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7};
    struct tsi_take take = {.at = bytes, .end = bytes + sizeof bytes};
    cr_assert(tsi_take_count(&take, 3) == 2 && !take.failed);
    take = (struct tsi_take){.at = bytes, .end = bytes + sizeof bytes};
    cr_assert(tsi_take_count(&take, 4) == 0 && take.failed, "two records of 4 bytes need 8");
    static const unsigned char most[] = {255, 255, 255, 255, 0};
    take = (struct tsi_take){.at = most, .end = most + sizeof most};
    cr_assert(tsi_take_count(&take, SIZE_MAX) == 0 && take.failed);
}

Test(cursor, texts_have_a_bound_and_no_zero)
{
    static const unsigned char bytes[] = {3, 0, 'a', 'b', 'c'};
    static const unsigned char zero[] = {3, 0, 'a', 0, 'c'};
    struct tsi_arena arena;
    tsi_arena_init(&arena);
    struct tsi_take take = {.at = bytes, .end = bytes + sizeof bytes, .scratch = &arena};
    cr_assert(strcmp(tsi_take_text(&take, 2), "") == 0 && take.failed, "longer than its bound");
    take = (struct tsi_take){.at = zero, .end = zero + sizeof zero, .scratch = &arena};
    cr_assert(strcmp(tsi_take_text(&take, 9), "") == 0 && take.failed, "a zero inside");
    tsi_arena_fini(&arena);
}

Test(cursor, running_out_of_memory_is_a_failure)
{
    struct tsi_put put = {0};
    tsi_memory_fail_after(0);
    tsi_put_u32(&put, 1);
    tsi_memory_fail_after(-1);
    cr_assert(put.failed && put.bytes == NULL);
    tsi_put_u32(&put, 1);
    cr_assert(put.failed && put.count == 0, "it stays one");

    static const unsigned char bytes[] = {3, 0, 'a', 'b', 'c'};
    struct tsi_arena arena;
    tsi_arena_init(&arena);
    struct tsi_take take = {.at = bytes, .end = bytes + sizeof bytes, .scratch = &arena};
    tsi_memory_fail_after(0);
    tsi_take_text(&take, 3);
    tsi_memory_fail_after(-1);
    cr_assert(take.failed && take.no_memory);
    tsi_arena_fini(&arena);
}
