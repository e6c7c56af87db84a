// SPDX-License-Identifier: Apache-2.0
//
// Slices, transposes, repetitions and new cuts, alone and put together, of every kind of array that
// they can be views of: sources, memory of odd strides, files of every layout, computed and kept
// arrays. All of them move elements only, so the bits must be those of the oracle.

#include "tests/support/api.h"

#include <unistd.h>

#include "tests/support/random.h"

static char directory[64];

static void
set_up(void)
{
    strcpy(directory, "/tmp/tessera-view-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
}

static void
tear_down(void)
{
    rmdir(directory);
}

TestSuite(api_view, .init = set_up, .fini = tear_down);

// Chunks of `shape` at random places, empty ones among them.
static tess_chunks
random_chunks(struct test_random *random, tess_shape shape, int64_t lists[TESS_NDIM_MAX][16])
{
    tess_chunks chunks = {.ndim = shape.ndim};
    for (int a = 0; a < shape.ndim; a++) {
        chunks.step[a] = test_random_between(random, -1, 5);
        if (test_random_one_in(random, 3)) {
            int64_t left = shape.size[a];
            int64_t count = 0;
            while (count < 15 && (left > 0 || count == 0)) {
                const int64_t most = left < 4 ? left : 4;
                lists[a][count] = test_random_between(random, 0, most);
                left -= lists[a][count++];
            }
            if (left > 0) {
                lists[a][count++] = left;
            }
            chunks = tess_chunks_list(chunks, a, lists[a], count);
        }
    }
    return chunks;
}

static tess_array *
random_slice(struct test_random *random, tess_array *x)
{
    const tess_shape shape = tess_array_shape(x);
    tess_indices indices = {0};
    for (int a = 0; a < shape.ndim; a++) {
        const int64_t size = shape.size[a];
        const int64_t step = test_random_between(random, 1, 3);
        switch (test_random_between(random, 0, 5)) {
        case 0:
            if (size > 0) {
                indices.index[indices.count++] =
                    TESS_AT(test_random_between(random, -size, size - 1));
                break;
            }
            indices.index[indices.count++] = TESS_WHOLE;
            break;
        case 1:
            indices.index[indices.count++] = TESS_RANGE(TESS_OPEN, TESS_OPEN, -step);
            break;
        case 2:
            indices.index[indices.count++] =
                TESS_RANGE(test_random_between(random, -size - 1, size + 1), TESS_OPEN, step);
            break;
        case 3:
            if (shape.ndim < 5) {
                indices.index[indices.count++] = TESS_NEWAXIS;
            }
            indices.index[indices.count++] =
                TESS_RANGE(test_random_between(random, 0, size), TESS_OPEN, -step);
            break;
        default:
            indices.index[indices.count++] = TESS_WHOLE;
            break;
        }
    }
    return tess_slice(x, indices);
}

static tess_array *
random_transpose(struct test_random *random, tess_array *x)
{
    tess_order order = {.ndim = tess_array_shape(x).ndim};
    for (int a = 0; a < order.ndim; a++) {
        const int other = (int)test_random_between(random, 0, a);
        order.axis[a] = order.axis[other];
        order.axis[other] = a;
    }
    return tess_transpose(x, order);
}

static tess_array *
random_repeat(struct test_random *random, tess_array *x)
{
    const tess_shape from = tess_array_shape(x);
    tess_shape shape = {0};
    if (from.ndim < 5) {
        shape.size[shape.ndim++] = test_random_between(random, 0, 3);
    }
    for (int a = 0; a < from.ndim; a++) {
        const bool repeats = from.size[a] == 1 && test_random_one_in(random, 2);
        shape.size[shape.ndim++] = repeats ? test_random_between(random, 0, 4) : from.size[a];
    }
    return tess_broadcast_to(x, shape);
}

static tess_array *
random_view(struct test_random *random, tess_array *x)
{
    int64_t lists[TESS_NDIM_MAX][16];
    switch (test_random_between(random, 0, 5)) {
    case 0:
        return random_transpose(random, x);
    case 1:
        return random_repeat(random, x);
    case 2:
        return tess_rechunk(x, random_chunks(random, tess_array_shape(x), lists));
    default:
        return random_slice(random, x);
    }
}

// Views of views of `x`, each checked.
static void
check_views(const char *name, tess_array *x, uint64_t seed)
{
    char what[96];
    struct test_random random = {seed};
    expect_oracle(name, x);
    for (int i = 0; i < 25; i++) {
        tess_array *view = x;
        const int64_t depth = test_random_between(&random, 1, 4);
        for (int64_t d = 0; d < depth; d++) {
            view = random_view(&random, view);
        }
        snprintf(what, sizeof what, "%s, seed %" PRIu64 ", view %d", name, seed, i);
        expect_oracle(what, view);
    }
}

Test(api_view, of_sources)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        tess_session *s = open_embedded(2);
        const tess_shape shape = TESS_SHAPE(7, 1, 5);
        struct test_random random = {seed};
        int64_t lists[TESS_NDIM_MAX][16];
        const tess_chunks chunks = random_chunks(&random, shape, lists);
        check_views("normal", tess_random_normal(s, shape, chunks, 0, 1), seed);
        check_views("integers", tess_random_integers(s, shape, chunks, TESS_U16, 0, 999), seed);
        check_views("uniform", tess_random_uniform(s, shape, TESS_CHUNKS_EACH(2), 0, 1), seed);
        check_views("full", tess_full_int(s, shape, chunks, TESS_I8, 3), seed);
        check_views("eye", tess_eye(s, 6, 9, 1, TESS_CHUNKS(4, 2), TESS_F32), seed);
        check_views("arange", tess_arange(s, -5, 6, 0.5, TESS_CHUNKS(4), TESS_F64), seed);
        check_views("linspace", tess_linspace(s, 1, 2, 14, TESS_CHUNKS(5), TESS_F64), seed);
        tess_session_close(s);
    }
}

