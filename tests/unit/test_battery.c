// SPDX-License-Identifier: Apache-2.0
//
// The random bits pass a battery of statistical tests, and every test of it rejects some generator
// that is known to be weak. With TESSERA_TEST_BATTERY=N in the environment, N streams are tested
// and what came out is printed: by hand, since a stream takes some seconds.

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/kernel/philox.h"
#include "tests/support/battery.h"

// Beyond this, TestU01 speaks of failure; and what a good generator may come near to once in some
// hundred batteries.
#define REJECTED 1e-10
#define SUSPECT 1e-5

static struct battery_result
run_test(const struct battery_test *test, void (*fill)(struct battery_stream *, int, uint32_t *),
         uint64_t seed, uint32_t number)
{
    struct battery_stream stream = {.fill = fill, .seed = seed, .state = seed, .number = number};
    return test->run(&stream);
}

// The words of the elements of an integer array of all values, the lower half first.
static void
fill_tessera(struct battery_stream *stream, int count, uint32_t *words)
{
    uint64_t element[BATTERY_BUFFER / 2];
    const struct tsi_source_params params = {.seed = stream->seed, .stream = stream->number};
    const struct tsi_kernel_index from = {(int64_t)(stream->made / 2), 1};
    tsi_kernel()->source[TSI_SOURCE_INTEGERS][TESS_U64](count / 2, element, from, &params);
    for (int i = 0; i < count / 2; i++) {
        words[2 * i] = (uint32_t)element[i];
        words[2 * i + 1] = (uint32_t)(element[i] >> 32);
    }
}

// Multiplicative, modulo 2^31 (RANDU), and with an increment, modulo 2^32.
static void
fill_randu(struct battery_stream *stream, int count, uint32_t *words)
{
    for (int i = 0; i < count; i++) {
        stream->state = (stream->state * 65539) & 0x7FFFFFFF;
        words[i] = (uint32_t)stream->state << 1;
    }
}

static void
fill_lcg(struct battery_stream *stream, int count, uint32_t *words)
{
    for (int i = 0; i < count; i++) {
        stream->state = (stream->state * 69069 + 1) & 0xFFFFFFFF;
        words[i] = (uint32_t)stream->state;
    }
}

// Marsaglia's shifts: linear over bits.
static void
fill_shifts(struct battery_stream *stream, int count, uint32_t *words)
{
    uint32_t x = (uint32_t)stream->state;
    for (int i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        words[i] = x;
    }
    stream->state = x;
}

// Philox with a part of its rounds.
static void
fill_rounds(struct battery_stream *stream, int count, uint32_t *words, int rounds)
{
    for (int i = 0; i < count; i += 4) {
        const uint64_t block = (stream->made + (uint64_t)i) / 4;
        uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream->number, 0};
        uint32_t key[2] = {(uint32_t)stream->seed, (uint32_t)(stream->seed >> 32)};
        for (int round = 0; round < rounds; round++) {
            const uint64_t p0 = (uint64_t)TSI_PHILOX_MULTIPLIER_0 * c[0];
            const uint64_t p1 = (uint64_t)TSI_PHILOX_MULTIPLIER_1 * c[2];
            c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ key[0];
            c[1] = (uint32_t)p1;
            c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ key[1];
            c[3] = (uint32_t)p0;
            key[0] += TSI_PHILOX_WEYL_0;
            key[1] += TSI_PHILOX_WEYL_1;
        }
        memcpy(words + i, c, sizeof(c));
    }
}

static void
fill_3_rounds(struct battery_stream *stream, int count, uint32_t *words)
{
    fill_rounds(stream, count, words, 3);
}

// Good words that are a 1,024th too small.
static void
fill_small(struct battery_stream *stream, int count, uint32_t *words)
{
    fill_tessera(stream, count, words);
    for (int i = 0; i < count; i++) {
        words[i] -= words[i] >> 10;
    }
}

// Good words of which every 16th is the one before.
static void
fill_repeats(struct battery_stream *stream, int count, uint32_t *words)
{
    fill_tessera(stream, count, words);
    for (int i = 15; i < count; i += 16) {
        words[i] = words[i - 1];
    }
}

static double
worse_end(struct battery_result result)
{
    return fmin(result.low, result.high);
}

