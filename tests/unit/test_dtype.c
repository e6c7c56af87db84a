// SPDX-License-Identifier: Apache-2.0
//
// Element types against NumPy: sizes, names, the whole table of promotion, and conversions of
// scalars.

#include "engine/base/dtype.h"

#include <criterion/criterion.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { DTYPES = 11 };

// NumPy's result_type of rows and columns, as published.
#define B TESS_BOOL
#define I1 TESS_I8
#define I2 TESS_I16
#define I4 TESS_I32
#define I8 TESS_I64
#define U1 TESS_U8
#define U2 TESS_U16
#define U4 TESS_U32
#define U8 TESS_U64
#define F4 TESS_F32
#define F8 TESS_F64
static const tess_dtype order[DTYPES] = {B, I1, I2, I4, I8, U1, U2, U4, U8, F4, F8};
// clang-format off
static const tess_dtype promoted[DTYPES][DTYPES] = {
    //        b   i1  i2  i4  i8  u1  u2  u4  u8  f4  f8
    /* b  */ {B,  I1, I2, I4, I8, U1, U2, U4, U8, F4, F8},
    /* i1 */ {I1, I1, I2, I4, I8, I2, I4, I8, F8, F4, F8},
    /* i2 */ {I2, I2, I2, I4, I8, I2, I4, I8, F8, F4, F8},
    /* i4 */ {I4, I4, I4, I4, I8, I4, I4, I8, F8, F8, F8},
    /* i8 */ {I8, I8, I8, I8, I8, I8, I8, I8, F8, F8, F8},
    /* u1 */ {U1, I2, I2, I4, I8, U1, U2, U4, U8, F4, F8},
    /* u2 */ {U2, I4, I4, I4, I8, U2, U2, U4, U8, F4, F8},
    /* u4 */ {U4, I8, I8, I8, I8, U4, U4, U4, U8, F8, F8},
    /* u8 */ {U8, F8, F8, F8, F8, U8, U8, U8, U8, F8, F8},
    /* f4 */ {F4, F4, F4, F8, F8, F4, F4, F8, F8, F4, F8},
    /* f8 */ {F8, F8, F8, F8, F8, F8, F8, F8, F8, F8, F8},
};
// clang-format on

Test(dtype, every_pair_meets_where_numpy_says)
{
    for (int i = 0; i < DTYPES; i++) {
        for (int j = 0; j < DTYPES; j++) {
            const tess_dtype met = tess_dtype_promote(order[i], order[j]);
            cr_assert_eq(met, promoted[i][j], "%s and %s met in %s", tess_dtype_name(order[i]),
                         tess_dtype_name(order[j]), tess_dtype_name(met));
        }
    }
}

Test(dtype, none_meets_nothing)
{
    for (int i = 0; i < DTYPES; i++) {
        cr_assert_eq(tess_dtype_promote(TESS_NONE, order[i]), TESS_NONE);
        cr_assert_eq(tess_dtype_promote(order[i], TESS_NONE), TESS_NONE);
        cr_assert_eq(tess_dtype_promote(order[i], TESS_DTYPE_COUNT), TESS_NONE);
    }
    cr_assert_eq(tess_dtype_promote(TESS_NONE, TESS_NONE), TESS_NONE);
}

