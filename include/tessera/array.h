// SPDX-License-Identifier: Apache-2.0
//
// Arrays: handles of expressions, and what can be asked of them.
//
// A handle lives as long as its session. Every query has an answer for a failed array and for NULL:
// no axes, no elements, dtype TESS_NONE.

#ifndef TESSERA_ARRAY_H
#define TESSERA_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "tessera/dtype.h"
#include "tessera/export.h"
#include "tessera/geometry.h"
#include "tessera/session.h"
#include "tessera/status.h"

typedef struct tess_array tess_array;

TESS_BEGIN

// TESS_OK, or why the array failed. NULL gives TESS_EINVAL.
TESS_API tess_status tess_array_status(const tess_array *x);

// The message of a failed array; the empty string for a sound one.
TESS_API const char *tess_array_error(const tess_array *x);

// The session that `x` was made in, its element type and its shape. The session is NULL for NULL
// and for a failed array that belongs to none.
TESS_API tess_session *tess_array_session(const tess_array *x);
TESS_API tess_dtype tess_array_dtype(const tess_array *x);
TESS_API tess_shape tess_array_shape(const tess_array *x);

// The number of elements, and the bytes that tess_compute() writes for them.
TESS_API int64_t tess_array_count(const tess_array *x);
TESS_API size_t tess_array_bytes(const tess_array *x);

// The number of chunks on `axis`, and of all chunks. An axis that is not there has 0.
TESS_API int64_t tess_array_chunk_count(const tess_array *x, int axis);
TESS_API int64_t tess_array_chunks_total(const tess_array *x);

// The size of chunk `index` on `axis`; 0 where there is none.
TESS_API int64_t tess_array_chunk_size(const tess_array *x, int axis, int64_t index);

TESS_END

#endif
