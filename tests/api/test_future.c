// SPDX-License-Identifier: Apache-2.0
//
// Computes that go on while the program does something else.

#include "tests/support/api.h"

#include <poll.h>
#include <time.h>

// Takes long enough for the calls of a test to come while it runs, about a second for one thread.
static tess_array *
long_work(tess_session *session)
{
    tess_array *x = tess_random_normal(session, TESS_SHAPE(400000000), TESS_CHUNKS(1000000), 0, 1);
    return tess_sum(tess_exp(tess_sin(tess_cos(x))), TESS_AXES_ALL);
}

static tess_array *
short_work(tess_session *session)
{
    return tess_sum(tess_random_normal(session, TESS_SHAPE(5000), TESS_CHUNKS(100), 0, 1),
                    TESS_AXES_ALL);
}

static tess_future *
submit(tess_array *x, double *out)
{
    void *outs[] = {out};
    const size_t bytes[] = {sizeof *out};
    return tess_submit(&x, outs, bytes, 1);
}

Test(api_future, ends_and_stays_ended)
{
    tess_session *s = open_embedded(2);
    tess_array *x = short_work(s);
    double want = 0;
    double have = 0;
    cr_assert_eq(tess_compute(x, &want, sizeof want), TESS_OK);
    tess_future *future = submit(x, &have);
    cr_assert_eq(tess_future_wait(future, -1), TESS_OK, "%s", tess_session_error(s));
    cr_assert_eq(have, want);
    cr_assert_eq(tess_future_poll(future), TESS_OK);
    cr_assert_eq(tess_future_wait(future, 0), TESS_OK);
    tess_future_cancel(future);
    cr_assert_eq(tess_future_poll(future), TESS_OK, "cancelling comes too late");
    const tess_progress progress = tess_future_progress(future);
    cr_assert(progress.tasks_total >= 50 && progress.tasks_done == progress.tasks_total);
    tess_future_free(future);
    tess_session_close(s);
}

Test(api_future, many_at_a_time)
{
    enum { COUNT = 40 };
    tess_session *s = open_embedded(3);
    tess_future *futures[COUNT];
    double outs[COUNT];
    tess_array *arrays[COUNT];
    for (int i = 0; i < COUNT; i++) {
        arrays[i] = tess_multiply(short_work(s), tess_scalar_int(s, i));
        futures[i] = submit(arrays[i], &outs[i]);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        cr_assert_eq(tess_future_wait(futures[i], -1), TESS_OK, "%s", tess_session_error(s));
        tess_future_free(futures[i]);
        double want = 0;
        cr_assert_eq(tess_compute(arrays[i], &want, sizeof want), TESS_OK);
        cr_assert_eq(outs[i], want);
    }
    tess_session_close(s);
}

Test(api_future, runs_until_it_is_cancelled)
{
    tess_session *s = open_embedded(2);
    double out = 0;
    tess_future *future = submit(long_work(s), &out);
    cr_assert_eq(tess_future_poll(future), TESS_RUNNING);
    cr_assert_eq(tess_future_wait(future, 5), TESS_RUNNING);
    tess_future_cancel(future);
    tess_future_cancel(future);
    cr_assert_eq(tess_future_wait(future, 5000), TESS_ECANCELLED);
    cr_assert_eq(tess_future_poll(future), TESS_ECANCELLED);
    cr_assert(strlen(tess_session_error(s)) > 0);
    tess_future_free(future);

    double sum = 0;
    cr_assert_eq(tess_compute(short_work(s), &sum, sizeof sum), TESS_OK, "usable afterwards");
    tess_session_close(s);
}

Test(api_future, freeing_cancels)
{
    tess_session *s = open_embedded(2);
    double out = 0;
    struct timespec start;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 5; i++) {
        tess_future_free(submit(long_work(s), &out));
    }
    tess_future_free(NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    cr_assert(end.tv_sec - start.tv_sec < 5);
    tess_session_close(s);
}