Test(dtype, has_its_size_name_and_kind)
{
    static const struct {
        tess_dtype dtype;
        size_t bytes;
        const char *name;
        enum tsi_dtype_kind kind;
    } rows[] = {
        {TESS_NONE, 0, "none", TSI_KIND_NONE},        {TESS_BOOL, 1, "bool", TSI_KIND_BOOL},
        {TESS_I8, 1, "int8", TSI_KIND_SIGNED},        {TESS_I16, 2, "int16", TSI_KIND_SIGNED},
        {TESS_I32, 4, "int32", TSI_KIND_SIGNED},      {TESS_I64, 8, "int64", TSI_KIND_SIGNED},
        {TESS_U8, 1, "uint8", TSI_KIND_UNSIGNED},     {TESS_U16, 2, "uint16", TSI_KIND_UNSIGNED},
        {TESS_U32, 4, "uint32", TSI_KIND_UNSIGNED},   {TESS_U64, 8, "uint64", TSI_KIND_UNSIGNED},
        {TESS_F32, 4, "float32", TSI_KIND_FLOAT},     {TESS_F64, 8, "float64", TSI_KIND_FLOAT},
        {TESS_DTYPE_COUNT, 0, "none", TSI_KIND_NONE}, {(tess_dtype)-1, 0, "none", TSI_KIND_NONE},
        {(tess_dtype)77, 0, "none", TSI_KIND_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(tess_dtype_bytes(rows[i].dtype), rows[i].bytes, "%s", rows[i].name);
        cr_assert_str_eq(tess_dtype_name(rows[i].dtype), rows[i].name);
        cr_assert_eq(tsi_dtype_kind(rows[i].dtype), rows[i].kind, "%s", rows[i].name);
        cr_assert_eq(tsi_dtype_is_valid((int)rows[i].dtype), rows[i].bytes > 0);
    }
}

// The numbers travel between processes.
Test(dtype, numbers_do_not_move)
{
    for (int i = 0; i < DTYPES; i++) {
        cr_assert_eq((int)order[i], i + 1);
    }
}

struct from_f64 {
    tess_dtype dtype;
    double value;
    uint64_t bits;
};

Test(dtype, doubles_are_cut_to_the_range_of_integers)
{
    static const struct from_f64 rows[] = {
        {TESS_BOOL, 0.0, 0},
        {TESS_BOOL, -0.0, 0},
        {TESS_BOOL, 0.25, 1},
        {TESS_BOOL, (double)NAN, 1},
        {TESS_I8, 1.9, 1},
        {TESS_I8, -1.9, 0xFF},
        {TESS_I8, 127.9, 127},
        {TESS_I8, 128.0, 127},
        {TESS_I8, -128.9, 0x80},
        {TESS_I8, -129.0, 0x80},
        {TESS_I8, (double)NAN, 0},
        {TESS_I16, 1e9, 0x7FFF},
        {TESS_I16, -1e9, 0x8000},
        {TESS_I32, 2147483647.5, 0x7FFFFFFF},
        {TESS_I32, (double)INFINITY, 0x7FFFFFFF},
        {TESS_I32, (double)-INFINITY, 0x80000000},
        {TESS_I64, 9223372036854775808.0, INT64_MAX},
        {TESS_I64, 9223372036854774784.0, UINT64_C(9223372036854774784)},
        {TESS_I64, -9223372036854775808.0, UINT64_C(1) << 63},
        {TESS_I64, -1e300, UINT64_C(1) << 63},
        {TESS_U8, 255.5, 255},
        {TESS_U8, 256.0, 255},
        {TESS_U8, -0.5, 0},
        {TESS_U8, -1.0, 0},
        {TESS_U16, 65535.0, 65535},
        {TESS_U32, 4294967296.0, 0xFFFFFFFF},
        {TESS_U64, 18446744073709551616.0, UINT64_MAX},
        {TESS_U64, 18446744073709549568.0, UINT64_C(18446744073709549568)},
        {TESS_U64, (double)NAN, 0},
        {TESS_F32, 1.0, 0x3F800000},
        {TESS_F32, 1e300, 0x7F800000},
        {TESS_F32, 0.1, 0x3DCCCCCD},
        {TESS_F64, 1.0, UINT64_C(0x3FF0000000000000)},
        {TESS_NONE, 1.0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tsi_scalar scalar = tsi_scalar_from_f64(rows[i].dtype, rows[i].value);
        cr_assert_eq(scalar.bits, rows[i].bits, "%s of %.17g: %" PRIx64,
                     tess_dtype_name(rows[i].dtype), rows[i].value, scalar.bits);
    }
}

Test(dtype, integers_keep_their_low_bits)
{
    cr_assert_eq(tsi_scalar_from_i64(TESS_I8, 257).bits, 1);
    cr_assert_eq(tsi_scalar_from_i64(TESS_I8, -1).bits, 0xFF);
    cr_assert_eq(tsi_scalar_from_i64(TESS_U16, -1).bits, 0xFFFF);
    cr_assert_eq(tsi_scalar_from_i64(TESS_I64, INT64_MIN).bits, UINT64_C(1) << 63);
    cr_assert_eq(tsi_scalar_from_i64(TESS_BOOL, 256).bits, 1);
    cr_assert_eq(tsi_scalar_from_i64(TESS_BOOL, 0).bits, 0);
    cr_assert_eq(tsi_scalar_from_u64(TESS_U32, UINT64_C(0x123456789)).bits, 0x23456789);
    cr_assert_eq(tsi_scalar_from_u64(TESS_U64, UINT64_MAX).bits, UINT64_MAX);
    cr_assert_eq(tsi_scalar_from_i64(TESS_NONE, 5).bits, 0);
}

// 2^24 + 1 is halfway between two floats; by way of a double, 2^54 + 2^30 + 1 would round twice.
Test(dtype, integers_become_floats_with_one_rounding)
{
    const int64_t twice = (INT64_C(1) << 54) + (INT64_C(1) << 30) + 1;
    float above = 0;
    memcpy(&above, &(uint32_t){0x5A800001}, sizeof above);

    cr_assert_eq(tsi_scalar_to_f64(TESS_F32, tsi_scalar_from_i64(TESS_F32, 16777217)), 16777216.0);
    cr_assert_eq(tsi_scalar_to_f64(TESS_F32, tsi_scalar_from_i64(TESS_F32, twice)), (double)above);
    cr_assert_eq(tsi_scalar_to_f64(TESS_F32, tsi_scalar_from_u64(TESS_F32, (uint64_t)twice)),
                 (double)above);
    cr_assert_eq(tsi_scalar_to_f64(TESS_F64, tsi_scalar_from_u64(TESS_F64, UINT64_MAX)), 0x1p64);
}

Test(dtype, scalars_come_back_as_they_went)
{
    for (int i = 0; i < DTYPES; i++) {
        for (int value = 0; value <= 1; value++) {
            const struct tsi_scalar scalar = tsi_scalar_from_f64(order[i], value);
            cr_assert_eq(tsi_scalar_to_f64(order[i], scalar), (double)value, "%s",
                         tess_dtype_name(order[i]));
        }
        if (tsi_dtype_kind(order[i]) == TSI_KIND_SIGNED ||
            tsi_dtype_kind(order[i]) == TSI_KIND_FLOAT) {
            const struct tsi_scalar scalar = tsi_scalar_from_f64(order[i], -100.0);
            cr_assert_eq(tsi_scalar_to_f64(order[i], scalar), -100.0);
        }
    }
    cr_assert_eq(tsi_scalar_to_f64(TESS_U8, (struct tsi_scalar){0xFF}), 255.0);
    cr_assert_eq(tsi_scalar_to_f64(TESS_U64, (struct tsi_scalar){UINT64_MAX}), 0x1p64);
    cr_assert_eq(tsi_scalar_to_f64(TESS_NONE, (struct tsi_scalar){1}), 0.0);
}
