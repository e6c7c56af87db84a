// SPDX-License-Identifier: Apache-2.0
//
// What the calls of the public headers refuse: the status, a message with the operation, the shapes
// and the place of the call, and a session that is as good as before.

#include "tests/support/api.h"

static int failures_seen;

static void
count_failure(void *user, tess_status status, const char *text)
{
    (void)user;
    (void)status;
    (void)text;
    failures_seen++;
}

static void
expect(tess_array *x, tess_status status, const char *operation, const char *detail)
{
    cr_assert(x != NULL);
    const char *text = tess_array_error(x);
    cr_assert_eq(tess_array_status(x), status, "%s: %s", tess_status_name(tess_array_status(x)),
                 text);
    cr_assert(strstr(text, operation) != NULL, "no \"%s\" in: %s", operation, text);
    cr_assert(strstr(text, detail) != NULL, "no \"%s\" in: %s", detail, text);
    cr_assert(strstr(text, "test_error.c:") != NULL, "no place in: %s", text);
    tess_session *s = tess_array_session(x);
    cr_assert_str_eq(tess_session_error(s), text);
    // Whatever is done with it gives the same failure, and nothing is written.
    double out = 42;
    cr_assert_eq(tess_array_status(tess_exp(tess_add(x, x))), status);
    cr_assert_eq(tess_compute(tess_sum(x, TESS_AXES_ALL), &out, sizeof out), status);
    cr_assert_eq(tess_persist(x), status);
    cr_assert_eq(tess_save_npy(x, "/tmp/never-written.npy"), status);
    cr_assert_eq(out, 42);
    cr_assert_eq(tess_compute(tess_ones(s, TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO, TESS_F64), &out, 8),
                 TESS_OK);
    cr_assert_eq(out, 1);
}

