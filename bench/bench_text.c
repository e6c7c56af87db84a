// SPDX-License-Identifier: Apache-2.0
//
// Values are kept in units of SI and get their prefix only when people read them.

#include "bench/bench_text.h"

#include <math.h>
#include <stdio.h>

// Decimals that leave three digits, or all there are of larger numbers.
static int
decimals(double value)
{
    return value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
}

const char *
bench_text_value(double value, const char *unit, char out[BENCH_TEXT_BYTES])
{
    static const char *const prefixes[] = {"p", "n", "µ", "m", "", "k", "M", "G", "T"};
    const int plain = 4;
    int prefix = plain;
    if (unit[0] == '\0') {
        return bench_text_factor(value, out);
    }
    while (value > 0 && value >= 999.5 && prefix < 8) {
        value /= 1000;
        prefix++;
    }
    // There are no parts of a byte or of a task.
    const int least = unit[0] == 's' ? 0 : plain;
    while (value > 0 && value < 0.9995 && prefix > least) {
        value *= 1000;
        prefix--;
    }
    const int places =
        prefix == plain && unit[0] == 'B' && value == floor(value) ? 0 : decimals(value);
    snprintf(out, BENCH_TEXT_BYTES, "%.*f %s%s", places, value, prefixes[prefix], unit);
    return out;
}

const char *
bench_text_factor(double factor, char out[BENCH_TEXT_BYTES])
{
    snprintf(out, BENCH_TEXT_BYTES, "%.*f", decimals(factor), factor);
    return out;
}
