// SPDX-License-Identifier: Apache-2.0
//
// Regions: the tile program that computes one node, and everything below it that is computed in
// place.
//
// A node is visited with a *frame*, which tells for each of its axes where the loop stands on it:
// offset + stride·(index of one loop axis). The root's frame is the identity; a VIEW changes the
// frame for its operand. Where the walk meets an array of its own, the frame is the index map of an
// input; where it meets a source, the frame goes into the steps of its index. So slices, transposes
// and broadcasts reach what they are views of, and cost nothing by themselves.
//
// A node visited twice with the same frame is computed once. Values are numbered as they are made;
// registers are dealt out afterwards, when the last use of each value is known.

#include <string.h>

#include "engine/base/check.h"
#include "engine/plan/plan_build.h"

// A tile program never exceeds these, because plan_choose.c cuts it off before.
#define VALUES_MAX TSI_TILE_REGISTERS_MAX

// Characters of the operations that a label lists.
#define LABEL_MAX 80

struct value {
    const struct tess_array *array;          // what it is the value of
    struct tsi_index_map frame;              // for which loop
    struct tsi_tile_instruction instruction; // `out` and `in` are values here, registers later
    int last_use;
};

struct region {
    struct tsi_plan_builder *builder;
    const struct tess_array *root;
    const struct tsi_grid *loop;
    int value_count;
    struct value values[VALUES_MAX];
    int input_count;
    struct tsi_input inputs[VALUES_MAX];
    int constant_count;
    struct tsi_scalar constants[VALUES_MAX];
    int source_count;
    struct tsi_tile_source sources[VALUES_MAX];
    bool overflow; // of one of the tables
};

static int visit(struct region *region, const struct tess_array *array,
                 const struct tsi_index_map *frame);

// A loop axis of one element, or a node's axis of one, needs no loop index; without it equal frames
// look equal.
static void
simplify_axis(const struct region *region, struct tsi_map_axis *axis)
{
    if (axis->axis >= 0 && region->loop->axis[axis->axis].size <= 1) {
        axis->axis = -1;
    }
    if (axis->axis < 0) {
        axis->stride = 0;
    }
}

// The frame of the operand of VIEW `array`, which is visited with `frame`.
static struct tsi_index_map
frame_below_view(const struct region *region, const struct tess_array *array,
                 const struct tsi_index_map *frame)
{
    const struct tsi_node_view *view = &array->view;
    struct tsi_index_map below = {.ndim = array->operand[0]->grid.ndim};
    for (int a = 0; a < below.ndim; a++) {
        struct tsi_map_axis *axis = &below.axis[a];
        *axis = (struct tsi_map_axis){-1, view->offset[a], 0, 1};
        if (view->axis[a] >= 0) {
            const struct tsi_map_axis *above = &frame->axis[view->axis[a]];
            axis->axis = above->axis;
            axis->offset = view->offset[a] + view->stride[a] * above->offset;
            axis->stride = view->stride[a] * above->stride;
        }
        simplify_axis(region, axis);
    }
    return below;
}

static bool
frames_equal(const struct tsi_index_map *a, const struct tsi_index_map *b)
{
    if (a->ndim != b->ndim) {
        return false;
    }
    for (int i = 0; i < a->ndim; i++) {
        if (a->axis[i].axis != b->axis[i].axis || a->axis[i].offset != b->axis[i].offset ||
            a->axis[i].stride != b->axis[i].stride) {
            return false;
        }
    }
    return true;
}

static int
find_value(const struct region *region, const struct tess_array *array,
           const struct tsi_index_map *frame)
{
    for (int i = 0; i < region->value_count; i++) {
        if (region->values[i].array == array && frames_equal(&region->values[i].frame, frame)) {
            return i;
        }
    }
    return -1;
}

static int
add_value(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame,
          struct tsi_tile_instruction instruction)
{
    if (region->value_count == VALUES_MAX) {
        region->overflow = true;
        return 0;
    }
    instruction.out = (uint8_t)region->value_count;
    region->values[region->value_count] =
        (struct value){.array = array, .frame = *frame, .instruction = instruction};
    return region->value_count++;
}

static int
add_load(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame,
         int op)
{
    int input = 0;
    while (input < region->input_count &&
           (region->inputs[input].op != op || !frames_equal(&region->inputs[input].map, frame))) {
        input++;
    }
    if (input == VALUES_MAX) {
        region->overflow = true;
        return 0;
    }
    if (input == region->input_count) {
        region->inputs[region->input_count++] =
            (struct tsi_input){.op = (uint16_t)op, .map = *frame};
    }
    return add_value(region, array, frame,
                     (struct tsi_tile_instruction){.code = TSI_TILE_LOAD,
                                                   .dtype = (uint8_t)array->dtype,
                                                   .operand = (uint8_t)input});
}

static int
add_constant(struct region *region, const struct tess_array *array,
             const struct tsi_index_map *frame)
{
    if (region->constant_count == VALUES_MAX) {
        region->overflow = true;
        return 0;
    }
    region->constants[region->constant_count] = array->constant;
    return add_value(region, array, frame,
                     (struct tsi_tile_instruction){.code = TSI_TILE_CONST,
                                                   .dtype = (uint8_t)array->dtype,
                                                   .operand = (uint8_t)region->constant_count++});
}

