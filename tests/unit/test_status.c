// SPDX-License-Identifier: Apache-2.0
//
// Names and texts of statuses, and that numbers from elsewhere are no danger.

#include "tessera/status.h"

#include <criterion/criterion.h>
#include <string.h>

Test(status, has_the_text_and_name_of_its_row)
{
    cr_assert_str_eq(tess_status_text(TESS_OK), "success");
    cr_assert_str_eq(tess_status_name(TESS_OK), "TESS_OK");
    cr_assert_str_eq(tess_status_text(TESS_ESHAPE), "shapes do not fit");
    cr_assert_str_eq(tess_status_name(TESS_ESHAPE), "TESS_ESHAPE");
    cr_assert_str_eq(tess_status_name(TESS_EINTERNAL), "TESS_EINTERNAL");
}

Test(status, every_row_is_told_apart)
{
    for (int i = 0; i < TESS_STATUS_COUNT; i++) {
        for (int j = 0; j < i; j++) {
            cr_assert(strcmp(tess_status_name((tess_status)i), tess_status_name((tess_status)j)));
            cr_assert(strcmp(tess_status_text((tess_status)i), tess_status_text((tess_status)j)));
        }
    }
}

Test(status, a_number_that_is_none_is_unknown)
{
    cr_assert_str_eq(tess_status_text((tess_status)-1), "unknown status");
    cr_assert_str_eq(tess_status_text(TESS_STATUS_COUNT), "unknown status");
    cr_assert_str_eq(tess_status_text((tess_status)1000000), "unknown status");
}

// The numbers travel between processes, so the first and last of today stay where they are.
Test(status, numbers_do_not_move)
{
    cr_assert_eq((int)TESS_OK, 0);
    cr_assert_eq((int)TESS_RUNNING, 1);
    cr_assert_eq((int)TESS_EINVAL, 2);
    cr_assert_eq((int)TESS_EIO, 12);
    cr_assert_eq((int)TESS_EINTERNAL, 25);
}
