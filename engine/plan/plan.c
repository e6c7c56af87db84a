// SPDX-License-Identifier: Apache-2.0
//
// From expressions to a program: the order of the steps, and the operations that are read in place.
// plan_build.h has the outline.

#include "engine/plan/plan.h"

#include <string.h>

#include "engine/plan/plan_build.h"

tess_status
tsi_plan_nomem(struct tsi_plan_builder *builder)
{
    return tsi_error_set(builder->error, TESS_ENOMEM, "out of memory while planning");
}

tess_status
tsi_plan_add_op(struct tsi_plan_builder *builder, enum tsi_work work,
                const struct tess_array *origin, const struct tsi_grid *loop,
                const struct tsi_grid *array, int *op)
{
    struct tsi_arena *arena = &builder->program->arena;
    struct tsi_chunk_op fresh = {.work = (uint8_t)work, .dtype = (uint8_t)origin->dtype};
    if (builder->ops.count >= TSI_PROGRAM_OPS_MAX) {
        return tsi_error_set(builder->error, TESS_ELIMIT,
                             "%s: the expression needs more than %d chunk operations", origin->name,
                             TSI_PROGRAM_OPS_MAX);
    }
    fresh.label = tsi_arena_strdup(arena, origin->name);
    fresh.site = tsi_arena_strdup(arena, origin->site);
    if (fresh.label == NULL || fresh.site == NULL || !tsi_grid_copy(arena, loop, &fresh.loop) ||
        !tsi_grid_copy(arena, array, &fresh.array) || !tsi_vec_push(&builder->ops, fresh)) {
        return tsi_plan_nomem(builder);
    }
    *op = (int)builder->ops.count - 1;
    return TESS_OK;
}

tess_status
tsi_plan_set_inputs(struct tsi_plan_builder *builder, int op, const struct tsi_input *inputs,
                    int count)
{
    struct tsi_chunk_op *target = &builder->ops.items[op];
    target->inputs =
        tsi_arena_copy(&builder->program->arena, inputs, (size_t)count * sizeof *inputs);
    target->input_count = count;
    return target->inputs != NULL || count == 0 ? TESS_OK : tsi_plan_nomem(builder);
}

static tess_status
emit_file(struct tsi_plan_builder *builder, const struct tess_array *array, int *op)
{
    struct tsi_grid whole = {.ndim = array->grid.ndim};
    for (int a = 0; a < whole.ndim; a++) {
        whole.axis[a] = tsi_axis_regular(array->grid.axis[a].size, TESS_WHOLE_AXIS);
    }
    const tess_status status = tsi_plan_add_op(builder, TSI_WORK_FILE, array, &whole, &whole, op);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_work_file *file = &builder->ops.items[*op].file;
    file->path = tsi_arena_strdup(&builder->program->arena, array->file.path);
    file->swapped = array->file.header.swapped;
    file->fortran_order = array->file.header.fortran_order;
    file->data_offset = array->file.header.data_offset;
    return file->path != NULL ? TESS_OK : tsi_plan_nomem(builder);
}

static tess_status
emit_leaf(struct tsi_plan_builder *builder, struct tess_array *array, int *op)
{
    if (array->kept) {
        const tess_status status =
            tsi_plan_add_op(builder, TSI_WORK_KEPT, array, &array->grid, &array->grid, op);
        if (status == TESS_OK) {
            builder->ops.items[*op].kept =
                (struct tsi_work_kept){.job = array->kept_job, .base = array->kept_base};
        }
        return status;
    }
    if (array->kind == TSI_NODE_ATTACHED) {
        return tsi_error_set(builder->error, TESS_EINVAL,
                             "%s: the array was given back by tess_release()", array->name);
    }
    if (array->kind == TSI_NODE_FILE) {
        return emit_file(builder, array, op);
    }
    const tess_status status =
        tsi_plan_add_op(builder, TSI_WORK_HELD, array, &array->grid, &array->grid, op);
    if (status != TESS_OK) {
        return status;
    }
    builder->ops.items[*op].held.array = (uint32_t)builder->held.count;
    return tsi_vec_push(&builder->held, array) ? TESS_OK : tsi_plan_nomem(builder);
}

static tess_status
emit_node(struct tsi_plan_builder *builder, struct tsi_plan_node *node)
{
    struct tess_array *array = node->array;
    int op = -1;
    tess_status status;
    if (tsi_plan_is_leaf(array)) {
        status = emit_leaf(builder, array, &op);
    } else if (array->kind == TSI_NODE_REDUCE) {
        status = tsi_plan_reduce(builder, array, &op);
    } else if (array->kind == TSI_NODE_MATMUL) {
        status = tsi_plan_matmul(builder, array, &op);
    } else {
        status = tsi_plan_region(builder, array, &array->grid, &op);
    }
    node->op = op;
    return status;
}

