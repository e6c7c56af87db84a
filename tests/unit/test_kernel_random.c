// SPDX-License-Identifier: Apache-2.0
//
// The random sources against docs/random.md: the bits by the scalar Philox, whose known answers are
// published, the numbers by 80-bit arithmetic.

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/kernel/philox.h"
#include "tests/support/kernel_case.h"

static const struct tsi_source_params standard = {.a = 0, .b = 1, .seed = 42, .stream = 3};

Test(kernel_random, philox_gives_its_published_answers)
{
    static const uint32_t rows[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        tsi_philox4x32(rows[i], rows[i] + 4, out);
        cr_assert(memcmp(out, rows[i] + 6, sizeof(out)) == 0, "known answer %d", i);
    }
}

// The 64 bits of element `index`.
static uint64_t
bits_of(int64_t index, const struct tsi_source_params *params, uint32_t attempt)
{
    const uint64_t block = (uint64_t)index >> 1;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), params->stream, attempt};
    const uint32_t key[2] = {(uint32_t)params->seed, (uint32_t)(params->seed >> 32)};
    uint32_t word[4];
    tsi_philox4x32(counter, key, word);
    const int half = (int)(index & 1);
    return word[2 * half] | (uint64_t)word[2 * half + 1] << 32;
}

// How far a kernel's standard normal may be from the exact number of its bits.
#define NORMAL_ULPS 6.0

// The number that the radius is made of: an odd number of 64 bits, rounded to 53.
static double
radius_bits(int64_t index, const struct tsi_source_params *params)
{
    return (double)(bits_of(index & ~INT64_C(1), params, 0) | 1);
}

static double
normal_error(int64_t index, const struct tsi_source_params *params, double got)
{
    const long double mean = params->a;
    const long double deviation = params->b;
    const long double u = ldexpl((long double)radius_bits(index, params), -64);
    const uint64_t h1 = bits_of(index | 1, params, 0);
    const long double radius = sqrtl(-2 * logl(u));
    const long double half_pi = 3.14159265358979323846264338327950288L / 2;
    const long double angle =
        half_pi * (ldexpl((long double)(h1 & UINT64_C(0xFFFFFFFFFFFFF)), -52) - 0.5L);
    const long double along = (h1 >> 63) != 0 ? -cosl(angle) : cosl(angle);
    const bool is_along = (h1 >> 62 & 1) == (uint64_t)(index & 1);
    const long double standard_normal = radius * (is_along ? along : sinl(angle));
    return kernel_case_ulps(TESS_F64, got, mean + deviation * standard_normal);
}

Test(kernel_random, normals_are_what_box_and_muller_say)
{
    static double x[200000];
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        double worst = 0;
        const struct tsi_kernel_index index = {INT64_C(12345678901), 1};
        table->source[TSI_SOURCE_NORMAL][TESS_F64](200000, x, index, &standard);
        for (int64_t i = 0; i < 200000; i++) {
            worst = fmax(worst, normal_error(index.first + i, &standard, x[i]));
        }
        cr_assert(worst <= NORMAL_ULPS, "%s: %g ulp", table->isa, worst);
    }
}

// Blocks whose first half is near the ends of its range; found by running Philox backwards.
static const struct {
    uint64_t block;
    uint32_t stream;
    uint64_t upper; // the upper 53 bits of half 0
} extremes[] = {
    {UINT64_C(0x27f28965d8815c7c), 0x9baf5b3d, UINT64_C(0x1FFFFFFFFFFFFF)},
    {UINT64_C(0x1bf8fca7aceb94e8), 0x5536a686, UINT64_C(0x1FFFFFFFFFFFFF)},
    {UINT64_C(0x1656e139a5c3571d), 0xb77cb227, UINT64_C(0x1FFFFFFFFFFFFE)},
    {UINT64_C(0x1406eaa2da849f84), 0x6e54ccc2, 0},
    {UINT64_C(0x29e043ec9f79ac8d), 0x0c85ce1a, 0x3908d >> 11}, // a radius of 8
};

