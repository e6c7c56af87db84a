// SPDX-License-Identifier: Apache-2.0
//
// Probabilities, and the tests that look at words one after the other. Where a test takes only some
// bits of a word, they are those that SmallCrush takes: the lower ones, where weak generators are
// weakest.

#include "tests/support/battery.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define ENOUGH 10.0 // that a class expects

void
battery_gamma(double a, double x, double *p, double *q)
{
    const double front = x > 0 ? exp(a * log(x) - x - lgamma(a)) : 0.0;
    if (x < a + 1) {
        double term = 1 / a;
        double sum = term;
        for (double n = a + 1; term > sum * 1e-17; n++) {
            term *= x / n;
            sum += term;
        }
        *p = front * sum;
        *q = 1 - *p;
        return;
    }
    // The continued fraction of Legendre, from its beginning (Lentz).
    double b = x + 1 - a;
    double c = 1e300;
    double d = 1 / b;
    double fraction = d;
    for (double n = 1; n < 100000; n++) {
        const double numerator = -n * (n - a);
        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        fraction *= c * d;
        if (fabs(c * d - 1) < 1e-15) {
            break;
        }
    }
    *q = front * fraction;
    *p = 1 - *q;
}

static void
end_class(struct battery_classes *classes)
{
    if (classes->expected[0] > 0) {
        const double off = classes->observed[0] - classes->expected[0];
        classes->statistic += off * off / classes->expected[0];
        classes->count++;
    }
}

void
battery_class(struct battery_classes *classes, double expected, double observed)
{
    classes->expected[1] += expected;
    classes->observed[1] += observed;
    if (classes->expected[1] >= ENOUGH) {
        end_class(classes);
        classes->expected[0] = classes->expected[1];
        classes->observed[0] = classes->observed[1];
        classes->expected[1] = classes->observed[1] = 0;
    }
}

struct battery_result
battery_chi(struct battery_classes *classes)
{
    struct battery_result result;
    classes->expected[0] += classes->expected[1];
    classes->observed[0] += classes->observed[1];
    end_class(classes);
    battery_gamma((classes->count - 1) / 2.0, classes->statistic / 2, &result.low, &result.high);
    return result;
}

struct battery_result
battery_poisson(double mean, double observed)
{
    struct battery_result result = {1, 1};
    double rest;
    battery_gamma(observed + 1, mean, &rest, &result.low);
    if (observed > 0) {
        battery_gamma(observed, mean, &result.high, &rest);
    }
    return result;
}

// Bits r to r + s − 1 of a word, from the highest on.
static uint32_t
bits_of(uint32_t word, int r, int s)
{
    return word << r >> (32 - s);
}

static struct battery_result
pairs(struct battery_stream *stream)
{
    enum { COUNT = 4000000 };
    static uint32_t seen[1 << 16];
    struct battery_classes classes = {0};
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < COUNT; i++) {
        const uint32_t first = battery_next(stream) >> 24;
        seen[first << 8 | battery_next(stream) >> 24]++;
    }
    for (int i = 0; i < 1 << 16; i++) {
        battery_class(&classes, (double)COUNT / (1 << 16), seen[i]);
    }
    return battery_chi(&classes);
}

static struct battery_result
gaps(struct battery_stream *stream)
{
    enum { COUNT = 200000, LONGEST = 1100 };
    const double p = 1.0 / 256;
    double seen[LONGEST + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        int length = 0;
        // A generator whose bits never are all zero would have one gap without an end.
        while (bits_of(battery_next(stream), 22, 8) != 0 && length < 100000) {
            length++;
        }
        seen[length < LONGEST ? length : LONGEST]++;
    }
    double left = COUNT;
    for (int length = 0; length < LONGEST; length++) {
        battery_class(&classes, left * p, seen[length]);
        left *= 1 - p;
    }
    battery_class(&classes, left, seen[LONGEST]);
    return battery_chi(&classes);
}

// distinct[s] for one more draw out of d: the probability that s different ones have been seen.
static void
draw_once(double *distinct, int d)
{
    for (int s = d; s > 0; s--) {
        distinct[s] = distinct[s] * s / d + distinct[s - 1] * (d - s + 1) / d;
    }
    distinct[0] = 0;
}

