// SPDX-License-Identifier: Apache-2.0
//
// Open addressing with linear probing. A key is never separated from its home by an unused slot:
// removing closes the gap by moving later keys back, so there are no marks of removed keys and a
// map that keys come to and go from for days does not slow down. At most three quarters are used.

#include "engine/base/map.h"

#include <string.h>

#include "engine/base/memory.h"

enum { FIRST_CAPACITY = 16 };

struct tsi_map_slot {
    uint64_t key;
    uint64_t value;
    bool used;
};

void
tsi_map_fini(struct tsi_map *map)
{
    tsi_free(map->slots);
    *map = (struct tsi_map){0};
}

void
tsi_map_clear(struct tsi_map *map)
{
    if (map->count > 0) {
        memset(map->slots, 0, map->capacity * sizeof *map->slots);
        map->count = 0;
    }
}

// The first slot that `key` would take: neighbouring keys, which ids often are, must not be
// neighbours.
static size_t
home(uint64_t key, size_t capacity)
{
    key ^= key >> 31;
    key *= UINT64_C(0x7FB5D329728EA185);
    key ^= key >> 27;
    key *= UINT64_C(0x81DADEF4BC2DD44D);
    key ^= key >> 33;
    return (size_t)key & (capacity - 1);
}

// The slot that holds `key`, else the unused one where it would go. The map has room.
static size_t
find(const struct tsi_map_slot *slots, size_t capacity, uint64_t key)
{
    size_t i = home(key, capacity);
    while (slots[i].used && slots[i].key != key) {
        i = (i + 1) & (capacity - 1);
    }
    return i;
}

uint64_t *
tsi_map_get(const struct tsi_map *map, uint64_t key)
{
    if (map->count == 0) {
        return NULL;
    }
    struct tsi_map_slot *slot = &map->slots[find(map->slots, map->capacity, key)];
    return slot->used ? &slot->value : NULL;
}

static bool
grow(struct tsi_map *map)
{
    const size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
    struct tsi_map_slot *slots = tsi_calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used) {
            slots[find(slots, capacity, map->slots[i].key)] = map->slots[i];
        }
    }
    tsi_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool
tsi_map_put(struct tsi_map *map, uint64_t key, uint64_t value)
{
    uint64_t *present = tsi_map_get(map, key);
    if (present != NULL) {
        *present = value;
        return true;
    }
    if (map->count >= map->capacity / 4 * 3 && !grow(map)) {
        return false;
    }
    struct tsi_map_slot *slot = &map->slots[find(map->slots, map->capacity, key)];
    *slot = (struct tsi_map_slot){key, value, true};
    map->count++;
    return true;
}

bool
tsi_map_remove(struct tsi_map *map, uint64_t key)
{
    if (map->count == 0) {
        return false;
    }
    const size_t mask = map->capacity - 1;
    size_t gap = find(map->slots, map->capacity, key);
    if (!map->slots[gap].used) {
        return false;
    }
    for (size_t i = (gap + 1) & mask; map->slots[i].used; i = (i + 1) & mask) {
        // A key may move into the gap if the gap is not before its home, counted around the end.
        const size_t distance = (i - home(map->slots[i].key, map->capacity)) & mask;
        if (distance >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap].used = false;
    map->count--;
    return true;
}

bool
tsi_map_next(const struct tsi_map *map, size_t *cursor, uint64_t *key, uint64_t *value)
{
    while (*cursor < map->capacity) {
        const struct tsi_map_slot *slot = &map->slots[(*cursor)++];
        if (slot->used) {
            *key = slot->key;
            *value = slot->value;
            return true;
        }
    }
    return false;
}
