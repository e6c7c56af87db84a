// SPDX-License-Identifier: Apache-2.0
//
// Sources: arrays that are made from nothing, from memory or from a file.
//
// Each takes its shape and where it is cut. They fail with TESS_EINVAL for a NULL session, with
// the status of the session if it could not be opened, with TESS_ESHAPE for a negative size or
// more than 16 axes, TESS_EOVERFLOW where the number of elements or of bytes does not fit int64,
// TESS_ECHUNKS where chunks do not fit the shape, and TESS_EDTYPE for a number that is no dtype.

#ifndef TESSERA_CREATE_H
#define TESSERA_CREATE_H

#include "tessera/array.h"

TESS_BEGIN

// An array of zeros, of ones, of `value` converted to `dtype` as tess_cast() converts.
TESS_API tess_array *tess_zeros(tess_session *session, tess_shape shape, tess_chunks chunks,
                                tess_dtype dtype);
TESS_API tess_array *tess_ones(tess_session *session, tess_shape shape, tess_chunks chunks,
                               tess_dtype dtype);
TESS_API tess_array *tess_full(tess_session *session, tess_shape shape, tess_chunks chunks,
                               tess_dtype dtype, double value);
TESS_API tess_array *tess_full_int(tess_session *session, tess_shape shape, tess_chunks chunks,
                                   tess_dtype dtype, int64_t value);

// A weak scalar: a value without axes that takes the dtype of the array it meets (dtype.h).
TESS_API tess_array *tess_scalar(tess_session *session, double value);
TESS_API tess_array *tess_scalar_int(tess_session *session, int64_t value);

// The values start + i·step for i = 0, 1, … below (stop − start) / step, in one axis. Element i is
// computed from i, in float64 (integer dtypes: in int64, from `start` and `step` cut to whole
// numbers), never by repeated addition. Fails with TESS_EINVAL if `step` is zero or not finite, or
// another is NaN.
TESS_API tess_array *tess_arange(tess_session *session, double start, double stop, double step,
                                 tess_chunks chunks, tess_dtype dtype);

// `count` values evenly spaced from `start` to `stop`, both included: element i is
// start + i·((stop − start) / (count − 1)), and the last is `stop` itself. A single value is
// `start`.
TESS_API tess_array *tess_linspace(tess_session *session, double start, double stop, int64_t count,
                                   tess_chunks chunks, tess_dtype dtype);

// A `rows` × `columns` matrix with ones on diagonal `diagonal` (0 is the main one, positive above
// it).
TESS_API tess_array *tess_eye(tess_session *session, int64_t rows, int64_t columns,
                              int64_t diagonal, tess_chunks chunks, tess_dtype dtype);

// The caller's memory as an array, not copied: element (i, j, …) is at
// data + i·strides[0] + j·strides[1] + …, strides in bytes, of any sign. `strides` NULL is C order.
// The memory must stay valid and unchanged until the session is closed or no later compute uses it.
// Elements need no alignment. Fails with TESS_EINVAL if `data` is NULL and the array has elements.
TESS_API tess_array *tess_from_memory(tess_session *session, const void *data, tess_dtype dtype,
                                      tess_shape shape, const int64_t *strides, tess_chunks chunks);

// The array in the NPY file at `path` (format versions 1 to 3; little- and big-endian; C and
// Fortran order). The header is read now; the data is mapped and read by the worker that needs it,
// so `path` must name the same file on every worker. Fails with TESS_EIO if the file cannot be
// read, with TESS_EFORMAT if it is no NPY file or shorter than its header says, and with
// TESS_EDTYPE if its elements have no dtype here.
TESS_API tess_array *tess_load_npy(tess_session *session, const char *path, tess_chunks chunks);

TESS_END

#define tess_zeros(...) TESS_SITED_ARRAY((tess_zeros)(__VA_ARGS__))
#define tess_ones(...) TESS_SITED_ARRAY((tess_ones)(__VA_ARGS__))
#define tess_full(...) TESS_SITED_ARRAY((tess_full)(__VA_ARGS__))
#define tess_full_int(...) TESS_SITED_ARRAY((tess_full_int)(__VA_ARGS__))
#define tess_scalar(...) TESS_SITED_ARRAY((tess_scalar)(__VA_ARGS__))
#define tess_scalar_int(...) TESS_SITED_ARRAY((tess_scalar_int)(__VA_ARGS__))
#define tess_arange(...) TESS_SITED_ARRAY((tess_arange)(__VA_ARGS__))
#define tess_linspace(...) TESS_SITED_ARRAY((tess_linspace)(__VA_ARGS__))
#define tess_eye(...) TESS_SITED_ARRAY((tess_eye)(__VA_ARGS__))
#define tess_from_memory(...) TESS_SITED_ARRAY((tess_from_memory)(__VA_ARGS__))
#define tess_load_npy(...) TESS_SITED_ARRAY((tess_load_npy)(__VA_ARGS__))

#endif
