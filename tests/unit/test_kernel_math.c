// SPDX-License-Identifier: Apache-2.0
//
// sin, cos, exp and log: arguments that stand next to where a function changes its way, on every
// instruction set, in every place of a run and among any neighbours. The oracle is the C library in
// long double.

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "tests/support/kernel_case.h"
#include "tests/support/random.h"

#define COUNT 4096

static const enum tsi_op ops[] = {TSI_OP_SIN, TSI_OP_COS, TSI_OP_EXP, TSI_OP_LOG};

// Where a kernel, or its result, changes its kind.
static const double corners[] = {0.0,
                                 0x1p-1074,
                                 0x1p-1022,
                                 0x1p-149,
                                 0x1p-126,
                                 0x1p-27,
                                 0.5,
                                 0.75,
                                 0.96875,
                                 1.0,
                                 1.0625,
                                 1.5,
                                 0x1p10,
                                 0.34657359027997264,
                                 708.0,
                                 709.7827128,
                                 745.1332191019411,
                                 750.0,
                                 711.0,
                                 88.72283,
                                 103.97208,
                                 87.336544,
                                 0x1.9p15,
                                 0x1p20,
                                 0x1p30,
                                 0x1p38,
                                 0x1p53,
                                 0x1.fffffep127,
                                 0x1p127,
                                 0x1p1023,
                                 0x1.8p1023,
                                 1e300,
                                 INFINITY,
                                 22.0,
                                 6381956970095103 * 0x1p797,
                                 0.7853981633974483,
                                 1.5707963267948966,
                                 3.141592653589793,
                                 51471.85,
                                 411774.0};
#define CORNERS ((int)(sizeof(corners) / sizeof(*corners)))

static long double
exactly(enum tsi_op op, double x)
{
    return op == TSI_OP_SIN   ? sinl(x)
           : op == TSI_OP_COS ? cosl(x)
           : op == TSI_OP_EXP ? expl(x)
                              : logl(x);
}

// Corners and their neighbours, and numbers of every size.
static double
argument(struct test_random *state, int i)
{
    const uint64_t random = test_random_bits(state);
    double x = ldexp(1.0 + (double)(random >> 12) * 0x1p-52, (int)(random % 2098) - 1074);
    if (i % 4 == 0) {
        x = corners[i / 4 % CORNERS];
        for (uint64_t step = random >> 60; step > 12; step--) {
            x = nextafter(x, random % 2 == 0 ? INFINITY : 0);
        }
    } else if (i % 4 == 1) {
        x = ldexp(x, -ilogb(x) + (int)(random % 48) - 20);
    }
    return (random >> 40) % 2 == 0 ? x : -x;
}

static void
fill(tess_dtype dtype, void *out, uint64_t seed)
{
    struct test_random state = {seed};
    for (int i = 0; i < COUNT; i++) {
        const double x = argument(&state, i);
        if (dtype == TESS_F32) {
            ((float *)out)[i] = (float)x;
        } else {
            ((double *)out)[i] = x;
        }
    }
}

static double
element(tess_dtype dtype, const void *from, int i)
{
    return dtype == TESS_F32 ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

Test(kernel_math, functions_are_within_one_ulp_at_every_size)
{
    static double x[COUNT];
    static double y[COUNT];
    for (int which = 0; which < 8; which++) {
        const enum tsi_op op = ops[which / 2];
        const tess_dtype dtype = which % 2 == 0 ? TESS_F32 : TESS_F64;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            fill(dtype, x, seed);
            tsi_kernel()->map[op][dtype](COUNT, y, x, NULL, NULL);
            for (int i = 0; i < COUNT; i++) {
                const double of = element(dtype, x, i);
                const double ulps = kernel_case_ulps(dtype, element(dtype, y, i), exactly(op, of));
                cr_assert(ulps <= 0.9, "%s of %s %a: %g ulp", tsi_op_row(op)->name,
                          tess_dtype_name(dtype), of, ulps);
            }
        }
    }
}

Test(kernel_math, all_instruction_sets_give_the_same_bits)
{
    static double x[COUNT];
    static double y[2][COUNT];
    const struct tsi_kernel_table *table;
    for (int t = 1; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int which = 0; which < 8; which++) {
            const enum tsi_op op = ops[which / 2];
            const tess_dtype dtype = which % 2 == 0 ? TESS_F32 : TESS_F64;
            const size_t bytes = tess_dtype_bytes(dtype);
            for (uint64_t seed = 21; seed <= 40; seed++) {
                fill(dtype, x, seed);
                tsi_kernel_of(0)->map[op][dtype](COUNT, y[0], x, NULL, NULL);
                table->map[op][dtype](COUNT, y[1], x, NULL, NULL);
                for (int i = 0; i < COUNT; i++) {
                    cr_assert(kernel_case_same(dtype, (const char *)y[0] + (size_t)i * bytes,
                                               (const char *)y[1] + (size_t)i * bytes),
                              "%s: %s of %s %a", table->isa, tsi_op_row(op)->name,
                              tess_dtype_name(dtype), element(dtype, x, i));
                }
            }
        }
    }
}

