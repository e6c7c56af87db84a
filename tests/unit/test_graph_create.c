// SPDX-License-Identifier: Apache-2.0
//
// Sources: their values by the oracle of the tests, and what they refuse.

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

TestSuite(graph_create, .init = set_up, .fini = tear_down);

static void
expect_f64(tess_array *x, int64_t count, const double *expected)
{
    double got[64];
    cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
    cr_assert_eq(tess_array_count(x), count, "%" PRId64 " elements", tess_array_count(x));
    cr_assert(test_eval(tess_cast(x, TESS_F64), got));
    for (int64_t i = 0; i < count; i++) {
        cr_assert(got[i] == expected[i], "element %" PRId64 " is %g, not %g", i, got[i],
                  expected[i]);
    }
}

#define EXPECT_VALUES(x, ...)                                                                      \
    expect_f64((x), (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                   \
               (const double[]){__VA_ARGS__})

Test(graph_create, constants)
{
    for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        const tess_shape shape = TESS_SHAPE(2);
        const double three = dtype == TESS_BOOL ? 1 : 3;
        EXPECT_VALUES(tess_zeros(&session, shape, TESS_CHUNKS(1), (tess_dtype)dtype), 0, 0);
        EXPECT_VALUES(tess_ones(&session, shape, TESS_CHUNKS(1), (tess_dtype)dtype), 1, 1);
        EXPECT_VALUES(tess_full(&session, shape, TESS_CHUNKS(1), (tess_dtype)dtype, 3), three,
                      three);
        EXPECT_VALUES(tess_full_int(&session, shape, TESS_CHUNKS(1), (tess_dtype)dtype, 3), three,
                      three);
    }
    const tess_shape one = TESS_SHAPE(1);
    EXPECT_VALUES(tess_full(&session, one, TESS_CHUNKS(1), TESS_U8, 300), 255);
    EXPECT_VALUES(tess_full(&session, one, TESS_CHUNKS(1), TESS_I8, -2.9), -2);
    EXPECT_VALUES(tess_full(&session, one, TESS_CHUNKS(1), TESS_I8, NAN), 0);
    EXPECT_VALUES(tess_full_int(&session, one, TESS_CHUNKS(1), TESS_U8, 300), 44);
    EXPECT_VALUES(tess_full_int(&session, one, TESS_CHUNKS(1), TESS_U8, -1), 255);
    EXPECT_VALUES(tess_full_int(&session, one, TESS_CHUNKS(1), TESS_BOOL, -5), 1);
    expect_rules(&session);
}

Test(graph_create, scalars)
{
    tess_array *x = tess_scalar(&session, 1.5);
    expect_sound(x, TESS_F64, TESS_SCALAR_SHAPE);
    cr_assert(x->weak);
    EXPECT_VALUES(x, 1.5);
    x = tess_scalar_int(&session, -7);
    expect_sound(x, TESS_I64, TESS_SCALAR_SHAPE);
    EXPECT_VALUES(x, -7);
}

static tess_array *
arange(double start, double stop, double step, tess_dtype dtype)
{
    return tess_arange(&session, start, stop, step, TESS_CHUNKS(2), dtype);
}

Test(graph_create, arange_counts)
{
    EXPECT_VALUES(arange(0, 5, 1, TESS_F64), 0, 1, 2, 3, 4);
    EXPECT_VALUES(arange(0, 5, 2, TESS_F32), 0, 2, 4);
    EXPECT_VALUES(arange(5, 0, -2, TESS_I8), 5, 3, 1);
    EXPECT_VALUES(arange(0, 1, 0.25, TESS_F64), 0, 0.25, 0.5, 0.75);
    EXPECT_VALUES(arange(0.5, 3.5, 1, TESS_I32), 0, 1, 2);
    EXPECT_VALUES(arange(250, 260, 2, TESS_U8), 250, 252, 254, 0, 2);
    EXPECT_VALUES(arange(-2, 1, 1, TESS_BOOL), 1, 1, 0);
    cr_assert_eq(tess_array_count(arange(1, 1, 1, TESS_F64)), 0);
    cr_assert_eq(tess_array_count(arange(2, 1, 1, TESS_F64)), 0);
    cr_assert_eq(tess_array_count(arange(1, 2, -1, TESS_F64)), 0);
    cr_assert_eq(tess_array_count(arange(0, 0.3, 0.1, TESS_F64)), 3);
    cr_assert_eq(tess_array_count(arange(1, 1.3, 0.1, TESS_F64)), 4, "as NumPy counts");
    cr_assert_eq(tess_array_count(arange(0, -INFINITY, 1, TESS_F64)), 0);
    tess_array *x = arange(0, 5, 1, TESS_F64);
    EXPECT_CHUNKS(x, 0, 2, 2, 1);
    expect_rules(&session);
}

