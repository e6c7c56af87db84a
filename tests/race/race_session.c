// SPDX-License-Identifier: Apache-2.0
//
// Several threads with a session each, computing at once: results stay right, futures are cancelled
// and freed at random moments, arrays kept and given back, sessions closed while they compute.

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tessera.h"
#include "tests/support/random.h"

enum { USERS = 4, ROUNDS = 12, ELEMENTS = 20000 };

static atomic_int failures;

static void
fail(const char *what, const tess_session *session)
{
    fprintf(stderr, "%s: %s\n", what, tess_session_error(session));
    atomic_fetch_add(&failures, 1);
}

static tess_array *
numbers(tess_session *session)
{
    return tess_arange(session, 0, ELEMENTS, 1, TESS_CHUNKS(700), TESS_I64);
}

static const int64_t total = (int64_t)ELEMENTS * (ELEMENTS - 1) / 2;

static void
check_sum(tess_session *session, tess_array *x)
{
    int64_t sum = 0;
    if (tess_compute(tess_sum(x, TESS_AXES_ALL), &sum, sizeof sum) != TESS_OK || sum != total) {
        fail("sum", session);
    }
}

static void
pause_random(struct test_random *random)
{
    const struct timespec pause = {0, test_random_between(random, 0, 2000000)};
    nanosleep(&pause, NULL);
}

static tess_future *
submit(tess_session *session, int64_t *out)
{
    tess_array *x = numbers(session);
    tess_array *slow =
        tess_sum(tess_cast(tess_exp(tess_multiply(x, tess_scalar_int(session, 0))), TESS_I64),
                 TESS_AXES_ALL);
    void *outs[] = {out};
    const size_t bytes[] = {sizeof *out};
    return tess_submit(&slow, outs, bytes, 1);
}

// Starts computes and stops some of them; those that end well have the right result.
static void
start_and_stop(tess_session *session, struct test_random *random)
{
    enum { COUNT = 6 };
    tess_future *futures[COUNT];
    int64_t outs[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        futures[i] = submit(session, &outs[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        if (test_random_one_in(random, 2)) {
            pause_random(random);
            tess_future_cancel(futures[i]);
        }
        const tess_status status = test_random_one_in(random, 3) ? tess_future_poll(futures[i])
                                                                 : tess_future_wait(futures[i], -1);
        if (status == TESS_OK && outs[i] != ELEMENTS) {
            fail("a wrong result", session);
        } else if (status != TESS_OK && status != TESS_ECANCELLED && status != TESS_RUNNING) {
            fail("an unexpected end", session);
        }
        (void)tess_future_progress(futures[i]);
        tess_future_free(futures[i]);
    }
}

static void
keep_and_release(tess_session *session, struct test_random *random)
{
    tess_array *x = numbers(session);
    tess_array *y = tess_multiply(x, tess_scalar_int(session, 1));
    if (tess_persist(y) != TESS_OK) {
        fail("persist", session);
    }
    int64_t out = 0;
    tess_future *future = submit(session, &out);
    check_sum(session, y);
    pause_random(random);
    tess_release(y);
    check_sum(session, y);
    tess_future_free(future);
}

// Closes a session while it computes; its futures are looked at afterwards.
static void
close_early(struct test_random *random)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = (int)test_random_between(random, 1, 3);
    tess_session *session = tess_session_open_with("embedded", &options);
    int64_t outs[3] = {0};
    tess_future *futures[3];
    for (int i = 0; i < 3; i++) {
        futures[i] = submit(session, &outs[i]);
    }
    pause_random(random);
    tess_session_close(session);
    for (int i = 0; i < 3; i++) {
        if (tess_future_wait(futures[i], -1) == TESS_OK && outs[i] != ELEMENTS) {
            fail("a wrong result after the close", NULL);
        }
        tess_future_free(futures[i]);
    }
}

// Results that are made where they go: the memory is the caller's again once the compute has ended.
static void
take_memory_back(tess_session *session, struct test_random *random)
{
    enum { PLACED = 60000, CHUNK = 12000 };
    static const size_t bytes = PLACED * sizeof(double);
    double *out = malloc(bytes);
    tess_array *x = tess_arange(session, 0, PLACED, 1, TESS_CHUNKS(CHUNK), TESS_F64);
    x = tess_sqrt(tess_multiply(x, x));
    void *outs[] = {out};
    tess_future *future = tess_submit(&x, outs, &bytes, 1);
    if (test_random_one_in(random, 2)) {
        pause_random(random);
    }
    if (test_random_one_in(random, 2)) {
        tess_future_cancel(future);
    }
    if (test_random_one_in(random, 2)) {
        tess_future_free(future);
        future = NULL;
    } else if (tess_future_wait(future, -1) == TESS_OK && out[PLACED - 1] != PLACED - 1) {
        fail("a wrong result in its place", session);
    }
    memset(out, 0, bytes);
    tess_future_free(future);
    free(out);
}

static void *
use(void *argument)
{
    struct test_random random = {(uint64_t)(uintptr_t)argument};
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    tess_session *session = tess_session_open_with("embedded", &options);
    for (int round = 0; round < ROUNDS; round++) {
        check_sum(session, numbers(session));
        start_and_stop(session, &random);
        keep_and_release(session, &random);
        take_memory_back(session, &random);
        close_early(&random);
    }
    tess_session_close(session);
    return NULL;
}

int
main(void)
{
    pthread_t threads[USERS];
    for (int i = 0; i < USERS; i++) {
        if (pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)(i + 1)) != 0) {
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < USERS; i++) {
        pthread_join(threads[i], NULL);
    }
    return atomic_load(&failures) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
