// SPDX-License-Identifier: Apache-2.0
//
// Tests of random words that sort them, or look at their bits.

#include "tests/support/battery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 5000000 };

// Room to sort the points in. Helpers are linked to programs that are no Criterion suites too.
static uint64_t *
take_room(void)
{
    uint64_t *const memory = malloc(sizeof(*memory) * 2 * POINTS);
    if (memory == NULL) {
        fprintf(stderr, "battery: out of memory\n");
        abort();
    }
    return memory;
}

// Sorts by the lower `bits`, 11 of them at a time; what is sorted is in the memory that is
// returned.
static uint64_t *
sort(uint64_t *from, uint64_t *to, int64_t count, int bits)
{
    for (int shift = 0; shift < bits; shift += 11) {
        int64_t place[2049] = {0};
        for (int64_t i = 0; i < count; i++) {
            place[(from[i] >> shift & 2047) + 1]++;
        }
        for (int k = 0; k < 2048; k++) {
            place[k + 1] += place[k];
        }
        for (int64_t i = 0; i < count; i++) {
            to[place[from[i] >> shift & 2047]++] = from[i];
        }
        uint64_t *const sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

// `bits` bits each of two words.
static void
take_points(struct battery_stream *stream, uint64_t *points, int bits)
{
    for (int64_t i = 0; i < POINTS; i++) {
        const uint64_t first = battery_next(stream) >> (32 - bits);
        points[i] = first << bits | battery_next(stream) >> (32 - bits);
    }
}

static double
count_equal(const uint64_t *sorted, int64_t count)
{
    double equal = 0;
    for (int64_t i = 1; i < count; i++) {
        equal += sorted[i] == sorted[i - 1] ? 1 : 0;
    }
    return equal;
}

struct battery_result
battery_birthdays(struct battery_stream *stream)
{
    uint64_t *const memory = take_room();
    take_points(stream, memory, 30);
    uint64_t *const sorted = sort(memory, memory + POINTS, POINTS, 60);
    uint64_t *const other = sorted == memory ? memory + POINTS : memory;
    const uint64_t around = (UINT64_C(1) << 60) + sorted[0] - sorted[POINTS - 1];
    for (int64_t i = 0; i + 1 < POINTS; i++) {
        sorted[i] = sorted[i + 1] - sorted[i];
    }
    sorted[POINTS - 1] = around;
    const double equal = count_equal(sort(sorted, other, POINTS, 61), POINTS);
    free(memory);
    return battery_poisson(pow(POINTS, 3) / 4 * 0x1p-60, equal);
}

struct battery_result
battery_collisions(struct battery_stream *stream)
{
    uint64_t *const memory = take_room();
    take_points(stream, memory, 16);
    const double equal = count_equal(sort(memory, memory + POINTS, POINTS, 32), POINTS);
    const double distinct = -0x1p32 * expm1(POINTS * log1p(-0x1p-32));
    free(memory);
    return battery_poisson(POINTS - distinct, equal);
}

// Bits 20 to 29 of as many words as have `bits` of them.
static uint64_t
take_bits(struct battery_stream *stream, int bits)
{
    uint64_t taken = 0;
    for (int k = 0; k < bits; k += 10) {
        taken = taken << 10 | (battery_next(stream) << 20 >> 22);
    }
    return taken;
}

static int
rank(uint64_t *row, int size)
{
    int found = 0;
    for (int bit = 0; bit < size; bit++) {
        int at = found;
        while (at < size && (row[at] >> bit & 1) == 0) {
            at++;
        }
        if (at == size) {
            continue;
        }
        const uint64_t pivot = row[at];
        row[at] = row[found];
        row[found++] = pivot;
        for (int i = found; i < size; i++) {
            row[i] ^= (row[i] >> bit & 1) != 0 ? pivot : 0;
        }
    }
    return found;
}

struct battery_result
battery_ranks(struct battery_stream *stream)
{
    enum { COUNT = 20000, SIZE = 60, CLASSES = 4 };
    double seen[CLASSES] = {0};
    double left = COUNT;
    struct battery_classes classes = {0};
    for (int i = 0; i < COUNT; i++) {
        uint64_t row[SIZE];
        for (int k = 0; k < SIZE; k++) {
            row[k] = take_bits(stream, SIZE);
        }
        const int lost = SIZE - rank(row, SIZE);
        seen[lost < CLASSES ? lost : CLASSES - 1]++;
    }
    for (int lost = 0; lost < CLASSES; lost++) {
        const int r = SIZE - lost;
        double chance = exp2(-(double)lost * lost);
        for (int i = 0; i < r; i++) {
            chance *= pow(1 - exp2(i - SIZE), 2) / (1 - exp2(i - r));
        }
        const double expected = lost < CLASSES - 1 ? COUNT * chance : left;
        battery_class(&classes, expected, seen[lost]);
        left -= expected;
    }
    return battery_chi(&classes);
}

// The chance of k of n.
static double
choose_half(int n, int k)
{
    return k < 0 || k > n ? 0.0
                          : exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2.0));
}