Test(graph_create, arange_refuses)
{
    EXPECT_FAILED(arange(0, 5, 0, TESS_F64), TESS_EINVAL, "arange: ", "steps of 0");
    EXPECT_FAILED(arange(0, 5, NAN, TESS_F64), TESS_EINVAL, "arange: ");
    EXPECT_FAILED(arange(0, 5, INFINITY, TESS_F64), TESS_EINVAL, "arange: ");
    EXPECT_FAILED(arange(NAN, 5, 1, TESS_F64), TESS_EINVAL, "arange: ");
    EXPECT_FAILED(arange(0, INFINITY, 1, TESS_F64), TESS_EOVERFLOW, "arange: from 0 to inf");
    EXPECT_FAILED(arange(0, 1e30, 1, TESS_F64), TESS_EOVERFLOW, "arange: ");
    EXPECT_FAILED(arange(0, 9e18, 1, TESS_F64), TESS_EOVERFLOW, "arange: (9000");
    EXPECT_FAILED(arange(0, 5, 1, TESS_NONE), TESS_EDTYPE, "arange: 0 is no dtype");
    EXPECT_FAILED(tess_arange(&session, 0, 5, 1, TESS_CHUNKS(1, 1), TESS_F64), TESS_ECHUNKS,
                  "arange: (5,) in chunks of (1, 1)");
}

Test(graph_create, linspace)
{
    EXPECT_VALUES(tess_linspace(&session, 1, 2, 5, TESS_CHUNKS(2), TESS_F64), 1, 1.25, 1.5, 1.75,
                  2);
    EXPECT_VALUES(tess_linspace(&session, 2, -2, 3, TESS_CHUNKS(2), TESS_I32), 2, 0, -2);
    EXPECT_VALUES(tess_linspace(&session, 7, 9, 1, TESS_CHUNKS(2), TESS_F32), 7);
    EXPECT_VALUES(tess_linspace(&session, 7, 9, 2, TESS_CHUNKS(2), TESS_F32), 7, 9);
    cr_assert_eq(tess_array_count(tess_linspace(&session, 7, 9, 0, TESS_CHUNKS(2), TESS_F32)), 0);
    double got[11];
    cr_assert(test_eval(tess_linspace(&session, 0, 0.7, 11, TESS_CHUNKS(3), TESS_F64), got));
    cr_assert(got[10] == 0.7, "the last is the stop itself");
    EXPECT_FAILED(tess_linspace(&session, 7, 9, -1, TESS_CHUNKS(2), TESS_F32), TESS_ESHAPE,
                  "linspace: (-1,)");
    EXPECT_FAILED(tess_linspace(&session, 7, 9, 3, TESS_CHUNKS(2), (tess_dtype)50), TESS_EDTYPE,
                  "linspace: 50");
    // The last of a slice is the last of the whole only where it is.
    tess_array *x = tess_linspace(&session, 1, 2, 5, TESS_CHUNKS(2), TESS_F64);
    EXPECT_VALUES(tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -2))), 2, 1.5, 1);
    EXPECT_VALUES(tess_slice(x, TESS_INDEX(TESS_AT(4))), 2);
    expect_rules(&session);
}

