// SPDX-License-Identifier: Apache-2.0
//
// Variances of what is centred, which fold the elements themselves (plan_simplify.c), against the
// oracle, which subtracts the mean.

#include "tests/support/api.h"

static void
check_sets(const char *what, tess_array *x, double ddof, struct tolerance tolerance)
{
    const tess_axes sets = (tess_axes)1 << tess_array_shape(x).ndim;
    for (tess_axes axes = 0; axes < sets; axes++) {
        tess_array *centred = tess_subtract(x, tess_mean(x, axes | TESS_KEEPDIMS));
        expect_near_oracle(what, tess_var(centred, axes, ddof), tolerance);
        expect_near_oracle(what, tess_std(centred, axes | TESS_KEEPDIMS, ddof), tolerance);
    }
}

Test(api_centred, every_set_of_axes_ragged_chunks_and_dtypes)
{
    const struct tolerance loose = {64, 0, 0};
    static const double ddofs[] = {0, 1, 0.5, 7, -2};
    tess_session *session = open_embedded(2);
    tess_array *x =
        tess_random_normal(session, TESS_SHAPE(13, 7, 10), TESS_CHUNKS(5, 4, 3), 0.5, 2);
    for (size_t i = 0; i < sizeof ddofs / sizeof *ddofs; i++) {
        check_sets("float64", x, ddofs[i], loose);
        check_sets("float32", tess_cast(x, TESS_F32), ddofs[i], loose);
    }
    check_sets("integers", tess_cast(tess_multiply(x, tess_scalar(session, 10)), TESS_I16), 0,
               loose);
    tess_session_close(session);
}

// Each of the last columns has one NaN or infinity, somewhere; the others have none.
Test(api_centred, nan_and_infinity_stay_in_their_columns)
{
    enum { ROWS = 37, COLUMNS = 12 };
    static double wide[ROWS][COLUMNS];
    static const double odd[] = {NAN, INFINITY, -INFINITY, -NAN};
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            const bool is_odd = j >= COLUMNS - 8 && i == j * 3;
            wide[i][j] = is_odd ? odd[j % 4] : (i * 7 + j * 3) % 11 - 4.5;
        }
    }
    tess_session *session = open_embedded(2);
    tess_array *x = tess_from_memory(session, wide, TESS_F64, TESS_SHAPE(ROWS, COLUMNS), NULL,
                                     TESS_CHUNKS(5, 4));
    check_sets("float64", x, 1, (struct tolerance){64, 0, 0});
    check_sets("float32", tess_cast(x, TESS_F32), 1, (struct tolerance){64, 0, 0});
    double got[COLUMNS];
    tess_array *centred = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
    cr_assert_eq(tess_compute(tess_std(centred, TESS_AXIS(0), 0), got, sizeof got), TESS_OK);
    for (int j = 0; j < COLUMNS; j++) {
        cr_assert((isnan(got[j]) != 0) == (j >= COLUMNS - 8), "column %d: %g", j, got[j]);
    }
    tess_session_close(session);
}

Test(api_centred, nothing_and_one_element)
{
    tess_session *session = open_embedded(2);
    const struct tolerance loose = {64, 0, 0};
    check_sets("empty", tess_random_normal(session, TESS_SHAPE(0, 4), TESS_CHUNKS(2, 2), 0, 1), 0,
               loose);
    check_sets("empty", tess_random_normal(session, TESS_SHAPE(4, 0), TESS_CHUNKS(2, 2), 0, 1), 1,
               loose);
    check_sets("one", tess_random_normal(session, TESS_SHAPE(1, 5), TESS_CHUNKS(1, 2), 0, 1), 0,
               loose);
    check_sets("one", tess_random_normal(session, TESS_SHAPE(5, 1), TESS_CHUNKS(2, 1), 0, 1), 1,
               loose);
    check_sets("same", tess_full(session, TESS_SHAPE(50, 3), TESS_CHUNKS(7, 2), TESS_F64, 0.1), 0,
               (struct tolerance){0, 0, 1});
    tess_session_close(session);
}

// A mean of a million deviations: the result has the error that a rounding of the elements makes.
Test(api_centred, far_from_zero)
{
    tess_session *session = open_embedded(2);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(3000, 3), TESS_CHUNKS(700, 2), 1e6, 1);
    for (tess_axes axes = 1; axes < 4; axes += 2) {
        tess_array *centred = tess_subtract(x, tess_mean(x, axes));
        expect_near_oracle("far", tess_var(centred, axes, 1), (struct tolerance){1e6, 0, 0});
    }
    tess_session_close(session);
}

// The centred array may be wanted as well, and other folds of it.
Test(api_centred, beside_the_centred_array)
{
    tess_session *session = open_embedded(2);
    tess_array *x = tess_random_normal(session, TESS_SHAPE(30, 20), TESS_CHUNKS(7, 9), 3, 1);
    tess_array *centred = tess_subtract(x, tess_mean(x, TESS_AXIS(0)));
    tess_array *arrays[] = {centred, tess_std(centred, TESS_AXIS(0), 0),
                            tess_max(centred, TESS_AXIS(0)),
                            tess_divide(centred, tess_std(centred, TESS_AXIS(0), 0))};
    double values[4][600];
    void *outs[] = {values[0], values[1], values[2], values[3]};
    const size_t bytes[] = {sizeof values[0], sizeof values[1], sizeof values[2], sizeof values[3]};
    cr_assert_eq(tess_compute_many(arrays, outs, bytes, 4), TESS_OK);
    for (int i = 0; i < 4; i++) {
        cr_assert(agrees_with_oracle("beside", arrays[i], outs[i], (struct tolerance){64, 64, 64}));
    }
    tess_session_close(session);
}
