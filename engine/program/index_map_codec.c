// SPDX-License-Identifier: Apache-2.0
//
// Index maps as bytes: a form, then nothing for the identity; for a map in closed form a byte for
// each source axis, which tells the loop axis and which numbers differ from those of the identity,
// and these numbers; for a listed map the rows of dependencies. The users of a listed map do not
// travel.

#include "engine/program/index_map_codec.h"

// Numbers travel between processes.
enum { FORM_IDENTITY, FORM_CLOSED, FORM_LISTED };

// The byte of an axis: its loop axis plus 1, and which of offset, stride and extent follow.
enum {
    RULE_AXIS = 31,
    RULE_OFFSET = 32,
    RULE_STRIDE = 64,
    RULE_EXTENT = 128,
};

static bool
is_plain_identity(const struct tsi_index_map *map)
{
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *rule = &map->axis[i];
        if (rule->axis != i || rule->offset != 0 || rule->stride != 1 || rule->extent != 1) {
            return false;
        }
    }
    return true;
}

static void
put_map_axis(struct tsi_packer *out, const struct tsi_map_axis *rule)
{
    const int flags = (rule->offset != 0 ? RULE_OFFSET : 0) |
                      (rule->stride != 1 ? RULE_STRIDE : 0) | (rule->extent != 1 ? RULE_EXTENT : 0);
    tsi_packer_put_byte(out, (uint8_t)(flags | (rule->axis + 1)));
    if ((flags & RULE_OFFSET) != 0) {
        tsi_packer_put_int(out, rule->offset);
    }
    if ((flags & RULE_STRIDE) != 0) {
        tsi_packer_put_int(out, rule->stride);
    }
    if ((flags & RULE_EXTENT) != 0) {
        tsi_packer_put_uint(out, (uint64_t)rule->extent);
    }
}

// Rows of rising numbers, as the distances between them.
static void
put_rows(struct tsi_packer *out, const struct tsi_map_rows *rows, int64_t count)
{
    for (int64_t row = 0; row < count; row++) {
        uint32_t next = 0;
        tsi_packer_put_uint(out, rows->starts[row + 1] - rows->starts[row]);
        for (uint32_t i = rows->starts[row]; i < rows->starts[row + 1]; i++) {
            tsi_packer_put_uint(out, rows->items[i] - next);
            next = rows->items[i] + 1;
        }
    }
}

void
tsi_index_map_put(struct tsi_packer *out, const struct tsi_index_map *map,
                  const struct tsi_grid *loop)
{
    if (map->is_explicit) {
        tsi_packer_put_byte(out, FORM_LISTED);
        put_rows(out, &map->deps, tsi_grid_chunk_count(loop));
        return;
    }
    if (is_plain_identity(map)) {
        tsi_packer_put_byte(out, FORM_IDENTITY);
        return;
    }
    tsi_packer_put_byte(out, FORM_CLOSED);
    for (int i = 0; i < map->ndim; i++) {
        put_map_axis(out, &map->axis[i]);
    }
}

static void
take_map_axis(struct tsi_unpacker *in, struct tsi_map_axis *rule)
{
    const int byte = tsi_unpacker_take_byte(in);
    *rule = (struct tsi_map_axis){(byte & RULE_AXIS) - 1, 0, 1, 1};
    if ((byte & RULE_OFFSET) != 0) {
        rule->offset = tsi_unpacker_take_int(in);
    }
    if ((byte & RULE_STRIDE) != 0) {
        rule->stride = tsi_unpacker_take_int(in);
    }
    if ((byte & RULE_EXTENT) != 0) {
        rule->extent = (int64_t)tsi_unpacker_take_up_to(in, INT64_MAX);
    }
}

