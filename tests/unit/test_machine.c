// SPDX-License-Identifier: Apache-2.0
//
// The limits of the machine that the test runs on, made narrower where a process can do that
// itself.

#include "engine/base/machine.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/sanitizer.h"

Test(machine, has_a_processor_and_no_more_than_are_online)
{
    const int processors = tsi_machine_processors();

    cr_assert(processors >= 1);
    cr_assert(processors <= sysconf(_SC_NPROCESSORS_CONF), "%d processors", processors);
}

Test(machine, the_affinity_mask_counts)
{
    cpu_set_t allowed;
    cpu_set_t one;
    cr_assert_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &allowed)) {
            CPU_SET(i, &one);
        }
    }
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);

    cr_assert_eq(tsi_machine_processors(), 1);
}

Test(machine, has_memory_and_no_more_than_is_built_in)
{
    const uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t bytes = tsi_machine_memory_bytes();

    cr_assert(bytes >= UINT64_C(1) << 20, "%" PRIu64 " bytes", bytes);
    cr_assert(bytes <= physical, "%" PRIu64 " of %" PRIu64 " bytes", bytes, physical);
}

Test(machine, a_limit_of_address_space_counts)
{
    // A sanitizer takes terabytes of address space and cannot go on under such a limit.
    if (TEST_WITH_ASAN || TEST_WITH_TSAN) {
        cr_skip_test("a sanitizer is in the way");
    }
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    const rlim_t before = limit.rlim_cur;

    limit.rlim_cur = (rlim_t)50 << 20;
    const int set = setrlimit(RLIMIT_AS, &limit);
    const uint64_t bytes = tsi_machine_memory_bytes();
    limit.rlim_cur = before;
    (void)setrlimit(RLIMIT_AS, &limit);

    cr_assert_eq(set, 0);
    cr_assert_eq(bytes, UINT64_C(50) << 20, "%" PRIu64 " bytes", bytes);
}

Test(machine, resident_bytes_follow_what_is_touched)
{
    const size_t bytes = (size_t)64 << 20;
    const uint64_t before = tsi_machine_resident_bytes();
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED);

    memset(pages, 1, bytes);
    const uint64_t during = tsi_machine_resident_bytes();
    munmap(pages, bytes);
    const uint64_t after = tsi_machine_resident_bytes();

    cr_assert(before > 0);
    cr_assert(during >= before + bytes / 2, "%" PRIu64 " after %" PRIu64, during, before);
    cr_assert(after + bytes / 2 <= during, "%" PRIu64 " after %" PRIu64, after, during);
    cr_assert(tsi_machine_resident_peak_bytes() + bytes / 8 >= during);
}
