// SPDX-License-Identifier: Apache-2.0
//
// Too little memory: limits that chunks have to keep, and allocations that fail. Every failure is a
// status with a message, and the session is as good as before.

#include "tests/support/api.h"
#include "tests/support/processes.h"

#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/memory.h"

static tess_session *
open_limited(int threads, uint64_t bytes)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = threads;
    options.memory_limit_bytes = bytes;
    tess_session *session = tess_session_open_with("embedded", &options);
    cr_assert_eq(tess_session_status(session), TESS_OK, "%s", tess_session_error(session));
    return session;
}

// Arrays ten times as large as the memory, in several shapes of work.
Test(api_memory, arrays_larger_than_the_limit)
{
    const uint64_t limit = 4 << 20;
    tess_session *s = open_limited(2, limit);
    tess_session *free_session = open_embedded(2);
    tess_session *sessions[] = {s, free_session};
    tess_array *sums[2];
    tess_array *stds[2];
    tess_array *turned[2];
    for (int i = 0; i < 2; i++) {
        tess_array *x =
            tess_random_normal(sessions[i], TESS_SHAPE(10000, 500), TESS_CHUNKS(50, 500), 1, 2);
        tess_array *centred = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
        sums[i] = tess_sum(x, TESS_AXIS(1));
        stds[i] = tess_mean(tess_multiply(centred, centred), TESS_AXIS(0));
        turned[i] =
            tess_max(tess_add(tess_transpose(x, TESS_REVERSED), tess_scalar_int(sessions[i], 1)),
                     TESS_AXIS(1));
    }
    expect_same("sums", sums[0], sums[1]);
    const tess_report report = tess_session_report(s);
    cr_assert(report.peak_bytes_measured <= limit, "%" PRIu64, report.peak_bytes_measured);
    expect_same("moments", stds[0], stds[1]);
    cr_assert(tess_session_report(s).peak_bytes_measured <= limit);
    expect_same("turned", turned[0], turned[1]);
    cr_assert(tess_session_report(s).peak_bytes_measured <= limit);
    tess_session_close(s);
    tess_session_close(free_session);
}

// The limit would be met if results waited in memory for the one who takes them.
Test(api_memory, results_larger_than_the_limit)
{
    tess_session *s = open_limited(2, 1 << 20);
    tess_array *x = tess_arange(s, 0, 2000000, 1, TESS_CHUNKS(4096), TESS_F64);
    double *out = compute(x);
    for (int i = 0; i < 2000000; i++) {
        cr_assert_eq(out[i], i);
    }
    free(out);
    tess_session_close(s);
}

static void
expect_refused(tess_session *s, tess_array *x, const char *operation, const char *chunk,
               const char *limit)
{
    void *out = calloc(tess_array_bytes(x) + 1, 1);
    cr_assert(out != NULL);
    cr_assert_eq(tess_compute(x, out, tess_array_bytes(x)), TESS_EMEMLIMIT, "%s",
                 tess_session_error(s));
    const char *text = tess_session_error(s);
    cr_assert(strstr(text, operation) != NULL, "no \"%s\" in: %s", operation, text);
    cr_assert(strstr(text, chunk) != NULL, "no \"%s\" in: %s", chunk, text);
    cr_assert(strstr(text, limit) != NULL, "no \"%s\" in: %s", limit, text);
    cr_assert(strstr(text, "test_memory.c:") != NULL, "no place in: %s", text);
    free(out);
}

