// SPDX-License-Identifier: Apache-2.0
//
// The calls that run expressions: several arrays at once, kept arrays, plans as text, reports and
// callbacks.

#include "tests/support/api.h"

static tess_array *
sample(tess_session *session)
{
    return tess_random_normal(session, TESS_SHAPE(60, 50), TESS_CHUNKS(16, 20), 0, 1);
}

// Arrays that share operands, one twice, a leaf, a constant, an array without elements: each is
// what it is alone.
Test(api_compute, many_at_once)
{
    enum { COUNT = 8 };
    tess_session *s = open_embedded(2);
    static double held[30];
    for (int i = 0; i < 30; i++) {
        held[i] = i * 0.5;
    }
    tess_array *x = sample(s);
    tess_array *y = tess_exp(tess_sin(x));
    tess_array *all[COUNT] = {
        y,
        tess_sum(y, TESS_AXIS(0)),
        y,
        tess_from_memory(s, held, TESS_F64, TESS_SHAPE(5, 6), NULL, TESS_CHUNKS(2, 6)),
        tess_ones(s, TESS_SHAPE(7), TESS_CHUNKS(3), TESS_U8),
        tess_slice(x, TESS_INDEX(TESS_RANGE(0, 0, 1))),
        tess_mean(x, TESS_AXES_ALL),
        tess_transpose(y, TESS_REVERSED),
    };
    void *outs[COUNT];
    size_t bytes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = tess_array_bytes(all[i]);
        outs[i] = calloc(bytes[i] + 1, 1);
    }
    cr_assert_eq(tess_compute_many(all, outs, bytes, COUNT), TESS_OK, "%s", tess_session_error(s));
    for (int i = 0; i < COUNT; i++) {
        cr_assert(
            agrees_with_oracle("one of many", all[i], outs[i], (struct tolerance){16, 16, 0}));
        free(outs[i]);
    }
    tess_session_close(s);
}

// What two arrays share has its tasks once.
Test(api_compute, shared_work_is_done_once)
{
    tess_session *s = open_embedded(2);
    tess_array *x = sample(s);
    tess_array *product = tess_matmul(x, tess_transpose(x, TESS_REVERSED));
    tess_array *sums[] = {tess_sum(product, TESS_AXIS(0)), tess_max(product, TESS_AXIS(1))};
    double first[60];
    double second[60];
    void *outs[] = {first, second};
    const size_t bytes[] = {sizeof first, sizeof second};
    uint64_t apart = 0;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tess_compute(sums[i], outs[i], bytes[i]), TESS_OK);
        apart += tess_session_report(s).tasks;
    }
    cr_assert_eq(tess_compute_many(sums, outs, bytes, 2), TESS_OK);
    const uint64_t together = tess_session_report(s).tasks;
    cr_assert(together < apart, "%" PRIu64 " and %" PRIu64, together, apart);
    tess_session_close(s);
}

// More bytes than needed are left alone.
Test(api_compute, writes_only_the_array)
{
    tess_session *s = open_embedded(2);
    unsigned char out[64];
    memset(out, 0xAB, sizeof out);
    tess_array *x = tess_ones(s, TESS_SHAPE(5), TESS_CHUNKS(2), TESS_I16);
    cr_assert_eq(tess_compute(x, out + 3, sizeof out - 3), TESS_OK);
    for (int i = 0; i < 64; i++) {
        const int inside = i - 3;
        const int want = inside < 0 || inside >= 10 ? 0xAB : inside % 2 == 0;
        cr_assert_eq(out[i], want, "byte %d", i);
    }
    tess_session_close(s);
}

Test(api_compute, nothing_needs_no_buffer)
{
    tess_session *s = open_embedded(1);
    tess_array *x = tess_zeros(s, TESS_SHAPE(0, 3), TESS_CHUNKS_AUTO, TESS_F64);
    cr_assert_eq(tess_compute(x, NULL, 0), TESS_OK, "%s", tess_session_error(s));
    tess_session_close(s);
}