Test(battery, tails_of_known_distributions)
{
    double p;
    double q;
    battery_gamma(0.5, 3.841458820694124 / 2, &p, &q); // 5 % of χ² with 1 degree of freedom
    cr_assert(fabs(q - 0.05) < 1e-12 && fabs(p - 0.95) < 1e-12);
    battery_gamma(50, 124.3421134 / 2, &p, &q); // with 100
    cr_assert(fabs(q - 0.05) < 1e-9);
    battery_gamma(50, 77.92946517 / 2, &p, &q);
    cr_assert(fabs(p - 0.05) < 1e-9);
    const struct battery_result none = battery_poisson(2, 0);
    cr_assert(fabs(none.low - exp(-2)) < 1e-15 && none.high == 1);
    const struct battery_result three = battery_poisson(2, 3);
    cr_assert(fabs(three.low - exp(-2) * (1 + 2 + 2 + 8.0 / 6)) < 1e-14);
    cr_assert(fabs(three.high - (1 - exp(-2) * 5)) < 1e-14);
}

Test(battery, what_is_planted_is_the_generator_but_for_its_rounds)
{
    static uint32_t words[2][BATTERY_BUFFER];
    struct battery_stream stream = {.seed = 0x123456789, .number = 5, .made = 40 * BATTERY_BUFFER};
    fill_tessera(&stream, BATTERY_BUFFER, words[0]);
    fill_rounds(&stream, BATTERY_BUFFER, words[1], TSI_PHILOX_ROUNDS);
    cr_assert(memcmp(words[0], words[1], sizeof(words[0])) == 0);
}

Test(battery, random_bits_pass)
{
    for (int t = 0; t < BATTERY_TESTS; t++) {
        const struct battery_result result = run_test(&battery_tests[t], fill_tessera, 42, 0);
        cr_expect(worse_end(result) > SUSPECT, "%s: %g, %g", battery_tests[t].name, result.low,
                  result.high);
    }
}

static void
expect_rejected(int t, const char *name, void (*fill)(struct battery_stream *, int, uint32_t *))
{
    const struct battery_result result = run_test(&battery_tests[t], fill, 12345, 7);
    cr_expect(worse_end(result) < REJECTED, "%s passes %s: %g, %g", name, battery_tests[t].name,
              result.low, result.high);
}

// Three rounds leave their marks everywhere but in the ranks of matrices.
Test(battery, every_test_rejects_a_weak_generator)
{
    for (int t = 0; t < BATTERY_TESTS; t++) {
        if (strcmp(battery_tests[t].name, "ranks of matrices") == 0) {
            expect_rejected(t, "a generator that is linear over bits", fill_shifts);
        } else {
            expect_rejected(t, "Philox with 3 rounds", fill_3_rounds);
        }
    }
}

Test(battery, congruences_and_small_faults_are_found)
{
    expect_rejected(0, "RANDU", fill_randu);
    expect_rejected(2, "a congruence of 32 bits", fill_lcg);
    expect_rejected(5, "what never is large", fill_small);
    expect_rejected(1, "what repeats a word in sixteen", fill_repeats);
}

static int
compare(const void *x, const void *y)
{
    const double a = *(const double *)x;
    const double b = *(const double *)y;
    return (a > b) - (a < b);
}

// A row of docs/random.md: of `count` streams of seed 1.
static void
print_row(const struct battery_test *test, int count, double *p)
{
    double distance = 0;
    for (int k = 0; k < count; k++) {
        const struct battery_result result = run_test(test, fill_tessera, 1, (uint32_t)k);
        p[k] = result.high;
        cr_expect(worse_end(result) > SUSPECT / count, "%s of stream %d: %g, %g", test->name, k,
                  result.low, result.high);
    }
    qsort(p, (size_t)count, sizeof(*p), compare);
    for (int k = 0; k < count; k++) {
        distance = fmax(distance, fmax(p[k] - (double)k / count, (double)(k + 1) / count - p[k]));
    }
    printf("| %s | %d | %.4f | %.4f | %.2f |\n", test->name, count, p[0], p[count - 1],
           distance * sqrt(count));
    fflush(stdout);
}

Test(battery, many_streams, .timeout = 0)
{
    const char *const wanted = getenv("TESSERA_TEST_BATTERY");
    const int count = wanted != NULL ? atoi(wanted) : 0;
    double *const p = calloc(count > 0 ? (size_t)count : 1, sizeof(*p));
    cr_assert(p != NULL);
    for (int t = 0; t < BATTERY_TESTS && count > 0; t++) {
        print_row(&battery_tests[t], count, p);
    }
    free(p);
}
