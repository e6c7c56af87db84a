// SPDX-License-Identifier: Apache-2.0
//
// Bar charts as inline SVG.

#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include <jansson.h>
#include <stdio.h>

// A bar for each contestant of a bench that was measured, with its value and how it compares.
void bench_chart_print(FILE *out, const json_t *bench);

// Text with what HTML would take as its own replaced.
void bench_chart_escape(FILE *out, const char *text);

#endif
