// SPDX-License-Identifier: Apache-2.0
//
// Chunks are plain values; only lists of sizes need a call to be put into them.

#include "tessera/geometry.h"

// No array has this many axes, so every call that takes such chunks refuses them.
enum { REFUSED_NDIM = TESS_NDIM_MAX + 1 };

// The same chunks with a number of axes, so that one axis can differ from the others.
static int
axes_above(const tess_chunks *chunks)
{
    return chunks->ndim == TESS_EVERY_AXIS ? TESS_NDIM_MAX : chunks->ndim;
}

tess_chunks
tess_chunks_list(tess_chunks chunks, int axis, const int64_t *sizes, int64_t count)
{
    const int above = axes_above(&chunks);
    if (axis < 0 || axis >= above || above > TESS_NDIM_MAX || sizes == NULL || count < 0) {
        chunks.ndim = REFUSED_NDIM;
        return chunks;
    }
    chunks.list[axis] = sizes;
    chunks.list_count[axis] = count;
    return chunks;
}
