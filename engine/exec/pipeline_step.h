// SPDX-License-Identifier: Apache-2.0
//
// One instruction of a tile program, made ready: what the files of the pipeline share.

#ifndef TSI_EXEC_PIPELINE_STEP_H
#define TSI_EXEC_PIPELINE_STEP_H

#include "engine/base/buf.h"
#include "engine/exec/pieces.h"
#include "engine/exec/pipeline.h"

// What each tile needs is in the first two lines of the cache: between two tiles their elements go
// through it.
struct tsi_step {
    _Alignas(TSI_BUF_ALIGN) uint8_t code;
    uint8_t bytes; // of one element of the value
    bool is_direct;
    bool is_kept;     // in a register of its own that may still hold the value of an earlier tile
    bool is_filled;   // it does
    bool is_absorbed; // a later step does its work
    bool is_rows;     // a load that may leave the rows of a tile where they are
    bool in_rows;     // it did: `value` is rows with the step of the reach
    uint32_t shape;   // of the tile that filled it
    int in[3];        // steps; −1 beyond the arity
    void *buffer;
    const void *value;
    tsi_kernel_map *map;         // NULL for all but maps
    tsi_kernel_combine *combine; // instead of `map` where not NULL, with these scales
    tsi_kernel_cast *cast;       // NULL for a cast that changes nothing
    tsi_kernel_source *source;
    const struct tsi_source_params *params;
    const int64_t *step; // along the loop axes: bytes of a view, indices of a source
    int64_t first;       // index of a source at the first element of the loop chunk
    int64_t filled;      // what the value shows: its address or its first index
    int64_t ahead; // where rows of the next tile are, from those of this one; 0 if memory knows
    double scale[2];
    const struct tsi_operand *view;
    struct tsi_piece *piece; // instead of `view` for what lies in several chunks
    struct tsi_reach reach;
    struct tsi_scalar constant;
};

// What each tile needs done, in the order of the steps. What that takes is in one line of the
// cache where it can be: the elements of each tile push out what lies around, and every line of it
// is waited for.
struct tsi_pipeline_call {
    // Of whole tiles; NULL for all that is not such a map.
    _Alignas(TSI_BUF_ALIGN) tsi_kernel_map *map;
    union {
        struct {
            void *out;                  // NULL: where a direct pipeline writes
            const void *const *from[3]; // the operands: `in` here, or the value of a load
            const void *in[3];          // NULL beyond the arity
        } map;
        struct {
            struct tsi_step *step;     // tsi_pipeline_step() does it
            const unsigned char *data; // unless all tiles are runs that a load leaves where they
            const int64_t *stride;     // are, from `data` on; NULL otherwise
        } step;
    } of;
};

// The rows of a tile of a pipeline with a split, and the elements of each.
static inline int64_t
tsi_pipeline_rows(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at)
{
    int64_t rows = 1;
    for (int i = 0; i < pipeline->split; i++) {
        rows *= at->count[pipeline->tiling->box[i]];
    }
    return rows;
}

// Does a step. `out` is for a direct one.
void tsi_pipeline_step(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                       struct tsi_step *step, void *out);

// Does step `index`, a load, of whose tiles the values are to be at `out` if they are not seen
// where they are.
void tsi_pipeline_load(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                       struct tsi_step *step, void *out);

// Copies a tile's elements from `data` to the dense run `out`.
void tsi_pipeline_copy(const struct tsi_tiling *tiling, const struct tsi_tile_at *at,
                       const struct tsi_step *step, const unsigned char *data, void *out);

// Whether the work of step `index` may be left to `user`, a later one: nobody else needs its value,
// and the operand that it has at `side` is still there then.
bool tsi_pipeline_may_absorb(const struct tsi_pipeline *pipeline, int index, int side, int user);

// The value of a constant of a float.
double tsi_pipeline_constant(const struct tsi_step *step);

// Lets single steps do the work of several where the bits are the same: a sum or difference of
// floats does the multiplications of its operands by constants.
void tsi_pipeline_combine(const struct tsi_run *run, struct tsi_pipeline *pipeline);

#endif
