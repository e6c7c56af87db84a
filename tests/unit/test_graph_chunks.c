// SPDX-License-Identifier: Apache-2.0
//
// From shapes and chunks to cuts.

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

TestSuite(graph_chunks, .init = set_up, .fini = tear_down);

static tess_array *
zeros(tess_shape shape, tess_chunks chunks)
{
    return tess_zeros(&session, shape, chunks, TESS_F64);
}

Test(graph_chunks, steps)
{
    tess_array *x = zeros(TESS_SHAPE(7, 6, 3), TESS_CHUNKS(3, 6, 100));
    EXPECT_CHUNKS(x, 0, 3, 3, 1);
    EXPECT_CHUNKS(x, 1, 6);
    EXPECT_CHUNKS(x, 2, 3);
    cr_assert_eq(tess_array_chunks_total(x), 3);
    cr_assert_eq(tess_array_chunk_count(x, 3), 0);
    cr_assert_eq(tess_array_chunk_count(x, -1), 0);
    x = zeros(TESS_SHAPE(7, 6), TESS_CHUNKS_EACH(4));
    EXPECT_CHUNKS(x, 0, 4, 3);
    EXPECT_CHUNKS(x, 1, 4, 2);
    x = zeros(TESS_SHAPE(7, 6), TESS_CHUNKS(TESS_WHOLE_AXIS, 5));
    EXPECT_CHUNKS(x, 0, 7);
    EXPECT_CHUNKS(x, 1, 5, 1);
    x = zeros(TESS_SHAPE(7, 6), TESS_CHUNKS_NONE);
    cr_assert_eq(tess_array_chunks_total(x), 1);
    x = zeros(TESS_SHAPE(5), TESS_CHUNKS(INT64_MAX));
    EXPECT_CHUNKS(x, 0, 5);
    expect_rules(&session);
}

Test(graph_chunks, no_axes_and_no_elements)
{
    const tess_chunks none = {0};
    tess_array *x = zeros(TESS_SCALAR_SHAPE, none);
    expect_sound(x, TESS_F64, TESS_SCALAR_SHAPE);
    cr_assert_eq(tess_array_chunks_total(x), 1);
    cr_assert(x == zeros(TESS_SCALAR_SHAPE, TESS_CHUNKS_EACH(4)));
    cr_assert(x == zeros(TESS_SCALAR_SHAPE, TESS_CHUNKS_AUTO));
    x = zeros(TESS_SHAPE(0, 5), TESS_CHUNKS(2, 2));
    expect_sound(x, TESS_F64, TESS_SHAPE(0, 5));
    EXPECT_CHUNKS(x, 0, 0);
    EXPECT_CHUNKS(x, 1, 2, 2, 1);
    x = zeros(TESS_SHAPE(0, 5), TESS_CHUNKS_AUTO);
    cr_assert_eq(tess_array_chunks_total(x), 1);
    const int64_t nothing[] = {0, 0};
    x = zeros(TESS_SHAPE(0), tess_chunks_list(TESS_CHUNKS(1), 0, nothing, 2));
    EXPECT_CHUNKS(x, 0, 0);
    x = zeros(TESS_SHAPE(0), tess_chunks_list(TESS_CHUNKS(1), 0, nothing, 0));
    EXPECT_CHUNKS(x, 0, 0);
    expect_rules(&session);
}

Test(graph_chunks, lists)
{
    int64_t sizes[] = {2, 0, 4, 1};
    tess_array *x = zeros(TESS_SHAPE(7, 6), tess_chunks_list(TESS_CHUNKS(3, 3), 0, sizes, 4));
    EXPECT_CHUNKS(x, 0, 2, 0, 4, 1);
    EXPECT_CHUNKS(x, 1, 3, 3);
    sizes[0] = 100;
    EXPECT_CHUNKS(x, 0, 2, 0, 4, 1);
    sizes[0] = 2;
    x = zeros(TESS_SHAPE(6, 7), tess_chunks_list(TESS_CHUNKS_EACH(4), 1, sizes, 4));
    EXPECT_CHUNKS(x, 0, 4, 2);
    EXPECT_CHUNKS(x, 1, 2, 0, 4, 1);
    x = zeros(TESS_SHAPE(7, 2000000), tess_chunks_list(TESS_CHUNKS_AUTO, 0, sizes, 4));
    EXPECT_CHUNKS(x, 0, 2, 0, 4, 1);
    EXPECT_CHUNKS(x, 1, 524288, 524288, 524288, 427136);
    const int64_t even[] = {3, 3, 1};
    x = zeros(TESS_SHAPE(7), tess_chunks_list(TESS_CHUNKS(1), 0, even, 3));
    cr_assert(x == zeros(TESS_SHAPE(7), TESS_CHUNKS(3)), "the same cut is the same node");
    expect_rules(&session);
}

