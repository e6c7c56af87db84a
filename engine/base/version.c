// SPDX-License-Identifier: Apache-2.0
//
// The version that this library was built as.

#include "tessera/version.h"

const char *
tess_version(void)
{
    return TESS_VERSION_TEXT;
}
