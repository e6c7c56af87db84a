// SPDX-License-Identifier: Apache-2.0
//
// Tasks that read and write NPY files.

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/machine.h"
#include "engine/base/memory.h"
#include "engine/base/pages.h"
#include "engine/io/npy.h"
#include "engine/kernel/kernel.h"
#include "tests/support/exec_case.h"
#include "tests/support/sanitizer.h"

static const tess_dtype dtypes[] = {TESS_BOOL, TESS_I8,  TESS_I16, TESS_I32, TESS_I64, TESS_U8,
                                    TESS_U16,  TESS_U32, TESS_U64, TESS_F32, TESS_F64};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

struct folder {
    char path[64];
};

static struct folder
make_folder(void)
{
    struct folder folder = {"/tmp/tessera-exec-XXXXXX"};
    cr_assert(mkdtemp(folder.path) != NULL, "no folder");
    return folder;
}

static char *
name_in(const struct folder *folder, const char *name)
{
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/%s", folder->path, name) > 0, "no name");
    return path;
}

static void
remove_folder(const struct folder *folder)
{
    const char *const names[] = {"a.npy", "b.npy", "b.part", "c.npy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *const path = name_in(folder, names[i]);
        (void)remove(path);
        free(path);
    }
    cr_assert(rmdir(folder->path) == 0, "files are left in %s", folder->path);
}

struct layout {
    int64_t lead; // bytes before the first element
    bool is_fortran;
    bool is_swapped;
};

static struct layout
random_layout(struct exec_case *c)
{
    return (struct layout){128 + exec_case_random(c, 3), exec_case_random(c, 2) == 0,
                           exec_case_random(c, 2) == 0};
}

// Turns HELD operation `op` into a file with its values.
static void
make_file(struct exec_case *c, int op, const char *path, struct layout layout)
{
    static const char *const codes[TESS_DTYPE_COUNT] = {"",   "b1", "i1", "i2", "i4", "i8",
                                                        "u1", "u2", "u4", "u8", "f4", "f8"};
    struct tsi_chunk_op *const from = &c->program->ops[op];
    const tess_dtype dtype = (tess_dtype)from->dtype;
    const size_t bytes = tess_dtype_bytes(dtype);
    const tess_shape shape = tsi_grid_shape(&from->array);
    const bool is_fortran = layout.is_fortran;
    const bool is_swapped = bytes > 1 && layout.is_swapped;
    const int64_t count = tsi_grid_element_count(&from->array);
    char header[512] = "\x93NUMPY\x01\x00";
    int used = 10;
    used += snprintf(header + 10, 400, "{'descr': '%s%s', 'fortran_order': %s, 'shape': (",
                     bytes == 1   ? "|"
                     : is_swapped ? ">"
                                  : "<",
                     codes[dtype], is_fortran ? "True" : "False");
    for (int i = 0; i < shape.ndim; i++) {
        used += snprintf(header + used, 40, "%lld,", (long long)shape.size[i]);
    }
    used += snprintf(header + used, 10, "), }");
    while (used < layout.lead - 1) {
        header[used++] = ' ';
    }
    header[used++] = '\n';
    header[8] = (char)((used - 10) & 0xFF);
    header[9] = (char)((used - 10) >> 8);
    FILE *const file = fopen(path, "wb");
    cr_assert(file != NULL && fwrite(header, (size_t)used, 1, file) == 1, "cannot write");
    int64_t index[TESS_NDIM_MAX] = {0};
    for (int64_t i = 0; i < count; i++) {
        unsigned char element[8];
        int64_t at = 0;
        for (int a = 0; a < shape.ndim; a++) {
            at = at * shape.size[a] + index[a];
        }
        exec_case_write(dtype, element, 0, c->values[op][at]);
        if (is_swapped) {
            tsi_kernel_swap(1, element, bytes);
        }
        cr_assert(fwrite(element, bytes, 1, file) == 1, "cannot write");
        for (int a = 0; a < shape.ndim; a++) {
            const int axis = is_fortran ? a : shape.ndim - 1 - a;
            if (++index[axis] < shape.size[axis]) {
                break;
            }
            index[axis] = 0;
        }
    }
    cr_assert(fclose(file) == 0, "cannot write");
    from->work = TSI_WORK_FILE;
    from->file = (struct tsi_work_file){path, is_swapped, is_fortran, used};
}