// What is chosen is promised to nobody, but has to stay: results depend on it.
Test(graph_chunks, chosen)
{
    tess_array *x = zeros(TESS_SHAPE(5000000), TESS_CHUNKS_AUTO);
    EXPECT_CHUNKS(x, 0, 2097152, 2097152, 805696);
    x = zeros(TESS_SHAPE(10), TESS_CHUNKS_AUTO);
    EXPECT_CHUNKS(x, 0, 10);
    x = zeros(TESS_SHAPE(3000, 3000), TESS_CHUNKS_AUTO);
    EXPECT_CHUNKS(x, 0, 1440, 1440, 120);
    EXPECT_CHUNKS(x, 1, 1440, 1440, 120);
    x = zeros(TESS_SHAPE(3000, 10), TESS_CHUNKS_AUTO);
    cr_assert_eq(tess_array_chunks_total(x), 1);
    x = zeros(TESS_SHAPE(3000000, 10), TESS_CHUNKS(TESS_AUTO_CHUNK, TESS_WHOLE_AXIS));
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 209715);
    EXPECT_CHUNKS(x, 1, 10);
    x = zeros(TESS_SHAPE(3000000, 10), TESS_CHUNKS(1500, TESS_AUTO_CHUNK));
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 1500);
    EXPECT_CHUNKS(x, 1, 10);
    x = zeros(TESS_SHAPE(1 << 30, 100), TESS_CHUNKS(1 << 30, TESS_AUTO_CHUNK));
    cr_assert_eq(tess_array_chunk_size(x, 1, 0), 1, "at least one element");
    x = tess_zeros(&session, TESS_SHAPE(5000, 5000), TESS_CHUNKS_AUTO, TESS_U8);
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 4096);
    expect_rules(&session);
}

// No element is read where an expression is only built.
static const double some_memory = 0.0;

static tess_array *
in_memory(tess_shape shape, const int64_t *strides)
{
    return tess_from_memory(&session, &some_memory, TESS_F64, shape, strides, TESS_CHUNKS_AUTO);
}

// What lies in memory or in a file is cut so that chunks have long runs, and several of them.
Test(graph_chunks, chosen_runs)
{
    tess_array *x = in_memory(TESS_SHAPE(8192, 8192), NULL);
    EXPECT_CHUNKS(x, 1, 8192);
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 256);
    x = in_memory(TESS_SHAPE(1000, 1000000), NULL);
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 16);
    cr_assert_eq(tess_array_chunk_size(x, 1, 0), 131072);
    x = in_memory(TESS_SHAPE(4, 16000000), NULL);
    EXPECT_CHUNKS(x, 0, 4);
    cr_assert_eq(tess_array_chunk_size(x, 1, 0), 524288);
    x = in_memory(TESS_SHAPE(1000, 1000, 1000), NULL);
    cr_assert_eq(tess_array_chunk_size(x, 0, 0), 16);
    cr_assert_eq(tess_array_chunk_size(x, 1, 0), 131);
    EXPECT_CHUNKS(x, 2, 1000);
    x = in_memory(TESS_SHAPE(5000000), NULL);
    EXPECT_CHUNKS(x, 0, 2097152, 2097152, 805696);
    x = in_memory(TESS_SHAPE(0, 5), NULL);
    cr_assert_eq(x->status, TESS_OK, "%s", x->error);
    expect_rules(&session);
}

// Runs are along the axis whose neighbours are nearest; without an order no axis is.
Test(graph_chunks, chosen_runs_follow_strides)
{
    const tess_shape square = TESS_SHAPE(8192, 8192);
    const int64_t fortran[] = {8, 65536};
    const int64_t backwards[] = {-65536, -8};
    const int64_t repeated[] = {0, 8};
    const int64_t mixed[] = {8192, 8, 67108864};
    tess_array *x = in_memory(square, fortran);
    EXPECT_CHUNKS(x, 0, 8192);
    cr_assert_eq(tess_array_chunk_size(x, 1, 0), 256);
    x = in_memory(square, backwards);
    EXPECT_CHUNKS(x, 1, 8192);
    x = in_memory(square, repeated);
    EXPECT_CHUNKS(x, 1, 8192);
    x = in_memory(TESS_SHAPE(1024, 1024, 1024), mixed);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tess_array_chunk_size(x, i, 0), 128);
    }
    expect_rules(&session);
}

