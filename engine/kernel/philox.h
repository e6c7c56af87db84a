// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC
// 2011): the constants, and the function itself for one counter. isa_random.c has it for many at a
// time.

#ifndef TSI_KERNEL_PHILOX_H
#define TSI_KERNEL_PHILOX_H

#include <stdint.h>

#define TSI_PHILOX_ROUNDS 10
#define TSI_PHILOX_MULTIPLIER_0 UINT32_C(0xD2511F53)
#define TSI_PHILOX_MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define TSI_PHILOX_WEYL_0 UINT32_C(0x9E3779B9)
#define TSI_PHILOX_WEYL_1 UINT32_C(0xBB67AE85)

// The four random words of `counter` under `key`.
void tsi_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
