// SPDX-License-Identifier: Apache-2.0
//
// Headers of NPY files: made by hand, hostile ones, and those that are written, byte for byte as
// NumPy writes them.

#include "engine/io/npy.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

enum { BYTES_MAX = 4096 };

// Puts magic, version and length before `literal`; returns the bytes of all.
static size_t
wrap(unsigned char *out, int major, const char *literal)
{
    const size_t count = strlen(literal);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)major;
    out[7] = 0;
    const size_t length_bytes = major == 1 ? 2 : 4;
    for (size_t i = 0; i < length_bytes; i++) {
        out[8 + i] = (unsigned char)(count >> (8 * i));
    }
    memcpy(out + 8 + length_bytes, literal, count);
    return 8 + length_bytes + count;
}

// Parses from memory of the exact size, so that a sanitizer sees a read past its end.
static tess_status
parse_exact(const unsigned char *bytes, size_t count, struct tsi_npy_header *header,
            struct tsi_error *error)
{
    unsigned char *exact = malloc(count > 0 ? count : 1);
    memcpy(exact, bytes, count);
    const tess_status status = tsi_npy_parse(exact, count, header, error);
    free(exact);
    return status;
}

static tess_status
parse(const char *literal, struct tsi_npy_header *header, struct tsi_error *error)
{
    unsigned char bytes[BYTES_MAX];
    const size_t count = wrap(bytes, 1, literal);
    return parse_exact(bytes, count, header, error);
}

Test(npy, a_plain_header_is_read)
{
    struct tsi_npy_header header = {0};
    struct tsi_error error = {0};

    const tess_status status =
        parse("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n", &header, &error);

    cr_assert_eq(status, TESS_OK, "%s", error.text);
    cr_assert_eq(header.dtype, TESS_F64);
    cr_assert(!header.swapped);
    cr_assert(!header.fortran_order);
    cr_assert_eq(header.shape.ndim, 2);
    cr_assert_eq(header.shape.size[0], 3);
    cr_assert_eq(header.shape.size[1], 4);
    cr_assert_eq(header.data_offset, 10 + 63);
    cr_assert_eq(header.data_bytes, 96);
}

Test(npy, keys_come_in_any_order_and_dress)
{
    static const char *const literals[] = {
        "{'shape': (3, 4), 'descr': '>i4', 'fortran_order': True}",
        "{\"fortran_order\":True,\"shape\":(3,4,),\"descr\":\">i4\",}",
        "\t{ 'descr' : '>i4' ,\n 'shape' :\r( 3 , 4 , ) , 'fortran_order' : True , } \n\n",
        "{'shape': (3L, 4L), 'fortran_order': True, 'descr': '>i4'}",
    };
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        struct tsi_npy_header header = {0};
        struct tsi_error error = {0};
        cr_assert_eq(parse(literals[i], &header, &error), TESS_OK, "%s", error.text);
        cr_assert_eq(header.dtype, TESS_I32);
        cr_assert(header.swapped && header.fortran_order);
        cr_assert_eq(header.shape.ndim, 2);
        cr_assert_eq(header.data_bytes, 48);
    }
}

Test(npy, all_three_versions_are_read)
{
    for (int major = 1; major <= 3; major++) {
        unsigned char bytes[BYTES_MAX];
        struct tsi_npy_header header = {0};
        const size_t count =
            wrap(bytes, major, "{'descr': '|u1', 'fortran_order': False, 'shape': (5,)}");
        cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_OK);
        cr_assert_eq(header.data_offset, (int64_t)count);
        cr_assert_eq(tsi_npy_header_bytes(bytes, TSI_NPY_PREFIX_BYTES), count);
    }
}

