// SPDX-License-Identifier: Apache-2.0
//
// Reductions: fold a set of axes into one value per remaining index.
//
// `axes` is a set such as TESS_AXIS(0) | TESS_AXIS(-1), or TESS_AXES_ALL. The folded axes are
// dropped, or kept with size 1 if TESS_KEEPDIMS is in the set. The empty set folds each element by
// itself.
//
// The order of the additions is fixed by the chunks alone: inside a chunk by index, over chunks by
// a tree of fan-in 16 in chunk order. So a result has the same bits for any number of workers.
//
// They fail with TESS_EAXIS for an axis that `x` has not, and TESS_EINVAL for a set with
// TESS_AXIS() of a number that no array can have.

#ifndef TESSERA_REDUCE_H
#define TESSERA_REDUCE_H

#include "tessera/array.h"

TESS_BEGIN

// Sum and product. bool and signed integers fold in int64, unsigned in uint64 (both wrap around);
// float32 and float64 accumulate in float64 and are rounded once. The sum of nothing is 0, the
// product is 1.
TESS_API tess_array *tess_sum(tess_array *x, tess_axes axes);
TESS_API tess_array *tess_prod(tess_array *x, tess_axes axes);

// The arithmetic mean: the sum in float64 over the count, float32 for float32 and float64 for all
// other dtypes. The mean of nothing is NaN.
TESS_API tess_array *tess_mean(tess_array *x, tess_axes axes);

// Variance and standard deviation: the sum of squared distances from the mean over
// count − `ddof`, dtype as for tess_mean(). Computed from merged centred moments (Chan, Golub,
// LeVeque 1979), not from squares. NaN if the count is 0; as 0/0 and x/0 if it is not above `ddof`.
TESS_API tess_array *tess_var(tess_array *x, tess_axes axes, double ddof);
TESS_API tess_array *tess_std(tess_array *x, tess_axes axes, double ddof);

// The smallest and largest element, in the dtype of `x`; NaN if there is a NaN. −0 and +0 are
// equal, the one with the lower index is taken. Fail with TESS_ESHAPE if there is nothing to fold.
TESS_API tess_array *tess_min(tess_array *x, tess_axes axes);
TESS_API tess_array *tess_max(tess_array *x, tess_axes axes);

// Whether some element, and whether every element is not zero; bool. NaN is not zero. Of nothing:
// false and true.
TESS_API tess_array *tess_any(tess_array *x, tess_axes axes);
TESS_API tess_array *tess_all(tess_array *x, tess_axes axes);

// The index of the smallest and the largest element, int64: the index in C order among the folded
// axes, so along the axis if there is one. The lowest index wins among equals; the first NaN wins
// over everything. Fail with TESS_ESHAPE if there is nothing to fold.
TESS_API tess_array *tess_argmin(tess_array *x, tess_axes axes);
TESS_API tess_array *tess_argmax(tess_array *x, tess_axes axes);

TESS_END

#define tess_sum(...) TESS_SITED_ARRAY((tess_sum)(__VA_ARGS__))
#define tess_prod(...) TESS_SITED_ARRAY((tess_prod)(__VA_ARGS__))
#define tess_mean(...) TESS_SITED_ARRAY((tess_mean)(__VA_ARGS__))
#define tess_var(...) TESS_SITED_ARRAY((tess_var)(__VA_ARGS__))
#define tess_std(...) TESS_SITED_ARRAY((tess_std)(__VA_ARGS__))
#define tess_min(...) TESS_SITED_ARRAY((tess_min)(__VA_ARGS__))
#define tess_max(...) TESS_SITED_ARRAY((tess_max)(__VA_ARGS__))
#define tess_any(...) TESS_SITED_ARRAY((tess_any)(__VA_ARGS__))
#define tess_all(...) TESS_SITED_ARRAY((tess_all)(__VA_ARGS__))
#define tess_argmin(...) TESS_SITED_ARRAY((tess_argmin)(__VA_ARGS__))
#define tess_argmax(...) TESS_SITED_ARRAY((tess_argmax)(__VA_ARGS__))

#endif
