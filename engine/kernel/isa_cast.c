// SPDX-License-Identifier: Apache-2.0
//
// Conversions from every type to every type. A float becomes an integer by cutting its fraction
// off; what the integer type does not hold becomes its nearest value, and NaN becomes 0. The
// conversion itself is only ever made of values in range, so that it is defined.

#include "engine/kernel/isa.h"

#define CAST(from, to, F, T, expression)                                                           \
    static void cast_##from##_##to(int64_t count, void *out, const void *in)                       \
    {                                                                                              \
        T *r = out;                                                                                \
        const F *xs = in;                                                                          \
        TSI_INDEPENDENT                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const F x = xs[i];                                                                     \
            r[i] = (T)(expression);                                                                \
        }                                                                                          \
    }

// `limit` is the first power of two beyond T, exact in both float types, as is the smallest T.
#define CUT(from, to, F, T, smallest, largest, limit)                                              \
    static inline T cut_##from##_##to(F x)                                                         \
    {                                                                                              \
        const F inside = ((x >= (F)(smallest)) & (x < (F)(limit))) ? x : (F)0;                     \
        const T whole = (T)inside;                                                                 \
        const T raised = x < (F)(smallest) ? (T)(smallest) : whole;                                \
        return x >= (F)(limit) ? (T)(largest) : raised;                                            \
    }                                                                                              \
    CAST(from, to, F, T, cut_##from##_##to(x))

#define CUT_ALL(from, F)                                                                           \
    CUT(from, i8, F, int8_t, INT8_MIN, INT8_MAX, 0x1p7)                                            \
    CUT(from, i16, F, int16_t, INT16_MIN, INT16_MAX, 0x1p15)                                       \
    CUT(from, i32, F, int32_t, INT32_MIN, INT32_MAX, 0x1p31)                                       \
    CUT(from, i64, F, int64_t, INT64_MIN, INT64_MAX, 0x1p63)                                       \
    CUT(from, u8, F, uint8_t, 0, UINT8_MAX, 0x1p8)                                                 \
    CUT(from, u16, F, uint16_t, 0, UINT16_MAX, 0x1p16)                                             \
    CUT(from, u32, F, uint32_t, 0, UINT32_MAX, 0x1p32)                                             \
    CUT(from, u64, F, uint64_t, 0, UINT64_MAX, 0x1p64)

#define TO_BOOL(NAME, suffix, T, U) CAST(suffix, truth, T, uint8_t, x != 0)

#define TO_FLOAT(NAME, suffix, T, U)                                                               \
    CAST(suffix, f32, T, float, x)                                                                 \
    CAST(suffix, f64, T, double, x)

#define TO_INTEGER(NAME, suffix, T, U)                                                             \
    CAST(suffix, i8, T, int8_t, x)                                                                 \
    CAST(suffix, i16, T, int16_t, x)                                                               \
    CAST(suffix, i32, T, int32_t, x)                                                               \
    CAST(suffix, i64, T, int64_t, x)                                                               \
    CAST(suffix, u8, T, uint8_t, x)                                                                \
    CAST(suffix, u16, T, uint16_t, x)                                                              \
    CAST(suffix, u32, T, uint32_t, x)                                                              \
    CAST(suffix, u64, T, uint64_t, x)

#define FROM_BOOL(NAME, suffix, T, U) CAST(truth, suffix, uint8_t, T, x != 0)

TSI_FOR_ALL(TO_BOOL)
TSI_FOR_NUMBER(FROM_BOOL)
TSI_FOR_NUMBER(TO_FLOAT)
TSI_FOR_INTEGER(TO_INTEGER)
CUT_ALL(f32, float)
CUT_ALL(f64, double)

#define SET(FROM, from, TO, to) table->cast[TESS_##FROM][TESS_##TO] = cast_##from##_##to;

#define SET_FROM(NAME, suffix, T, U)                                                               \
    SET(NAME, suffix, BOOL, truth)                                                                 \
    SET(NAME, suffix, I8, i8)                                                                      \
    SET(NAME, suffix, I16, i16)                                                                    \
    SET(NAME, suffix, I32, i32)                                                                    \
    SET(NAME, suffix, I64, i64)                                                                    \
    SET(NAME, suffix, U8, u8)                                                                      \
    SET(NAME, suffix, U16, u16)                                                                    \
    SET(NAME, suffix, U32, u32)                                                                    \
    SET(NAME, suffix, U64, u64)                                                                    \
    SET(NAME, suffix, F32, f32)                                                                    \
    SET(NAME, suffix, F64, f64)

void
TSI_ISA_NAME(tsi_isa_fill_cast)(struct tsi_kernel_table *table){TSI_FOR_ALL(SET_FROM)}

tsi_kernel_cast *TSI_ISA_NAME(tsi_isa_cast_f64)(tess_dtype to)
{
#define CASE(NAME, suffix, T, U)                                                                   \
    case TESS_##NAME:                                                                              \
        return cast_f64_##suffix;
    switch (to) {
        TSI_FOR_ALL(CASE)
    default:
        return NULL;
    }
#undef CASE
}

tsi_kernel_cast *
TSI_ISA_NAME(tsi_isa_cast_to_f64)(tess_dtype from)
{
#define CASE(NAME, suffix, T, U)                                                                   \
    case TESS_##NAME:                                                                              \
        return cast_##suffix##_f64;
    switch (from) {
        TSI_FOR_ALL(CASE)
    default:
        return NULL;
    }
#undef CASE
}
