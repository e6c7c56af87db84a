// SPDX-License-Identifier: Apache-2.0
//
// Element types and how they combine.
//
// Two operands of different types meet in the type that holds both, by one table: a larger type of
// the same kind wins; a signed and an unsigned integer meet in the smallest signed integer that
// holds both (with uint64 there is none: float64); bool gives way to everything; an integer of at
// most 16 bits and a float meet in the float, a larger integer and a float in float64. This is
// NumPy's table.
//
// A scalar made by tess_scalar() or tess_scalar_int() is weak, as a Python number is: it takes the
// type of the array it meets, unless its kind is higher (bool < integer < float): then they meet
// in float64, or for an integer scalar and a bool array in int64.

#ifndef TESSERA_DTYPE_H
#define TESSERA_DTYPE_H

#include <stddef.h>

#include "tessera/export.h"

// The numbers travel between processes: rows are appended, never moved.
typedef enum tess_dtype {
    TESS_NONE, // the dtype of a failed array
    TESS_BOOL, // one byte, 0 or 1
    TESS_I8,
    TESS_I16,
    TESS_I32,
    TESS_I64,
    TESS_U8,
    TESS_U16,
    TESS_U32,
    TESS_U64,
    TESS_F32,
    TESS_F64,
    TESS_DTYPE_COUNT
} tess_dtype;

TESS_BEGIN

// Bytes of one element; 0 for TESS_NONE and for a number that is no dtype.
TESS_API size_t tess_dtype_bytes(tess_dtype dtype);

// NumPy's name of `dtype`, such as "float64"; "none" for TESS_NONE.
TESS_API const char *tess_dtype_name(tess_dtype dtype);

// The type in which `a` and `b` meet; TESS_NONE if either is TESS_NONE.
TESS_API tess_dtype tess_dtype_promote(tess_dtype a, tess_dtype b);

TESS_END

#endif
