// SPDX-License-Identifier: Apache-2.0
//
// A growing array. TSI_VEC(type) declares one; all zero is empty.
//
//     TSI_VEC(uint32_t) tasks = {0};
//     if (!tsi_vec_push(&tasks, task)) { … memory is out … }
//     tsi_vec_fini(&tasks);

#ifndef TSI_BASE_VEC_H
#define TSI_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/memory.h"

#define TSI_VEC(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

// Room for `extra` more items; false when memory is out, and the vector stays as it was.
bool tsi_vec_grow_raw(void **items, size_t *capacity, size_t item_bytes, size_t count,
                      size_t extra);

#define tsi_vec_reserve(vec, extra)                                                                \
    ((vec)->capacity - (vec)->count >= (size_t)(extra) ||                                          \
     tsi_vec_grow_raw((void **)(void *)&(vec)->items, &(vec)->capacity, sizeof *(vec)->items,      \
                      (vec)->count, (size_t)(extra)))
#define tsi_vec_push(vec, item)                                                                    \
    (tsi_vec_reserve(vec, 1) && ((vec)->items[(vec)->count++] = (item), true))
#define tsi_vec_pop(vec) ((vec)->items[--(vec)->count])
#define tsi_vec_last(vec) ((vec)->items[(vec)->count - 1])
#define tsi_vec_clear(vec) ((void)((vec)->count = 0))
#define tsi_vec_fini(vec)                                                                          \
    (tsi_free((vec)->items), (vec)->items = NULL, (void)((vec)->count = (vec)->capacity = 0))

#endif
