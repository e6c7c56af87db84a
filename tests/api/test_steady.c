// SPDX-License-Identifier: Apache-2.0
//
// In its steady state a session takes memory from the C library by what is open at once and not by
// how many tasks there are. What the two cores take alone, tests/unit/test_cores_steady.c counts.

#include <criterion/criterion.h>

#include "tessera.h"
#include "tests/support/allocations.h"

#ifdef ALLOCATIONS_ARE_COUNTED

// The sum of `count` chunks of one element; how many allocations that took. A new number makes it a
// new expression, so that nothing is found again.
static long
count_calls(tess_session *session, int64_t count, double each)
{
    double sum = 0;
    const long before = atomic_load(&allocations);
    tess_array *x = tess_full(session, TESS_SHAPE(count), TESS_CHUNKS(1), TESS_F64, each);
    const tess_status status = tess_compute(tess_sum(x, TESS_AXES_ALL), &sum, sizeof sum);
    cr_assert_eq(status, TESS_OK);
    cr_assert_eq(sum, (double)count * each);
    return atomic_load(&allocations) - before;
}

static void
check_steady(int threads)
{
    enum { FEW = 10000, MANY = 10 * FEW };
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = threads;
    tess_session *session = tess_session_open_with("embedded", &options);
    (void)count_calls(session, MANY, 1); // whatever grows has grown by then
    const long few = count_calls(session, FEW, 2);
    const long many = count_calls(session, MANY, 3);
    // One for each hundred tasks would be 900 more.
    cr_expect_lt(many - few, (MANY - FEW) / 100, "%d threads: %ld allocations for %d, %ld for %d",
                 threads, few, (int)FEW, many, (int)MANY);
    tess_session_close(session);
}

Test(steady, allocations_do_not_grow_by_the_number_of_tasks)
{
    void *volatile one = malloc(1);
    cr_assert_gt(atomic_load(&allocations), 0, "nothing is counted");
    free(one);
    check_steady(1);
    check_steady(2);
}

#else

Test(steady, is_not_counted_here)
{
    cr_skip_test("this C library, or a sanitizer, has an allocator that cannot be counted");
}

#endif
