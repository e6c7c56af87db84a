// SPDX-License-Identifier: Apache-2.0
//
// Index maps against an oracle that applies the rule of index_map.h to every element.
//
// The oracle keeps a table of all pairs (loop chunk, source chunk): for each element of the loop it
// marks the chunks of all elements that the windows touch. The dependencies are its rows, the users
// its columns.

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "engine/program/index_map.h"
#include "tests/support/random.h"

enum { PAIRS_MAX = 1 << 18, NDIM_MAX = 3 };

struct oracle {
    const struct tsi_index_map *map;
    const struct tsi_grid *loop;
    const struct tsi_grid *source;
    int64_t loop_count;
    int64_t source_count;
    bool touched[PAIRS_MAX];
};

static struct oracle oracle;

static bool *
pair(int64_t loop_chunk, int64_t source_chunk)
{
    return &oracle.touched[loop_chunk * oracle.source_count + source_chunk];
}

// The chunk of `axis` that holds `element`, by counting.
static int64_t
chunk_of(const struct tsi_axis *axis, int64_t element)
{
    int64_t chunk = 0;
    while (element >= tsi_axis_start(axis, chunk) + tsi_axis_chunk_size(axis, chunk)) {
        chunk++;
    }
    return chunk;
}

// Marks all source chunks that loop index `index` touches, from source axis `axis` on.
static void
mark(int64_t loop_chunk, const int64_t *index, int axis, int64_t source_chunk)
{
    const struct tsi_index_map *map = oracle.map;
    if (axis == map->ndim) {
        *pair(loop_chunk, source_chunk) = true;
        return;
    }
    const struct tsi_map_axis *rule = &map->axis[axis];
    const struct tsi_axis *cut = &oracle.source->axis[axis];
    const int64_t first = rule->offset + (rule->axis < 0 ? 0 : rule->stride * index[rule->axis]);
    for (int64_t t = 0; t < rule->extent; t++) {
        if (first + t >= 0 && first + t < cut->size) {
            mark(loop_chunk, index, axis + 1, source_chunk * cut->count + chunk_of(cut, first + t));
        }
    }
}

static void
mark_all(int axis, int64_t *index, int64_t loop_chunk)
{
    if (axis == oracle.loop->ndim) {
        mark(loop_chunk, index, 0, 0);
        return;
    }
    const struct tsi_axis *cut = &oracle.loop->axis[axis];
    for (index[axis] = 0; index[axis] < cut->size; index[axis]++) {
        mark_all(axis + 1, index, loop_chunk * cut->count + chunk_of(cut, index[axis]));
    }
}

static void
fill_oracle(const struct tsi_index_map *map, const struct tsi_grid *loop,
            const struct tsi_grid *source)
{
    int64_t index[TESS_NDIM_MAX];
    oracle.map = map;
    oracle.loop = loop;
    oracle.source = source;
    oracle.loop_count = tsi_grid_chunk_count(loop);
    oracle.source_count = tsi_grid_chunk_count(source);
    cr_assert(oracle.loop_count * oracle.source_count <= PAIRS_MAX);
    memset(oracle.touched, 0, (size_t)(oracle.loop_count * oracle.source_count));
    mark_all(0, index, 0);
}

// Steps through `set` and compares it with one row or column of the oracle.
static void
check_set(struct tsi_chunk_set set, bool of_deps, int64_t chunk, uint64_t seed)
{
    const int64_t count = of_deps ? oracle.source_count : oracle.loop_count;
    const char *name = of_deps ? "deps" : "users";
    int64_t left = 0;
    for (int64_t other = 0; other < count; other++) {
        left += of_deps ? *pair(chunk, other) : *pair(other, chunk);
    }
    for (int64_t other = 0; other < count; other++) {
        if (of_deps ? !*pair(chunk, other) : !*pair(other, chunk)) {
            continue;
        }
        int64_t found = -1;
        const int64_t said = tsi_chunk_set_count(&set);
        cr_assert(said == left, "seed %llu: %s of %lld: %lld left, not %lld",
                  (unsigned long long)seed, name, (long long)chunk, (long long)left,
                  (long long)said);
        cr_assert(tsi_chunk_set_next(&set, &found), "seed %llu: %s of %lld end before %lld",
                  (unsigned long long)seed, name, (long long)chunk, (long long)other);
        cr_assert(found == other, "seed %llu: %s of %lld: %lld, not %lld", (unsigned long long)seed,
                  name, (long long)chunk, (long long)found, (long long)other);
        left--;
    }
    int64_t more = -1;
    cr_assert(tsi_chunk_set_count(&set) == 0, "seed %llu: %s of %lld", (unsigned long long)seed,
              name, (long long)chunk);
    for (int i = 0; i < 2; i++) {
        cr_assert(!tsi_chunk_set_next(&set, &more), "seed %llu: %s of %lld has %lld too",
                  (unsigned long long)seed, name, (long long)chunk, (long long)more);
    }
}