static struct battery_result
hands(struct battery_stream *stream)
{
    enum { COUNT = 400000, CARDS = 64 };
    double seen[CARDS + 1] = {0};
    double distinct[CARDS + 1] = {1};
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        uint64_t held = 0;
        for (int k = 0; k < CARDS; k++) {
            held |= UINT64_C(1) << bits_of(battery_next(stream), 24, 6);
        }
        seen[__builtin_popcountll(held)]++;
    }
    for (int k = 0; k < CARDS; k++) {
        draw_once(distinct, CARDS);
    }
    for (int s = 0; s <= CARDS; s++) {
        battery_class(&classes, COUNT * distinct[s], seen[s]);
    }
    return battery_chi(&classes);
}

static struct battery_result
coupons(struct battery_stream *stream)
{
    enum { COUNT = 500000, COUPONS = 16, LONGEST = 200 };
    double seen[LONGEST + 1] = {0};
    double distinct[COUPONS + 1] = {1};
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        uint32_t held = 0;
        int length = 0;
        for (; held != 0xFFFF && length < LONGEST; length++) {
            held |= 1U << bits_of(battery_next(stream), 26, 4);
        }
        seen[length]++;
    }
    double before = 0;
    for (int length = 1; length <= LONGEST; length++) {
        draw_once(distinct, COUPONS);
        const double now = length < LONGEST ? distinct[COUPONS] : 1.0;
        battery_class(&classes, COUNT * (now - before), seen[length]);
        before = now;
    }
    return battery_chi(&classes);
}

static struct battery_result
runs(struct battery_stream *stream)
{
    enum { COUNT = 1000000, LONGEST = 9 };
    double seen[LONGEST + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        int length = 1;
        uint32_t last = battery_next(stream);
        // The word that ends a run is in none, so that the next one does not depend on it.
        for (uint32_t next; (next = battery_next(stream)) > last && length < LONGEST; length++) {
            last = next;
        }
        seen[length]++;
    }
    double chance = 1;
    for (int length = 1; length <= LONGEST; length++) {
        const double longer = length < LONGEST ? chance / (length + 1) : 0.0;
        battery_class(&classes, COUNT * (chance - longer), seen[length]);
        chance = longer;
    }
    return battery_chi(&classes);
}

static struct battery_result
maxima(struct battery_stream *stream)
{
    enum { COUNT = 2000000, CLASSES = 100000, OF = 6 };
    static uint32_t seen[CLASSES];
    struct battery_classes classes = {0};
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < COUNT; i++) {
        uint32_t most = 0;
        for (int k = 0; k < OF; k++) {
            const uint32_t word = battery_next(stream);
            most = word > most ? word : most;
        }
        const double u = most * 0x1p-32;
        seen[(int)(u * u * u * u * u * u * CLASSES)]++;
    }
    for (int i = 0; i < CLASSES; i++) {
        battery_class(&classes, (double)COUNT / CLASSES, seen[i]);
    }
    return battery_chi(&classes);
}

static struct battery_result
weights(struct battery_stream *stream)
{
    enum { COUNT = 200000, OF = 256 };
    double seen[OF + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        int weight = 0;
        for (int k = 0; k < OF; k++) {
            weight += bits_of(battery_next(stream), 27, 3) == 0 ? 1 : 0;
        }
        seen[weight]++;
    }
    double chance = pow(7.0 / 8, OF);
    for (int weight = 0; weight <= OF; weight++) {
        battery_class(&classes, COUNT * chance, seen[weight]);
        chance *= (double)(OF - weight) / (weight + 1) / 7;
    }
    return battery_chi(&classes);
}

const struct battery_test battery_tests[BATTERY_TESTS] = {
    {"birthday spacings", battery_birthdays},
    {"collisions", battery_collisions},
    {"gaps", gaps},
    {"poker", hands},
    {"coupons", coupons},
    {"maximum of 6", maxima},
    {"weights", weights},
    {"ranks of matrices", battery_ranks},
    {"Hamming weights of neighbours", battery_weights_of_neighbours},
    {"ends of walks", battery_walk_ends},
    {"heights of walks", battery_walk_heights},
    {"returns of walks", battery_walk_returns},
    {"serial pairs", pairs},
    {"runs", runs},
};
