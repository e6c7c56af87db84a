// SPDX-License-Identifier: Apache-2.0
//
// Random arrays: streams, seeds and what is refused. The numbers themselves are the kernels'
// matter.

#include <math.h>

#include "tests/support/graph.h"

static struct tess_session session;

static void
set_up(void)
{
    tess_session_options options = TESS_SESSION_OPTIONS_INIT;
    options.seed = 99;
    cr_assert(tsi_session_init(&session, &options));
}

static void
tear_down(void)
{
    tsi_session_fini(&session);
}

TestSuite(graph_random, .init = set_up, .fini = tear_down);

static tess_array *
normal(int64_t count, int64_t step)
{
    return tess_random_normal(&session, TESS_SHAPE(count), TESS_CHUNKS(step), 0, 1);
}

Test(graph_random, each_sound_call_takes_the_next_stream)
{
    const tess_shape shape = TESS_SHAPE(4);
    const tess_chunks chunks = TESS_CHUNKS(2);
    tess_array *x = normal(4, 2);
    tess_array *y = normal(4, 2);
    cr_assert(x != y, "two random arrays are not equal");
    cr_assert_eq(x->source.params.stream, 0);
    cr_assert_eq(y->source.params.stream, 1);
    cr_assert_eq(x->source.params.seed, 99);
    cr_assert_eq(normal(-4, 2)->status, TESS_ESHAPE);
    cr_assert_eq(normal(4, -2)->status, TESS_ECHUNKS);
    cr_assert_eq(tess_random_normal(&session, shape, chunks, 0, -1)->status, TESS_EINVAL);
    cr_assert_eq(tess_random_uniform(&session, shape, chunks, 2, 1)->status, TESS_EINVAL);
    cr_assert_eq(tess_random_integers(&session, shape, chunks, TESS_I8, 2, 1)->status, TESS_EINVAL);
    cr_assert_eq(tess_random_standard_normal(&session, shape, chunks, TESS_I8)->status,
                 TESS_EDTYPE);
    cr_assert_eq(normal(4, 2)->source.params.stream, 2);
    cr_assert_eq(tess_random_uniform(&session, shape, chunks, 0, 1)->source.params.stream, 3);
    cr_assert_eq(tess_random_integers(&session, shape, chunks, TESS_I8, 0, 1)->source.params.stream,
                 4);
    cr_assert_eq(normal(0, 2)->source.params.stream, 5);
    expect_rules(&session);
}

Test(graph_random, values_do_not_depend_on_the_cut)
{
    uint64_t a[4];
    uint64_t b[4];
    tess_array *x = normal(4, 1);
    cr_assert(test_eval(x, a));
    cr_assert(test_eval(tess_rechunk(x, TESS_CHUNKS(3)), b));
    cr_assert(memcmp(a, b, sizeof a) == 0);
    cr_assert(a[0] != a[1]);
}

Test(graph_random, parameters)
{
    const tess_shape shape = TESS_SHAPE(2, 3);
    const tess_chunks chunks = TESS_CHUNKS_EACH(2);
    tess_array *x = tess_random_normal(&session, shape, chunks, 5, 2);
    expect_sound(x, TESS_F64, shape);
    cr_assert(x->source.params.a == 5 && x->source.params.b == 2);
    cr_assert_eq(x->source.step[0], 3);
    cr_assert_eq(x->source.step[1], 1);
    x = tess_random_standard_normal(&session, shape, chunks, TESS_F32);
    expect_sound(x, TESS_F32, shape);
    cr_assert(x->source.params.a == 0 && x->source.params.b == 1);
    x = tess_random_uniform(&session, shape, chunks, -1, 3);
    cr_assert(x->source.params.a == -1 && x->source.params.b == 3);
    x = tess_random_uniform(&session, shape, chunks, -1e308, 1.7e308);
    cr_assert_eq(x->status, TESS_OK, "%s", x->error);
    x = tess_random_integers(&session, shape, chunks, TESS_I64, INT64_MIN, INT64_MAX);
    cr_assert_eq(x->source.params.ia, INT64_MIN);
    cr_assert_eq((uint64_t)x->source.params.ib, UINT64_MAX);
    expect_rules(&session);
}

