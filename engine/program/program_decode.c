// SPDX-License-Identifier: Apache-2.0
//
// Programs from bytes, as program_encode.c writes them. Reading checks only what it needs to go on:
// that counts are not above the bytes that are left, and that numbers name what was there before.
// All rules of programs are left to tsi_program_validate().
//
// A few bytes can name large things: an operation, an input, the users of a listed map. Their
// memory is taken from a budget that the number of bytes gives.

#include "engine/program/codec.h"

#include <stdint.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/vec.h"
#include "engine/program/budget.h"
#include "engine/program/codec_format.h"
#include "engine/program/index_map_codec.h"
#include "engine/program/packer.h"
#include "engine/program/tile_codec.h"

// What a program may take: a multiple of the number of its bytes, but no less and no more than
// some.
#define BUDGET_PER_BYTE 256
#define BUDGET_MIN ((size_t)1 << 20)
#define BUDGET_MAX ((size_t)1 << 30)

struct decoder {
    struct tsi_unpacker in;
    struct tsi_program *program;
    struct tsi_error *error;
    struct tsi_budget budget;
    TSI_VEC(struct tsi_axis) axes;
    TSI_VEC(const char *) texts;
};

// Ends the reading because memory is out.
static void
stop(struct decoder *decoder)
{
    if (decoder->budget.status == TESS_OK) {
        decoder->budget.status = TESS_ENOMEM;
    }
    tsi_unpacker_fail(&decoder->in);
}

// Zeroed memory for `count` things; NULL after a failure.
static void *
allocate(struct decoder *decoder, size_t count, size_t bytes)
{
    void *memory = decoder->in.failed ? NULL : tsi_budget_take(&decoder->budget, count, bytes);
    if (memory == NULL) {
        tsi_unpacker_fail(&decoder->in);
    }
    return memory;
}

static const char *
take_new_text(struct decoder *decoder)
{
    const size_t length = (size_t)tsi_unpacker_take_up_to(&decoder->in, TSI_PATH_MAX - 1);
    const unsigned char *bytes = tsi_unpacker_take_bytes(&decoder->in, length);
    if (bytes == NULL || memchr(bytes, 0, length) != NULL) {
        tsi_unpacker_fail(&decoder->in);
        return NULL;
    }
    char *text = allocate(decoder, length + 1, 1);
    if (text == NULL) {
        return NULL;
    }
    if (!tsi_vec_push(&decoder->texts, text)) {
        stop(decoder);
        return NULL;
    }
    memcpy(text, bytes, length);
    return text;
}

static const char *
take_text(struct decoder *decoder)
{
    const size_t number = (size_t)tsi_unpacker_take_up_to(&decoder->in, decoder->texts.count);
    return number > 0 ? decoder->texts.items[number - 1] : take_new_text(decoder);
}

static const char *
take_optional_text(struct decoder *decoder)
{
    return tsi_unpacker_take_bool(&decoder->in) ? take_text(decoder) : NULL;
}

static void
take_closed_axis(struct tsi_unpacker *in, struct tsi_axis *axis)
{
    const int64_t size = (int64_t)tsi_unpacker_take_up_to(in, INT64_MAX);
    const int64_t first = (int64_t)tsi_unpacker_take_up_to(in, (uint64_t)size);
    const int64_t more = (int64_t)tsi_unpacker_take_up_to(in, (uint64_t)(INT64_MAX - first));
    if (first == 0) {
        tsi_unpacker_fail(in);
        return;
    }
    *axis = tsi_axis_shifted(size, first, first + more);
}

static void
take_listed_axis(struct decoder *decoder, struct tsi_axis *axis)
{
    const size_t count = tsi_unpacker_take_count(&decoder->in);
    int64_t *bounds = allocate(decoder, count + 1, sizeof *bounds);
    if (bounds == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t room = (uint64_t)(INT64_MAX - bounds[i]);
        bounds[i + 1] = bounds[i] + (int64_t)tsi_unpacker_take_up_to(&decoder->in, room);
    }
    *axis = (struct tsi_axis){bounds[count], (int64_t)count, 0, 0, bounds};
}

