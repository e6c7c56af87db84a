// SPDX-License-Identifier: Apache-2.0
//
// Groups are directories, limits are files in them.

#include "tests/support/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
test_group_limit(const struct test_group *group, long bytes)
{
    char path[TEST_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", group->path, group->limit_file);
    FILE *file = fopen(path, "r+e");
    if (file == NULL) {
        return false;
    }
    const bool is_written = fprintf(file, "%ld", bytes) > 0;
    return fclose(file) == 0 && is_written;
}

// The number behind `key` and a blank at the start of a line; that of the first line for "".
static long
read_number(const struct test_group *group, const char *name, const char *key)
{
    char path[TEST_PATH_MAX + 64];
    char line[256];
    long number = -1;
    snprintf(path, sizeof path, "%s/%s", group->path, name);
    FILE *file = fopen(path, "re");
    while (file != NULL && number < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            number = strtol(line + strlen(key), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return number;
}

long
test_group_peak_kb(const struct test_group *group)
{
    const long bytes = read_number(group, group->peak_file, "");
    return bytes < 0 ? -1 : bytes / 1024;
}

long
test_group_kills(const struct test_group *group)
{
    return read_number(group, group->kills_file, "oom_kill ");
}

bool
test_group_make(struct test_group *group, long bytes)
{
    static const char *const kinds[][4] = {
        {"/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"},
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes",
         "memory.oom_control"},
    };
    for (int i = 0; i < 2; i++) {
        snprintf(group->path, sizeof group->path, "%s/tessera-test-%ld", kinds[i][0],
                 (long)getpid());
        group->limit_file = kinds[i][1];
        group->peak_file = kinds[i][2];
        group->kills_file = kinds[i][3];
        if (mkdir(group->path, 0755) == 0) {
            if (test_group_limit(group, bytes)) {
                return true;
            }
            rmdir(group->path);
        }
    }
    return false;
}
