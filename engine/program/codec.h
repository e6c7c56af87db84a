// SPDX-License-Identifier: Apache-2.0
//
// Programs as bytes: little-endian, versioned, validated before use.

#ifndef TSI_PROGRAM_CODEC_H
#define TSI_PROGRAM_CODEC_H

#include "engine/program/program.h"

#define TSI_PROGRAM_FORMAT 1

// Writes `program` to a fresh buffer in `*bytes`, freed with tsi_free(). Fails as
// tsi_program_validate() does for a program that is not valid, with TESS_ELIMIT beyond
// TSI_PROGRAM_BYTES_MAX, with TESS_ENOMEM.
tess_status tsi_program_encode(const struct tsi_program *program, unsigned char **bytes,
                               size_t *count, struct tsi_error *error);

// Reads a program from bytes that nobody vouches for; it is valid if the result is TESS_OK. Fails
// with TESS_EPROTOCOL for malformed bytes, TESS_EVERSION for another format, TESS_ENOMEM,
// TESS_ELIMIT. Memory is bounded by 256 times `count` (or 1 MiB, if that is more) and by 1 GiB:
// operations and inputs are large beside their bytes.
tess_status tsi_program_decode(const unsigned char *bytes, size_t count,
                               struct tsi_program **program, struct tsi_error *error);

#endif
