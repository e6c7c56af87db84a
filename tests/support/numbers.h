// SPDX-License-Identifier: Apache-2.0
//
// A square of whole numbers in an NPY file, each known by its place alone, and what sums over it
// have to be. The numbers are small, so that sums of them in float64 are exact in any order: every
// result has one right value, which is reckoned here without the library.

#ifndef TESS_TEST_NUMBERS_H
#define TESS_TEST_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

// Element (i, j) of a square of n × n.
double test_number(int64_t n, int64_t i, int64_t j);

// Writes the file, as float64 in C order.
void test_numbers_write(const char *path, int64_t n);

// Sums of `n` rows and columns of the numbers, and of their magnitudes.
struct test_sums {
    int64_t n;
    double *rows;
    double *columns;
    double *magnitude_rows;
    double *magnitude_columns;
    double magnitudes;
};
void test_numbers_sum(struct test_sums *sums, int64_t n);
void test_numbers_free(struct test_sums *sums);

// Ends the test unless the file at `path` holds a square of n × n elements x + x.T in C order.
void test_numbers_expect_turned(const char *path, int64_t n);

#endif
