// SPDX-License-Identifier: Apache-2.0
//
// What fuzz targets share.

#ifndef TESS_TEST_FUZZ_H
#define TESS_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// Each target has its own.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

// Inputs that were taken for what they are meant to be, and not refused; each target defines and
// counts it.
extern unsigned long fuzz_taken;

static inline void
require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

#endif