Test(graph_chunks, chosen_runs_have_no_more_bytes_than_planned)
{
    uint64_t state = 11;
    for (int round = 0; round < 2000; round++) {
        tess_shape shape = {.ndim = 1 + round % 6};
        int64_t elements = 1;
        for (int i = 0; i < shape.ndim; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
            shape.size[i] = (int64_t)((state >> 40) % (round % 3 == 0 ? 20 : 1000));
            elements *= shape.size[i];
        }
        tess_array *x = in_memory(shape, NULL);
        cr_assert_eq(x->status, TESS_OK, "%s", x->error);
        const int64_t largest = tsi_grid_chunk_elements_max(&x->grid);
        const int64_t room = (16 << 20) / 8;
        cr_assert(largest <= room, "round %d", round);
        // At least half of what there is room for is used.
        cr_assert(largest >= (elements < room ? elements : room / 2), "round %d: %lld", round,
                  (long long)largest);
    }
    expect_rules(&session);
}

Test(graph_chunks, chosen_chunks_have_no_more_bytes_than_planned)
{
    const tess_dtype dtypes[] = {TESS_BOOL, TESS_I16, TESS_F32, TESS_F64};
    uint64_t state = 7;
    for (int round = 0; round < 2000; round++) {
        tess_shape shape = {.ndim = 1 + round % 6};
        tess_chunks chunks = {.ndim = shape.ndim};
        for (int i = 0; i < shape.ndim; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
            shape.size[i] = (int64_t)((state >> 40) % (round % 3 == 0 ? 20 : 1000));
        }
        const tess_dtype dtype = dtypes[(state >> 33) % 4];
        tess_array *x = tess_zeros(&session, shape, chunks, dtype);
        cr_assert_eq(x->status, TESS_OK, "%s", x->error);
        const int64_t largest = tsi_grid_chunk_elements_max(&x->grid);
        cr_assert(largest * (int64_t)tess_dtype_bytes(dtype) <= 16 << 20, "round %d", round);
        int64_t smallest_cut = INT64_MAX;
        for (int i = 0; i < shape.ndim; i++) {
            const int64_t step = tess_array_chunk_size(x, i, 0);
            smallest_cut = step < shape.size[i] && step < smallest_cut ? step : smallest_cut;
        }
        for (int i = 0; i < shape.ndim; i++) {
            const int64_t step = tess_array_chunk_size(x, i, 0);
            cr_assert(step == shape.size[i] || step == smallest_cut, "round %d", round);
        }
    }
    expect_rules(&session);
}

Test(graph_chunks, wrong_shapes)
{
    tess_shape many = {.ndim = TESS_NDIM_MAX + 1};
    EXPECT_FAILED(zeros(many, TESS_CHUNKS_NONE), TESS_ESHAPE, "zeros: ", "17 axes");
    tess_shape negative = {.ndim = -1};
    EXPECT_FAILED(zeros(negative, TESS_CHUNKS_NONE), TESS_ESHAPE, "zeros: ", "-1 axes");
    EXPECT_FAILED(zeros(TESS_SHAPE(3, -2), TESS_CHUNKS_NONE), TESS_ESHAPE, "zeros: (3, -2)",
                  "axis 1");
    const int64_t large = INT64_C(1) << 62;
    EXPECT_FAILED(zeros(TESS_SHAPE(large, 2), TESS_CHUNKS_NONE), TESS_EOVERFLOW, "zeros: (4611",
                  "float64");
    EXPECT_FAILED(zeros(TESS_SHAPE(INT64_MAX), TESS_CHUNKS_NONE), TESS_EOVERFLOW, "zeros: (");
    EXPECT_FAILED(zeros(TESS_SHAPE(0, large, large), TESS_CHUNKS_NONE), TESS_EOVERFLOW, "(0, 4611");
    tess_array *x = tess_zeros(&session, TESS_SHAPE(INT64_MAX), TESS_CHUNKS(1), TESS_U8);
    expect_sound(x, TESS_U8, TESS_SHAPE(INT64_MAX));
    cr_assert_eq(tess_array_chunks_total(x), INT64_MAX);
    expect_rules(&session);
}

