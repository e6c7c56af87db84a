// SPDX-License-Identifier: Apache-2.0
//
// Written from the promises of the public headers alone. Integers wrap, so they are computed as
// uint64 and narrowed; floats are computed in double, or in long double where many are added up.

#include "tests/support/eval_value.h"

#include <math.h>
#include <string.h>

bool
test_value_is_float(tess_dtype dtype)
{
    return dtype == TESS_F32 || dtype == TESS_F64;
}

static bool
is_unsigned(tess_dtype dtype)
{
    return dtype == TESS_U8 || dtype == TESS_U16 || dtype == TESS_U32 || dtype == TESS_U64;
}

bool
test_value_is_integer(tess_dtype dtype)
{
    return dtype != TESS_BOOL && !test_value_is_float(dtype);
}

// The low `bits` bits of `value` as a signed integer.
static int64_t
extend_sign(uint64_t value, int bits)
{
    const uint64_t sign = UINT64_C(1) << (bits - 1);
    const uint64_t low = value & (sign | (sign - 1));
    return (int64_t)((low ^ sign) - sign);
}

struct test_value
test_value_of_bits(tess_dtype dtype, uint64_t bits)
{
    struct test_value value = {.dtype = dtype};
    switch (dtype) {
    case TESS_BOOL:
        value.i = bits != 0;
        break;
    case TESS_I8:
        value.i = extend_sign(bits, 8);
        break;
    case TESS_I16:
        value.i = extend_sign(bits, 16);
        break;
    case TESS_I32:
        value.i = extend_sign(bits, 32);
        break;
    case TESS_I64:
        value.i = extend_sign(bits, 64);
        break;
    case TESS_U8:
        value.u = (uint8_t)bits;
        break;
    case TESS_U16:
        value.u = (uint16_t)bits;
        break;
    case TESS_U32:
        value.u = (uint32_t)bits;
        break;
    default:
        value.u = bits;
        break;
    }
    return value;
}

static struct test_value
value_of_real(tess_dtype dtype, long double real)
{
    const double wide = (double)real;
    return (struct test_value){.dtype = dtype, .f = dtype == TESS_F32 ? (double)(float)wide : wide};
}

// The integer nearest to `value` without its fraction, among those of `dtype`.
static struct test_value
cut(tess_dtype dtype, double value)
{
    const int bits = 8 * (int)tess_dtype_bytes(dtype);
    const double low = is_unsigned(dtype) ? 0.0 : -ldexp(1.0, bits - 1);
    const double above = ldexp(1.0, is_unsigned(dtype) ? bits : bits - 1);
    const double whole = trunc(value);
    if (isnan(value)) {
        return test_value_of_bits(dtype, 0);
    }
    if (whole >= above) {
        return test_value_of_bits(dtype, is_unsigned(dtype) ? UINT64_MAX
                                                            : (UINT64_C(1) << (bits - 1)) - 1);
    }
    if (whole <= low) {
        return test_value_of_bits(dtype, is_unsigned(dtype) ? 0 : UINT64_C(1) << (bits - 1));
    }
    return test_value_of_bits(dtype, whole < 0 ? (uint64_t)(int64_t)whole : (uint64_t)whole);
}

struct test_value
test_value_of_f64(tess_dtype dtype, double value)
{
    if (dtype == TESS_BOOL) {
        return test_value_of_bits(dtype, value != 0);
    }
    return test_value_is_float(dtype) ? value_of_real(dtype, value) : cut(dtype, value);
}

struct test_value
test_value_read(tess_dtype dtype, const void *element)
{
    float narrow = 0;
    double wide = 0;
    uint64_t bits = 0;
    switch (dtype) {
    case TESS_F32:
        memcpy(&narrow, element, sizeof narrow);
        return value_of_real(dtype, narrow);
    case TESS_F64:
        memcpy(&wide, element, sizeof wide);
        return value_of_real(dtype, wide);
    default:
        memcpy(&bits, element, tess_dtype_bytes(dtype));
        return test_value_of_bits(dtype, bits);
    }
}

// The bits of an integer or bool.
static uint64_t
bits_of(struct test_value value)
{
    return is_unsigned(value.dtype) ? value.u : (uint64_t)value.i;
}

void
test_value_write(struct test_value value, void *element)
{
    const float narrow = (float)value.f;
    const uint64_t bits = bits_of(value);
    switch (value.dtype) {
    case TESS_F32:
        memcpy(element, &narrow, sizeof narrow);
        break;
    case TESS_F64:
        memcpy(element, &value.f, sizeof value.f);
        break;
    default:
        memcpy(element, &bits, tess_dtype_bytes(value.dtype));
        break;
    }
}

