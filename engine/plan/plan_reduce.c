// SPDX-License-Identifier: Apache-2.0
//
// Reductions: the first level is fused into the tile program of the operand, further levels merge
// accumulators by a tree over the chunks.
//
// The accumulators of a first-level chunk are an array with one element a chunk on the folded axes.
// Each level of the tree takes windows of it, at most TSI_FOLD_FANIN chunks each, the last folded
// axis first, so that what is merged follows in chunk order. The tree depends on the chunk counts
// alone.

#include "engine/plan/plan_build.h"

static double
folded_count(const struct tsi_grid *grid, uint32_t axes)
{
    double count = 1.0;
    for (int a = 0; a < grid->ndim; a++) {
        count *= (axes >> a & 1) != 0 ? (double)grid->axis[a].size : 1.0;
    }
    return count;
}

static bool
is_one_chunk(const struct tsi_grid *grid, uint32_t axes)
{
    for (int a = 0; a < grid->ndim; a++) {
        if ((axes >> a & 1) != 0 && grid->axis[a].count != 1) {
            return false;
        }
    }
    return true;
}

// The weight of each folded axis in the index that argmin and argmax tell.
static void
fill_order(const struct tsi_grid *grid, uint32_t axes, int64_t order[TESS_NDIM_MAX])
{
    int64_t weight = 1;
    for (int a = grid->ndim - 1; a >= 0; a--) {
        order[a] = (axes >> a & 1) != 0 ? weight : 0;
        weight *= (axes >> a & 1) != 0 ? grid->axis[a].size : 1;
    }
}

static void
set_name(struct tsi_plan_builder *builder, int op, const char *label, const char *site)
{
    builder->ops.items[op].label = label;
    builder->ops.items[op].site = site;
}

tess_status
tsi_plan_reduce(struct tsi_plan_builder *builder, const struct tess_array *array, int *op)
{
    const struct tess_array *operand = array->operand[0];
    const struct tsi_node_reduce *reduce = &array->reduce;
    const bool finish = is_one_chunk(&operand->grid, reduce->axes);
    const double folded = folded_count(&operand->grid, reduce->axes);
    const double ddof = reduce->ddof;

    tess_status status = tsi_plan_region(builder, operand, &operand->grid, op);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_chunk_op *first = &builder->ops.items[*op];
    struct tsi_tile_reduce *sink = &first->tile.reduce;
    first->tile.sink = TSI_SINK_REDUCE;
    *sink = (struct tsi_tile_reduce){.reduction = (uint8_t)reduce->reduction,
                                     .dtype = (uint8_t)operand->dtype,
                                     .finish = finish,
                                     .axes = reduce->axes,
                                     .folded = folded,
                                     .ddof = ddof};
    fill_order(&operand->grid, reduce->axes, sink->order);

    const bool fused = tsi_plan_node(builder, operand)->op < 0;
    const char *label =
        fused ? tsi_arena_printf(&builder->program->arena, "%s+%s", first->label, array->name)
              : tsi_arena_strdup(&builder->program->arena, array->name);
    const char *site = tsi_arena_strdup(&builder->program->arena, array->site);
    if (label == NULL || site == NULL) {
        return tsi_plan_nomem(builder);
    }
    set_name(builder, *op, label, site);
    if (finish) {
        first->dtype = (uint8_t)array->dtype;
        return tsi_grid_copy(&builder->program->arena, &array->grid, &first->array)
                   ? TESS_OK
                   : tsi_plan_nomem(builder);
    }
    first->is_planes = true;
    first->plane_reduction = reduce->reduction;
    for (int a = 0; a < operand->grid.ndim; a++) {
        if ((reduce->axes >> a & 1) != 0) {
            first->array.axis[a] = tsi_axis_regular(operand->grid.axis[a].count, 1);
        }
    }
    return tsi_plan_fold(builder, *op, reduce->axes, folded, ddof, array, op);
}

// The fan-in of each folded axis for one level: as much as possible of the last axis first.
static void
choose_fanin(const struct tsi_grid *grid, uint32_t axes, int64_t fanin[TESS_NDIM_MAX])
{
    int64_t budget = TSI_FOLD_FANIN;
    for (int a = TESS_NDIM_MAX - 1; a >= 0; a--) {
        fanin[a] = 1;
        if (a < grid->ndim && (axes >> a & 1) != 0) {
            fanin[a] = grid->axis[a].count < budget ? grid->axis[a].count : budget;
            budget /= fanin[a];
        }
    }
}

// One level of the tree over operation `source`.
static tess_status
fold_level(struct tsi_plan_builder *builder, int source, uint32_t axes,
           const struct tess_array *origin, int *op)
{
    const struct tsi_chunk_op below = builder->ops.items[source];
    struct tsi_grid loop = below.array;
    int64_t fanin[TESS_NDIM_MAX];
    struct tsi_input input = {.op = (uint16_t)source, .map = tsi_index_map_identity(&below.array)};
    choose_fanin(&below.array, axes, fanin);
    for (int a = 0; a < loop.ndim; a++) {
        if ((axes >> a & 1) != 0) {
            const int64_t count = below.array.axis[a].count;
            loop.axis[a] = tsi_axis_regular((count + fanin[a] - 1) / fanin[a], 1);
            input.map.axis[a].stride = fanin[a];
            input.map.axis[a].extent = fanin[a];
        }
    }
    const tess_status status = tsi_plan_add_op(builder, TSI_WORK_FOLD, origin, &loop, &loop, op);
    if (status != TESS_OK) {
        return status;
    }
    struct tsi_chunk_op *fold = &builder->ops.items[*op];
    fold->dtype = below.dtype;
    fold->is_planes = true;
    fold->plane_reduction = below.plane_reduction;
    return tsi_plan_set_inputs(builder, *op, &input, 1);
}

tess_status
tsi_plan_fold(struct tsi_plan_builder *builder, int partial, uint32_t axes, double folded,
              double ddof, const struct tess_array *array, int *op)
{
    const uint8_t element = builder->ops.items[partial].dtype;
    const enum tsi_reduction reduction = builder->ops.items[partial].plane_reduction;
    bool finish = false;
    *op = partial;
    while (!finish) {
        const tess_status status = fold_level(builder, *op, axes, array, op);
        if (status != TESS_OK) {
            return status;
        }
        struct tsi_chunk_op *fold = &builder->ops.items[*op];
        finish = is_one_chunk(&fold->array, axes);
        fold->fold = (struct tsi_work_fold){.reduction = (uint8_t)reduction,
                                            .dtype = element,
                                            .finish = finish,
                                            .axes = axes,
                                            .folded = folded,
                                            .ddof = ddof};
    }
    struct tsi_chunk_op *last = &builder->ops.items[*op];
    last->is_planes = false;
    last->dtype = (uint8_t)array->dtype;
    return tsi_grid_copy(&builder->program->arena, &array->grid, &last->array)
               ? TESS_OK
               : tsi_plan_nomem(builder);
}
