// SPDX-License-Identifier: Apache-2.0
//
// What is taken is what lies between the parts of the list. There are at most as many parts as
// taken pieces and one, for which there is room from the moment a piece is taken.

#include "engine/base/extents.h"

#include <string.h>

#include "engine/base/check.h"

bool
tsi_extents_init(struct tsi_extents *extents, uint64_t offset, uint64_t bytes)
{
    *extents = (struct tsi_extents){.taken = 0};
    return tsi_vec_push(&extents->parts, ((struct tsi_extents_part){offset, bytes}));
}

void
tsi_extents_fini(struct tsi_extents *extents)
{
    tsi_vec_fini(&extents->parts);
}

static void
remove_part(struct tsi_extents *extents, size_t index)
{
    struct tsi_extents_part *part = &extents->parts.items[index];
    extents->parts.count--;
    memmove(part, part + 1, (extents->parts.count - index) * sizeof *part);
}

bool
tsi_extents_reserve(struct tsi_extents *extents)
{
    // Parts that are there, one more piece, and one.
    const size_t parts_max = extents->taken + 2;
    const size_t parts = extents->parts.count;
    return parts >= parts_max || tsi_vec_reserve(&extents->parts, parts_max - parts);
}

bool
tsi_extents_take(struct tsi_extents *extents, uint64_t bytes, uint64_t *offset)
{
    if (!tsi_extents_reserve(extents)) {
        return false;
    }
    for (size_t i = 0; i < extents->parts.count; i++) {
        struct tsi_extents_part *part = &extents->parts.items[i];
        if (part->bytes < bytes) {
            continue;
        }
        *offset = part->offset;
        part->offset += bytes;
        part->bytes -= bytes;
        if (part->bytes == 0) {
            remove_part(extents, i);
        }
        extents->taken++;
        return true;
    }
    return false;
}

// The first part behind `offset`.
static size_t
find(const struct tsi_extents *extents, uint64_t offset)
{
    size_t low = 0;
    size_t high = extents->parts.count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (extents->parts.items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void
tsi_extents_give(struct tsi_extents *extents, uint64_t offset, uint64_t bytes)
{
    const size_t at = find(extents, offset);
    struct tsi_extents_part *parts = extents->parts.items;
    const bool joins_before = at > 0 && parts[at - 1].offset + parts[at - 1].bytes == offset;
    const bool joins_after = at < extents->parts.count && offset + bytes == parts[at].offset;
    extents->taken--;
    if (joins_before) {
        parts[at - 1].bytes += bytes + (joins_after ? parts[at].bytes : 0);
        if (joins_after) {
            remove_part(extents, at);
        }
    } else if (joins_after) {
        parts[at].offset = offset;
        parts[at].bytes += bytes;
    } else {
        // tsi_extents_take() made room.
        TSI_CHECK(extents->parts.count < extents->parts.capacity);
        memmove(&parts[at + 1], &parts[at], (extents->parts.count - at) * sizeof *parts);
        parts[at] = (struct tsi_extents_part){offset, bytes};
        extents->parts.count++;
    }
}
