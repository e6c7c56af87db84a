// SPDX-License-Identifier: Apache-2.0
//
// Programs to bytes. program_decode.c reads what is written here, in the same order:
//
//     format, operations, targets
//
// Axes and texts are written where they are first needed, and numbered as they come: a place where one may
// be has its number plus 1 if it was there before, or 0 and the thing itself. Grids in closed form so
// take a few bytes, and a grid that was there before takes a byte for each axis. What an operation does
// not use is not written.

#include "engine/program/codec.h"

#include <string.h>

#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/program/codec_format.h"
#include "engine/program/packer.h"

struct encoder {
    struct tsi_packer out;
    TSI_VEC(const struct tsi_axis *) axes;
    TSI_VEC(const char *) texts;
    struct tsi_map axis_index; // by hash; where two have one hash, of the first
    struct tsi_map text_index;
};

static uint64_t
add_to_hash(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t
hash_text(const char *text)
{
    uint64_t hash = 0;
    for (const char *at = text; *at != '\0'; at++) {
        hash = add_to_hash(hash, (unsigned char)*at);
    }
    return hash;
}

static uint64_t
hash_axis(const struct tsi_axis *axis)
{
    uint64_t hash = add_to_hash((uint64_t)axis->size, (uint64_t)axis->count);
    if (axis->bounds == NULL) {
        return add_to_hash(add_to_hash(hash, (uint64_t)axis->first), (uint64_t)axis->step);
    }
    for (int64_t i = 0; i <= axis->count; i++) {
        hash = add_to_hash(hash, (uint64_t)axis->bounds[i]);
    }
    return hash;
}

// Whether both are written by the same bytes.
static bool
is_same_axis(const struct tsi_axis *a, const struct tsi_axis *b)
{
    return (a->bounds == NULL) == (b->bounds == NULL) && tsi_axis_equal(a, b) &&
           (a->bounds != NULL || a->step == b->step);
}

static void
put_text(struct encoder *encoder, const char *text)
{
    const uint64_t hash = hash_text(text);
    const uint64_t *known = tsi_map_get(&encoder->text_index, hash);
    if (known != NULL && strcmp(encoder->texts.items[*known], text) == 0) {
        tsi_packer_put_uint(&encoder->out, *known + 1);
        return;
    }
    const bool is_first = known == NULL;
    if (!tsi_vec_push(&encoder->texts, text) ||
        (is_first && !tsi_map_put(&encoder->text_index, hash, encoder->texts.count - 1))) {
        encoder->out.failed = true;
        return;
    }
    const size_t length = strlen(text);
    tsi_packer_put_uint(&encoder->out, 0);
    tsi_packer_put_uint(&encoder->out, length);
    tsi_packer_put_bytes(&encoder->out, text, length);
}

// A text that may be NULL.
static void
put_optional_text(struct encoder *encoder, const char *text)
{
    tsi_packer_put_byte(&encoder->out, text != NULL);
    if (text != NULL) {
        put_text(encoder, text);
    }
}

static void
put_new_axis(struct tsi_packer *out, const struct tsi_axis *axis)
{
    if (axis->bounds != NULL) {
        tsi_packer_put_byte(out, TSI_FORM_LISTED);
        tsi_packer_put_uint(out, (uint64_t)axis->count);
        for (int64_t i = 0; i < axis->count; i++) {
            tsi_packer_put_uint(out, (uint64_t)tsi_axis_chunk_size(axis, i));
        }
    } else if (axis->count == 1) {
        tsi_packer_put_byte(out, TSI_FORM_WHOLE);
        tsi_packer_put_uint(out, (uint64_t)axis->size);
    } else {
        tsi_packer_put_byte(out, TSI_FORM_CLOSED);
        tsi_packer_put_uint(out, (uint64_t)axis->size);
        tsi_packer_put_uint(out, (uint64_t)axis->first);
        tsi_packer_put_uint(out, (uint64_t)(axis->step - axis->first));
    }
}

static void
put_axis(struct encoder *encoder, const struct tsi_axis *axis)
{
    const uint64_t hash = hash_axis(axis);
    const uint64_t *known = tsi_map_get(&encoder->axis_index, hash);
    if (known != NULL && is_same_axis(encoder->axes.items[*known], axis)) {
        tsi_packer_put_uint(&encoder->out, *known + 1);
        return;
    }
    const bool is_first = known == NULL;
    if (!tsi_vec_push(&encoder->axes, axis) ||
        (is_first && !tsi_map_put(&encoder->axis_index, hash, encoder->axes.count - 1))) {
        encoder->out.failed = true;
        return;
    }
    tsi_packer_put_uint(&encoder->out, 0);
    put_new_axis(&encoder->out, axis);
}

static void
put_grid(struct encoder *encoder, const struct tsi_grid *grid)
{
    tsi_packer_put_byte(&encoder->out, (uint8_t)grid->ndim);
    for (int i = 0; i < grid->ndim; i++) {
        put_axis(encoder, &grid->axis[i]);
    }
}

static bool
is_plain_identity(const struct tsi_index_map *map)
{
    for (int i = 0; i < map->ndim; i++) {
        const struct tsi_map_axis *rule = &map->axis[i];
        if (rule->axis != i || rule->offset != 0 || rule->stride != 1 || rule->extent != 1) {
            return false;
        }
    }
    return true;
}

static void
put_map_axis(struct tsi_packer *out, const struct tsi_map_axis *rule)
{
    const int flags = (rule->offset != 0 ? TSI_RULE_OFFSET : 0) |
                      (rule->stride != 1 ? TSI_RULE_STRIDE : 0) |
                      (rule->extent != 1 ? TSI_RULE_EXTENT : 0);
    tsi_packer_put_byte(out, (uint8_t)(flags | (rule->axis + 1)));
    if ((flags & TSI_RULE_OFFSET) != 0) {
        tsi_packer_put_int(out, rule->offset);
    }
    if ((flags & TSI_RULE_STRIDE) != 0) {
        tsi_packer_put_int(out, rule->stride);
    }
    if ((flags & TSI_RULE_EXTENT) != 0) {
        tsi_packer_put_uint(out, (uint64_t)rule->extent);
    }
}

// Rows of rising numbers, as the distances between them.
static void
put_rows(struct tsi_packer *out, const struct tsi_map_rows *rows, int64_t count)
{
    for (int64_t row = 0; row < count; row++) {
        uint32_t next = 0;
        tsi_packer_put_uint(out, rows->starts[row + 1] - rows->starts[row]);
        for (uint32_t i = rows->starts[row]; i < rows->starts[row + 1]; i++) {
            tsi_packer_put_uint(out, rows->items[i] - next);
            next = rows->items[i] + 1;
        }
    }
}

static void
put_input(struct encoder *encoder, const struct tsi_chunk_op *op, const struct tsi_input *input)
{
    struct tsi_packer *out = &encoder->out;
    tsi_packer_put_uint(out, input->op);
    if (input->map.is_explicit) {
        tsi_packer_put_byte(out, TSI_MAP_LISTED);
        put_rows(out, &input->map.deps, tsi_grid_chunk_count(&op->loop));
        return;
    }
    if (is_plain_identity(&input->map)) {
        tsi_packer_put_byte(out, TSI_MAP_IDENTITY);
        return;
    }
    tsi_packer_put_byte(out, TSI_MAP_CLOSED);
    for (int i = 0; i < input->map.ndim; i++) {
        put_map_axis(out, &input->map.axis[i]);
    }
}

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

static void
put_tile(struct tsi_packer *out, const struct tsi_tile *tile, int ndim)
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
put_fold(struct tsi_packer *out, const struct tsi_work_fold *fold)
{
    tsi_packer_put_byte(out, fold->reduction);
    tsi_packer_put_byte(out, fold->dtype);
    tsi_packer_put_byte(out, fold->finish);
    tsi_packer_put_uint(out, fold->axes);
    tsi_packer_put_double(out, fold->folded);
    tsi_packer_put_double(out, fold->ddof);
}

static void
put_file(struct encoder *encoder, const struct tsi_work_file *file)
{
    put_text(encoder, file->path);
    tsi_packer_put_byte(&encoder->out, file->swapped);
    tsi_packer_put_byte(&encoder->out, file->fortran_order);
    tsi_packer_put_uint(&encoder->out, (uint64_t)file->data_offset);
}

static void
put_target_file(struct encoder *encoder, const struct tsi_work_target_file *file)
{
    put_optional_text(encoder, file->temporary);
    put_optional_text(encoder, file->path);
}

static void
put_work(struct encoder *encoder, const struct tsi_chunk_op *op)
{
    switch ((enum tsi_work)op->work) {
    case TSI_WORK_HELD:
        tsi_packer_put_uint(&encoder->out, op->held.array);
        break;
    case TSI_WORK_KEPT:
        tsi_packer_put_uint(&encoder->out, op->kept.job);
        tsi_packer_put_uint(&encoder->out, op->kept.base);
        break;
    case TSI_WORK_FILE:
        put_file(encoder, &op->file);
        break;
    case TSI_WORK_TILE:
        put_tile(&encoder->out, &op->tile, op->loop.ndim);
        put_target_file(encoder, &op->target_file);
        break;
    case TSI_WORK_FOLD:
        put_fold(&encoder->out, &op->fold);
        break;
    case TSI_WORK_MATMUL:
        tsi_packer_put_byte(&encoder->out, op->matmul.finish);
        break;
    case TSI_WORK_JOIN:
        put_target_file(encoder, &op->target_file);
        break;
    case TSI_WORK_COUNT:
        break;
    }
}

static void
put_op(struct encoder *encoder, const struct tsi_chunk_op *op)
{
    struct tsi_packer *out = &encoder->out;
    const bool array_is_loop = tsi_grid_equal(&op->loop, &op->array);
    tsi_packer_put_byte(out, op->work);
    tsi_packer_put_byte(out, op->dtype);
    // 0: elements; otherwise accumulators of the reduction of that number less 1.
    tsi_packer_put_byte(out, op->is_planes ? (uint8_t)(op->plane_reduction + 1) : 0);
    put_text(encoder, op->label);
    put_text(encoder, op->site);
    put_grid(encoder, &op->loop);
    tsi_packer_put_byte(out, array_is_loop);
    if (!array_is_loop) {
        put_grid(encoder, &op->array);
    }
    tsi_packer_put_uint(out, (uint64_t)op->input_count);
    for (int i = 0; i < op->input_count; i++) {
        put_input(encoder, op, &op->inputs[i]);
    }
    put_work(encoder, op);
}

static void
put_program(struct encoder *encoder, const struct tsi_program *program)
{
    struct tsi_packer *out = &encoder->out;
    tsi_packer_put_uint(out, TSI_PROGRAM_FORMAT);
    tsi_packer_put_uint(out, (uint64_t)program->op_count);
    for (int i = 0; i < program->op_count; i++) {
        put_op(encoder, &program->ops[i]);
    }
    tsi_packer_put_uint(out, (uint64_t)program->target_count);
    for (int i = 0; i < program->target_count; i++) {
        tsi_packer_put_uint(out, program->targets[i].op);
        tsi_packer_put_byte(out, program->targets[i].mode);
    }
}

tess_status
tsi_program_encode(const struct tsi_program *program, unsigned char **bytes, size_t *count,
                   struct tsi_error *error)
{
    *bytes = NULL;
    *count = 0;
    const tess_status status = tsi_program_validate(program, error);
    if (status != TESS_OK) {
        return status;
    }
    struct encoder encoder = {0};
    put_program(&encoder, program);
    tsi_vec_fini(&encoder.axes);
    tsi_vec_fini(&encoder.texts);
    tsi_map_fini(&encoder.axis_index);
    tsi_map_fini(&encoder.text_index);
    if (encoder.out.failed) {
        tsi_free(encoder.out.bytes);
        return tsi_error_set(error, TESS_ENOMEM, "out of memory while a program is encoded");
    }
    if (encoder.out.count > TSI_PROGRAM_BYTES_MAX) {
        tsi_free(encoder.out.bytes);
        return tsi_error_set(error, TESS_ELIMIT, "the program takes %zu bytes, at most %zu travel",
                             encoder.out.count, TSI_PROGRAM_BYTES_MAX);
    }
    *bytes = encoder.out.bytes;
    *count = encoder.out.count;
    return TESS_OK;
}
