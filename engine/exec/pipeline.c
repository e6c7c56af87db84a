// SPDX-License-Identifier: Apache-2.0
//
// Instructions become steps, one each, that know where their operands' values are: a step names the
// steps that wrote its operands, not their registers. That leaves a step free to keep its value
// elsewhere than in its register:
//
// - A load whose elements are one aligned run does not copy; its value is where they are.
// - Constants, and loads and sources that some sweep over tiles repeats, have a register of their
// own
//   that nothing overwrites. Constants are filled once, the others when what they show has changed.
// - The last step may write straight to the sink's memory.
// - A step may do the work of others, which are then left out (pipeline_combine.c).
// - A load may leave several rows where they are, and a fold may do the last step
//   (pipeline_open.c). What else loads do is in pipeline_load.c.
//
// All other steps use the register that the planner gave them.

#include "engine/exec/pipeline_step.h"

tess_dtype
tsi_pipeline_dtype(const struct tsi_tile *tile, int index)
{
    const struct tsi_tile_instruction *const instruction = &tile->instructions[index];
    const tess_dtype dtype = (tess_dtype)instruction->dtype;
    return instruction->code == TSI_TILE_MAP
               ? tsi_op_result_dtype((enum tsi_op)instruction->operand, dtype)
               : dtype;
}

// Whether two tiles of one sweep see the same elements of an operand with these steps.
static bool
is_repeated(const struct tsi_tiling *tiling, const int64_t *step)
{
    for (int i = 0; i < tiling->ndim; i++) {
        if (tiling->block[i] < tiling->size[i] && step[tiling->axis[i]] == 0) {
            return true;
        }
    }
    return false;
}

// What a load of an input in several chunks keeps of where it is.
static tess_status
place_piece(struct tsi_run *run, const struct tsi_operand *views,
            const struct tsi_tile_instruction *instruction, struct tsi_step *step)
{
    void *memory = NULL;
    step->piece = NULL;
    if (instruction->code != TSI_TILE_LOAD || views[instruction->operand].pieces == NULL) {
        return TESS_OK;
    }
    const tess_status status = tsi_run_take(run, sizeof *step->piece, &memory);
    if (status == TESS_OK) {
        step->piece = memory;
        tsi_piece_first(views[instruction->operand].pieces, step->piece);
    }
    return status;
}

static void
prepare_source(const struct tsi_run *run, const struct tsi_tiling *tiling,
               const struct tsi_tile_instruction *instruction, struct tsi_step *step)
{
    const struct tsi_tile_source *const source = &run->op->tile.sources[instruction->operand];
    step->source = run->kernel->source[source->source][instruction->dtype];
    step->params = &source->params;
    step->step = source->step;
    step->first = source->first;
    for (int i = 0; i < run->op->loop.ndim; i++) {
        step->first += source->step[i] * run->start[i];
    }
    step->is_kept = !step->is_direct && is_repeated(tiling, source->step);
    tsi_reach_make(tiling, source->step, 0, &step->reach);
}

// Fills in all of a step but its buffer; false if there is no such kernel.
static bool
prepare_step(const struct tsi_run *run, const struct tsi_tiling *tiling,
             const struct tsi_operand *views, const struct tsi_tile_instruction *instruction,
             struct tsi_step *step)
{
    switch (instruction->code) {
    case TSI_TILE_LOAD:
        step->view = &views[instruction->operand];
        step->step = step->piece != NULL ? step->piece->stride : step->view->stride;
        step->is_kept = !step->is_direct && is_repeated(tiling, step->step);
        tsi_reach_make(tiling, step->step, 0, &step->reach);
        return true;
    case TSI_TILE_CONST:
        step->constant = run->op->tile.constants[instruction->operand];
        step->is_kept = !step->is_direct;
        return true;
    case TSI_TILE_SOURCE:
        prepare_source(run, tiling, instruction, step);
        return step->source != NULL;
    case TSI_TILE_MAP:
        step->map = run->kernel->map[instruction->operand][instruction->dtype];
        return step->map != NULL;
    case TSI_TILE_CAST:
        step->cast = instruction->from == instruction->dtype
                         ? NULL
                         : run->kernel->cast[instruction->from][instruction->dtype];
        return instruction->from == instruction->dtype || step->cast != NULL;
    default:
        return false;
    }
}