Test(kernel_random, normals_are_right_at_the_ends_of_the_radius)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t i = 0; i < sizeof(extremes) / sizeof(*extremes); i++) {
            struct tsi_source_params params = standard;
            params.stream = extremes[i].stream;
            const int64_t first = (int64_t)(extremes[i].block * 2);
            double x[2];
            cr_assert(bits_of(first, &params, 0) >> 11 == extremes[i].upper);
            table->source[TSI_SOURCE_NORMAL][TESS_F64](2, x, (struct tsi_kernel_index){first, 1},
                                                       &params);
            if (radius_bits(first, &params) == 0x1p64) {
                cr_assert(x[0] == 0 && x[1] == 0);
                continue;
            }
            cr_assert(normal_error(first, &params, x[0]) <= NORMAL_ULPS);
            cr_assert(normal_error(first + 1, &params, x[1]) <= NORMAL_ULPS);
        }
    }
}

// By decimal arithmetic of 60 digits over a Philox of its own: seed, stream, element, number.
static const struct {
    uint64_t seed;
    uint32_t stream;
    int64_t element;
    long double number;
} answers[] = {
    {UINT64_C(0x2a), 0x3, INT64_C(0), -0.9301217968921313114081L},
    {UINT64_C(0x2a), 0x3, INT64_C(1), -0.8668472888922934958117L},
    {UINT64_C(0x2a), 0x3, INT64_C(2), 2.02601776095523911615433L},
    {UINT64_C(0x2a), 0x3, INT64_C(3), 0.46059312058427151389149L},
    {UINT64_C(0x0), 0x0, INT64_C(0), -0.3854822043201195946168L},
    {UINT64_C(0x0), 0x0, INT64_C(1), -0.3254048164138280335942L},
    {UINT64_C(0xffffffffffffffff), 0xffffffff, INT64_C(1099511627776), 0.71494597329841414503216L},
    {UINT64_C(0x123456789abcdef0), 0x7, INT64_C(9999999999), 0.29013537558022568966228L},
    {UINT64_C(0x1), 0x2, INT64_C(8589934591), 1.75020844074967292752931L},
    {UINT64_C(0x1), 0x2, INT64_C(8589934592), 1.85420595572032711412177L},
    {UINT64_C(0x100000000), 0x0, INT64_C(12345), 0.53844520875937068228120L},
    {UINT64_C(0x8000000000000000), 0x1, INT64_C(4611686018427387904), 0.48860244831918781526361L},
};

Test(kernel_random, normals_have_the_answers_of_long_decimals)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
            const struct tsi_source_params params = {
                .a = 0, .b = 1, .seed = answers[i].seed, .stream = answers[i].stream};
            double x;
            table->source[TSI_SOURCE_NORMAL][TESS_F64](
                1, &x, (struct tsi_kernel_index){answers[i].element, 1}, &params);
            cr_assert(kernel_case_ulps(TESS_F64, x, answers[i].number) <= NORMAL_ULPS,
                      "%s: answer %zu is %.17g", table->isa, i, x);
        }
    }
}

Test(kernel_random, uniforms_are_exactly_their_bits)
{
    static double x[20001];
    struct tsi_source_params params = standard;
    const struct tsi_kernel_index index = {1, 1};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        params.a = 0;
        params.b = 1;
        table->source[TSI_SOURCE_UNIFORM][TESS_F64](20001, x, index, &params);
        for (int64_t i = 0; i < 20001; i++) {
            cr_assert(x[i] == ldexp((double)(bits_of(1 + i, &params, 0) >> 11), -53));
        }
        params.a = -3;
        params.b = 10;
        table->source[TSI_SOURCE_UNIFORM][TESS_F64](20001, x, index, &params);
        for (int64_t i = 0; i < 20001; i++) {
            const double u = ldexp((double)(bits_of(1 + i, &params, 0) >> 11), -53);
            cr_assert(x[i] == -3 + 13 * u);
        }
    }
}

