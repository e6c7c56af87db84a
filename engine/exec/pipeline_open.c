// SPDX-License-Identifier: Apache-2.0
//
// What a pipeline does not do itself, so that elements pass the cache once less:
//
// - A sum or mean of floats is open: its last step, if that is a sum, a difference or a multiple,
//   is left to a fold that computes what it adds (isa_fold_linear.c), and so are squares before
//   the sum. The bits are the same, so a tile that this fold cannot take is closed: made, and
//   folded as any other.
// - A load of several rows leaves them where they are, if its users can take rows with a step.
//   Maps and casts do one row after the other, so rows must not be too short. All such loads of
//   a program have the same axes in their rows.
//
// Both have to be known before it is found out which steps each tile needs.

#include "engine/exec/pipeline_step.h"

// Columns from which a kernel is called for each row.
#define ROW_MIN 32

static bool
is_map(const struct tsi_tile *tile, int index, enum tsi_op op)
{
    const struct tsi_tile_instruction *const instruction = &tile->instructions[index];
    return instruction->code == TSI_TILE_MAP && instruction->operand == op;
}

static void
open_with(struct tsi_pipeline *pipeline, int a, double scale_a, int b, double scale_b)
{
    pipeline->is_open = true;
    pipeline->term[0] = a;
    pipeline->term[1] = b;
    pipeline->scale[0] = scale_a;
    pipeline->scale[1] = scale_b;
}

// Whether step `index` is a square that `user` may do.
static bool
is_square(const struct tsi_tile *tile, const struct tsi_pipeline *pipeline, int index, int user)
{
    const struct tsi_step *const step = &pipeline->steps[index];
    return is_map(tile, index, TSI_OP_MULTIPLY) && step->in[0] == step->in[1] &&
           !step->is_absorbed &&
           (index == user || tsi_pipeline_may_absorb(pipeline, index, 0, user));
}

// The last step as a square or the sum of two, if it is that.
static void
open_squares(const struct tsi_tile *tile, struct tsi_pipeline *pipeline, int last)
{
    struct tsi_step *const step = &pipeline->steps[last];
    const int a = step->in[0];
    const int b = step->in[1];
    if (is_square(tile, pipeline, last, last)) {
        open_with(pipeline, a, 1.0, -1, 0.0);
        pipeline->square[0] = last;
    } else if (is_map(tile, last, TSI_OP_ADD) && step->combine == NULL &&
               is_square(tile, pipeline, a, last) && is_square(tile, pipeline, b, last)) {
        open_with(pipeline, pipeline->steps[a].in[0], 1.0, pipeline->steps[b].in[0], 1.0);
        pipeline->steps[a].is_absorbed = true;
        pipeline->steps[b].is_absorbed = true;
        pipeline->square[0] = a;
        pipeline->square[1] = b;
    }
}

// The last step as two terms, if it is that.
static void
open_step(const struct tsi_tile *tile, struct tsi_pipeline *pipeline, int last)
{
    struct tsi_step *const step = &pipeline->steps[last];
    const int a = step->in[0];
    const int b = step->in[1];
    open_squares(tile, pipeline, last);
    if (pipeline->is_open) {
        step->is_absorbed = true;
        return;
    }
    if (step->combine != NULL) {
        open_with(pipeline, a, step->scale[0], b, step->scale[1]);
    } else if (is_map(tile, last, TSI_OP_ADD)) {
        open_with(pipeline, a, 1.0, b, 1.0);
    } else if (is_map(tile, last, TSI_OP_SUBTRACT)) {
        open_with(pipeline, a, 1.0, b, -1.0);
    } else if (is_map(tile, last, TSI_OP_MULTIPLY) && pipeline->steps[b].code == TSI_TILE_CONST) {
        open_with(pipeline, a, tsi_pipeline_constant(&pipeline->steps[b]), -1, 0.0);
    } else if (is_map(tile, last, TSI_OP_MULTIPLY) && pipeline->steps[a].code == TSI_TILE_CONST) {
        open_with(pipeline, b, tsi_pipeline_constant(&pipeline->steps[a]), -1, 0.0);
    } else if (step->code == TSI_TILE_LOAD) {
        open_with(pipeline, last, 1.0, -1, 0.0);
    }
    step->is_absorbed = pipeline->is_open && step->code != TSI_TILE_LOAD;
}

void
tsi_pipeline_open(const struct tsi_run *run, struct tsi_pipeline *pipeline)
{
    const struct tsi_tile_reduce *const reduce = &run->op->tile.reduce;
    const bool is_sum = reduce->reduction == TSI_REDUCE_SUM || reduce->reduction == TSI_REDUCE_MEAN;
    if (is_sum && run->kernel->linear[reduce->dtype].across != NULL &&
        pipeline->dtype == (tess_dtype)reduce->dtype) {
        open_step(&run->op->tile, pipeline, pipeline->count - 1);
    }
}

// Whether all tiles of a load are aligned.
static bool
is_aligned(const struct tsi_tiling *tiling, const struct tsi_step *step)
{
    const unsigned char *const data = step->piece != NULL ? step->piece->data : step->view->data;
    bool is_aligned = (uintptr_t)data % step->bytes == 0;
    for (int i = 0; i < tiling->ndim; i++) {
        is_aligned = is_aligned && step->step[tiling->axis[i]] % step->bytes == 0;
    }
    return is_aligned;
}

// Whether all tiles of `step` are runs of a load that stay where they are.
static bool
is_run(const struct tsi_tiling *tiling, const struct tsi_step *step)
{
    const struct tsi_reach *const reach = &step->reach;
    return step->code == TSI_TILE_LOAD && step->piece == NULL && !step->is_direct &&
           !step->view->swapped &&
           (reach->ndim == 0 || (reach->ndim == 1 && reach->step[0] == step->bytes)) &&
           is_aligned(tiling, step);
}

