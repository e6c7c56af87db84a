// SPDX-License-Identifier: Apache-2.0
//
// How a caller waits: it looks for the end for a short while before it sleeps, unless computes have
// taken long of late; the more of them in a row, the fewer are looked for.

#include <criterion/criterion.h>

#include "engine/runtime/backend.h"

enum { ASLEEP_MAX = 64 };

// Waits for a future that has ended, or does not end within the wait.
static void
wait_once(struct tsi_backend *backend, bool has_ended)
{
    struct tess_future *future = tsi_future_new(NULL, 1);
    cr_assert(future != NULL);
    future->backend = backend;
    if (has_ended) {
        tsi_future_end(future, TESS_OK, NULL);
    }
    const tess_status status = tess_future_wait(future, 1);
    cr_assert(status == (has_ended ? TESS_OK : TESS_RUNNING));
    tsi_future_unref(future);
}

Test(future, computes_that_take_long_are_looked_for_more_and_more_seldom)
{
    static const int pauses[] = {1, 3, 7, 15, 31, 63, ASLEEP_MAX, ASLEEP_MAX};
    struct tsi_backend backend = {.may_look = true};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        wait_once(&backend, false); // is looked for
        cr_assert(backend.asleep == pauses[i] && backend.asleep_left == pauses[i], "%d, %d left",
                  backend.asleep, backend.asleep_left);
        for (int k = pauses[i] - 1; k >= 0; k--) {
            wait_once(&backend, k % 2 == 0); // is not, however it ends
            cr_assert(backend.asleep == pauses[i] && backend.asleep_left == k);
        }
    }
}

Test(future, one_that_ends_while_it_is_looked_for_starts_again)
{
    struct tsi_backend backend = {.may_look = true, .asleep = ASLEEP_MAX};
    wait_once(&backend, true);
    cr_assert(backend.asleep == 0 && backend.asleep_left == 0);
    wait_once(&backend, true);
    cr_assert(backend.asleep == 0 && backend.asleep_left == 0);
    wait_once(&backend, false);
    cr_assert(backend.asleep == 1 && backend.asleep_left == 1);
}

Test(future, nobody_looks_where_it_may_not_be_or_need_not_be)
{
    struct tsi_backend backend = {.may_look = false, .asleep = 3, .asleep_left = 3};
    wait_once(&backend, false);
    cr_assert(backend.asleep == 3 && backend.asleep_left == 3,
              "threads of this process do the work");
    backend.may_look = true;
    struct tess_future *future = tsi_future_new(NULL, 1);
    future->backend = &backend;
    cr_assert(tess_future_wait(future, 0) == TESS_RUNNING);
    cr_assert(tess_future_poll(future) == TESS_RUNNING);
    cr_assert(backend.asleep == 3 && backend.asleep_left == 3, "there is no time to look in");
    tsi_future_unref(future);
    wait_once(NULL, false);
}