Test(kernel_random, uniforms_stay_below_the_end_of_every_range)
{
    static const double ranges[][2] = {
        {1, 1 + 0x1p-52}, {-1 - 0x1p-52, -1}, {0, 5e-324},         {-1.5e308, 1.5e308},
        {7, 7},           {1e16, 1e16 + 6},   {-0x1.8p1023, 1e308}};
    static double x[1000];
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t r = 0; r < sizeof(ranges) / sizeof(*ranges); r++) {
            const double low = ranges[r][0];
            const double high = ranges[r][1];
            const struct tsi_source_params params = {.a = low, .b = high, .seed = 1};
            table->source[TSI_SOURCE_UNIFORM][TESS_F64](1000, x, (struct tsi_kernel_index){0, 1},
                                                        &params);
            for (int i = 0; i < 1000; i++) {
                cr_assert(x[i] >= low && (x[i] < high || low == high), "[%a, %a): %a", low, high,
                          x[i]);
            }
        }
    }
}

static void
check_integers(const struct tsi_kernel_table *table, int64_t low, uint64_t bound)
{
    static int64_t x[3000];
    struct tsi_source_params params = standard;
    params.ia = low;
    params.ib = (int64_t)bound;
    const struct tsi_kernel_index index = {INT64_C(1) << 33, 1};
    table->source[TSI_SOURCE_INTEGERS][TESS_I64](3000, x, index, &params);
    for (int64_t i = 0; i < 3000; i++) {
        uint64_t wanted = bits_of(index.first + i, &params, 0);
        for (uint32_t attempt = 0; bound != 0; attempt++) {
            __extension__ const unsigned __int128 product =
                (unsigned __int128)bits_of(index.first + i, &params, attempt) * bound;
            wanted = (uint64_t)(product >> 64);
            if ((uint64_t)product >= (0 - bound) % bound) {
                break;
            }
        }
        cr_assert((uint64_t)x[i] == (uint64_t)low + wanted, "%s: bound %llu", table->isa,
                  (unsigned long long)bound);
    }
}

Test(kernel_random, integers_take_the_next_attempt_where_the_product_is_biased)
{
    static const uint64_t bounds[] = {1,
                                      2,
                                      3,
                                      1000,
                                      UINT64_C(1) << 32,
                                      UINT64_C(0x8000000000000001),
                                      UINT64_C(0xC000000000000000),
                                      UINT64_MAX,
                                      0};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t b = 0; b < sizeof(bounds) / sizeof(*bounds); b++) {
            check_integers(table, -5, bounds[b]);
        }
    }
}

Test(kernel_random, integers_fill_every_type)
{
    const struct tsi_kernel_table *table;
    static const tess_dtype types[] = {TESS_I8,  TESS_U8,  TESS_I16, TESS_U16,
                                       TESS_I32, TESS_U32, TESS_U64};
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        static int64_t wide[777];
        static uint64_t narrow[777];
        static uint64_t wanted[777];
        const struct tsi_source_params params = {.ia = 5, .ib = 100, .seed = 9};
        const struct tsi_kernel_index index = {3, 1};
        table->source[TSI_SOURCE_INTEGERS][TESS_I64](777, wide, index, &params);
        for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++) {
            table->source[TSI_SOURCE_INTEGERS][types[k]](777, narrow, index, &params);
            table->cast[TESS_I64][types[k]](777, wanted, wide);
            cr_assert(memcmp(narrow, wanted, 777 * tess_dtype_bytes(types[k])) == 0);
        }
        for (int i = 0; i < 777; i++) {
            cr_assert(wide[i] >= 5 && wide[i] < 105);
        }
    }
}

