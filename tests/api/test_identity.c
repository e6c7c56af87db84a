// SPDX-License-Identifier: Apache-2.0
//
// The programs of tests/support/programs.h, which cover every operation, give the same bits with
// any number of threads and any instruction set.

#include "tests/support/api.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/programs.h"

// What test_programs_print() prints, from a child process with TESSERA_ISA set to `isa` unless that
// is NULL. The caller frees it.
static char *
run_programs(const char *isa, int threads)
{
    FILE *file = tmpfile();
    cr_assert(file != NULL);
    fflush(NULL);
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        if (isa != NULL) {
            setenv("TESSERA_ISA", isa, 1);
        }
        const int failures = test_programs_print("embedded", threads, file);
        fflush(file);
        _exit(failures == 0 ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    const long length = ftell(file) >= 0 && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *text = calloc((size_t)length + 1, 1);
    cr_assert(length > 0 && text != NULL);
    rewind(file);
    cr_assert_eq(fread(text, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    return text;
}

static void
expect_same_lines(const char *what, const char *have, const char *want)
{
    while (*want != '\0') {
        const size_t length = strcspn(want, "\n") + 1;
        cr_assert(strncmp(have, want, length) == 0, "%s: %.*s, not %.*s", what,
                  (int)strcspn(have, "\n"), have, (int)length - 1, want);
        have += length;
        want += length;
    }
}

Test(api_identity, any_number_of_threads)
{
    static const int threads[] = {2, 3, 7};
    char *want = run_programs(NULL, 1);
    for (int i = 0; i < 3; i++) {
        char what[32];
        snprintf(what, sizeof what, "%d threads", threads[i]);
        char *have = run_programs(NULL, threads[i]);
        expect_same_lines(what, have, want);
        free(have);
    }
    free(want);
}

// An instruction set that this processor has not is the best one that it has.
Test(api_identity, any_instruction_set)
{
    static const char *const sets[] = {"avx2", "avx512", NULL};
    char *want = run_programs("baseline", 2);
    for (int i = 0; i < 3; i++) {
        char *have = run_programs(sets[i], 2);
        expect_same_lines(sets[i] != NULL ? sets[i] : "default", have, want);
        free(have);
    }
    free(want);
}
