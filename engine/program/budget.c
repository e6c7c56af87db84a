// SPDX-License-Identifier: Apache-2.0
//
// A limit on one arena. After the first failure nothing is handed out any more, so that a caller
// may ask once at the end.

#include "engine/program/budget.h"

#include <stdint.h>

void *
tsi_budget_take(struct tsi_budget *budget, size_t count, size_t bytes)
{
    size_t total = 0;
    if (budget->status != TESS_OK) {
        return NULL;
    }
    if (__builtin_mul_overflow(count, bytes, &total) || total > budget->left) {
        budget->status = TESS_ELIMIT;
        return NULL;
    }
    void *memory = tsi_arena_alloc(budget->arena, total);
    if (memory == NULL) {
        budget->status = TESS_ENOMEM;
        return NULL;
    }
    budget->left -= total;
    return memory;
}