Test(api_memory, tasks_that_cannot_fit_are_refused)
{
    tess_session *s = open_limited(2, 1 << 20);
    tess_array *x = tess_ones(s, TESS_SHAPE(3000, 2000), TESS_CHUNKS(1000, 2000), TESS_F64);
    expect_refused(s, tess_exp(x), "exp", "(1000, 2000)", "1.0 MiB");
    const char *advice = strstr(tess_session_error(s), "chunks of shape (");
    cr_assert(advice != NULL, "%s", tess_session_error(s));
    char *end;
    const int64_t rows = strtoll(advice + strlen("chunks of shape ("), &end, 10);
    const int64_t columns = strtoll(end + 1, NULL, 10);
    cr_assert(rows > 0 && columns > 0 && rows * columns < 2000000);
    double *all = compute(
        tess_exp(tess_ones(s, TESS_SHAPE(3000, 2000), TESS_CHUNKS(rows, columns), TESS_F64)));
    cr_assert(all[0] > 2.71 && all[5999999] == all[0]);
    free(all);
    double out = 0;
    cr_assert_eq(tess_compute(tess_sum(tess_rechunk(x, TESS_CHUNKS(10, 2000)), TESS_AXES_ALL), &out,
                              sizeof out),
                 TESS_OK, "%s", tess_session_error(s));
    cr_assert_eq(out, 6e6);
    tess_session_close(s);
}

// The sums of the rows of x + x.T, where x is kept in such chunks.
static tess_array *
turned_sums(tess_session *s, int64_t rows, int64_t columns)
{
    tess_array *x =
        tess_sqrt(tess_random_uniform(s, TESS_SHAPE(1800, 1800), TESS_CHUNKS(rows, columns), 0, 1));
    cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(s));
    return tess_sum(tess_add(x, tess_transpose(x, TESS_REVERSED)), TESS_AXIS(1));
}

// Two kept chunks of 2.9 MB do not fit together; the tasks of the diagonal need only one.
Test(api_memory, tasks_that_cannot_fit_with_what_is_kept_are_refused)
{
    tess_session *s = open_limited(2, 4 << 20);
    expect_refused(s, turned_sums(s, 600, 600), "add", "(600, 600) needs 5.", "4.0 MiB");
    const char *advice = strstr(tess_session_error(s), "chunks of shape (");
    cr_assert(advice != NULL, "%s", tess_session_error(s));
    char *end;
    const int64_t rows = strtoll(advice + strlen("chunks of shape ("), &end, 10);
    const int64_t columns = strtoll(end + 1, NULL, 10);
    cr_assert(rows > 0 && columns > 0 && rows * columns < 360000);
    double *sums = compute(turned_sums(s, rows, columns));
    cr_assert(sums[0] > 2000 && sums[0] < 2800, "%g", sums[0]);
    free(sums);
    tess_session_close(s);
}

// What a session is told to take is cut to what the process may have, here of addresses.
Test(api_memory, a_limit_beyond_that_of_the_process_is_cut)
{
    const struct rlimit limit = {(rlim_t)1 << 30, RLIM_INFINITY};
    if (test_is_sanitized()) {
        cr_skip_test("a sanitizer needs more addresses");
    }
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    tess_session *s = open_limited(1, (uint64_t)1 << 40);
    tess_array *x = tess_ones(s, TESS_SHAPE(1 << 18, 1000), TESS_CHUNKS(1 << 18, 1000), TESS_F64);
    cr_assert_eq(tess_persist(tess_exp(x)), TESS_EMEMLIMIT, "%s", tess_session_error(s));
    cr_assert(strstr(tess_session_error(s), "960.0 MiB") != NULL, "%s", tess_session_error(s));
    tess_session_close(s);
}

