// SPDX-License-Identifier: Apache-2.0
//
// Reading the header of an NPY file: 6 magic bytes, 2 of the version, the length of the literal (2
// bytes in version 1, else 4), and the literal, a dict of the keys descr, fortran_order and shape.
//
// The reader takes exactly that much Python: a dict of each of the three keys once, in any order,
// whose values are a plain string, True or False, and a tuple of whole numbers. Headers come from
// strangers: every byte is looked at only below `end`, and no size is used before it is known not
// to overflow.

#include "engine/io/npy.h"

#include <string.h>

#include "engine/base/memory.h"

enum {
    MAGIC_BYTES = 6,
    PREFIX_BYTES = 8, // magic and version
    LITERAL_BYTES_MAX = 1 << 20,
};

static const unsigned char magic[MAGIC_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

struct reader {
    const char *at;
    const char *end;
    struct tsi_npy_header *header;
    struct tsi_error *error;
};

// A piece of the literal, which does not end with a zero.
struct piece {
    const char *chars;
    size_t count;
};

static tess_status
malformed(const struct reader *reader, const char *what)
{
    return tsi_error_set(reader->error, TESS_EFORMAT, "malformed NPY header: %s", what);
}

static void
skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && *reader->at != '\0' && strchr(" \t\r\n\f", *reader->at)) {
        reader->at++;
    }
}

// Takes `c` if it is what comes next after blanks.
static bool
take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

static bool
piece_is(struct piece piece, const char *text)
{
    return piece.count == strlen(text) && memcmp(piece.chars, text, piece.count) == 0;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// A string without escapes, in either kind of quotes.
static bool
read_string(struct reader *reader, struct piece *piece)
{
    skip_blanks(reader);
    const char *at = reader->at;
    if (at == reader->end || (*at != '\'' && *at != '"')) {
        return false;
    }
    const char quote = *at++;
    piece->chars = at;
    while (at < reader->end && *at != quote) {
        if (*at == '\\' || *at == '\n' || *at == '\0') {
            return false;
        }
        at++;
    }
    if (at == reader->end) {
        return false;
    }
    piece->count = (size_t)(at - piece->chars);
    reader->at = at + 1;
    return true;
}

// The dtype of a type string without its byte order, such as "f8".
static tess_dtype
dtype_of_code(struct piece code)
{
    static const struct {
        const char *code;
        tess_dtype dtype;
    } codes[] = {
        {"b1", TESS_BOOL}, {"i1", TESS_I8},  {"i2", TESS_I16}, {"i4", TESS_I32},
        {"i8", TESS_I64},  {"u1", TESS_U8},  {"u2", TESS_U16}, {"u4", TESS_U32},
        {"u8", TESS_U64},  {"f4", TESS_F32}, {"f8", TESS_F64},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (piece_is(code, codes[i].code)) {
            return codes[i].dtype;
        }
    }
    return TESS_NONE;
}

// "<f8", ">i4", "|u1". "|" says that there is no byte order, which holds for one byte only.
static tess_status
read_descr(struct reader *reader)
{
    struct piece descr = {0};
    if (take(reader, '[') || take(reader, '(')) {
        return tsi_error_set(reader->error, TESS_EDTYPE, "NPY elements with fields have no dtype");
    }
    if (!read_string(reader, &descr)) {
        return malformed(reader, "descr is no string");
    }
    const char order = descr.count > 0 ? descr.chars[0] : '\0';
    tess_dtype dtype = TESS_NONE;
    if (order == '<' || order == '>' || order == '=' || order == '|') {
        dtype = dtype_of_code((struct piece){descr.chars + 1, descr.count - 1});
    }
    const size_t bytes = tess_dtype_bytes(dtype);
    if (dtype == TESS_NONE || (order == '|' && bytes > 1)) {
        const int shown = descr.count < 40 ? (int)descr.count : 40;
        return tsi_error_set(reader->error, TESS_EDTYPE,
                             "NPY elements of type '%.*s' have no dtype", shown, descr.chars);
    }
    reader->header->dtype = dtype;
    reader->header->swapped = order == '>' && bytes > 1;
    return TESS_OK;
}

static tess_status
read_order(struct reader *reader)
{
    skip_blanks(reader);
    struct piece word = {reader->at, 0};
    while (reader->at < reader->end && (is_letter(*reader->at) || is_digit(*reader->at))) {
        reader->at++;
        word.count++;
    }
    if (!piece_is(word, "True") && !piece_is(word, "False")) {
        return malformed(reader, "fortran_order is neither True nor False");
    }
    reader->header->fortran_order = word.count == 4;
    return TESS_OK;
}

// A whole number as Python 3 writes it, or Python 2 with an L behind.
static tess_status
read_size(struct reader *reader, int64_t *size)
{
    skip_blanks(reader);
    const char *first = reader->at;
    int64_t value = 0;
    for (; reader->at < reader->end && is_digit(*reader->at); reader->at++) {
        if (!tsi_mul_i64(value, 10, &value) || !tsi_add_i64(value, *reader->at - '0', &value)) {
            return tsi_error_set(reader->error, TESS_EOVERFLOW,
                                 "NPY header: a size does not fit 64 bits");
        }
    }
    const size_t digits = (size_t)(reader->at - first);
    if (digits == 0 || (*first == '0' && digits > 1)) {
        return malformed(reader, "a size is no whole number from 0 on");
    }
    if (reader->at < reader->end && *reader->at == 'L') {
        reader->at++;
    }
    *size = value;
    return TESS_OK;
}

static tess_status
read_shape(struct reader *reader)
{
    tess_shape shape = {0};
    if (!take(reader, '(')) {
        return malformed(reader, "shape is no tuple");
    }
    bool comma = true;
    while (!take(reader, ')')) {
        if (!comma) {
            return malformed(reader, "shape is no tuple of whole numbers");
        }
        if (shape.ndim == TESS_NDIM_MAX) {
            return tsi_error_set(reader->error, TESS_ESHAPE, "NPY header: more than %d axes",
                                 TESS_NDIM_MAX);
        }
        const tess_status status = read_size(reader, &shape.size[shape.ndim]);
        if (status != TESS_OK) {
            return status;
        }
        shape.ndim++;
        comma = take(reader, ',');
    }
    if (shape.ndim == 1 && !comma) {
        return malformed(reader, "shape is a number, not a tuple");
    }
    reader->header->shape = shape;
    return TESS_OK;
}

struct key {
    const char *name;
    tess_status (*read)(struct reader *reader);
};

enum { KEY_COUNT = 3 };

static const struct key keys[KEY_COUNT] = {
    {"descr", read_descr},
    {"fortran_order", read_order},
    {"shape", read_shape},
};

// One `key: value`; `seen` has a bit for each key that was there before.
static tess_status
read_pair(struct reader *reader, unsigned *seen)
{
    struct piece name = {0};
    if (!read_string(reader, &name) || !take(reader, ':')) {
        return malformed(reader, "no key where one must be");
    }
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        if (piece_is(name, keys[i].name)) {
            if ((*seen >> i & 1) != 0) {
                return malformed(reader, "a key is there twice");
            }
            *seen |= 1u << i;
            return keys[i].read(reader);
        }
    }
    return malformed(reader, "unknown key");
}