Test(api_compute, kept_arrays)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_exp(sample(s));
    tess_array *sum = tess_sum(x, TESS_AXIS(0));
    double *before = compute(sum);
    const uint64_t tasks = tess_session_report(s).tasks;
    cr_assert(strstr(tess_explain(sum), "kept") == NULL, "%s", tess_explain(sum));

    cr_assert_eq(tess_persist(x), TESS_OK, "%s", tess_session_error(s));
    cr_assert_eq(tess_persist(x), TESS_OK, "twice: %s", tess_session_error(s));
    cr_assert(strstr(tess_explain(sum), "kept") != NULL, "%s", tess_explain(sum));
    double *kept = compute(sum);
    cr_assert(memcmp(before, kept, tess_array_bytes(sum)) == 0);
    expect_near_oracle("kept itself", x, (struct tolerance){4, 0, 0});

    tess_release(x);
    tess_release(x);
    tess_release(NULL);
    cr_assert(strstr(tess_explain(sum), "kept") == NULL, "%s", tess_explain(sum));
    double *after = compute(sum);
    cr_assert(memcmp(before, after, tess_array_bytes(sum)) == 0);
    cr_assert_eq(tess_session_report(s).tasks, tasks);
    free(before);
    free(kept);
    free(after);
    tess_session_close(s);
}

// Kept again and again, of what is kept already, and given back in another order; each time the
// memory is free again, or the small limit would be met.
Test(api_compute, kept_arrays_give_their_memory_back)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.memory_limit_bytes = 8 << 20;
    tess_session *s = tess_session_open_with("embedded", &options);
    for (int i = 0; i < 20; i++) {
        tess_array *x = tess_random_normal(s, TESS_SHAPE(1000, 250), TESS_CHUNKS(100, 250), i, 1);
        tess_array *y = tess_multiply(x, x);
        cr_assert_eq(tess_persist(x), TESS_OK, "round %d: %s", i, tess_session_error(s));
        cr_assert_eq(tess_persist(y), TESS_OK, "round %d: %s", i, tess_session_error(s));
        tess_release(i % 2 == 0 ? x : y);
        double mean = 0;
        cr_assert_eq(tess_compute(tess_mean(y, TESS_AXES_ALL), &mean, sizeof mean), TESS_OK);
        cr_assert(fabs(mean - i * i - 1) < 0.2 * (i + 1), "round %d: %g", i, mean);
        tess_release(x);
        tess_release(y);
    }
    tess_session_close(s);
}

Test(api_compute, explains_what_it_would_do)
{
    tess_session *s = open_embedded(2);
    tess_array *x = sample(s);
    const char *text = tess_explain(tess_mean(tess_sqrt(tess_abs(x)), TESS_AXIS(0)));
    static const char *const words[] = {
        "random_normal", "sqrt", "mean", "test_compute.c:", "fold", "tasks", "predicted peak"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        cr_assert(strstr(text, words[i]) != NULL, "no \"%s\" in\n%s", words[i], text);
    }
    text = tess_explain(tess_matmul(x, tess_transpose(x, TESS_REVERSED)));
    cr_assert(strstr(text, "matmul") != NULL && strstr(text, "chunks") != NULL, "%s", text);
    tess_array *failed = tess_matmul(x, x);
    cr_assert_str_eq(tess_explain(failed), tess_array_error(failed));
    cr_assert(strlen(tess_explain(NULL)) > 0);
    tess_session_close(s);
}