// An element alone, against the same one in a run of each length, easy and hard ones around it.
Test(kernel_math, neighbours_and_places_do_not_matter)
{
    static double x[COUNT];
    static double y[COUNT];
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int which = 0; which < 8; which++) {
            const enum tsi_op op = ops[which / 2];
            const tess_dtype dtype = which % 2 == 0 ? TESS_F32 : TESS_F64;
            const size_t bytes = tess_dtype_bytes(dtype);
            fill(dtype, x, 99);
            for (int count = 1; count <= 70; count++) {
                const char *from = (const char *)x + (size_t)(7 * count) * bytes;
                char *to = (char *)y + bytes;
                memset(y, 0x5A, sizeof(y));
                table->map[op][dtype](count, to, from, NULL, NULL);
                cr_assert(to[(size_t)count * bytes] == 0x5A, "wrote beyond %d", count);
                for (int i = 0; i < count; i++) {
                    double alone;
                    table->map[op][dtype](1, &alone, from + (size_t)i * bytes, NULL, NULL);
                    cr_assert(kernel_case_same(dtype, &alone, to + (size_t)i * bytes),
                              "%s: %s of %s, %d of %d", table->isa, tsi_op_row(op)->name,
                              tess_dtype_name(dtype), i, count);
                }
            }
        }
    }
}

static double
value_of(const struct tsi_kernel_table *table, enum tsi_op op, double x)
{
    double y;
    table->map[op][TESS_F64](1, &y, &x, NULL, NULL);
    return y;
}

static bool
is_zero(double x, bool is_negative)
{
    return x == 0 && signbit(x) == is_negative;
}

// What Annex F of the C standard says.
Test(kernel_math, special_values_have_their_results)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        cr_assert(is_zero(value_of(table, TSI_OP_SIN, 0.0), false));
        cr_assert(is_zero(value_of(table, TSI_OP_SIN, -0.0), true));
        cr_assert(value_of(table, TSI_OP_SIN, -0x1p-1074) == -0x1p-1074);
        cr_assert(value_of(table, TSI_OP_COS, 0.0) == 1.0);
        cr_assert(isnan(value_of(table, TSI_OP_SIN, INFINITY)));
        cr_assert(isnan(value_of(table, TSI_OP_COS, -INFINITY)));
        cr_assert(value_of(table, TSI_OP_EXP, -0.0) == 1.0);
        cr_assert(value_of(table, TSI_OP_EXP, INFINITY) == INFINITY);
        cr_assert(value_of(table, TSI_OP_EXP, 710.0) == INFINITY);
        cr_assert(is_zero(value_of(table, TSI_OP_EXP, -INFINITY), false));
        cr_assert(is_zero(value_of(table, TSI_OP_EXP, -746.0), false));
        cr_assert(is_zero(value_of(table, TSI_OP_LOG, 1.0), false));
        cr_assert(value_of(table, TSI_OP_LOG, 0.0) == -INFINITY);
        cr_assert(value_of(table, TSI_OP_LOG, -0.0) == -INFINITY);
        cr_assert(value_of(table, TSI_OP_LOG, INFINITY) == INFINITY);
        cr_assert(isnan(value_of(table, TSI_OP_LOG, -1.0)));
        cr_assert(isnan(value_of(table, TSI_OP_LOG, -INFINITY)));
        for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
            cr_assert(isnan(value_of(table, ops[k], NAN)));
        }
    }
}

// Every 4099th float32, or every one if the environment says TESSERA_TEST_FLOATS=1.
Test(kernel_math, float32_is_half_a_unit_and_little_more, .timeout = 0)
{
    static float x[COUNT];
    static float y[COUNT];
    const char *said = getenv("TESSERA_TEST_FLOATS");
    const uint64_t step = said != NULL ? strtoull(said, NULL, 10) : 4099;
    for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
        double worst = 0;
        uint64_t next = 0;
        while (next >> 32 == 0) {
            for (int i = 0; i < COUNT; i++, next += step) {
                const uint32_t bits = (uint32_t)next;
                memcpy(&x[i], &bits, sizeof(bits));
            }
            tsi_kernel()->map[ops[k]][TESS_F32](COUNT, y, x, NULL, NULL);
            for (int i = 0; i < COUNT; i++) {
                // Wider than what is looked for by a thousand times.
                const double near = ops[k] == TSI_OP_SIN   ? sin((double)x[i])
                                    : ops[k] == TSI_OP_COS ? cos((double)x[i])
                                    : ops[k] == TSI_OP_EXP ? exp((double)x[i])
                                                           : log((double)x[i]);
                worst = fmax(worst, kernel_case_ulps(TESS_F32, (double)y[i], near));
            }
        }
        cr_assert(worst <= 0.57, "%s: %g ulp", tsi_op_row(ops[k])->name, worst);
    }
}

// All tables of one processor are compared above; this number compares processors.
Test(kernel_math, every_processor_gives_the_same_bits)
{
    static double x[COUNT];
    static double y[COUNT];
    uint64_t digest = 0;
    for (int which = 0; which < 8; which++) {
        const tess_dtype dtype = which % 2 == 0 ? TESS_F32 : TESS_F64;
        fill(dtype, x, 7);
        tsi_kernel()->map[ops[which / 2]][dtype](COUNT, y, x, NULL, NULL);
        for (int i = 0; i < COUNT; i++) {
            const double value = element(dtype, y, i);
            uint64_t bits = 0;
            if (!isnan(value)) {
                memcpy(&bits, &value, sizeof(bits));
            }
            digest = (digest ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
            digest ^= digest >> 29;
        }
    }
    cr_assert(digest == UINT64_C(0x98C6CC1F557FE9C5), "0x%016llX", (unsigned long long)digest);
}
