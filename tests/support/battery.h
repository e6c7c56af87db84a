// SPDX-License-Identifier: Apache-2.0
//
// Statistical tests of random words, of the kinds and sizes of SmallCrush (L'Ecuyer, Simard:
// TestU01, ACM Transactions on Mathematical Software 33, 2007) and two more of Knuth's (The Art of
// Computer Programming 2, 3.3.2). Each counts something whose distribution is known if all words
// are as likely as each other and independent.

#ifndef TESTS_SUPPORT_BATTERY_H
#define TESTS_SUPPORT_BATTERY_H

#include <stdint.h>

#define BATTERY_BUFFER 4096
#define BATTERY_TESTS 14

// Words from the beginning: `fill` makes the next `count` of them.
struct battery_stream {
    void (*fill)(struct battery_stream *stream, int count, uint32_t *words);
    uint64_t seed;
    uint64_t state;
    uint32_t number;
    uint64_t made; // words so far
    int used;
    uint32_t word[BATTERY_BUFFER];
};

static inline uint32_t
battery_next(struct battery_stream *stream)
{
    if (stream->used == 0) {
        stream->fill(stream, BATTERY_BUFFER, stream->word);
        stream->made += BATTERY_BUFFER;
        stream->used = BATTERY_BUFFER;
    }
    return stream->word[BATTERY_BUFFER - stream->used--];
}

// The probabilities of what was counted, or less of it, and of that or more.
struct battery_result {
    double low;
    double high;
};

struct battery_test {
    const char *name;
    struct battery_result (*run)(struct battery_stream *stream);
};

extern const struct battery_test battery_tests[BATTERY_TESTS];

// Classes of a χ² test; those that expect fewer than ten are put together with their neighbours.
struct battery_classes {
    double statistic;
    int count;
    double expected[2]; // of the class before, which is not in the statistic yet, and of this one
    double observed[2];
};
void battery_class(struct battery_classes *classes, double expected, double observed);
struct battery_result battery_chi(struct battery_classes *classes);

// Of a count that has Poisson's distribution.
struct battery_result battery_poisson(double mean, double observed);

// The regularized incomplete gamma functions P and Q.
void battery_gamma(double a, double x, double *p, double *q);

// Those of the tests that look at bits and at sorted words, in battery_bits.c.
struct battery_result battery_birthdays(struct battery_stream *stream);
struct battery_result battery_collisions(struct battery_stream *stream);
struct battery_result battery_ranks(struct battery_stream *stream);
struct battery_result battery_weights_of_neighbours(struct battery_stream *stream);
struct battery_result battery_walk_ends(struct battery_stream *stream);
struct battery_result battery_walk_heights(struct battery_stream *stream);
struct battery_result battery_walk_returns(struct battery_stream *stream);

#endif
