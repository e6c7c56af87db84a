// SPDX-License-Identifier: Apache-2.0
//
// Writing the header of an NPY file, byte for byte as NumPy does, so that files can be compared.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/dtype.h"
#include "engine/base/text.h"
#include "engine/io/npy.h"

enum {
    LENGTH_START = 8, // behind magic and version
    LITERAL_START = 10,
    DATA_ALIGN = 64,
    // NumPy leaves room for the first size to grow to this many digits.
    GROWTH_DIGITS = 21,
};

static const unsigned char magic_and_version[LENGTH_START] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

static char
kind_letter(tess_dtype dtype)
{
    switch (tsi_dtype_kind(dtype)) {
    case TSI_KIND_BOOL:
        return 'b';
    case TSI_KIND_SIGNED:
        return 'i';
    case TSI_KIND_UNSIGNED:
        return 'u';
    default:
        return 'f';
    }
}

static bool
shape_is_sound(const tess_shape *shape)
{
    if (shape->ndim < 0 || shape->ndim > TESS_NDIM_MAX) {
        return false;
    }
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->size[i] < 0) {
            return false;
        }
    }
    return true;
}

size_t
tsi_npy_format_header(tess_dtype dtype, const tess_shape *shape, unsigned char *out,
                      size_t capacity)
{
    if (!tsi_dtype_is_valid((int)dtype) || !shape_is_sound(shape)) {
        return 0;
    }
    char shape_text[TSI_SHAPE_TEXT_MAX];
    char literal[TSI_NPY_FORMAT_BYTES_MAX];
    const size_t bytes = tess_dtype_bytes(dtype);
    const size_t chars = (size_t)snprintf(
        literal, sizeof literal, "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': %s, }",
        bytes == 1 ? '|' : '<', kind_letter(dtype), bytes,
        tsi_text_shape(shape_text, shape->ndim, shape->size));
    size_t used = chars;
    if (shape->ndim > 0) {
        const int digits = snprintf(NULL, 0, "%" PRId64, shape->size[0]);
        used += (size_t)(GROWTH_DIGITS - digits);
    }
    // NumPy pads with at least one blank, and with a whole 64 where none would be needed.
    const size_t unpadded = LITERAL_START + used + 1;
    const size_t total = (unpadded / DATA_ALIGN + 1) * DATA_ALIGN;
    if (out == NULL || capacity < total) {
        return total;
    }
    const size_t literal_bytes = total - LITERAL_START;
    memcpy(out, magic_and_version, sizeof magic_and_version);
    out[LENGTH_START] = (unsigned char)(literal_bytes & 0xFF);
    out[LENGTH_START + 1] = (unsigned char)(literal_bytes >> 8);
    memset(out + LITERAL_START, ' ', literal_bytes);
    memcpy(out + LITERAL_START, literal, chars);
    out[total - 1] = '\n';
    return total;
}
