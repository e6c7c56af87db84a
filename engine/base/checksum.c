// SPDX-License-Identifier: Apache-2.0
//
// XXH3 from the library of its author; nobody else includes xxhash.h. Where the library can look at
// the processor, it is asked to: the plain function has only what all processors have, and is four
// times as slow on what is in the caches.

#include "engine/base/checksum.h"

#include <xxhash.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> // gives XXH3_64bits another meaning
#endif
#endif

uint64_t
tsi_checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}
