// SPDX-License-Identifier: Apache-2.0
//
// Random arrays.
//
// An element depends on the session's seed, on which random array of the session it is in (the
// first made is stream 0, the next stream 1, …), and on its index in the whole array; on nothing
// else. So the same program with the same seed gives the same arrays for every chunking and any
// number of workers, and a slice computed alone equals the slice of the whole.
//
// Bits: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011), key = seed, counter = (element block, stream). docs/random.md states which bits of
// which block an element uses; a change of that is a change of the wire version.

#ifndef TESSERA_RANDOM_H
#define TESSERA_RANDOM_H

#include "tessera/array.h"

TESS_BEGIN

// Normal variates with mean `mean` and standard deviation `deviation`, float64, by the method of
// Box and Muller from two uniforms of 53 bits. Fails with TESS_EINVAL if `deviation` is negative or
// a parameter is not finite.
TESS_API tess_array *tess_random_normal(tess_session *session, tess_shape shape, tess_chunks chunks,
                                        double mean, double deviation);

// Normal variates of mean 0 and standard deviation 1; `dtype` TESS_F64 or TESS_F32 (the float64
// value rounded).
TESS_API tess_array *tess_random_standard_normal(tess_session *session, tess_shape shape,
                                                 tess_chunks chunks, tess_dtype dtype);

// Uniform variates in [low, high), float64, from 53 bits. Fails with TESS_EINVAL if high < low or a
// parameter is not finite.
TESS_API tess_array *tess_random_uniform(tess_session *session, tess_shape shape,
                                         tess_chunks chunks, double low, double high);

// Integers in [low, high), each as likely as the next, of any integer dtype. Fails with TESS_EINVAL
// if high <= low, with TESS_EDTYPE if `dtype` is no integer type or does not hold the range.
TESS_API tess_array *tess_random_integers(tess_session *session, tess_shape shape,
                                          tess_chunks chunks, tess_dtype dtype, int64_t low,
                                          int64_t high);

TESS_END

#define tess_random_normal(...) TESS_SITED_ARRAY((tess_random_normal)(__VA_ARGS__))
#define tess_random_standard_normal(...)                                                           \
    TESS_SITED_ARRAY((tess_random_standard_normal)(__VA_ARGS__))
#define tess_random_uniform(...) TESS_SITED_ARRAY((tess_random_uniform)(__VA_ARGS__))
#define tess_random_integers(...) TESS_SITED_ARRAY((tess_random_integers)(__VA_ARGS__))

#endif