// A target that is read in place is copied once: what is delivered or kept is the output of a task.
static tess_status
emit_target(struct tsi_plan_builder *builder, const struct tsi_plan_target *target, int *op)
{
    const struct tsi_plan_node *node = tsi_plan_node(builder, target->array);
    if (target->mode == TSI_TARGET_RUN) {
        return tsi_plan_write(builder, target, op);
    }
    if (tsi_plan_is_leaf(target->array)) {
        return tsi_plan_region(builder, target->array, &target->array->grid, op);
    }
    *op = node->op;
    return TESS_OK;
}

static bool
is_target_already(const struct tsi_program *program, int op)
{
    for (int i = 0; i < program->target_count; i++) {
        if (program->targets[i].op == op) {
            return true;
        }
    }
    return false;
}

// The operation of an equal target before target `i`, or −1.
static int
same_target_before(const struct tsi_plan_target *targets, int i, const uint16_t *ops)
{
    for (int k = 0; k < i; k++) {
        if (targets[k].array == targets[i].array && targets[k].mode == targets[i].mode &&
            targets[i].mode != TSI_TARGET_RUN) {
            return ops[k];
        }
    }
    return -1;
}

static tess_status
emit_targets(struct tsi_plan_builder *builder, const struct tsi_plan_target *targets, int count,
             uint16_t *target_ops)
{
    struct tsi_program *program = builder->program;
    program->targets = tsi_arena_alloc(&program->arena, (size_t)count * sizeof *program->targets);
    if (program->targets == NULL && count > 0) {
        return tsi_plan_nomem(builder);
    }
    for (int i = 0; i < count; i++) {
        int op = same_target_before(targets, i, target_ops);
        const tess_status status = op >= 0 ? TESS_OK : emit_target(builder, &targets[i], &op);
        if (status != TESS_OK) {
            return status;
        }
        target_ops[i] = (uint16_t)op;
        if (!is_target_already(program, op)) {
            program->targets[program->target_count++] =
                (struct tsi_target){.op = (uint16_t)op, .mode = (uint8_t)targets[i].mode};
        }
    }
    return TESS_OK;
}

// Moves the operations into the program, which owns them from here on.
static tess_status
finish_program(struct tsi_plan_builder *builder)
{
    struct tsi_program *program = builder->program;
    program->ops = tsi_arena_copy(&program->arena, builder->ops.items,
                                  builder->ops.count * sizeof *builder->ops.items);
    if (program->ops == NULL && builder->ops.count > 0) {
        return tsi_plan_nomem(builder);
    }
    program->op_count = (int)builder->ops.count;
    const tess_status status = tsi_program_number(program, builder->error);
    return status != TESS_OK ? status : tsi_program_validate(program, builder->error);
}

static tess_status
build(struct tsi_plan_builder *builder, const struct tsi_plan_target *targets, int count,
      uint16_t *target_ops)
{
    tess_status status = tsi_plan_order(builder, targets, count);
    if (status == TESS_OK) {
        status = tsi_plan_choose(builder);
    }
    for (size_t i = 0; i < builder->nodes.count && status == TESS_OK; i++) {
        if (builder->nodes.items[i].chosen) {
            status = emit_node(builder, &builder->nodes.items[i]);
        }
    }
    if (status == TESS_OK) {
        status = emit_targets(builder, targets, count, target_ops);
    }
    return status != TESS_OK ? status : finish_program(builder);
}

tess_status
tsi_plan_make(const struct tsi_plan_target *targets, int count, struct tsi_plan *plan,
              struct tsi_error *error)
{
    struct tsi_plan_builder builder = {.program = tsi_program_new(), .error = error};
    uint16_t *target_ops = tsi_calloc((size_t)count + 1, sizeof *target_ops);
    const tess_status status = builder.program == NULL || target_ops == NULL
                                   ? tsi_plan_nomem(&builder)
                                   : build(&builder, targets, count, target_ops);
    *plan =
        (struct tsi_plan){builder.program, target_ops, builder.held.items, (int)builder.held.count};
    tsi_vec_fini(&builder.nodes);
    tsi_vec_fini(&builder.ops);
    tsi_map_fini(&builder.places);
    if (status != TESS_OK) {
        tsi_plan_fini(plan);
    }
    return status;
}

void
tsi_plan_fini(struct tsi_plan *plan)
{
    tsi_program_free(plan->program);
    tsi_free(plan->target_ops);
    tsi_free(plan->held);
    *plan = (struct tsi_plan){0};
}
