// SPDX-License-Identifier: Apache-2.0
//
// Element types: one row each, and promotion derived from kind and size. Scalars hold the bytes of
// one element, and are converted as tess_cast() converts.

#include "engine/base/dtype.h"

#include <string.h>

// Bytes of elements go to files, to peers and into scalars as they are in memory.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian machines");

struct dtype_row {
    const char *name;
    unsigned char bytes;
    enum tsi_dtype_kind kind;
};

static const struct dtype_row rows[TESS_DTYPE_COUNT] = {
    [TESS_NONE] = {"none", 0, TSI_KIND_NONE},      [TESS_BOOL] = {"bool", 1, TSI_KIND_BOOL},
    [TESS_I8] = {"int8", 1, TSI_KIND_SIGNED},      [TESS_I16] = {"int16", 2, TSI_KIND_SIGNED},
    [TESS_I32] = {"int32", 4, TSI_KIND_SIGNED},    [TESS_I64] = {"int64", 8, TSI_KIND_SIGNED},
    [TESS_U8] = {"uint8", 1, TSI_KIND_UNSIGNED},   [TESS_U16] = {"uint16", 2, TSI_KIND_UNSIGNED},
    [TESS_U32] = {"uint32", 4, TSI_KIND_UNSIGNED}, [TESS_U64] = {"uint64", 8, TSI_KIND_UNSIGNED},
    [TESS_F32] = {"float32", 4, TSI_KIND_FLOAT},   [TESS_F64] = {"float64", 8, TSI_KIND_FLOAT},
};

bool
tsi_dtype_is_valid(int dtype)
{
    return dtype > TESS_NONE && dtype < TESS_DTYPE_COUNT;
}

static const struct dtype_row *
row_of(tess_dtype dtype)
{
    return &rows[tsi_dtype_is_valid((int)dtype) ? dtype : TESS_NONE];
}

size_t
tess_dtype_bytes(tess_dtype dtype)
{
    return row_of(dtype)->bytes;
}

const char *
tess_dtype_name(tess_dtype dtype)
{
    return row_of(dtype)->name;
}

enum tsi_dtype_kind
tsi_dtype_kind(tess_dtype dtype)
{
    return row_of(dtype)->kind;
}

static tess_dtype
signed_of_bytes(size_t bytes)
{
    switch (bytes) {
    case 1:
        return TESS_I8;
    case 2:
        return TESS_I16;
    case 4:
        return TESS_I32;
    default:
        return TESS_I64;
    }
}

static tess_dtype
larger(tess_dtype a, tess_dtype b)
{
    return tess_dtype_bytes(a) >= tess_dtype_bytes(b) ? a : b;
}

static tess_dtype
promote_signed_unsigned(tess_dtype s, tess_dtype u)
{
    if (u == TESS_U64) {
        return TESS_F64;
    }
    return larger(s, signed_of_bytes(2 * tess_dtype_bytes(u)));
}

tess_dtype
tess_dtype_promote(tess_dtype a, tess_dtype b)
{
    if (!tsi_dtype_is_valid((int)a) || !tsi_dtype_is_valid((int)b)) {
        return TESS_NONE;
    }
    // The order of kinds is bool, signed, unsigned, float.
    if (tsi_dtype_kind(a) > tsi_dtype_kind(b)) {
        return tess_dtype_promote(b, a);
    }
    const enum tsi_dtype_kind low = tsi_dtype_kind(a);
    const enum tsi_dtype_kind high = tsi_dtype_kind(b);
    if (low == high) {
        return larger(a, b);
    }
    if (low == TSI_KIND_BOOL) {
        return b;
    }
    if (high == TSI_KIND_UNSIGNED) {
        return promote_signed_unsigned(a, b);
    }
    return tess_dtype_bytes(a) <= 2 ? b : TESS_F64;
}

// The low bytes of `value` that an element of `dtype` has.
static struct tsi_scalar
scalar_of_bits(tess_dtype dtype, uint64_t value)
{
    if (dtype == TESS_BOOL) {
        return (struct tsi_scalar){value != 0};
    }
    const size_t bits = 8 * tess_dtype_bytes(dtype);
    return (struct tsi_scalar){bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value};
}

