// SPDX-License-Identifier: Apache-2.0
//
// The matrix product of every type against the oracle: sizes around the blocks, both ways of
// storing, steps longer than a row and steps that OpenBLAS does not take. When OpenBLAS is loaded,
// and as what. Criterion runs each test in a process of its own, so each loads it anew.

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/kernel/kernel.h"
#include "tests/support/eval_value.h"
#include "tests/support/kernel_case.h"

#define ELEMENTS 60000

static uint64_t a[ELEMENTS];
static uint64_t b[ELEMENTS];
static uint64_t c[ELEMENTS];

static struct test_value
element_of(tess_dtype dtype, const struct tsi_kernel_matrix *matrix, int64_t row, int64_t column)
{
    const int64_t at =
        matrix->transposed ? column * matrix->step + row : row * matrix->step + column;
    return test_value_read(dtype,
                           (const char *)matrix->data + at * (int64_t)tess_dtype_bytes(dtype));
}

// What multiplies: tsi_kernel_matmul() where `multiply` is NULL.
static tsi_kernel_product *multiply;

// The product of so many steps of the inner axis is made first, that of the others added to it.
static int64_t split = INT64_MAX;

static struct tsi_kernel_matrix
part_of(tess_dtype dtype, struct tsi_kernel_matrix matrix, int64_t row, int64_t column)
{
    const int64_t at = matrix.transposed ? column * matrix.step + row : row * matrix.step + column;
    matrix.data = (const char *)matrix.data + at * (int64_t)tess_dtype_bytes(dtype);
    return matrix;
}

static void
multiply_part(tess_dtype dtype, int64_t m, int64_t n, int64_t k, struct tsi_kernel_matrix x,
              struct tsi_kernel_matrix y, bool add)
{
    if (multiply == NULL) {
        tsi_kernel_matmul(dtype, m, n, k, x, y, add, c);
    } else {
        multiply(m, n, k, &x, &y, add, c);
    }
}

static void
check_product(tess_dtype dtype, int64_t m, int64_t n, int64_t k, struct tsi_kernel_matrix x,
              struct tsi_kernel_matrix y)
{
    memset(c, 0xAB, sizeof(c));
    const int64_t first = split < k ? split : k;
    multiply_part(dtype, m, n, first, x, y, false);
    if (first < k) {
        multiply_part(dtype, m, n, k - first, part_of(dtype, x, 0, first),
                      part_of(dtype, y, first, 0), true);
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            struct test_sum sum = {0};
            for (int64_t l = 0; l < k; l++) {
                test_value_add_product(&sum, element_of(dtype, &x, i, l),
                                       element_of(dtype, &y, l, j));
            }
            const struct test_value wanted = test_value_of_sum(dtype, &sum);
            const char *got = (const char *)c + (size_t)(i * n + j) * tess_dtype_bytes(dtype);
            char bytes[8];
            test_value_write(wanted, bytes);
            const double unit = dtype == TESS_F64 ? 0x1p-52 : 0x1p-23;
            const bool close =
                test_value_is_float(dtype)
                    ? fabs(test_value_read(dtype, got).f - wanted.f) <= unit * 4 * (double)(k + 1)
                    : kernel_case_same(dtype, got, bytes);
            cr_assert(close, "%s %lldx%lldx%lld: (%lld, %lld)", tess_dtype_name(dtype),
                      (long long)m, (long long)n, (long long)k, (long long)i, (long long)j);
        }
    }
    cr_assert(((const uint8_t *)c)[(size_t)(m * n) * tess_dtype_bytes(dtype)] == 0xAB);
}

static void
check_sizes(tess_dtype dtype, int64_t m, int64_t n, int64_t k)
{
    kernel_case_fill(KERNEL_VALUES_FINITE, dtype, ELEMENTS, a, 1);
    kernel_case_fill(KERNEL_VALUES_FINITE, dtype, ELEMENTS, b, 2);
    for (int way = 0; way < 4; way++) {
        const bool ta = (way & 1) != 0;
        const bool tb = (way & 2) != 0;
        for (int64_t more = 0; more < 6; more += 5) {
            split = more == 0 ? INT64_MAX : k / 3 + 1;
            check_product(dtype, m, n, k, (struct tsi_kernel_matrix){a, (ta ? m : k) + more, ta},
                          (struct tsi_kernel_matrix){b, (tb ? k : n) + more, tb});
        }
        split = INT64_MAX;
    }
}

static const int64_t sizes[][3] = {{1, 1, 1},   {2, 3, 4},    {5, 1, 7},    {1, 9, 3},
                                   {33, 17, 5}, {3, 129, 33}, {4, 130, 65}, {40, 4, 100},
                                   {3, 4, 0},   {0, 4, 5},    {4, 0, 5},    {1, 1, 300}};

Test(kernel_matmul, multiplies_every_type_and_way_of_storing)
{
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            check_sizes((tess_dtype)dtype, sizes[s][0], sizes[s][1], sizes[s][2]);
        }
    }
}

Test(kernel_matmul, loops_of_every_instruction_set_multiply_every_type)
{
    const struct tsi_kernel_table *table;
    for (int isa = 0; (table = tsi_kernel_of(isa)) != NULL; isa++) {
        for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
            multiply = table->product[dtype];
            for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
                check_sizes((tess_dtype)dtype, sizes[s][0], sizes[s][1], sizes[s][2]);
            }
        }
    }
}