static long double
real_of(struct test_value value)
{
    if (test_value_is_float(value.dtype)) {
        return value.f;
    }
    return is_unsigned(value.dtype) ? (long double)value.u : (long double)value.i;
}

static bool
is_true(struct test_value value)
{
    return real_of(value) != 0;
}

struct test_value
test_value_cast(struct test_value value, tess_dtype dtype)
{
    if (dtype == TESS_BOOL) {
        return test_value_of_bits(dtype, is_true(value));
    }
    if (!test_value_is_float(dtype)) {
        return test_value_is_float(value.dtype) ? cut(dtype, value.f)
                                                : test_value_of_bits(dtype, bits_of(value));
    }
    // A 64-bit integer is rounded to float32 in one step.
    if (dtype == TESS_F32 && !test_value_is_float(value.dtype)) {
        const float narrow = is_unsigned(value.dtype) ? (float)value.u : (float)value.i;
        return value_of_real(dtype, narrow);
    }
    return value_of_real(dtype, real_of(value));
}

static bool
is_less(struct test_value x, struct test_value y)
{
    if (test_value_is_float(x.dtype)) {
        return x.f < y.f;
    }
    return is_unsigned(x.dtype) ? x.u < y.u : x.i < y.i;
}

static bool
is_nan(struct test_value x)
{
    return test_value_is_float(x.dtype) && isnan(x.f);
}

static bool
is_equal(struct test_value x, struct test_value y)
{
    return !is_nan(x) && !is_nan(y) && !is_less(x, y) && !is_less(y, x);
}

static struct test_value
smaller(struct test_value x, struct test_value y)
{
    if (is_nan(x) || is_nan(y)) {
        return is_nan(x) ? x : y;
    }
    return is_less(y, x) ? y : x;
}

static struct test_value
larger(struct test_value x, struct test_value y)
{
    if (is_nan(x) || is_nan(y)) {
        return is_nan(x) ? x : y;
    }
    return is_less(x, y) ? y : x;
}

static uint64_t
power_of_bits(uint64_t base, uint64_t exponent)
{
    uint64_t power = 1;
    for (; exponent > 0; exponent >>= 1) {
        power *= (exponent & 1) != 0 ? base : 1;
        base *= base;
    }
    return power;
}

static struct test_value
power(struct test_value x, struct test_value y)
{
    if (test_value_is_float(x.dtype)) {
        return value_of_real(x.dtype, (long double)pow(x.f, y.f));
    }
    if (is_unsigned(x.dtype) || y.i >= 0) {
        return test_value_of_bits(x.dtype, power_of_bits(bits_of(x), bits_of(y)));
    }
    const bool is_odd = (y.i & 1) != 0;
    const int64_t sign = x.i == 1 ? 1 : x.i == -1 ? (is_odd ? -1 : 1) : 0;
    return test_value_of_bits(x.dtype, (uint64_t)sign);
}

static struct test_value
truth(bool is_so)
{
    return test_value_of_bits(TESS_BOOL, is_so);
}

static struct test_value
map_float(enum tsi_op op, struct test_value x, struct test_value y)
{
    switch (op) {
    case TSI_OP_ADD:
        return value_of_real(x.dtype, x.f + y.f);
    case TSI_OP_SUBTRACT:
        return value_of_real(x.dtype, x.f - y.f);
    case TSI_OP_MULTIPLY:
        return value_of_real(x.dtype, x.f * y.f);
    case TSI_OP_DIVIDE:
        return value_of_real(x.dtype, x.f / y.f);
    case TSI_OP_NEGATIVE:
        return value_of_real(x.dtype, -x.f);
    case TSI_OP_ABS:
        return value_of_real(x.dtype, fabs(x.f));
    case TSI_OP_SQRT:
        return value_of_real(x.dtype, sqrt(x.f));
    case TSI_OP_EXP:
        return value_of_real(x.dtype, exp(x.f));
    case TSI_OP_LOG:
        return value_of_real(x.dtype, log(x.f));
    case TSI_OP_SIN:
        return value_of_real(x.dtype, sin(x.f));
    default:
        return value_of_real(x.dtype, cos(x.f));
    }
}

static struct test_value
map_integer(enum tsi_op op, struct test_value x, struct test_value y)
{
    const uint64_t a = bits_of(x);
    const uint64_t b = bits_of(y);
    switch (op) {
    case TSI_OP_ADD:
        return x.dtype == TESS_BOOL ? truth(a != 0 || b != 0) : test_value_of_bits(x.dtype, a + b);
    case TSI_OP_SUBTRACT:
        return test_value_of_bits(x.dtype, a - b);
    case TSI_OP_MULTIPLY:
        return test_value_of_bits(x.dtype, a * b);
    case TSI_OP_NEGATIVE:
        return test_value_of_bits(x.dtype, 0 - a);
    default:
        return test_value_of_bits(x.dtype, !is_unsigned(x.dtype) && x.i < 0 ? 0 - a : a);
    }
}