// Every dtype; strides that are negative, zero, crossed, unaligned.
Test(api_view, of_memory)
{
    unsigned char *data = calloc(1, 9 * 8 * 40);
    cr_assert(data != NULL);
    for (int i = 0; i < 9 * 8 * 40; i++) {
        data[i] = (unsigned char)(i * 37 % 251);
    }
    for (tess_dtype dtype = TESS_I8; dtype < TESS_DTYPE_COUNT; dtype++) {
        tess_session *s = open_embedded(2);
        const int64_t b = (int64_t)tess_dtype_bytes(dtype);
        const tess_shape shape = TESS_SHAPE(8, 1, 9);
        const int64_t strides[][3] = {{9 * b, 9 * b, b}, {-9 * b, 5, b},     {b, 0, 8 * b},
                                      {-b, 0, -8 * b},   {0, 0, 2 * b},      {9 * b + 1, 3, b},
                                      {0, 0, 0},         {16 * b, 1, -b - 1}};
        for (size_t i = 0; i < sizeof strides / sizeof *strides; i++) {
            const unsigned char *first = data + 9 * 8 * 20 + 1;
            check_views("memory",
                        tess_from_memory(s, first, dtype, shape, strides[i], TESS_CHUNKS(3, 1, 4)),
                        (uint64_t)dtype * 100 + i);
        }
        tess_session_close(s);
    }
    free(data);
}

static void
write_all(FILE *file, const void *bytes, size_t count)
{
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
}

// An NPY file by hand: `type` such as ">i4".
static void
write_npy(const char *path, const char *type, bool fortran_order, const char *shape, int version,
          const void *data, size_t bytes)
{
    char header[256];
    const int length =
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n",
                 type, fortran_order ? "True" : "False", shape);
    const unsigned char size[] = {(unsigned char)length, (unsigned char)(length >> 8), 0, 0};
    const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0};
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL);
    write_all(file, magic, sizeof magic);
    write_all(file, size, version == 1 ? 2 : 4);
    write_all(file, header, (size_t)length);
    write_all(file, data, bytes);
    fclose(file);
}