Test(npy, every_dtype_is_read_in_both_byte_orders)
{
    static const struct {
        const char *code;
        tess_dtype dtype;
    } rows[] = {
        {"b1", TESS_BOOL}, {"i1", TESS_I8},  {"i2", TESS_I16}, {"i4", TESS_I32},
        {"i8", TESS_I64},  {"u1", TESS_U8},  {"u2", TESS_U16}, {"u4", TESS_U32},
        {"u8", TESS_U64},  {"f4", TESS_F32}, {"f8", TESS_F64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (const char *order = "<>=|"; *order != '\0'; order++) {
            char literal[128];
            struct tsi_npy_header header = {0};
            const bool wide = tess_dtype_bytes(rows[i].dtype) > 1;
            snprintf(literal, sizeof literal,
                     "{'descr': '%c%s', 'fortran_order': False, 'shape': ()}", *order,
                     rows[i].code);
            const tess_status status = parse(literal, &header, NULL);
            if (wide && *order == '|') {
                cr_assert_eq(status, TESS_EDTYPE, "%s", literal);
                continue;
            }
            cr_assert_eq(status, TESS_OK, "%s", literal);
            cr_assert_eq(header.dtype, rows[i].dtype, "%s", literal);
            cr_assert_eq(header.swapped, wide && *order == '>', "%s", literal);
            cr_assert_eq(header.shape.ndim, 0);
            cr_assert_eq(header.data_bytes, (int64_t)tess_dtype_bytes(rows[i].dtype));
        }
    }
}

// A literal with one value replaced, and the status that it deserves.
struct refused {
    const char *literal;
    tess_status status;
};

#define REST ", 'fortran_order': False, 'shape': (3,)}"
#define SHAPE(text) "{'descr': '<f8', 'fortran_order': False, 'shape': " text "}"
#define ORDER(text) "{'descr': '<f8', 'shape': (3,), 'fortran_order': " text "}"

static const struct refused literals_refused[] = {
    {"", TESS_EFORMAT},
    {"   \n", TESS_EFORMAT},
    {"{", TESS_EFORMAT},
    {"{}", TESS_EFORMAT},
    {"[]", TESS_EFORMAT},
    {"{,}", TESS_EFORMAT},
    {"None", TESS_EFORMAT},
    {"{'descr': '<f8'", TESS_EFORMAT},
    {"{'descr': '<f8'}", TESS_EFORMAT},
    {"{'descr': '<f8', 'shape': (3,)}", TESS_EFORMAT},
    {"{'fortran_order': False, 'shape': (3,)}", TESS_EFORMAT},
    {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", TESS_EFORMAT},
    {"{'descr': '<f8', 'extra': 1" REST, TESS_EFORMAT},
    {"{'descr': '<f8',, 'fortran_order': False, 'shape': (3,)}", TESS_EFORMAT},
    {"{'descr': '<f8' 'fortran_order': False, 'shape': (3,)}", TESS_EFORMAT},
    {"{'descr' '<f8'" REST, TESS_EFORMAT},
    {"{descr: '<f8'" REST, TESS_EFORMAT},
    {"{'descr: '<f8'" REST, TESS_EFORMAT},
    {"{'descr': '<f8'" REST " x", TESS_EFORMAT},
    {"{'descr': '<f8'" REST "}", TESS_EFORMAT},
    {"{'descr': 8" REST, TESS_EFORMAT},
    {"{'descr': None" REST, TESS_EFORMAT},
    {"{'descr': '<f8", TESS_EFORMAT},
    {"{'descr': '<f\\x38'" REST, TESS_EFORMAT},
    {"{'descr': ''" REST, TESS_EDTYPE},
    {"{'descr': '<'" REST, TESS_EDTYPE},
    {"{'descr': 'f8'" REST, TESS_EDTYPE},
    {"{'descr': '<f2'" REST, TESS_EDTYPE},
    {"{'descr': '<f16'" REST, TESS_EDTYPE},
    {"{'descr': '<f80'" REST, TESS_EDTYPE},
    {"{'descr': '<c16'" REST, TESS_EDTYPE},
    {"{'descr': '|O'" REST, TESS_EDTYPE},
    {"{'descr': '|S5'" REST, TESS_EDTYPE},
    {"{'descr': '<U5'" REST, TESS_EDTYPE},
    {"{'descr': '<M8[ns]'" REST, TESS_EDTYPE},
    {"{'descr': [('a', '<f8'), ('b', '<i4')]" REST, TESS_EDTYPE},
    {"{'descr': ('<f8', (2,))" REST, TESS_EDTYPE},
    {ORDER("false"), TESS_EFORMAT},
    {ORDER("0"), TESS_EFORMAT},
    {ORDER("Falsey"), TESS_EFORMAT},
    {ORDER("'False'"), TESS_EFORMAT},
    {ORDER(""), TESS_EFORMAT},
    {SHAPE("(3)"), TESS_EFORMAT},
    {SHAPE("3"), TESS_EFORMAT},
    {SHAPE("[3]"), TESS_EFORMAT},
    {SHAPE("(3,"), TESS_EFORMAT},
    {SHAPE("(,)"), TESS_EFORMAT},
    {SHAPE("(3,,4)"), TESS_EFORMAT},
    {SHAPE("(3 4)"), TESS_EFORMAT},
    {SHAPE("(-3,)"), TESS_EFORMAT},
    {SHAPE("(+3,)"), TESS_EFORMAT},
    {SHAPE("(3.0,)"), TESS_EFORMAT},
    {SHAPE("(03,)"), TESS_EFORMAT},
    {SHAPE("(0x3,)"), TESS_EFORMAT},
    {SHAPE("(1_0,)"), TESS_EFORMAT},
    {SHAPE("(True,)"), TESS_EFORMAT},
    {SHAPE("((3,),)"), TESS_EFORMAT},
    {SHAPE("((((((((((3,),),),),),),),),),)"), TESS_EFORMAT},
    {SHAPE("(3LL,)"), TESS_EFORMAT},
    {SHAPE("(99999999999999999999,)"), TESS_EOVERFLOW},
    {SHAPE("(9223372036854775808,)"), TESS_EOVERFLOW},
    {SHAPE("(9223372036854775807,)"), TESS_EOVERFLOW},
    {SHAPE("(1152921504606846976,)"), TESS_EOVERFLOW},
    {SHAPE("(4294967296, 4294967296)"), TESS_EOVERFLOW},
    {SHAPE("(0, 4294967296, 4294967296)"), TESS_EOVERFLOW},
    {SHAPE("(1152921504606846975,)"), TESS_EOVERFLOW}, // only with the header before it
    {SHAPE("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), TESS_ESHAPE},
};

Test(npy, what_is_not_exactly_a_header_is_refused)
{
    for (size_t i = 0; i < sizeof literals_refused / sizeof literals_refused[0]; i++) {
        const struct refused *row = &literals_refused[i];
        struct tsi_npy_header header = {.data_bytes = -7};
        struct tsi_error error = {0};
        const tess_status status = parse(row->literal, &header, &error);
        cr_assert_eq(status, row->status, "%s: %s (%s)", row->literal, tess_status_name(status),
                     error.text);
        cr_assert_eq(error.status, row->status);
        cr_assert(error.text[0] != '\0');
        cr_assert_eq(header.data_bytes, -7, "%s was taken half", row->literal);
    }
}

Test(npy, sixteen_axes_and_the_largest_size_are_read)
{
    struct tsi_npy_header header = {0};

    cr_assert_eq(parse(SHAPE("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,9)"), &header, NULL), TESS_OK);
    cr_assert_eq(header.shape.ndim, 16);
    cr_assert_eq(header.data_bytes, 72);
    cr_assert_eq(parse(SHAPE("(1152921504606846900,)"), &header, NULL), TESS_OK);
    cr_assert_eq(parse(SHAPE("(0, 9)"), &header, NULL), TESS_OK);
    cr_assert_eq(header.data_bytes, 0);
}

Test(npy, every_cut_of_a_header_is_refused)
{
    unsigned char bytes[BYTES_MAX];
    const size_t count = wrap(bytes, 2, SHAPE("(3, 4)"));
    for (size_t cut = 0; cut < count; cut++) {
        struct tsi_npy_header header;
        cr_assert_eq(parse_exact(bytes, cut, &header, NULL), TESS_EFORMAT, "%zu bytes", cut);
    }
}

Test(npy, no_changed_byte_does_harm)
{
    unsigned char bytes[BYTES_MAX];
    const size_t count = wrap(bytes, 1, SHAPE("(3, 4)"));
    for (size_t at = 0; at < count; at++) {
        const unsigned char before = bytes[at];
        for (int value = 0; value < 256; value++) {
            struct tsi_npy_header header = {0};
            bytes[at] = (unsigned char)value;
            const tess_status status = parse_exact(bytes, count, &header, NULL);
            cr_assert(status != TESS_OK || (header.shape.ndim <= 2 && header.data_bytes >= 0));
        }
        bytes[at] = before;
    }
}

Test(npy, other_files_and_versions_are_refused)
{
    unsigned char bytes[BYTES_MAX];
    struct tsi_npy_header header;
    const size_t count = wrap(bytes, 1, SHAPE("(3, 4)"));

    bytes[6] = 4;
    cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_EFORMAT);
    bytes[6] = 0;
    cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_EFORMAT);
    bytes[6] = 1;
    bytes[7] = 1;
    cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_EFORMAT);
    bytes[7] = 0;
    cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_OK);
    bytes[0] = 'P';
    cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_EFORMAT);
    cr_assert_eq(tsi_npy_header_bytes(bytes, count), 0);
}

