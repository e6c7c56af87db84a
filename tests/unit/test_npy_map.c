// SPDX-License-Identifier: Apache-2.0
//
// Reading NPY files, good ones and ones that change or end too early.

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/io/npy.h"

enum { ELEMENTS = 12 };

static char folder[64];
static char path[128];

static void
setup(void)
{
    strcpy(folder, "/tmp/tessera_npy_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/array.npy", folder);
}

static void
teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(npy_map, .init = setup, .fini = teardown);

static void
put_file(const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

// The int32 array 0, 10, 20, … of shape (3, 4); `cut` bytes are missing at its end.
static struct tsi_npy_header
put_array(size_t cut)
{
    unsigned char bytes[TSI_NPY_FORMAT_BYTES_MAX + ELEMENTS * sizeof(int32_t)];
    const tess_shape shape = TESS_SHAPE(3, 4);
    const size_t header_bytes = tsi_npy_format_header(TESS_I32, &shape, bytes, sizeof bytes);
    for (int32_t i = 0; i < ELEMENTS; i++) {
        const int32_t value = 10 * i;
        memcpy(bytes + header_bytes + (size_t)i * sizeof value, &value, sizeof value);
    }
    put_file(bytes, header_bytes + ELEMENTS * sizeof(int32_t) - cut);
    struct tsi_npy_header header = {0};
    cr_assert_eq(tsi_npy_parse(bytes, header_bytes, &header, NULL), TESS_OK);
    return header;
}

static void
assert_fails(tess_status expected, const char *text)
{
    struct tsi_npy_header header;
    struct tsi_error error = {0};
    const tess_status status = tsi_npy_read_header(path, &header, &error);
    cr_assert_eq(status, expected, "%s (%s)", tess_status_name(status), error.text);
    cr_assert_eq(error.status, expected);
    cr_assert(strstr(error.text, path) != NULL, "'%s' does not name the file", error.text);
    cr_assert(strstr(error.text, text) != NULL, "'%s' has no '%s'", error.text, text);
}

Test(npy_map, a_header_is_read_from_its_file)
{
    const struct tsi_npy_header expected = put_array(0);
    struct tsi_npy_header header = {0};
    struct tsi_error error = {0};

    cr_assert_eq(tsi_npy_read_header(path, &header, &error), TESS_OK, "%s", error.text);

    cr_assert_eq(header.dtype, TESS_I32);
    cr_assert_eq(header.shape.ndim, 2);
    cr_assert_eq(header.data_offset, expected.data_offset);
}

Test(npy_map, a_file_that_is_not_there_is_an_error)
{
    assert_fails(TESS_EIO, "No such file");
}

Test(npy_map, what_is_no_regular_file_is_an_error)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    assert_fails(TESS_EIO, "regular file");
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    assert_fails(TESS_EIO, "regular file");
}

Test(npy_map, a_file_that_is_no_npy_file_is_an_error)
{
    put_file("", 0);
    assert_fails(TESS_EFORMAT, "not an NPY file");
    put_file("PK\x03\x04 something else of some length", 30);
    assert_fails(TESS_EFORMAT, "not an NPY file");
}

Test(npy_map, a_file_cut_in_its_header_is_an_error)
{
    put_file("\x93NUMPY\x01\x00\xFF\x00{'descr': ", 21);
    assert_fails(TESS_EFORMAT, "cut off");
    put_file("\x93NUMPY\x01\x00", 8);
    assert_fails(TESS_EFORMAT, "cut off");
}

Test(npy_map, a_header_without_dtype_is_an_error)
{
    static const char bytes[] = "\x93NUMPY\x01\x00\x3c\x00"
                                "{'descr': '<c16', 'fortran_order': False, 'shape': (0,), }  ";
    put_file(bytes, sizeof bytes - 1);
    assert_fails(TESS_EDTYPE, "<c16");
}

Test(npy_map, a_file_cut_in_its_elements_is_an_error)
{
    (void)put_array(1);
    assert_fails(TESS_EFORMAT, "48");
}

Test(npy_map, a_mapped_file_shows_its_elements)
{
    const struct tsi_npy_header expected = put_array(0);
    struct tsi_npy_map map;
    struct tsi_error error = {0};
    int32_t copied[2] = {0};

    cr_assert_eq(tsi_npy_map_open(path, &expected, &map, &error), TESS_OK, "%s", error.text);
    for (int32_t i = 0; i < ELEMENTS; i++) {
        int32_t value = 0;
        memcpy(&value, map.data + (size_t)i * sizeof value, sizeof value);
        cr_assert_eq(value, 10 * i);
    }
    cr_assert_eq(tsi_npy_map_check(&map, &error), TESS_OK);
    cr_assert_eq(tsi_npy_map_read(&map, 40, 8, copied, &error), TESS_OK);
    cr_assert_eq(copied[0], 100);
    cr_assert_eq(copied[1], 110);
    cr_assert_eq(tsi_npy_map_read(&map, 48, 0, copied, &error), TESS_OK);
    tsi_npy_map_close(&map);
    tsi_npy_map_close(&map);
}

