// SPDX-License-Identifier: Apache-2.0
//
// Lists the nodes that the targets need, operands before users, without recursion: an expression
// may be a chain of any length.

#include "engine/plan/plan_build.h"

struct visit {
    const struct tess_array *asked; // what the targets or a user know it by
    struct tess_array *array;       // the same, or a simpler one
    int next;                       // operand to look at
};

struct visit_stack {
    struct visit *items;
    size_t count;
    size_t capacity;
};

bool
tsi_plan_is_leaf(const struct tess_array *array)
{
    return array->kept || array->kind == TSI_NODE_MEMORY || array->kind == TSI_NODE_FILE ||
           array->kind == TSI_NODE_ATTACHED;
}

struct tsi_plan_node *
tsi_plan_node(struct tsi_plan_builder *builder, const struct tess_array *array)
{
    const uint64_t *place = tsi_map_get(&builder->places, (uint64_t)(uintptr_t)array);
    return place == NULL ? NULL : &builder->nodes.items[*place];
}

// Leaves need none of their operands.
static int
operands_needed(const struct tess_array *array)
{
    return tsi_plan_is_leaf(array) ? 0 : array->operand_count;
}

static bool
append_node(struct tsi_plan_builder *builder, const struct visit *visit)
{
    struct tess_array *array = visit->array;
    struct tsi_plan_node node = {.array = array, .operand = {-1, -1, -1}, .op = -1};
    for (int i = 0; i < operands_needed(array); i++) {
        const struct tsi_plan_node *operand = tsi_plan_node(builder, array->operand[i]);
        node.operand[i] = (int32_t)(operand - builder->nodes.items);
    }
    const uint64_t place = builder->nodes.count;
    return tsi_map_put(&builder->places, (uint64_t)(uintptr_t)visit->asked, place) &&
           (array == visit->asked ||
            tsi_map_put(&builder->places, (uint64_t)(uintptr_t)array, place)) &&
           tsi_vec_push(&builder->nodes, node);
}

static bool
push_visit(struct tsi_plan_builder *builder, struct visit_stack *stack, struct tess_array *array)
{
    struct visit visit = {array, array, 0};
    struct tess_array simpler;
    if (!tsi_plan_is_leaf(array) && tsi_plan_simplify(array, &simpler)) {
        visit.array = tsi_arena_copy(&builder->program->arena, &simpler, sizeof simpler);
    }
    return visit.array != NULL && tsi_vec_push(stack, visit);
}

static bool
walk_from(struct tsi_plan_builder *builder, struct visit_stack *stack, struct tess_array *root)
{
    if (!push_visit(builder, stack, root)) {
        return false;
    }
    while (stack->count > 0) {
        struct visit *top = &tsi_vec_last(stack);
        if (tsi_plan_node(builder, top->asked) != NULL) {
            stack->count--;
        } else if (top->next < operands_needed(top->array)) {
            struct tess_array *operand = top->array->operand[top->next++];
            if (!push_visit(builder, stack, operand)) {
                return false;
            }
        } else {
            if (!append_node(builder, top)) {
                return false;
            }
            stack->count--;
        }
    }
    return true;
}

tess_status
tsi_plan_order(struct tsi_plan_builder *builder, const struct tsi_plan_target *targets, int count)
{
    struct visit_stack stack = {0};
    bool ok = true;
    for (int i = 0; i < count && ok; i++) {
        ok = walk_from(builder, &stack, targets[i].array);
        if (ok) {
            struct tsi_plan_node *node = tsi_plan_node(builder, targets[i].array);
            node->is_target = node->is_target || targets[i].mode != TSI_TARGET_RUN;
            node->is_written = node->is_written || targets[i].mode == TSI_TARGET_RUN;
        }
    }
    tsi_vec_fini(&stack);
    return ok ? TESS_OK : tsi_plan_nomem(builder);
}
