// SPDX-License-Identifier: Apache-2.0
//
// Amounts of bytes and time as people write them: a decimal number, blanks, a unit. The number is
// read here and not by strtod(), which follows the locale of the program and takes hexadecimal,
// "inf" and "nan".

#include "engine/base/text.h"

#include <string.h>

struct unit {
    const char *name; // in lower case
    double factor;
};

static const struct unit byte_units[] = {
    {"b", 1.0},
    {"k", 1e3},
    {"kb", 1e3},
    {"m", 1e6},
    {"mb", 1e6},
    {"g", 1e9},
    {"gb", 1e9},
    {"t", 1e12},
    {"tb", 1e12},
    {"kib", 1024.0},
    {"mib", 1024.0 * 1024.0},
    {"gib", 1024.0 * 1024.0 * 1024.0},
    {"tib", 1024.0 * 1024.0 * 1024.0 * 1024.0},
};

static const struct unit time_units[] = {
    {"ns", 1.0},   {"us", 1e3}, {"ms", 1e6},   {"s", 1e9},
    {"min", 60e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};

struct amount {
    double number;
    bool has_point;
    double factor; // 0 without a unit
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *
skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

// Digits with at most one point. The value is an integer times a power of ten, one rounding for all
// numbers of up to 15 digits. NULL without a digit.
static const char *
read_digits(const char *at, double *digits, int *exponent, bool *has_point)
{
    int count = 0;
    while (is_digit(*at) || (*at == '.' && !*has_point)) {
        if (*at == '.') {
            *has_point = true;
        } else {
            *digits = *digits * 10.0 + (*at - '0');
            *exponent -= *has_point ? 1 : 0;
            count++;
        }
        at++;
    }
    return count > 0 && count < 300 ? at : NULL;
}

// An "e" that no digits follow belongs to the unit.
static const char *
read_exponent(const char *at, int *exponent)
{
    const char *digits = at;
    if (*digits != 'e' && *digits != 'E') {
        return at;
    }
    digits++;
    const bool negative = *digits == '-';
    if (*digits == '-' || *digits == '+') {
        digits++;
    }
    if (!is_digit(*digits)) {
        return at;
    }
    int value = 0;
    for (; is_digit(*digits); digits++) {
        value = value < 1000 ? value * 10 + (*digits - '0') : value;
    }
    *exponent += negative ? -value : value;
    return digits;
}

static double
scale(double digits, int exponent)
{
    double power = 1.0;
    for (int i = exponent < 0 ? -exponent : exponent; i > 0 && power < 1e300; i--) {
        power *= 10.0;
    }
    return exponent < 0 ? digits / power : digits * power;
}

static bool
unit_matches(const char *name, const char *text, size_t count)
{
    if (strlen(name) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != name[i]) {
            return false;
        }
    }
    return true;
}

static bool
read_unit(const char *at, const struct unit *units, size_t unit_count, double *factor)
{
    size_t count = strlen(at);
    while (count > 0 && (at[count - 1] == ' ' || at[count - 1] == '\t')) {
        count--;
    }
    if (count == 0) {
        return true;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (unit_matches(units[i].name, at, count)) {
            *factor = units[i].factor;
            return true;
        }
    }
    return false;
}

static bool
read_amount(const char *text, const struct unit *units, size_t unit_count, struct amount *amount)
{
    *amount = (struct amount){0};
    int exponent = 0;
    const char *at = skip_blanks(text);
    at = read_digits(at, &amount->number, &exponent, &amount->has_point);
    if (at == NULL) {
        return false;
    }
    at = skip_blanks(read_exponent(at, &exponent));
    amount->number = scale(amount->number, exponent);
    return read_unit(at, units, unit_count, &amount->factor);
}

// The whole part of `value`; false if it does not fit.
static bool
to_u64(double value, uint64_t *result)
{
    if (!(value >= 0.0 && value < 18446744073709551616.0)) {
        return false;
    }
    *result = (uint64_t)value;
    return true;
}

bool
tsi_text_parse_bytes(const char *text, uint64_t whole, uint64_t *bytes)
{
    struct amount amount;
    if (!read_amount(text, byte_units, sizeof byte_units / sizeof byte_units[0], &amount)) {
        return false;
    }
    // A share is told from bytes by its point: "1.0" is all of it and "1" is one byte.
    if (amount.factor == 0.0 && amount.has_point && amount.number <= 1.0) {
        if (amount.number == 1.0) {
            *bytes = whole;
            return true;
        }
        return to_u64(amount.number * (double)whole, bytes);
    }
    return to_u64(amount.number * (amount.factor == 0.0 ? 1.0 : amount.factor), bytes);
}

bool
tsi_text_parse_duration(const char *text, uint64_t *nanoseconds)
{
    struct amount amount;
    if (!read_amount(text, time_units, sizeof time_units / sizeof time_units[0], &amount)) {
        return false;
    }
    return to_u64(amount.number * (amount.factor == 0.0 ? 1e9 : amount.factor), nanoseconds);
}
