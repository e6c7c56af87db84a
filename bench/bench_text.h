// SPDX-License-Identifier: Apache-2.0
//
// Numbers with their units, for people.

#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>

// Room for any of these texts.
#define BENCH_TEXT_BYTES 64

// Three digits and a prefix of SI: "119 ms", "1.31 ns/element", "3.02 Mtasks/s".
const char *bench_text_value(double value, const char *unit, char out[BENCH_TEXT_BYTES]);

// The same without digits that are zero at the end: "1 ms", for scales and bounds.
const char *bench_text_round(double value, const char *unit, char out[BENCH_TEXT_BYTES]);

// A factor with two or three digits, without a unit: "12.3", "0.94".
const char *bench_text_factor(double factor, char out[BENCH_TEXT_BYTES]);

#endif
