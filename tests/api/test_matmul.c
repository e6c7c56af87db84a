// SPDX-License-Identifier: Apache-2.0
//
// Matrix products of every dtype and every shape of operands, against the oracle.

#include "tests/support/api.h"

static tess_array *
elements(tess_session *session, tess_dtype dtype, tess_shape shape, tess_chunks chunks)
{
    if (is_float(dtype)) {
        return tess_cast(tess_random_normal(session, shape, chunks, 0, 1), dtype);
    }
    return tess_cast(tess_random_integers(session, shape, chunks, TESS_I64, -300, 300), dtype);
}

static void
check(const char *what, tess_array *x, tess_array *y)
{
    expect_near_oracle(what, tess_matmul(x, y), (struct tolerance){0, 64, 64});
}

struct shapes {
    tess_shape x;
    tess_shape y;
};

static const struct shapes shapes[] = {
    {{2, {5, 7}}, {2, {7, 4}}},
    {{1, {7}}, {1, {7}}},
    {{2, {5, 7}}, {1, {7}}},
    {{1, {7}}, {2, {7, 4}}},
    {{3, {3, 5, 7}}, {2, {7, 4}}},
    {{3, {3, 5, 7}}, {3, {3, 7, 4}}},
    {{4, {2, 1, 5, 7}}, {3, {3, 7, 4}}},
    {{1, {7}}, {3, {3, 7, 4}}},
    {{3, {3, 5, 7}}, {1, {7}}},
    {{2, {1, 1}}, {2, {1, 1}}},
    {{2, {5, 1}}, {2, {1, 4}}},
    {{2, {5, 0}}, {2, {0, 4}}},
    {{2, {0, 7}}, {2, {7, 4}}},
    {{3, {0, 5, 7}}, {2, {7, 4}}},
    {{1, {0}}, {1, {0}}},
    {{2, {33, 65}}, {2, {65, 17}}},
    {{4, {2, 1, 3, 4}}, {4, {1, 3, 4, 2}}},
};

enum { SHAPE_COUNT = sizeof shapes / sizeof *shapes };

static void
check_shapes(tess_session *session, tess_dtype dtype, tess_chunks x_chunks, tess_chunks y_chunks)
{
    char what[96];
    for (int i = 0; i < SHAPE_COUNT; i++) {
        snprintf(what, sizeof what, "%s, pair %d, cut %" PRId64 " and %" PRId64,
                 tess_dtype_name(dtype), i, x_chunks.step[0], y_chunks.step[0]);
        check(what, elements(session, dtype, shapes[i].x, x_chunks),
              elements(session, dtype, shapes[i].y, y_chunks));
    }
}

Test(api_matmul, every_dtype_and_cut)
{
    for (tess_dtype dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        tess_session *session = open_embedded(2);
        check_shapes(session, dtype, TESS_CHUNKS_NONE, TESS_CHUNKS_NONE);
        check_shapes(session, dtype, TESS_CHUNKS_EACH(2), TESS_CHUNKS_EACH(3));
        check_shapes(session, dtype, TESS_CHUNKS_EACH(3), TESS_CHUNKS_NONE);
        check_shapes(session, dtype, TESS_CHUNKS_AUTO, TESS_CHUNKS_EACH(1));
        tess_session_close(session);
    }
}

Test(api_matmul, mixed_dtypes)
{
    tess_session *session = open_embedded(2);
    for (tess_dtype a = TESS_BOOL; a < TESS_DTYPE_COUNT; a++) {
        for (tess_dtype b = TESS_BOOL; b < TESS_DTYPE_COUNT; b++) {
            tess_array *product =
                tess_matmul(elements(session, a, TESS_SHAPE(4, 5), TESS_CHUNKS(3, 2)),
                            elements(session, b, TESS_SHAPE(5, 3), TESS_CHUNKS(4, 2)));
            cr_assert_eq(tess_array_dtype(product), tess_dtype_promote(a, b));
            expect_near_oracle("mixed", product, (struct tolerance){0, 64, 64});
        }
    }
    tess_session_close(session);
}

