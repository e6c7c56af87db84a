// SPDX-License-Identifier: Apache-2.0
//
// The checksum is XXH3: its value for no bytes is the one that the specification's authors publish,
// and no single flipped bit goes unseen.

#include "engine/base/checksum.h"

#include <criterion/criterion.h>

Test(checksum, of_nothing_is_the_published_value)
{
    cr_assert(tsi_checksum(NULL, 0) == UINT64_C(0x2D06800538D394C2));
    cr_assert(tsi_checksum("", 0) == UINT64_C(0x2D06800538D394C2));
}

Test(checksum, sees_every_flipped_bit)
{
    unsigned char bytes[1031];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 37);
    }
    const uint64_t sound = tsi_checksum(bytes, sizeof bytes);

    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_assert(tsi_checksum(bytes, sizeof bytes) != sound, "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    cr_assert(tsi_checksum(bytes, sizeof bytes) == sound);
}

Test(checksum, sees_a_lost_tail)
{
    const char zeros[64] = {0};
    for (size_t bytes = 1; bytes < sizeof zeros; bytes++) {
        cr_assert(tsi_checksum(zeros, bytes) != tsi_checksum(zeros, bytes - 1));
    }
}
