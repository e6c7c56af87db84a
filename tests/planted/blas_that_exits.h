// SPDX-License-Identifier: Apache-2.0
//
// What a product by blas_that_exits.c ends its process with.

#ifndef TESS_TEST_BLAS_THAT_EXITS_H
#define TESS_TEST_BLAS_THAT_EXITS_H

enum { BLAS_EXIT_STATUS = 3 };

#endif
