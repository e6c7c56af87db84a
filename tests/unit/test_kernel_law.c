// SPDX-License-Identifier: Apache-2.0
//
// The distributions of the random sources at 10^6 elements: moments, Kolmogorov–Smirnov distances,
// correlations within and between blocks, and the frequencies of integers. The seeds are fixed, so
// a test that passes once passes always.

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/kernel/kernel.h"

#define MANY 1000000

static const struct tsi_source_params standard = {.a = 0, .b = 1, .seed = 42, .stream = 3};

static double many[MANY];

static int
compare(const void *x, const void *y)
{
    const double a = *(const double *)x;
    const double b = *(const double *)y;
    return (a > b) - (a < b);
}

static double
normal_cdf(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static double
uniform_cdf(double x)
{
    return x;
}

// The Kolmogorov–Smirnov distance times √n: above 2.2 once in 10,000 samples.
static double
distance(double (*cdf)(double))
{
    double worst = 0;
    qsort(many, MANY, sizeof(*many), compare);
    for (int i = 0; i < MANY; i++) {
        const double expected = cdf(many[i]);
        worst = fmax(worst, fabs(expected - (double)i / MANY));
        worst = fmax(worst, fabs(expected - (double)(i + 1) / MANY));
    }
    return worst * sqrt((double)MANY);
}

static double
moment(int power)
{
    double sum = 0;
    for (int i = 0; i < MANY; i++) {
        sum += pow(many[i], power);
    }
    return sum / MANY;
}

Test(kernel_law, normals_have_the_moments_and_the_distribution_of_the_normal)
{
    for (uint32_t stream = 0; stream < 2; stream++) {
        struct tsi_source_params params = standard;
        params.stream = stream;
        tsi_kernel()->source[TSI_SOURCE_NORMAL][TESS_F64](MANY, many,
                                                          (struct tsi_kernel_index){0, 1}, &params);
        // Five standard errors of each.
        cr_assert(fabs(moment(1)) < 5 * 1e-3);
        cr_assert(fabs(moment(2) - 1) < 5 * sqrt(2.0) * 1e-3);
        cr_assert(fabs(moment(3)) < 5 * sqrt(15.0) * 1e-3);
        cr_assert(fabs(moment(4) - 3) < 5 * sqrt(96.0) * 1e-3);
        cr_assert(distance(normal_cdf) < 2.2);
    }
}

Test(kernel_law, the_two_normals_of_a_block_are_not_correlated)
{
    tsi_kernel()->source[TSI_SOURCE_NORMAL][TESS_F64](MANY, many, (struct tsi_kernel_index){0, 1},
                                                      &standard);
    double within = 0;
    double next = 0;
    double squares = 0;
    for (int i = 0; i + 2 < MANY; i += 2) {
        within += many[i] * many[i + 1];
        next += many[i + 1] * many[i + 2];
        squares += (many[i] * many[i] - 1) * (many[i + 1] * many[i + 1] - 1);
    }
    const double n = MANY / 2.0;
    cr_assert(fabs(within / n) < 5 / sqrt(n));
    cr_assert(fabs(next / n) < 5 / sqrt(n));
    cr_assert(fabs(squares / n) < 5 * 2 / sqrt(n));
}

// A block's point in the plane: which octant it is in, and how far out.
Test(kernel_law, pairs_of_normals_have_all_directions_and_the_tails)
{
    static int64_t octant[8];
    int64_t beyond_4 = 0;
    int64_t beyond_5 = 0;
    const int rounds = 20;
    for (int round = 0; round < rounds; round++) {
        tsi_kernel()->source[TSI_SOURCE_NORMAL][TESS_F64](
            MANY, many, (struct tsi_kernel_index){(int64_t)round * MANY, 1}, &standard);
        for (int i = 0; i < MANY; i += 2) {
            const double x = many[i];
            const double y = many[i + 1];
            octant[(x < 0) | (y < 0) << 1 | (fabs(x) < fabs(y)) << 2]++;
            beyond_4 += (fabs(x) > 4) + (fabs(y) > 4);
            beyond_5 += (fabs(x) > 5) + (fabs(y) > 5);
        }
    }
    const double expected = rounds * (MANY / 16.0);
    double chi = 0;
    for (int k = 0; k < 8; k++) {
        chi += pow((double)octant[k] - expected, 2) / expected;
    }
    // 7 degrees of freedom: beyond this once in 10,000 times.
    cr_assert(chi < 29.9, "%g", chi);
    const double tail_4 = rounds * (double)MANY * 2 * normal_cdf(-4);
    const double tail_5 = rounds * (double)MANY * 2 * normal_cdf(-5);
    cr_assert(fabs((double)beyond_4 - tail_4) < 5 * sqrt(tail_4), "%lld", (long long)beyond_4);
    cr_assert(fabs((double)beyond_5 - tail_5) < 5 * sqrt(tail_5), "%lld", (long long)beyond_5);
}

Test(kernel_law, uniforms_have_the_moments_and_the_distribution_of_the_uniform)
{
    tsi_kernel()->source[TSI_SOURCE_UNIFORM][TESS_F64](MANY, many, (struct tsi_kernel_index){0, 1},
                                                       &standard);
    cr_assert(fabs(moment(1) - 0.5) < 5 * sqrt(1.0 / 12) * 1e-3);
    cr_assert(fabs(moment(2) - 1.0 / 3) < 5 * sqrt(4.0 / 45) * 1e-3);
    cr_assert(distance(uniform_cdf) < 2.2);
}

Test(kernel_law, integers_are_as_likely_as_each_other)
{
    static uint8_t x[MANY];
    static int64_t found[100];
    const struct tsi_source_params params = {.ia = 0, .ib = 100, .seed = 3};
    tsi_kernel()->source[TSI_SOURCE_INTEGERS][TESS_U8](MANY, x, (struct tsi_kernel_index){0, 1},
                                                       &params);
    for (int i = 0; i < MANY; i++) {
        found[x[i]]++;
    }
    double chi = 0;
    for (int k = 0; k < 100; k++) {
        chi += pow((double)found[k] - MANY / 100.0, 2) / (MANY / 100.0);
    }
    // 99 degrees of freedom: beyond these once in 10,000 times.
    cr_assert(chi > 53 && chi < 161, "%g", chi);
}
