// SPDX-License-Identifier: Apache-2.0
//
// One run of bytes that is used again, since what is kept back is small and is so for a moment.

#include "engine/net/later.h"

#include <string.h>

#include "engine/net/net.h"

bool
tsi_later_put(struct tsi_later *later, const void *bytes, size_t count, uint64_t now_ns)
{
    const uint64_t length = count;
    if (!tsi_vec_reserve(&later->bytes, sizeof length + count)) {
        return false;
    }
    unsigned char *end = later->bytes.items + later->bytes.count;
    memcpy(end, &length, sizeof length);
    memcpy(end + sizeof length, bytes, count);
    later->bytes.count += sizeof length + count;
    later->count++;
    later->due_ns = later->due_ns == 0 ? now_ns + TSI_LATER_NS : later->due_ns;
    return true;
}

struct tsi_later_parts
tsi_later_parts(const struct tsi_later *later, const unsigned char *last, size_t last_count)
{
    return (struct tsi_later_parts){.later = later,
                                    .last = last,
                                    .last_count = last_count,
                                    .left = later->count + (last != NULL ? 1 : 0)};
}

bool
tsi_later_next_part(struct tsi_later_parts *parts)
{
    const struct tsi_later *later = parts->later;
    uint64_t length = parts->last_count;
    if (parts->left == 0) {
        return false;
    }
    parts->bytes = parts->last;
    if (parts->at < later->bytes.count) {
        memcpy(&length, later->bytes.items + parts->at, sizeof length);
        parts->bytes = later->bytes.items + parts->at + sizeof length;
        parts->at += sizeof length + (size_t)length;
    }
    parts->count = (size_t)length;
    parts->left--;
    parts->frames = parts->frames % TSI_NET_FRAMES_MAX + 1;
    parts->more = parts->left > 0 && parts->frames < TSI_NET_FRAMES_MAX;
    return true;
}

void
tsi_later_clear(struct tsi_later *later)
{
    tsi_vec_clear(&later->bytes);
    later->count = 0;
    later->due_ns = 0;
}

void
tsi_later_fini(struct tsi_later *later)
{
    tsi_vec_fini(&later->bytes);
    later->count = 0;
    later->due_ns = 0;
}
