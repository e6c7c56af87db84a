// SPDX-License-Identifier: Apache-2.0

#include "tests/support/cluster_run.h"

#include <stdlib.h>

// How long a run may take; four times as long with a sanitizer.
#define PATIENCE_MS 40000

// Enough work that a fault falls into its middle, with chunks that travel between workers.
static tess_array *
long_program(tess_session *session)
{
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(2800, 2800), TESS_CHUNKS(230, 280), 1, 2);
    tess_array *y = tess_transpose(x, TESS_REVERSED);
    for (int i = 0; i < 60; i++) {
        y = tess_exp(tess_sin(y));
    }
    tess_array *z = tess_add(tess_rechunk(y, TESS_CHUNKS(370, 470)), tess_cos(x));
    return tess_std(tess_multiply(z, z), TESS_AXIS(0), 1);
}

static uint64_t
expected(void)
{
    static uint64_t digest;
    if (digest == 0) {
        tess_session *session = tess_session_open("embedded");
        digest = test_digest(long_program(session));
        tess_session_close(session);
    }
    return digest;
}

struct test_run
test_run_start(const struct test_cluster *cluster)
{
    (void)expected(); // first, so that it does not run beside
    struct test_run run = {.session = test_session(cluster)};
    run.array = long_program(run.session);
    run.bytes = tess_array_bytes(run.array);
    run.out = malloc(run.bytes);
    test_check(run.out != NULL && run.bytes > 0, "%s", tess_array_error(run.array));
    run.future = tess_submit(&run.array, &run.out, &run.bytes, 1);
    return run;
}

void
test_run_end(struct test_run *run, const char *what)
{
    const int patience_ms = test_is_sanitized() ? 4 * PATIENCE_MS : PATIENCE_MS;
    const tess_status status = tess_future_wait(run->future, patience_ms);
    test_check(status == TESS_OK, "%s: %s: %s", what, tess_status_name(status),
               tess_session_error(run->session));
    test_check(test_hash(run->out, run->bytes) == expected(), "%s: the result has other bits",
               what);
    tess_future_free(run->future);
    tess_session_close(run->session);
    free(run->out);
}
