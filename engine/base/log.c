// SPDX-License-Identifier: Apache-2.0
//
// A line is built in a buffer on the stack and handed to the system by one write(2), so that lines
// of several threads do not mix and a log needs no memory and no lock. What does not fit is cut at
// the end of the text, never inside an escape.
//
// Text is escaped in both forms. Plain lines escape control characters, backslashes and bytes that
// are no UTF-8; JSON has its own rules, and such bytes become the replacement character.

#include "engine/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"

// A pipe takes a write of up to 4,096 bytes in one piece.
enum { LINE_MAX_BYTES = 4096, TAIL_BYTES = 16, TEXT_BYTES = 3072, PIECE_BYTES = 8 };

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t count;
    bool full;
};

static const char *const level_names[] = {
    [TSI_LOG_ERROR] = "error",
    [TSI_LOG_WARNING] = "warning",
    [TSI_LOG_INFO] = "info",
    [TSI_LOG_DEBUG] = "debug",
};

static atomic_int level_max = TSI_LOG_INFO;
static atomic_bool json_lines = false;

void
tsi_log_setup(enum tsi_log_level level, bool json)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
    atomic_store_explicit(&json_lines, json, memory_order_relaxed);
}

bool
tsi_log_level_parse(const char *text, enum tsi_log_level *level)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum tsi_log_level)i;
            return true;
        }
    }
    return false;
}

bool
tsi_log_on(enum tsi_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

// Room for the end of the line is always left.
static void
put(struct line *line, const char *bytes, size_t count)
{
    if (line->full || line->count + count > LINE_MAX_BYTES - TAIL_BYTES) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->count, bytes, count);
    line->count += count;
}

static void
put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void
put_end(struct line *line, const char *end)
{
    const size_t count = strlen(end);
    memcpy(line->bytes + line->count, end, count);
    line->count += count;
}

// The length of the well-formed UTF-8 character at `at`, its code point in `*point`; 0 if there is
// none. A text ends with a zero, which is no continuation, so nothing beyond it is read.
static size_t
utf8_length(const unsigned char *at, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = at[0] < 0x80   ? 1
                          : at[0] < 0xC0 ? 0
                          : at[0] < 0xE0 ? 2
                          : at[0] < 0xF0 ? 3
                          : at[0] < 0xF8 ? 4
                                         : 0;
    *point = length <= 1 ? at[0] : at[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (at[i] & 0x3Fu);
    }
    const bool surrogate = *point >= 0xD800 && *point <= 0xDFFF;
    return surrogate || *point > 0x10FFFF || *point < least[length] ? 0 : length;
}

static bool
is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029;
}

// The escape of a character that cannot stand as it is, in `piece`; false if it can.
static bool
escape(char piece[PIECE_BYTES], uint32_t point, bool json)
{
    if (point == '\n' || point == '\r' || point == '\t') {
        const char letter = point == '\n' ? 'n' : point == '\r' ? 'r' : 't';
        snprintf(piece, PIECE_BYTES, "\\%c", letter);
    } else if (point == '\\' || (json && point == '"')) {
        snprintf(piece, PIECE_BYTES, "\\%c", (char)point);
    } else if (is_control(point)) {
        snprintf(piece, PIECE_BYTES, json || point > 0xFF ? "\\u%04" PRIx32 : "\\x%02" PRIx32,
                 point);
    } else {
        return false;
    }
    return true;
}

static void
put_escaped(struct line *line, const char *text, bool json)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        char piece[PIECE_BYTES];
        uint32_t point = 0;
        const size_t length = utf8_length(at, &point);
        if (length == 0) {
            snprintf(piece, sizeof piece, json ? "\\ufffd" : "\\x%02x", (unsigned)*at);
            put_text(line, piece);
        } else if (escape(piece, point, json)) {
            put_text(line, piece);
        } else {
            put(line, (const char *)at, length);
        }
        at += length == 0 ? 1 : length;
    }
}

static void
put_time(struct line *line)
{
    const uint64_t now = tsi_clock_wall_ns();
    const time_t seconds = (time_t)(now / TSI_SECOND);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    char text[64];
    const size_t count = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + count, sizeof text - count, ".%03uZ",
             (unsigned)(now % TSI_SECOND / TSI_MILLISECOND));
    put_text(line, text);
}

static void
put_plain(struct line *line, const char *level, const char *event, const char *text)
{
    put_time(line);
    put_text(line, " ");
    put_text(line, level);
    put_text(line, " ");
    put_escaped(line, event, false);
    if (text[0] != '\0') {
        put_text(line, ": ");
        put_escaped(line, text, false);
    }
    put_end(line, line->full ? "…\n" : "\n");
}

static void
put_json(struct line *line, const char *level, const char *event, const char *text)
{
    put_text(line, "{\"time\":\"");
    put_time(line);
    put_text(line, "\",\"level\":\"");
    put_text(line, level);
    put_text(line, "\",\"event\":\"");
    put_escaped(line, event, true);
    put_text(line, "\",\"text\":\"");
    put_escaped(line, text, true);
    put_end(line, line->full ? "…\"}\n" : "\"}\n");
}

void
tsi_log(enum tsi_log_level level, const char *event, const char *format, ...)
{
    if (!tsi_log_on(level)) {
        return;
    }
    const int saved_errno = errno;
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);

    struct line line;
    line.count = 0;
    line.full = false;
    const bool json = atomic_load_explicit(&json_lines, memory_order_relaxed);
    (json ? put_json : put_plain)(&line, level_names[level], event, text);
    // A log that cannot be written has nobody to tell.
    const ssize_t written = write(STDERR_FILENO, line.bytes, line.count);
    (void)written;
    errno = saved_errno;
}
