// SPDX-License-Identifier: Apache-2.0
//
// What the library itself asks about element types, beyond tessera/dtype.h.

#ifndef TSI_BASE_DTYPE_H
#define TSI_BASE_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "tessera/dtype.h"

enum tsi_dtype_kind {
    TSI_KIND_NONE,
    TSI_KIND_BOOL,
    TSI_KIND_SIGNED,
    TSI_KIND_UNSIGNED,
    TSI_KIND_FLOAT,
};

bool tsi_dtype_is_valid(int dtype); // a dtype other than TESS_NONE
enum tsi_dtype_kind tsi_dtype_kind(tess_dtype dtype);

// One element of any dtype in 8 bytes: its little-endian bytes at the start, zeros after them. This
// is how constants travel.
struct tsi_scalar {
    uint64_t bits;
};

struct tsi_scalar tsi_scalar_from_f64(tess_dtype dtype, double value);
struct tsi_scalar tsi_scalar_from_i64(tess_dtype dtype, int64_t value);
struct tsi_scalar tsi_scalar_from_u64(tess_dtype dtype, uint64_t value);
double tsi_scalar_to_f64(tess_dtype dtype, struct tsi_scalar scalar);

#endif
