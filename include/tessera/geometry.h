// SPDX-License-Identifier: Apache-2.0
//
// Shapes, chunks and sets of axes: small values that are passed by copy.

#ifndef TESSERA_GEOMETRY_H
#define TESSERA_GEOMETRY_H

#include <stddef.h>
#include <stdint.h>

#include "tessera/export.h"

#define TESS_NDIM_MAX 16

// The sizes of the axes of an array. `ndim` 0 is a single element.
typedef struct tess_shape {
    int ndim;
    int64_t size[TESS_NDIM_MAX];
} tess_shape;

// Where an array is cut. On each axis either every chunk but the last has `step` elements, or,
// where `list` is not NULL, chunk i has list[i] elements and the `list_count` of them add up to the
// axis. A step may be larger than the axis. TESS_WHOLE_AXIS is one chunk; TESS_AUTO_CHUNK lets the
// library choose: chunks of about 16 MiB, as long on each axis, or with long runs of what lies in
// memory or in a file. Lists are copied by the call that takes the chunks.
//
// `ndim` TESS_EVERY_AXIS applies step[0] to all axes.
typedef struct tess_chunks {
    int ndim;
    int64_t step[TESS_NDIM_MAX];
    const int64_t *list[TESS_NDIM_MAX];
    int64_t list_count[TESS_NDIM_MAX];
} tess_chunks;

#define TESS_WHOLE_AXIS ((int64_t)-1)
#define TESS_AUTO_CHUNK ((int64_t)0)
#define TESS_EVERY_AXIS (-1)

// TESS_SHAPE(2, 3), TESS_CHUNKS(1, TESS_WHOLE_AXIS); TESS_SCALAR_SHAPE is the shape of one element,
// TESS_CHUNKS_EACH(n) cuts every axis at n, TESS_CHUNKS_AUTO leaves every axis to the library and
// TESS_CHUNKS_NONE is one chunk for the whole array.
#ifdef __cplusplus
extern "C++" {
template <class... Size>
inline tess_shape
tess_shape_of(Size... sizes)
{
    return tess_shape{static_cast<int>(sizeof...(sizes)), {static_cast<int64_t>(sizes)...}};
}
template <class... Step>
inline tess_chunks
tess_chunks_of(int ndim, Step... steps)
{
    return tess_chunks{ndim, {static_cast<int64_t>(steps)...}, {}, {}};
}
template <class... Step>
inline tess_chunks
tess_chunks_each_axis(Step... steps)
{
    return tess_chunks_of(static_cast<int>(sizeof...(steps)), steps...);
}
}
#define TESS_SHAPE(...) (tess_shape_of(__VA_ARGS__))
#define TESS_SCALAR_SHAPE (tess_shape_of())
#define TESS_CHUNKS(...) (tess_chunks_each_axis(__VA_ARGS__))
#define TESS_CHUNKS_EACH(step) (tess_chunks_of(TESS_EVERY_AXIS, step))
#else
#define TESS_COUNT_OF(...) ((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define TESS_SHAPE(...) ((tess_shape){TESS_COUNT_OF(__VA_ARGS__), {__VA_ARGS__}})
#define TESS_SCALAR_SHAPE ((tess_shape){0, {0}})
#define TESS_CHUNKS(...) ((tess_chunks){TESS_COUNT_OF(__VA_ARGS__), {__VA_ARGS__}, {NULL}, {0}})
#define TESS_CHUNKS_EACH(step) ((tess_chunks){TESS_EVERY_AXIS, {(step)}, {NULL}, {0}})
#endif
#define TESS_CHUNKS_AUTO TESS_CHUNKS_EACH(TESS_AUTO_CHUNK)
#define TESS_CHUNKS_NONE TESS_CHUNKS_EACH(TESS_WHOLE_AXIS)

// A set of axes and how to fold them: TESS_AXIS(0) | TESS_AXIS(-1) | TESS_KEEPDIMS. A negative axis
// counts from the last. An axis that no array can have makes the call fail with TESS_EINVAL.
typedef uint64_t tess_axes;

#define TESS_AXES_ALL ((tess_axes)0xFFFF)
#define TESS_AXES_NONE ((tess_axes)0)
#define TESS_KEEPDIMS ((tess_axes)1 << 63)
#define TESS_AXES_BAD ((tess_axes)1 << 62)
#define TESS_AXIS(i)                                                                               \
    ((i) >= TESS_NDIM_MAX || (i) < -TESS_NDIM_MAX ? TESS_AXES_BAD                                  \
                                                  : (tess_axes)1 << ((i) < 0 ? 48 + (i) : (i)))

TESS_BEGIN

// `chunks` with axis `axis` cut into `count` chunks of the sizes in `sizes`, which must outlive the
// call that takes the result. An axis out of range (they count from the first only), `sizes` NULL
// or a negative count give chunks that every call refuses.
TESS_API tess_chunks tess_chunks_list(tess_chunks chunks, int axis, const int64_t *sizes,
                                      int64_t count);

TESS_END

#endif