Test(api_view, of_files)
{
    static const struct {
        const char *type;
        tess_dtype dtype;
    } types[] = {{"|b1", TESS_BOOL}, {"|i1", TESS_I8},  {"<i2", TESS_I16}, {">i2", TESS_I16},
                 {"<i4", TESS_I32},  {">i4", TESS_I32}, {"<i8", TESS_I64}, {">i8", TESS_I64},
                 {"|u1", TESS_U8},   {">u2", TESS_U16}, {"<u4", TESS_U32}, {">u8", TESS_U64},
                 {"<f4", TESS_F32},  {">f4", TESS_F32}, {"<f8", TESS_F64}, {">f8", TESS_F64}};
    char path[128];
    unsigned char data[8 * 7 * 6];
    snprintf(path, sizeof path, "%s/view.npy", directory);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (int fortran = 0; fortran < 2; fortran++) {
            for (int k = 0; k < (int)sizeof data; k++) {
                data[k] = (unsigned char)(types[i].dtype == TESS_BOOL ? k % 3 == 0 : k * 53 % 127);
            }
            write_npy(path, types[i].type, fortran == 1, "(7, 1, 6)", 1 + (int)i % 3, data,
                      42 * tess_dtype_bytes(types[i].dtype));
            tess_session *s = open_embedded(2);
            tess_array *x = tess_load_npy(s, path, TESS_CHUNKS(3, 1, 4));
            cr_assert_eq(tess_array_dtype(x), types[i].dtype, "%s", tess_array_error(x));
            check_views(types[i].type, x, i);
            expect_near_oracle("sum", tess_sum(x, TESS_AXIS(0)), (struct tolerance){16, 16, 0});
            tess_session_close(s);
        }
    }
    unlink(path);
}

Test(api_view, of_files_without_elements)
{
    char path[128];
    snprintf(path, sizeof path, "%s/none.npy", directory);
    write_npy(path, "<f8", false, "(3, 0, 2)", 1, "", 0);
    tess_session *s = open_embedded(2);
    check_views("none", tess_load_npy(s, path, TESS_CHUNKS_EACH(2)), 1);
    write_npy(path, ">f4", true, "()", 1, "\x40\x49\x0f\xdb", 4);
    tess_array *x = tess_load_npy(s, path, TESS_CHUNKS_AUTO);
    check_views("no axes", x, 2);
    float value = 0;
    cr_assert_eq(tess_compute(x, &value, sizeof value), TESS_OK);
    cr_assert_eq(value, 3.14159274F);
    tess_session_close(s);
    unlink(path);
}

// Of what is computed, in the same task or in tasks before, and of what is kept.
Test(api_view, of_results)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        tess_session *s = open_embedded(2);
        struct test_random random = {seed};
        int64_t lists[TESS_NDIM_MAX][16];
        const tess_shape shape = TESS_SHAPE(6, 5, 4);
        const tess_chunks chunks = random_chunks(&random, shape, lists);
        tess_array *x = tess_random_integers(s, shape, chunks, TESS_I32, -9, 10);
        tess_array *y = tess_add(x, tess_slice(x, TESS_INDEX(TESS_RANGE(0, 1, 1))));
        tess_array *sum = tess_sum(y, TESS_AXIS(1) | TESS_KEEPDIMS);
        check_views("map", y, seed);
        check_views("reduction", sum, seed);
        check_views("product", tess_matmul(y, tess_transpose(y, TESS_ORDER(0, 2, 1))), seed);
        check_views("cast", tess_cast(y, TESS_F32), seed);
        cr_assert_eq(tess_persist(y), TESS_OK);
        cr_assert_eq(tess_persist(sum), TESS_OK);
        check_views("kept", y, seed + 100);
        check_views("kept reduction", sum, seed + 100);
        tess_array *turned = tess_transpose(y, TESS_REVERSED);
        cr_assert_eq(tess_persist(turned), TESS_OK);
        check_views("kept view", turned, seed);
        tess_session_close(s);
    }
}

