// SPDX-License-Identifier: Apache-2.0
//
// The version of this header, and of the library that the program runs with.

#ifndef TESSERA_VERSION_H
#define TESSERA_VERSION_H

#include "tessera/export.h"

#define TESS_VERSION_MAJOR 0
#define TESS_VERSION_MINOR 1
#define TESS_VERSION_PATCH 0
#define TESS_VERSION_TEXT "0.1.0"

TESS_BEGIN

// The version of the library in use, as "major.minor.patch".
TESS_API const char *tess_version(void);

TESS_END

#endif