static tess_status
read_dict(struct reader *reader)
{
    unsigned seen = 0;
    bool comma = true;
    if (!take(reader, '{')) {
        return malformed(reader, "it is no dict");
    }
    while (!take(reader, '}')) {
        if (!comma) {
            return malformed(reader, "no comma between keys");
        }
        const tess_status status = read_pair(reader, &seen);
        if (status != TESS_OK) {
            return status;
        }
        comma = take(reader, ',');
    }
    skip_blanks(reader);
    if (reader->at != reader->end) {
        return malformed(reader, "something comes after the dict");
    }
    return seen == (1u << KEY_COUNT) - 1 ? TESS_OK : malformed(reader, "a key is missing");
}

// The bytes of the elements of `shape`; false if they do not fit. As in NumPy, axes without
// elements do not excuse the others.
static bool
data_bytes_of(tess_dtype dtype, const tess_shape *shape, int64_t *bytes)
{
    bool empty = false;
    int64_t product = (int64_t)tess_dtype_bytes(dtype);
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->size[i] == 0) {
            empty = true;
        } else if (!tsi_mul_i64(product, shape->size[i], &product)) {
            return false;
        }
    }
    *bytes = empty ? 0 : product;
    return true;
}

// Where the literal is, from the bytes before it. Works with whatever part of the file there is.
static tess_status
find_literal(const unsigned char *bytes, size_t count, size_t *start, size_t *literal_bytes,
             struct tsi_error *error)
{
    if (count < PREFIX_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0) {
        return tsi_error_set(error, TESS_EFORMAT, "not an NPY file");
    }
    const unsigned major = bytes[MAGIC_BYTES];
    const unsigned minor = bytes[MAGIC_BYTES + 1];
    if (major < 1 || major > 3 || minor != 0) {
        return tsi_error_set(error, TESS_EFORMAT, "NPY format version %u.%u is not known", major,
                             minor);
    }
    const size_t length_bytes = major == 1 ? 2 : 4;
    if (count < PREFIX_BYTES + length_bytes) {
        return tsi_error_set(error, TESS_EFORMAT, "NPY header is cut off");
    }
    size_t length = 0;
    for (size_t i = length_bytes; i-- > 0;) {
        length = length << 8 | bytes[PREFIX_BYTES + i];
    }
    if (length > LITERAL_BYTES_MAX) {
        return tsi_error_set(error, TESS_EFORMAT, "NPY header of %zu bytes is too long", length);
    }
    *start = PREFIX_BYTES + length_bytes;
    *literal_bytes = length;
    return TESS_OK;
}

size_t
tsi_npy_header_bytes(const unsigned char *bytes, size_t count)
{
    size_t start = 0;
    size_t literal_bytes = 0;
    const tess_status status = find_literal(bytes, count, &start, &literal_bytes, NULL);
    return status == TESS_OK ? start + literal_bytes : 0;
}

tess_status
tsi_npy_parse(const unsigned char *bytes, size_t count, struct tsi_npy_header *header,
              struct tsi_error *error)
{
    size_t start = 0;
    size_t literal_bytes = 0;
    tess_status status = find_literal(bytes, count, &start, &literal_bytes, error);
    if (status != TESS_OK) {
        return status;
    }
    if (literal_bytes > count - start) {
        return tsi_error_set(error, TESS_EFORMAT, "NPY header is cut off");
    }

    struct tsi_npy_header found = {.data_offset = (int64_t)(start + literal_bytes)};
    const char *literal = (const char *)bytes + start;
    struct reader reader = {literal, literal + literal_bytes, &found, error};
    status = read_dict(&reader);
    if (status != TESS_OK) {
        return status;
    }
    int64_t end = 0;
    if (!data_bytes_of(found.dtype, &found.shape, &found.data_bytes) ||
        !tsi_add_i64(found.data_offset, found.data_bytes, &end)) {
        return tsi_error_set(error, TESS_EOVERFLOW, "NPY array is too large for this machine");
    }
    *header = found;
    return TESS_OK;
}
