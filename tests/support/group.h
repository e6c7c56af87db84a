// SPDX-License-Identifier: Apache-2.0
//
// Control groups with a limit of memory, where the machine lets this process make some.

#ifndef TESS_TEST_GROUP_H
#define TESS_TEST_GROUP_H

#include <stdbool.h>

#include "tests/support/processes.h"

struct test_group {
    char path[TEST_PATH_MAX];
    const char *limit_file;
    const char *peak_file;
    const char *kills_file;
};

// Makes a group of version 2 or 1; false if this process may not. Remove it with rmdir() when
// nobody is in it.
bool test_group_make(struct test_group *group, long bytes);

// Changes its limit; false if the system does not, as where more is taken and cannot be given up.
bool test_group_limit(const struct test_group *group, long bytes);

// The most kilobytes that were ever charged to it, −1 where the system does not tell; and how many
// of its processes the system killed for want of memory.
long test_group_peak_kb(const struct test_group *group);
long test_group_kills(const struct test_group *group);

#endif