struct test_value
test_value_map(enum tsi_op op, const struct test_value x[3])
{
    switch (op) {
    case TSI_OP_POWER:
        return power(x[0], x[1]);
    case TSI_OP_MINIMUM:
        return smaller(x[0], x[1]);
    case TSI_OP_MAXIMUM:
        return larger(x[0], x[1]);
    case TSI_OP_EQUAL:
        return truth(is_equal(x[0], x[1]));
    case TSI_OP_NOT_EQUAL:
        return truth(!is_equal(x[0], x[1]));
    case TSI_OP_LESS:
        return truth(is_less(x[0], x[1]));
    case TSI_OP_LESS_EQUAL:
        return truth(is_less(x[0], x[1]) || is_equal(x[0], x[1]));
    case TSI_OP_GREATER:
        return truth(is_less(x[1], x[0]));
    case TSI_OP_GREATER_EQUAL:
        return truth(is_less(x[1], x[0]) || is_equal(x[0], x[1]));
    case TSI_OP_WHERE:
        return is_true(x[0]) ? x[1] : x[2];
    default:
        return test_value_is_float(x[0].dtype) ? map_float(op, x[0], x[1])
                                               : map_integer(op, x[0], x[1]);
    }
}

static struct test_value
fold_sum(bool product, tess_dtype to, const struct test_value *x, int64_t count)
{
    uint64_t bits = product ? 1 : 0;
    long double real = product ? 1 : 0;
    for (int64_t i = 0; i < count; i++) {
        bits = product ? bits * bits_of(x[i]) : bits + bits_of(x[i]);
        real = product ? real * real_of(x[i]) : real + real_of(x[i]);
    }
    return test_value_is_float(to) ? value_of_real(to, real) : test_value_of_bits(to, bits);
}

static long double
mean_of(const struct test_value *x, int64_t count)
{
    long double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += real_of(x[i]);
    }
    return sum / (long double)count;
}

static long double
variance_of(const struct test_value *x, int64_t count, double ddof)
{
    const long double mean = mean_of(x, count);
    long double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (real_of(x[i]) - mean) * (real_of(x[i]) - mean);
    }
    const long double below = (long double)count - ddof;
    return count == 0 ? (long double)NAN : sum / (below > 0 ? below : 0);
}

static int64_t
find_extreme(bool smallest, const struct test_value *x, int64_t count)
{
    int64_t found = 0;
    for (int64_t i = 1; i < count && !is_nan(x[found]); i++) {
        if (is_nan(x[i]) || (smallest ? is_less(x[i], x[found]) : is_less(x[found], x[i]))) {
            found = i;
        }
    }
    return found;
}

static int64_t
count_true(const struct test_value *x, int64_t count)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        found += is_true(x[i]);
    }
    return found;
}

struct test_value
test_value_fold(enum tsi_reduction reduction, tess_dtype to, const struct test_value *x,
                int64_t count, double ddof)
{
    switch (reduction) {
    case TSI_REDUCE_SUM:
    case TSI_REDUCE_PROD:
        return fold_sum(reduction == TSI_REDUCE_PROD, to, x, count);
    case TSI_REDUCE_MEAN:
        return value_of_real(to, mean_of(x, count));
    case TSI_REDUCE_VAR:
        return value_of_real(to, variance_of(x, count, ddof));
    case TSI_REDUCE_STD:
        return value_of_real(to, sqrtl(variance_of(x, count, ddof)));
    case TSI_REDUCE_MIN:
    case TSI_REDUCE_MAX:
        return x[find_extreme(reduction == TSI_REDUCE_MIN, x, count)];
    case TSI_REDUCE_ARGMIN:
    case TSI_REDUCE_ARGMAX:
        return test_value_of_bits(to,
                                  (uint64_t)find_extreme(reduction == TSI_REDUCE_ARGMIN, x, count));
    case TSI_REDUCE_ANY:
        return truth(count_true(x, count) > 0);
    default:
        return truth(count_true(x, count) == count);
    }
}

void
test_value_add_product(struct test_sum *sum, struct test_value x, struct test_value y)
{
    sum->bits += bits_of(x) * bits_of(y);
    sum->real += real_of(x) * real_of(y);
    sum->any = sum->any || (is_true(x) && is_true(y));
}

struct test_value
test_value_of_sum(tess_dtype dtype, const struct test_sum *sum)
{
    if (dtype == TESS_BOOL) {
        return truth(sum->any);
    }
    return test_value_is_float(dtype) ? value_of_real(dtype, sum->real)
                                      : test_value_of_bits(dtype, sum->bits);
}
