// SPDX-License-Identifier: Apache-2.0
//
// One block of random words: ten rounds, each of two products whose halves are mixed with the other
// two words and a key that grows by a constant from round to round.

#include "engine/kernel/philox.h"

void
tsi_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < TSI_PHILOX_ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)TSI_PHILOX_MULTIPLIER_0 * c[0];
        const uint64_t p1 = (uint64_t)TSI_PHILOX_MULTIPLIER_1 * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k[0];
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k[1];
        c[3] = (uint32_t)p0;
        k[0] += TSI_PHILOX_WEYL_0;
        k[1] += TSI_PHILOX_WEYL_1;
    }
    for (int i = 0; i < 4; i++) {
        out[i] = c[i];
    }
}