// How many items the next `count` rows have together.
static size_t
count_items(struct tsi_unpacker in, size_t count)
{
    size_t total = 0;
    for (size_t row = 0; row < count && !in.failed; row++) {
        const size_t items = tsi_unpacker_take_count(&in);
        total += items;
        for (size_t i = 0; i < items && !in.failed; i++) {
            (void)tsi_unpacker_take_uint(&in);
        }
    }
    return in.failed ? 0 : total;
}

// Reads the rows of `count` loop chunks, whose items are below `limit`.
static bool
take_rows(struct tsi_unpacker *in, struct tsi_budget *budget, size_t count, size_t limit,
          struct tsi_map_rows *rows)
{
    const size_t total = count_items(*in, count);
    uint32_t *starts = tsi_budget_take(budget, count + 1, sizeof *starts);
    uint32_t *items = tsi_budget_take(budget, total, sizeof *items);
    if (starts == NULL || items == NULL) {
        return false;
    }
    uint32_t at = 0;
    for (size_t row = 0; row < count; row++) {
        uint64_t next = 0;
        for (size_t left = tsi_unpacker_take_count(in); left > 0; left--) {
            if (next == limit || at == total) {
                return false;
            }
            items[at] = (uint32_t)(next + tsi_unpacker_take_up_to(in, limit - 1 - next));
            next = (uint64_t)items[at++] + 1;
        }
        starts[row + 1] = at;
    }
    *rows = (struct tsi_map_rows){starts, items};
    return !in->failed;
}

// The users of each of `limit` chunks, from the dependencies of `count`. `starts` first counts, two
// places further on, then tells one place further on where the next user goes, and so ends as the
// starts of the rows.
static bool
invert_rows(struct tsi_budget *budget, const struct tsi_map_rows *deps, size_t count, size_t limit,
            struct tsi_map_rows *users)
{
    const size_t total = deps->starts[count];
    uint32_t *starts = tsi_budget_take(budget, limit + 2, sizeof *starts);
    uint32_t *items = tsi_budget_take(budget, total, sizeof *items);
    if (starts == NULL || items == NULL) {
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        starts[deps->items[i] + 2]++;
    }
    for (size_t row = 0; row < limit; row++) {
        starts[row + 2] += starts[row + 1];
    }
    for (size_t row = 0; row < count; row++) {
        for (uint32_t i = deps->starts[row]; i < deps->starts[row + 1]; i++) {
            items[starts[deps->items[i] + 1]++] = (uint32_t)row;
        }
    }
    *users = (struct tsi_map_rows){starts, items};
    return true;
}

static bool
take_listed(struct tsi_unpacker *in, struct tsi_budget *budget, const struct tsi_grid *loop,
            const struct tsi_grid *source, struct tsi_index_map *map)
{
    const int64_t count = tsi_grid_chunk_count(loop);
    const int64_t limit = tsi_grid_chunk_count(source);
    if (count < 1 || (uint64_t)count > tsi_unpacker_left(in) || limit < 1 ||
        limit > (int64_t)TSI_PROGRAM_TASKS_MAX) {
        return false;
    }
    map->is_explicit = true;
    return take_rows(in, budget, (size_t)count, (size_t)limit, &map->deps) &&
           invert_rows(budget, &map->deps, (size_t)count, (size_t)limit, &map->users);
}

void
tsi_index_map_take(struct tsi_unpacker *in, struct tsi_budget *budget, const struct tsi_grid *loop,
                   const struct tsi_grid *source, struct tsi_index_map *map)
{
    map->ndim = source->ndim;
    switch (tsi_unpacker_take_byte(in)) {
    case FORM_IDENTITY:
        *map = tsi_index_map_identity(source);
        break;
    case FORM_CLOSED:
        for (int i = 0; i < source->ndim; i++) {
            take_map_axis(in, &map->axis[i]);
        }
        break;
    case FORM_LISTED:
        if (!take_listed(in, budget, loop, source, map)) {
            tsi_unpacker_fail(in);
        }
        break;
    default:
        tsi_unpacker_fail(in);
        break;
    }
}
