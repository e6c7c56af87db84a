// SPDX-License-Identifier: Apache-2.0
//
// A program grows by operations on arrays that it has so far. Each kind of operation is one
// function that picks its sources at random; one that does not fit what is there makes a new source
// instead.

#include "tests/sim/sim_program.h"

#include <string.h>

#include "engine/base/check.h"
#include "tests/support/program_build.h"

enum { OPS_MAX = 24, AXES_MAX = 3 };

struct builder {
    struct sim_random *random;
    struct tsi_program *program;
    const struct sim_program_shape *shape;
};

static void *
alloc(struct builder *b, size_t bytes)
{
    void *memory = tsi_arena_alloc(&b->program->arena, bytes);
    TSI_CHECK(memory != NULL);
    return memory;
}

static struct tsi_chunk_op *
add_op(struct builder *b, enum tsi_work work, const struct tsi_grid *loop, int inputs)
{
    struct tsi_chunk_op *op = &b->program->ops[b->program->op_count++];
    *op = (struct tsi_chunk_op){
        .work = (uint8_t)work,
        .dtype = TESS_F64,
        .loop = *loop,
        .array = *loop,
        .input_count = inputs,
        .inputs = inputs > 0 ? alloc(b, sizeof(struct tsi_input) * (size_t)inputs) : NULL,
        .label = "op",
        .site = "",
    };
    return op;
}

static int
pick(struct builder *b)
{
    return (int)sim_below(b->random, (uint64_t)b->program->op_count);
}

static const struct tsi_grid *
array_of(const struct builder *b, int op)
{
    return &b->program->ops[op].array;
}

// Sizes of chunks that are cut at random, empty ones among them.
static struct tsi_axis
listed_axis(struct builder *b, int64_t count)
{
    int64_t sizes[16];
    int64_t size = 0;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = sim_between(b->random, i == 0 ? 1 : 0, 5);
        size += sizes[i];
    }
    struct tsi_axis axis;
    struct tsi_error error;
    TSI_CHECK(tsi_axis_from_sizes(&b->program->arena, size, sizes, count, &axis, &error) ==
              TESS_OK);
    return axis;
}

static struct tsi_axis
cut_axis(struct builder *b, int64_t size)
{
    const int64_t step = sim_between(b->random, 1, size < 4 ? 4 : size);
    if (size > 1 && sim_chance(b->random, 200)) {
        const int64_t first = sim_between(b->random, 1, step < size ? step : size);
        return tsi_axis_shifted(size, first, step);
    }
    return tsi_axis_regular(size, step);
}

static struct tsi_axis
random_axis(struct builder *b)
{
    if (sim_chance(b->random, 30)) {
        return tsi_axis_regular(0, 1);
    }
    if (sim_chance(b->random, 150)) {
        return listed_axis(b, sim_between(b->random, 1, 6));
    }
    const int64_t count = sim_between(b->random, 1, 8);
    return tsi_axis_regular(count * sim_between(b->random, 1, 12), 8);
}

static struct tsi_grid
random_grid(struct builder *b)
{
    struct tsi_grid grid = {.ndim = (int)sim_between(b->random, 0, AXES_MAX)};
    for (int i = 0; i < grid.ndim; i++) {
        grid.axis[i] = random_axis(b);
    }
    return grid;
}

static void
add_source(struct builder *b)
{
    const struct sim_program_shape *shape = b->shape;
    if (shape->kept_count > 0 && (shape->uses_kept || sim_chance(b->random, 400))) {
        const struct sim_kept *kept =
            &shape->kept[sim_below(b->random, (uint64_t)shape->kept_count)];
        const struct tsi_chunk_op *made = &kept->program->ops[kept->op];
        struct tsi_grid grid;
        TSI_CHECK(tsi_grid_copy(&b->program->arena, &made->array, &grid));
        struct tsi_chunk_op *op = add_op(b, TSI_WORK_KEPT, &grid, 0);
        op->dtype = made->dtype;
        op->is_planes = made->is_planes;
        op->plane_reduction = made->plane_reduction;
        op->kept = (struct tsi_work_kept){.job = kept->job, .base = made->task_base};
        return;
    }
    const struct tsi_grid grid = random_grid(b);
    add_op(b, sim_chance(b->random, 250) ? TSI_WORK_HELD : TSI_WORK_TILE, &grid, 0);
}

// One array and others of the same grid, or the same array again.
static void
add_blockwise(struct builder *b)
{
    const int first = pick(b);
    const int inputs = (int)sim_between(b->random, 1, 3);
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, array_of(b, first), inputs);
    for (int i = 0; i < inputs; i++) {
        int source = (int)sim_below(b->random, (uint64_t)b->program->op_count - 1);
        if (i == 0 || !tsi_grid_equal(array_of(b, source), &op->loop)) {
            source = first;
        }
        op->inputs[i] = (struct tsi_input){(uint16_t)source, tsi_index_map_identity(&op->loop)};
    }
}