// A register of the step's own, or the planner's.
static tess_status
place_value(struct tsi_run *run, const struct tsi_tiling *tiling, struct tsi_step *step,
            void **planned)
{
    void **const place = step->is_kept ? &step->buffer : planned;
    if (*place == NULL && !step->is_direct) {
        const tess_status status = tsi_run_take(run, (size_t)tiling->elements * 8, place);
        if (status != TESS_OK) {
            return status;
        }
    }
    step->buffer = *place;
    if (step->code == TSI_TILE_CONST && step->is_kept) {
        tsi_kernel_fill(tiling->elements, step->buffer, step->bytes, step->constant);
        step->value = step->buffer;
    }
    return TESS_OK;
}

tess_status
tsi_pipeline_make(struct tsi_run *run, const struct tsi_tiling *tiling,
                  const struct tsi_operand *views, bool is_direct, struct tsi_pipeline *pipeline)
{
    const struct tsi_tile *const tile = &run->op->tile;
    const size_t count = (size_t)tile->instruction_count;
    void *memory = NULL;
    void *registers[TSI_TILE_REGISTERS_MAX];
    int writer[TSI_TILE_REGISTERS_MAX];
    tess_status status =
        tsi_run_take(run, count * (sizeof *pipeline->calls + sizeof *pipeline->steps), &memory);
    if (status != TESS_OK) {
        return status;
    }
    *pipeline = (struct tsi_pipeline){
        .tiling = tiling,
        .calls = memory,
        .steps = (void *)((struct tsi_pipeline_call *)memory + count),
        .count = tile->instruction_count,
        .dtype = tsi_pipeline_dtype(tile, tile->instruction_count - 1),
        .split = -1,
        .square = {-1, -1},
    };
    for (int i = 0; i < tile->register_count; i++) {
        registers[i] = NULL;
        writer[i] = -1;
    }
    for (int i = 0; i < tile->instruction_count; i++) {
        const struct tsi_tile_instruction *const instruction = &tile->instructions[i];
        struct tsi_step *const step = &pipeline->steps[i];
        const int arity = tsi_tile_arity(instruction);
        step->code = instruction->code;
        step->bytes = (uint8_t)tess_dtype_bytes(tsi_pipeline_dtype(tile, i));
        step->is_direct = is_direct && i == tile->instruction_count - 1;
        step->is_kept = false;
        step->is_filled = false;
        step->is_absorbed = false;
        step->is_rows = false;
        step->in_rows = false;
        step->ahead = 0;
        step->map = NULL;
        step->combine = NULL;
        step->cast = NULL;
        step->buffer = NULL;
        for (int k = 0; k < 3; k++) {
            step->in[k] = k < arity ? writer[instruction->in[k]] : -1;
        }
        status = place_piece(run, views, instruction, step);
        if (status != TESS_OK) {
            return status;
        }
        if (!prepare_step(run, tiling, views, instruction, step)) {
            return tsi_run_internal(run, "there is no such kernel");
        }
        status = place_value(run, tiling, step, &registers[instruction->out]);
        if (status != TESS_OK) {
            return status;
        }
        writer[instruction->out] = i;
    }
    tsi_pipeline_combine(run, pipeline);
    return TESS_OK;
}

// Makes a tile of a source with several axes: a run for each place on the outer ones.
static __attribute__((noinline)) void
make_runs(const struct tsi_tiling *tiling, const struct tsi_tile_at *at,
          const struct tsi_step *step, int64_t first, void *out)
{
    const struct tsi_reach *const reach = &step->reach;
    const int inner = reach->ndim - 1;
    const int64_t stride = reach->step[inner];
    const int64_t columns = tsi_reach_size(tiling, reach, at, inner);
    int64_t size[TESS_NDIM_MAX] = {0};
    int64_t place[TESS_NDIM_MAX] = {0};
    for (int i = 0; i < inner; i++) {
        size[i] = tsi_reach_size(tiling, reach, at, i);
    }
    unsigned char *to = out;
    for (;;) {
        step->source(columns, to, (struct tsi_kernel_index){first, stride}, step->params);
        to += columns * step->bytes;
        int i = inner - 1;
        for (; i >= 0; i--) {
            first += reach->step[i];
            if (++place[i] < size[i]) {
                break;
            }
            first -= reach->step[i] * size[i];
            place[i] = 0;
        }
        if (i < 0) {
            return;
        }
    }
}

static void
source_tile(const struct tsi_tiling *tiling, const struct tsi_tile_at *at, struct tsi_step *step,
            void *out)
{
    const int64_t first = step->first + tsi_tiling_offset(tiling, at, step->step);
    if (step->is_kept) {
        if (step->is_filled && step->filled == first && step->shape == at->shape) {
            return;
        }
        step->is_filled = true;
        step->filled = first;
        step->shape = at->shape;
    }
    step->value = out;
    if (step->reach.ndim > 1) {
        make_runs(tiling, at, step, first, out);
        return;
    }
    const int64_t stride = step->reach.ndim == 0 ? 0 : step->reach.step[0];
    step->source(at->elements, out, (struct tsi_kernel_index){first, stride}, step->params);
}

