// SPDX-License-Identifier: Apache-2.0
//
// The free parts of a range of addresses, or of a file: taken first fit, joined again when they are
// given back. Whoever uses a list locks it.

#ifndef TSI_BASE_EXTENTS_H
#define TSI_BASE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/vec.h"

struct tsi_extents_part {
    uint64_t offset;
    uint64_t bytes;
};

struct tsi_extents {
    TSI_VEC(struct tsi_extents_part) parts; // free; in order of their place, none touches another
    size_t taken;                           // how many were taken and not given back
};

// All of `bytes` from `offset` on is free. False when memory is out.
bool tsi_extents_init(struct tsi_extents *extents, uint64_t offset, uint64_t bytes);
void tsi_extents_fini(struct tsi_extents *extents);

// Memory for one more piece; false when there is none. For who has to know why nothing was taken.
bool tsi_extents_reserve(struct tsi_extents *extents);

// Takes `bytes`; false when no part has so many, or memory is out: giving it back must not need
// any.
bool tsi_extents_take(struct tsi_extents *extents, uint64_t bytes, uint64_t *offset);

// Gives back what was taken.
void tsi_extents_give(struct tsi_extents *extents, uint64_t offset, uint64_t bytes);

#endif
