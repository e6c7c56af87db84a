// SPDX-License-Identifier: Apache-2.0
//
// Runs the tests that registered themselves, each in a child of its own, and says which failed.

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plain_test *tests;
static struct plain_test **last = &tests;

void
plain_add(struct plain_test *test)
{
    *last = test;
    last = &test->next;
}

void
plain_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s:%d: %s:", file, line, condition);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    _exit(101);
}

static const struct plain_test *
suite_of(const struct plain_test *test)
{
    for (const struct plain_test *other = tests; other != NULL; other = other->next) {
        if (other->name == NULL && strcmp(other->suite, test->suite) == 0) {
            return other;
        }
    }
    return test;
}

static void
run_one(const struct plain_test *test)
{
    const struct plain_test *suite = suite_of(test);
    void (*const init)(void) = test->init != NULL ? test->init : suite->init;
    void (*const fini)(void) = test->fini != NULL ? test->fini : suite->fini;
    if (init != NULL) {
        init();
    }
    test->run();
    if (fini != NULL) {
        fini();
    }
    exit(0);
}

static bool
passes(const struct plain_test *test)
{
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        run_one(test);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return false;
    }
    return WIFSIGNALED(status) ? WTERMSIG(status) == test->signal
                               : test->signal == 0 && WEXITSTATUS(status) == test->exit_code;
}

int
main(void)
{
    int count = 0;
    int failed = 0;
    for (const struct plain_test *test = tests; test != NULL; test = test->next) {
        if (test->name != NULL) {
            count++;
            if (!passes(test)) {
                failed++;
                printf("FAILED %s::%s\n", test->suite, test->name);
            }
        }
    }
    printf("%d tests, %d failed\n", count, failed);
    return failed == 0 ? 0 : 1;
}