Test(npy, a_header_that_says_it_is_huge_is_refused)
{
    const unsigned char bytes[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, 0xFF, 0xFF, 0xFF, 0xFF};
    struct tsi_npy_header header;
    struct tsi_error error = {0};

    cr_assert_eq(parse_exact(bytes, sizeof bytes, &header, &error), TESS_EFORMAT);
    cr_assert(strstr(error.text, "4294967295") != NULL, "%s", error.text);
    cr_assert_eq(tsi_npy_header_bytes(bytes, sizeof bytes), 0);
}

Test(npy, a_header_is_written_as_numpy_writes_it)
{
    // What NumPy 1.24 writes for numpy.zeros((3, 4), "<f4").
    static const char expected[] =
        "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
        "                                                          \n";
    unsigned char bytes[TSI_NPY_FORMAT_BYTES_MAX];
    const tess_shape shape = TESS_SHAPE(3, 4);

    const size_t count = tsi_npy_format_header(TESS_F32, &shape, bytes, sizeof bytes);

    cr_assert_eq(count, 128);
    cr_assert_eq(sizeof expected - 1, 128);
    cr_assert(memcmp(bytes, expected, 128) == 0);
}

Test(npy, what_is_written_is_read_back)
{
    for (int dtype = TESS_BOOL; dtype < TESS_DTYPE_COUNT; dtype++) {
        for (int ndim = 0; ndim <= TESS_NDIM_MAX; ndim++) {
            tess_shape shape = {.ndim = ndim};
            for (int i = 0; i < ndim; i++) {
                shape.size[i] = i % 3;
            }
            unsigned char bytes[TSI_NPY_FORMAT_BYTES_MAX];
            struct tsi_npy_header header = {0};
            const size_t count =
                tsi_npy_format_header((tess_dtype)dtype, &shape, bytes, sizeof bytes);
            cr_assert_eq(count % 64, 0);
            cr_assert_eq(parse_exact(bytes, count, &header, NULL), TESS_OK);
            cr_assert_eq((int)header.dtype, dtype);
            cr_assert_eq(header.data_offset, (int64_t)count);
            cr_assert_eq(header.shape.ndim, ndim);
            cr_assert(memcmp(header.shape.size, shape.size, sizeof shape.size) == 0);
        }
    }
}

