// SPDX-License-Identifier: Apache-2.0
//
// The queries of arrays. A failed array, and NULL, have no axes, no elements and no chunks.

#include "tessera/array.h"

#include "engine/base/dtype.h"
#include "engine/graph/node.h"

static bool
is_sound(const struct tess_array *x)
{
    return x != NULL && x->status == TESS_OK;
}

tess_status
tess_array_status(const tess_array *x)
{
    return x != NULL ? x->status : TESS_EINVAL;
}

const char *
tess_array_error(const tess_array *x)
{
    return x != NULL ? x->error : "the array is NULL";
}

tess_session *
tess_array_session(const tess_array *x)
{
    return x != NULL ? x->session : NULL;
}

tess_dtype
tess_array_dtype(const tess_array *x)
{
    return is_sound(x) ? x->dtype : TESS_NONE;
}

tess_shape
tess_array_shape(const tess_array *x)
{
    return is_sound(x) ? tsi_grid_shape(&x->grid) : (tess_shape){0};
}

int64_t
tess_array_count(const tess_array *x)
{
    return is_sound(x) ? tsi_node_count(x) : 0;
}

size_t
tess_array_bytes(const tess_array *x)
{
    return (size_t)tess_array_count(x) * tess_dtype_bytes(tess_array_dtype(x));
}

static bool
has_axis(const struct tess_array *x, int axis)
{
    return is_sound(x) && axis >= 0 && axis < x->grid.ndim;
}

int64_t
tess_array_chunk_count(const tess_array *x, int axis)
{
    return has_axis(x, axis) ? x->grid.axis[axis].count : 0;
}

int64_t
tess_array_chunks_total(const tess_array *x)
{
    return is_sound(x) ? tsi_grid_chunk_count(&x->grid) : 0;
}

int64_t
tess_array_chunk_size(const tess_array *x, int axis, int64_t index)
{
    if (index < 0 || index >= tess_array_chunk_count(x, axis)) {
        return 0;
    }
    return tsi_axis_chunk_size(&x->grid.axis[axis], index);
}
