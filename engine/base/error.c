// SPDX-License-Identifier: Apache-2.0
//
// Texts are formatted apart from the error that receives them, so that an argument may point into
// the text that is being replaced.

#include "engine/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tess_status
tsi_error_set(struct tsi_error *error, tess_status status, const char *format, ...)
{
    if (error == NULL) {
        return status;
    }
    char text[TSI_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    error->status = status;
    memcpy(error->text, text, strlen(text) + 1);
    return status;
}

void
tsi_error_prefix(struct tsi_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    char text[TSI_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    const char *const pieces[] = {": ", error->text};
    size_t used = strlen(text);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const size_t room = sizeof text - 1 - used;
        const size_t wanted = strlen(pieces[i]);
        const size_t taken = wanted < room ? wanted : room;
        memcpy(text + used, pieces[i], taken);
        used += taken;
    }
    text[used] = '\0';
    memcpy(error->text, text, used + 1);
}
