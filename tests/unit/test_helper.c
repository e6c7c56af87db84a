// SPDX-License-Identifier: Apache-2.0

#include "engine/base/helper.h"

#include <criterion/criterion.h>
#include <pthread.h>

struct errand {
    pthread_t who;
    int count;
};

static void
go(void *argument)
{
    struct errand *errand = argument;
    errand->who = pthread_self();
    errand->count++;
}

Test(helper, does_one_thing_after_the_other_in_a_thread_of_its_own)
{
    struct tsi_helper *helper = tsi_helper_new();
    struct errand errand = {.count = 0};
    cr_assert_not_null(helper);
    for (int i = 1; i <= 1000; i++) {
        tsi_helper_begin(helper, go, &errand);
        tsi_helper_wait(helper);
        cr_assert_eq(errand.count, i);
    }
    cr_assert(!pthread_equal(errand.who, pthread_self()));
    tsi_helper_wait(helper); // nothing was begun
    tsi_helper_free(helper);
}

Test(helper, may_be_freed_unused_or_not_be_there)
{
    tsi_helper_free(tsi_helper_new());
    tsi_helper_free(NULL);
}