// One array with its axes turned around and others cut along one of them: y(j, i) = f(x(i, j), x(0,
// j)).
static void
add_permuted(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    struct tsi_grid loop = {.ndim = grid.ndim};
    struct tsi_index_map map = {.ndim = grid.ndim};
    for (int i = 0; i < grid.ndim; i++) {
        loop.axis[grid.ndim - 1 - i] = grid.axis[i];
        map.axis[i] = (struct tsi_map_axis){.axis = grid.ndim - 1 - i, .stride = 1, .extent = 1};
    }
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, &loop, 2);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, map};
    if (grid.ndim > 0 && grid.axis[0].size > 0) {
        map.axis[0] = (struct tsi_map_axis){.axis = -1, .stride = 0, .extent = 1};
    }
    op->inputs[1] = (struct tsi_input){(uint16_t)source, map};
}

// The same array cut at other places, shrunk and turned around where there is room.
static void
add_recut(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    struct tsi_grid loop = {.ndim = grid.ndim};
    struct tsi_index_map map = {.ndim = grid.ndim};
    for (int i = 0; i < grid.ndim; i++) {
        const int64_t size = grid.axis[i].size;
        const int64_t low = size > 2 && sim_chance(b->random, 400) ? 1 : 0;
        const int64_t stride = size - low > 4 && sim_chance(b->random, 300) ? 2 : 1;
        const int64_t kept = (size - low + stride - 1) / stride;
        const bool turned = kept > 0 && sim_chance(b->random, 200);
        loop.axis[i] = cut_axis(b, kept);
        map.axis[i] = (struct tsi_map_axis){
            .axis = i,
            .offset = turned ? low + (kept - 1) * stride : low,
            .stride = turned ? -stride : stride,
            .extent = 1,
        };
    }
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, &loop, 1);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, map};
}

static void
add_overlap(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    struct tsi_index_map map = tsi_index_map_identity(&grid);
    for (int i = 0; i < grid.ndim; i++) {
        const int64_t halo = sim_between(b->random, 0, 3);
        map.axis[i].offset = -halo;
        map.axis[i].extent = 2 * halo + 1;
    }
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, &grid, 1);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, map};
}

static struct tsi_axis
one_each(int64_t count)
{
    return tsi_axis_regular(count, 1);
}

// Tree of merges over axis `axis` of the last operation, which has one element a chunk there.
static void
add_tree(struct builder *b, int axis, int64_t fan_in)
{
    while (b->program->op_count < OPS_MAX) {
        const int source = b->program->op_count - 1;
        const struct tsi_grid grid = *array_of(b, source);
        if (grid.axis[axis].count == 1) {
            return;
        }
        struct tsi_grid loop = grid;
        loop.axis[axis] = one_each((grid.axis[axis].count + fan_in - 1) / fan_in);
        struct tsi_chunk_op *op = add_op(b, TSI_WORK_FOLD, &loop, 1);
        op->inputs[0] = (struct tsi_input){(uint16_t)source, tsi_index_map_identity(&loop)};
        op->inputs[0].map.axis[axis].stride = fan_in;
        op->inputs[0].map.axis[axis].extent = fan_in;
        op->fold.axes = UINT32_C(1) << axis;
    }
}

static void
add_reduction(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    if (grid.ndim == 0 || tsi_grid_element_count(&grid) == 0) {
        add_source(b);
        return;
    }
    const int axis = (int)sim_below(b->random, (uint64_t)grid.ndim);
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, &grid, 1);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, tsi_index_map_identity(&grid)};
    op->tile.sink = TSI_SINK_REDUCE;
    op->array.axis[axis] = one_each(grid.axis[axis].count);
    add_tree(b, axis, sim_between(b->random, 2, 5));
}

// The product of two matrices, cut alike along k, and the tree over k.
static void
add_product(struct builder *b)
{
    const struct tsi_axis i = cut_axis(b, sim_between(b->random, 1, 12));
    const struct tsi_axis j = cut_axis(b, sim_between(b->random, 1, 12));
    const struct tsi_axis k = cut_axis(b, sim_between(b->random, 1, 12));
    const int left = b->program->op_count;
    add_op(b, TSI_WORK_TILE, &(struct tsi_grid){.ndim = 2, .axis = {i, k}}, 0);
    const int right = b->program->op_count;
    add_op(b, TSI_WORK_TILE, &(struct tsi_grid){.ndim = 2, .axis = {k, j}}, 0);
    const struct tsi_grid loop = {.ndim = 3, .axis = {i, j, k}};
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_MATMUL, &loop, 2);
    op->array.axis[2] = one_each(k.count);
    for (int side = 0; side < 2; side++) {
        struct tsi_index_map map = {.ndim = 2};
        map.axis[side] = (struct tsi_map_axis){.axis = side, .stride = 1, .extent = 1};
        map.axis[1 - side] = (struct tsi_map_axis){.axis = 2, .stride = 1, .extent = 1};
        op->inputs[side] = (struct tsi_input){(uint16_t)(side == 0 ? left : right), map};
    }
    add_tree(b, 2, 3);
}

