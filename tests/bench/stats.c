// SPDX-License-Identifier: Apache-2.0
//
// What is told of measurements, against values worked out by hand (quartiles as NumPy's
// percentile() gives them), and how numbers are written.

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_stats.h"
#include "bench/bench_text.h"

static int failures;

static void
check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "FAILED: %s\n", what);
        failures++;
    }
}

static bool
near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * (1 + fabs(b));
}

static void
check_summaries(void)
{
    const double odd[] = {5, 1, 4, 2, 3};
    const double even[] = {40, 10, 30, 20};
    const double one[] = {7};
    struct bench_summary s = bench_summarize(odd, 5);
    check(s.count == 5 && near(s.min, 1) && near(s.max, 5), "the ends of 5 values");
    check(near(s.lower, 2) && near(s.median, 3) && near(s.upper, 4), "the quartiles of 5 values");
    check(near(odd[0], 5) && near(odd[1], 1), "the values stay as they are");
    s = bench_summarize(even, 4);
    check(near(s.median, 25), "the median of an even count lies between two values");
    check(near(s.lower, 17.5) && near(s.upper, 32.5), "so do the quartiles");
    s = bench_summarize(one, 1);
    check(near(s.min, 7) && near(s.lower, 7) && near(s.median, 7) && near(s.upper, 7) &&
              near(s.max, 7),
          "a single value is all of them");
    s = bench_summarize(one, 0);
    check(s.count == 0 && s.median == 0 && s.max == 0, "no values");
}

static void
check_noise(void)
{
    const double quiet[] = {1.00, 1.001, 1.002, 1.003, 1.004};
    const double wild[] = {1.0, 1.1, 1.2, 1.3, 1.4};
    const double outlier[] = {1.0, 1.0, 1.0, 1.0, 50.0};
    struct bench_summary s = bench_summarize(quiet, 5);
    check(near(bench_noise(&s), 0.05), "noise is at least 5 %");
    s = bench_summarize(wild, 5);
    check(near(bench_noise(&s), 2 * 0.2 / 1.2), "noise is twice the distance of the quartiles");
    s = bench_summarize(outlier, 5);
    check(near(bench_noise(&s), 0.05), "one outlier is no noise");
    s = bench_summarize(outlier, 0);
    check(near(bench_noise(&s), 0.05), "no values have the least noise");
}

static void
check_percentiles(void)
{
    double values[101];
    for (int i = 0; i <= 100; i++) {
        values[i] = (37 * i) % 101;
    }
    bench_sort(values, 101);
    check(near(values[0], 0) && near(values[50], 50) && near(values[100], 100), "sorting");
    check(near(bench_percentile(values, 101, 0.99), 99), "99 of 100");
    check(near(bench_percentile(values, 101, 1.0), 100), "all");
    check(near(bench_percentile(values, 101, 0.0), 0), "none");
    check(near(bench_percentile(values, 2, 0.25), 0.25), "between two values");
    check(near(bench_percentile(values, 0, 0.5), 0), "of nothing");
}

static void
check_text(double value, const char *unit, const char *expected)
{
    char text[BENCH_TEXT_BYTES];
    bench_text_value(value, unit, text);
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "FAILED: %g %s is written as '%s', not '%s'\n", value, unit, text,
                expected);
        failures++;
    }
}

static void
check_texts(void)
{
    char text[BENCH_TEXT_BYTES];
    check_text(0.1193, "s", "119 ms");
    check_text(1.3149e-9, "s/element", "1.31 ns/element");
    check_text(0.9994e-3, "s", "999 µs");
    check_text(0.9996e-3, "s", "1.00 ms");
    check_text(1.0, "s", "1.00 s");
    check_text(0.0, "s", "0.00 s");
    check_text(3.02e6, "tasks/s", "3.02 Mtasks/s");
    check_text(0.5, "tasks/s", "0.50 tasks/s");
    check_text(293, "B", "293 B");
    check_text(10076160, "B", "10.1 MB");
    check_text(96.7, "B/task", "96.7 B/task");
    check_text(1.23456, "", "1.23");
    check_text(2.05e11, "FLOP/s", "205 GFLOP/s");
    check(strcmp(bench_text_round(1e-3, "s", text), "1 ms") == 0, "a round number");
    check(strcmp(bench_text_round(1.4e-9, "s/element", text), "1.4 ns/element") == 0, "a bound");
    check(strcmp(bench_text_round(1.2, "", text), "1.2") == 0, "a bound without a unit");
    check(strcmp(bench_text_factor(12.345, text), "12.3") == 0, "a factor");
    check(strcmp(bench_text_factor(481.2, text), "481") == 0, "a large factor");
}

int
main(void)
{
    check_summaries();
    check_noise();
    check_percentiles();
    check_texts();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
