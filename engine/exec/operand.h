// SPDX-License-Identifier: Apache-2.0
//
// Operands: the inputs of a task as its loop sees them.

#ifndef TSI_EXEC_OPERAND_H
#define TSI_EXEC_OPERAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/exec/run.h"

struct tsi_pieces;

// The element for the first index of the loop chunk is at `data`, and the next one along loop axis
// i is stride[i] bytes further, 0 where the input does not vary. NULL data: the chunk is empty.
struct tsi_operand {
    const struct tsi_pieces *pieces; // where they lie in several chunks; then `data` is NULL
    const unsigned char *data;
    size_t bytes; // of one element
    bool swapped; // its bytes are in the other order
    int64_t stride[TESS_NDIM_MAX];
};

// The view of input `input` of the run's operation. Inputs must be bound in turn, each once.
// Elements of one chunk or file are seen where they are; elements of several are gathered into one
// block.
tess_status tsi_operand_bind(struct tsi_run *run, int input, struct tsi_operand *view);

// The same, but nothing is gathered: if there are several chunks, `*is_in_pieces` is set and the
// chunks are still to be taken.
tess_status tsi_operand_see(struct tsi_run *run, int input, struct tsi_operand *view,
                            bool *is_in_pieces);

// How many of the loop indices along loop axis `axis` of the run the input sees in the chunk where
// it sees the first: as far as that, tsi_operand_bind() would look into one chunk. 0 if what the
// first index alone sees is in several chunks. For inputs in closed form of a loop chunk that is
// not empty.
int64_t tsi_operand_reach(struct tsi_run *run, int input, int axis);

// Puts a view's elements into one block, dense in the order of those loop axes along which it
// varies, unswapped.
tess_status tsi_operand_pack(struct tsi_run *run, struct tsi_operand *view);

// Puts the input's elements of the whole loop chunk into `out`, in C order or with the strides of
// the task's output, repeated where the input does not vary. Takes the place of tsi_operand_bind().
tess_status tsi_operand_copy(struct tsi_run *run, int input, void *out);

// Gives back the files that the run's views look into.
void tsi_operand_release(struct tsi_run *run);

#endif
