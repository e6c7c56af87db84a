// SPDX-License-Identifier: Apache-2.0
//
// XXH3 from the library of its author; nobody else includes xxhash.h.

#include "engine/base/checksum.h"

#include <xxhash.h>

uint64_t
tsi_checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}