Test(graph_create, eye)
{
    EXPECT_VALUES(tess_eye(&session, 2, 3, 0, TESS_CHUNKS_EACH(2), TESS_F64), 1, 0, 0, 0, 1, 0);
    EXPECT_VALUES(tess_eye(&session, 3, 2, -1, TESS_CHUNKS_EACH(2), TESS_BOOL), 0, 0, 1, 0, 0, 1);
    EXPECT_VALUES(tess_eye(&session, 1, 3, 2, TESS_CHUNKS_EACH(2), TESS_U8), 0, 0, 1);
    EXPECT_VALUES(tess_eye(&session, 3, 1, -2, TESS_CHUNKS_EACH(2), TESS_U8), 0, 0, 1);
    EXPECT_VALUES(tess_eye(&session, 1, 2, INT64_MIN, TESS_CHUNKS_EACH(2), TESS_U8), 0, 0);
    cr_assert_eq(tess_array_count(tess_eye(&session, 0, 3, 0, TESS_CHUNKS_EACH(2), TESS_U8)), 0);
    tess_array *x = tess_eye(&session, 2, 3, 1, TESS_CHUNKS_EACH(2), TESS_F64);
    EXPECT_VALUES(tess_transpose(x, TESS_REVERSED), 0, 0, 1, 0, 0, 1);
    EXPECT_FAILED(tess_eye(&session, -1, 3, 0, TESS_CHUNKS_EACH(2), TESS_U8), TESS_ESHAPE,
                  "eye: (-1, 3)");
    EXPECT_FAILED(tess_eye(&session, 3, 3, 0, TESS_CHUNKS(2), TESS_U8), TESS_ECHUNKS,
                  "eye: (3, 3) in chunks of (2,)");
    expect_rules(&session);
}

Test(graph_create, memory_and_strides)
{
    const int16_t data[] = {0, 1, 2, 3, 4, 5};
    const int64_t columns_first[] = {2, 6};
    const int64_t backwards[] = {-6, -2};
    const int64_t repeated[] = {0, 2};
    const tess_chunks chunks = TESS_CHUNKS_EACH(2);
    tess_array *x = tess_from_memory(&session, data, TESS_I16, TESS_SHAPE(2, 3), NULL, chunks);
    EXPECT_VALUES(x, 0, 1, 2, 3, 4, 5);
    x = tess_from_memory(&session, data, TESS_I16, TESS_SHAPE(3, 2), columns_first, chunks);
    EXPECT_VALUES(x, 0, 3, 1, 4, 2, 5);
    x = tess_from_memory(&session, data + 5, TESS_I16, TESS_SHAPE(2, 3), backwards, chunks);
    EXPECT_VALUES(x, 5, 4, 3, 2, 1, 0);
    x = tess_from_memory(&session, data + 1, TESS_I16, TESS_SHAPE(2, 2), repeated, chunks);
    EXPECT_VALUES(x, 1, 2, 1, 2);
    x = tess_from_memory(&session, data + 1, TESS_I16, TESS_SCALAR_SHAPE, NULL, chunks);
    EXPECT_VALUES(x, 1);
    x = tess_from_memory(&session, (const char *)data + 1, TESS_U8, TESS_SHAPE(3), NULL, chunks);
    EXPECT_VALUES(x, 0, 1, 0);
    expect_rules(&session);
}

Test(graph_create, memory_refuses)
{
    const double data[] = {1, 2};
    const int64_t far[] = {INT64_MAX, INT64_MAX};
    const int64_t farthest[] = {INT64_MIN, 8};
    const tess_chunks chunks = TESS_CHUNKS_NONE;
    EXPECT_FAILED(tess_from_memory(&session, NULL, TESS_F64, TESS_SHAPE(2, 3), NULL, chunks),
                  TESS_EINVAL, "from_memory: (2, 3)", "NULL");
    expect_sound(tess_from_memory(&session, NULL, TESS_F64, TESS_SHAPE(2, 0), NULL, chunks),
                 TESS_F64, TESS_SHAPE(2, 0));
    EXPECT_FAILED(tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(2, 2), far, chunks),
                  TESS_EOVERFLOW, "from_memory: (2, 2)", "strides");
    EXPECT_FAILED(tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(2, 2), farthest, chunks),
                  TESS_EOVERFLOW, "strides");
    cr_assert_eq(tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(1, 1), far, chunks)->status,
                 TESS_OK, "strides of one element do not matter");
    EXPECT_FAILED(tess_from_memory(&session, data, TESS_NONE, TESS_SHAPE(2), NULL, chunks),
                  TESS_EDTYPE, "from_memory: 0 is no dtype");
    tess_shape many = {.ndim = 17};
    EXPECT_FAILED(tess_from_memory(&session, data, TESS_F64, many, far, chunks), TESS_ESHAPE,
                  "17 axes");
    expect_rules(&session);
}

static char folder[] = "/tmp/tess-test-XXXXXX";