Test(npy_map, bytes_that_the_array_has_not_are_not_read)
{
    const struct tsi_npy_header expected = put_array(0);
    struct tsi_npy_map map;
    char out[64];
    cr_assert_eq(tsi_npy_map_open(path, &expected, &map, NULL), TESS_OK);

    cr_assert_eq(tsi_npy_map_read(&map, 41, 8, out, NULL), TESS_EINDEX);
    cr_assert_eq(tsi_npy_map_read(&map, -1, 8, out, NULL), TESS_EINDEX);
    cr_assert_eq(tsi_npy_map_read(&map, INT64_MAX, 8, out, NULL), TESS_EINDEX);
    cr_assert_eq(tsi_npy_map_read(&map, 0, SIZE_MAX, out, NULL), TESS_EINDEX);
    tsi_npy_map_close(&map);
}

Test(npy_map, a_file_that_changed_is_refused)
{
    const struct tsi_npy_header good = put_array(0);
    struct tsi_npy_header changed[6];
    for (int i = 0; i < 6; i++) {
        changed[i] = good;
    }
    changed[0].dtype = TESS_U32;
    changed[1].swapped = true;
    changed[2].fortran_order = true;
    changed[3].shape = TESS_SHAPE(4, 3);
    changed[4].shape = TESS_SHAPE(3, 4, 1);
    changed[5].data_offset += 64;

    for (int i = 0; i < 6; i++) {
        struct tsi_npy_map map;
        struct tsi_error error = {0};
        cr_assert_eq(tsi_npy_map_open(path, &changed[i], &map, &error), TESS_EFORMAT, "%d", i);
        cr_assert(strstr(error.text, path) != NULL);
    }
}

Test(npy_map, a_file_that_is_cut_later_is_noticed)
{
    const struct tsi_npy_header expected = put_array(0);
    struct tsi_npy_map map;
    struct tsi_error error = {0};
    char out[48];
    cr_assert_eq(tsi_npy_map_open(path, &expected, &map, NULL), TESS_OK);

    cr_assert_eq(truncate(path, expected.data_offset + 20), 0);

    cr_assert_eq(tsi_npy_map_check(&map, &error), TESS_EIO);
    cr_assert(strstr(error.text, path) != NULL);
    cr_assert_eq(tsi_npy_map_read(&map, 0, 20, out, &error), TESS_OK);
    cr_assert_eq(tsi_npy_map_read(&map, 0, 21, out, &error), TESS_EIO);
    tsi_npy_map_close(&map);
}

Test(npy_map, an_array_without_elements_has_no_pages)
{
    unsigned char bytes[TSI_NPY_FORMAT_BYTES_MAX];
    const tess_shape shape = TESS_SHAPE(0, 4);
    const size_t count = tsi_npy_format_header(TESS_F64, &shape, bytes, sizeof bytes);
    put_file(bytes, count);
    struct tsi_npy_header header;
    struct tsi_npy_map map;
    cr_assert_eq(tsi_npy_read_header(path, &header, NULL), TESS_OK);

    cr_assert_eq(tsi_npy_map_open(path, &header, &map, NULL), TESS_OK);

    cr_assert(map.data == NULL);
    cr_assert_eq(tsi_npy_map_check(&map, NULL), TESS_OK);
    tsi_npy_map_close(&map);
}

static int
open_files(void)
{
    int count = 0;
    for (int file = 0; file < 256; file++) {
        count += fcntl(file, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

Test(npy_map, every_allocation_may_fail)
{
    const struct tsi_npy_header expected = put_array(0);
    const int before = open_files();
    tess_status status = TESS_ENOMEM;
    int tries = 0;

    while (status == TESS_ENOMEM) {
        struct tsi_npy_map map;
        tsi_memory_fail_after(tries++);
        status = tsi_npy_map_open(path, &expected, &map, NULL);
        tsi_memory_fail_after(-1);
        if (status == TESS_OK) {
            tsi_npy_map_close(&map);
        }
    }

    cr_assert_eq(status, TESS_OK);
    cr_assert(tries > 2, "%d", tries);
    cr_assert_eq(open_files(), before);
}
