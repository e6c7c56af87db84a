// SPDX-License-Identifier: Apache-2.0
//
// Texts that grow, and the amounts that people write.

#include "engine/base/text.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

Test(text, an_empty_text_is_the_empty_string)
{
    struct tsi_text text = {0};

    cr_assert_str_eq(tsi_text_chars(&text), "");
    tsi_text_add(&text, "%s", "");
    cr_assert_str_eq(tsi_text_chars(&text), "");
    cr_assert(!text.failed);
    tsi_text_fini(&text);
}

Test(text, grows_by_what_is_added)
{
    struct tsi_text text = {0};

    for (int i = 0; i < 1000; i++) {
        tsi_text_add(&text, "%03d;", i);
    }

    cr_assert_eq(text.count, 4000);
    cr_assert_eq(strlen(tsi_text_chars(&text)), 4000);
    cr_assert(strncmp(tsi_text_chars(&text) + 4 * 777, "777;", 4) == 0);
    tsi_text_fini(&text);
}

Test(text, keeps_what_it_held_when_memory_is_out)
{
    struct tsi_text text = {0};
    tsi_text_add(&text, "held");

    tsi_memory_fail_after(0);
    tsi_text_add(&text, "%200d", 1);
    tsi_memory_fail_after(-1);
    tsi_text_add(&text, " and more");

    cr_assert(text.failed);
    cr_assert_str_eq(tsi_text_chars(&text), "held");
    tsi_text_fini(&text);
}

Test(text, shapes_are_written_as_numpy_writes_them)
{
    char out[TSI_SHAPE_TEXT_MAX];
    int64_t size[TESS_NDIM_MAX] = {3, 4, 0};

    cr_assert_str_eq(tsi_text_shape(out, 0, size), "()");
    cr_assert_str_eq(tsi_text_shape(out, 1, size), "(3,)");
    cr_assert_str_eq(tsi_text_shape(out, 2, size), "(3, 4)");
    cr_assert_str_eq(tsi_text_shape(out, 3, size), "(3, 4, 0)");
}

Test(text, the_longest_shape_fits)
{
    char out[TSI_SHAPE_TEXT_MAX];
    char expected[1024] = "(";
    int64_t size[TESS_NDIM_MAX];
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        size[i] = INT64_MIN;
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%" PRId64 "%s", i > 0 ? ", " : "",
                 size[i], i == TESS_NDIM_MAX - 1 ? ")" : "");
    }

    cr_assert_str_eq(tsi_text_shape(out, TESS_NDIM_MAX, size), expected);
}

Test(text, bytes_are_written_with_one_decimal)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {300, "300 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048575, "1.0 MiB"},
        {1048576, "1.0 MiB"},
        {1610612736, "1.5 GiB"},
        {UINT64_C(1) << 40, "1.0 TiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[TSI_BYTES_TEXT_MAX];
        cr_assert_str_eq(tsi_text_bytes(out, rows[i].bytes), rows[i].text);
    }
}

Test(text, amounts_of_bytes_are_read)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"300", 300},
        {"9007199254740993", UINT64_C(9007199254740992)}, // read as a double
        {"4GiB", UINT64_C(4) << 30},
        {"4 GiB", UINT64_C(4) << 30},
        {"  4gib  ", UINT64_C(4) << 30},
        {"500 MB", 500000000},
        {"500M", 500000000},
        {"64kb", 64000},
        {"64KiB", 65536},
        {"1.5k", 1500},
        {"12B", 12},
        {"1e9", 1000000000},
        {"1E9", 1000000000},
        {"1e+3 KiB", 1024000},
        {"25e-1 kB", 2500},
        {"2.5", 2},
        {"1 TiB", UINT64_C(1) << 40},
        {"2TB", UINT64_C(2000000000000)},
        {"0.5", 500},
        {"0.25", 250},
        {".5", 500},
        {"1.0", 1000},
        {"0.", 0},
        {"0.1", 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 99;
        cr_assert(tsi_text_parse_bytes(rows[i].text, 1000, &bytes), "'%s'", rows[i].text);
        cr_assert_eq(bytes, rows[i].bytes, "'%s' gave %" PRIu64, rows[i].text, bytes);
    }
}

Test(text, all_of_any_whole_is_that_whole)
{
    uint64_t bytes = 0;

    cr_assert(tsi_text_parse_bytes("1.0", UINT64_MAX, &bytes));
    cr_assert_eq(bytes, UINT64_MAX);
}

Test(text, what_is_no_amount_of_bytes_is_refused)
{
    static const char *const rows[] = {
        "",     " ",   "GiB",  "-1",   "+1",    "1 2",   "1..2", "1.2.3",
        "0x10", "inf", "nan",  "1 XB", "1GiBs", "1e400", "1e20", "20000000000 GB",
        ".",    "e5",  "5 5s", "1,5",  "1e",    "1 e3",  "1s",   "18446744073709551616",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 99;
        cr_assert(!tsi_text_parse_bytes(rows[i], 1000, &bytes), "'%s' gave %" PRIu64, rows[i],
                  bytes);
        cr_assert_eq(bytes, 99);
    }
}

Test(text, durations_are_read)
{
    static const struct {
        const char *text;
        uint64_t nanoseconds;
    } rows[] = {
        {"30", UINT64_C(30000000000)},
        {"30s", UINT64_C(30000000000)},
        {"0", 0},
        {"0.5", 500000000},
        {"1.0", 1000000000},
        {"5 min", UINT64_C(300000000000)},
        {"5m", UINT64_C(300000000000)},
        {"200ms", 200000000},
        {"200 MS", 200000000},
        {"7us", 7000},
        {"7ns", 7},
        {"2h", UINT64_C(7200000000000)},
        {"1d", UINT64_C(86400000000000)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t nanoseconds = 99;
        cr_assert(tsi_text_parse_duration(rows[i].text, &nanoseconds), "'%s'", rows[i].text);
        cr_assert_eq(nanoseconds, rows[i].nanoseconds, "'%s' gave %" PRIu64, rows[i].text,
                     nanoseconds);
    }
}

Test(text, what_is_no_duration_is_refused)
{
    static const char *const rows[] = {"", "s", "-5s", "5 fortnights", "1e300", "5GiB", "5 s s"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t nanoseconds = 99;
        cr_assert(!tsi_text_parse_duration(rows[i], &nanoseconds), "'%s'", rows[i]);
    }
}
