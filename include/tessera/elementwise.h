// SPDX-License-Identifier: Apache-2.0
//
// Element-wise operations.
//
// Operands are broadcast as in NumPy: shapes are aligned at their last axes, and an axis of size 1,
// or one that is missing, is repeated. They meet in one dtype (dtype.h). An operand that is cut
// otherwise than the first largest one is read across its chunks; no chunk of it is copied first.
//
// They fail with TESS_ESHAPE if the shapes do not broadcast, TESS_EDTYPE if the operation is not
// defined for the dtype, TESS_EOVERFLOW if the result is too large or an integer type that a scalar
// of tess_scalar_int() would take does not hold it, TESS_ESESSION if the operands belong to
// different sessions.

#ifndef TESSERA_ELEMENTWISE_H
#define TESSERA_ELEMENTWISE_H

#include "tessera/array.h"

TESS_BEGIN

// Sum, difference, product, in the dtype in which `x` and `y` meet. Integers wrap around. For bool,
// add is "or" and multiply is "and", as in NumPy; subtract and negative are not defined.
TESS_API tess_array *tess_add(tess_array *x, tess_array *y);
TESS_API tess_array *tess_subtract(tess_array *x, tess_array *y);
TESS_API tess_array *tess_multiply(tess_array *x, tess_array *y);

// The true quotient: floats in their own type, integers and bool in float64. IEEE rules for zero.
TESS_API tess_array *tess_divide(tess_array *x, tess_array *y);

// `x` raised to `y`. Integers wrap around; a negative integer exponent gives the true power cut
// to a whole number (0 unless the base is 1 or −1; 0 for base 0). bool is taken as int8.
TESS_API tess_array *tess_power(tess_array *x, tess_array *y);

// The smaller and the larger of two elements; NaN if either is.
TESS_API tess_array *tess_minimum(tess_array *x, tess_array *y);
TESS_API tess_array *tess_maximum(tess_array *x, tess_array *y);

// Minus `x` and the magnitude of `x`, in its own dtype; the smallest integer stays itself.
TESS_API tess_array *tess_negative(tess_array *x);
TESS_API tess_array *tess_abs(tess_array *x);

// Square root (correctly rounded), exponential, natural logarithm, sine and cosine (within 1 ulp
// for float64 and float32). float32 stays float32; every other dtype is taken as float64.
TESS_API tess_array *tess_sqrt(tess_array *x);
TESS_API tess_array *tess_exp(tess_array *x);
TESS_API tess_array *tess_log(tess_array *x);
TESS_API tess_array *tess_sin(tess_array *x);
TESS_API tess_array *tess_cos(tess_array *x);

// Comparisons, of dtype bool. NaN equals nothing, not even itself, and is in no order.
TESS_API tess_array *tess_equal(tess_array *x, tess_array *y);
TESS_API tess_array *tess_not_equal(tess_array *x, tess_array *y);
TESS_API tess_array *tess_less(tess_array *x, tess_array *y);
TESS_API tess_array *tess_less_equal(tess_array *x, tess_array *y);
TESS_API tess_array *tess_greater(tess_array *x, tess_array *y);
TESS_API tess_array *tess_greater_equal(tess_array *x, tess_array *y);

// The element of `x` where `condition` is not zero, otherwise that of `y`.
TESS_API tess_array *tess_where(tess_array *condition, tess_array *x, tess_array *y);

// `x` in another dtype. Floats round to nearest even; a float becomes an integer by cutting its
// fraction off, and NaN and values out of range become the nearest integer of the type (NaN: 0); an
// integer that does not fit a smaller type keeps its low bits; bool is "not zero".
TESS_API tess_array *tess_cast(tess_array *x, tess_dtype dtype);

TESS_END

#define tess_add(...) TESS_SITED_ARRAY((tess_add)(__VA_ARGS__))
#define tess_subtract(...) TESS_SITED_ARRAY((tess_subtract)(__VA_ARGS__))
#define tess_multiply(...) TESS_SITED_ARRAY((tess_multiply)(__VA_ARGS__))
#define tess_divide(...) TESS_SITED_ARRAY((tess_divide)(__VA_ARGS__))
#define tess_power(...) TESS_SITED_ARRAY((tess_power)(__VA_ARGS__))
#define tess_minimum(...) TESS_SITED_ARRAY((tess_minimum)(__VA_ARGS__))
#define tess_maximum(...) TESS_SITED_ARRAY((tess_maximum)(__VA_ARGS__))
#define tess_negative(...) TESS_SITED_ARRAY((tess_negative)(__VA_ARGS__))
#define tess_abs(...) TESS_SITED_ARRAY((tess_abs)(__VA_ARGS__))
#define tess_sqrt(...) TESS_SITED_ARRAY((tess_sqrt)(__VA_ARGS__))
#define tess_exp(...) TESS_SITED_ARRAY((tess_exp)(__VA_ARGS__))
#define tess_log(...) TESS_SITED_ARRAY((tess_log)(__VA_ARGS__))
#define tess_sin(...) TESS_SITED_ARRAY((tess_sin)(__VA_ARGS__))
#define tess_cos(...) TESS_SITED_ARRAY((tess_cos)(__VA_ARGS__))
#define tess_equal(...) TESS_SITED_ARRAY((tess_equal)(__VA_ARGS__))
#define tess_not_equal(...) TESS_SITED_ARRAY((tess_not_equal)(__VA_ARGS__))
#define tess_less(...) TESS_SITED_ARRAY((tess_less)(__VA_ARGS__))
#define tess_less_equal(...) TESS_SITED_ARRAY((tess_less_equal)(__VA_ARGS__))
#define tess_greater(...) TESS_SITED_ARRAY((tess_greater)(__VA_ARGS__))
#define tess_greater_equal(...) TESS_SITED_ARRAY((tess_greater_equal)(__VA_ARGS__))
#define tess_where(...) TESS_SITED_ARRAY((tess_where)(__VA_ARGS__))
#define tess_cast(...) TESS_SITED_ARRAY((tess_cast)(__VA_ARGS__))

#endif
