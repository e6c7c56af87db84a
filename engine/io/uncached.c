// SPDX-License-Identifier: Apache-2.0
//
// A group with room for a few times what the process takes may as well keep pages of files: they
// make reading back fast, and the kernel has others to take away when it needs some.

#include "engine/io/uncached.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/cgroup.h"
#include "engine/base/clock.h"
#include "engine/base/pages.h"

// Of what this process expects to take, the multiple from which on a group has room for more.
#define ROOMY_TIMES 4
// Groups are looked at as often as that, since their limits can change.
#define LOOK_NS (1 * TSI_SECOND)
// What may be noted before it is let go.
#define NOTED_BYTES_MAX ((uint64_t)1 << 20)
// Pages that are read at once.
#define PAGES_MAX 1024

static atomic_uint_fast64_t group_bytes;
static atomic_uint_fast64_t next_look_ns; // 0: nobody has looked yet

bool
tsi_uncached_is_wanted(void)
{
    const uint64_t now = tsi_clock_ns();
    if (now >= atomic_load_explicit(&next_look_ns, memory_order_acquire)) {
        atomic_store_explicit(&group_bytes, tsi_cgroup_limits("").memory_bytes,
                              memory_order_relaxed);
        atomic_store_explicit(&next_look_ns, now + LOOK_NS, memory_order_release);
    }
    const uint64_t expected = tsi_pages_expected();
    return expected > 0 &&
           atomic_load_explicit(&group_bytes, memory_order_relaxed) / ROOMY_TIMES < expected;
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

// Only whole pages are dropped, so both ends are moved outward.
static void
drop_pages(int file, uint64_t offset, uint64_t bytes)
{
    const uint64_t first = offset / TSI_UNCACHED_STEP * TSI_UNCACHED_STEP;
    const uint64_t end =
        (offset + bytes + TSI_UNCACHED_STEP - 1) / TSI_UNCACHED_STEP * TSI_UNCACHED_STEP;
    (void)posix_fadvise(file, (off_t)first, (off_t)(end - first), POSIX_FADV_DONTNEED);
}

// How many of the `bytes` from `offset` on are all in memory, or all not. A read that is not to
// wait would not tell: it starts one from the disk, which may be over before it looks.
static size_t
alike_bytes(int file, uint64_t offset, size_t bytes, bool *are_there)
{
    unsigned char pages[PAGES_MAX] = {0};
    const uint64_t first = offset / TSI_UNCACHED_STEP * TSI_UNCACHED_STEP;
    const uint64_t most = first + PAGES_MAX * TSI_UNCACHED_STEP;
    const uint64_t end = offset + bytes < most ? offset + bytes : most;
    const size_t count = (size_t)((end - first + TSI_UNCACHED_STEP - 1) / TSI_UNCACHED_STEP);
    void *const mapped =
        mmap(NULL, (size_t)(end - first), PROT_READ, MAP_SHARED, file, (off_t)first);
    size_t alike = 1;
    *are_there = false;
    if (mapped == MAP_FAILED) {
        return bytes;
    }
    const bool is_told = mincore(mapped, (size_t)(end - first), pages) == 0;
    munmap(mapped, (size_t)(end - first));
    while (is_told && alike < count && ((pages[alike] ^ pages[0]) & 1) == 0) {
        alike++;
    }
    *are_there = is_told && (pages[0] & 1) != 0;
    const uint64_t stop = first + alike * TSI_UNCACHED_STEP;
    return (size_t)((stop < end && is_told ? stop : end) - offset);
}

// Beside what is wanted the system would read ahead.
ssize_t
tsi_uncached_read(int file, void *out, size_t bytes, uint64_t offset)
{
    bool are_there = false;
    const size_t now = bytes > 0 ? alike_bytes(file, offset, bytes, &are_there) : 0;
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
    const ssize_t count = pread(file, out, now, (off_t)offset);
    if (count > 0 && !are_there) {
        drop_pages(file, offset, (uint64_t)count);
    }
    return count;
}

void
tsi_uncached_flush(struct tsi_uncached_writes *writes, int file)
{
    for (int i = 0; i < writes->count; i++) {
        (void)sync_file_range(file, (off_t)writes->ranges[i].offset, (off_t)writes->ranges[i].bytes,
                              SYNC_FILE_RANGE_WRITE);
    }
    for (int i = 0; i < writes->count; i++) {
        (void)sync_file_range(file, (off_t)writes->ranges[i].offset, (off_t)writes->ranges[i].bytes,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
        drop_pages(file, writes->ranges[i].offset, writes->ranges[i].bytes);
    }
    writes->count = 0;
    writes->bytes = 0;
}

void
tsi_uncached_note(struct tsi_uncached_writes *writes, int file, uint64_t offset, uint64_t bytes)
{
    writes->ranges[writes->count].offset = offset;
    writes->ranges[writes->count].bytes = bytes;
    writes->count++;
    writes->bytes += bytes + TSI_UNCACHED_STEP;
    if (writes->count == TSI_UNCACHED_RANGES || writes->bytes >= NOTED_BYTES_MAX) {
        tsi_uncached_flush(writes, file);
    }
}