static void
check_map(const struct tsi_index_map *map, const struct tsi_grid *loop,
          const struct tsi_grid *source, uint64_t seed)
{
    struct tsi_error error = {0};
    cr_assert(tsi_index_map_validate(map, loop, source, &error) == TESS_OK, "seed %llu: %s",
              (unsigned long long)seed, error.text);
    fill_oracle(map, loop, source);
    for (int64_t chunk = 0; chunk < oracle.loop_count; chunk++) {
        check_set(tsi_index_map_deps(map, loop, source, chunk), true, chunk, seed);
    }
    for (int64_t chunk = 0; chunk < oracle.source_count; chunk++) {
        check_set(tsi_index_map_users(map, loop, source, chunk), false, chunk, seed);
    }
}

// An axis of `size` in any cut.
static struct tsi_axis
pick_axis(struct test_random *random, struct tsi_arena *arena, int64_t size)
{
    int64_t sizes[6];
    const int64_t kind = size == 0 ? 0 : test_random_between(random, 0, 4);
    if (kind <= 1) {
        return tsi_axis_regular(size, test_random_between(random, 0, size + 1));
    }
    if (kind == 2) {
        const int64_t step = test_random_between(random, 1, size);
        return tsi_axis_shifted(size, test_random_between(random, 1, step), step);
    }
    const int64_t count = test_random_between(random, 2, 6);
    int64_t left = size;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = i == count - 1 ? left : test_random_between(random, 0, left);
        if (kind == 4 && test_random_one_in(random, 2) && i < count - 1) {
            sizes[i] = 0;
        }
        left -= sizes[i];
    }
    struct tsi_axis axis;
    cr_assert(tsi_axis_from_sizes(arena, size, sizes, count, &axis, NULL) == TESS_OK);
    return axis;
}

// A source axis that follows `rule`; for windows of one element just large enough, or larger.
static int64_t
pick_source_size(struct test_random *random, struct tsi_map_axis *rule, int64_t loop_size)
{
    const int64_t span = rule->axis < 0 || loop_size == 0 ? 0 : rule->stride * (loop_size - 1);
    const int64_t low = span < 0 ? -span : 0;
    const int64_t reach = span > 0 ? span : 0;
    if (rule->extent == 1) {
        rule->offset = low + test_random_between(random, 0, 3);
        return rule->offset + reach + 1 + test_random_between(random, 0, 3);
    }
    rule->offset = low + test_random_between(random, -8, 4);
    const int64_t most = rule->offset + reach + rule->extent + 4;
    return test_random_between(random, 0, most < 1 ? 1 : most);
}

