// SPDX-License-Identifier: Apache-2.0
//
// A broken invariant ends the process, a kept one costs nothing and is looked at once.

#include "engine/base/check.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(check, a_broken_invariant_aborts, .signal = SIGABRT)
{
    const int zero = 0;
    TSI_CHECK(zero == 1);
}

Test(check, a_kept_invariant_is_looked_at_once)
{
    int looked = 0;
    TSI_CHECK(++looked == 1);
    cr_assert_eq(looked, 1);
}
