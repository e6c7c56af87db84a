// SPDX-License-Identifier: Apache-2.0
//
// The least of all limits that the system knows. Each is asked for by itself; one that cannot be
// found out is taken as none.

#include "engine/base/machine.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/cgroup.h"

// The kernel refuses a mask that is shorter than its own, so it grows until it is taken.
static int
affinity_processors(void)
{
    for (size_t bits = 1024; bits <= (size_t)1 << 20; bits *= 2) {
        cpu_set_t *set = CPU_ALLOC(bits);
        if (set == NULL) {
            return 1;
        }
        const size_t bytes = CPU_ALLOC_SIZE(bits);
        const int failed = sched_getaffinity(0, bytes, set);
        const int count = failed == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) {
            return count;
        }
    }
    return 1;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int
tsi_machine_processors(void)
{
    const int allowed = affinity_processors();
    const int quota = tsi_cgroup_limits("").processors;
    return allowed < quota ? allowed : quota;
}

static uint64_t
physical_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_bytes <= 0) {
        return UINT64_MAX;
    }
    return (uint64_t)pages * (uint64_t)page_bytes;
}

static uint64_t
address_space_bytes(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    return (uint64_t)limit.rlim_cur;
}

uint64_t
tsi_machine_memory_bytes(void)
{
    return least(least(physical_bytes(), address_space_bytes()),
                 tsi_cgroup_limits("").memory_bytes);
}

// The value of a line such as "VmRSS:   1234 kB" of /proc/self/status, in bytes; 0 without it.
static uint64_t
status_bytes(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) {
        return 0;
    }
    const size_t count = strlen(name);
    char line[256];
    uint64_t kibibytes = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, count) == 0) {
            if (sscanf(line + count, "%" SCNu64, &kibibytes) != 1) {
                kibibytes = 0;
            }
            break;
        }
    }
    fclose(file);
    return kibibytes * 1024;
}

uint64_t
tsi_machine_addresses_left(void)
{
    const uint64_t limit = address_space_bytes();
    const uint64_t taken = status_bytes("VmSize:");
    return limit == UINT64_MAX ? limit : limit > taken ? limit - taken : 0;
}

uint64_t
tsi_machine_resident_bytes(void)
{
    return status_bytes("VmRSS:");
}

uint64_t
tsi_machine_resident_peak_bytes(void)
{
    return status_bytes("VmHWM:");
}

// Left to everything that is not a chunk.
#define RESERVE_BYTES ((uint64_t)64 << 20)

uint64_t
tsi_machine_chunk_bytes(void)
{
    const uint64_t memory = tsi_machine_memory_bytes();
    return memory > 2 * RESERVE_BYTES ? memory - RESERVE_BYTES : memory / 2;
}