Test(api_memory, kept_arrays_beyond_the_limit_go_to_disk)
{
    const uint64_t limit = 2 << 20;
    tess_session *s = open_limited(2, limit);
    tess_session *free_session = open_embedded(2);
    tess_session *sessions[] = {s, free_session};
    tess_array *sums[2];
    tess_array *turned[2];
    for (int i = 0; i < 2; i++) {
        tess_array *x =
            tess_random_normal(sessions[i], TESS_SHAPE(500, 5000), TESS_CHUNKS(50, 500), 0, 1);
        cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(sessions[i]));
        const tess_report report = tess_session_report(sessions[i]);
        cr_assert(report.peak_bytes_measured > 0);
        cr_assert(i > 0 || report.peak_bytes_measured <= limit);
        cr_assert(report.peak_bytes_predicted >= report.peak_bytes_measured);
        sums[i] = tess_sum(x, TESS_AXIS(1));
        turned[i] = tess_sum(tess_exp(tess_transpose(x, TESS_REVERSED)), TESS_AXIS(1));
    }
    expect_same("sums", sums[0], sums[1]);
    cr_assert(tess_session_report(s).peak_bytes_measured <= limit);
    expect_same("turned", turned[0], turned[1]);
    cr_assert(tess_session_report(s).peak_bytes_measured <= limit);
    tess_session_close(s);
    tess_session_close(free_session);
}

// Persists 8 MB where memory has 4; returns the status.
static tess_status
persist_too_much(tess_session *s)
{
    tess_array *x = tess_random_normal(s, TESS_SHAPE(100000, 10), TESS_CHUNKS(1000, 10), 0, 1);
    const tess_status status = tess_persist(x);
    double out = 0;
    cr_assert_eq(tess_compute(tess_mean(x, TESS_AXES_ALL), &out, sizeof out), TESS_OK, "%s",
                 tess_session_error(s));
    return status;
}

static tess_session *
open_with_disk(const char *directory, int64_t spill_limit_bytes)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.memory_limit_bytes = 4 << 20;
    options.spill_directory = directory;
    options.spill_limit_bytes = spill_limit_bytes;
    tess_session *s = tess_session_open_with("embedded", &options);
    cr_assert_eq(tess_session_status(s), TESS_OK);
    return s;
}

Test(api_memory, kept_arrays_that_cannot_fit)
{
    tess_session *off = open_with_disk(NULL, -1);
    cr_assert_eq(persist_too_much(off), TESS_EMEMLIMIT);
    cr_assert(strstr(tess_session_error(off), "spilling is off") != NULL, "%s",
              tess_session_error(off));
    tess_session_close(off);
    tess_session *small = open_with_disk(NULL, 1 << 20);
    cr_assert_eq(persist_too_much(small), TESS_EMEMLIMIT, "%s", tess_session_error(small));
    tess_session_close(small);
    tess_session *large = open_with_disk("/tmp", 64 << 20);
    cr_assert_eq(persist_too_much(large), TESS_OK, "%s", tess_session_error(large));
    tess_session_close(large);
    tess_session *nowhere = open_with_disk("/nowhere/at/all", 0);
    cr_assert_eq(persist_too_much(nowhere), TESS_EIO);
    cr_assert(strstr(tess_session_error(nowhere), "/nowhere/at/all") != NULL, "%s",
              tess_session_error(nowhere));
    tess_session_close(nowhere);
}

// Builds and computes something of every kind of work; the status of what failed first.
static tess_status
build_and_compute(tess_session *s, const double *held, double out[12])
{
    tess_array *x = tess_from_memory(s, held, TESS_F64, TESS_SHAPE(12, 8), NULL, TESS_CHUNKS(5, 3));
    tess_array *y = tess_random_normal(s, TESS_SHAPE(12, 8), TESS_CHUNKS(4, 4), 0, 1);
    tess_array *product = tess_matmul(x, tess_transpose(tess_exp(y), TESS_REVERSED));
    tess_array *mean = tess_mean(product, TESS_AXIS(0));
    tess_array *result =
        tess_add(mean, tess_slice(tess_sum(x, TESS_AXIS(1)), TESS_INDEX(TESS_WHOLE)));
    cr_assert(result != NULL);
    if (tess_array_status(result) != TESS_OK) {
        cr_assert(strlen(tess_array_error(result)) > 0);
        return tess_array_status(result);
    }
    void *outs[] = {out};
    const size_t bytes[] = {12 * sizeof *out};
    tess_future *future = tess_submit(&result, outs, bytes, 1);
    cr_assert(future != NULL);
    const tess_status status = tess_future_wait(future, 20000);
    cr_assert(status != TESS_RUNNING, "it hangs");
    tess_future_free(future);
    return status;
}

