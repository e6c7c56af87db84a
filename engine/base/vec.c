// SPDX-License-Identifier: Apache-2.0
//
// Growth by doubling. The address of the items is read and written as bytes, since the caller's
// pointer has the type of its items and not the one that is seen here.

#include "engine/base/vec.h"

#include <stdint.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

bool
tsi_vec_grow_raw(void **items, size_t *capacity, size_t item_bytes, size_t count, size_t extra)
{
    size_t needed = 0;
    if (__builtin_add_overflow(count, extra, &needed) || needed > SIZE_MAX / 2) {
        return false;
    }
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < FIRST_CAPACITY ? FIRST_CAPACITY : *capacity;
    while (wanted < needed) {
        wanted *= 2;
    }
    void *old = NULL;
    memcpy(&old, (const void *)items, sizeof old);
    void *grown = tsi_realloc(old, wanted, item_bytes);
    if (grown == NULL) {
        return false;
    }
    memcpy((void *)items, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}