Test(graph_chunks, wrong_chunks)
{
    const tess_shape shape = TESS_SHAPE(7, 6);
    const int64_t sizes[] = {3, 3, 2};
    const int64_t negative[] = {8, -1};
    EXPECT_FAILED(zeros(shape, TESS_CHUNKS(3)), TESS_ECHUNKS, "zeros: (7, 6) in chunks of (3,)",
                  "1 axes of chunks for 2 axes");
    EXPECT_FAILED(zeros(shape, TESS_CHUNKS(3, 3, 3)), TESS_ECHUNKS, "(3, 3, 3)");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS(3, 3), 2, sizes, 3)), TESS_ECHUNKS,
                  "zeros: (7, 6): chunks of 17 axes", "tess_chunks_list");
    EXPECT_FAILED(zeros(shape, TESS_CHUNKS(3, -2)), TESS_ECHUNKS, "(7, 6) in chunks of (3, -2)",
                  "axis 1: a step of -2");
    EXPECT_FAILED(zeros(shape, TESS_CHUNKS_EACH(-5)), TESS_ECHUNKS, "(-5 each)");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS(3, TESS_AUTO_CHUNK), 0, sizes, 3)),
                  TESS_ECHUNKS, "(7, 6) in chunks of ([3, 3, 2], auto)", "axis 0",
                  "more than the 7");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS(3, 3), 0, sizes, 2)), TESS_ECHUNKS,
                  "([3, 3], 3)", "add up to 6");
    EXPECT_FAILED(zeros(TESS_SHAPE(7), tess_chunks_list(TESS_CHUNKS(3), 0, negative, 2)),
                  TESS_ECHUNKS, "(7,) in chunks of ([8, -1],)");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS(3, 3), 2, sizes, 3)), TESS_ECHUNKS,
                  "(7, 6)");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS_NONE, 5, sizes, 3)), TESS_ECHUNKS,
                  "(7, 6)", "axis 5");
    EXPECT_FAILED(zeros(shape, tess_chunks_list(TESS_CHUNKS(3, 3), 0, NULL, 3)), TESS_ECHUNKS,
                  "(7, 6)");
    tess_chunks chunks = TESS_CHUNKS(3, 3);
    chunks.list_count[1] = 2;
    EXPECT_FAILED(zeros(shape, chunks), TESS_ECHUNKS, "axis 1 has no list of 2");
    chunks.list[1] = sizes;
    chunks.list_count[1] = -1;
    EXPECT_FAILED(zeros(shape, chunks), TESS_ECHUNKS, "axis 1 has a list of -1");
    chunks.ndim = -7;
    EXPECT_FAILED(zeros(shape, chunks), TESS_ECHUNKS, "(7, 6)");
    EXPECT_FAILED(zeros(TESS_SCALAR_SHAPE, TESS_CHUNKS(3)), TESS_ECHUNKS, "() in chunks of (3,)");
    expect_rules(&session);
}

Test(graph_chunks, too_many_chunks_to_count)
{
    enum { COUNT = 1000 };
    static int64_t sizes[COUNT];
    sizes[1] = 1;
    tess_shape shape = {.ndim = 7};
    tess_chunks chunks = {.ndim = 7};
    for (int i = 0; i < shape.ndim; i++) {
        shape.size[i] = 1;
        chunks.list[i] = sizes;
        chunks.list_count[i] = COUNT;
    }
    EXPECT_FAILED(zeros(shape, chunks), TESS_EOVERFLOW, "number of chunks");
    expect_rules(&session);
}

Test(graph_chunks, long_lists_are_cut_in_messages)
{
    enum { COUNT = 100 };
    int64_t sizes[COUNT];
    tess_shape shape = {.ndim = TESS_NDIM_MAX};
    tess_chunks chunks = {.ndim = TESS_NDIM_MAX};
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = INT64_C(1000000000000000000);
    }
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        shape.size[i] = 1;
        chunks.list[i] = sizes;
        chunks.list_count[i] = COUNT;
    }
    EXPECT_FAILED(zeros(shape, chunks), TESS_ECHUNKS, "zeros: (1, 1,", "…]");
    expect_rules(&session);
}
