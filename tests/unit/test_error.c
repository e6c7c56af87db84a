// SPDX-License-Identifier: Apache-2.0
//
// Errors and their texts.

#include "engine/base/error.h"

#include <criterion/criterion.h>
#include <string.h>

Test(error, holds_status_and_text)
{
    struct tsi_error error = {0};

    cr_assert_eq(tsi_error_set(&error, TESS_ESHAPE, "add: %d and %d", 3, 4), TESS_ESHAPE);

    cr_assert_eq(error.status, TESS_ESHAPE);
    cr_assert_str_eq(error.text, "add: 3 and 4");
}

Test(error, nobody_has_to_want_it)
{
    cr_assert_eq(tsi_error_set(NULL, TESS_EIO, "lost"), TESS_EIO);
    tsi_error_prefix(NULL, "x");
}

Test(error, a_prefix_goes_before_the_text)
{
    struct tsi_error error = {0};
    (void)tsi_error_set(&error, TESS_EIO, "disk full");

    tsi_error_prefix(&error, "chunk %d", 7);

    cr_assert_str_eq(error.text, "chunk 7: disk full");
    cr_assert_eq(error.status, TESS_EIO);
}

Test(error, the_old_text_may_be_an_argument)
{
    struct tsi_error error = {0};
    (void)tsi_error_set(&error, TESS_EIO, "inner");

    (void)tsi_error_set(&error, TESS_ELOST, "outer (%s)", error.text);
    tsi_error_prefix(&error, "[%s]", error.text);

    cr_assert_str_eq(error.text, "[outer (inner)]: outer (inner)");
}

Test(error, a_text_that_is_too_long_is_cut)
{
    struct tsi_error error = {0};
    char text[3 * TSI_ERROR_TEXT_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';

    (void)tsi_error_set(&error, TESS_EIO, "%s", text);
    cr_assert_eq(strlen(error.text), TSI_ERROR_TEXT_MAX - 1);
    tsi_error_prefix(&error, "place");
    cr_assert_eq(strlen(error.text), TSI_ERROR_TEXT_MAX - 1);
    cr_assert(strncmp(error.text, "place: xxx", 10) == 0);
    tsi_error_prefix(&error, "%s", text);
    cr_assert_eq(strlen(error.text), TSI_ERROR_TEXT_MAX - 1);
}
