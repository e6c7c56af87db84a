// SPDX-License-Identifier: Apache-2.0
//
// 2·a + 3·b is four steps and two registers filled with constants by its instructions: its elements
// pass the first-level cache seven times where memory gives them once. One step that reads a and b
// and writes the result passes it once. It rounds after each operation as the single ones do, and
// x·1 and x + (−y) are what x and x − y are, so the bits are the same.
//
// A multiplication is absorbed by the one step that uses it. Its operand must still be there then:
// no step between may write to its register.

#include "engine/exec/pipeline_step.h"

static bool
is_map(const struct tsi_tile *tile, int index, enum tsi_op op)
{
    const struct tsi_tile_instruction *const instruction = &tile->instructions[index];
    return instruction->code == TSI_TILE_MAP && instruction->operand == op;
}

// How often the value of step `index` is used.
static int
count_uses(const struct tsi_pipeline *pipeline, int index)
{
    int uses = 0;
    for (int i = index + 1; i < pipeline->count; i++) {
        for (int k = 0; k < 3; k++) {
            uses += pipeline->steps[i].in[k] == index ? 1 : 0;
        }
    }
    return uses;
}

static bool
is_overwritten(const struct tsi_pipeline *pipeline, int index, int user)
{
    for (int i = index + 1; i < user; i++) {
        const struct tsi_step *const step = &pipeline->steps[i];
        if (!step->is_absorbed && step->buffer == pipeline->steps[index].buffer) {
            return true;
        }
    }
    return false;
}

bool
tsi_pipeline_may_absorb(const struct tsi_pipeline *pipeline, int index, int side, int user)
{
    struct tsi_step *const step = &pipeline->steps[index];
    if (count_uses(pipeline, index) != 1) {
        return false;
    }
    const bool was_absorbed = step->is_absorbed;
    step->is_absorbed = true;
    const bool is_there = !is_overwritten(pipeline, step->in[side], user);
    step->is_absorbed = was_absorbed;
    return is_there;
}

double
tsi_pipeline_constant(const struct tsi_step *step)
{
    float narrow;
    double wide;
    __builtin_memcpy(&narrow, &step->constant.bits, sizeof(narrow));
    __builtin_memcpy(&wide, &step->constant.bits, sizeof(wide));
    return step->bytes == sizeof(narrow) ? (double)narrow : wide;
}

// Makes operand `k` of step `user` the operand of the multiplication that it is, if it is one.
static bool
absorb(const struct tsi_tile *tile, struct tsi_pipeline *pipeline, int user, int k)
{
    struct tsi_step *const step = &pipeline->steps[user];
    const int product = step->in[k];
    struct tsi_step *const multiply = &pipeline->steps[product];
    if (!is_map(tile, product, TSI_OP_MULTIPLY) || multiply->combine != NULL) {
        return false;
    }
    for (int side = 0; side < 2; side++) {
        const int operand = multiply->in[side];
        const struct tsi_step *const constant = &pipeline->steps[multiply->in[1 - side]];
        if (constant->code == TSI_TILE_CONST &&
            tsi_pipeline_may_absorb(pipeline, product, side, user)) {
            multiply->is_absorbed = true;
            step->in[k] = operand;
            step->scale[k] *= tsi_pipeline_constant(constant);
            return true;
        }
    }
    return false;
}

void
tsi_pipeline_combine(const struct tsi_run *run, struct tsi_pipeline *pipeline)
{
    const struct tsi_tile *const tile = &run->op->tile;
    for (int i = 0; i < pipeline->count && tile->constant_count > 0; i++) {
        struct tsi_step *const step = &pipeline->steps[i];
        const bool is_difference = is_map(tile, i, TSI_OP_SUBTRACT);
        tsi_kernel_combine *const kernel = run->kernel->combine[tile->instructions[i].dtype];
        if (kernel == NULL || (!is_difference && !is_map(tile, i, TSI_OP_ADD))) {
            continue;
        }
        step->scale[0] = 1.0;
        step->scale[1] = is_difference ? -1.0 : 1.0;
        const bool first = absorb(tile, pipeline, i, 0);
        const bool second = absorb(tile, pipeline, i, 1);
        if (first || second) {
            step->combine = kernel;
        }
    }
}
