// SPDX-License-Identifier: Apache-2.0
//
// One test of a battery of TestU01 over the bits of a random array:
//
//   crush small|crush|big TEST [SEED]
//
// prints on the standard error a line for each statistic of test number TEST: the number, its name,
// the probability of as much or more. TestU01 itself fills the standard output. The words are those
// of the 64-bit integers of the seed, 42 unless told otherwise, and of stream TEST, the lower half
// first. scripts/crush.sh runs all tests of a battery.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <testu01/bbattery.h>
#include <testu01/swrite.h>

#include "engine/kernel/kernel.h"

enum { ELEMENTS = 4096, TESTS_MAX = 128 };

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

int
main(int argument_count, char **arguments)
{
    const bool is_right = argument_count == 3 || argument_count == 4;
    const struct battery *battery = is_right ? find_battery(arguments[1]) : NULL;
    const int test = battery != NULL ? atoi(arguments[2]) : 0;
    int repeats[TESTS_MAX] = {0};
    char name[] = "tessera";
    if (battery == NULL || test < 1 || test > battery->tests) {
        fprintf(stderr, "usage: crush small|crush|big TEST [SEED]\n");
        return 2;
    }
    params.stream = (uint32_t)test;
    params.seed = argument_count == 4 ? strtoull(arguments[3], NULL, 10) : params.seed;
    repeats[test] = 1;
    swrite_Basic = FALSE;
    unif01_Gen *generator = unif01_CreateExternGenBits(name, next_word);
    battery->run(generator, repeats);
    unif01_DeleteExternGenBits(generator);
    for (int i = 0; i < bbattery_NTests; i++) {
        fprintf(stderr, "%d %s: %.17g\n", test, bbattery_TestNames[i], bbattery_pVal[i]);
    }
    return bbattery_NTests > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
