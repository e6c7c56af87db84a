// SPDX-License-Identifier: Apache-2.0
//
// A group with room for a few times what the process takes may as well keep pages of files: they
// make reading back fast, and the kernel has others to take away when it needs some.

#include "engine/io/uncached.h"

#include <fcntl.h>
#include <stdio.h>

#include "engine/base/cgroup.h"
#include "engine/base/pages.h"

// Of what this process expects to take, the multiple from which on a group has room for more.
#define ROOMY_TIMES 4

bool
tsi_uncached_is_wanted(void)
{
    const uint64_t expected = tsi_pages_expected();
    return expected > 0 && tsi_cgroup_limits("").memory_bytes / ROOMY_TIMES < expected;
}

int
tsi_uncached_open(int file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

void
tsi_uncached_let_go(int file, uint64_t offset, uint64_t bytes)
{
    (void)sync_file_range(file, (off_t)offset, (off_t)bytes,
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                              SYNC_FILE_RANGE_WAIT_AFTER);
    (void)posix_fadvise(file, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
}
