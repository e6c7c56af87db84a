// SPDX-License-Identifier: Apache-2.0
//
// The limits of the control groups that this process is in.

#ifndef TSI_BASE_CGROUP_H
#define TSI_BASE_CGROUP_H

#include <stdint.h>

struct tsi_cgroup_limits {
    uint64_t memory_bytes; // UINT64_MAX: none
    int processors;        // quota / period, rounded up; INT_MAX: none
};

// The least limits of this process's own control groups and all above them, of version 2 and of
// version 1. `root` goes before every path that is read: "" for this machine, a folder that looks
// like one for tests.
struct tsi_cgroup_limits tsi_cgroup_limits(const char *root);

#endif
