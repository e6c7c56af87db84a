// SPDX-License-Identifier: Apache-2.0
//
// Values are kept in units of SI and get their prefix only when people read them.

#include "bench/bench_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

// Decimals that leave three digits, or all there are of larger numbers.
static int
decimals(double value)
{
    return value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
}

// Brings `*value` to a prefix, and tells which.
static const char *
choose_prefix(double *value, const char *unit)
{
    static const char *const prefixes[] = {"p", "n", "µ", "m", "", "k", "M", "G", "T"};
    const int plain = 4;
    // There are no parts of a byte or of a task.
    const int least = unit[0] == 's' ? 0 : plain;
    int prefix = plain;
    while (*value >= 999.5 && prefix < 8) {
        *value /= 1000;
        prefix++;
    }
    while (*value > 0 && *value < 0.9995 && prefix > least) {
        *value *= 1000;
        prefix--;
    }
    return prefixes[prefix];
}

const char *
bench_text_value(double value, const char *unit, char out[BENCH_TEXT_BYTES])
{
    if (unit[0] == '\0') {
        return bench_text_factor(value, out);
    }
    const char *prefix = choose_prefix(&value, unit);
    const bool is_whole = prefix[0] == '\0' && unit[0] == 'B' && value == floor(value);
    snprintf(out, BENCH_TEXT_BYTES, "%.*f %s%s", is_whole ? 0 : decimals(value), value, prefix,
             unit);
    return out;
}

const char *
bench_text_round(double value, const char *unit, char out[BENCH_TEXT_BYTES])
{
    const char *prefix = choose_prefix(&value, unit);
    snprintf(out, BENCH_TEXT_BYTES, "%.3g%s%s%s", value, unit[0] != '\0' ? " " : "", prefix, unit);
    return out;
}

const char *
bench_text_factor(double factor, char out[BENCH_TEXT_BYTES])
{
    snprintf(out, BENCH_TEXT_BYTES, "%.*f", decimals(factor), factor);
    return out;
}
