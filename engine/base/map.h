// SPDX-License-Identifier: Apache-2.0
//
// A map from 64-bit keys to 64-bit values: open addressing, linear probing, no iteration order that
// depends on anything but the keys and the order in which they came and went.

#ifndef TSI_BASE_MAP_H
#define TSI_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsi_map_slot;

// All zero is the empty map.
struct tsi_map {
    struct tsi_map_slot *slots;
    size_t capacity; // a power of two, or 0
    size_t count;
};

void tsi_map_fini(struct tsi_map *map);
void tsi_map_clear(struct tsi_map *map);

// The place of the value of `key`, NULL if it is not there; valid until the next put or remove.
uint64_t *tsi_map_get(const struct tsi_map *map, uint64_t key);

// Sets the value of `key`; false when memory is out.
bool tsi_map_put(struct tsi_map *map, uint64_t key, uint64_t value);

// Takes `key` out; false if it was not there.
bool tsi_map_remove(struct tsi_map *map, uint64_t key);

// Steps through the map: start with `*cursor` 0; false at the end. The map must not change
// meanwhile.
bool tsi_map_next(const struct tsi_map *map, size_t *cursor, uint64_t *key, uint64_t *value);

#endif