static int64_t
add_scaled(int64_t sum, int64_t factor, int64_t times)
{
    return (int64_t)((uint64_t)sum + (uint64_t)factor * (uint64_t)times);
}

static int
add_source(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame)
{
    if (region->source_count == VALUES_MAX) {
        region->overflow = true;
        return 0;
    }
    struct tsi_tile_source *source = &region->sources[region->source_count];
    *source = (struct tsi_tile_source){.source = (uint8_t)array->source.source,
                                       .first = array->source.first,
                                       .params = array->source.params};
    // The steps of an array without elements may be any number, so all of this wraps.
    for (int a = 0; a < frame->ndim; a++) {
        const struct tsi_map_axis *axis = &frame->axis[a];
        source->first = add_scaled(source->first, array->source.step[a], axis->offset);
        if (axis->axis >= 0) {
            source->step[axis->axis] =
                add_scaled(source->step[axis->axis], array->source.step[a], axis->stride);
        }
    }
    return add_value(region, array, frame,
                     (struct tsi_tile_instruction){.code = TSI_TILE_SOURCE,
                                                   .dtype = (uint8_t)array->dtype,
                                                   .operand = (uint8_t)region->source_count++});
}

static int
add_map(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame)
{
    struct tsi_tile_instruction instruction = {.code = TSI_TILE_MAP, .operand = (uint8_t)array->op};
    for (int i = 0; i < array->operand_count; i++) {
        instruction.in[i] = (uint8_t)visit(region, array->operand[i], frame);
    }
    // The last operand has the type in which the operation computes; the first of `where` is bool.
    instruction.dtype = (uint8_t)array->operand[array->operand_count - 1]->dtype;
    return add_value(region, array, frame, instruction);
}

static int
add_cast(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame)
{
    struct tsi_tile_instruction instruction = {.code = TSI_TILE_CAST,
                                               .dtype = (uint8_t)array->dtype,
                                               .from = (uint8_t)array->operand[0]->dtype};
    instruction.in[0] = (uint8_t)visit(region, array->operand[0], frame);
    return add_value(region, array, frame, instruction);
}

// The value of `array` where the loop stands, made if it is not there yet. The depth is bounded by
// the weight that plan_choose.c allows.
static int
visit(struct region *region, const struct tess_array *array, const struct tsi_index_map *frame)
{
    const int known = find_value(region, array, frame);
    if (known >= 0) {
        return known;
    }
    const struct tsi_plan_node *node = tsi_plan_node(region->builder, array);
    if (node->chosen && node->op >= 0) {
        return add_load(region, array, frame, node->op);
    }
    switch (array->kind) {
    case TSI_NODE_CONST:
        return add_constant(region, array, frame);
    case TSI_NODE_SOURCE:
        return add_source(region, array, frame);
    case TSI_NODE_MAP:
        return add_map(region, array, frame);
    case TSI_NODE_CAST:
        return add_cast(region, array, frame);
    case TSI_NODE_VIEW: {
        const struct tsi_index_map below = frame_below_view(region, array, frame);
        return visit(region, array->operand[0], &below);
    }
    default:
        TSI_CHECK(false && "leaves, reductions and products have been emitted before");
    }
    return 0;
}

static void
find_last_uses(struct region *region)
{
    for (int i = 0; i < region->value_count; i++) {
        const struct tsi_tile_instruction *instruction = &region->values[i].instruction;
        region->values[i].last_use = i;
        for (int k = 0; k < tsi_tile_arity(instruction); k++) {
            region->values[instruction->in[k]].last_use = i;
        }
    }
}

struct registers {
    int of[VALUES_MAX]; // the register of each value
    int free_list[VALUES_MAX];
    int free_count;
    int count;
};

// Gives back the registers of the operands of value `i` that it is the last to use: those whose
// elements are as wide as its own if `same_width`, else the others. Constants keep theirs.
static void
release_operands(const struct region *region, int i, bool same_width, struct registers *registers)
{
    const struct value *user = &region->values[i];
    for (int k = 0; k < tsi_tile_arity(&user->instruction); k++) {
        const int in = user->instruction.in[k];
        const struct value *operand = &region->values[in];
        bool seen = false;
        for (int m = 0; m < k; m++) {
            seen = seen || user->instruction.in[m] == in;
        }
        const bool fits =
            tess_dtype_bytes(operand->array->dtype) == tess_dtype_bytes(user->array->dtype);
        if (!seen && fits == same_width && operand->last_use == i &&
            operand->instruction.code != TSI_TILE_CONST) {
            registers->free_list[registers->free_count++] = registers->of[in];
        }
    }
}

