// SPDX-License-Identifier: Apache-2.0
//
// NPY files written chunk by chunk, read back here and by NumPy.

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io/npy.h"

enum { ELEMENTS_MAX = 5000 };

static char folder[64];
static char path[128];
static char temporary[128];

static void
setup(void)
{
    strcpy(folder, "/tmp/tessera_npy_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/array.npy", folder);
    snprintf(temporary, sizeof temporary, "%s/array.npy.part", folder);
}

static void
teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(npy_write, .init = setup, .fini = teardown);

static bool
exists(const char *name)
{
    struct stat info;
    return lstat(name, &info) == 0;
}

// An array and the steps at which its axes are cut.
struct grid {
    tess_shape shape;
    int64_t step[TESS_NDIM_MAX];
};

static const struct grid grids[] = {
    {{0, {0}}, {0}},
    {{1, {7}}, {3}},
    {{1, {7}}, {7}},
    {{1, {7}}, {100}},
    {{1, {7}}, {1}},
    {{1, {0}}, {5}},
    {{2, {5, 6}}, {2, 6}},
    {{2, {5, 6}}, {5, 4}},
    {{2, {5, 6}}, {2, 4}},
    {{2, {5, 0}}, {2, 4}},
    {{2, {0, 5}}, {2, 4}},
    {{2, {1, 9}}, {1, 4}},
    {{3, {4, 5, 6}}, {3, 2, 6}},
    {{3, {4, 5, 6}}, {1, 5, 6}},
    {{3, {4, 5, 6}}, {4, 5, 5}},
    {{3, {4, 1, 6}}, {3, 1, 5}},
    {{4, {3, 1, 4, 2}}, {2, 1, 3, 1}},
    {{5, {2, 3, 2, 3, 2}}, {1, 2, 2, 3, 2}},
};

static int64_t
axis_chunks(const struct grid *grid, int axis)
{
    const int64_t size = grid->shape.size[axis];
    const int64_t count = (size + grid->step[axis] - 1) / grid->step[axis];
    return count > 0 ? count : 1;
}

static int64_t
chunk_count(const struct grid *grid)
{
    int64_t count = 1;
    for (int i = 0; i < grid->shape.ndim; i++) {
        count *= axis_chunks(grid, i);
    }
    return count;
}

// Element i of the array, as its `bytes` bytes: no two elements near each other are the same.
static void
put_element(unsigned char *out, int64_t i, size_t bytes)
{
    for (size_t j = 0; j < bytes; j++) {
        out[j] = (unsigned char)((i * 7 + (int64_t)j * 13 + i / 256) & 0xFF);
    }
}

// Fills `data` with the elements of the box, in C order; returns their number.
static int64_t
fill_box(const tess_shape *shape, const int64_t *start, const int64_t *size, size_t bytes,
         unsigned char *data)
{
    int64_t count = 1;
    for (int i = 0; i < shape->ndim; i++) {
        count *= size[i];
    }
    for (int64_t k = 0; k < count; k++) {
        int64_t rest = k;
        int64_t element = 0;
        int64_t step = 1;
        for (int i = shape->ndim - 1; i >= 0; i--) {
            element += (start[i] + rest % size[i]) * step;
            rest /= size[i];
            step *= shape->size[i];
        }
        put_element(data + (size_t)k * bytes, element, bytes);
    }
    return count;
}

static tess_status
write_chunk(const struct tsi_npy_target *target, const struct grid *grid, int64_t chunk,
            struct tsi_error *error)
{
    static unsigned char data[ELEMENTS_MAX * 8];
    int64_t start[TESS_NDIM_MAX] = {0};
    int64_t size[TESS_NDIM_MAX] = {0};
    int64_t rest = chunk;
    for (int i = grid->shape.ndim - 1; i >= 0; i--) {
        start[i] = rest % axis_chunks(grid, i) * grid->step[i];
        rest /= axis_chunks(grid, i);
        const int64_t left = grid->shape.size[i] - start[i];
        size[i] = left < grid->step[i] ? left : grid->step[i];
    }
    (void)fill_box(&grid->shape, start, size, tess_dtype_bytes(target->dtype), data);
    return tsi_npy_write_chunk(target, chunk, start, size, data, error);
}