Test(npy, the_longest_header_has_room)
{
    tess_shape shape = {.ndim = TESS_NDIM_MAX};
    for (int i = 0; i < TESS_NDIM_MAX; i++) {
        shape.size[i] = INT64_MAX;
    }
    unsigned char bytes[TSI_NPY_FORMAT_BYTES_MAX];

    const size_t count = tsi_npy_format_header(TESS_F64, &shape, bytes, sizeof bytes);

    cr_assert(count > 0 && count <= sizeof bytes, "%zu", count);
    cr_assert_eq(bytes[count - 1], '\n');
}

Test(npy, a_header_without_room_is_only_measured)
{
    unsigned char bytes[128] = {0};
    const tess_shape shape = TESS_SHAPE(3);

    cr_assert_eq(tsi_npy_format_header(TESS_F64, &shape, bytes, 127), 128);
    cr_assert_eq(bytes[0], 0);
    cr_assert_eq(tsi_npy_format_header(TESS_F64, &shape, NULL, 0), 128);
}

Test(npy, what_is_no_array_has_no_header)
{
    const tess_shape negative = TESS_SHAPE(-1);
    const tess_shape scalar = TESS_SCALAR_SHAPE;
    const tess_shape deep = {.ndim = TESS_NDIM_MAX + 1};

    cr_assert_eq(tsi_npy_format_header(TESS_F64, &negative, NULL, 0), 0);
    cr_assert_eq(tsi_npy_format_header(TESS_NONE, &scalar, NULL, 0), 0);
    cr_assert_eq(tsi_npy_format_header(TESS_DTYPE_COUNT, &scalar, NULL, 0), 0);
    cr_assert_eq(tsi_npy_format_header(TESS_F64, &deep, NULL, 0), 0);
}
