// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the start of an NPY file. What the reader takes must be sound, and what is written
// from it must be read as the same array.

#include <string.h>

#include "engine/base/check.h"
#include "engine/io/npy.h"
#include "tests/fuzz/fuzz.h"

unsigned long fuzz_taken;

static void
check_sound(const struct tsi_npy_header *header, size_t byte_count)
{
    TSI_CHECK(tess_dtype_bytes(header->dtype) > 0);
    TSI_CHECK(header->data_offset > 0 && (size_t)header->data_offset <= byte_count);
    TSI_CHECK(header->data_bytes >= 0 && header->data_bytes <= INT64_MAX - header->data_offset);
    TSI_CHECK(header->shape.ndim >= 0 && header->shape.ndim <= TESS_NDIM_MAX);
    for (int i = 0; i < header->shape.ndim; i++) {
        TSI_CHECK(header->shape.size[i] >= 0);
    }
}

static void
check_round_trip(const struct tsi_npy_header *header)
{
    unsigned char written[TSI_NPY_FORMAT_BYTES_MAX];
    struct tsi_npy_header again;
    const size_t count =
        tsi_npy_format_header(header->dtype, &header->shape, written, sizeof written);
    TSI_CHECK(count > 0 && count <= sizeof written);
    // The new header may be the longer one, and then the last arrays that fit do not fit any more.
    const tess_status status = tsi_npy_parse(written, count, &again, NULL);
    TSI_CHECK(status == TESS_OK || header->data_bytes > INT64_MAX - TSI_NPY_FORMAT_BYTES_MAX);
    if (status == TESS_OK) {
        TSI_CHECK(again.dtype == header->dtype && again.data_bytes == header->data_bytes);
        TSI_CHECK(again.shape.ndim == header->shape.ndim);
        TSI_CHECK(memcmp(&again.shape.size, &header->shape.size, sizeof again.shape.size) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct tsi_npy_header header;
    struct tsi_error error;
    const tess_status status = tsi_npy_parse(bytes, byte_count, &header, &error);
    if (status == TESS_OK) {
        fuzz_taken++;
        check_sound(&header, byte_count);
        check_round_trip(&header);
    } else {
        TSI_CHECK(error.status == status && strlen(error.text) < sizeof error.text);
    }
    const size_t header_bytes = tsi_npy_header_bytes(bytes, byte_count);
    TSI_CHECK(status != TESS_OK || header_bytes == (size_t)header.data_offset);
    return 0;
}
