// SPDX-License-Identifier: Apache-2.0
//
// The matrix product: shapes by NumPy's rules, cuts and values of its nodes.

#include "tests/support/graph.h"

static struct tess_session session;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
}

TestSuite(graph_matmul, .init = set_up, .fini = tear_down);

static tess_array *
zeros(tess_shape shape)
{
    return tess_zeros(&session, shape, TESS_CHUNKS_EACH(2), TESS_F64);
}

Test(graph_matmul, shapes)
{
    const struct {
        tess_shape x, y, z;
    } rows[] = {
        {TESS_SHAPE(3, 4), TESS_SHAPE(4, 5), TESS_SHAPE(3, 5)},
        {TESS_SHAPE(4), TESS_SHAPE(4, 5), TESS_SHAPE(5)},
        {TESS_SHAPE(3, 4), TESS_SHAPE(4), TESS_SHAPE(3)},
        {TESS_SHAPE(4), TESS_SHAPE(4), TESS_SCALAR_SHAPE},
        {TESS_SHAPE(7, 3, 4), TESS_SHAPE(4, 5), TESS_SHAPE(7, 3, 5)},
        {TESS_SHAPE(3, 4), TESS_SHAPE(7, 4, 5), TESS_SHAPE(7, 3, 5)},
        {TESS_SHAPE(7, 1, 3, 4), TESS_SHAPE(6, 4, 5), TESS_SHAPE(7, 6, 3, 5)},
        {TESS_SHAPE(4), TESS_SHAPE(7, 4, 5), TESS_SHAPE(7, 5)},
        {TESS_SHAPE(7, 3, 4), TESS_SHAPE(4), TESS_SHAPE(7, 3)},
        {TESS_SHAPE(3, 0), TESS_SHAPE(0, 5), TESS_SHAPE(3, 5)},
        {TESS_SHAPE(0, 4), TESS_SHAPE(4, 5), TESS_SHAPE(0, 5)},
        {TESS_SHAPE(1, 3, 4), TESS_SHAPE(0, 4, 5), TESS_SHAPE(0, 3, 5)},
        {TESS_SHAPE(1), TESS_SHAPE(1, 1), TESS_SHAPE(1)},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        expect_sound(tess_matmul(zeros(rows[r].x), zeros(rows[r].y)), TESS_F64, rows[r].z);
    }
    expect_rules(&session);
}

Test(graph_matmul, shapes_that_do_not_fit)
{
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(3, 4)), zeros(TESS_SHAPE(5, 6))), TESS_ESHAPE,
                  "matmul: (3, 4) and (5, 6): inner sizes 4 and 5 differ");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(3)), zeros(TESS_SHAPE(4))), TESS_ESHAPE,
                  "matmul: (3,) and (4,): inner sizes 3 and 4");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(3, 1)), zeros(TESS_SHAPE(4))), TESS_ESHAPE,
                  "matmul: (3, 1) and (4,): inner sizes 1 and 4");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SCALAR_SHAPE), zeros(TESS_SHAPE(4))), TESS_ESHAPE,
                  "matmul: () and (4,): an operand has no axes");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(4)), tess_scalar(&session, 2)), TESS_ESHAPE,
                  "matmul: (4,) and (): an operand has no axes");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(2, 3, 4)), zeros(TESS_SHAPE(5, 4, 6))), TESS_ESHAPE,
                  "matmul: (2, 3, 4) and (5, 4, 6): sizes 2 and 5 on axis -3 do not broadcast");
    const int64_t large = INT64_C(1) << 40;
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(large, 1)), zeros(TESS_SHAPE(1, large))),
                  TESS_EOVERFLOW, "matmul: (1099511627776, 1099511627776)");
    EXPECT_FAILED(tess_matmul(zeros(TESS_SHAPE(large, 1, 1)), zeros(TESS_SHAPE(1, large))),
                  TESS_EOVERFLOW, "matmul: ");
    expect_rules(&session);
}