Test(kernel_matmul, takes_steps_that_openblas_does_not)
{
    kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, ELEMENTS, a, 1);
    kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F32, ELEMENTS, b, 2);
    const double *end = (const double *)a + 1000;
    const struct tsi_kernel_matrix repeated = {a, 0, false};
    const struct tsi_kernel_matrix overlapping = {a, 1, true};
    const struct tsi_kernel_matrix backward = {end, -20, false};
    const struct tsi_kernel_matrix plain = {end, 20, false};
    check_product(TESS_F64, 20, 20, 20, repeated, plain);
    check_product(TESS_F64, 20, 20, 20, overlapping, plain);
    check_product(TESS_F64, 20, 20, 20, plain, backward);
    check_product(TESS_F32, 20, 20, 20, (struct tsi_kernel_matrix){b, 3, false},
                  (struct tsi_kernel_matrix){b, 0, true});
}

// A single row has no next one, so its step says nothing.
Test(kernel_matmul, ignores_the_step_of_a_single_row)
{
    kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, ELEMENTS, a, 1);
    kernel_case_fill(KERNEL_VALUES_FINITE, TESS_F64, ELEMENTS, b, 2);
    static const int64_t steps[] = {0, -7, 1, INT64_C(1) << 40};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        check_product(TESS_F64, 1, 6, 30, (struct tsi_kernel_matrix){a, steps[i], false},
                      (struct tsi_kernel_matrix){b, 6, false});
        check_product(TESS_F64, 6, 1, 30, (struct tsi_kernel_matrix){a, 30, false},
                      (struct tsi_kernel_matrix){b, steps[i], true});
    }
}

static bool
is_blas_mapped(void)
{
    static char maps[1 << 20];
    FILE *file = fopen("/proc/self/maps", "r");
    cr_assert(file != NULL);
    maps[fread(maps, 1, sizeof(maps) - 1, file)] = '\0';
    (void)fclose(file);
    return strstr(maps, "libopenblas") != NULL;
}

static void
multiply_some(tess_dtype dtype)
{
    kernel_case_fill(KERNEL_VALUES_FINITE, dtype, ELEMENTS, a, 1);
    check_product(dtype, 30, 30, 30, (struct tsi_kernel_matrix){a, 30, false},
                  (struct tsi_kernel_matrix){a, 30, true});
}

// What the function of OpenBLAS without arguments says.
static void *
blas_function(const char *name)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    cr_assert(library != NULL, "%s", dlerror());
    return dlsym(library, name);
}

static int
blas_threads(void)
{
    int (*get)(void);
    void *found = blas_function("openblas_get_num_threads");
    memcpy(&get, &found, sizeof(get));
    return get();
}

Test(kernel_matmul, keeps_to_the_calling_thread)
{
    (void)unsetenv("OPENBLAS_NUM_THREADS");
    void (*set)(int);
    void *found = blas_function("openblas_set_num_threads");
    memcpy(&set, &found, sizeof(set));
    set(2);
    multiply_some(TESS_F64);
    cr_assert(blas_threads() == 1);
}

Test(kernel_matmul, loads_openblas_when_it_is_needed_and_leaves_the_environment)
{
    char **before = environ;
    (void)unsetenv("OPENBLAS_NUM_THREADS");
    (void)unsetenv("OPENBLAS_CORETYPE");
    multiply_some(TESS_I64);
    cr_assert(!is_blas_mapped(), "integers do not need it");
    multiply_some(TESS_F32);
    cr_assert(is_blas_mapped());
    cr_assert(environ == before);
    cr_assert(getenv("OPENBLAS_NUM_THREADS") == NULL && getenv("OPENBLAS_CORETYPE") == NULL);
    cr_assert(blas_threads() == 1);
}

#if defined(__x86_64__)
Test(kernel_matmul, lets_the_environment_choose_the_core)
{
    (void)setenv("OPENBLAS_CORETYPE", "Prescott", 1);
    multiply_some(TESS_F64);
    const char *(*core)(void);
    void *found = blas_function("openblas_get_corename");
    memcpy(&core, &found, sizeof(core));
    cr_assert(strcmp(core(), "Prescott") == 0, "%s", core());
}
#endif

Test(kernel_matmul, multiplies_without_openblas)
{
    (void)setenv("TESSERA_OPENBLAS", "there-is-no-such-library.so", 1);
    multiply_some(TESS_F32);
    multiply_some(TESS_F64);
    cr_assert(!is_blas_mapped());
}

Test(kernel_matmul, takes_no_other_library_for_openblas)
{
    (void)setenv("TESSERA_OPENBLAS", "libc.so.6", 1);
    multiply_some(TESS_F64);
    cr_assert(!is_blas_mapped());
}

Test(kernel_matmul, integers_wrap_around)
{
    const int64_t x[2] = {INT64_MAX, 2};
    const int64_t y[2] = {2, 3};
    int64_t product;
    tsi_kernel_matmul(TESS_I64, 1, 1, 2, (struct tsi_kernel_matrix){x, 2, false},
                      (struct tsi_kernel_matrix){y, 1, false}, false, &product);
    cr_assert(product == 4);
    tsi_kernel_matmul(TESS_I64, 1, 1, 0, (struct tsi_kernel_matrix){x, 2, false},
                      (struct tsi_kernel_matrix){y, 1, false}, true, &product);
    cr_assert(product == 4, "nothing is added");
}
