// SPDX-License-Identifier: Apache-2.0
//
// arange, linspace and eye against their formulas, for every type, run and instruction set.

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"
#include "tests/support/kernel_case.h"

#define COUNT 700

static uint64_t out[COUNT];

static struct test_value
value_at(enum tsi_source source, tess_dtype dtype, int64_t index,
         const struct tsi_source_params *params)
{
    switch (source) {
    case TSI_SOURCE_ARANGE:
        return test_value_is_integer(dtype)
                   ? test_value_of_bits(dtype, (uint64_t)params->ia +
                                                   (uint64_t)index * (uint64_t)params->ib)
                   : test_value_of_f64(dtype, params->a + (double)index * params->b);
    case TSI_SOURCE_LINSPACE:
        return test_value_of_f64(dtype, index < params->ia ? params->a + (double)index * params->c
                                                           : params->b);
    default:
        return test_value_of_f64(dtype, index == params->ia ? 1 : 0);
    }
}

static void
check(const struct tsi_kernel_table *table, enum tsi_source source, tess_dtype dtype,
      const struct tsi_source_params *params, int64_t first, int64_t stride)
{
    cr_assert(table->source[source][dtype] != NULL);
    const size_t bytes = tess_dtype_bytes(dtype);
    memset(out, 0x5A, sizeof(out));
    table->source[source][dtype](COUNT - 1, out, (struct tsi_kernel_index){first, stride}, params);
    for (int64_t t = 0; t < COUNT - 1; t++) {
        char wanted[8];
        test_value_write(value_at(source, dtype, first + t * stride, params), wanted);
        cr_assert(kernel_case_same(dtype, (char *)out + (size_t)t * bytes, wanted),
                  "%s: source %d of %s, element %lld from %lld by %lld", table->isa, (int)source,
                  tess_dtype_name(dtype), (long long)t, (long long)first, (long long)stride);
    }
    cr_assert(((uint8_t *)out)[(COUNT - 1) * bytes] == 0x5A);
}

static void
check_all(enum tsi_source source, const struct tsi_source_params *params, int64_t first,
          int64_t stride)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            check(table, source, (tess_dtype)dtype, params, first, stride);
        }
    }
}

Test(kernel_source, arange_is_computed_from_the_index)
{
    const struct tsi_source_params params = {.a = 0.1, .b = -0.3, .ia = 7, .ib = -3};
    check_all(TSI_SOURCE_ARANGE, &params, 0, 1);
    check_all(TSI_SOURCE_ARANGE, &params, 100000, -7);
    check_all(TSI_SOURCE_ARANGE, &params, INT64_C(1) << 60, 0);
}

// Indices below 2^52 are converted in another way than those from there on, and negative ones.
Test(kernel_source, any_index_is_rounded_as_a_number)
{
    const struct tsi_source_params steps = {.a = 0.5, .b = 0.7, .ia = 7, .ib = -3};
    const struct tsi_source_params ends = {.a = -1, .b = 2, .c = 0.3, .ia = INT64_MAX};
    const int64_t end = INT64_C(1) << 52;
    const struct tsi_kernel_index runs[] = {
        {end - COUNT + 1, 1}, {end - COUNT + 2, 1},  {end, 1},    {end - 1, -1},
        {end + 3, -1},        {COUNT - 3, -1},       {-9, 1},     {(end << 8) + 1, 3},
        {3, end / 600},       {1, INT64_C(1) << 53}, {end - 5, 0}};
    for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
        check_all(TSI_SOURCE_ARANGE, &steps, runs[i].first, runs[i].stride);
        check_all(TSI_SOURCE_LINSPACE, &ends, runs[i].first, runs[i].stride);
    }
}

Test(kernel_source, arange_of_integers_wraps)
{
    const struct tsi_source_params params = {.a = 0, .b = 1, .ia = INT64_MAX - 3, .ib = 2};
    check_all(TSI_SOURCE_ARANGE, &params, 0, 1);
}

Test(kernel_source, linspace_ends_at_its_end)
{
    const struct tsi_source_params params = {.a = -10, .b = 300.7, .c = 310.7 / 698, .ia = 698};
    check_all(TSI_SOURCE_LINSPACE, &params, 0, 1);
    check_all(TSI_SOURCE_LINSPACE, &params, 698, -1);
}

Test(kernel_source, eye_is_one_on_its_diagonal)
{
    const struct tsi_source_params params = {.ia = 13};
    check_all(TSI_SOURCE_EYE, &params, 0, 1);
    check_all(TSI_SOURCE_EYE, &params, 300, -1);
    check_all(TSI_SOURCE_EYE, &params, 13, 0);
}
