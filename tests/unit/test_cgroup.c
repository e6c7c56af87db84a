// SPDX-License-Identifier: Apache-2.0
//
// Control groups of machines that exist only as files under a folder.

#include "engine/base/cgroup.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void
setup(void)
{
    strcpy(root, "/tmp/tessera_cgroup_XXXXXX");
    cr_assert(mkdtemp(root) != NULL);
}

static void
teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

// Writes the file `path` under the root, with the directories above it.
static void
put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert(file != NULL, "%s", full);
    fputs(text, file);
    fclose(file);
}

static void
assert_limits(uint64_t memory_bytes, int processors)
{
    const struct tsi_cgroup_limits limits = tsi_cgroup_limits(root);
    cr_assert_eq(limits.memory_bytes, memory_bytes, "%" PRIu64 " bytes", limits.memory_bytes);
    cr_assert_eq(limits.processors, processors, "%d processors", limits.processors);
}

TestSuite(cgroup, .init = setup, .fini = teardown);

static const char v2_mount[] =
    "24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

Test(cgroup, a_machine_without_groups_has_no_limits)
{
    assert_limits(UINT64_MAX, INT_MAX);
}

Test(cgroup, own_limits_of_version_2_count)
{
    put("/proc/self/cgroup", "0::/user.slice/job\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/user.slice/job/memory.max", "1000000\n");
    put("/sys/fs/cgroup/user.slice/job/memory.high", "max\n");
    put("/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
    assert_limits(1000000, 2);
}

Test(cgroup, the_least_limit_above_counts)
{
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/memory.high", "700\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/a/memory.max", "900\n");
    put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    assert_limits(700, 3);
}

Test(cgroup, the_mount_point_itself_has_limits_too)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/memory.max", "5000\n");
    put("/sys/fs/cgroup/cpu.max", "10000 100000\n");
    assert_limits(5000, 1);
}

Test(cgroup, a_container_sees_a_branch_of_the_tree)
{
    put("/proc/self/cgroup", "0::/docker/abc/inner\n");
    put("/proc/self/mountinfo", "30 24 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    put("/sys/fs/cgroup/inner/memory.max", "4000\n");
    put("/sys/fs/cgroup/memory.max", "3000\n");
    assert_limits(3000, INT_MAX);
}

Test(cgroup, a_process_outside_of_the_mounted_branch_has_the_limits_of_its_root)
{
    put("/proc/self/cgroup", "0::/../../other\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/sys/fs/cgroup/memory.max", "3000\n");
    put("/other/memory.max", "10\n");
    put("/sys/other/memory.max", "10\n");
    assert_limits(3000, INT_MAX);
}

Test(cgroup, a_branch_is_not_a_prefix_of_a_name)
{
    put("/proc/self/cgroup", "0::/docker/abcdef\n");
    put("/proc/self/mountinfo", "30 24 0:26 /docker/abc /cg rw - cgroup2 cgroup rw\n");
    put("/cg/memory.max", "3000\n");
    put("/cgdef/memory.max", "10\n");
    assert_limits(3000, INT_MAX);
}

Test(cgroup, limits_of_version_1_count)
{
    put("/proc/self/cgroup", "5:memory:/box/in\n4:cpu,cpuacct:/box\n3:cpuset:/\n");
    put("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/memory/box/in/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "123456\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_limits(123456, 3);
}

Test(cgroup, both_versions_can_be_there_at_once)
{
    put("/proc/self/cgroup", "4:memory:/v1\n0::/v2\n");
    put("/proc/self/mountinfo", "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n"
                                "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    put("/cg/memory/v1/memory.limit_in_bytes", "2000\n");
    put("/cg/unified/v2/cpu.max", "100000 100000\n");
    assert_limits(2000, 1);
}

Test(cgroup, blanks_in_mount_points_are_read)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", "30 24 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
    put("/my groups/memory.max", "77\n");
    assert_limits(77, INT_MAX);
}

Test(cgroup, nonsense_is_no_limit)
{
    put("/proc/self/cgroup", "nonsense\n0:\n::\n\n0::/\n");
    put("/proc/self/mountinfo", "- \n1 2 3\n - cgroup2\n30 24 0:26 / /cg rw - cgroup2 c rw\n");
    put("/cg/memory.max", "lots\n");
    put("/cg/memory.high", "");
    put("/cg/cpu.max", "1 0\n");
    assert_limits(UINT64_MAX, INT_MAX);
}

Test(cgroup, lines_longer_than_any_path_are_skipped)
{
    static char lines[80000];
    memset(lines, 'x', sizeof lines);
    const char last[] = "\n30 24 0:26 / /cg rw - cgroup2 cgroup2 rw\n";
    memcpy(lines + sizeof lines - sizeof last, last, sizeof last);
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", lines);
    put("/cg/memory.max", "88\n");
    assert_limits(88, INT_MAX);
}