// Any chunks of any: what a list of indices makes.
static void
add_listed(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    const int64_t sources = tsi_grid_chunk_count(&grid);
    if (tsi_grid_element_count(&grid) == 0 || sources > 64) {
        add_source(b);
        return;
    }
    const int64_t rows = sim_between(b->random, 1, 12);
    struct tsi_grid loop = {.ndim = 1, .axis = {one_each(rows)}};
    bool uses[12][64] = {{false}};
    uint32_t total = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < sources; c++) {
            int64_t start[TESS_NDIM_MAX];
            int64_t size[TESS_NDIM_MAX];
            const bool is_empty = tsi_grid_box(&grid, c, start, size) == 0;
            uses[row][c] = !is_empty && sim_chance(b->random, 200);
            total += uses[row][c];
        }
    }
    struct tsi_index_map map = {.ndim = grid.ndim, .is_explicit = true};
    uint32_t *dep_starts = alloc(b, sizeof(uint32_t) * ((size_t)rows + 1));
    uint32_t *dep_items = alloc(b, sizeof(uint32_t) * ((size_t)total + 1));
    uint32_t *user_starts = alloc(b, sizeof(uint32_t) * ((size_t)sources + 1));
    uint32_t *user_items = alloc(b, sizeof(uint32_t) * ((size_t)total + 1));
    uint32_t at = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < sources; c++) {
            if (uses[row][c]) {
                dep_items[at++] = (uint32_t)c;
            }
        }
        dep_starts[row + 1] = at;
    }
    at = 0;
    for (int64_t c = 0; c < sources; c++) {
        for (int64_t row = 0; row < rows; row++) {
            if (uses[row][c]) {
                user_items[at++] = (uint32_t)row;
            }
        }
        user_starts[c + 1] = at;
    }
    map.deps = (struct tsi_map_rows){dep_starts, dep_items};
    map.users = (struct tsi_map_rows){user_starts, user_items};
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, &loop, 1);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, map};
}

// Waits for all chunks of an array; has no bytes.
static void
add_join(struct builder *b)
{
    const int source = pick(b);
    const struct tsi_grid grid = *array_of(b, source);
    const struct tsi_grid loop = {.ndim = 0};
    struct tsi_index_map map = {.ndim = grid.ndim};
    for (int i = 0; i < grid.ndim; i++) {
        const int64_t extent = grid.axis[i].size > 1 ? grid.axis[i].size : 2;
        map.axis[i] = (struct tsi_map_axis){.axis = -1, .extent = extent};
    }
    struct tsi_chunk_op *op = add_op(b, TSI_WORK_JOIN, &loop, 1);
    op->inputs[0] = (struct tsi_input){(uint16_t)source, map};
}

static void
check_maps(const struct tsi_program *program)
{
    for (int i = 0; i < program->op_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[i];
        TSI_CHECK(tsi_grid_chunk_count(&op->loop) == tsi_grid_chunk_count(&op->array));
        for (int k = 0; k < op->input_count; k++) {
            struct tsi_error error;
            TSI_CHECK(tsi_index_map_validate(&op->inputs[k].map, &op->loop,
                                             &program->ops[op->inputs[k].op].array,
                                             &error) == TESS_OK);
        }
    }
}

static void
add_target(struct builder *b, int op, enum tsi_target_mode mode)
{
    for (int i = 0; i < b->program->target_count; i++) {
        if (b->program->targets[i].op == op) {
            return;
        }
    }
    b->program->targets[b->program->target_count++] =
        (struct tsi_target){(uint16_t)op, (uint8_t)mode};
}

// Whether a target may be of this operation. What an earlier job keeps may be asked for.
static bool
may_be_target(const struct builder *b, int op, enum tsi_target_mode mode)
{
    const uint8_t work = b->program->ops[op].work;
    return work != TSI_WORK_HELD && work != TSI_WORK_FILE && work != TSI_WORK_JOIN &&
           (work != TSI_WORK_KEPT || mode == TSI_TARGET_DELIVER);
}

