// SPDX-License-Identifier: Apache-2.0
//
// The map against a plain array of pairs, and the places where open addressing goes wrong.

#include "engine/base/map.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "engine/base/memory.h"

enum { MODEL_MAX = 512 };

struct model {
    uint64_t key[MODEL_MAX];
    uint64_t value[MODEL_MAX];
    size_t count;
};

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static size_t
model_find(const struct model *model, uint64_t key)
{
    size_t i = 0;
    while (i < model->count && model->key[i] != key) {
        i++;
    }
    return i;
}

static void
assert_same(const struct tsi_map *map, const struct model *model)
{
    cr_assert_eq(map->count, model->count, "%zu keys, expected %zu", map->count, model->count);
    for (size_t i = 0; i < model->count; i++) {
        const uint64_t *value = tsi_map_get(map, model->key[i]);
        cr_assert(value != NULL, "key %" PRIu64 " is lost", model->key[i]);
        cr_assert_eq(*value, model->value[i], "key %" PRIu64, model->key[i]);
    }
    size_t cursor = 0;
    size_t steps = 0;
    uint64_t key = 0;
    uint64_t value = 0;
    while (tsi_map_next(map, &cursor, &key, &value)) {
        const size_t i = model_find(model, key);
        cr_assert(i < model->count, "step to key %" PRIu64 " that is not there", key);
        cr_assert_eq(value, model->value[i]);
        steps++;
    }
    cr_assert_eq(steps, model->count);
}

Test(map, an_empty_map_has_nothing)
{
    struct tsi_map map = {0};
    size_t cursor = 0;
    uint64_t key = 0;
    uint64_t value = 0;

    cr_assert(tsi_map_get(&map, 0) == NULL);
    cr_assert(!tsi_map_remove(&map, 0));
    cr_assert(!tsi_map_next(&map, &cursor, &key, &value));
    tsi_map_clear(&map);
    tsi_map_fini(&map);
}

Test(map, keys_at_both_ends_are_keys_like_others)
{
    struct tsi_map map = {0};

    cr_assert(tsi_map_put(&map, 0, 7));
    cr_assert(tsi_map_put(&map, UINT64_MAX, 0));

    cr_assert_eq(*tsi_map_get(&map, 0), 7);
    cr_assert_eq(*tsi_map_get(&map, UINT64_MAX), 0);
    cr_assert(tsi_map_remove(&map, 0));
    cr_assert(tsi_map_get(&map, 0) == NULL);
    cr_assert(!tsi_map_remove(&map, 0));
    tsi_map_fini(&map);
}

Test(map, does_as_an_array_of_pairs_does)
{
    static struct model model;
    struct tsi_map map = {0};
    uint64_t random = 12345;

    // Few keys, so that putting again and removing happen often and gaps close around the end.
    for (int step = 0; step < 20000; step++) {
        const uint64_t key = next_random(&random) % 400 * UINT64_C(0x100000001);
        const uint64_t value = next_random(&random);
        const size_t i = model_find(&model, key);
        if (next_random(&random) % 100 < 55) {
            cr_assert(tsi_map_put(&map, key, value));
            model.key[i] = key;
            model.value[i] = value;
            model.count += i == model.count ? 1 : 0;
        } else {
            cr_assert_eq(tsi_map_remove(&map, key), i < model.count);
            if (i < model.count) {
                model.count--;
                model.key[i] = model.key[model.count];
                model.value[i] = model.value[model.count];
            }
        }
        if (step % 100 == 0) {
            assert_same(&map, &model);
        }
    }
    assert_same(&map, &model);
    tsi_map_fini(&map);
}

Test(map, coming_and_going_does_not_make_it_grow)
{
    struct tsi_map map = {0};

    for (uint64_t i = 0; i < 100000; i++) {
        cr_assert(tsi_map_put(&map, i, i));
        if (i >= 8) {
            cr_assert(tsi_map_remove(&map, i - 8));
        }
    }

    cr_assert_eq(map.count, 8);
    cr_assert(map.capacity <= 32, "%zu slots", map.capacity);
    tsi_map_fini(&map);
}

Test(map, a_cleared_map_can_be_used_again)
{
    struct tsi_map map = {0};
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert(tsi_map_put(&map, i, i));
    }

    tsi_map_clear(&map);

    cr_assert_eq(map.count, 0);
    cr_assert(tsi_map_get(&map, 5) == NULL);
    cr_assert(tsi_map_put(&map, 5, 6));
    cr_assert_eq(*tsi_map_get(&map, 5), 6);
    tsi_map_fini(&map);
}

Test(map, the_same_history_gives_the_same_order)
{
    struct tsi_map a = {0};
    struct tsi_map b = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert(tsi_map_put(&a, i * i, i));
        cr_assert(tsi_map_put(&b, i * i, i));
    }
    size_t cursor_a = 0;
    size_t cursor_b = 0;
    uint64_t key_a = 0;
    uint64_t key_b = 0;
    uint64_t value = 0;

    while (tsi_map_next(&a, &cursor_a, &key_a, &value)) {
        cr_assert(tsi_map_next(&b, &cursor_b, &key_b, &value));
        cr_assert_eq(key_a, key_b);
    }
    cr_assert(!tsi_map_next(&b, &cursor_b, &key_b, &value));
    tsi_map_fini(&a);
    tsi_map_fini(&b);
}

Test(map, stays_as_it_was_when_memory_is_out)
{
    struct tsi_map map = {0};
    uint64_t put = 0;

    tsi_memory_fail_after(1);
    while (tsi_map_put(&map, put, put * 3)) {
        put++;
    }
    tsi_memory_fail_after(-1);

    cr_assert(put > 0);
    cr_assert_eq(map.count, put);
    for (uint64_t i = 0; i < put; i++) {
        cr_assert_eq(*tsi_map_get(&map, i), i * 3);
    }
    cr_assert(tsi_map_put(&map, put, 1));
    tsi_map_fini(&map);
}