static struct tsi_grid
one_chunk(const struct tsi_grid *grid)
{
    struct tsi_grid one = *grid;
    for (int i = 0; i < grid->ndim; i++) {
        one.axis[i] = tsi_axis_regular(grid->axis[i].size, 0);
    }
    return one;
}

static struct tsi_grid
random_loop(struct exec_case *c)
{
    struct tsi_grid loop = {.ndim = (int)exec_case_random(c, 4)};
    for (int i = 0; i < loop.ndim; i++) {
        loop.axis[i] = exec_case_axis(c, 1 + exec_case_random(c, 30));
    }
    return loop;
}

static void
check_copy(struct exec_case *c, int op, int from, uint64_t seed)
{
    const struct tsi_chunk_op *const to = &c->program->ops[op];
    const tess_shape shape = tsi_grid_shape(&to->loop);
    int64_t index[TESS_NDIM_MAX] = {0};
    double *const result = exec_case_result(c, op);
    for (int64_t i = 0; i < tsi_grid_element_count(&to->loop); i++) {
        const double expected = exec_case_value(c, from, &to->inputs[0].map, index);
        cr_assert(result[i] == expected, "seed %llu, element %lld: %g instead of %g\n%s",
                  (unsigned long long)seed, (long long)i, result[i], expected, exec_case_text(c));
        (void)exec_case_next(shape.ndim, shape.size, index);
    }
    tsi_free(result);
}

// A load of a file: by itself, or as the operand of a sum with nothing.
static void
run_read(const char *path, uint64_t seed)
{
    struct exec_case c;
    struct tsi_grid source;
    struct tsi_index_map map;
    exec_case_init(&c, seed);
    const struct tsi_grid loop = random_loop(&c);
    const tess_dtype dtype = dtypes[seed % DTYPES];
    exec_case_map(&c, &loop, &map, &source);
    const struct tsi_grid whole = one_chunk(&source);
    const int from = exec_case_held(&c, dtype, &whole, EXEC_CASE_SMALL);
    make_file(&c, from, path, random_layout(&c));
    const int op = exec_case_op(&c, TSI_WORK_TILE, dtype, &loop, NULL);
    exec_case_input(&c, op, from, &map);
    const uint8_t type = (uint8_t)dtype;
    exec_case_step(&c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, type, 0, 0, {0}, 0});
    if (exec_case_random(&c, 2) == 0) {
        exec_case_step(
            &c, op,
            (struct tsi_tile_instruction){TSI_TILE_MAP, type, 0, 0, {0, 0}, TSI_OP_MAXIMUM});
    }
    exec_case_run(&c);
    check_copy(&c, op, from, seed);
    exec_case_fini(&c);
}

Test(exec_file, reads_every_type_and_order)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    for (uint64_t seed = 1; seed <= 300; seed++) {
        run_read(path, seed);
    }
    free(path);
    remove_folder(&folder);
}

// Where there is no room for pages of files, all of them are read.
Test(exec_file, reads_every_type_and_order_without_mapping)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    tsi_pages_expect(4096);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        run_read(path, seed);
    }
    tsi_pages_expect(-4096);
    free(path);
    remove_folder(&folder);
}

