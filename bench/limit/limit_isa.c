// SPDX-License-Identifier: Apache-2.0
//
// Which loops the processor can run.

#include "bench/limit/limit_isa.h"

const struct limit_kernels *
limit_kernels(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        return &limit_kernels_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return &limit_kernels_avx2;
    }
#endif
    return &limit_kernels_baseline;
}
