// SPDX-License-Identifier: Apache-2.0
//
// Pages of other processes that stay mapped here though nobody reads them: to map them again costs
// as much as to copy them. Whoever uses a list locks it, and has to take out what is to be read, or
// to be something else, before it is; so what is in the list may be forgotten at any time.

#ifndef TSI_BASE_MAPPED_H
#define TSI_BASE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"

struct tsi_mapped_range {
    unsigned char *pages;
    size_t bytes;
};

struct tsi_mapped {
    TSI_VEC(struct tsi_mapped_range) ranges; // the oldest first
    uint64_t bytes;
};

// Adds pages of which none is in the list; false if there are too many ranges, or memory is out.
bool tsi_mapped_put(struct tsi_mapped *mapped, void *pages, size_t bytes);

// Takes out what has any of these pages. Ranges that go beyond them are given up as a whole.
void tsi_mapped_take(struct tsi_mapped *mapped, const void *pages, size_t bytes);

// Gives up the oldest range: its pages are found again in their file when they are read. False if
// there is none.
bool tsi_mapped_drop_oldest(struct tsi_mapped *mapped);

#endif