// Lets every allocation of a small build and compute be the first that fails, and all after it.
Test(api_memory, every_allocation_may_fail)
{
    double held[96];
    double want[12];
    double have[12];
    int64_t n = 0;
    int successes = 0;
    for (int i = 0; i < 96; i++) {
        held[i] = i % 7;
    }
    for (; successes < 3 && n < 5000; n++) {
        tess_session *s = open_embedded(2);
        tsi_memory_fail_after(n);
        const tess_status status = build_and_compute(s, held, have);
        tsi_memory_fail_after(-1);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "after %" PRId64 ": %s: %s", n,
                  tess_status_name(status), tess_session_error(s));
        cr_assert(status == TESS_OK || strlen(tess_session_error(s)) > 0);
        successes = status == TESS_OK ? successes + 1 : 0;
        cr_assert_eq(build_and_compute(s, held, want), TESS_OK, "after %" PRId64 ": %s", n,
                     tess_session_error(s));
        tess_session_close(s);
    }
    cr_assert(n > 30 && successes == 3, "%" PRId64 " allocations", n);
}

Test(api_memory, sessions_that_cannot_open)
{
    int64_t n = 0;
    tess_status status = TESS_ENOMEM;
    for (; status != TESS_OK && n < 2000; n++) {
        tess_session_options options = TESS_SESSION_OPTIONS_INIT;
        options.threads = 2;
        tsi_memory_fail_after(n);
        tess_session *s = tess_session_open_with("embedded", &options);
        tsi_memory_fail_after(-1);
        cr_assert(s != NULL);
        status = tess_session_status(s);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "%s", tess_status_name(status));
        if (status != TESS_OK) {
            cr_assert(strlen(tess_session_error(s)) > 0);
            tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
            cr_assert_eq(tess_array_status(x), TESS_ENOMEM);
            double out[3];
            cr_assert_eq(tess_compute(x, out, sizeof out), TESS_ENOMEM);
        }
        tess_session_close(s);
    }
    cr_assert(n > 5 && status == TESS_OK);
}

static tess_status
keep_explain_and_save(tess_session *s, const char *path)
{
    tess_array *x = tess_random_normal(s, TESS_SHAPE(12, 8), TESS_CHUNKS(5, 3), 0, 1);
    tess_array *y = tess_multiply(x, x);
    const char *text = tess_explain(y);
    cr_assert(text != NULL && strlen(text) > 0);
    const tess_status kept = tess_persist(y);
    const tess_status saved = tess_save_npy(tess_sum(y, TESS_AXIS(0)), path);
    tess_release(y);
    return kept != TESS_OK ? kept : saved;
}

Test(api_memory, keeping_and_saving_may_fail)
{
    char path[] = "/tmp/tessera-memory-XXXXXX";
    const int file = mkstemp(path);
    cr_assert(file >= 0);
    close(file);
    int64_t n = 0;
    int successes = 0;
    for (; successes < 3 && n < 5000; n++) {
        tess_session *s = open_embedded(2);
        tsi_memory_fail_after(n);
        const tess_status status = keep_explain_and_save(s, path);
        tsi_memory_fail_after(-1);
        cr_assert(status == TESS_OK || status == TESS_ENOMEM, "after %" PRId64 ": %s: %s", n,
                  tess_status_name(status), tess_session_error(s));
        successes = status == TESS_OK ? successes + 1 : 0;
        cr_assert_eq(keep_explain_and_save(s, path), TESS_OK, "after %" PRId64 ": %s", n,
                     tess_session_error(s));
        tess_session_close(s);
    }
    cr_assert(n > 30 && successes == 3, "%" PRId64 " allocations", n);
    unlink(path);
}