// Elements of the rows of `step` in a whole tile, if it is a load of rows that a kernel can read
// where they are; 0 if it is not. Any tile of it has to be aligned.
static int64_t
columns_of(const struct tsi_tiling *tiling, const struct tsi_step *step)
{
    const struct tsi_reach *const reach = &step->reach;
    int64_t columns = 1;
    if (step->code != TSI_TILE_LOAD || step->is_kept || step->is_direct || step->view->swapped ||
        reach->ndim != 2 || reach->step[1] != step->bytes) {
        return 0;
    }
    if (!is_aligned(tiling, step)) {
        return 0;
    }
    for (int k = reach->first[1]; k < tiling->box_ndim; k++) {
        columns *= tiling->block[tiling->box[k]];
    }
    return columns;
}

static void
keep_rows(struct tsi_pipeline *pipeline)
{
    const int end = pipeline->is_open ? pipeline->count : pipeline->count - 1;
    for (int i = 0; i < end; i++) {
        struct tsi_step *const step = &pipeline->steps[i];
        if (columns_of(pipeline->tiling, step) >= ROW_MIN &&
            (pipeline->split < 0 || pipeline->split == step->reach.first[1])) {
            step->is_rows = true;
            pipeline->split = step->reach.first[1];
        }
    }
}

// Whether the value of a step is at one place in all tiles.
static bool
is_settled(const struct tsi_step *step)
{
    return step->code != TSI_TILE_LOAD && !step->is_direct;
}

// Makes the call that is map `step`; false if it may have operands in rows.
static bool
make_map(const struct tsi_pipeline *pipeline, const struct tsi_step *step,
         struct tsi_pipeline_call *call)
{
    *call = (struct tsi_pipeline_call){.map = step->map,
                                       .of.map.out = step->is_direct ? NULL : step->buffer};
    for (int k = 0; k < 3; k++) {
        const struct tsi_step *const from = step->in[k] < 0 ? NULL : &pipeline->steps[step->in[k]];
        const bool is_elsewhere = from != NULL && !is_settled(from);
        if (from != NULL && from->is_rows) {
            return false;
        }
        call->of.map.from[k] = is_elsewhere ? &from->value : &call->of.map.in[k];
        call->of.map.in[k] = from != NULL && !is_elsewhere ? from->buffer : NULL;
    }
    return true;
}

// Makes the call that does `step` at each tile.
static void
make_call(const struct tsi_pipeline *pipeline, struct tsi_step *step,
          struct tsi_pipeline_call *call)
{
    if (step->map != NULL && step->combine == NULL && make_map(pipeline, step, call)) {
        return;
    }
    *call = (struct tsi_pipeline_call){.of.step.step = step};
    if (is_run(pipeline->tiling, step)) {
        call->of.step.data = step->view->data;
        call->of.step.stride = step->step;
    }
}

void
tsi_pipeline_ready(struct tsi_pipeline *pipeline)
{
    keep_rows(pipeline);
    pipeline->call_count = 0;
    for (int i = 0; i < pipeline->count; i++) {
        struct tsi_step *const step = &pipeline->steps[i];
        if (is_settled(step)) {
            step->value = step->buffer;
        }
        // A constant is in its register already, if it has one.
        if (!step->is_absorbed && (step->code != TSI_TILE_CONST || step->is_direct)) {
            make_call(pipeline, step, &pipeline->calls[pipeline->call_count++]);
        }
    }
}

static void
find_rows(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
          struct tsi_tile_terms *terms)
{
    const bool has_rows = tsi_pipeline_rows(pipeline, at) > 1;
    for (int k = 0; k < 2 && pipeline->term[k] >= 0; k++) {
        const struct tsi_step *const step = &pipeline->steps[pipeline->term[k]];
        struct tsi_kernel_term *const term = &terms->term[k];
        terms->has_rows[k] = step->in_rows && has_rows;
        term->step = terms->has_rows[k] ? step->reach.step[0] : 0;
        term->ahead = step->in_rows ? step->ahead : 0;
    }
}

void
tsi_pipeline_terms(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                   struct tsi_tile_terms *terms)
{
    for (int k = 0; k < 2; k++) {
        if (terms->value[k] != NULL) {
            terms->term[k].data = *terms->value[k];
        }
    }
    if (pipeline->split >= 0) {
        find_rows(pipeline, at, terms);
    }
}

void
tsi_pipeline_begin_terms(const struct tsi_pipeline *pipeline, struct tsi_tile_terms *terms)
{
    *terms = (struct tsi_tile_terms){.split = pipeline->split};
    for (int k = 0; k < 2 && pipeline->term[k] >= 0; k++) {
        const struct tsi_step *const step = &pipeline->steps[pipeline->term[k]];
        terms->value[k] = is_settled(step) ? NULL : &step->value;
        terms->term[k].data = step->value;
        terms->term[k].is_square = pipeline->square[0] >= 0;
    }
    terms->term[0].scale = pipeline->scale[0];
    terms->term[1].scale = pipeline->scale[1];
}

const void *
tsi_pipeline_close(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at)
{
    const int last = pipeline->count - 1;
    struct tsi_step *const step = &pipeline->steps[last];
    if (step->in_rows) {
        tsi_pipeline_copy(pipeline->tiling, at, step, step->value, step->buffer);
        return step->buffer;
    }
    for (int k = 0; k < 2; k++) {
        if (pipeline->square[k] >= 0 && pipeline->square[k] != last) {
            tsi_pipeline_step(pipeline, at, &pipeline->steps[pipeline->square[k]], NULL);
        }
    }
    if (step->is_absorbed) {
        tsi_pipeline_step(pipeline, at, step, NULL);
    }
    return step->value;
}