Test(api_future, descriptor_becomes_readable)
{
    tess_session *s = open_embedded(2);
    double out[2];
    tess_future *future = submit(long_work(s), &out[0]);
    struct pollfd waiting = {.fd = tess_future_fd(future), .events = POLLIN};
    cr_assert(waiting.fd >= 0);
    cr_assert_eq(tess_future_fd(future), waiting.fd);
    cr_assert_eq(poll(&waiting, 1, 0), 0);
    tess_future_cancel(future);
    cr_assert_eq(poll(&waiting, 1, 5000), 1);
    cr_assert_eq(tess_future_poll(future), TESS_ECANCELLED);
    cr_assert_eq(poll(&waiting, 1, 0), 1, "it stays readable");
    tess_future_free(future);

    future = submit(short_work(s), &out[1]);
    cr_assert_eq(tess_future_wait(future, -1), TESS_OK);
    waiting.fd = tess_future_fd(future);
    cr_assert_eq(poll(&waiting, 1, 0), 1, "asked for after the end");
    tess_future_free(future);
    cr_assert_eq(tess_future_fd(NULL), -1);
    tess_session_close(s);
}

Test(api_future, that_could_not_start)
{
    tess_session *s = open_embedded(1);
    double out = 0;
    tess_array *x = tess_ones(s, TESS_SHAPE(2), TESS_CHUNKS_AUTO, TESS_F64);
    tess_future *future = submit(x, &out);
    cr_assert_eq(tess_future_poll(future), TESS_EBUFFER);
    cr_assert_eq(tess_future_wait(future, -1), TESS_EBUFFER);
    cr_assert(strstr(tess_session_error(s), "16 bytes") != NULL, "%s", tess_session_error(s));
    struct pollfd waiting = {.fd = tess_future_fd(future), .events = POLLIN};
    cr_assert_eq(poll(&waiting, 1, 0), 1);
    tess_future_cancel(future);
    tess_future_free(future);

    future = tess_submit(NULL, NULL, NULL, 0);
    cr_assert(future != NULL);
    cr_assert_eq(tess_future_wait(future, -1), TESS_EINVAL);
    cr_assert_eq(tess_future_progress(future).tasks_done, 0);
    tess_future_free(future);

    future = submit(tess_matmul(x, tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64)), &out);
    cr_assert_eq(tess_future_poll(future), TESS_ESHAPE);
    tess_future_free(future);
    cr_assert_eq(tess_future_poll(NULL), TESS_EINVAL);
    cr_assert_eq(tess_future_wait(NULL, 0), TESS_EINVAL);
    cr_assert_eq(tess_future_progress(NULL).tasks_total, 0);
    tess_session_close(s);
}

// A future may be looked at and freed after its session; it has ended by then.
Test(api_future, outlives_its_session)
{
    tess_session *s = open_embedded(2);
    double outs[3];
    tess_future *running = submit(long_work(s), &outs[0]);
    tess_future *ended = submit(short_work(s), &outs[1]);
    tess_future *failed = tess_submit(NULL, NULL, NULL, 1);
    cr_assert_eq(tess_future_wait(ended, -1), TESS_OK);
    tess_session_close(s);
    cr_assert_eq(tess_future_poll(running), TESS_ECLOSED, "%s",
                 tess_status_name(tess_future_poll(running)));
    cr_assert_eq(tess_future_wait(ended, -1), TESS_OK);
    tess_future_cancel(running);
    cr_assert(tess_future_progress(running).tasks_total > 0);
    struct pollfd waiting = {.fd = tess_future_fd(running), .events = POLLIN};
    cr_assert_eq(poll(&waiting, 1, 0), 1);
    tess_future_free(running);
    tess_future_free(ended);
    tess_future_free(failed);
}

// Persisting while a compute of the same array runs, and giving back what a running compute reads.
Test(api_future, kept_arrays_while_it_runs)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(2000000), TESS_CHUNKS(20000), 0, 1);
    tess_array *sum = tess_sum(tess_exp(x), TESS_AXES_ALL);
    double want = 0;
    cr_assert_eq(tess_compute(sum, &want, sizeof want), TESS_OK);
    for (int i = 0; i < 5; i++) {
        double before = 0;
        double after = 0;
        tess_future *first = submit(sum, &before);
        cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(s));
        tess_future *second = submit(sum, &after);
        tess_release(x);
        cr_assert_eq(tess_future_wait(second, -1), TESS_OK, "%s", tess_session_error(s));
        cr_assert_eq(tess_future_wait(first, -1), TESS_OK, "%s", tess_session_error(s));
        cr_assert_eq(before, want);
        cr_assert_eq(after, want);
        tess_future_free(first);
        tess_future_free(second);
    }
    tess_session_close(s);
}