struct battery_result
battery_weights_of_neighbours(struct battery_stream *stream)
{
    enum { COUNT = 500000, BITS = 300 };
    static double seen[BITS + 1][BITS + 1];
    struct battery_classes classes = {0};
    double rest_expected = 0;
    double rest_seen = 0;
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < COUNT; i++) {
        int weight[2] = {0, 0};
        for (int k = 0; k < BITS / 30 * 2; k++) {
            weight[k / (BITS / 30)] += __builtin_popcountll(take_bits(stream, 30));
        }
        seen[weight[0]][weight[1]]++;
    }
    for (int x = 0; x <= BITS; x++) {
        for (int y = 0; y <= BITS; y++) {
            const double expected = COUNT * choose_half(BITS, x) * choose_half(BITS, y);
            if (expected >= 10) {
                battery_class(&classes, expected, seen[x][y]);
            } else {
                rest_expected += expected;
                rest_seen += seen[x][y];
            }
        }
    }
    battery_class(&classes, rest_expected, rest_seen);
    return battery_chi(&classes);
}

enum { WALKS = 1000000, STEPS = 150 };

struct walk {
    int end;
    int height;
    int returns;
};

// Steps by the upper 30 bits of words.
static struct walk
walk(struct battery_stream *stream)
{
    struct walk walk = {0, 0, 0};
    for (int k = 0; k < STEPS / 30; k++) {
        const uint32_t word = battery_next(stream);
        for (int bit = 31; bit >= 2; bit--) {
            walk.end += (word >> bit & 1) != 0 ? 1 : -1;
            walk.height = walk.end > walk.height ? walk.end : walk.height;
            walk.returns += walk.end == 0 ? 1 : 0;
        }
    }
    return walk;
}

struct battery_result
battery_walk_ends(struct battery_stream *stream)
{
    double seen[STEPS + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < WALKS; i++) {
        seen[(walk(stream).end + STEPS) / 2]++;
    }
    for (int up = 0; up <= STEPS; up++) {
        battery_class(&classes, WALKS * choose_half(STEPS, up), seen[up]);
    }
    return battery_chi(&classes);
}

// The chance that a walk ends at `end`, which is 0 where it cannot.
static double
chance_of_end(int end)
{
    return (end + STEPS) % 2 == 0 ? choose_half(STEPS, (end + STEPS) / 2) : 0.0;
}

struct battery_result
battery_walk_heights(struct battery_stream *stream)
{
    double seen[STEPS + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < WALKS; i++) {
        seen[walk(stream).height]++;
    }
    // By reflection, the walks of this height are as many as end there or one above.
    for (int height = 0; height <= STEPS; height++) {
        const double chance = chance_of_end(height) + chance_of_end(height + 1);
        battery_class(&classes, WALKS * chance, seen[height]);
    }
    return battery_chi(&classes);
}

struct battery_result
battery_walk_returns(struct battery_stream *stream)
{
    double seen[STEPS / 2 + 1] = {0};
    struct battery_classes classes = {0};
    for (int i = 0; i < WALKS; i++) {
        seen[walk(stream).returns]++;
    }
    for (int returns = 0; returns <= STEPS / 2; returns++) {
        battery_class(&classes, WALKS * choose_half(STEPS - returns, STEPS / 2), seen[returns]);
    }
    return battery_chi(&classes);
}
