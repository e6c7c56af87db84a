// SPDX-License-Identifier: Apache-2.0
//
// Groups are directories, limits are files in them.

#include "tests/support/group.h"

#include <stdio.h>
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

bool
test_group_make(struct test_group *group, long bytes)
{
    static const char *const kinds[][2] = {
        {"/sys/fs/cgroup", "memory.max"},
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
    };
    for (int i = 0; i < 2; i++) {
        snprintf(group->path, sizeof group->path, "%s/tessera-test-%ld", kinds[i][0],
                 (long)getpid());
        group->limit_file = kinds[i][1];
        if (mkdir(group->path, 0755) == 0) {
            if (test_group_limit(group, bytes)) {
                return true;
            }
            rmdir(group->path);
        }
    }
    return false;
}
