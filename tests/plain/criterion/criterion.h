// SPDX-License-Identifier: Apache-2.0
//
// The part of Criterion that our tests use, for where its runner does not run, such as qemu-user
// and ThreadSanitizer: each test is a child of fork(). Built with TESSERA_PLAIN_TESTS, and with
// that sanitizer.

#ifndef TESS_TEST_PLAIN_CRITERION_H
#define TESS_TEST_PLAIN_CRITERION_H

// Tests give no further arguments to what takes any number of them, as they may to Criterion's.
#pragma GCC system_header

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_test {
    const char *suite;
    const char *name; // NULL: what all tests of the suite have
    void (*run)(void);
    struct plain_test *next;
    int line;
    void (*init)(void);
    void (*fini)(void);
    double timeout; // not watched; ctest does
    int signal;     // that it is to die of
    int exit_code;
};

void plain_add(struct plain_test *test);
_Noreturn void plain_fail(const char *file, int line, const char *condition, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

#define Test(of, called, ...)                                                                      \
    static void test_##of##_##called(void);                                                        \
    static struct plain_test entry_##of##_##called = {#of,  #called,  test_##of##_##called,        \
                                                      NULL, __LINE__, __VA_ARGS__};                \
    __attribute__((constructor)) static void add_##of##_##called(void)                             \
    {                                                                                              \
        plain_add(&entry_##of##_##called);                                                         \
    }                                                                                              \
    static void test_##of##_##called(void)
#define TestSuite(of, ...)                                                                         \
    static struct plain_test suite_##of = {#of, NULL, NULL, NULL, __LINE__, __VA_ARGS__};          \
    __attribute__((constructor)) static void add_suite_##of(void)                                  \
    {                                                                                              \
        plain_add(&suite_##of);                                                                    \
    }                                                                                              \
    _Static_assert(true, "for the semicolon")

#define cr_assert(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            plain_fail(__FILE__, __LINE__, #condition, " " __VA_ARGS__);                           \
        }                                                                                          \
    } while (0)
#define cr_expect(...) cr_assert(__VA_ARGS__)
#define cr_expect_lt(x, y, ...) cr_assert((x) < (y), __VA_ARGS__)
#define cr_assert_not_null(x, ...) cr_assert((x) != NULL, __VA_ARGS__)
#define cr_assert_not(condition, ...) cr_assert(!(condition), __VA_ARGS__)
#define cr_assert_eq(x, y, ...) cr_assert((x) == (y), __VA_ARGS__)
#define cr_assert_neq(x, y, ...) cr_assert((x) != (y), __VA_ARGS__)
#define cr_assert_gt(x, y, ...) cr_assert((x) > (y), __VA_ARGS__)
#define cr_assert_leq(x, y, ...) cr_assert((x) <= (y), __VA_ARGS__)
#define cr_assert_geq(x, y, ...) cr_assert((x) >= (y), __VA_ARGS__)
#define cr_assert_str_eq(x, y, ...) cr_assert(strcmp(x, y) == 0, __VA_ARGS__)
#define cr_assert_fail(...) plain_fail(__FILE__, __LINE__, "failed", " " __VA_ARGS__)
#define cr_skip_test(...) exit(0)

#endif
