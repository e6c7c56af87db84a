// SPDX-License-Identifier: Apache-2.0
//
// The pages of large buffers. Usually they are this process's own. Once tsi_pages_share() was
// called they are of one memory file, parts of which other processes can be allowed to read:
// tsi_pages_place() tells where in the file something is, tsi_pages_open() gives the file.

#ifndef TSI_BASE_PAGES_H
#define TSI_BASE_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Sizes and places of blocks are multiples of this.
#define TSI_PAGES_STEP ((size_t)64 << 10)

// Blocks of at most `bytes_max` altogether are expected from here on; a part of that stays with the
// process when it is free. False if the system cannot share memory: then nothing has changed. The
// first call counts, later ones only tell its result.
bool tsi_pages_share(uint64_t bytes_max);

// Pages of `bytes`, a multiple of TSI_PAGES_STEP, with any contents; NULL when memory is out.
void *tsi_pages_take(size_t bytes);
void tsi_pages_give(void *pages, size_t bytes);

// Where in the file `data` is; false if it is not.
bool tsi_pages_place(const void *data, uint64_t *offset);

// The file for others: a new descriptor that only reads, -1 if there is none. The file never
// shrinks, and grows up to `*bytes_max`.
int tsi_pages_open(uint64_t *bytes_max);

// Words at the start of the file that are no block's, `*count` of them, all zero at first; NULL
// without a file.
_Atomic(uint64_t) *tsi_pages_words(size_t *count);

#endif
