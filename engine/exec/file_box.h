// SPDX-License-Identifier: Apache-2.0
//
// Boxes of a file's elements, read into memory without its pages: what is resident is `out` and no
// more, however far apart the elements are in the file.

#ifndef TSI_EXEC_FILE_BOX_H
#define TSI_EXEC_FILE_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/exec/files.h"

// size[0] × … × size[ndim − 1] elements of `bytes` each. The first is `offset` bytes behind the
// file's first element, and the next one along axis i is stride[i] bytes further, of any sign; 0
// repeats it.
struct tsi_file_box {
    int ndim;
    const int64_t *size;
    size_t bytes;
    int64_t offset;
    const int64_t *stride;
};

// The strides of a dense block in the file's order, 0 along axes that repeat; returns its bytes.
size_t tsi_file_box_dense(const struct tsi_file_box *box, int64_t *stride);

// Whether elements with these strides follow each other as they do in the file, so that reading
// goes through both from their beginnings to their ends.
bool tsi_file_box_is_in_order(const struct tsi_file_box *box, const int64_t *stride);

// Reads the box to `out`. Fails with TESS_EIO.
tess_status tsi_file_box_read(const struct tsi_file_box *box, const struct tsi_mapped_file *file,
                              void *out, const int64_t *out_stride, struct tsi_error *error);

#endif
