// SPDX-License-Identifier: Apache-2.0
//
// One run of bytes that is used again, since what is kept back is small and is so for a moment.

#include "engine/net/later.h"

#include <string.h>

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

bool
tsi_later_next(const struct tsi_later *later, size_t *at, const unsigned char **bytes,
               size_t *count)
{
    uint64_t length;
    if (*at == later->bytes.count) {
        return false;
    }
    memcpy(&length, later->bytes.items + *at, sizeof length);
    *bytes = later->bytes.items + *at + sizeof length;
    *count = (size_t)length;
    *at += sizeof length + (size_t)length;
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