// Any run of an array gives the elements of the whole: other strides, other starts, other cuts.
static void
check_runs(tsi_kernel_source *source, tess_dtype dtype)
{
    static uint64_t whole[4000];
    static uint64_t part[4000];
    const size_t bytes = tess_dtype_bytes(dtype);
    const struct tsi_source_params params = {
        .a = -1, .b = 2, .ia = 7, .ib = 1000, .seed = 77, .stream = 1};
    const int64_t base = (INT64_C(1) << 33) - 2000;
    source(4000, whole, (struct tsi_kernel_index){base, 1}, &params);
    for (int64_t stride = -9; stride <= 9; stride++) {
        for (int64_t count = 0; count < 205; count++) {
            const int64_t first = 2000 + count % 3;
            source(count, part, (struct tsi_kernel_index){base + first, stride}, &params);
            for (int64_t i = 0; i < count; i++) {
                cr_assert(memcmp((char *)part + (size_t)i * bytes,
                                 (char *)whole + (size_t)(first + i * stride) * bytes, bytes) == 0,
                          "%s: stride %lld, element %lld of %lld", tess_dtype_name(dtype),
                          (long long)stride, (long long)i, (long long)count);
            }
        }
    }
}

Test(kernel_random, an_element_has_the_same_bits_in_every_run)
{
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int source = TSI_SOURCE_NORMAL; source <= TSI_SOURCE_INTEGERS; source++) {
            for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
                if (table->source[source][dtype] != NULL) {
                    check_runs(table->source[source][dtype], (tess_dtype)dtype);
                }
            }
        }
    }
}

Test(kernel_random, float32_normals_are_the_float64_ones_rounded)
{
    static double wide[2500];
    static float narrow[2500];
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        const struct tsi_kernel_index index = {5, 1};
        table->source[TSI_SOURCE_NORMAL][TESS_F64](2500, wide, index, &standard);
        table->source[TSI_SOURCE_NORMAL][TESS_F32](2500, narrow, index, &standard);
        for (int i = 0; i < 2500; i++) {
            cr_assert(narrow[i] == (float)wide[i]);
        }
    }
}

Test(kernel_random, mean_and_deviation_scale_the_standard_normal)
{
    static double x[5000];
    static const double wanted[][3] = {{1e3, 0.25, 0.51}, {0, 3.7, NORMAL_ULPS}, {5, -0.001, 0.51}};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
            struct tsi_source_params params = standard;
            params.a = wanted[k][0];
            params.b = wanted[k][1];
            table->source[TSI_SOURCE_NORMAL][TESS_F64](5000, x, (struct tsi_kernel_index){0, 1},
                                                       &params);
            for (int i = 0; i < 5000; i++) {
                cr_assert(normal_error(i, &params, x[i]) <= wanted[k][2], "%g, %g: element %d",
                          params.a, params.b, i);
            }
        }
    }
}

Test(kernel_random, streams_and_seeds_differ)
{
    double x[3][8];
    struct tsi_source_params params[3] = {standard, standard, standard};
    params[1].stream = 4;
    params[2].seed = UINT64_C(42) | UINT64_C(1) << 32;
    for (int k = 0; k < 3; k++) {
        tsi_kernel()->source[TSI_SOURCE_NORMAL][TESS_F64](8, x[k], (struct tsi_kernel_index){0, 1},
                                                          &params[k]);
    }
    for (int i = 0; i < 8; i++) {
        cr_assert(x[0][i] != x[1][i] && x[0][i] != x[2][i] && x[1][i] != x[2][i]);
    }
}

// A change of these is a change of the wire version.
Test(kernel_random, the_bits_of_a_seed_stay_what_they_are)
{
    static double x[100000];
    static const uint64_t wanted[2] = {UINT64_C(0x575b6b6f09cd8a06), UINT64_C(0x7d5a26aff1e16eef)};
    const struct tsi_kernel_table *table;
    for (int t = 0; (table = tsi_kernel_of(t)) != NULL; t++) {
        for (int k = 0; k < 2; k++) {
            uint64_t hash = 0;
            table->source[k == 0 ? TSI_SOURCE_NORMAL : TSI_SOURCE_UNIFORM][TESS_F64](
                100000, x, (struct tsi_kernel_index){0, 1}, &standard);
            for (int i = 0; i < 100000; i++) {
                uint64_t bits;
                memcpy(&bits, &x[i], sizeof(bits));
                hash = (hash ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
            }
            cr_assert(hash == wanted[k], "%s: %016llx", table->isa, (unsigned long long)hash);
        }
    }
}
