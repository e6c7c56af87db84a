// SPDX-License-Identifier: Apache-2.0
//
// Tile programs: what one blockwise task does to its chunk.
//
// Straight-line instructions over virtual registers, run for one tile of elements after another. A
// register holds one tile of one element type, and may be read from the instruction after the one
// that writes it. An instruction may write a register that it reads if both types are of the same
// size. The last register written is given to the sink, which stores it, folds it into
// accumulators, or writes it into a file. A chain of operations so makes no temporary larger than a
// tile.

#ifndef TSI_PROGRAM_TILE_H
#define TSI_PROGRAM_TILE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/dtype.h"
#include "engine/base/limits.h"
#include "engine/base/op.h"
#include "engine/base/source.h"
#include "tessera/geometry.h"

// Numbers travel between processes: append, never move.
enum tsi_tile_code {
    TSI_TILE_LOAD,   // out = elements of input `operand`, of type `dtype`
    TSI_TILE_CONST,  // out = constant `operand`, of type `dtype`
    TSI_TILE_SOURCE, // out = source `operand`, of type `dtype`
    TSI_TILE_MAP,    // out = op `operand` of in[0 … arity − 1], computed in type `dtype`
    TSI_TILE_CAST,   // out = in[0], of type `from`, as type `dtype`
    TSI_TILE_CODE_COUNT
};

struct tsi_tile_instruction {
    uint8_t code;
    uint8_t dtype;
    uint8_t from;
    uint8_t out;
    uint8_t in[3];
    uint8_t operand;
};

// How many registers an instruction reads.
static inline int
tsi_tile_arity(const struct tsi_tile_instruction *instruction)
{
    switch (instruction->code) {
    case TSI_TILE_MAP:
        return tsi_op_row((enum tsi_op)instruction->operand)->arity;
    case TSI_TILE_CAST:
        return 1;
    default:
        return 0;
    }
}

// A source, and how its index follows from the loop index: first + Σ step[axis]·i[axis].
struct tsi_tile_source {
    uint8_t source; // enum tsi_source
    int64_t first;
    int64_t step[TESS_NDIM_MAX];
    struct tsi_source_params params;
};

// Numbers travel between processes: append, never move.
enum tsi_tile_sink {
    TSI_SINK_STORE,  // the chunk, in C order
    TSI_SINK_REDUCE, // accumulators, or, if `finish`, their results
    TSI_SINK_WRITE,  // the chunk's place in a file; the task's output is empty
    TSI_SINK_COUNT
};

// How a reduction folds the loop axes in `axes`. `order[a]` is the weight of axis a in the index
// that argmin and argmax tell: Σ order[a]·i[a] over the folded axes. `folded` is how many elements
// the whole fold takes.
struct tsi_tile_reduce {
    uint8_t reduction; // enum tsi_reduction
    uint8_t dtype;     // of the elements
    bool finish;
    uint32_t axes; // one bit a loop axis
    double folded;
    double ddof;
    int64_t order[TESS_NDIM_MAX];
};

struct tsi_tile {
    int instruction_count;
    int constant_count;
    int source_count;
    int register_count;
    struct tsi_tile_instruction *instructions;
    struct tsi_scalar *constants;
    struct tsi_tile_source *sources;
    uint8_t sink; // enum tsi_tile_sink
    struct tsi_tile_reduce reduce;
};

#endif