Test(graph_random, integer_ranges)
{
    const struct {
        tess_dtype dtype;
        int64_t low, high;
    } rows[] = {
        {TESS_I8, -128, 128}, {TESS_I16, -32768, 32768}, {TESS_I32, INT32_MIN, 1L << 31},
        {TESS_U8, 0, 256},    {TESS_U16, 0, 65536},      {TESS_U32, 0, 1L << 32},
    };
    const tess_shape shape = TESS_SHAPE(3);
    const tess_chunks chunks = TESS_CHUNKS(2);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        tess_array *x =
            tess_random_integers(&session, shape, chunks, rows[r].dtype, rows[r].low, rows[r].high);
        cr_assert_eq(x->status, TESS_OK, "%s", x->error);
        EXPECT_FAILED(tess_random_integers(&session, shape, chunks, rows[r].dtype, rows[r].low - 1,
                                           rows[r].high),
                      TESS_EDTYPE, "random_integers: (3,)", tess_dtype_name(rows[r].dtype));
        EXPECT_FAILED(tess_random_integers(&session, shape, chunks, rows[r].dtype, rows[r].low,
                                           rows[r].high + 1),
                      TESS_EDTYPE, "random_integers: (3,)");
    }
    EXPECT_FAILED(tess_random_integers(&session, shape, chunks, TESS_U64, -1, 5), TESS_EDTYPE,
                  "uint64");
    EXPECT_FAILED(tess_random_integers(&session, shape, chunks, TESS_F64, 0, 5), TESS_EDTYPE,
                  "float64 is no integer type");
    EXPECT_FAILED(tess_random_integers(&session, shape, chunks, TESS_BOOL, 0, 2), TESS_EDTYPE,
                  "bool is no integer type");
    EXPECT_FAILED(tess_random_integers(&session, shape, chunks, TESS_NONE, 0, 2), TESS_EDTYPE, "0");
    EXPECT_FAILED(tess_random_integers(&session, shape, chunks, TESS_I8, 5, 5), TESS_EINVAL,
                  "random_integers: (3,)", "from 5 to below 5");
}

Test(graph_random, refuses)
{
    const tess_shape shape = TESS_SHAPE(3);
    const tess_chunks chunks = TESS_CHUNKS(2);
    EXPECT_FAILED(tess_random_normal(&session, shape, chunks, 0, -1), TESS_EINVAL,
                  "random_normal: (3,)", "deviation -1");
    EXPECT_FAILED(tess_random_normal(&session, shape, chunks, NAN, 1), TESS_EINVAL,
                  "random_normal: (3,)");
    EXPECT_FAILED(tess_random_normal(&session, shape, chunks, 0, INFINITY), TESS_EINVAL,
                  "random_normal: (3,)");
    EXPECT_FAILED(tess_random_uniform(&session, shape, chunks, 1, 0), TESS_EINVAL,
                  "random_uniform: (3,): from 1 to 0");
    EXPECT_FAILED(tess_random_uniform(&session, shape, chunks, 0, INFINITY), TESS_EINVAL,
                  "random_uniform: (3,)");
    EXPECT_FAILED(tess_random_uniform(&session, shape, chunks, NAN, 1), TESS_EINVAL,
                  "random_uniform: (3,)");
    EXPECT_FAILED(tess_random_standard_normal(&session, shape, chunks, TESS_I32), TESS_EDTYPE,
                  "random_standard_normal: (3,): not defined for int32");
    EXPECT_FAILED(tess_random_standard_normal(&session, shape, chunks, TESS_NONE), TESS_EDTYPE,
                  "random_standard_normal: 0 is no dtype");
    tess_shape many = {.ndim = 99};
    EXPECT_FAILED(tess_random_normal(&session, many, chunks, 0, -1), TESS_EINVAL, "random_normal");
    EXPECT_FAILED(tess_random_normal(&session, many, chunks, 0, 1), TESS_ESHAPE, "99 axes");
    session.next_stream = UINT32_MAX;
    EXPECT_FAILED(normal(3, 1), TESS_ELIMIT, "random_normal: ");
}