Test(api_compute, reports_the_last_compute)
{
    tess_session *s = open_embedded(2);
    tess_array *x = sample(s);
    double out = 0;
    cr_assert_eq(tess_compute(tess_sum(x, TESS_AXES_ALL), &out, sizeof out), TESS_OK);
    const tess_report report = tess_session_report(s);
    cr_assert(report.tasks >= 13, "%" PRIu64, report.tasks);
    cr_assert(report.elapsed_ns > 0);
    cr_assert(report.program_bytes > 50 && report.program_bytes < 4096, "%" PRIu64,
              report.program_bytes);
    cr_assert(report.peak_bytes_predicted > 0);
    cr_assert(report.peak_bytes_measured > 0);
    cr_assert(report.peak_bytes_measured <= report.peak_bytes_predicted, "%" PRIu64 " and %" PRIu64,
              report.peak_bytes_measured, report.peak_bytes_predicted);
    tess_session_close(s);
}

struct seen {
    int calls;
    bool falls;
    tess_progress last;
};

static void
see_progress(void *user, const tess_progress *progress)
{
    struct seen *seen = user;
    seen->falls = seen->falls || progress->tasks_done < seen->last.tasks_done ||
                  progress->elapsed_ns < seen->last.elapsed_ns ||
                  progress->tasks_done > progress->tasks_total;
    seen->calls++;
    seen->last = *progress;
}

Test(api_compute, tells_progress)
{
    struct seen seen = {0};
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.on_progress = see_progress;
    options.on_progress_user = &seen;
    tess_session *s = tess_session_open_with("embedded", &options);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(60000000), TESS_CHUNKS(100000), 0, 1);
    double out = 0;
    cr_assert_eq(tess_compute(tess_sum(tess_exp(x), TESS_AXES_ALL), &out, sizeof out), TESS_OK);
    cr_assert(seen.calls >= 1 && !seen.falls, "%d calls", seen.calls);
    cr_assert(seen.last.tasks_total > 600, "%" PRIu64, seen.last.tasks_total);
    cr_assert_eq(seen.last.tasks_done, seen.last.tasks_total);
    cr_assert_eq(seen.last.workers, 1);
    cr_assert(seen.last.elapsed_ns / 200000000 <= (uint64_t)seen.calls, "%d calls in %" PRIu64,
              seen.calls, seen.last.elapsed_ns);

    seen = (struct seen){0};
    cr_assert_eq(tess_compute(tess_ones(s, TESS_SHAPE(1), TESS_CHUNKS_AUTO, TESS_F64), &out, 8),
                 TESS_OK);
    cr_assert(seen.calls >= 1 && seen.last.tasks_done == seen.last.tasks_total);
    tess_session_close(s);
}

struct told {
    int calls;
    tess_status status;
    char text[512];
};

static void
take_error(void *user, tess_status status, const char *text)
{
    struct told *told = user;
    told->calls++;
    told->status = status;
    snprintf(told->text, sizeof told->text, "%s", text);
}

Test(api_compute, tells_errors_at_once)
{
    struct told told = {0};
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 1;
    options.on_error = take_error;
    options.on_error_user = &told;
    tess_session *s = tess_session_open_with("embedded", &options);
    tess_array *x = sample(s);
    tess_array *failed = tess_matmul(x, x);
    cr_assert_eq(told.calls, 1);
    cr_assert_eq(told.status, TESS_ESHAPE);
    cr_assert_str_eq(told.text, tess_array_error(failed));
    double out = 0;
    cr_assert_eq(tess_compute(x, &out, sizeof out), TESS_EBUFFER);
    cr_assert_eq(told.calls, 2);
    cr_assert_eq(told.status, TESS_EBUFFER);
    cr_assert_str_eq(told.text, tess_session_error(s));
    cr_assert_eq(tess_save_npy(x, "/no/such/directory/x.npy"), TESS_EIO);
    cr_assert_eq(told.calls, 3);
    tess_session_close(s);
}

// Two sessions are independent of each other.
Test(api_compute, two_sessions)
{
    tess_session *one = open_embedded(2);
    tess_session *other = open_embedded(1);
    tess_array *x = tess_sum(sample(one), TESS_AXIS(1));
    tess_array *y = tess_sum(sample(other), TESS_AXIS(1));
    expect_same("sums", x, y);
    tess_session_close(one);
    void *out = compute(y);
    free(out);
    tess_session_close(other);
}
