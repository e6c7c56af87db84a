// SPDX-License-Identifier: Apache-2.0
//
// Every conversion of every instruction set against the oracle, with what is out of range.

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"
#include "tests/support/kernel_case.h"

#define COUNT 5000

static uint64_t in[COUNT];
static uint64_t out[COUNT];

static void
check_cast(const struct tsi_kernel_table *table, tess_dtype from, tess_dtype to)
{
    cr_assert(table->cast[from][to] != NULL);
    kernel_case_fill(KERNEL_VALUES_ANY, from, COUNT, in, 5);
    table->cast[from][to](COUNT, out, in);
    for (size_t i = 0; i < COUNT; i++) {
        char wanted[8];
        const void *x = (const char *)in + i * tess_dtype_bytes(from);
        const void *got = (const char *)out + i * tess_dtype_bytes(to);
        test_value_write(test_value_cast(test_value_read(from, x), to), wanted);
        cr_assert(kernel_case_same(to, got, wanted), "%s %s to %s: element %zu", table->isa,
                  tess_dtype_name(from), tess_dtype_name(to), i);
    }
}

Test(kernel_cast, every_type_becomes_every_type)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int from = TESS_BOOL; from < TESS_DTYPE_COUNT; from++) {
            for (int to = TESS_BOOL; to < TESS_DTYPE_COUNT; to++) {
                check_cast(table, (tess_dtype)from, (tess_dtype)to);
            }
        }
    }
}

Test(kernel_cast, floats_out_of_range_become_the_nearest_integer)
{
    const double x[8] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 127.9, -128.9, -0.9};
    const int8_t signed_8[8] = {0, 127, -128, 127, -128, 127, -128, 0};
    const uint8_t unsigned_8[8] = {0, 255, 0, 255, 0, 127, 0, 0};
    const int64_t signed_64[8] = {0, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, 127, -128, 0};
    const uint64_t unsigned_64[8] = {0, UINT64_MAX, 0, UINT64_MAX, 0, 127, 0, 0};
    const uint8_t truth[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        table->cast[TESS_F64][TESS_I8](8, out, x);
        cr_assert(memcmp(out, signed_8, sizeof(signed_8)) == 0);
        table->cast[TESS_F64][TESS_U8](8, out, x);
        cr_assert(memcmp(out, unsigned_8, sizeof(unsigned_8)) == 0);
        table->cast[TESS_F64][TESS_I64](8, out, x);
        cr_assert(memcmp(out, signed_64, sizeof(signed_64)) == 0);
        table->cast[TESS_F64][TESS_U64](8, out, x);
        cr_assert(memcmp(out, unsigned_64, sizeof(unsigned_64)) == 0);
        table->cast[TESS_F64][TESS_BOOL](8, out, x);
        cr_assert(memcmp(out, truth, sizeof(truth)) == 0);
    }
}

Test(kernel_cast, integers_keep_their_low_bits)
{
    const int64_t x[4] = {-1, 256, 0x123456789, INT64_MIN};
    const uint8_t low[4] = {255, 0, 0x89, 0};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        table->cast[TESS_I64][TESS_U8](4, out, x);
        cr_assert(memcmp(out, low, sizeof(low)) == 0);
    }
}