// Writes a random array chunk by chunk, and reads the file as a whole.
static void
run_write(const char *path, const char *temporary, uint64_t seed)
{
    struct exec_case c;
    exec_case_init(&c, seed);
    const struct tsi_grid loop = random_loop(&c);
    const struct tsi_grid one = {1, {tsi_axis_regular(1, 1)}};
    const tess_dtype dtype = dtypes[seed % DTYPES];
    struct tsi_grid source = loop;
    struct tsi_index_map map = tsi_index_map_identity(&loop);
    if (exec_case_random(&c, 3) != 0) {
        exec_case_map(&c, &loop, &map, &source);
    }
    const int from = exec_case_held(&c, dtype, &source, EXEC_CASE_SMALL);
    const int op = exec_case_op(&c, TSI_WORK_TILE, dtype, &loop, NULL);
    exec_case_input(&c, op, from, &map);
    const uint8_t type = (uint8_t)dtype;
    exec_case_step(&c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, type, 0, 0, {0}, 0});
    if (exec_case_random(&c, 2) == 0) {
        exec_case_step(
            &c, op,
            (struct tsi_tile_instruction){TSI_TILE_MAP, type, 0, 0, {0, 0}, TSI_OP_MAXIMUM});
    }
    c.program->ops[op].tile.sink = TSI_SINK_WRITE;
    c.program->ops[op].target_file.temporary = temporary;
    // The join's one chunk waits for all chunks that write.
    struct tsi_index_map all = {.ndim = loop.ndim};
    for (int i = 0; i < loop.ndim; i++) {
        all.axis[i] = (struct tsi_map_axis){-1, 0, 1, loop.axis[i].size};
    }
    const int join = exec_case_op(&c, TSI_WORK_JOIN, dtype, &one, NULL);
    exec_case_input(&c, join, op, &all);
    c.program->ops[join].target_file.path = path;
    c.program->ops[join].target_file.temporary = temporary;
    exec_case_run(&c);

    struct tsi_npy_header header;
    struct tsi_npy_map file;
    struct tsi_error error;
    cr_assert(tsi_npy_read_header(path, &header, &error) == TESS_OK, "%s", error.text);
    cr_assert(header.dtype == dtype && header.shape.ndim == loop.ndim, "another array");
    cr_assert(tsi_npy_map_open(path, &header, &file, &error) == TESS_OK, "%s", error.text);
    int64_t index[TESS_NDIM_MAX] = {0};
    for (int64_t i = 0; i < tsi_grid_element_count(&loop); i++) {
        const double expected = exec_case_value(&c, from, &map, index);
        const double got = exec_case_read(dtype, file.data, i);
        cr_assert(got == expected, "seed %llu, element %lld: %g instead of %g",
                  (unsigned long long)seed, (long long)i, got, expected);
        (void)exec_case_next(header.shape.ndim, header.shape.size, index);
    }
    tsi_npy_map_close(&file);
    exec_case_fini(&c);
}

Test(exec_file, writes_every_type)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "b.npy");
    char *const temporary = name_in(&folder, "b.part");
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_write(path, temporary, seed);
        cr_assert(access(temporary, F_OK) != 0, "the temporary file is left");
    }
    free(path);
    free(temporary);
    remove_folder(&folder);
}

// A program that loads the file at `path` as a 1-d float64 array of 1000, ready to run.
static int
load_program(struct exec_case *c, const char *path)
{
    const struct tsi_grid grid = {1, {tsi_axis_regular(1000, 0)}};
    const struct tsi_grid loop = {1, {tsi_axis_regular(1000, 300)}};
    const struct tsi_index_map map = tsi_index_map_identity(&loop);
    const int from = exec_case_held(c, TESS_F64, &grid, EXEC_CASE_SMALL);
    make_file(c, from, path, (struct layout){128, false, false});
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F64, &loop, NULL);
    exec_case_input(c, op, from, &map);
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0});
    cr_assert(tsi_program_number(c->program, NULL) == TESS_OK, "cannot number");
    c->serial = serial_new(c->program, c->held);
    return op;
}

static void
expect(struct exec_case *c, tess_status expected, const char *part)
{
    struct tsi_error error = {0};
    const tess_status status = serial_run_task(c->serial, 1, NULL, &error);
    cr_assert(status == expected, "%s instead of %s: %s", tess_status_name(status),
              tess_status_name(expected), error.text);
    cr_assert(expected == TESS_OK ||
                  (strstr(error.text, part) != NULL &&
                   strstr(error.text, "test at main.c:7, chunk 1 (1,): ") == error.text),
              "'%s' is not in '%s'", part, error.text);
}