// What was made before x was kept, or while it was, means the same at any time.
Test(api_view, of_random_numbers_that_are_kept)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        tess_session *s = open_embedded(2);
        tess_array *x =
            tess_random_normal(s, TESS_SHAPE(9, 4, 7), TESS_CHUNKS(4, 3, 5), (double)seed, 1);
        check_views("random numbers", x, seed);
        cr_assert_eq(tess_persist(x), TESS_OK);
        tess_array *turned = tess_transpose(x, TESS_REVERSED);
        check_views("kept random numbers", x, seed);
        check_views("kept random numbers", turned, seed);
        cr_assert(strstr(tess_explain(turned), "kept") != NULL, "%s", tess_explain(turned));
        tess_release(x);
        check_views("random numbers, kept no more", x, seed);
        check_views("random numbers, kept no more", turned, seed);
        cr_assert(strstr(tess_explain(turned), "kept") == NULL, "%s", tess_explain(turned));
        tess_session_close(s);
    }
}

// The same elements read at different places of the loop in one task.
Test(api_view, neighbours)
{
    tess_session *s = open_embedded(2);
    tess_array *x = tess_random_normal(s, TESS_SHAPE(40, 30), TESS_CHUNKS(7, 11), 0, 1);
    tess_array *y = tess_exp(x);
    const tess_index inner = TESS_RANGE(1, -1, 1);
    const tess_index before = TESS_RANGE(TESS_OPEN, -2, 1);
    const tess_index after = TESS_RANGE(2, TESS_OPEN, 1);
    tess_array *vertical =
        tess_add(tess_slice(y, TESS_INDEX(before, inner)), tess_slice(y, TESS_INDEX(after, inner)));
    tess_array *horizontal =
        tess_add(tess_slice(y, TESS_INDEX(inner, before)), tess_slice(y, TESS_INDEX(inner, after)));
    expect_near_oracle("stencil", tess_add(vertical, horizontal), (struct tolerance){0, 8, 0});
    expect_near_oracle("symmetric",
                       tess_add(tess_matmul(x, tess_transpose(x, TESS_REVERSED)),
                                tess_matmul(y, tess_transpose(y, TESS_REVERSED))),
                       (struct tolerance){0, 64, 0});
    tess_array *square = tess_slice(x, TESS_INDEX(TESS_RANGE(0, 30, 1)));
    expect_oracle("with its transpose",
                  tess_subtract(square, tess_transpose(square, TESS_REVERSED)));
    expect_oracle(
        "backward",
        tess_subtract(x, tess_slice(x, TESS_INDEX(TESS_RANGE(TESS_OPEN, TESS_OPEN, -1)))));
    tess_session_close(s);
}

// Arrays without elements whose other axes are long: no index of them is ever read.
Test(api_view, nothing_of_huge_axes)
{
    tess_session *s = open_embedded(2);
    const int64_t huge = (int64_t)1 << 28;
    const tess_shape shape = TESS_SHAPE(0, huge, huge);
    tess_array *x = tess_random_normal(s, shape, TESS_CHUNKS(1, -1, -1), 0, 1);
    tess_array *view = tess_slice(x, TESS_INDEX(TESS_WHOLE, TESS_RANGE(TESS_OPEN, TESS_OPEN, -3)));
    cr_assert_eq(tess_array_status(view), TESS_OK, "%s", tess_array_error(view));
    cr_assert_eq(tess_compute(tess_transpose(view, TESS_REVERSED), NULL, 0), TESS_OK, "%s",
                 tess_session_error(s));
    cr_assert_eq(tess_compute(tess_add(tess_slice(view, TESS_INDEX(TESS_WHOLE, TESS_AT(5))),
                                       tess_scalar(s, 1)),
                              NULL, 0),
                 TESS_OK, "%s", tess_session_error(s));
    tess_session_close(s);
}
