// SPDX-License-Identifier: Apache-2.0
//
// Text that grows, and how shapes and bytes are written. Texts that people write are read in
// text_parse.c.

#include "engine/base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

enum { FIRST_CAPACITY = 64 };

void
tsi_text_fini(struct tsi_text *text)
{
    tsi_free(text->chars);
    *text = (struct tsi_text){0};
}

// Room for `extra` characters and the final zero.
static bool
reserve(struct tsi_text *text, size_t extra)
{
    const size_t needed = text->count + extra + 1;
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = text->capacity == 0 ? FIRST_CAPACITY : text->capacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *chars = tsi_realloc(text->chars, capacity, 1);
    if (chars == NULL) {
        return false;
    }
    text->chars = chars;
    text->capacity = capacity;
    return true;
}

void
tsi_text_add(struct tsi_text *text, const char *format, ...)
{
    if (text->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    const int count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (count < 0 || !reserve(text, (size_t)count)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text->chars + text->count, (size_t)count + 1, format, arguments);
    va_end(arguments);
    text->count += (size_t)count;
}

const char *
tsi_text_chars(const struct tsi_text *text)
{
    return text->chars != NULL ? text->chars : "";
}

// 16 sizes of at most 20 characters, their separators and the parentheses always fit.
char *
tsi_text_shape(char out[TSI_SHAPE_TEXT_MAX], int ndim, const int64_t *size)
{
    size_t used = 0;
    out[used++] = '(';
    for (int i = 0; i < ndim && used + 24 < TSI_SHAPE_TEXT_MAX; i++) {
        const int count = snprintf(out + used, TSI_SHAPE_TEXT_MAX - used, "%s%" PRId64,
                                   i > 0 ? ", " : "", size[i]);
        used += (size_t)count;
    }
    snprintf(out + used, TSI_SHAPE_TEXT_MAX - used, "%s)", ndim == 1 ? "," : "");
    return out;
}

// A size of 1024 or more of one unit is written in the next, also where only rounding makes it
// 1024.
char *
tsi_text_bytes(char out[TSI_BYTES_TEXT_MAX], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    const size_t unit_count = sizeof units / sizeof units[0];
    if (bytes < 1024) {
        snprintf(out, TSI_BYTES_TEXT_MAX, "%" PRIu64 " B", bytes);
        return out;
    }
    double value = (double)bytes / 1024.0;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < unit_count) {
        value /= 1024.0;
        unit++;
    }
    snprintf(out, TSI_BYTES_TEXT_MAX, "%.1f %s", value, units[unit]);
    return out;
}
