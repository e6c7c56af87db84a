// SPDX-License-Identifier: Apache-2.0
//
// run_programs [WHERE [THREADS]]: runs the programs of tests/support/programs.h at WHERE, as
// tess_session_open() takes it ("embedded" if it is not given), and prints one line "name digest"
// for each. Two runs that print the same have computed the same bits.

#include <stdlib.h>

#include "tests/support/programs.h"

int
main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "embedded";
    const int threads = argc > 2 ? atoi(argv[2]) : 0;
    return test_programs_print(where, threads, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