static void
add_targets(struct builder *b)
{
    int last = b->program->op_count - 1;
    const enum tsi_target_mode mode = b->shape->keeps ? TSI_TARGET_KEEP : TSI_TARGET_DELIVER;
    const bool is_join = b->program->ops[last].work == TSI_WORK_JOIN;
    if (!is_join && !may_be_target(b, last, mode)) {
        struct tsi_chunk_op *op = add_op(b, TSI_WORK_TILE, array_of(b, last), 1);
        op->inputs[0] = (struct tsi_input){(uint16_t)last, tsi_index_map_identity(&op->loop)};
        last++;
    }
    add_target(b, last, is_join ? TSI_TARGET_RUN : mode);
    while (sim_chance(b->random, 300)) {
        const int op = pick(b);
        const bool keeps = b->shape->keeps && sim_chance(b->random, 500);
        const enum tsi_target_mode other = keeps ? TSI_TARGET_KEEP : TSI_TARGET_DELIVER;
        if (may_be_target(b, op, other)) {
            add_target(b, op, other);
        }
    }
}

struct tsi_program *
sim_program_random(struct sim_random *random, const struct sim_program_shape *shape)
{
    struct builder b = {.random = random, .program = tsi_program_new(), .shape = shape};
    TSI_CHECK(b.program != NULL);
    b.program->ops = alloc(&b, sizeof(struct tsi_chunk_op) * (OPS_MAX + 4));
    b.program->targets = alloc(&b, sizeof(struct tsi_target) * (OPS_MAX + 4));
    const int steps = (int)sim_between(random, 1, 8);
    add_source(&b);
    for (int i = 0; i < steps && b.program->op_count < OPS_MAX - 4; i++) {
        static void (*const add[])(struct builder *) = {
            add_source,  add_blockwise, add_blockwise, add_permuted, add_recut,
            add_overlap, add_reduction, add_reduction, add_product,  add_listed,
        };
        add[sim_below(random, sizeof add / sizeof *add)](&b);
    }
    if (!shape->keeps && sim_chance(random, 150)) {
        add_join(&b);
    }
    add_targets(&b);
    struct tsi_error error;
    TSI_CHECK(tsi_program_number(b.program, &error) == TESS_OK);
    check_maps(b.program);
    return b.program;
}

struct tsi_program *
sim_program_tiny(void)
{
    struct test_build build = test_build_start();
    const struct tsi_grid two = {.ndim = 1, .axis = {tsi_axis_regular(2000, 1000)}};
    const struct tsi_grid one = {.ndim = 1, .axis = {tsi_axis_regular(1000, 1000)}};
    const int source = test_build_normal(&build, &two);
    const uint32_t both = 2;
    const uint32_t chunks[] = {0, 1};
    const struct tsi_index_map maps[] = {
        test_build_rows(&build, &one, &two, &both, chunks),
        tsi_index_map_identity(&one),
    };
    const int sum = test_build_op(&build, TSI_WORK_TILE, TESS_F64, &one, &one);
    test_build_input(&build, sum, source, &maps[0]);
    const int last = test_build_op(&build, TSI_WORK_TILE, TESS_F64, &one, &one);
    test_build_input(&build, last, sum, &maps[1]);
    test_build_target(&build, last, TSI_TARGET_DELIVER);
    struct tsi_error error;
    TSI_CHECK(tsi_program_number(build.program, &error) == TESS_OK);
    return build.program;
}

struct tsi_program *
sim_program_big(int64_t tasks)
{
    struct sim_random random = {1};
    struct sim_program_shape shape = {0};
    struct builder b = {.random = &random, .program = tsi_program_new(), .shape = &shape};
    TSI_CHECK(b.program != NULL);
    b.program->ops = alloc(&b, sizeof(struct tsi_chunk_op) * (OPS_MAX + 4));
    b.program->targets = alloc(&b, sizeof(struct tsi_target));
    const int64_t chunks = tasks / 3 > 0 ? tasks / 3 : 1;
    struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(chunks * 1000, 1000)}};
    add_op(&b, TSI_WORK_TILE, &grid, 0);
    for (int i = 0; i < 2; i++) {
        struct tsi_chunk_op *op = add_op(&b, TSI_WORK_TILE, &grid, 1);
        op->inputs[0] = (struct tsi_input){(uint16_t)i, tsi_index_map_identity(&grid)};
        op->array.axis[0] = i == 1 ? one_each(chunks) : op->array.axis[0];
    }
    add_tree(&b, 0, 16);
    add_target(&b, b.program->op_count - 1, TSI_TARGET_DELIVER);
    struct tsi_error error;
    TSI_CHECK(tsi_program_number(b.program, &error) == TESS_OK);
    return b.program;
}
