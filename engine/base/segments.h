// SPDX-License-Identifier: Apache-2.0
//
// Blocks of whole pages of this process, from large ranges of addresses: a mapping for each block
// would soon be more mappings than the system allows a process. A block that is given back has no
// memory any more.

#ifndef TSI_BASE_SEGMENTS_H
#define TSI_BASE_SEGMENTS_H

#include <stddef.h>

// The most that one block can have.
#define TSI_SEGMENTS_BLOCK_MAX ((size_t)4 << 20)

// Pages for `bytes`, filled with memory; NULL when that is out. They are given back with the same
// number.
void *tsi_segments_take(size_t bytes);
void tsi_segments_give(void *pages, size_t bytes);

#endif