static struct tsi_npy_target
target_of(const struct grid *grid, tess_dtype dtype)
{
    return (struct tsi_npy_target){path, temporary, dtype, grid->shape, chunk_count(grid), NULL};
}

// Writes all chunks, the last one first and one of them twice.
static void
write_all(const struct tsi_npy_target *target, const struct grid *grid)
{
    struct tsi_error error = {0};
    for (int64_t chunk = target->chunk_count; chunk-- > 0;) {
        cr_assert_eq(write_chunk(target, grid, chunk, &error), TESS_OK, "%s", error.text);
    }
    cr_assert_eq(write_chunk(target, grid, target->chunk_count / 2, &error), TESS_OK);
}

static void
assert_file_is_array(const struct tsi_npy_target *target)
{
    static unsigned char expected[ELEMENTS_MAX * 8];
    struct tsi_npy_header header;
    struct tsi_npy_map map;
    struct tsi_error error = {0};
    struct stat info;
    const int64_t start[TESS_NDIM_MAX] = {0};
    const size_t bytes = tess_dtype_bytes(target->dtype);
    const int64_t count = fill_box(&target->shape, start, target->shape.size, bytes, expected);

    cr_assert_eq(tsi_npy_read_header(path, &header, &error), TESS_OK, "%s", error.text);
    cr_assert_eq(header.dtype, target->dtype);
    cr_assert_eq(header.data_bytes, count * (int64_t)bytes);
    cr_assert_eq(tsi_npy_map_open(path, &header, &map, &error), TESS_OK, "%s", error.text);
    cr_assert(count == 0 || memcmp(map.data, expected, (size_t)count * bytes) == 0);
    tsi_npy_map_close(&map);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_size, header.data_offset + header.data_bytes, "nothing behind the array");
}

Test(npy_write, every_grid_gives_the_array)
{
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++) {
        struct tsi_error error = {0};
        const struct tsi_npy_target target = target_of(&grids[i], TESS_I32);
        write_all(&target, &grids[i]);
        cr_assert(exists(temporary));
        cr_assert_eq(tsi_npy_commit(&target, &error), TESS_OK, "grid %zu: %s", i, error.text);
        cr_assert(!exists(temporary));
        assert_file_is_array(&target);
    }
}

Test(npy_write, every_dtype_is_written)
{
    for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        const struct tsi_npy_target target = target_of(&grids[8], (tess_dtype)dtype);
        write_all(&target, &grids[8]);
        cr_assert_eq(tsi_npy_commit(&target, NULL), TESS_OK);
        assert_file_is_array(&target);
    }
}

Test(npy_write, new_files_have_the_usual_mode)
{
    struct stat info;
    umask(027);
    const struct tsi_npy_target target = target_of(&grids[1], TESS_U8);

    write_all(&target, &grids[1]);
    cr_assert_eq(tsi_npy_commit(&target, NULL), TESS_OK);

    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0640);
}

static void
assert_io_error(tess_status status, const struct tsi_error *error, const char *name)
{
    cr_assert_eq(status, TESS_EIO, "%s", tess_status_name(status));
    cr_assert(strstr(error->text, name) != NULL, "'%s' does not name %s", error->text, name);
}

