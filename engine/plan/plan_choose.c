// SPDX-License-Identifier: Apache-2.0
//
// Decides which nodes become arrays of their own.
//
// Targets, reductions, matrix products and leaves do, and the operands of matrix products.
// Everything else is computed in place, in the tile program of whoever reads it, for two
// exceptions:
//
// - a tile program has a bounded number of instructions, so an operand that would make it longer is
// cut
//   off;
// - a node that several tile programs would compute, or one program at different places of the
// loop, is
//   computed once if it costs more than writing it to memory and reading it back. What costs less
//   is computed again: in x − mean(x) with x random, x is made twice and never stored.

#include "engine/plan/plan_build.h"

// Instructions of one tile program, loads included: each has a register in the worst case.
#define WEIGHT_MAX 60u

// What it may cost to compute an element again, in additions, before it is kept instead. Keeping
// costs a write and a read of memory, and the memory.
#define FLOPS_AGAIN_MAX 32u

// Where a node is computed in place: in the tile program of node `root`, below VIEW `view` (−1:
// none). Different views of one node are different elements, so they are computed each for itself.
struct instance {
    int32_t root;
    int32_t view;
};

// Beyond this many the exact number does not matter.
#define INSTANCES_MAX 4

struct instances {
    int count;
    struct instance items[INSTANCES_MAX];
};

static uint32_t
own_flops(const struct tess_array *array)
{
    switch (array->kind) {
    case TSI_NODE_MAP:
        return (uint32_t)tsi_op_row(array->op)->flops;
    case TSI_NODE_SOURCE:
        return tsi_source_flops(array->source.source);
    case TSI_NODE_CAST:
        return TSI_CAST_FLOPS;
    default:
        return 0;
    }
}

static bool
must_be_array(const struct tsi_plan_node *node)
{
    return node->is_target || tsi_plan_is_leaf(node->array) ||
           node->array->kind == TSI_NODE_REDUCE || node->array->kind == TSI_NODE_MATMUL;
}

static uint32_t
weight_in_place(const struct tsi_plan_node *node)
{
    return node->chosen ? 1 : node->weight;
}

static uint32_t
flops_in_place(const struct tsi_plan_node *node)
{
    return node->chosen ? 1 : node->flops;
}

static struct tsi_plan_node *
heaviest_operand(struct tsi_plan_builder *builder, const struct tsi_plan_node *node)
{
    struct tsi_plan_node *heaviest = &builder->nodes.items[node->operand[0]];
    for (int i = 1; i < 3 && node->operand[i] >= 0; i++) {
        struct tsi_plan_node *operand = &builder->nodes.items[node->operand[i]];
        if (weight_in_place(operand) > weight_in_place(heaviest)) {
            heaviest = operand;
        }
    }
    return heaviest;
}

static void
weigh(struct tsi_plan_builder *builder, struct tsi_plan_node *node)
{
    node->weight = node->array->kind == TSI_NODE_VIEW ? 0 : 1;
    node->flops = own_flops(node->array);
    for (int i = 0; i < 3 && node->operand[i] >= 0; i++) {
        const struct tsi_plan_node *operand = &builder->nodes.items[node->operand[i]];
        node->weight += weight_in_place(operand);
        node->flops += flops_in_place(operand);
    }
}

// Whether `view` repeats rows or columns: a matrix axis of several elements that no axis of its
// base follows. The multiplication reads no such thing.
static bool
repeats_matrix(const struct tess_array *view)
{
    uint32_t named = 0;
    for (int a = 0; a < view->operand[0]->grid.ndim; a++) {
        named |= view->view.axis[a] < 0 ? 0 : UINT32_C(1) << view->view.axis[a];
    }
    for (int a = view->grid.ndim - 2; a < view->grid.ndim; a++) {
        if (view->grid.axis[a].size > 1 && (named >> a & 1) == 0) {
            return true;
        }
    }
    return false;
}

// Makes a matrix operand an array, so that blocks of it can be given to the multiplication: the
// base of a view, or the view itself if it is an array anyway or is to be one.
static void
choose_matrix(struct tsi_plan_builder *builder, struct tsi_plan_node *node)
{
    if (node->array->kind == TSI_NODE_VIEW && !node->chosen && !repeats_matrix(node->array)) {
        node = &builder->nodes.items[node->operand[0]];
    }
    node->chosen = true;
}

// Operands come first in the order, so one pass upward settles what has to be an array.
static void
choose_by_need(struct tsi_plan_builder *builder)
{
    for (size_t i = 0; i < builder->nodes.count; i++) {
        struct tsi_plan_node *node = &builder->nodes.items[i];
        node->chosen = must_be_array(node);
        weigh(builder, node);
        while (node->weight > WEIGHT_MAX) {
            heaviest_operand(builder, node)->chosen = true;
            weigh(builder, node);
        }
        for (int o = 0; o < 2 && node->array->kind == TSI_NODE_MATMUL && node->operand[o] >= 0;
             o++) {
            choose_matrix(builder, &builder->nodes.items[node->operand[o]]);
        }
    }
}

static void
add_instance(struct instances *set, struct instance instance)
{
    for (int i = 0; i < set->count; i++) {
        if (set->items[i].root == instance.root && set->items[i].view == instance.view) {
            return;
        }
    }
    if (set->count < INSTANCES_MAX) {
        set->items[set->count++] = instance;
    }
}

// Tells the operands of node `place` where they are computed if they are computed in place.
static void
hand_down(const struct tsi_plan_node *node, int32_t place, struct instances *sets)
{
    const struct instances own = sets[place];
    const bool is_view = node->array->kind == TSI_NODE_VIEW;
    for (int i = 0; i < 3 && node->operand[i] >= 0; i++) {
        struct instances *operand = &sets[node->operand[i]];
        if (node->chosen) {
            add_instance(operand, (struct instance){place, is_view ? place : -1});
        }
        for (int k = 0; k < own.count && !node->chosen; k++) {
            const int32_t view = is_view ? place : own.items[k].view;
            add_instance(operand, (struct instance){own.items[k].root, view});
        }
    }
}

static bool
is_cheaper_kept(const struct tsi_plan_node *node, const struct instances *set)
{
    return node->array->kind == TSI_NODE_MAP && set->count > 1 &&
           node->flops * (uint32_t)(set->count - 1) > FLOPS_AGAIN_MAX;
}

tess_status
tsi_plan_choose(struct tsi_plan_builder *builder)
{
    choose_by_need(builder);

    struct instances *sets = tsi_calloc(builder->nodes.count + 1, sizeof *sets);
    if (sets == NULL) {
        return tsi_plan_nomem(builder);
    }
    for (size_t i = builder->nodes.count; i-- > 0;) {
        struct tsi_plan_node *node = &builder->nodes.items[i];
        if (node->is_written) {
            add_instance(&sets[i], (struct instance){(int32_t)i, -1});
        }
        if (!node->chosen && is_cheaper_kept(node, &sets[i])) {
            node->chosen = true;
        }
        hand_down(node, (int32_t)i, sets);
    }
    tsi_free(sets);
    return TESS_OK;
}
