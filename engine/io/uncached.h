// SPDX-License-Identifier: Apache-2.0
//
// Files past the page cache. What a process writes to a file stays in memory until the disk has it,
// and in a control group it counts as the group's: one that writes faster than the disk takes it
// is killed for pages that it does not know of.

#ifndef TSI_IO_UNCACHED_H
#define TSI_IO_UNCACHED_H

#include <stdbool.h>
#include <stdint.h>

// Places, sizes and addresses of direct transfers are multiples of this.
#define TSI_UNCACHED_STEP ((uint64_t)4096)

// Whether pages of files take the memory of a control group that has not much more than this
// process expects to take.
bool tsi_uncached_is_wanted(void);

// Another descriptor for the same file, whose transfers are direct; -1 where there is none.
int tsi_uncached_open(int file);

// Waits until the disk has what was written there, and drops its pages. Where the system does not
// do that nothing happens. `bytes` 0: up to the end.
void tsi_uncached_let_go(int file, uint64_t offset, uint64_t bytes);

#endif