Test(exec_file, a_file_that_changes_is_an_error)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    char *const other = name_in(&folder, "c.npy");
    struct exec_case c;
    exec_case_init(&c, 1);
    (void)load_program(&c, path);
    expect(&c, TESS_OK, "");
    cr_assert(truncate(path, 2000) == 0, "cannot cut");
    expect(&c, TESS_EIO, path);
    exec_case_fini(&c);

    exec_case_init(&c, 2);
    (void)load_program(&c, path);
    expect(&c, TESS_OK, "");
    struct exec_case next;
    exec_case_init(&next, 2);
    (void)load_program(&next, other);
    next.values[0][300] = 1234;
    next.program->op_count--;
    make_file(&next, 0, other, (struct layout){128, false, false});
    c.program->ops[0].file = next.program->ops[0].file;
    c.program->ops[0].file.path = path;
    cr_assert(rename(other, path) == 0, "cannot rename");
    expect(&c, TESS_OK, "");
    const double *const chunk = serial_chunk(c.serial, 1);
    cr_assert(chunk[0] == 1234, "the old file was read");
    exec_case_fini(&next);
    cr_assert(remove(path) == 0, "cannot remove");
    expect(&c, TESS_EIO, path);
    exec_case_fini(&c);
    free(path);
    free(other);
    remove_folder(&folder);
}

Test(exec_file, a_file_with_another_header_is_an_error)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    struct exec_case c;
    exec_case_init(&c, 1);
    (void)load_program(&c, path);
    c.program->ops[0].file.data_offset += 64;
    expect(&c, TESS_EFORMAT, path);
    exec_case_fini(&c);
    free(path);
    remove_folder(&folder);
}

Test(exec_file, only_allowed_directories)
{
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    char *const inside = name_in(&folder, "../../usr/../etc/passwd");
    const char *const other[] = {"/usr", "/tmp/tessera-exec"};
    const char *const right[] = {"/usr", folder.path};
    const char *const empty[] = {""};
    struct exec_case c;
    exec_case_init(&c, 1);
    (void)load_program(&c, path);
    serial_allow(c.serial, other, 2);
    expect(&c, TESS_EACCESS, path);
    serial_allow(c.serial, empty, 1);
    expect(&c, TESS_EACCESS, path);
    serial_allow(c.serial, right, 2);
    expect(&c, TESS_OK, "");
    c.program->ops[0].file.path = inside;
    expect(&c, TESS_EACCESS, inside);
    exec_case_fini(&c);
    free(path);
    free(inside);
    remove_folder(&folder);
}

// More files than are kept open, each read twice.
Test(exec_file, many_files)
{
    enum { FILES = 80 };
    const struct folder folder = make_folder();
    struct exec_case c;
    exec_case_init(&c, 1);
    char *const path = name_in(&folder, "a.npy");
    (void)load_program(&c, path);
    char *names[FILES];
    for (int i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        names[i] = name_in(&folder, name);
        cr_assert(link(path, names[i]) == 0, "cannot link");
    }
    for (int i = 0; i < 2 * FILES; i++) {
        c.program->ops[0].file.path = names[i % FILES];
        expect(&c, TESS_OK, "");
    }
    // One of the 64 that are kept is the next file that is opened here.
    const int next = dup(0);
    cr_assert(next < 90, "%d files are open", next);
    (void)close(next);
    for (int i = 0; i < FILES; i++) {
        (void)remove(names[i]);
        free(names[i]);
    }
    exec_case_fini(&c);
    free(path);
    remove_folder(&folder);
}

// Operands of a product as they lie in a file: big-endian, at odd places, in Fortran order.
Test(exec_file, products_of_files)
{
    enum { ROWS = 9, INNER = 7 };
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct exec_case c;
        exec_case_init(&c, seed);
        const tess_dtype dtype = seed % 2 == 0 ? TESS_F64 : TESS_I32;
        const struct tsi_grid grid = {2, {tsi_axis_regular(ROWS, 0), tsi_axis_regular(INNER, 0)}};
        const struct tsi_grid loop = {
            3, {tsi_axis_regular(ROWS, 4), tsi_axis_regular(ROWS, 5), tsi_axis_regular(INNER, 0)}};
        const struct tsi_grid array = {2, {loop.axis[0], loop.axis[1]}};
        const struct tsi_index_map maps[2] = {{.ndim = 2, .axis = {{0, 0, 1, 1}, {2, 0, 1, 1}}},
                                              {.ndim = 2, .axis = {{1, 0, 1, 1}, {2, 0, 1, 1}}}};
        const int from = exec_case_held(&c, dtype, &grid, EXEC_CASE_SMALL);
        make_file(&c, from, path, random_layout(&c));
        const int op = exec_case_op(&c, TSI_WORK_MATMUL, dtype, &loop, &array);
        c.program->ops[op].matmul.finish = true;
        exec_case_input(&c, op, from, &maps[0]);
        exec_case_input(&c, op, from, &maps[1]);
        exec_case_run(&c);
        double *const result = exec_case_result(&c, op);
        for (int i = 0; i < ROWS * ROWS; i++) {
            const double *const a = c.values[from] + (ptrdiff_t)(i / ROWS) * INNER;
            const double *const b = c.values[from] + (ptrdiff_t)(i % ROWS) * INNER;
            double expected = 0;
            for (int k = 0; k < INNER; k++) {
                expected += a[k] * b[k];
            }
            cr_assert(result[i] == expected, "seed %llu, element %d: %g instead of %g",
                      (unsigned long long)seed, i, result[i], expected);
        }
        tsi_free(result);
        exec_case_fini(&c);
    }
    free(path);
    remove_folder(&folder);
}