Test(npy_write, an_array_with_a_hole_gets_no_name)
{
    for (int64_t missing = 0; missing < chunk_count(&grids[8]); missing++) {
        const struct tsi_npy_target target = target_of(&grids[8], TESS_F64);
        struct tsi_error error = {0};
        (void)unlink(temporary);
        for (int64_t chunk = 0; chunk < target.chunk_count; chunk++) {
            if (chunk != missing) {
                cr_assert_eq(write_chunk(&target, &grids[8], chunk, &error), TESS_OK);
            }
        }
        assert_io_error(tsi_npy_commit(&target, &error), &error, temporary);
        cr_assert(!exists(path));
        cr_assert_eq(write_chunk(&target, &grids[8], missing, &error), TESS_OK);
        cr_assert_eq(tsi_npy_commit(&target, &error), TESS_OK, "%s", error.text);
        assert_file_is_array(&target);
        cr_assert_eq(unlink(path), 0);
    }
}

// More chunks than the commit looks at in one step, and the hole at the start of the second.
Test(npy_write, a_hole_among_thousands_of_chunks_is_found)
{
    static const struct grid grid = {{1, {4100}}, {1}};
    const struct tsi_npy_target target = target_of(&grid, TESS_U8);
    struct tsi_error error = {0};
    for (int64_t chunk = 0; chunk < target.chunk_count; chunk++) {
        if (chunk != 4096) {
            cr_assert_eq(write_chunk(&target, &grid, chunk, &error), TESS_OK);
        }
    }

    assert_io_error(tsi_npy_commit(&target, &error), &error, temporary);
    cr_assert(strstr(error.text, "chunk 4096 ") != NULL, "%s", error.text);
    cr_assert_eq(write_chunk(&target, &grid, 4096, &error), TESS_OK);
    cr_assert_eq(tsi_npy_commit(&target, &error), TESS_OK, "%s", error.text);
    assert_file_is_array(&target);
}

Test(npy_write, the_old_file_stays_until_the_new_one_is_whole)
{
    const struct tsi_npy_target old = target_of(&grids[1], TESS_I16);
    const struct tsi_npy_target new = target_of(&grids[8], TESS_F32);
    struct tsi_error error = {0};
    write_all(&old, &grids[1]);
    cr_assert_eq(tsi_npy_commit(&old, &error), TESS_OK);

    cr_assert_eq(write_chunk(&new, &grids[8], 0, &error), TESS_OK);
    assert_io_error(tsi_npy_commit(&new, &error), &error, temporary);
    assert_file_is_array(&old);
    write_all(&new, &grids[8]);
    cr_assert_eq(tsi_npy_commit(&new, &error), TESS_OK, "%s", error.text);
    assert_file_is_array(&new);
}

