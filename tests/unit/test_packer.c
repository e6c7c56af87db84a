// SPDX-License-Identifier: Apache-2.0

#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/program/packer.h"

static const uint64_t numbers[] = {
    0,
    1,
    127,
    128,
    129,
    255,
    256,
    16383,
    16384,
    0xFFFFFFFF,
    UINT64_C(1) << 32,
    UINT64_C(1) << 62,
    UINT64_C(1) << 63,
    UINT64_MAX - 1,
    UINT64_MAX,
};
enum { NUMBER_COUNT = sizeof numbers / sizeof numbers[0] };

Test(packer, numbers_come_back)
{
    struct tsi_packer out = {0};
    for (int i = 0; i < NUMBER_COUNT; i++) {
        tsi_packer_put_uint(&out, numbers[i]);
        tsi_packer_put_int(&out, (int64_t)numbers[i]);
        tsi_packer_put_int(&out, -(int64_t)(numbers[i] >> 1));
        tsi_packer_put_fixed(&out, numbers[i]);
        tsi_packer_put_byte(&out, (uint8_t)numbers[i]);
    }
    tsi_packer_put_double(&out, -0.0);
    tsi_packer_put_double(&out, INFINITY);
    tsi_packer_put_bytes(&out, "abc", 3);
    tsi_packer_put_bytes(&out, NULL, 0);
    cr_assert(!out.failed);

    struct tsi_unpacker in = tsi_unpacker_of(out.bytes, out.count);
    for (int i = 0; i < NUMBER_COUNT; i++) {
        cr_assert(tsi_unpacker_take_uint(&in) == numbers[i], "number %d", i);
        cr_assert(tsi_unpacker_take_int(&in) == (int64_t)numbers[i], "number %d", i);
        cr_assert(tsi_unpacker_take_int(&in) == -(int64_t)(numbers[i] >> 1), "number %d", i);
        cr_assert(tsi_unpacker_take_fixed(&in) == numbers[i], "number %d", i);
        cr_assert(tsi_unpacker_take_byte(&in) == (uint8_t)numbers[i], "number %d", i);
    }
    const double zero = tsi_unpacker_take_double(&in);
    cr_assert(zero == 0 && signbit(zero));
    cr_assert(isinf(tsi_unpacker_take_double(&in)));
    cr_assert(memcmp(tsi_unpacker_take_bytes(&in, 3), "abc", 3) == 0);
    cr_assert(!in.failed && tsi_unpacker_left(&in) == 0);
    tsi_free(out.bytes);
}

Test(packer, bytes_are_as_documented)
{
    static const unsigned char expected[] = {
        0x00, 0x7f, 0x80, 0x01, 0x01, 0x02, 0x03, 8, 7, 6, 5, 4, 3, 2, 1,
    };
    struct tsi_packer out = {0};
    tsi_packer_put_uint(&out, 0);
    tsi_packer_put_uint(&out, 127);
    tsi_packer_put_uint(&out, 128);
    tsi_packer_put_int(&out, -1);
    tsi_packer_put_int(&out, 1);
    tsi_packer_put_int(&out, -2);
    tsi_packer_put_fixed(&out, UINT64_C(0x0102030405060708));
    cr_assert(out.count == sizeof expected && memcmp(out.bytes, expected, out.count) == 0);
    tsi_free(out.bytes);
}

Test(packer, small_numbers_take_one_byte)
{
    struct tsi_packer out = {0};
    tsi_packer_put_uint(&out, 127);
    tsi_packer_put_int(&out, -64);
    tsi_packer_put_int(&out, 63);
    cr_assert(out.count == 3);
    tsi_packer_put_uint(&out, UINT64_MAX);
    cr_assert(out.count == 13);
    tsi_free(out.bytes);
}

Test(packer, wrong_spellings_fail)
{
    static const struct {
        size_t count;
        unsigned char bytes[12];
    } wrong[] = {
        {0, {0}},
        {1, {0x80}},
        {2, {0x80, 0x80}},
        {2, {0x81, 0x00}},
        {3, {0xff, 0x80, 0x00}},
        {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}},
        {11, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x01}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tsi_unpacker in = tsi_unpacker_of(wrong[i].bytes, wrong[i].count);
        cr_assert(tsi_unpacker_take_uint(&in) == 0, "case %zu", i);
        cr_assert(in.failed && tsi_unpacker_left(&in) == 0, "case %zu", i);
    }
}

Test(packer, a_failure_lasts)
{
    static const unsigned char bytes[] = {5, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct tsi_unpacker in = tsi_unpacker_of(bytes, sizeof bytes);
    cr_assert(tsi_unpacker_take_up_to(&in, 5) == 5 && !in.failed);
    cr_assert(!tsi_unpacker_take_bool(&in) || in.failed);
    cr_assert(in.failed);
    cr_assert(tsi_unpacker_take_byte(&in) == 0);
    cr_assert(tsi_unpacker_take_fixed(&in) == 0);
    cr_assert(tsi_unpacker_take_uint(&in) == 0);
    cr_assert(tsi_unpacker_take_int(&in) == 0);
    cr_assert(tsi_unpacker_take_count(&in) == 0);
    cr_assert(tsi_unpacker_take_bytes(&in, 1) == NULL);

    in = tsi_unpacker_of(bytes, sizeof bytes);
    cr_assert(tsi_unpacker_take_up_to(&in, 4) == 0 && in.failed);
    in = tsi_unpacker_of(bytes, 3);
    cr_assert(tsi_unpacker_take_count(&in) == 0 && in.failed);
    in = tsi_unpacker_of(bytes, 6);
    cr_assert(tsi_unpacker_take_count(&in) == 5 && !in.failed);
    in = tsi_unpacker_of(NULL, 0);
    cr_assert(tsi_unpacker_take_byte(&in) == 0 && in.failed);
}

Test(packer, memory_runs_out)
{
    struct tsi_packer out = {0};
    tsi_memory_fail_after(1);
    for (int i = 0; i < 10000; i++) {
        tsi_packer_put_byte(&out, 7);
    }
    tsi_memory_fail_after(-1);
    cr_assert(out.failed);
    const size_t count = out.count;
    tsi_packer_put_fixed(&out, 1);
    tsi_packer_put_bytes(&out, "abc", 3);
    cr_assert(out.count == count, "what failed stays as it was");
    tsi_free(out.bytes);
}
