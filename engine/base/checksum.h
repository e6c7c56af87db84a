// SPDX-License-Identifier: Apache-2.0
//
// The checksum of bytes that leave memory and come back: chunks between processes or on disk,
// records of the journal. It finds damage, not forgery; against forgery the wire has CURVE.

#ifndef TSI_BASE_CHECKSUM_H
#define TSI_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// XXH3 with 64 bits and seed 0, as its specification defines it (xxHash 0.8): the same on every
// machine. `data` may be NULL when `bytes` is 0.
uint64_t tsi_checksum(const void *data, size_t bytes);

#endif
