// SPDX-License-Identifier: Apache-2.0
//
// The stack of places, also deeper than it keeps.

#include "engine/base/site.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "tessera/session.h"

Test(site, is_none_outside_of_calls)
{
    cr_assert(tsi_site_now() == NULL);
}

Test(site, the_innermost_call_counts)
{
    int value = 0;

    tess_site_enter("a.c:1");
    tess_site_enter("a.c:2");
    cr_assert_str_eq(tsi_site_now(), "a.c:2");
    cr_assert(tess_site_leave(&value) == &value);
    cr_assert_str_eq(tsi_site_now(), "a.c:1");
    cr_assert_eq(tess_site_leave_status(TESS_EIO), TESS_EIO);
    cr_assert(tsi_site_now() == NULL);
}

Test(site, deeper_calls_than_are_kept_still_pair_up)
{
    tess_site_enter("outer");
    for (int i = 0; i < 1000; i++) {
        tess_site_enter("inner");
    }
    cr_assert_str_eq(tsi_site_now(), "inner");
    for (int i = 0; i < 1000; i++) {
        (void)tess_site_leave(NULL);
    }

    cr_assert_str_eq(tsi_site_now(), "outer");
    (void)tess_site_leave(NULL);
    cr_assert(tsi_site_now() == NULL);
}

Test(site, leaving_too_often_is_harmless)
{
    (void)tess_site_leave(NULL);
    (void)tess_site_leave(NULL);

    tess_site_enter("a.c:1");
    cr_assert_str_eq(tsi_site_now(), "a.c:1");
    (void)tess_site_leave(NULL);
}

static void *
look(void *result)
{
    *(const char **)result = tsi_site_now();
    tess_site_enter("other thread");
    return NULL;
}

Test(site, threads_have_their_own)
{
    const char *seen = "nothing";
    pthread_t thread;

    tess_site_enter("a.c:1");
    cr_assert_eq(pthread_create(&thread, NULL, look, &seen), 0);
    pthread_join(thread, NULL);

    cr_assert(seen == NULL);
    cr_assert_str_eq(tsi_site_now(), "a.c:1");
    (void)tess_site_leave(NULL);
}
