// SPDX-License-Identifier: Apache-2.0
//
// A status with its message, filled by whoever detects an error and handed on unchanged by all
// others.

#ifndef TSI_BASE_ERROR_H
#define TSI_BASE_ERROR_H

#include "engine/base/limits.h"
#include "tessera/status.h"

struct tsi_error {
    tess_status status;
    char text[TSI_ERROR_TEXT_MAX];
};

// Fills `*error` (which may be NULL) and returns `status`. A text that is too long is cut.
tess_status tsi_error_set(struct tsi_error *error, tess_status status, const char *format, ...)
    TESS_PRINTF(3, 4);

// Puts `prefix: ` before the text, unless `error` is NULL.
void tsi_error_prefix(struct tsi_error *error, const char *format, ...) TESS_PRINTF(2, 3);

#endif
