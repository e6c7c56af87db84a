// SPDX-License-Identifier: Apache-2.0
//
// The pages of buffers that are not small. Usually they are this process's own. Once
// tsi_pages_share() was called those of large blocks are of one memory file, parts of which other
// processes can be allowed to read: tsi_pages_place() tells where in the file something is,
// tsi_pages_open() gives the file.
//
// A process may say how much memory it expects to take, and what it takes elsewhere is counted with
// it. Freed blocks are kept for the next use only as long as all of it together stays below.

#ifndef TSI_BASE_PAGES_H
#define TSI_BASE_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Sizes and places of blocks in the file are multiples of this.
#define TSI_PAGES_STEP ((size_t)64 << 10)

// Blocks of at least so many bytes are in the file.
#define TSI_PAGES_SHARED_MIN ((size_t)1 << 20)

// Blocks of at most `bytes_max` altogether are expected from here on; a part of that stays with the
// process when it is free. False if the system cannot share memory: then nothing has changed. The
// first call counts, later ones only tell its result.
bool tsi_pages_share(uint64_t bytes_max);

// Pages for `bytes` with any contents; NULL when memory is out. They are given back with the same
// number.
void *tsi_pages_take(size_t bytes);
void tsi_pages_give(void *pages, size_t bytes);

// Whether pages for `bytes` are kept, so that tsi_pages_take() costs nothing.
bool tsi_pages_are_kept(size_t bytes);

// Expects that this process takes `bytes` more, or less. As long as the sum is 0 there is no bound
// but that for what is kept.
void tsi_pages_expect(int64_t bytes);

// That sum, 0: no bound.
uint64_t tsi_pages_expected(void);

// Counts `bytes` that were taken elsewhere, or less than 0 that were given back there.
void tsi_pages_count(int64_t bytes);

// Pages of another process's file that are mapped here stay so while nobody reads them, if there is
// room within what is expected, and count. False if they do not: then the caller unmaps them. They
// are forgotten, and so cost page faults the next time, as soon as the room is needed.
bool tsi_pages_keep_mapped(void *pages, size_t bytes);

// These pages do not stay mapped only to be kept any more: they are read, or unmapped, from now on.
void tsi_pages_use_mapped(const void *pages, size_t bytes);

// What counts: blocks that were taken, those that are kept, what is mapped, and what was taken
// elsewhere.
uint64_t tsi_pages_bytes(void);
uint64_t tsi_pages_kept_bytes(void);

// Gives all back that is kept.
void tsi_pages_trim(void);

// What other processes still read of this one's memory comes back soon, or when they are asked for
// it. tsi_pages_watch() gives a descriptor, the same each time, that is readable once a thread
// waits for that; -1 if there is none. tsi_pages_watched() makes it wait for the next. A thread
// waits for a moment at most, and only if it said that it may.
int tsi_pages_watch(void);
void tsi_pages_watched(void);
void tsi_pages_may_wait(void);

// For threads that may not: whether `bytes` more are within what is expected, or it was asked in
// vain for as long as others wait. If not, ask again soon.
bool tsi_pages_has_room(size_t bytes);

// Where in the file `data` is; false if it is not.
bool tsi_pages_place(const void *data, uint64_t *offset);

// The file for others: a new descriptor that only reads, -1 if there is none. The file never
// shrinks, and grows up to `*bytes_max`.
int tsi_pages_open(uint64_t *bytes_max);

// Words at the start of the file that are no block's, `*count` of them, all zero at first; NULL
// without a file.
_Atomic(uint64_t) *tsi_pages_words(size_t *count);

#endif
