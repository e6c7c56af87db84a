// SPDX-License-Identifier: Apache-2.0
//
// There are few ranges, each of a megabyte and more, so all are looked at.

#include "engine/base/mapped.h"

#include <string.h>
#include <sys/mman.h>

#define RANGES_MAX 4096

static void
remove_range(struct tsi_mapped *mapped, size_t index)
{
    mapped->bytes -= mapped->ranges.items[index].bytes;
    mapped->ranges.count--;
    memmove(mapped->ranges.items + index, mapped->ranges.items + index + 1,
            (mapped->ranges.count - index) * sizeof *mapped->ranges.items);
}

static void
give_up(struct tsi_mapped *mapped, size_t index)
{
    const struct tsi_mapped_range range = mapped->ranges.items[index];
    (void)madvise(range.pages, range.bytes, MADV_DONTNEED);
    remove_range(mapped, index);
}

bool
tsi_mapped_put(struct tsi_mapped *mapped, void *pages, size_t bytes)
{
    const struct tsi_mapped_range range = {pages, bytes};
    if (mapped->ranges.count >= RANGES_MAX || !tsi_vec_push(&mapped->ranges, range)) {
        return false;
    }
    mapped->bytes += bytes;
    return true;
}

void
tsi_mapped_take(struct tsi_mapped *mapped, const void *pages, size_t bytes)
{
    const unsigned char *const start = pages;
    const unsigned char *const end = start + bytes;
    for (size_t i = mapped->ranges.count; i-- > 0;) {
        const struct tsi_mapped_range range = mapped->ranges.items[i];
        if (range.pages >= end || range.pages + range.bytes <= start) {
            continue;
        }
        if (range.pages >= start && range.pages + range.bytes <= end) {
            remove_range(mapped, i);
        } else {
            give_up(mapped, i);
        }
    }
}

bool
tsi_mapped_drop_oldest(struct tsi_mapped *mapped)
{
    if (mapped->ranges.count == 0) {
        return false;
    }
    give_up(mapped, 0);
    return true;
}