// Operands that are views: of memory, of sources, of computed arrays, and of each other.
static void
check_views(tess_session *session, tess_array *x, tess_array *y)
{
    const tess_index backward = TESS_RANGE(TESS_OPEN, TESS_OPEN, -2);
    tess_array *xt = tess_transpose(x, TESS_REVERSED);
    tess_array *yt = tess_transpose(y, TESS_REVERSED);
    tess_array *row = tess_slice(x, TESS_INDEX(TESS_AT(2)));
    tess_array *column = tess_slice(y, TESS_INDEX(TESS_WHOLE, TESS_AT(-1)));
    check("plain", x, y);
    check("transposed", yt, xt);
    check("with itself", x, xt);
    check("with itself, other way", xt, x);
    check("rows backward", tess_slice(x, TESS_INDEX(backward)), y);
    check("columns backward", x, tess_slice(y, TESS_INDEX(TESS_WHOLE, backward)));
    check("inner backward", tess_slice(x, TESS_INDEX(TESS_WHOLE, backward)),
          tess_slice(y, TESS_INDEX(backward)));
    check("row by column", row, column);
    check("row by matrix", row, y);
    check("matrix by column", x, column);
    check("inner of nothing", tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_RANGE(3, 3, 1))),
          tess_slice(y, TESS_INDEX(TESS_RANGE(3, 3, 1))));
    check("rows repeated", tess_broadcast_to(row, TESS_SHAPE(6, 13)), y);
    check("columns repeated", x,
          tess_broadcast_to(tess_slice(column, TESS_INDEX(TESS_WHOLE, TESS_NEWAXIS)),
                            TESS_SHAPE(13, 5)));
    check("inner repeated",
          tess_broadcast_to(tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_RANGE(1, 2, 1))),
                            TESS_SHAPE(11, 13)),
          y);
    check("batch repeated", tess_broadcast_to(x, TESS_SHAPE(3, 11, 13)), y);
    check("all repeated", tess_broadcast_to(tess_scalar_int(session, 2), TESS_SHAPE(4, 13)), y);
    check("cut otherwise", tess_rechunk(x, TESS_CHUNKS(1, 12)), tess_rechunk(y, TESS_CHUNKS(5, 2)));
    check("sum of products", tess_matmul(x, y), tess_transpose(tess_matmul(x, y), TESS_REVERSED));
}

Test(api_matmul, operands_that_are_views)
{
    static const tess_dtype dtypes[] = {TESS_F64, TESS_F32, TESS_I16, TESS_BOOL};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        tess_session *session = open_embedded(2);
        const tess_dtype dtype = dtypes[d];
        const int64_t bytes = (int64_t)tess_dtype_bytes(dtype);
        tess_array *x = elements(session, dtype, TESS_SHAPE(11, 13), TESS_CHUNKS(4, 3));
        tess_array *y = elements(session, dtype, TESS_SHAPE(13, 9), TESS_CHUNKS(5, 4));
        check_views(session, x, y);

        unsigned char *data = calloc(201, (size_t)bytes);
        void *values = compute(x);
        memcpy(data + 1, values, tess_array_bytes(x));
        const int64_t sideways[] = {bytes, 11 * bytes};
        tess_array *held = tess_from_memory(session, data + 1, dtype, TESS_SHAPE(11, 13), sideways,
                                            TESS_CHUNKS(6, 5));
        check_views(session, held, y);

        cr_assert_eq(tess_persist(x), TESS_OK);
        cr_assert_eq(tess_persist(y), TESS_OK);
        check_views(session, x, y);
        tess_session_close(session);
        free(values);
        free(data);
    }
}

// The view is an array of its own already, because it is wanted too.
Test(api_matmul, views_that_are_computed_too)
{
    tess_session *session = open_embedded(2);
    tess_array *x = elements(session, TESS_F64, TESS_SHAPE(6, 8), TESS_CHUNKS(4, 3));
    tess_array *turned = tess_transpose(x, TESS_REVERSED);
    tess_array *repeated =
        tess_broadcast_to(tess_slice(x, TESS_INDEX(TESS_AT(0))), TESS_SHAPE(5, 8));
    tess_array *all[] = {turned, repeated, tess_matmul(repeated, turned), tess_matmul(x, turned)};
    void *outs[4];
    size_t bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = tess_array_bytes(all[i]);
        outs[i] = calloc(bytes[i], 1);
    }
    cr_assert_eq(tess_compute_many(all, outs, bytes, 4), TESS_OK, "%s",
                 tess_session_error(session));
    for (int i = 0; i < 4; i++) {
        cr_assert(agrees_with_oracle("view", all[i], outs[i], (struct tolerance){0, 64, 64}));
        free(outs[i]);
    }
    tess_session_close(session);
}

// A product of some size, with an inner axis of many chunks.
Test(api_matmul, many_blocks)
{
    tess_session *session = open_embedded(2);
    tess_array *x = elements(session, TESS_F64, TESS_SHAPE(70, 600), TESS_CHUNKS(32, 7));
    tess_array *y = elements(session, TESS_F64, TESS_SHAPE(600, 50), TESS_CHUNKS(11, 20));
    check("many", x, y);
    check("integers", tess_cast(tess_multiply(x, tess_scalar(session, 100)), TESS_I32),
          tess_cast(tess_multiply(y, tess_scalar(session, 100)), TESS_I32));
    tess_session_close(session);
}