Test(npy_write, a_name_that_is_no_file_is_left_alone)
{
    const struct tsi_npy_target target = target_of(&grids[8], TESS_F64);
    struct tsi_error error = {0};
    struct stat info;
    write_all(&target, &grids[8]);
    cr_assert_eq(mkfifo(path, 0600), 0);

    assert_io_error(tsi_npy_commit(&target, &error), &error, path);

    cr_assert(lstat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(tsi_npy_commit(&target, &error), TESS_OK, "%s", error.text);
    assert_file_is_array(&target);
}

// A writer that comes late makes a temporary file that can never take the name.
Test(npy_write, a_late_writer_does_not_harm_the_committed_file)
{
    const struct tsi_npy_target target = target_of(&grids[8], TESS_F64);
    struct tsi_error error = {0};
    write_all(&target, &grids[8]);
    cr_assert_eq(tsi_npy_commit(&target, &error), TESS_OK);

    assert_io_error(tsi_npy_commit(&target, &error), &error, temporary);
    cr_assert_eq(write_chunk(&target, &grids[8], 1, &error), TESS_OK);
    assert_io_error(tsi_npy_commit(&target, &error), &error, temporary);

    assert_file_is_array(&target);
}

Test(npy_write, a_folder_that_is_not_there_is_an_error)
{
    struct tsi_npy_target target = target_of(&grids[1], TESS_U8);
    struct tsi_error error = {0};
    target.temporary = "/nowhere/array.npy.part";
    target.path = "/nowhere/array.npy";

    assert_io_error(write_chunk(&target, &grids[1], 0, &error), &error, target.temporary);
    cr_assert(strstr(error.text, "No such file") != NULL, "%s", error.text);
    assert_io_error(tsi_npy_commit(&target, &error), &error, target.temporary);
}

Test(npy_write, a_link_is_not_followed)
{
    const struct tsi_npy_target target = target_of(&grids[1], TESS_U8);
    struct tsi_error error = {0};
    char other[160];
    snprintf(other, sizeof other, "%s/other", folder);
    cr_assert_eq(symlink(other, temporary), 0);

    assert_io_error(write_chunk(&target, &grids[1], 0, &error), &error, temporary);
    cr_assert(!exists(other));
}

Test(npy_write, a_file_that_cannot_grow_is_an_error)
{
    const struct tsi_npy_target target = target_of(&grids[8], TESS_F64);
    struct tsi_error error = {0};
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 100;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    const tess_status status = write_chunk(&target, &grids[8], 0, &error);
    limit.rlim_cur = before;
    (void)setrlimit(RLIMIT_FSIZE, &limit);

    assert_io_error(status, &error, temporary);
    cr_assert(strstr(error.text, "File too large") != NULL, "%s", error.text);
}

Test(npy_write, a_full_disk_is_an_error)
{
    struct tsi_npy_target target = target_of(&grids[8], TESS_F64);
    struct tsi_error error = {0};
    target.temporary = "/dev/full";

    const tess_status status = write_chunk(&target, &grids[8], 0, &error);

    assert_io_error(status, &error, "/dev/full");
}

Test(npy_write, what_is_no_chunk_of_the_array_is_refused)
{
    struct tsi_npy_target target = target_of(&grids[6], TESS_U8);
    const int64_t start[] = {4, 0};
    const int64_t size[] = {2, 6};
    const int64_t huge[] = {INT64_MAX, 6};
    const int64_t negative[] = {-1, 6};
    const unsigned char data[64] = {0};

    cr_assert_eq(tsi_npy_write_chunk(&target, 0, start, size, data, NULL), TESS_EINVAL);
    cr_assert_eq(tsi_npy_write_chunk(&target, 0, start, huge, data, NULL), TESS_EINVAL);
    cr_assert_eq(tsi_npy_write_chunk(&target, 0, start, negative, data, NULL), TESS_EINVAL);
    cr_assert_eq(tsi_npy_write_chunk(&target, 0, negative, size, data, NULL), TESS_EINVAL);
    cr_assert_eq(write_chunk(&target, &grids[6], target.chunk_count, NULL), TESS_EINVAL);
    cr_assert_eq(write_chunk(&target, &grids[6], -1, NULL), TESS_EINVAL);
    target.dtype = TESS_NONE;
    cr_assert_eq(tsi_npy_commit(&target, NULL), TESS_EINVAL);
    target.dtype = TESS_F64;
    target.shape = TESS_SHAPE(INT64_MAX, 6);
    cr_assert_eq(tsi_npy_commit(&target, NULL), TESS_EOVERFLOW);
    cr_assert(!exists(temporary));
}

static bool
run_python(const char *script)
{
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && /usr/bin/python3 -c \"%s\" 2>&1", folder, script);
    return system(command) == 0;
}

static void
need_numpy(void)
{
    if (!run_python("import numpy")) {
        cr_skip_test("NumPy is not installed");
    }
}

