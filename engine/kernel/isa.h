// SPDX-License-Identifier: Apache-2.0
//
// What the files share that are compiled once per instruction set (isa_*.c): names that tell the
// sets apart, the lists of element types from which rows of kernels are made, and vectors as wide
// as the registers of the set.
//
// Every isa_*.c ends in one function that puts its kernels into a table; isa_table.c calls them
// all.

#ifndef TSI_KERNEL_ISA_H
#define TSI_KERNEL_ISA_H

#include <stdint.h>

#include "engine/kernel/kernel.h"

// The build gives TSI_ISA and TSI_ISA_<name>; without them a file is of the baseline set.
#ifndef TSI_ISA
#define TSI_ISA baseline
#define TSI_ISA_baseline 1
#endif

#define TSI_ISA_PASTE_TOKENS(name, isa) name##_##isa
#define TSI_ISA_PASTE(name, isa) TSI_ISA_PASTE_TOKENS(name, isa)
#define TSI_ISA_NAME(name) TSI_ISA_PASTE(name, TSI_ISA)
#define TSI_ISA_TEXT_OF(isa) #isa
#define TSI_ISA_TEXT(isa) TSI_ISA_TEXT_OF(isa)

// Each puts the kernels of one file into `*table`.
void TSI_ISA_NAME(tsi_isa_fill_map)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_wave)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_exp)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_log)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_power)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_cast)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_source)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_random)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_sum)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_linear)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_drawn)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_var)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_order)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_fold_logic)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_matmul)(struct tsi_kernel_table *table);
void TSI_ISA_NAME(tsi_isa_fill_transpose)(struct tsi_kernel_table *table);

// The casts of this instruction set from and to float64.
tsi_kernel_cast *TSI_ISA_NAME(tsi_isa_cast_f64)(tess_dtype to);
tsi_kernel_cast *TSI_ISA_NAME(tsi_isa_cast_to_f64)(tess_dtype from);

// The normal or uniform numbers of this instruction set.
tsi_kernel_source *TSI_ISA_NAME(tsi_isa_random_f64)(enum tsi_source source);

// The sum of a run of float64 in 16 virtual lanes.
double TSI_ISA_NAME(tsi_isa_sum)(int64_t count, const double *x);

// Puts all of them into `*table`, which is zeroed.
void tsi_isa_fill_baseline(struct tsi_kernel_table *table);
void tsi_isa_fill_avx2(struct tsi_kernel_table *table);
void tsi_isa_fill_avx512(struct tsi_kernel_table *table);

// The element types as X(NAME, suffix, T, U): TESS_NAME, the end of its functions' names, its C
// type, and the unsigned type in which arithmetic wraps around without being undefined.
#define TSI_FOR_SIGNED(X)                                                                          \
    X(I8, i8, int8_t, uint32_t)                                                                    \
    X(I16, i16, int16_t, uint32_t)                                                                 \
    X(I32, i32, int32_t, uint32_t)                                                                 \
    X(I64, i64, int64_t, uint64_t)
#define TSI_FOR_UNSIGNED(X)                                                                        \
    X(U8, u8, uint8_t, uint32_t)                                                                   \
    X(U16, u16, uint16_t, uint32_t)                                                                \
    X(U32, u32, uint32_t, uint32_t)                                                                \
    X(U64, u64, uint64_t, uint64_t)
#define TSI_FOR_FLOAT(X)                                                                           \
    X(F32, f32, float, float)                                                                      \
    X(F64, f64, double, double)
#define TSI_FOR_BOOL(X) X(BOOL, truth, uint8_t, uint8_t)
#define TSI_FOR_INTEGER(X) TSI_FOR_SIGNED(X) TSI_FOR_UNSIGNED(X)
#define TSI_FOR_NUMBER(X) TSI_FOR_INTEGER(X) TSI_FOR_FLOAT(X)
#define TSI_FOR_ALL(X) TSI_FOR_BOOL(X) TSI_FOR_NUMBER(X)

// Put before a loop whose output may be the run of an operand itself: iterations do not depend on
// each other, though the compiler cannot know it.
#if defined(__clang__)
// Builds that do not vectorize, such as those of sanitizers, must not warn of it.
#pragma clang diagnostic ignored "-Wpass-failed"
#define TSI_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define TSI_INDEPENDENT _Pragma("GCC ivdep")
#endif

// Put before a loop over a few registers, so that they are registers.
#define TSI_UNROLL _Pragma("GCC unroll 16")

// Vectors that fill one register.
#if defined(TSI_ISA_avx512)
#define TSI_VECTOR_BYTES 64
#elif defined(TSI_ISA_avx2)
#define TSI_VECTOR_BYTES 32
#else
#define TSI_VECTOR_BYTES 16
#endif
#define TSI_VECTOR_F64 (TSI_VECTOR_BYTES / 8)

typedef double tsi_vector_f64 __attribute__((vector_size(TSI_VECTOR_BYTES)));
typedef int64_t tsi_vector_i64 __attribute__((vector_size(TSI_VECTOR_BYTES)));
typedef uint64_t tsi_vector_u64 __attribute__((vector_size(TSI_VECTOR_BYTES)));

static inline tsi_vector_f64
tsi_isa_load_f64(const double *from)
{
    tsi_vector_f64 x;
    __builtin_memcpy(&x, from, sizeof(x));
    return x;
}

static inline void
tsi_isa_store_f64(double *to, tsi_vector_f64 x)
{
    __builtin_memcpy(to, &x, sizeof(x));
}

#endif
