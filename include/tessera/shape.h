// SPDX-License-Identifier: Apache-2.0
//
// Views and new cuts: other shapes of the same elements. None of them copies; what reads the result
// reads the right places of the operand.

#ifndef TESSERA_SHAPE_H
#define TESSERA_SHAPE_H

#include "tessera/array.h"

// What to take of one axis: TESS_RANGE(start, stop, step), TESS_AT(index), TESS_WHOLE, or
// TESS_NEWAXIS, which takes none and adds an axis of size 1.
typedef struct tess_index {
    int kind;
    int64_t start;
    int64_t stop;
    int64_t step;
} tess_index;

enum { TESS_INDEX_RANGE, TESS_INDEX_AT, TESS_INDEX_NEWAXIS };

// A start or stop that is left out, as in x[:5] and x[::-1].
#define TESS_OPEN INT64_MIN

typedef struct tess_indices {
    int count;
    tess_index index[2 * TESS_NDIM_MAX];
} tess_indices;

// The order of axes of a transpose; `ndim` TESS_EVERY_AXIS reverses them all.
typedef struct tess_order {
    int ndim;
    int axis[TESS_NDIM_MAX];
} tess_order;

#ifdef __cplusplus
#define TESS_RANGE(start, stop, step) (tess_index{TESS_INDEX_RANGE, (start), (stop), (step)})
#define TESS_AT(i) (tess_index{TESS_INDEX_AT, (i), 0, 0})
#define TESS_NEWAXIS (tess_index{TESS_INDEX_NEWAXIS, 0, 0, 0})
extern "C++" {
template <class... Index>
inline tess_indices
tess_indices_of(Index... index)
{
    return tess_indices{static_cast<int>(sizeof...(index)), {index...}};
}
template <class... Axis>
inline tess_order
tess_order_of(Axis... axes)
{
    return tess_order{static_cast<int>(sizeof...(axes)), {static_cast<int>(axes)...}};
}
}
#define TESS_INDEX(...) (tess_indices_of(__VA_ARGS__))
#define TESS_ORDER(...) (tess_order_of(__VA_ARGS__))
#define TESS_REVERSED (tess_order{TESS_EVERY_AXIS, {}})
#else
#define TESS_RANGE(start, stop, step) ((tess_index){TESS_INDEX_RANGE, (start), (stop), (step)})
#define TESS_AT(i) ((tess_index){TESS_INDEX_AT, (i), 0, 0})
#define TESS_NEWAXIS ((tess_index){TESS_INDEX_NEWAXIS, 0, 0, 0})
#define TESS_INDEX(...)                                                                            \
    ((tess_indices){(int)(sizeof((tess_index[]){__VA_ARGS__}) / sizeof(tess_index)), {__VA_ARGS__}})
#define TESS_ORDER(...)                                                                            \
    ((tess_order){(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}})
#define TESS_REVERSED ((tess_order){TESS_EVERY_AXIS, {0}})
#endif
#define TESS_WHOLE TESS_RANGE(TESS_OPEN, TESS_OPEN, 1)

TESS_BEGIN

// Basic indexing, as x[start:stop:step, index, …] in NumPy: negative starts, stops and indices
// count from the end, ranges are cut to the axis, a step may be negative, an index drops its axis,
// and axes that are not mentioned are taken whole. Fails with TESS_EINDEX for an index out of range
// or a step of zero, TESS_EAXIS for more indices than axes, and TESS_ESHAPE for a result of more
// than 16 axes.
TESS_API tess_array *tess_slice(tess_array *x, tess_indices indices);

// Axis i of the result is axis order[i] of `x`; negative axes count from the last. Fails with
// TESS_EAXIS if `order` is no permutation of the axes.
TESS_API tess_array *tess_transpose(tess_array *x, tess_order order);

// `x` repeated to `shape` as in an element-wise operation. Fails with TESS_ESHAPE if it does not
// fit, TESS_EOVERFLOW if the result is too large.
TESS_API tess_array *tess_broadcast_to(tess_array *x, tess_shape shape);

// `x` cut otherwise. The values do not change. Fails with TESS_ECHUNKS as the sources do.
TESS_API tess_array *tess_rechunk(tess_array *x, tess_chunks chunks);

TESS_END

#define tess_slice(...) TESS_SITED_ARRAY((tess_slice)(__VA_ARGS__))
#define tess_transpose(...) TESS_SITED_ARRAY((tess_transpose)(__VA_ARGS__))
#define tess_broadcast_to(...) TESS_SITED_ARRAY((tess_broadcast_to)(__VA_ARGS__))
#define tess_rechunk(...) TESS_SITED_ARRAY((tess_rechunk)(__VA_ARGS__))

#endif