// NumPy makes the same array from the same rule, and its file has the same bytes.
Test(npy_write, files_are_those_of_numpy)
{
    need_numpy();
    for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i += 3) {
            const struct tsi_npy_target target = target_of(&grids[i], (tess_dtype)dtype);
            write_all(&target, &grids[i]);
            cr_assert_eq(tsi_npy_commit(&target, NULL), TESS_OK);
            char name[192];
            snprintf(name, sizeof name, "%s/%s.%zu.npy", folder, tess_dtype_name(target.dtype), i);
            cr_assert_eq(rename(path, name), 0);
        }
    }
    cr_assert(run_python("import glob, io, numpy as np\n"
                         "names = glob.glob('*.npy')\n"
                         "assert len(names) == 66, names\n"
                         "for name in names:\n"
                         "    a = np.load(name)\n"
                         "    n, b = a.size, a.itemsize\n"
                         "    assert a.dtype == np.dtype(name.split('.')[0])\n"
                         "    i = np.arange(n)[:, None]\n"
                         "    v = (i * 7 + np.arange(b) * 13 + i // 256) & 255\n"
                         "    assert a.tobytes() == v.astype('u1').tobytes(), name\n"
                         "    out = io.BytesIO()\n"
                         "    np.save(out, a)\n"
                         "    assert out.getvalue() == open(name, 'rb').read(), name\n"));
}

Test(npy_write, headers_of_numpy_are_read)
{
    need_numpy();
    static const struct {
        const char *array; // in Python
        tess_dtype dtype;
        bool swapped;
        bool fortran_order;
        int ndim;
        int64_t data_bytes;
    } rows[] = {
        {"np.zeros((3, 4), '>f8')", TESS_F64, true, false, 2, 96},
        {"np.zeros((3, 4), '<u2', order='F')", TESS_U16, false, true, 2, 24},
        {"np.zeros((3, 4), '>i4', order='F')", TESS_I32, true, true, 2, 48},
        {"np.zeros((), 'f4')", TESS_F32, false, false, 0, 4},
        {"np.zeros((0, 5), 'i8')", TESS_I64, false, false, 2, 0},
        {"np.zeros(7, bool)", TESS_BOOL, false, false, 1, 7},
        {"np.zeros([1] * 16, 'u1')", TESS_U8, false, false, 16, 1},
        {"np.zeros(3, '>u1')", TESS_U8, false, false, 1, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int major = 1; major <= 3; major++) {
            char script[512];
            struct tsi_npy_header header = {0};
            struct tsi_error error = {0};
            snprintf(script, sizeof script,
                     "import numpy as np\n"
                     "with open('array.npy', 'wb') as f:\n"
                     "    np.lib.format.write_array(f, %s, version=(%d, 0))\n",
                     rows[i].array, major);
            cr_assert(run_python(script), "%s", script);
            cr_assert_eq(tsi_npy_read_header(path, &header, &error), TESS_OK, "%s", error.text);
            cr_assert_eq(header.dtype, rows[i].dtype, "%s", rows[i].array);
            cr_assert_eq(header.swapped, rows[i].swapped, "%s", rows[i].array);
            cr_assert_eq(header.fortran_order, rows[i].fortran_order, "%s", rows[i].array);
            cr_assert_eq(header.shape.ndim, rows[i].ndim, "%s", rows[i].array);
            cr_assert_eq(header.data_bytes, rows[i].data_bytes, "%s", rows[i].array);
        }
    }
}

Test(npy_write, arrays_of_numpy_without_a_dtype_are_refused)
{
    need_numpy();
    static const char *const arrays[] = {
        "np.zeros(3, complex)", "np.array([None])",   "np.array(['a'])",
        "np.zeros(2, 'M8[s]')", "np.zeros(2, 'f2')",  "np.zeros(2, [('a', 'f8'), ('b', 'i4')])",
        "np.zeros(2, 'V3')",    "np.array([b'xyz'])",
    };
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        char script[256];
        struct tsi_npy_header header;
        snprintf(script, sizeof script, "import numpy as np\nnp.save('array.npy', %s)\n",
                 arrays[i]);
        cr_assert(run_python(script), "%s", script);
        cr_assert_eq(tsi_npy_read_header(path, &header, NULL), TESS_EDTYPE, "%s", arrays[i]);
    }
}