// Constants are filled once, so they get registers that nothing else takes. Every other value gives
// its register back at its last use; if its elements are as wide as those of the result, the result
// may take it at once, so that chains work in place. Returns how many registers there are.
static int
deal_registers(const struct region *region, struct tsi_tile_instruction *instructions)
{
    struct registers registers = {0};
    for (int i = 0; i < region->value_count; i++) {
        struct tsi_tile_instruction *instruction = &instructions[i];
        *instruction = region->values[i].instruction;
        const bool reuses = instruction->code != TSI_TILE_CONST;
        release_operands(region, i, true, &registers);
        registers.of[i] = reuses && registers.free_count > 0
                              ? registers.free_list[--registers.free_count]
                              : registers.count++;
        release_operands(region, i, false, &registers);
        for (int k = 0; k < tsi_tile_arity(instruction); k++) {
            instruction->in[k] = (uint8_t)registers.of[instruction->in[k]];
        }
        instruction->out = (uint8_t)registers.of[i];
    }
    return registers.count;
}

// "random_normal+mean": what the program computes, in order, as far as it fits.
static char *
make_label(const struct region *region, struct tsi_arena *arena)
{
    char label[LABEL_MAX];
    size_t used = 0;
    for (int i = 0; i < region->value_count; i++) {
        const struct tess_array *array = region->values[i].array;
        const size_t length = strlen(array->name);
        const bool loaded = region->values[i].instruction.code == TSI_TILE_LOAD;
        if (loaded || array == region->root || array->kind == TSI_NODE_CONST ||
            array->kind == TSI_NODE_CAST || used + length + 2 > sizeof label) {
            continue;
        }
        memcpy(label + used, array->name, length);
        used += length;
        label[used++] = '+';
    }
    label[used] = '\0';
    return tsi_arena_printf(arena, "%s%s", label, region->root->name);
}

static tess_status
finish_region(struct region *region, int op)
{
    struct tsi_plan_builder *builder = region->builder;
    struct tsi_arena *arena = &builder->program->arena;
    struct tsi_chunk_op *target = &builder->ops.items[op];
    struct tsi_tile *tile = &target->tile;
    const size_t count = (size_t)region->value_count;

    find_last_uses(region);
    tile->sink = TSI_SINK_STORE;
    tile->instruction_count = region->value_count;
    tile->constant_count = region->constant_count;
    tile->source_count = region->source_count;
    tile->instructions = tsi_arena_alloc(arena, count * sizeof *tile->instructions);
    tile->constants = tsi_arena_copy(arena, region->constants,
                                     (size_t)region->constant_count * sizeof *tile->constants);
    tile->sources = tsi_arena_copy(arena, region->sources,
                                   (size_t)region->source_count * sizeof *tile->sources);
    target->label = make_label(region, arena);
    if (tile->instructions == NULL || (tile->constants == NULL && tile->constant_count > 0) ||
        (tile->sources == NULL && tile->source_count > 0) || target->label == NULL) {
        return tsi_plan_nomem(builder);
    }
    tile->register_count = deal_registers(region, tile->instructions);
    return tsi_plan_set_inputs(builder, op, region->inputs, region->input_count);
}

tess_status
tsi_plan_region(struct tsi_plan_builder *builder, const struct tess_array *array,
                const struct tsi_grid *loop, int *op)
{
    tess_status status = tsi_plan_add_op(builder, TSI_WORK_TILE, array, loop, loop, op);
    struct region *region = status == TESS_OK ? tsi_calloc(1, sizeof *region) : NULL;
    if (region == NULL) {
        return status != TESS_OK ? status : tsi_plan_nomem(builder);
    }
    region->builder = builder;
    region->root = array;
    region->loop = loop;

    struct tsi_index_map frame = tsi_index_map_identity(loop);
    for (int a = 0; a < frame.ndim; a++) {
        simplify_axis(region, &frame.axis[a]);
    }
    visit(region, array, &frame);
    TSI_CHECK(!region->overflow);
    status = finish_region(region, *op);
    tsi_free(region);
    return status;
}

struct tsi_index_map
tsi_plan_view_map(struct tsi_plan_builder *builder, struct tess_array *array, const int *axes,
                  struct tess_array **base)
{
    struct tsi_index_map map = {.ndim = array->grid.ndim};
    for (int a = 0; a < map.ndim; a++) {
        map.axis[a] = (struct tsi_map_axis){axes[a], 0, axes[a] >= 0 ? 1 : 0, 1};
    }
    while (!tsi_plan_node(builder, array)->chosen) {
        TSI_CHECK(array->kind == TSI_NODE_VIEW);
        struct tsi_index_map below = {.ndim = array->operand[0]->grid.ndim};
        for (int a = 0; a < below.ndim; a++) {
            below.axis[a] = (struct tsi_map_axis){-1, array->view.offset[a], 0, 1};
            if (array->view.axis[a] >= 0) {
                const struct tsi_map_axis *above = &map.axis[array->view.axis[a]];
                below.axis[a].axis = above->axis;
                below.axis[a].offset += array->view.stride[a] * above->offset;
                below.axis[a].stride = array->view.stride[a] * above->stride;
            }
        }
        map = below;
        array = array->operand[0];
    }
    *base = array;
    return map;
}
