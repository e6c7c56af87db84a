// SPDX-License-Identifier: Apache-2.0
//
// Element-wise kernels of plain arithmetic, one loop per operation and type, made by one macro from
// an expression of x, y (the operands' elements). Integers compute in an unsigned type and are cut
// to their own, so that they wrap around. The output may be the run of an operand.

#include <math.h>

#include "engine/kernel/isa.h"

#define MAP(name, suffix, R, T, expression)                                                        \
    static void name##_##suffix(int64_t count, void *out, const void *a, const void *b,            \
                                const void *c)                                                     \
    {                                                                                              \
        R *r = out;                                                                                \
        const T *xs = a;                                                                           \
        const T *ys = b == NULL ? xs : b;                                                          \
        (void)c;                                                                                   \
        TSI_INDEPENDENT                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const T x = xs[i];                                                                     \
            const T y = ys[i];                                                                     \
            (void)y;                                                                               \
            r[i] = (R)(expression);                                                                \
        }                                                                                          \
    }

#define WHERE(NAME, suffix, T, U)                                                                  \
    static void where_##suffix(int64_t count, void *out, const void *a, const void *b,             \
                               const void *c)                                                      \
    {                                                                                              \
        T *r = out;                                                                                \
        const uint8_t *condition = a;                                                              \
        const T *xs = b;                                                                           \
        const T *ys = c;                                                                           \
        TSI_INDEPENDENT                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const T x = xs[i];                                                                     \
            const T y = ys[i];                                                                     \
            r[i] = condition[i] != 0 ? x : y;                                                      \
        }                                                                                          \
    }

#define COMPARE(NAME, suffix, T, U)                                                                \
    MAP(equal, suffix, uint8_t, T, x == y)                                                         \
    MAP(not_equal, suffix, uint8_t, T, x != y)                                                     \
    MAP(less, suffix, uint8_t, T, x < y)                                                           \
    MAP(less_equal, suffix, uint8_t, T, x <= y)                                                    \
    MAP(greater, suffix, uint8_t, T, x > y)                                                        \
    MAP(greater_equal, suffix, uint8_t, T, x >= y)

#define INTEGER(NAME, suffix, T, U)                                                                \
    MAP(add, suffix, T, T, (U)x + (U)y)                                                            \
    MAP(subtract, suffix, T, T, (U)x - (U)y)                                                       \
    MAP(multiply, suffix, T, T, (U)x *(U)y)                                                        \
    MAP(minimum, suffix, T, T, y < x ? y : x)                                                      \
    MAP(maximum, suffix, T, T, y > x ? y : x)                                                      \
    MAP(negative, suffix, T, T, (U)0 - (U)x)

#define SIGNED(NAME, suffix, T, U) MAP(abs, suffix, T, T, x < 0 ? (U)0 - (U)x : (U)x)
#define UNSIGNED(NAME, suffix, T, U) MAP(abs, suffix, T, T, x)

// An unordered pair is neither below nor above, so NaN is asked for by itself; of equals, which are
// −0 and +0 at most, the first is taken.
#define FLOAT(NAME, suffix, T, U)                                                                  \
    MAP(add, suffix, T, T, x + y)                                                                  \
    MAP(subtract, suffix, T, T, x - y)                                                             \
    MAP(multiply, suffix, T, T, x *y)                                                              \
    MAP(divide, suffix, T, T, x / y)                                                               \
    MAP(minimum, suffix, T, T, ((y < x) | (y != y)) ? y : x)                                       \
    MAP(maximum, suffix, T, T, ((y > x) | (y != y)) ? y : x)                                       \
    MAP(negative, suffix, T, T, -x)

TSI_FOR_ALL(WHERE)
TSI_FOR_NUMBER(COMPARE)
TSI_FOR_INTEGER(INTEGER)
TSI_FOR_SIGNED(SIGNED)
TSI_FOR_UNSIGNED(UNSIGNED)
TSI_FOR_FLOAT(FLOAT)
MAP(abs, f32, float, float, fabsf(x))
MAP(abs, f64, double, double, fabs(x))
MAP(sqrt, f32, float, float, sqrtf(x))
MAP(sqrt, f64, double, double, sqrt(x))

