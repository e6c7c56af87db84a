// SPDX-License-Identifier: Apache-2.0
//
// Mirror images: the two tasks of an operation that read the same two chunks, as those of
// sum(x + x.T) at (i, j) and at (j, i) do. Whoever runs them one right after the other, or at once,
// brings the chunks once.

#ifndef TSI_PROGRAM_MIRROR_H
#define TSI_PROGRAM_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/program/program.h"

// Two loop axes, the lower one first. The loop is cut alike along both, and with the two swapped
// an input becomes another input of the same source.
struct tsi_mirror {
    int low; // −1: there are none
    int high;
};

// The axes of a reduction of which not both are folded; none for any other operation, whose mirror
// images would have to be kept until they are wanted. A fold may take mirror images piece by piece
// without a change to the order in which any accumulator gets its elements: axes that are folded
// besides come before.
struct tsi_mirror tsi_mirror_find(const struct tsi_chunk_op *op);

// The chunk whose coordinates on the two axes are those of `chunk`, swapped; `chunk` itself on the
// diagonal, and without axes.
int64_t tsi_mirror_chunk(const struct tsi_mirror *mirror, const struct tsi_grid *loop,
                         int64_t chunk);

#endif