static void
check_random_map(uint64_t seed)
{
    struct test_random random = {seed};
    struct tsi_arena arena;
    struct tsi_grid loop = {.ndim = (int)test_random_between(&random, 0, NDIM_MAX)};
    struct tsi_grid source = {.ndim = (int)test_random_between(&random, 0, NDIM_MAX)};
    struct tsi_index_map map = {.ndim = source.ndim};
    uint32_t named = 0;
    tsi_arena_init(&arena);
    for (int i = 0; i < loop.ndim; i++) {
        const int64_t size =
            test_random_one_in(&random, 20) ? 0 : test_random_between(&random, 1, 8);
        loop.axis[i] = pick_axis(&random, &arena, size);
    }
    for (int i = 0; i < source.ndim; i++) {
        struct tsi_map_axis *rule = &map.axis[i];
        const int axis = (int)test_random_between(&random, -1, loop.ndim - 1);
        const bool is_free = axis >= 0 && (named >> axis & 1) == 0;
        rule->axis = is_free ? axis : -1;
        named |= is_free ? UINT32_C(1) << axis : 0;
        rule->stride = test_random_between(&random, -4, 4);
        rule->extent = test_random_one_in(&random, 2) ? 1 : test_random_between(&random, 1, 5);
        const int64_t loop_size = is_free ? loop.axis[axis].size : 1;
        int64_t size = pick_source_size(&random, rule, loop_size);
        if (is_free && test_random_one_in(&random, 3) && loop_size > 0) {
            // The commonest of all: the axis as it is, in the same or in other chunks.
            *rule = (struct tsi_map_axis){axis, 0, 1, 1};
            size = loop_size;
            source.axis[i] =
                test_random_one_in(&random, 2) ? loop.axis[axis] : pick_axis(&random, &arena, size);
        } else {
            source.axis[i] = pick_axis(&random, &arena, size);
        }
    }
    // Now and then there are more pairs than the table holds.
    if (tsi_grid_chunk_count(&loop) * tsi_grid_chunk_count(&source) <= PAIRS_MAX) {
        check_map(&map, &loop, &source, seed);
    }
    tsi_arena_fini(&arena);
}

