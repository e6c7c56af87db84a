// SPDX-License-Identifier: Apache-2.0
//
// Programs to bytes. program_decode.c reads what is written here, in the same order:
//
//     format, operations, targets
//
// Axes and texts are written where they are first needed, and numbered as they come: a place where
// one may be has its number plus 1 if it was there before, or 0 and the thing itself. Grids in
// closed form so take a few bytes, and a grid that was there before takes a byte for each axis.
// What an operation does not use is not written.

#include "engine/program/codec.h"

#include <string.h>

#include "engine/base/map.h"
#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/program/codec_format.h"
#include "engine/program/index_map_codec.h"
#include "engine/program/packer.h"
#include "engine/program/tile_codec.h"

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
        const int64_t step = axis->count == 1 ? 0 : axis->step;
        return add_to_hash(add_to_hash(hash, (uint64_t)axis->first), (uint64_t)step);
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
           (a->bounds != NULL || a->count == 1 || a->step == b->step);
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

static void
put_input(struct encoder *encoder, const struct tsi_chunk_op *op, const struct tsi_input *input)
{
    tsi_packer_put_uint(&encoder->out, input->op);
    tsi_index_map_put(&encoder->out, &input->map, &op->loop);
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
        tsi_tile_put(&encoder->out, &op->tile, op->loop.ndim);
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