static void
take_new_axis(struct decoder *decoder, struct tsi_axis *axis)
{
    struct tsi_unpacker *in = &decoder->in;
    switch (tsi_unpacker_take_byte(in)) {
    case TSI_FORM_WHOLE:
        *axis = tsi_axis_regular((int64_t)tsi_unpacker_take_up_to(in, INT64_MAX), -1);
        break;
    case TSI_FORM_CLOSED:
        take_closed_axis(in, axis);
        break;
    case TSI_FORM_LISTED:
        take_listed_axis(decoder, axis);
        break;
    default:
        tsi_unpacker_fail(in);
        break;
    }
    if (!in->failed && !tsi_vec_push(&decoder->axes, *axis)) {
        stop(decoder);
    }
}

static void
take_grid(struct decoder *decoder, struct tsi_grid *grid)
{
    grid->ndim = (int)tsi_unpacker_take_up_to(&decoder->in, TESS_NDIM_MAX);
    for (int i = 0; i < grid->ndim; i++) {
        const size_t number = (size_t)tsi_unpacker_take_up_to(&decoder->in, decoder->axes.count);
        if (number > 0) {
            grid->axis[i] = decoder->axes.items[number - 1];
        } else {
            take_new_axis(decoder, &grid->axis[i]);
        }
    }
}

// Reads an input of operation `index`.
static void
take_input(struct decoder *decoder, int index, struct tsi_input *input)
{
    struct tsi_unpacker *in = &decoder->in;
    const uint64_t source = tsi_unpacker_take_uint(in);
    if (source >= (uint64_t)index) {
        tsi_unpacker_fail(in);
        return;
    }
    const struct tsi_program *program = decoder->program;
    input->op = (uint16_t)source;
    tsi_index_map_take(in, &decoder->budget, &program->ops[index].loop, &program->ops[source].array,
                       &input->map);
}

static void
take_fold(struct tsi_unpacker *in, struct tsi_work_fold *fold)
{
    fold->reduction = tsi_unpacker_take_byte(in);
    fold->dtype = tsi_unpacker_take_byte(in);
    fold->finish = tsi_unpacker_take_bool(in);
    fold->axes = (uint32_t)tsi_unpacker_take_up_to(in, UINT32_MAX);
    fold->folded = tsi_unpacker_take_double(in);
    fold->ddof = tsi_unpacker_take_double(in);
}

static void
take_file(struct decoder *decoder, struct tsi_work_file *file)
{
    file->path = take_text(decoder);
    file->swapped = tsi_unpacker_take_bool(&decoder->in);
    file->fortran_order = tsi_unpacker_take_bool(&decoder->in);
    file->data_offset = (int64_t)tsi_unpacker_take_up_to(&decoder->in, INT64_MAX);
}

static void
take_target_file(struct decoder *decoder, struct tsi_work_target_file *file)
{
    file->temporary = take_optional_text(decoder);
    file->path = take_optional_text(decoder);
}

static void
take_work(struct decoder *decoder, struct tsi_chunk_op *op)
{
    struct tsi_unpacker *in = &decoder->in;
    switch (op->work) {
    case TSI_WORK_HELD:
        op->held.array = (uint32_t)tsi_unpacker_take_up_to(in, UINT32_MAX);
        break;
    case TSI_WORK_KEPT:
        op->kept.job = tsi_unpacker_take_uint(in);
        op->kept.base = (uint32_t)tsi_unpacker_take_up_to(in, UINT32_MAX);
        break;
    case TSI_WORK_FILE:
        take_file(decoder, &op->file);
        break;
    case TSI_WORK_TILE:
        tsi_tile_take(in, &decoder->budget, op->loop.ndim, &op->tile);
        take_target_file(decoder, &op->target_file);
        break;
    case TSI_WORK_FOLD:
        take_fold(in, &op->fold);
        break;
    case TSI_WORK_MATMUL:
        op->matmul.finish = tsi_unpacker_take_bool(in);
        break;
    case TSI_WORK_JOIN:
        take_target_file(decoder, &op->target_file);
        break;
    default:
        tsi_unpacker_fail(in);
        break;
    }
}

static void
take_op(struct decoder *decoder, int index)
{
    struct tsi_unpacker *in = &decoder->in;
    struct tsi_chunk_op *op = &decoder->program->ops[index];
    op->work = tsi_unpacker_take_byte(in);
    op->dtype = tsi_unpacker_take_byte(in);
    const uint64_t planes = tsi_unpacker_take_up_to(in, TSI_REDUCE_COUNT);
    op->is_planes = planes > 0;
    op->plane_reduction = (enum tsi_reduction)(planes > 0 ? planes - 1 : 0);
    op->label = take_text(decoder);
    op->site = take_text(decoder);
    take_grid(decoder, &op->loop);
    if (tsi_unpacker_take_bool(in)) {
        op->array = op->loop;
    } else {
        take_grid(decoder, &op->array);
    }
    op->input_count = (int)tsi_unpacker_take_up_to(in, TSI_OP_INPUTS_MAX);
    op->inputs = allocate(decoder, (size_t)op->input_count, sizeof *op->inputs);
    for (int i = 0; i < op->input_count && !in->failed; i++) {
        take_input(decoder, index, &op->inputs[i]);
    }
    take_work(decoder, op);
}