Test(index_map, random_maps_follow_the_rule, .timeout = 120)
{
    const char *one = getenv("TESSERA_SEED");
    if (one != NULL) {
        check_random_map(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        check_random_map(seed);
    }
}

// What the random maps above have to meet now and then, written out.

static int64_t
nth(struct tsi_chunk_set set, int n)
{
    int64_t chunk = -1;
    for (int i = 0; i <= n; i++) {
        if (!tsi_chunk_set_next(&set, &chunk)) {
            return -1;
        }
    }
    return chunk;
}

Test(index_map, identity)
{
    const struct tsi_grid grid = {2, {tsi_axis_regular(10, 3), tsi_axis_shifted(9, 2, 4)}};
    const struct tsi_index_map map = tsi_index_map_identity(&grid);
    check_map(&map, &grid, &grid, 0);
    const struct tsi_chunk_set set = tsi_index_map_deps(&map, &grid, &grid, 7);
    cr_assert(tsi_chunk_set_count(&set) == 1 && nth(set, 0) == 7 && nth(set, 1) == -1);
    cr_assert_str_eq(tsi_index_map_name(&map, &grid, &grid), "identity");

    // As the planner writes it: axes of one element are not named.
    const struct tsi_grid thin = {2, {tsi_axis_regular(10, 3), tsi_axis_regular(1, 1)}};
    struct tsi_index_map short_map = tsi_index_map_identity(&thin);
    short_map.axis[1] = (struct tsi_map_axis){-1, 0, 0, 1};
    check_map(&short_map, &thin, &thin, 0);
    cr_assert_str_eq(tsi_index_map_name(&short_map, &thin, &thin), "identity");
}

Test(index_map, point)
{
    const struct tsi_grid point = {.ndim = 0};
    const struct tsi_grid grid = {1, {tsi_axis_regular(5, 2)}};
    const struct tsi_index_map none = {.ndim = 0};
    check_map(&none, &point, &point, 0);
    check_map(&none, &grid, &point, 0);
    cr_assert_str_eq(tsi_index_map_name(&none, &point, &point), "identity");
    cr_assert_str_eq(tsi_index_map_name(&none, &grid, &point), "broadcast");
    const struct tsi_index_map pick = {.ndim = 1, .axis = {{-1, 3, 0, 1}}};
    check_map(&pick, &point, &grid, 0);
    cr_assert(nth(tsi_index_map_deps(&pick, &point, &grid, 0), 0) == 1);
    cr_assert_str_eq(tsi_index_map_name(&pick, &point, &grid), "slice");
}

Test(index_map, permute_and_broadcast)
{
    const struct tsi_axis a = tsi_axis_regular(6, 2);
    const struct tsi_axis b = tsi_axis_regular(4, 1);
    const struct tsi_grid loop = {2, {a, b}};
    const struct tsi_grid turned = {2, {b, a}};
    const struct tsi_index_map transpose = {.ndim = 2, .axis = {{1, 0, 1, 1}, {0, 0, 1, 1}}};
    check_map(&transpose, &loop, &turned, 0);
    cr_assert(nth(tsi_index_map_deps(&transpose, &loop, &turned, 6), 0) == 2 * 3 + 1);
    cr_assert_str_eq(tsi_index_map_name(&transpose, &loop, &turned), "permute");

    const struct tsi_grid row = {1, {b}};
    const struct tsi_index_map broadcast = {.ndim = 1, .axis = {{1, 0, 1, 1}}};
    check_map(&broadcast, &loop, &row, 0);
    const struct tsi_chunk_set users = tsi_index_map_users(&broadcast, &loop, &row, 2);
    cr_assert(tsi_chunk_set_count(&users) == 3);
    cr_assert(nth(users, 0) == 2 && nth(users, 1) == 6 && nth(users, 2) == 10);
    cr_assert_str_eq(tsi_index_map_name(&broadcast, &loop, &row), "broadcast");
}

Test(index_map, slices_with_gaps)
{
    // Every 10th element of chunks of 3: chunks in between are not read.
    const struct tsi_grid source = {1, {tsi_axis_regular(100, 3)}};
    const struct tsi_grid loop = {1, {tsi_axis_regular(10, 5)}};
    const struct tsi_index_map map = {.ndim = 1, .axis = {{0, 0, 10, 1}}};
    check_map(&map, &loop, &source, 0);
    const struct tsi_chunk_set set = tsi_index_map_deps(&map, &loop, &source, 0);
    cr_assert(tsi_chunk_set_count(&set) == 5);
    cr_assert(nth(set, 0) == 0 && nth(set, 1) == 3 && nth(set, 2) == 6 && nth(set, 4) == 13);
    const struct tsi_chunk_set unread = tsi_index_map_users(&map, &loop, &source, 1);
    cr_assert(tsi_chunk_set_count(&unread) == 0 && nth(unread, 0) == -1);
    cr_assert_str_eq(tsi_index_map_name(&map, &loop, &source), "slice");

    const struct tsi_index_map back = {.ndim = 1, .axis = {{0, 99, -10, 1}}};
    check_map(&back, &loop, &source, 0);
    cr_assert(nth(tsi_index_map_deps(&back, &loop, &source, 0), 0) == 59 / 3);
}

Test(index_map, long_gaps_are_not_stepped_through, .timeout = 10)
{
    const int64_t size = INT64_C(1) << 40;
    const struct tsi_grid source = {1, {tsi_axis_regular(size, 1)}};
    const struct tsi_grid loop = {1, {tsi_axis_regular(1000, 1000)}};
    const struct tsi_index_map map = {.ndim = 1, .axis = {{0, 7, size / 1000, 1}}};
    struct tsi_chunk_set set = tsi_index_map_deps(&map, &loop, &source, 0);
    int64_t chunk = -1;
    cr_assert(tsi_chunk_set_count(&set) == 1000);
    for (int64_t i = 0; i < 1000; i++) {
        cr_assert(tsi_chunk_set_next(&set, &chunk) && chunk == 7 + i * (size / 1000));
    }
    cr_assert(!tsi_chunk_set_next(&set, &chunk));
}

Test(index_map, trees)
{
    const struct tsi_grid source = {2, {tsi_axis_regular(20, 1), tsi_axis_regular(6, 4)}};
    const struct tsi_grid loop = {2, {tsi_axis_regular(7, 1), tsi_axis_regular(6, 4)}};
    const struct tsi_index_map map = {.ndim = 2, .axis = {{0, 0, 3, 3}, {1, 0, 1, 1}}};
    check_map(&map, &loop, &source, 0);
    const struct tsi_chunk_set last = tsi_index_map_deps(&map, &loop, &source, 13);
    cr_assert(tsi_chunk_set_count(&last) == 2);
    cr_assert(nth(last, 0) == 37 && nth(last, 1) == 39);
    cr_assert_str_eq(tsi_index_map_name(&map, &loop, &source), "tree");
}

Test(index_map, overlaps)
{
    const struct tsi_grid grid = {1, {tsi_axis_regular(20, 5)}};
    const struct tsi_index_map map = {.ndim = 1, .axis = {{0, -2, 1, 5}}};
    check_map(&map, &grid, &grid, 0);
    const struct tsi_chunk_set middle = tsi_index_map_deps(&map, &grid, &grid, 1);
    cr_assert(tsi_chunk_set_count(&middle) == 3 && nth(middle, 0) == 0);
    const struct tsi_chunk_set first = tsi_index_map_deps(&map, &grid, &grid, 0);
    cr_assert(tsi_chunk_set_count(&first) == 2);
    cr_assert_str_eq(tsi_index_map_name(&map, &grid, &grid), "overlap");
}

Test(index_map, rechunk)
{
    const struct tsi_grid source = {2, {tsi_axis_regular(12, 3), tsi_axis_regular(12, -1)}};
    const struct tsi_grid loop = {2, {tsi_axis_regular(12, -1), tsi_axis_regular(12, 5)}};
    const struct tsi_index_map map = tsi_index_map_identity(&source);
    check_map(&map, &loop, &source, 0);
    cr_assert(nth(tsi_index_map_deps(&map, &loop, &source, 2), 3) == 3);
    cr_assert_str_eq(tsi_index_map_name(&map, &loop, &source), "rechunk");
}

Test(index_map, contraction)
{
    const struct tsi_axis i = tsi_axis_regular(6, 2);
    const struct tsi_axis j = tsi_axis_regular(8, 2);
    const struct tsi_axis k = tsi_axis_regular(10, 2);
    const struct tsi_grid loop = {3, {i, j, k}};
    const struct tsi_grid left = {2, {i, k}};
    const struct tsi_grid right = {2, {k, j}};
    const struct tsi_index_map rows = {.ndim = 2, .axis = {{0, 0, 1, 1}, {2, 0, 1, 1}}};
    const struct tsi_index_map columns = {.ndim = 2, .axis = {{2, 0, 1, 1}, {1, 0, 1, 1}}};
    check_map(&rows, &loop, &left, 0);
    check_map(&columns, &loop, &right, 0);
    const struct tsi_chunk_set users = tsi_index_map_users(&rows, &loop, &left, 0);
    cr_assert(tsi_chunk_set_count(&users) == 4 && nth(users, 1) == 5);
}

Test(index_map, lists)
{
    static const uint32_t dep_starts[] = {0, 2, 2, 3};
    static const uint32_t dep_items[] = {0, 3, 3};
    static const uint32_t user_starts[] = {0, 1, 1, 1, 3};
    static const uint32_t user_items[] = {0, 0, 2};
    const struct tsi_grid loop = {1, {tsi_axis_regular(3, 1)}};
    const struct tsi_grid source = {1, {tsi_axis_regular(8, 2)}};
    const struct tsi_index_map map = {.ndim = 1,
                                      .is_explicit = true,
                                      .deps = {dep_starts, dep_items},
                                      .users = {user_starts, user_items}};
    struct tsi_error error;
    cr_assert(tsi_index_map_validate(&map, &loop, &source, &error) == TESS_OK);
    struct tsi_chunk_set set = tsi_index_map_deps(&map, &loop, &source, 0);
    cr_assert(tsi_chunk_set_count(&set) == 2 && nth(set, 0) == 0 && nth(set, 1) == 3);
    cr_assert(nth(set, 2) == -1);
    set = tsi_index_map_deps(&map, &loop, &source, 1);
    cr_assert(tsi_chunk_set_count(&set) == 0 && nth(set, 0) == -1);
    set = tsi_index_map_users(&map, &loop, &source, 3);
    cr_assert(tsi_chunk_set_count(&set) == 2 && nth(set, 0) == 0 && nth(set, 1) == 2);
    int64_t chunk = -1;
    cr_assert(tsi_chunk_set_next(&set, &chunk) && tsi_chunk_set_count(&set) == 1);
    cr_assert_str_eq(tsi_index_map_name(&map, &loop, &source), "explicit");
}

Test(index_map, wrong_lists)
{
    static const uint32_t starts[] = {0, 2, 2, 3};
    static const uint32_t items[] = {0, 3, 3};
    static const uint32_t user_starts[] = {0, 1, 1, 1, 3};
    static const uint32_t user_items[] = {0, 0, 2};
    static const uint32_t unordered[] = {3, 0, 3};
    static const uint32_t twice[] = {3, 3, 3};
    static const uint32_t beyond[] = {0, 4, 3};
    static const uint32_t falling[] = {0, 2, 1, 3};
    static const uint32_t late[] = {1, 2, 2, 3};
    static const uint32_t other_users[] = {0, 1, 2};
    const struct tsi_grid loop = {1, {tsi_axis_regular(3, 1)}};
    const struct tsi_grid source = {1, {tsi_axis_regular(8, 2)}};
    const struct tsi_map_rows users = {user_starts, user_items};
    const struct tsi_index_map wrong[] = {
        {.ndim = 1, .is_explicit = true, .deps = {starts, unordered}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {starts, twice}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {starts, beyond}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {falling, items}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {late, items}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {NULL, items}, .users = users},
        {.ndim = 1, .is_explicit = true, .deps = {starts, items}, .users = {NULL, NULL}},
        {.ndim = 1,
         .is_explicit = true,
         .deps = {starts, items},
         .users = {user_starts, other_users}},
        {.ndim = 2, .is_explicit = true, .deps = {starts, items}, .users = users},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert(tsi_index_map_validate(&wrong[i], &loop, &source, NULL) == TESS_EPROTOCOL,
                  "case %zu", i);
    }
    // Chunks without elements depend on nothing and have no users, listed or not.
    static const int64_t bounds[] = {0, 4, 4, 6, 8};
    const struct tsi_grid with_empty = {1, {{8, 4, 0, 0, bounds}}};
    static const uint32_t one_start[] = {0, 1, 1, 1};
    static const uint32_t one_item[] = {1};
    static const uint32_t one_user_start[] = {0, 0, 1, 1, 1};
    static const uint32_t one_user[] = {0};
    const struct tsi_index_map empty = {.ndim = 1,
                                        .is_explicit = true,
                                        .deps = {one_start, one_item},
                                        .users = {one_user_start, one_user}};
    cr_assert(tsi_index_map_validate(&empty, &loop, &source, NULL) == TESS_OK);
    cr_assert(tsi_index_map_validate(&empty, &loop, &with_empty, NULL) == TESS_EPROTOCOL);
}

Test(index_map, wrong_maps)
{
    const struct tsi_grid loop = {2, {tsi_axis_regular(4, 2), tsi_axis_regular(5, 2)}};
    const struct tsi_grid source = {2, {tsi_axis_regular(4, 2), tsi_axis_regular(5, 2)}};
    const struct tsi_index_map wrong[] = {
        {.ndim = 1, .axis = {{0, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {0, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {2, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {-2, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, 1, 0}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, 1, -1}}},
        {.ndim = 2, .axis = {{0, 1, 1, 1}, {1, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, -1, 1, 1}, {1, 0, 1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, 2, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 3, -1, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {-1, 5, 0, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {-1, -1, 0, 1}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, INT64_MAX, 2}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, INT64_MIN, 2}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, INT64_MIN, 1, 2}}},
        {.ndim = 2, .axis = {{0, 0, 1, 1}, {1, 0, 1, INT64_MAX}}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tsi_error error = {0};
        cr_assert(tsi_index_map_validate(&wrong[i], &loop, &source, &error) == TESS_EPROTOCOL,
                  "case %zu", i);
        cr_assert(strlen(error.text) > 10, "case %zu: %s", i, error.text);
    }
    // An empty loop touches nothing.
    const struct tsi_grid none = {2, {tsi_axis_regular(4, 2), tsi_axis_regular(0, 2)}};
    cr_assert(tsi_index_map_validate(&wrong[6], &none, &source, NULL) == TESS_OK);
    check_map(&wrong[6], &none, &source, 0);
}