Test(api_error, every_kind)
{
    static const int64_t wrong[] = {3, 3};
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.on_error = count_failure;
    tess_session *s = tess_session_open_with("embedded", &options);
    tess_array *x = tess_ones(s, TESS_SHAPE(3, 4), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *y = tess_ones(s, TESS_SHAPE(5, 4), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *b = tess_ones(s, TESS_SHAPE(3, 4), TESS_CHUNKS_AUTO, TESS_BOOL);
    tess_array *none = tess_ones(s, TESS_SHAPE(0, 4), TESS_CHUNKS_AUTO, TESS_F64);
    const tess_shape shape = TESS_SHAPE(4);
    expect(tess_zeros(s, TESS_SHAPE(3, -1), TESS_CHUNKS_AUTO, TESS_F64), TESS_ESHAPE, "zeros",
           "-1");
    expect(tess_ones(s, TESS_SHAPE(INT64_MAX, 4), TESS_CHUNKS_AUTO, TESS_F64), TESS_EOVERFLOW,
           "ones", "4");
    expect(tess_full(s, shape, TESS_CHUNKS(2, 2), TESS_F64, 1), TESS_ECHUNKS, "full", "4");
    expect(tess_full(s, shape, TESS_CHUNKS(-2), TESS_F64, 1), TESS_ECHUNKS, "full", "-2");
    expect(tess_full(s, shape, tess_chunks_list(TESS_CHUNKS(1), 0, wrong, 2), TESS_F64, 1),
           TESS_ECHUNKS, "full", "6");
    expect(tess_full_int(s, shape, TESS_CHUNKS_AUTO, (tess_dtype)77, 1), TESS_EDTYPE, "full", "77");
    expect(tess_arange(s, 0, 1, 0, TESS_CHUNKS_AUTO, TESS_F64), TESS_EINVAL, "arange", "step");
    expect(tess_linspace(s, 0, 1, -4, TESS_CHUNKS_AUTO, TESS_F64), TESS_ESHAPE, "linspace", "-4");
    expect(tess_eye(s, -3, 3, 0, TESS_CHUNKS_AUTO, TESS_F64), TESS_ESHAPE, "eye", "-3");
    expect(tess_from_memory(s, NULL, TESS_F64, shape, NULL, TESS_CHUNKS_AUTO), TESS_EINVAL,
           "from_memory", "NULL");
    expect(tess_load_npy(s, "/no/such/file.npy", TESS_CHUNKS_AUTO), TESS_EIO, "load_npy",
           "/no/such/file.npy");
    expect(tess_load_npy(s, "/etc/passwd", TESS_CHUNKS_AUTO), TESS_EFORMAT, "load_npy",
           "/etc/passwd");
    expect(tess_random_normal(s, shape, TESS_CHUNKS_AUTO, 0, -1), TESS_EINVAL, "random_normal",
           "-1");
    expect(tess_random_uniform(s, shape, TESS_CHUNKS_AUTO, 2, 1), TESS_EINVAL, "random_uniform",
           "2");
    expect(tess_random_integers(s, shape, TESS_CHUNKS_AUTO, TESS_I8, 0, 300), TESS_EDTYPE,
           "random_integers", "int8");
    expect(tess_random_integers(s, shape, TESS_CHUNKS_AUTO, TESS_F64, 0, 3), TESS_EDTYPE,
           "random_integers", "float64");
    expect(tess_add(x, y), TESS_ESHAPE, "add", "(3, 4)");
    expect(tess_where(b, x, y), TESS_ESHAPE, "where", "(5, 4)");
    expect(tess_subtract(b, b), TESS_EDTYPE, "subtract", "bool");
    expect(tess_negative(b), TESS_EDTYPE, "negative", "bool");
    expect(tess_add(tess_cast(x, TESS_I8), tess_scalar_int(s, 1000)), TESS_EOVERFLOW, "add",
           "1000");
    expect(tess_cast(x, TESS_NONE), TESS_EDTYPE, "cast", "0");
    expect(tess_sum(x, TESS_AXIS(2)), TESS_EAXIS, "sum", "(3, 4)");
    expect(tess_var(x, TESS_AXIS(-3), 0), TESS_EAXIS, "var", "(3, 4)");
    expect(tess_mean(x, TESS_AXIS(99)), TESS_EINVAL, "mean", "axes");
    expect(tess_min(none, TESS_AXIS(0)), TESS_ESHAPE, "min", "(0, 4)");
    expect(tess_argmax(none, TESS_AXES_ALL), TESS_ESHAPE, "argmax", "(0, 4)");
    expect(tess_slice(x, TESS_INDEX(TESS_AT(3))), TESS_EINDEX, "slice", "3");
    expect(tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1, 0))), TESS_EINDEX, "slice", "step");
    expect(tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_WHOLE, TESS_AT(0))), TESS_EAXIS, "slice",
           "(3, 4)");
    expect(tess_transpose(x, TESS_ORDER(0, 0)), TESS_EAXIS, "transpose", "(3, 4)");
    expect(tess_transpose(x, TESS_ORDER(0)), TESS_EAXIS, "transpose", "(3, 4)");
    expect(tess_broadcast_to(x, TESS_SHAPE(3, 5)), TESS_ESHAPE, "broadcast_to", "(3, 4)");
    expect(tess_rechunk(x, TESS_CHUNKS(1)), TESS_ECHUNKS, "rechunk", "(3, 4)");
    expect(tess_matmul(x, y), TESS_ESHAPE, "matmul", "(5, 4)");
    cr_assert(failures_seen >= 35);
    tess_session_close(s);
}

Test(api_error, matmul_of_an_element)
{
    tess_session *s = open_embedded(1);
    tess_array *x = tess_ones(s, TESS_SHAPE(3, 4), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *one = tess_ones(s, TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO, TESS_F64);
    expect(tess_matmul(x, one), TESS_ESHAPE, "matmul", "(3, 4)");
    tess_session_close(s);
}

Test(api_error, of_two_failures_the_left_one)
{
    tess_session *s = open_embedded(1);
    tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *first = tess_sum(x, TESS_AXIS(5));
    tess_array *second = tess_matmul(x, tess_scalar(s, 1));
    cr_assert(tess_add(first, second) == first);
    cr_assert(tess_add(second, first) == second);
    cr_assert(tess_where(x, second, first) == second);
    tess_session_close(s);
}

Test(api_error, buffers)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_ones(s, TESS_SHAPE(3, 5), TESS_CHUNKS(1, 2), TESS_I32);
    unsigned char out[60];
    memset(out, 0xCD, sizeof out);
    cr_assert_eq(tess_compute(x, out, 59), TESS_EBUFFER);
    const char *text = tess_session_error(s);
    cr_assert(strstr(text, "compute") != NULL && strstr(text, "(3, 5)") != NULL &&
                  strstr(text, "60 bytes") != NULL && strstr(text, "test_error.c:") != NULL,
              "%s", text);
    cr_assert_eq(tess_compute(x, NULL, 60), TESS_EINVAL);
    tess_array *both[] = {x, x};
    void *outs[] = {out, out};
    const size_t bytes[] = {60, 59};
    cr_assert_eq(tess_compute_many(both, outs, bytes, 2), TESS_EBUFFER);
    for (size_t i = 0; i < sizeof out; i++) {
        cr_assert_eq(out[i], 0xCD, "byte %zu", i);
    }
    cr_assert_eq(tess_compute(x, out, 60), TESS_OK);
    tess_session_close(s);
}

