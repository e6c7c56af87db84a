// SPDX-License-Identifier: Apache-2.0
//
// The parts of tsi_program_validate(), in the order in which they build on each other: grids and
// inputs first (program_validate.c), then what an operation does with them.
//
// All return TESS_EPROTOCOL with a message that says which rule is broken; the caller puts the
// operation before it.

#ifndef TSI_PROGRAM_VALIDATE_H
#define TSI_PROGRAM_VALIDATE_H

#include "engine/program/program.h"

// The rules of an operation's kind of work; its grids, inputs and maps are valid.
tess_status tsi_work_validate(const struct tsi_program *program, const struct tsi_chunk_op *op,
                              struct tsi_error *error);

// The rules of tile.h for an operation that is a TILE; likewise.
tess_status tsi_tile_validate(const struct tsi_program *program, const struct tsi_chunk_op *op,
                              struct tsi_error *error);

// Whether no task reads, and no chunk is read by, more than can be counted; the operations and
// their numbers are valid. Fails with TESS_ELIMIT, TESS_ENOMEM.
tess_status tsi_reads_validate(const struct tsi_program *program, struct tsi_error *error);

// Whether a fold says a reduction, an element type and a count that there are, and folds only axes
// that the loop of `op` has. On failure sets `*error`.
struct tsi_fold_rule {
    uint8_t reduction;
    uint8_t dtype;
    bool finish;
    uint32_t axes;
    double folded;
};
tess_status tsi_fold_validate(const struct tsi_chunk_op *op, const struct tsi_fold_rule *rule,
                              struct tsi_error *error);

// Whether `array` is cut as `loop` once the loop axes in `dropped` and all axes of one element and
// one chunk are left out of both.
bool tsi_grid_agrees(const struct tsi_grid *loop, uint32_t dropped, const struct tsi_grid *array);

// Whether each chunk of `axis` has one element, `count` of them.
bool tsi_axis_is_unit(const struct tsi_axis *axis, int64_t count);

#endif
