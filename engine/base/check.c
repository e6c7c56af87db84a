// SPDX-License-Identifier: Apache-2.0
//
// A broken invariant ends the process at once: going on would turn one wrong value into many.

#include "engine/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
tsi_check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "tessera: broken invariant at %s:%d: %s\n", file, line, expression);
    abort();
}
