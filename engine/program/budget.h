// SPDX-License-Identifier: Apache-2.0
//
// The memory that reading a program may take: an arena, and how much of it is left.
//
// A few bytes of a program can name large things, so what they take is counted here before it is
// taken.

#ifndef TSI_PROGRAM_BUDGET_H
#define TSI_PROGRAM_BUDGET_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "tessera/status.h"

struct tsi_budget {
    struct tsi_arena *arena;
    size_t left;
    tess_status status; // TESS_OK, or why the first request failed: TESS_ENOMEM, TESS_ELIMIT
};

// Zeroed memory for `count` things of `bytes` each; NULL after a failure.
void *tsi_budget_take(struct tsi_budget *budget, size_t count, size_t bytes);

#endif
