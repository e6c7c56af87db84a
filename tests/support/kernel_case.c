// SPDX-License-Identifier: Apache-2.0
//
// Awkward floats are listed, awkward integers are made of powers of two and their neighbours.

#include "tests/support/kernel_case.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/support/random.h"

static const double awkward[] = {
    0.0,           -0.0,      1.0,          -1.0,
    0.5,           -0.5,      2.0,          -2.0,
    INFINITY,      -INFINITY, NAN,          -NAN,
    1e300,         -1e300,    5e-324,       -5e-324,
    DBL_MAX,       -DBL_MAX,  DBL_MIN,      FLT_MAX,
    -FLT_MAX,      FLT_MIN,   1e-45,        127.5,
    128.0,         -128.5,    -129.0,       255.9,
    256.0,         32767.9,   32768.0,      -32769.0,
    65535.5,       65536.0,   0x1p31,       -0x1p31,
    -0x1p31 - 1,   0x1p32,    0x1p32 - 0.5, 0x1p53,
    0x1p63,        -0x1p63,   0x1p64,       0x1.fffffffffffffp62,
    0x1.fffffep62, -0x1p64,   709.8,        -745.2,
    88.8,          -103.9,    -95.0,        3.0,
    -3.0,          1e22,      -7.0 / 3,     M_PI,
};

static double
float_of(enum kernel_values values, uint64_t bits)
{
    const double unit = (double)(bits >> 11) * 0x1p-53;
    if (values == KERNEL_VALUES_SMALL) {
        return (double)(bits >> 32 & 7) - 3;
    }
    if (values == KERNEL_VALUES_FINITE) {
        return unit * 4 - 2;
    }
    switch (bits & 3) {
    case 0:
        return awkward[(bits >> 8) % (sizeof(awkward) / sizeof(*awkward))];
    case 1:
        return unit * 200 - 100;
    case 2:
        return ldexp(unit - 0.5, (int)(bits >> 4 & 127) - 40);
    default:
        return unit * 4 - 2;
    }
}

static uint64_t
integer_of(enum kernel_values values, uint64_t bits, bool is_signed)
{
    if (values == KERNEL_VALUES_SMALL) {
        return (bits >> 32 & 7) - (is_signed ? 3 : 0);
    }
    const uint64_t power = UINT64_C(1) << (bits >> 8 & 63);
    switch (bits & 7) {
    case 0:
        return power;
    case 1:
        return power - 1;
    case 2:
        return ~power + 2;
    case 3:
        return (bits >> 16 & 15) - 8;
    default:
        return bits * UINT64_C(0x9E3779B97F4A7C15);
    }
}

void
kernel_case_fill(enum kernel_values values, tess_dtype dtype, int64_t count, void *out,
                 uint64_t seed)
{
    struct test_random random = {seed};
    const size_t bytes = tess_dtype_bytes(dtype);
    const bool is_signed = dtype >= TESS_I8 && dtype <= TESS_I64;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = test_random_bits(&random);
        const double wide = float_of(values, bits);
        const float narrow = (float)wide;
        const uint64_t whole = integer_of(values, bits, is_signed);
        const uint8_t truth = (uint8_t)(bits >> 63);
        const void *from = dtype == TESS_F64    ? (const void *)&wide
                           : dtype == TESS_F32  ? (const void *)&narrow
                           : dtype == TESS_BOOL ? (const void *)&truth
                                                : (const void *)&whole;
        memcpy((char *)out + (size_t)i * bytes, from, bytes);
    }
}

bool
kernel_case_same(tess_dtype dtype, const void *x, const void *y)
{
    if (dtype == TESS_F64) {
        double a;
        double b;
        memcpy(&a, x, sizeof(a));
        memcpy(&b, y, sizeof(b));
        if (isnan(a) && isnan(b)) {
            return true;
        }
    }
    if (dtype == TESS_F32) {
        float a;
        float b;
        memcpy(&a, x, sizeof(a));
        memcpy(&b, y, sizeof(b));
        if (isnan(a) && isnan(b)) {
            return true;
        }
    }
    return memcmp(x, y, tess_dtype_bytes(dtype)) == 0;
}

double
kernel_case_ulps(tess_dtype dtype, double x, long double exact)
{
    const int digits = dtype == TESS_F64 ? DBL_MANT_DIG : FLT_MANT_DIG;
    const int exponent_min = dtype == TESS_F64 ? DBL_MIN_EXP : FLT_MIN_EXP;
    const double rounded = dtype == TESS_F64 ? (double)exact : (double)(float)exact;
    if (isnan(x) || isnan(rounded)) {
        return isnan(x) && isnan(rounded) ? 0.0 : INFINITY;
    }
    if (isinf(x) || isinf(rounded)) {
        return x == rounded ? 0.0 : INFINITY;
    }
    int exponent = exponent_min;
    if (exact != 0) {
        (void)frexpl(exact, &exponent);
    }
    exponent = exponent < exponent_min ? exponent_min : exponent;
    return (double)(fabsl((long double)x - exact) / ldexpl(1.0L, exponent - digits));
}
