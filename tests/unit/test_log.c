// SPDX-License-Identifier: Apache-2.0
//
// Lines as they come out of standard error, which each test points at a pipe.

#include "engine/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIME_TEXT "2026-01-31T12:00:00.000Z"

static int saved_stderr;
static int read_end;

static void
capture(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    read_end = ends[0];
    cr_assert(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
}

// All that was logged since capture(), as a text.
static char *
captured(void)
{
    static char text[1 << 16];
    size_t used = 0;
    ssize_t count = 0;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    while ((count = read(read_end, text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)count;
    }
    close(read_end);
    text[used] = '\0';
    return text;
}

// Whether `text` starts as a time is written.
static void
assert_time(const char *text)
{
    static const char pattern[] = TIME_TEXT;
    for (size_t i = 0; i + 1 < sizeof pattern; i++) {
        const bool digit = pattern[i] >= '0' && pattern[i] <= '9';
        if (digit) {
            cr_assert(text[i] >= '0' && text[i] <= '9', "time of '%s'", text);
        } else {
            cr_assert_eq(text[i], pattern[i], "time of '%s'", text);
        }
    }
    cr_assert(atoi(text) >= 2020);
}

static void
assert_plain(const char *line, const char *rest)
{
    assert_time(line);
    cr_assert_str_eq(line + strlen(TIME_TEXT), rest);
}

static void
assert_json(const char *line, const char *rest)
{
    static const char start[] = "{\"time\":\"";
    cr_assert(strncmp(line, start, strlen(start)) == 0, "'%s'", line);
    assert_time(line + strlen(start));
    cr_assert_str_eq(line + strlen(start) + strlen(TIME_TEXT), rest);
}

Test(log, a_plain_line_has_time_level_event_and_text)
{
    tsi_log_setup(TSI_LOG_INFO, false);
    capture();
    tsi_log(TSI_LOG_INFO, "worker joined", "name=%s threads=%d", "w1", 2);
    assert_plain(captured(), " info worker joined: name=w1 threads=2\n");
}

Test(log, a_json_line_is_one_object)
{
    tsi_log_setup(TSI_LOG_INFO, true);
    capture();
    tsi_log(TSI_LOG_ERROR, "lost", "name=\"%s\"", "w\\1");
    assert_json(captured(),
                "\",\"level\":\"error\",\"event\":\"lost\",\"text\":\"name=\\\"w\\\\1\\\"\"}\n");
}

Test(log, an_empty_text_leaves_no_blank)
{
    tsi_log_setup(TSI_LOG_INFO, false);
    capture();
    tsi_log(TSI_LOG_WARNING, "stopping", "%s", "");
    assert_plain(captured(), " warning stopping\n");
}

Test(log, levels_above_the_chosen_one_are_silent)
{
    tsi_log_setup(TSI_LOG_WARNING, false);
    cr_assert(tsi_log_on(TSI_LOG_ERROR) && tsi_log_on(TSI_LOG_WARNING));
    cr_assert(!tsi_log_on(TSI_LOG_INFO) && !tsi_log_on(TSI_LOG_DEBUG));
    capture();
    tsi_log(TSI_LOG_INFO, "hidden", "%d", 1);
    tsi_log(TSI_LOG_DEBUG, "hidden", "%d", 2);
    cr_assert_str_eq(captured(), "");
}

Test(log, levels_have_names)
{
    enum tsi_log_level level = TSI_LOG_ERROR;
    cr_assert(tsi_log_level_parse("debug", &level));
    cr_assert_eq(level, TSI_LOG_DEBUG);
    cr_assert(tsi_log_level_parse("warning", &level));
    cr_assert_eq(level, TSI_LOG_WARNING);
    cr_assert(!tsi_log_level_parse("loud", &level));
    cr_assert(!tsi_log_level_parse("", &level));
    cr_assert_eq(level, TSI_LOG_WARNING);
}

// Names come from peers: no byte of them may begin a second line or reach a terminal as a command.
static const char hostile[] = "a\nb\tc\r\x1b[31m\x7f \xc2\x85 \xc3\xa4 \xff\xc3 \xed\xa0\x80 \\";

Test(log, hostile_text_is_escaped_in_plain_lines)
{
    tsi_log_setup(TSI_LOG_INFO, false);
    capture();
    tsi_log(TSI_LOG_INFO, "x", "%s", hostile);
    assert_plain(captured(), " info x: a\\nb\\tc\\r\\x1b[31m\\x7f \\x85 \xc3\xa4 \\xff\\xc3 "
                             "\\xed\\xa0\\x80 \\\\\n");
}

Test(log, hostile_text_is_escaped_in_json)
{
    tsi_log_setup(TSI_LOG_INFO, true);
    capture();
    tsi_log(TSI_LOG_INFO, "x", "%s", hostile);
    assert_json(captured(),
                "\",\"level\":\"info\",\"event\":\"x\",\"text\":\"a\\nb\\tc\\r\\u001b[31m\\u007f "
                "\\u0085 \xc3\xa4 \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\\\\"}\n");
}

Test(log, utf8_is_told_from_what_only_looks_like_it)
{
    tsi_log_setup(TSI_LOG_INFO, false);
    capture();
    tsi_log(TSI_LOG_INFO, "x", "%s",
            "\xf0\x9f\x98\x80 \xe2\x82\xac \xc0\xaf \xe0\x80\xaf \xf4\x90\x80\x80 \xf8 \xe2\x82");
    assert_plain(captured(), " info x: \xf0\x9f\x98\x80 \xe2\x82\xac \\xc0\\xaf \\xe0\\x80\\xaf "
                             "\\xf4\\x90\\x80\\x80 \\xf8 \\xe2\\x82\n");
}

Test(log, a_text_that_is_too_long_is_cut_between_characters)
{
    char text[3000];
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        text[i] = '\n';
    }
    text[sizeof text - 1] = '\0';
    tsi_log_setup(TSI_LOG_INFO, true);
    capture();
    tsi_log(TSI_LOG_INFO, "x", "%s", text);
    char *line = captured();

    const size_t count = strlen(line);
    cr_assert(count > 4000 && count <= 4096, "%zu bytes", count);
    cr_assert(strcmp(line + count - strlen("\\n\xe2\x80\xa6\"}\n"), "\\n\xe2\x80\xa6\"}\n") == 0);
}

Test(log, errno_is_left_alone)
{
    tsi_log_setup(TSI_LOG_INFO, false);
    close(STDERR_FILENO);
    errno = ENOSPC;
    tsi_log(TSI_LOG_INFO, "x", "%d", 1);
    cr_assert_eq(errno, ENOSPC);
}

static void *
log_many(void *name)
{
    for (int i = 0; i < 100; i++) {
        tsi_log(TSI_LOG_INFO, "from", "%s%s%s", (const char *)name, (const char *)name,
                (const char *)name);
    }
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    static char a[] = "aaaaaaaaaa";
    static char b[] = "bbbbbbbbbb";
    pthread_t threads[2];
    tsi_log_setup(TSI_LOG_INFO, false);
    capture();
    cr_assert_eq(pthread_create(&threads[0], NULL, log_many, a), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, log_many, b), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);

    int lines = 0;
    for (const char *line = strtok(captured(), "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_time(line);
        const char *rest = line + strlen(TIME_TEXT);
        cr_assert(strcmp(rest, " info from: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") == 0 ||
                      strcmp(rest, " info from: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb") == 0,
                  "'%s'", rest);
        lines++;
    }
    cr_assert_eq(lines, 200);
}
