// SPDX-License-Identifier: Apache-2.0
//
// A library in OpenBLAS's place (TESSERA_OPENBLAS) whose products end the process, as a library
// does that calls exit() where it should return an error.

#include <cblas.h>
#include <unistd.h>

#include "tests/planted/blas_that_exits.h"

void openblas_set_num_threads(int threads);

void
openblas_set_num_threads(int threads)
{
    (void)threads;
}

void
cblas_dgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE a_form, enum CBLAS_TRANSPOSE b_form,
            blasint m, blasint n, blasint k, double alpha, const double *a, blasint a_step,
            const double *b, blasint b_step, double beta, double *c, blasint c_step)
{
    (void)order, (void)a_form, (void)b_form, (void)m, (void)n, (void)k, (void)alpha, (void)a;
    (void)a_step, (void)b, (void)b_step, (void)beta, (void)c, (void)c_step;
    _exit(BLAS_EXIT_STATUS);
}

void
cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE a_form, enum CBLAS_TRANSPOSE b_form,
            blasint m, blasint n, blasint k, float alpha, const float *a, blasint a_step,
            const float *b, blasint b_step, float beta, float *c, blasint c_step)
{
    (void)order, (void)a_form, (void)b_form, (void)m, (void)n, (void)k, (void)alpha, (void)a;
    (void)a_step, (void)b, (void)b_step, (void)beta, (void)c, (void)c_step;
    _exit(BLAS_EXIT_STATUS);
}
