// SPDX-License-Identifier: Apache-2.0
//
// Nodes that another node gives more cheaply.
//
// The variance of x − m is that of x, for any m that is the same all along the folded axes, so var
// and std of x − mean(x) over the axes of that mean fold x itself: what makes x runs once instead
// of twice, and no task waits for the mean. This is done where every element of the result is what
// it would be but for rounding:
//
// - The mean is that of x itself, over the same axes: an element then is NaN, in both forms,
// exactly
//   if a NaN or an infinity is among what is folded. An m of other origin, or a mean over more
//   axes, would bring in NaN that x has not there.
// - x is of floats. Elements of other types would be cast before they are subtracted.
// - The mean stands where NumPy's rule puts one with its folded axes kept, so that each element
//   meets the mean of its own group. A mean that a square array lets meet other elements does not.
//
// The kernels subtract means of their own in float64. The relative error is then of the order of
// the unit of float64 times |mean| / deviation, which is what rounding the elements of x does; x −
// m is better than that where x is exact and far from zero, and worse where its dtype is float32.
// Where x is finite but its sum or x − m overflows, x − m has infinities, and the simpler form may
// have the finite variance that the elements have.

#include "engine/plan/plan_build.h"

// Whether `mean` meets each element of its operand with the mean of its group, through the view
// that repeats it, if there is one.
static bool
meets_own_group(const struct tess_array *repeated, const struct tess_array *mean)
{
    const struct tess_array *x = mean->operand[0];
    const bool keepdims = mean->reduce.keepdims;
    int next = 0;
    for (int a = 0; a < x->grid.ndim; a++) {
        const bool is_folded = (mean->reduce.axes >> a & 1) != 0;
        if (is_folded && !keepdims) {
            continue;
        }
        const int at = next++;
        if (is_folded || x->grid.axis[a].size == 1 || repeated == mean) {
            continue;
        }
        const struct tsi_node_view *view = &repeated->view;
        if (view->axis[at] != a || view->offset[at] != 0 || view->stride[at] != 1) {
            return false;
        }
    }
    return true;
}

// Whether `shift` is the mean of `x` over `axes`, repeated to its shape.
static bool
is_own_mean(const struct tess_array *shift, const struct tess_array *x, uint32_t axes)
{
    const struct tess_array *mean = shift->kind == TSI_NODE_VIEW ? shift->operand[0] : shift;
    return mean->kind == TSI_NODE_REDUCE && mean->reduce.reduction == TSI_REDUCE_MEAN &&
           mean->operand[0] == x && mean->reduce.axes == axes && shift->grid.ndim == x->grid.ndim &&
           meets_own_group(shift, mean);
}

bool
tsi_plan_simplify(const struct tess_array *array, struct tess_array *simpler)
{
    if (array->kind != TSI_NODE_REDUCE ||
        (array->reduce.reduction != TSI_REDUCE_VAR && array->reduce.reduction != TSI_REDUCE_STD)) {
        return false;
    }
    const struct tess_array *centred = array->operand[0];
    const bool is_difference = !tsi_plan_is_leaf(centred) && centred->kind == TSI_NODE_MAP &&
                               centred->op == TSI_OP_SUBTRACT;
    if (!is_difference || (centred->dtype != TESS_F32 && centred->dtype != TESS_F64)) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (is_own_mean(centred->operand[1 - i], centred->operand[i], array->reduce.axes)) {
            *simpler = *array;
            simpler->operand[0] = centred->operand[i];
            simpler->name = array->reduce.reduction == TSI_REDUCE_VAR ? "var (centring left out)"
                                                                      : "std (centring left out)";
            return true;
        }
    }
    return false;
}