// Pages of a large file go once they have been read, and come back when they are read again.
Test(exec_file, a_large_file_is_not_held_in_memory)
{
    enum { ELEMENTS = 9 << 20, CHUNK = 3 << 20, HEAD = 1000 };
    const struct folder folder = make_folder();
    char *const path = name_in(&folder, "a.npy");
    struct exec_case c;
    exec_case_init(&c, 1);
    const struct tsi_grid small = {1, {tsi_axis_regular(HEAD, 0)}};
    const struct tsi_grid large = {1, {tsi_axis_regular(ELEMENTS, 0)}};
    const struct tsi_grid loop = {1, {tsi_axis_regular(ELEMENTS, CHUNK)}};
    const struct tsi_grid array = {1, {tsi_axis_regular(3, 1)}};
    const struct tsi_index_map map = tsi_index_map_identity(&loop);
    // The header of the large array, then HEAD elements, then a hole.
    const int from = exec_case_held(&c, TESS_F64, &small, EXEC_CASE_SMALL);
    unsigned char header[TSI_NPY_FORMAT_BYTES_MAX];
    const tess_shape shape = tsi_grid_shape(&large);
    const size_t lead = tsi_npy_format_header(TESS_F64, &shape, header, sizeof header);
    FILE *const file = fopen(path, "wb");
    cr_assert(file != NULL && fwrite(header, lead, 1, file) == 1, "cannot write");
    cr_assert(fwrite(c.values[from], sizeof(double), HEAD, file) == HEAD, "cannot write");
    cr_assert(fclose(file) == 0 && truncate(path, (off_t)lead + INT64_C(8) * ELEMENTS) == 0,
              "cannot write");
    struct tsi_chunk_op *const source = &c.program->ops[from];
    source->work = TSI_WORK_FILE;
    source->loop = large;
    source->array = large;
    source->file = (struct tsi_work_file){path, false, false, (int64_t)lead};
    const int op = exec_case_op(&c, TSI_WORK_TILE, TESS_F64, &loop, &array);
    exec_case_input(&c, op, from, &map);
    exec_case_step(&c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0});
    c.program->ops[op].is_planes = true;
    c.program->ops[op].tile.sink = TSI_SINK_REDUCE;
    c.program->ops[op].tile.reduce.dtype = TESS_F64;
    c.program->ops[op].tile.reduce.axes = 1;
    const uint64_t before = tsi_machine_resident_bytes();
    exec_case_run(&c);
    struct tsi_error error;
    cr_assert(serial_run_task(c.serial, 0, NULL, &error) == TESS_OK, "%s", error.text);
    const uint64_t after = tsi_machine_resident_bytes();
    double expected = 0;
    for (int i = 0; i < HEAD; i++) {
        expected += c.values[from][i];
    }
    cr_assert(*(const double *)serial_chunk(c.serial, 0) == expected, "another sum");
    cr_assert(*(const double *)serial_chunk(c.serial, 2) == 0, "another sum of nothing");
    // ThreadSanitizer keeps notes on all memory that is read.
    cr_assert(TEST_WITH_TSAN || after < before + (16 << 20), "%llu bytes more are resident",
              (unsigned long long)(after - before));
    exec_case_fini(&c);
    free(path);
    remove_folder(&folder);
}
