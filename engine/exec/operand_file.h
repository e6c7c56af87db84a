// SPDX-License-Identifier: Apache-2.0
//
// Operands that are files.

#ifndef TSI_EXEC_OPERAND_FILE_H
#define TSI_EXEC_OPERAND_FILE_H

#include "engine/exec/operand.h"

// The view of the run's loop chunk in the file that `source` is.
tess_status tsi_operand_file_bind(struct tsi_run *run, const struct tsi_chunk_op *source,
                                  const struct tsi_index_map *map, struct tsi_operand *view);

// Puts the loop chunk's elements of a file into `out`, straight from it where their order is the
// same.
tess_status tsi_operand_file_copy(struct tsi_run *run, const struct tsi_chunk_op *source,
                                  const struct tsi_index_map *map, void *out,
                                  const int64_t *stride);

#endif