// The distance of a value's rows.
static int64_t
row_step(const struct tsi_step *step, int64_t columns)
{
    return step->in_rows ? step->reach.step[0] : columns * step->bytes;
}

static bool
has_rows(const struct tsi_pipeline *pipeline, const struct tsi_step *step)
{
    bool has = false;
    for (int k = 0; k < 3; k++) {
        has = has || (step->in[k] >= 0 && pipeline->steps[step->in[k]].in_rows);
    }
    return has;
}

static inline void
map_run(const struct tsi_step *step, int64_t count, void *out, const void *a, const void *b,
        const void *c)
{
    if (step->map != NULL && step->combine == NULL) {
        step->map(count, out, a, b, c);
    } else if (step->combine != NULL) {
        step->combine(count, out, a, step->scale[0], b, step->scale[1]);
    } else if (step->cast != NULL) {
        step->cast(count, out, a);
    } else {
        const int64_t bytes = step->bytes;
        tsi_kernel_copy(1, count, step->bytes, out, 0, bytes, a, 0, bytes);
    }
}

// A map or cast of operands of which some lie in rows with a step.
static __attribute__((noinline)) void
map_rows(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at, struct tsi_step *step,
         unsigned char *out)
{
    const int64_t rows = tsi_pipeline_rows(pipeline, at);
    const int64_t columns = at->elements / rows;
    const void *in[3] = {NULL};
    for (int64_t i = 0; i < rows; i++) {
        for (int k = 0; k < 3 && step->in[k] >= 0; k++) {
            const struct tsi_step *const from = &pipeline->steps[step->in[k]];
            in[k] = (const unsigned char *)from->value + i * row_step(from, columns);
            if (from->in_rows && from->ahead != 0) {
                tsi_kernel_ask(in[k], from->ahead, columns * from->bytes);
            }
        }
        map_run(step, columns, out + i * columns * step->bytes, in[0], in[1], in[2]);
    }
}

static const void *
operand(const struct tsi_pipeline *pipeline, const struct tsi_step *step, int k)
{
    return step->in[k] < 0 ? NULL : pipeline->steps[step->in[k]].value;
}

static void
map_tile(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at, struct tsi_step *step,
         void *out)
{
    if (pipeline->split >= 0 && has_rows(pipeline, step)) {
        map_rows(pipeline, at, step, out);
    } else {
        map_run(step, at->elements, out, operand(pipeline, step, 0), operand(pipeline, step, 1),
                operand(pipeline, step, 2));
    }
    step->value = out;
}

void
tsi_pipeline_step(const struct tsi_pipeline *pipeline, const struct tsi_tile_at *at,
                  struct tsi_step *step, void *out)
{
    void *const to = step->is_direct ? out : step->buffer;
    switch (step->code) {
    case TSI_TILE_LOAD:
        tsi_pipeline_load(pipeline, at, step, to);
        break;
    case TSI_TILE_CONST:
        if (step->is_direct) {
            tsi_kernel_fill(at->elements, to, step->bytes, step->constant);
        }
        break;
    case TSI_TILE_SOURCE:
        source_tile(pipeline->tiling, at, step, to);
        break;
    default:
        map_tile(pipeline, at, step, to);
        break;
    }
}

const void *
tsi_pipeline_run(struct tsi_pipeline *pipeline, const struct tsi_tile_at *at, void *out)
{
    const struct tsi_pipeline_call *const end = pipeline->calls + pipeline->call_count;
    for (const struct tsi_pipeline_call *call = pipeline->calls; call != end; call++) {
        if (call->map != NULL) {
            void *const to = call->of.map.out != NULL ? call->of.map.out : out;
            call->map(at->elements, to, *call->of.map.from[0], *call->of.map.from[1],
                      *call->of.map.from[2]);
        } else if (call->of.step.data != NULL) {
            call->of.step.step->value =
                call->of.step.data + tsi_tiling_offset(pipeline->tiling, at, call->of.step.stride);
        } else {
            tsi_pipeline_step(pipeline, at, call->of.step.step, out);
        }
    }
    if (pipeline->count == 0 || pipeline->is_open) {
        return NULL;
    }
    return pipeline->steps[pipeline->count - 1].value;
}
