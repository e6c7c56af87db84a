// SPDX-License-Identifier: Apache-2.0
//
// A battery of TestU01 over the bits of a random array, or one test of it:
//
//   crush small|crush|big [TEST [SEED]]
//
// prints on the standard error a line for each statistic of test number TEST, or of all one after
// the other, which it calls 0: the number, its name, the probability of as much or more. It ends
// with 1 if one failed, beyond 10^-10. TestU01 itself fills the standard output. The words are
// those of the 64-bit integers of the seed, 42 unless told otherwise, and of stream TEST, the lower
// half first. scripts/crush.sh runs all tests of a battery at the same time.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <testu01/bbattery.h>
#include <testu01/swrite.h>

#include "engine/kernel/kernel.h"

enum { ELEMENTS = 4096, TESTS_MAX = 128, EXIT_USAGE = 2 };

// Beyond this, at either end, TestU01 calls a probability a clear failure.
static const double failure = 1e-10;

struct battery {
    const char *name;
    int tests;
    void (*run)(unif01_Gen *generator, int *repeats);
};

static const struct battery batteries[] = {
    {"small", 10, bbattery_RepeatSmallCrush},
    {"crush", 96, bbattery_RepeatCrush},
    {"big", 106, bbattery_RepeatBigCrush},
};

static struct tsi_source_params params = {.seed = 42};
static int64_t made;

static unsigned int
next_word(void)
{
    static uint64_t element[ELEMENTS];
    static int used = 2 * ELEMENTS;
    if (used == 2 * ELEMENTS) {
        const struct tsi_kernel_index from = {made, 1};
        tsi_kernel()->source[TSI_SOURCE_INTEGERS][TESS_U64](ELEMENTS, element, from, &params);
        made += ELEMENTS;
        used = 0;
    }
    const uint64_t now = element[used / 2];
    return (unsigned int)(used++ % 2 == 0 ? now & UINT32_MAX : now >> 32);
}

static const struct battery *
find_battery(const char *name)
{
    for (size_t i = 0; i < sizeof batteries / sizeof batteries[0]; i++) {
        if (strcmp(batteries[i].name, name) == 0) {
            return &batteries[i];
        }
    }
    return NULL;
}

// Chooses test `test` of a battery, or all: `repeats` is by number.
static void
choose(const struct battery *battery, int test, int *repeats)
{
    for (int i = 1; i <= battery->tests; i++) {
        repeats[i] = test == 0 || test == i ? 1 : 0;
    }
}

// Prints the statistics that there are; the status to end with.
static int
tell(int test)
{
    int status = bbattery_NTests > 0 ? EXIT_SUCCESS : EXIT_USAGE;
    for (int i = 0; i < bbattery_NTests; i++) {
        const double p = bbattery_pVal[i];
        fprintf(stderr, "%d %s: %.17g\n", test, bbattery_TestNames[i], p);
        if (!(p >= failure && p <= 1 - failure)) {
            status = EXIT_FAILURE;
        }
    }
    return status;
}

int
main(int argument_count, char **arguments)
{
    const bool is_right = argument_count >= 2 && argument_count <= 4;
    const struct battery *battery = is_right ? find_battery(arguments[1]) : NULL;
    const int test = argument_count > 2 ? atoi(arguments[2]) : 0;
    int repeats[TESTS_MAX] = {0};
    char name[] = "tessera";
    if (battery == NULL || (argument_count > 2 && test < 1) || test > battery->tests) {
        fprintf(stderr, "usage: crush small|crush|big [TEST [SEED]]\n");
        return EXIT_USAGE;
    }
    params.stream = (uint32_t)test;
    params.seed = argument_count == 4 ? strtoull(arguments[3], NULL, 10) : params.seed;
    choose(battery, test, repeats);
    swrite_Basic = FALSE;
    unif01_Gen *generator = unif01_CreateExternGenBits(name, next_word);
    battery->run(generator, repeats);
    unif01_DeleteExternGenBits(generator);
    return tell(test);
}