static struct tsi_scalar
scalar_of_f32(float value)
{
    struct tsi_scalar scalar = {0};
    memcpy(&scalar, &value, sizeof value);
    return scalar;
}

static struct tsi_scalar
scalar_of_f64(double value)
{
    struct tsi_scalar scalar = {0};
    memcpy(&scalar, &value, sizeof value);
    return scalar;
}

// The fraction is cut off and what is out of range becomes the nearest end of the range. The upper
// ends of 64-bit types are no doubles: 2^63 and 2^64 are the first values above them.
static struct tsi_scalar
scalar_of_cut(tess_dtype dtype, double value)
{
    const size_t bits = 8 * tess_dtype_bytes(dtype);
    if (value != value) {
        return (struct tsi_scalar){0};
    }
    if (tsi_dtype_kind(dtype) == TSI_KIND_UNSIGNED) {
        const double above = 2.0 * (double)(UINT64_C(1) << (bits - 1));
        if (value >= above) {
            return scalar_of_bits(dtype, UINT64_MAX);
        }
        return scalar_of_bits(dtype, value > 0.0 ? (uint64_t)value : 0);
    }
    const uint64_t top = UINT64_C(1) << (bits - 1);
    if (value >= (double)top) {
        return scalar_of_bits(dtype, top - 1);
    }
    if (value <= -(double)top) {
        return scalar_of_bits(dtype, top);
    }
    return scalar_of_bits(dtype, (uint64_t)(int64_t)value);
}

struct tsi_scalar
tsi_scalar_from_f64(tess_dtype dtype, double value)
{
    switch (dtype) {
    case TESS_NONE:
        return (struct tsi_scalar){0};
    case TESS_BOOL:
        return (struct tsi_scalar){value != 0.0};
    case TESS_F32:
        return scalar_of_f32((float)value);
    case TESS_F64:
        return scalar_of_f64(value);
    default:
        return scalar_of_cut(dtype, value);
    }
}

struct tsi_scalar
tsi_scalar_from_i64(tess_dtype dtype, int64_t value)
{
    switch (dtype) {
    case TESS_F32:
        return scalar_of_f32((float)value);
    case TESS_F64:
        return scalar_of_f64((double)value);
    default:
        return scalar_of_bits(dtype, (uint64_t)value);
    }
}

struct tsi_scalar
tsi_scalar_from_u64(tess_dtype dtype, uint64_t value)
{
    switch (dtype) {
    case TESS_F32:
        return scalar_of_f32((float)value);
    case TESS_F64:
        return scalar_of_f64((double)value);
    default:
        return scalar_of_bits(dtype, value);
    }
}

static double
scalar_f32(struct tsi_scalar scalar)
{
    float value = 0;
    memcpy(&value, &scalar, sizeof value);
    return (double)value;
}

static double
scalar_f64(struct tsi_scalar scalar)
{
    double value = 0;
    memcpy(&value, &scalar, sizeof value);
    return value;
}

double
tsi_scalar_to_f64(tess_dtype dtype, struct tsi_scalar scalar)
{
    switch (dtype) {
    case TESS_BOOL:
        return (scalar.bits & 0xFF) != 0 ? 1.0 : 0.0;
    case TESS_I8:
        return (double)(int8_t)(uint8_t)scalar.bits;
    case TESS_I16:
        return (double)(int16_t)(uint16_t)scalar.bits;
    case TESS_I32:
        return (double)(int32_t)(uint32_t)scalar.bits;
    case TESS_I64:
        return (double)(int64_t)scalar.bits;
    case TESS_U8:
        return (double)(uint8_t)scalar.bits;
    case TESS_U16:
        return (double)(uint16_t)scalar.bits;
    case TESS_U32:
        return (double)(uint32_t)scalar.bits;
    case TESS_U64:
        return (double)scalar.bits;
    case TESS_F32:
        return scalar_f32(scalar);
    case TESS_F64:
        return scalar_f64(scalar);
    default:
        return 0.0;
    }
}
