// SPDX-License-Identifier: Apache-2.0
//
// What the planner's files share: the program under construction, and what is known of each node.
//
// Planning has three steps. plan_order.c lists the nodes that the targets need, operands first,
// and in place of a node the simpler one that plan_simplify.c knows for it.
// plan_choose.c decides which of them become arrays of their own; all others are computed inside
// the tile program of whoever needs them. plan.c then emits operations for the chosen nodes in
// order: regions (plan_region.c), reductions (plan_reduce.c), matrix products (plan_matmul.c),
// files (plan_write.c, plan_cut.c).

#ifndef TSI_PLAN_BUILD_H
#define TSI_PLAN_BUILD_H

#include "engine/base/map.h"
#include "engine/base/vec.h"
#include "engine/plan/plan.h"

// One node of the order.
struct tsi_plan_node {
    struct tess_array *array; // in the program's arena if it is a simpler one
    int32_t operand[3];       // places of its operands in the order
    bool is_target;           // delivered or kept
    bool is_written;          // to a file, by a tile program of its own
    bool chosen;              // an array of its own
    int32_t op;               // its operation in the program once there is one, else −1
    uint32_t weight;          // instructions if it is computed in place
    uint32_t flops;           // cost of one element if it is computed in place
};

struct tsi_plan_builder {
    struct tsi_program *program;
    TSI_VEC(struct tsi_plan_node) nodes; // operands before users
    struct tsi_map places;               // address of an array → its place in `nodes`
    TSI_VEC(struct tsi_chunk_op) ops;    // copied into the program at the end
    TSI_VEC(struct tess_array *) held;
    struct tsi_error *error;
};

tess_status tsi_plan_nomem(struct tsi_plan_builder *builder);
struct tsi_plan_node *tsi_plan_node(struct tsi_plan_builder *builder,
                                    const struct tess_array *array);

// Whether `array` is read where it is: memory, file, or kept chunks.
bool tsi_plan_is_leaf(const struct tess_array *array);

// plan_simplify.c: whether another node has the elements of `array` but for rounding, and costs
// less; it is in `*simpler` then.
bool tsi_plan_simplify(const struct tess_array *array, struct tess_array *simpler);

// plan_order.c: fills `nodes` with what `targets` need, simplified.
tess_status tsi_plan_order(struct tsi_plan_builder *builder, const struct tsi_plan_target *targets,
                           int count);

// plan_choose.c: fills `chosen`, `weight` and `flops`.
tess_status tsi_plan_choose(struct tsi_plan_builder *builder);

// plan.c: a fresh operation in the list, its number in `*op`; dtype, grids and names filled.
tess_status tsi_plan_add_op(struct tsi_plan_builder *builder, enum tsi_work work,
                            const struct tess_array *origin, const struct tsi_grid *loop,
                            const struct tsi_grid *array, int *op);

// A copy of `inputs` in the program's arena, given to operation `op`.
tess_status tsi_plan_set_inputs(struct tsi_plan_builder *builder, int op,
                                const struct tsi_input *inputs, int count);

// plan_region.c: a tile program that computes `array` over `loop` (the grid of a shape equal to
// that of `array`), as operation `*op`. The sink is STORE; the caller changes it as it needs.
tess_status tsi_plan_region(struct tsi_plan_builder *builder, const struct tess_array *array,
                            const struct tsi_grid *loop, int *op);

// The map by which a loop over the elements of `array` reads its base in `*base`: the array itself
// if it is chosen, else what it is a view of. Loop axis of axis i of `array` is axes[i].
struct tsi_index_map tsi_plan_view_map(struct tsi_plan_builder *builder, struct tess_array *array,
                                       const int *axes, struct tess_array **base);

// plan_reduce.c, plan_matmul.c: the operations of a chosen node; the last one holds its array.
tess_status tsi_plan_reduce(struct tsi_plan_builder *builder, const struct tess_array *array,
                            int *op);
tess_status tsi_plan_matmul(struct tsi_plan_builder *builder, const struct tess_array *array,
                            int *op);

// plan_reduce.c: folds the accumulators of operation `partial` over the loop axes in `axes` to one,
// and makes them the elements of `array`.
tess_status tsi_plan_fold(struct tsi_plan_builder *builder, int partial, uint32_t axes,
                          double folded, double ddof, const struct tess_array *array, int *op);

// plan_cut.c: `axis` cut at every `every`-th of its boundaries.
tess_status tsi_plan_coarsen(struct tsi_plan_builder *builder, const struct tsi_axis *axis,
                             int64_t every, struct tsi_axis *coarse);

// plan_cut.c: the chunks of `own` for tasks that write them, without empty ones; an array without
// elements is one chunk.
tess_status tsi_plan_cut(struct tsi_plan_builder *builder, const struct tsi_grid *own,
                         struct tsi_grid *grid);

// What one task that writes may take.
struct tsi_plan_room {
    uint64_t chunks; // of the array's own that it reads
    uint64_t bytes;  // of the file, where that is more than one chunk
};

// plan_cut.c: the same cut so that each writes longer runs of the file, if there is room for that.
// `wide` may point into `own`.
tess_status tsi_plan_widen(struct tsi_plan_builder *builder, const struct tsi_grid *own,
                           size_t element_bytes, const struct tsi_plan_room *room,
                           struct tsi_grid *wide);

// plan_write.c: writes `array` to the file of `target`; `*op` is the operation that commits it.
tess_status tsi_plan_write(struct tsi_plan_builder *builder, const struct tsi_plan_target *target,
                           int *op);

#endif