// bool: any byte but 0 is true, and what comes out is 0 or 1.
MAP(add, truth, uint8_t, uint8_t, (x | y) != 0)
MAP(multiply, truth, uint8_t, uint8_t, (x != 0) & (y != 0))
MAP(minimum, truth, uint8_t, uint8_t, (x != 0) & (y != 0))
MAP(maximum, truth, uint8_t, uint8_t, (x | y) != 0)
MAP(abs, truth, uint8_t, uint8_t, x != 0)
MAP(equal, truth, uint8_t, uint8_t, (x != 0) == (y != 0))
MAP(not_equal, truth, uint8_t, uint8_t, (x != 0) != (y != 0))
MAP(less, truth, uint8_t, uint8_t, (x == 0) & (y != 0))
MAP(less_equal, truth, uint8_t, uint8_t, (x == 0) | (y != 0))
MAP(greater, truth, uint8_t, uint8_t, (x != 0) & (y == 0))
MAP(greater_equal, truth, uint8_t, uint8_t, (x != 0) | (y == 0))

// Square and multiply, wrapping around. `negative` exponents give 0 unless the base is 1 or −1.
#define POWER(NAME, suffix, T, U)                                                                  \
    static inline T raise_##suffix(T base, T exponent)                                             \
    {                                                                                              \
        U product = 1;                                                                             \
        U square = (U)base;                                                                        \
        uint64_t left = (uint64_t)exponent;                                                        \
        if (exponent < (T)1 && exponent != 0) {                                                    \
            const bool odd = (left & 1) != 0;                                                      \
            return (T)(base == (T)1 ? 1 : base != (T)-1 ? 0 : odd ? -1 : 1);                       \
        }                                                                                          \
        while (left != 0) {                                                                        \
            product *= (left & 1) != 0 ? square : 1;                                               \
            square *= square;                                                                      \
            left >>= 1;                                                                            \
        }                                                                                          \
        return (T)product;                                                                         \
    }                                                                                              \
    MAP(power, suffix, T, T, raise_##suffix(x, y))

TSI_FOR_INTEGER(POWER)

#define COMBINE(NAME, suffix, T, U)                                                                \
    static void combine_##suffix(int64_t count, void *out, const void *a, double scale_a,          \
                                 const void *b, double scale_b)                                    \
    {                                                                                              \
        T *r = out;                                                                                \
        const T *xs = a;                                                                           \
        const T *ys = b;                                                                           \
        const T x_scale = (T)scale_a;                                                              \
        const T y_scale = (T)scale_b;                                                              \
        TSI_INDEPENDENT                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            r[i] = xs[i] * x_scale + ys[i] * y_scale;                                              \
        }                                                                                          \
    }

TSI_FOR_FLOAT(COMBINE)

#define SET(OP, name, NAME, suffix) table->map[TSI_OP_##OP][TESS_##NAME] = name##_##suffix;

#define SET_BOOL(NAME, suffix, T, U)                                                               \
    SET(ADD, add, NAME, suffix)                                                                    \
    SET(MULTIPLY, multiply, NAME, suffix)                                                          \
    SET(MINIMUM, minimum, NAME, suffix)                                                            \
    SET(MAXIMUM, maximum, NAME, suffix)                                                            \
    SET(ABS, abs, NAME, suffix)                                                                    \
    SET(EQUAL, equal, NAME, suffix)                                                                \
    SET(NOT_EQUAL, not_equal, NAME, suffix)                                                        \
    SET(LESS, less, NAME, suffix)                                                                  \
    SET(LESS_EQUAL, less_equal, NAME, suffix)                                                      \
    SET(GREATER, greater, NAME, suffix)                                                            \
    SET(GREATER_EQUAL, greater_equal, NAME, suffix)                                                \
    SET(WHERE, where, NAME, suffix)

#define SET_NUMBER(NAME, suffix, T, U)                                                             \
    SET_BOOL(NAME, suffix, T, U)                                                                   \
    SET(SUBTRACT, subtract, NAME, suffix)                                                          \
    SET(NEGATIVE, negative, NAME, suffix)

#define SET_POWER(NAME, suffix, T, U) SET(POWER, power, NAME, suffix)

#define SET_FLOAT(NAME, suffix, T, U)                                                              \
    table->combine[TESS_##NAME] = combine_##suffix;                                                \
    SET(DIVIDE, divide, NAME, suffix)                                                              \
    SET(SQRT, sqrt, NAME, suffix)

void
TSI_ISA_NAME(tsi_isa_fill_map)(struct tsi_kernel_table *table)
{
    TSI_FOR_BOOL(SET_BOOL)
    TSI_FOR_NUMBER(SET_NUMBER)
    TSI_FOR_INTEGER(SET_POWER)
    TSI_FOR_FLOAT(SET_FLOAT)
}
