// SPDX-License-Identifier: Apache-2.0
//
// Files past the page cache. What a process writes to a file stays in memory until the disk has it,
// and in a control group it counts as the group's: one that writes faster than the disk takes it
// is killed for pages that it does not know of.

#ifndef TSI_IO_UNCACHED_H
#define TSI_IO_UNCACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Places, sizes and addresses of direct transfers are multiples of this.
#define TSI_UNCACHED_STEP ((uint64_t)4096)

// Whether pages of files take the memory of a control group that has not much more than this
// process expects to take. The groups are looked at once a second.
bool tsi_uncached_is_wanted(void);

// Another descriptor for the same file, whose transfers are direct; -1 where there is none.
int tsi_uncached_open(int file);

// Reads as pread() does, also less than is wanted, and tells the system not to keep what it had to
// read from the disk. What it had kept before is somebody's, and stays.
ssize_t tsi_uncached_read(int file, void *out, size_t bytes, uint64_t offset);

// Waits until the disk has what was written there, and drops its pages. Where the system does not
// do that nothing happens. `bytes` 0: up to the end.
void tsi_uncached_let_go(int file, uint64_t offset, uint64_t bytes);

// What was written here and there, to be let go together: the disk takes all of it at once, and
// what others write in between does not delay it. Begin with zeros.
enum { TSI_UNCACHED_RANGES = 256 };
struct tsi_uncached_writes {
    int count;
    uint64_t bytes; // of pages
    struct {
        uint64_t offset;
        uint64_t bytes;
    } ranges[TSI_UNCACHED_RANGES];
};

// Notes a range that was written, and lets go of all that are noted once they are many, or large.
void tsi_uncached_note(struct tsi_uncached_writes *writes, int file, uint64_t offset,
                       uint64_t bytes);
void tsi_uncached_flush(struct tsi_uncached_writes *writes, int file);

#endif