static void
take_targets(struct decoder *decoder)
{
    struct tsi_unpacker *in = &decoder->in;
    struct tsi_program *program = decoder->program;
    program->target_count = (int)tsi_unpacker_take_up_to(in, (uint64_t)program->op_count);
    program->targets = allocate(decoder, (size_t)program->target_count, sizeof *program->targets);
    for (int i = 0; i < program->target_count && !in->failed; i++) {
        program->targets[i].op = (uint16_t)tsi_unpacker_take_up_to(in, UINT16_MAX);
        program->targets[i].mode = tsi_unpacker_take_byte(in);
    }
}

// Reads everything behind the format.
static tess_status
take_program(struct decoder *decoder)
{
    struct tsi_unpacker *in = &decoder->in;
    struct tsi_program *program = decoder->program;
    program->op_count = (int)tsi_unpacker_take_up_to(in, TSI_PROGRAM_OPS_MAX);
    if ((size_t)program->op_count > tsi_unpacker_left(in)) {
        tsi_unpacker_fail(in);
    }
    program->ops = allocate(decoder, (size_t)program->op_count, sizeof *program->ops);
    for (int i = 0; i < program->op_count && !in->failed; i++) {
        take_op(decoder, i);
    }
    const bool has_ops = !in->failed;
    take_targets(decoder);
    if (decoder->budget.status == TESS_ENOMEM) {
        return tsi_error_set(decoder->error, TESS_ENOMEM, "out of memory for a program");
    }
    if (decoder->budget.status == TESS_ELIMIT) {
        return tsi_error_set(decoder->error, TESS_ELIMIT,
                             "a program needs too much memory for its size");
    }
    if (in->failed || tsi_unpacker_left(in) > 0) {
        return tsi_error_set(decoder->error, TESS_EPROTOCOL, "a program's %s are malformed",
                             has_ops ? "targets" : "operations");
    }
    return TESS_OK;
}

static tess_status
decode(struct decoder *decoder)
{
    const uint64_t format = tsi_unpacker_take_uint(&decoder->in);
    if (decoder->in.failed) {
        return tsi_error_set(decoder->error, TESS_EPROTOCOL, "a program without a format");
    }
    if (format != TSI_PROGRAM_FORMAT) {
        return tsi_error_set(decoder->error, TESS_EVERSION,
                             "a program of format %llu; this version knows format %d",
                             (unsigned long long)format, TSI_PROGRAM_FORMAT);
    }
    tess_status status = take_program(decoder);
    if (status == TESS_OK) {
        status = tsi_program_number(decoder->program, decoder->error);
    }
    return status != TESS_OK ? status : tsi_program_validate(decoder->program, decoder->error);
}

tess_status
tsi_program_decode(const unsigned char *bytes, size_t count, struct tsi_program **program,
                   struct tsi_error *error)
{
    *program = NULL;
    if (count > TSI_PROGRAM_BYTES_MAX) {
        return tsi_error_set(error, TESS_ELIMIT, "a program of %zu bytes; at most %zu are read",
                             count, TSI_PROGRAM_BYTES_MAX);
    }
    const size_t share = count * BUDGET_PER_BYTE;
    struct decoder decoder = {
        .in = tsi_unpacker_of(bytes, count),
        .program = tsi_program_new(),
        .error = error,
        .budget.left = share < BUDGET_MIN   ? BUDGET_MIN
                       : share < BUDGET_MAX ? share
                                            : BUDGET_MAX,
    };
    if (decoder.program == NULL) {
        return tsi_error_set(error, TESS_ENOMEM, "out of memory for a program");
    }
    decoder.budget.arena = &decoder.program->arena;
    const tess_status status = decode(&decoder);
    tsi_vec_fini(&decoder.axes);
    tsi_vec_fini(&decoder.texts);
    if (status != TESS_OK) {
        tsi_program_free(decoder.program);
        return status;
    }
    *program = decoder.program;
    return TESS_OK;
}