Test(api_error, null_and_nothing)
{
    tess_session *s = open_embedded(1);
    tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
    double out[3];
    void *outs[] = {out};
    const size_t bytes[] = {sizeof out};
    cr_assert_eq(tess_compute(NULL, out, sizeof out), TESS_EINVAL);
    cr_assert_eq(tess_compute_many(NULL, outs, bytes, 1), TESS_EINVAL);
    cr_assert_eq(tess_compute_many(&x, NULL, bytes, 1), TESS_EINVAL);
    cr_assert_eq(tess_compute_many(&x, outs, NULL, 1), TESS_EINVAL);
    cr_assert_eq(tess_compute_many(&x, outs, bytes, 0), TESS_EINVAL);
    cr_assert_eq(tess_compute_many(&x, outs, bytes, -1), TESS_EINVAL);
    cr_assert_eq(tess_persist(NULL), TESS_EINVAL);
    cr_assert_eq(tess_save_npy(NULL, "/tmp/x.npy"), TESS_EINVAL);
    cr_assert_eq(tess_array_status(tess_add(x, NULL)), TESS_EINVAL);
    const char *text = tess_array_error(tess_where(NULL, x, x));
    cr_assert(strstr(text, "where: operand 0 is NULL") != NULL &&
                  strstr(text, "test_error.c:") != NULL,
              "%s", text);
    cr_assert_eq(tess_array_status(tess_sum(NULL, TESS_AXES_ALL)), TESS_EINVAL);
    cr_assert_eq(tess_array_status(tess_zeros(NULL, TESS_SHAPE(1), TESS_CHUNKS_AUTO, TESS_F64)),
                 TESS_EINVAL);
    cr_assert_eq(tess_array_status(tess_exp(tess_exp(NULL))), TESS_EINVAL);
    cr_assert(strlen(tess_explain(NULL)) > 0);
    tess_session_close(NULL);
    tess_session_close(s);
}

Test(api_error, two_sessions)
{
    tess_session *s = open_embedded(1);
    tess_session *other = open_embedded(1);
    tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
    tess_array *y = tess_ones(other, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
    cr_assert_eq(tess_array_status(tess_add(x, y)), TESS_ESESSION);
    double a[3];
    double b[3];
    tess_array *both[] = {x, y};
    void *outs[] = {a, b};
    const size_t bytes[] = {sizeof a, sizeof b};
    cr_assert_eq(tess_compute_many(both, outs, bytes, 2), TESS_ESESSION);
    cr_assert(strstr(tess_session_error(s), "test_error.c:") != NULL, "%s", tess_session_error(s));
    cr_assert_eq(tess_compute(x, a, sizeof a), TESS_OK);
    tess_session_close(s);
    cr_assert_eq(tess_compute(y, b, sizeof b), TESS_OK);
    tess_session_close(other);
}

// A scheduler that is not there: the session fails, and everything made in it.
Test(api_error, failed_sessions)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.connect_timeout_ms = 200;
    static const char *const places[] = {"/no/such/connection.file", "tcp://127.0.0.1:1"};
    for (int i = 0; i < 2; i++) {
        tess_session *s = tess_session_open_with(places[i], &options);
        cr_assert(s != NULL);
        cr_assert_neq(tess_session_status(s), TESS_OK);
        cr_assert(strlen(tess_session_error(s)) > 0);
        tess_array *x = tess_ones(s, TESS_SHAPE(3), TESS_CHUNKS_AUTO, TESS_F64);
        cr_assert_eq(tess_array_status(x), tess_session_status(s));
        double out[3];
        cr_assert_eq(tess_compute(x, out, sizeof out), tess_session_status(s));
        tess_session_close(s);
    }
}