Test(graph_matmul, cuts)
{
    tess_array *x = tess_zeros(&session, TESS_SHAPE(4, 6, 7), TESS_CHUNKS(3, 5, 2), TESS_F64);
    tess_array *y = tess_zeros(&session, TESS_SHAPE(7, 8), TESS_CHUNKS(4, 3), TESS_F64);
    tess_array *z = tess_matmul(x, y);
    EXPECT_CHUNKS(z, 0, 3, 1);
    EXPECT_CHUNKS(z, 1, 5, 1);
    EXPECT_CHUNKS(z, 2, 3, 3, 2);
    tess_array *more = tess_zeros(&session, TESS_SHAPE(4, 7, 80), TESS_CHUNKS(2, 7, 80), TESS_F64);
    z = tess_matmul(x, more);
    EXPECT_CHUNKS(z, 0, 2, 2);
    const int64_t sizes[] = {0, 1, 0};
    tess_array *one = tess_zeros(&session, TESS_SHAPE(1, 6, 7),
                                 tess_chunks_list(TESS_CHUNKS(1, 5, 2), 0, sizes, 3), TESS_F64);
    z = tess_matmul(one, y);
    EXPECT_CHUNKS(z, 0, 1);
    tess_array *row = tess_zeros(&session, TESS_SHAPE(7), TESS_CHUNKS(3), TESS_F64);
    z = tess_matmul(row, y);
    EXPECT_CHUNKS(z, 0, 3, 3, 2);
    z = tess_matmul(x, row);
    EXPECT_CHUNKS(z, 0, 3, 1);
    EXPECT_CHUNKS(z, 1, 5, 1);
    expect_rules(&session);
}

// Small integers, so that every order of additions gives the same.
Test(graph_matmul, values)
{
    enum { BATCH = 3, ROWS = 4, INNER = 5, COLUMNS = 2 };
    static int32_t a[BATCH * ROWS * INNER];
    static float b[INNER * COLUMNS];
    for (int i = 0; i < BATCH * ROWS * INNER; i++) {
        a[i] = i % 11 - 5;
    }
    for (int i = 0; i < INNER * COLUMNS; i++) {
        b[i] = (float)(i % 7 - 3);
    }
    tess_array *x = tess_from_memory(&session, a, TESS_I32, TESS_SHAPE(BATCH, ROWS, INNER), NULL,
                                     TESS_CHUNKS_EACH(2));
    tess_array *y = tess_from_memory(&session, b, TESS_F32, TESS_SHAPE(INNER, COLUMNS), NULL,
                                     TESS_CHUNKS_EACH(3));
    tess_array *v = tess_slice(y, TESS_INDEX(TESS_WHOLE, TESS_AT(1)));
    double got[BATCH * ROWS * COLUMNS];
    double column[BATCH * ROWS];
    double dot = 0;
    cr_assert(test_eval(tess_matmul(x, y), got));
    cr_assert(test_eval(tess_cast(tess_matmul(x, v), TESS_F64), column));
    cr_assert(test_eval(tess_cast(tess_matmul(v, v), TESS_F64), &dot));
    double expected_dot = 0;
    for (int k = 0; k < INNER; k++) {
        expected_dot += b[k * COLUMNS + 1] * b[k * COLUMNS + 1];
    }
    cr_assert_eq(dot, expected_dot);
    for (int i = 0; i < BATCH * ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            double sum = 0;
            for (int k = 0; k < INNER; k++) {
                sum += a[i * INNER + k] * (double)b[k * COLUMNS + j];
            }
            cr_assert_eq(got[i * COLUMNS + j], sum);
            cr_assert(j != 1 || column[i] == sum);
        }
    }
    expect_rules(&session);
}

Test(graph_matmul, bool_is_and_or)
{
    const bool data[] = {true, false, true, true};
    bool got[4];
    tess_array *x =
        tess_from_memory(&session, data, TESS_BOOL, TESS_SHAPE(2, 2), NULL, TESS_CHUNKS_NONE);
    expect_sound(tess_matmul(x, x), TESS_BOOL, TESS_SHAPE(2, 2));
    cr_assert(test_eval(tess_matmul(x, x), got));
    cr_assert(got[0] && !got[1] && got[2] && got[3]);
}
