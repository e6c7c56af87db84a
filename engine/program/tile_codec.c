// SPDX-License-Identifier: Apache-2.0
//
// Tile programs as bytes: counts, then instructions, constants and sources in turn, then the sink.
// An instruction has no more operands than it uses, a source no more steps than the loop has axes.

#include "engine/program/tile_codec.h"

static void
put_instruction(struct tsi_packer *out, const struct tsi_tile_instruction *step)
{
    tsi_packer_put_byte(out, step->code);
    tsi_packer_put_byte(out, step->dtype);
    tsi_packer_put_byte(out, step->out);
    if (step->code == TSI_TILE_CAST) {
        tsi_packer_put_byte(out, step->from);
        tsi_packer_put_byte(out, step->in[0]);
        return;
    }
    tsi_packer_put_byte(out, step->operand);
    if (step->code == TSI_TILE_MAP) {
        tsi_packer_put_bytes(out, step->in, (size_t)tsi_op_row((enum tsi_op)step->operand)->arity);
    }
}

static void
put_source(struct tsi_packer *out, const struct tsi_tile_source *source, int ndim)
{
    const struct tsi_source_params *params = &source->params;
    tsi_packer_put_byte(out, source->source);
    tsi_packer_put_int(out, source->first);
    for (int i = 0; i < ndim; i++) {
        tsi_packer_put_int(out, source->step[i]);
    }
    tsi_packer_put_double(out, params->a);
    tsi_packer_put_double(out, params->b);
    tsi_packer_put_double(out, params->c);
    tsi_packer_put_int(out, params->ia);
    tsi_packer_put_int(out, params->ib);
    tsi_packer_put_fixed(out, params->seed);
    tsi_packer_put_uint(out, params->stream);
}

static void
put_reduce(struct tsi_packer *out, const struct tsi_tile_reduce *reduce, int ndim)
{
    tsi_packer_put_byte(out, reduce->reduction);
    tsi_packer_put_byte(out, reduce->dtype);
    tsi_packer_put_byte(out, reduce->finish);
    tsi_packer_put_uint(out, reduce->axes);
    tsi_packer_put_double(out, reduce->folded);
    tsi_packer_put_double(out, reduce->ddof);
    for (int i = 0; i < ndim; i++) {
        tsi_packer_put_int(out, reduce->order[i]);
    }
}

void
tsi_tile_put(struct tsi_packer *out, const struct tsi_tile *tile, int ndim)
{
    tsi_packer_put_uint(out, (uint64_t)tile->register_count);
    tsi_packer_put_uint(out, (uint64_t)tile->instruction_count);
    for (int i = 0; i < tile->instruction_count; i++) {
        put_instruction(out, &tile->instructions[i]);
    }
    tsi_packer_put_uint(out, (uint64_t)tile->constant_count);
    for (int i = 0; i < tile->constant_count; i++) {
        tsi_packer_put_fixed(out, tile->constants[i].bits);
    }
    tsi_packer_put_uint(out, (uint64_t)tile->source_count);
    for (int i = 0; i < tile->source_count; i++) {
        put_source(out, &tile->sources[i], ndim);
    }
    tsi_packer_put_byte(out, tile->sink);
    if (tile->sink == TSI_SINK_REDUCE) {
        put_reduce(out, &tile->reduce, ndim);
    }
}

static void
take_instruction(struct tsi_unpacker *in, struct tsi_tile_instruction *step)
{
    step->code = tsi_unpacker_take_byte(in);
    step->dtype = tsi_unpacker_take_byte(in);
    step->out = tsi_unpacker_take_byte(in);
    if (step->code == TSI_TILE_CAST) {
        step->from = tsi_unpacker_take_byte(in);
        step->in[0] = tsi_unpacker_take_byte(in);
        return;
    }
    step->operand = tsi_unpacker_take_byte(in);
    if (step->code == TSI_TILE_MAP) {
        if (step->operand >= TSI_OP_COUNT) {
            tsi_unpacker_fail(in);
            return;
        }
        const int arity = tsi_op_row((enum tsi_op)step->operand)->arity;
        for (int i = 0; i < arity; i++) {
            step->in[i] = tsi_unpacker_take_byte(in);
        }
    }
}

static void
take_source(struct tsi_unpacker *in, struct tsi_tile_source *source, int ndim)
{
    struct tsi_source_params *params = &source->params;
    source->source = tsi_unpacker_take_byte(in);
    source->first = tsi_unpacker_take_int(in);
    for (int i = 0; i < ndim; i++) {
        source->step[i] = tsi_unpacker_take_int(in);
    }
    params->a = tsi_unpacker_take_double(in);
    params->b = tsi_unpacker_take_double(in);
    params->c = tsi_unpacker_take_double(in);
    params->ia = tsi_unpacker_take_int(in);
    params->ib = tsi_unpacker_take_int(in);
    params->seed = tsi_unpacker_take_fixed(in);
    params->stream = (uint32_t)tsi_unpacker_take_up_to(in, UINT32_MAX);
}

static void
take_reduce(struct tsi_unpacker *in, struct tsi_tile_reduce *reduce, int ndim)
{
    reduce->reduction = tsi_unpacker_take_byte(in);
    reduce->dtype = tsi_unpacker_take_byte(in);
    reduce->finish = tsi_unpacker_take_bool(in);
    reduce->axes = (uint32_t)tsi_unpacker_take_up_to(in, UINT32_MAX);
    reduce->folded = tsi_unpacker_take_double(in);
    reduce->ddof = tsi_unpacker_take_double(in);
    for (int i = 0; i < ndim; i++) {
        reduce->order[i] = tsi_unpacker_take_int(in);
    }
}

// How many follow, at most TSI_TILE_INSTRUCTIONS_MAX.
static int
take_few(struct tsi_unpacker *in)
{
    const size_t count = tsi_unpacker_take_count(in);
    if (count > TSI_TILE_INSTRUCTIONS_MAX) {
        tsi_unpacker_fail(in);
        return 0;
    }
    return (int)count;
}

// Memory for `count` things; NULL, after failing `in`, if there is none.
static void *
take_memory(struct tsi_unpacker *in, struct tsi_budget *budget, int count, size_t bytes)
{
    void *memory = tsi_budget_take(budget, (size_t)count, bytes);
    if (memory == NULL) {
        tsi_unpacker_fail(in);
    }
    return memory;
}

void
tsi_tile_take(struct tsi_unpacker *in, struct tsi_budget *budget, int ndim, struct tsi_tile *tile)
{
    tile->register_count = (int)tsi_unpacker_take_up_to(in, TSI_TILE_REGISTERS_MAX);
    tile->instruction_count = take_few(in);
    tile->instructions =
        take_memory(in, budget, tile->instruction_count, sizeof *tile->instructions);
    for (int i = 0; i < tile->instruction_count && !in->failed; i++) {
        take_instruction(in, &tile->instructions[i]);
    }
    tile->constant_count = take_few(in);
    tile->constants = take_memory(in, budget, tile->constant_count, sizeof *tile->constants);
    for (int i = 0; i < tile->constant_count && !in->failed; i++) {
        tile->constants[i].bits = tsi_unpacker_take_fixed(in);
    }
    tile->source_count = take_few(in);
    tile->sources = take_memory(in, budget, tile->source_count, sizeof *tile->sources);
    for (int i = 0; i < tile->source_count && !in->failed; i++) {
        take_source(in, &tile->sources[i], ndim);
    }
    tile->sink = tsi_unpacker_take_byte(in);
    if (tile->sink == TSI_SINK_REDUCE) {
        take_reduce(in, &tile->reduce, ndim);
    }
}
