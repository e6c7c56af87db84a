// SPDX-License-Identifier: Apache-2.0
//
// Files are gone through row by row, so that what is checked may be larger than memory.

#include "tests/support/numbers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/processes.h"

enum { LEAD_BYTES = 128 };

double
test_number(int64_t n, int64_t i, int64_t j)
{
    uint64_t mixed = (uint64_t)(i * n + j) * UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return (double)(int16_t)(mixed >> 48);
}

static double *
row_of(int64_t n)
{
    double *row = malloc((size_t)n * sizeof *row);
    test_check(row != NULL, "out of memory");
    return row;
}

void
test_numbers_write(const char *path, int64_t n)
{
    char lead[LEAD_BYTES + 1] = "\x93NUMPY\x01";
    FILE *file = fopen(path, "we");
    test_check(file != NULL, "%s: %s", path, strerror(errno));
    lead[8] = LEAD_BYTES - 10;
    const int used = snprintf(lead + 10, sizeof lead - 10,
                              "{'descr': '<f8', 'fortran_order': False, 'shape': (%lld, %lld), }",
                              (long long)n, (long long)n);
    memset(lead + 10 + used, ' ', (size_t)(LEAD_BYTES - 10 - used));
    lead[LEAD_BYTES - 1] = '\n';
    bool is_good = fwrite(lead, LEAD_BYTES, 1, file) == 1;
    double *row = row_of(n);
    for (int64_t i = 0; i < n && is_good; i++) {
        for (int64_t j = 0; j < n; j++) {
            row[j] = test_number(n, i, j);
        }
        is_good = fwrite(row, sizeof *row, (size_t)n, file) == (size_t)n;
    }
    is_good = fclose(file) == 0 && is_good;
    test_check(is_good, "%s: %s", path, strerror(errno));
    free(row);
}

void
test_numbers_sum(struct test_sums *sums, int64_t n)
{
    double *all = calloc((size_t)(4 * n), sizeof *all);
    test_check(all != NULL, "out of memory");
    *sums = (struct test_sums){n, all, all + n, all + 2 * n, all + 3 * n, 0};
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            const double x = test_number(n, i, j);
            sums->rows[i] += x;
            sums->columns[j] += x;
            sums->magnitude_rows[i] += fabs(x);
            sums->magnitude_columns[j] += fabs(x);
            sums->magnitudes += fabs(x);
        }
    }
}

void
test_numbers_free(struct test_sums *sums)
{
    free(sums->rows);
}

void
test_numbers_expect_turned(const char *path, int64_t n)
{
    unsigned char lead[10];
    FILE *file = fopen(path, "re");
    test_check(file != NULL && fread(lead, sizeof lead, 1, file) == 1, "%s: %s", path,
               strerror(errno));
    test_check(fseek(file, lead[8] + 256 * lead[9], SEEK_CUR) == 0, "%s: it is too short", path);
    double *row = row_of(n);
    for (int64_t i = 0; i < n; i++) {
        test_check(fread(row, sizeof *row, (size_t)n, file) == (size_t)n, "%s: row %lld is missing",
                   path, (long long)i);
        for (int64_t j = 0; j < n; j++) {
            const double want = test_number(n, i, j) + test_number(n, j, i);
            test_check(row[j] == want, "%s: element (%lld, %lld) is %g, not %g", path, (long long)i,
                       (long long)j, row[j], want);
        }
    }
    test_check(fgetc(file) == EOF, "%s: it is too long", path);
    fclose(file);
    free(row);
}
