// SPDX-License-Identifier: Apache-2.0
//
// The inner loops, compiled once for each instruction set (isa_kernels.c); the main programs
// choose.

#ifndef BENCH_LIMIT_ISA_H
#define BENCH_LIMIT_ISA_H

#include <stdint.h>

struct limit_kernels {
    // Adds the normals of the elements [first, first + 2·pairs) to even[pairs] and odd[pairs].
    void (*add_normals)(uint64_t first, int64_t pairs, double *even, double *odd);
    // Sums of the normals, or of the uniforms, of 2·pairs elements, and of their squares.
    void (*sum_normals)(uint64_t first, int64_t pairs, double sums[2]);
    void (*sum_uniforms)(uint64_t first, int64_t pairs, double sums[2]);
    double (*sum)(int64_t count, const double *x);
    void (*copy)(int64_t count, double *out, const double *x);
    void (*add)(int64_t count, double *out, const double *x, const double *y);
    void (*cast)(int64_t count, float *out, const double *x);
};

extern const struct limit_kernels limit_kernels_baseline;
extern const struct limit_kernels limit_kernels_avx2;
extern const struct limit_kernels limit_kernels_avx512;

// Those of the best instruction set that the processor has.
const struct limit_kernels *limit_kernels(void);

// isa_kernels.c, by the name of the instruction set.
#define LIMIT_JOIN_AGAIN(a, b) a##_##b
#define LIMIT_JOIN(a, b) LIMIT_JOIN_AGAIN(a, b)
#define LIMIT_NAME(name) LIMIT_JOIN(name, TSI_ISA)

#endif