// A file with the header `dict` and `bytes` of data.
static void
write_npy(const char *name, const char *dict, const void *data, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    const size_t length = strlen(dict);
    cr_assert(file != NULL);
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc((int)(length & 255), file);
    fputc((int)(length >> 8), file);
    fwrite(dict, 1, length, file);
    fwrite(data, 1, bytes, file);
    fclose(file);
}

static tess_array *
load(const char *name, tess_chunks chunks)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return tess_load_npy(&session, path, chunks);
}

Test(graph_create, npy_files)
{
    cr_assert(mkdtemp(folder) != NULL);
    const double data[] = {0, 1, 2, 3, 4, 5};
    const unsigned char big[] = {0x01, 0x02, 0xFF, 0xFE};
    write_npy("c.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", data,
              sizeof data);
    write_npy("f.npy", "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }\n", data,
              sizeof data);
    write_npy("b.npy", "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", big,
              sizeof big);
    write_npy("short.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (7,), }\n", data,
              sizeof data);
    write_npy("z.npy", "{'descr': '<c16', 'fortran_order': False, 'shape': (3,), }\n", data,
              sizeof data);
    tess_array *x = load("c.npy", TESS_CHUNKS(1, 2));
    expect_sound(x, TESS_F64, TESS_SHAPE(2, 3));
    EXPECT_CHUNKS(x, 1, 2, 1);
    EXPECT_VALUES(x, 0, 1, 2, 3, 4, 5);
    EXPECT_VALUES(load("f.npy", TESS_CHUNKS_AUTO), 0, 2, 4, 1, 3, 5);
    EXPECT_VALUES(load("b.npy", TESS_CHUNKS_AUTO), 258, -2);
    cr_assert(x == load("c.npy", TESS_CHUNKS(1, 2)));
    cr_assert(x == load("../tess-test-nowhere/../c.npy", TESS_CHUNKS(1, 2)) ||
              load("./c.npy", TESS_CHUNKS(1, 2)) == x);
    cr_assert(load("f.npy", TESS_CHUNKS(1, 2)) != x);
    cr_assert_eq(chdir(folder), 0);
    x = tess_load_npy(&session, "c.npy", TESS_CHUNKS(1, 2));
    cr_assert_eq(x->file.path[0], '/', "workers run elsewhere");
    cr_assert_eq(chdir("/"), 0);
    EXPECT_FAILED(load("none.npy", TESS_CHUNKS_AUTO), TESS_EIO, "load_npy: ", "none.npy");
    EXPECT_FAILED(load("short.npy", TESS_CHUNKS_AUTO), TESS_EFORMAT, "load_npy: ", "short.npy");
    EXPECT_FAILED(load("z.npy", TESS_CHUNKS_AUTO), TESS_EDTYPE, "load_npy: ", "z.npy");
    EXPECT_FAILED(load("c.npy", TESS_CHUNKS(1)), TESS_ECHUNKS,
                  "load_npy: (2, 3) in chunks of (1,)");
    EXPECT_FAILED(tess_load_npy(&session, NULL, TESS_CHUNKS_AUTO), TESS_EINVAL,
                  "load_npy: the path is NULL");
    EXPECT_FAILED(tess_load_npy(&session, folder, TESS_CHUNKS_AUTO), TESS_EIO, "load_npy: ");
    expect_rules(&session);
    const char *const names[] = {"c.npy", "f.npy", "b.npy", "short.npy", "z.npy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

Test(graph_create, wrong_dtypes)
{
    const tess_shape shape = TESS_SHAPE(3);
    EXPECT_FAILED(tess_zeros(&session, shape, TESS_CHUNKS(1), TESS_NONE), TESS_EDTYPE, "zeros: 0");
    EXPECT_FAILED(tess_ones(&session, shape, TESS_CHUNKS(1), TESS_DTYPE_COUNT), TESS_EDTYPE,
                  "ones: 12");
    EXPECT_FAILED(tess_full(&session, shape, TESS_CHUNKS(1), (tess_dtype)-1, 1.0), TESS_EDTYPE,
                  "full: -1 is no dtype");
    EXPECT_FAILED(tess_full_int(&session, shape, TESS_CHUNKS(1), (tess_dtype)77, 1), TESS_EDTYPE,
                  "full_int: 77");
    EXPECT_FAILED(tess_eye(&session, 1, 1, 0, TESS_CHUNKS_NONE, (tess_dtype)77), TESS_EDTYPE,
                  "eye: 77");
}
