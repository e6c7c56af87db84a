// SPDX-License-Identifier: Apache-2.0
//
// Values are small whole numbers or quarters, so that sums and products of a few are exact in every
// type and the order of additions does not matter. Random choices come from one seed; a failure
// names it.

#include "tests/support/exec_case.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/check.h"
#include "engine/base/dtype.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"

void
exec_case_init(struct exec_case *c, uint64_t seed)
{
    *c = (struct exec_case){.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1};
    c->program = tsi_program_new();
    TSI_CHECK(c->program != NULL);
    c->program->ops =
        tsi_arena_alloc(&c->program->arena, EXEC_CASE_OPS_MAX * sizeof(struct tsi_chunk_op));
    TSI_CHECK(c->program->ops != NULL);
}

void
exec_case_fini(struct exec_case *c)
{
    serial_free(c->serial);
    for (int i = 0; i < EXEC_CASE_OPS_MAX; i++) {
        tsi_free(c->values[i]);
        void *data = NULL;
        memcpy(&data, &c->held[i].data, sizeof data);
        tsi_free(data);
    }
    tsi_program_free(c->program);
}

int64_t
exec_case_random(struct exec_case *c, int64_t bound)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (int64_t)((c->random >> 11) % (uint64_t)bound);
}

struct tsi_axis
exec_case_axis(struct exec_case *c, int64_t size)
{
    int64_t sizes[8];
    struct tsi_axis axis;
    int64_t left = size;
    const int64_t kind = exec_case_random(c, 4);
    if (kind == 0) {
        return tsi_axis_regular(size, 0);
    }
    if (kind == 1 || size == 0) {
        return tsi_axis_regular(size, 1 + size / (1 + exec_case_random(c, 6)));
    }
    if (kind == 2) {
        const int64_t step = 1 + exec_case_random(c, size);
        return tsi_axis_shifted(size, 1 + exec_case_random(c, step), step);
    }
    const int64_t count = 2 + exec_case_random(c, 5);
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = i == count - 1 ? left : exec_case_random(c, left + 1);
        left -= sizes[i];
    }
    TSI_CHECK(tsi_axis_from_sizes(&c->program->arena, size, sizes, count, &axis, NULL) == TESS_OK);
    return axis;
}

int
exec_case_op(struct exec_case *c, enum tsi_work work, tess_dtype dtype, const struct tsi_grid *loop,
             const struct tsi_grid *array)
{
    const int index = c->program->op_count++;
    TSI_CHECK(index < EXEC_CASE_OPS_MAX);
    struct tsi_chunk_op *const op = &c->program->ops[index];
    op->work = (uint8_t)work;
    op->dtype = (uint8_t)dtype;
    op->loop = *loop;
    op->array = array == NULL ? *loop : *array;
    op->label = "test";
    op->site = "main.c:7";
    op->inputs = tsi_arena_alloc(&c->program->arena, 4 * sizeof *op->inputs);
    op->tile.instructions = tsi_arena_alloc(&c->program->arena, 16 * sizeof *op->tile.instructions);
    op->tile.constants = tsi_arena_alloc(&c->program->arena, 4 * sizeof *op->tile.constants);
    op->tile.sources = tsi_arena_alloc(&c->program->arena, 4 * sizeof *op->tile.sources);
    TSI_CHECK(op->inputs != NULL && op->tile.instructions != NULL && op->tile.constants != NULL &&
              op->tile.sources != NULL);
    return index;
}

void
exec_case_input(struct exec_case *c, int op, int from, const struct tsi_index_map *map)
{
    struct tsi_chunk_op *const to = &c->program->ops[op];
    TSI_CHECK(to->input_count < 4);
    to->inputs[to->input_count++] = (struct tsi_input){(uint16_t)from, *map};
}

void
exec_case_step(struct exec_case *c, int op, struct tsi_tile_instruction instruction)
{
    struct tsi_tile *const tile = &c->program->ops[op].tile;
    TSI_CHECK(tile->instruction_count < 16);
    tile->instructions[tile->instruction_count++] = instruction;
    if (instruction.out >= tile->register_count) {
        tile->register_count = instruction.out + 1;
    }
}

double
exec_case_read(tess_dtype dtype, const void *data, int64_t index)
{
    struct tsi_scalar scalar = {0};
    const size_t bytes = tess_dtype_bytes(dtype);
    memcpy(&scalar.bits, (const unsigned char *)data + (size_t)index * bytes, bytes);
    return tsi_scalar_to_f64(dtype, scalar);
}

void
exec_case_write(tess_dtype dtype, void *data, int64_t index, double value)
{
    const struct tsi_scalar scalar = tsi_scalar_from_f64(dtype, value);
    const size_t bytes = tess_dtype_bytes(dtype);
    memcpy((unsigned char *)data + (size_t)index * bytes, &scalar.bits, bytes);
}

static double
random_value(struct exec_case *c, tess_dtype dtype, enum exec_case_fill fill)
{
    if (fill == EXEC_CASE_UNIT) {
        const enum tsi_dtype_kind kind = tsi_dtype_kind(dtype);
        const bool is_signed = kind == TSI_KIND_SIGNED || kind == TSI_KIND_FLOAT;
        return is_signed && exec_case_random(c, 2) == 0 ? -1 : 1;
    }
    switch (tsi_dtype_kind(dtype)) {
    case TSI_KIND_BOOL:
        return (double)exec_case_random(c, 2);
    case TSI_KIND_SIGNED:
        return (double)exec_case_random(c, 41) - 20;
    case TSI_KIND_UNSIGNED:
        return (double)exec_case_random(c, 41);
    default:
        return (double)exec_case_random(c, 161) / 4 - 20;
    }
}

int
exec_case_held(struct exec_case *c, tess_dtype dtype, const struct tsi_grid *grid,
               enum exec_case_fill fill)
{
    const int index = exec_case_op(c, TSI_WORK_HELD, dtype, grid, NULL);
    const int64_t count = tsi_grid_element_count(grid);
    double *const values = tsi_alloc((size_t)count * sizeof *values + 1);
    unsigned char *const data = tsi_alloc((size_t)count * tess_dtype_bytes(dtype) + 1);
    TSI_CHECK(values != NULL && data != NULL);
    for (int64_t i = 0; i < count; i++) {
        values[i] = random_value(c, dtype, fill);
        exec_case_write(dtype, data, i, values[i]);
    }
    c->values[index] = values;
    c->program->ops[index].held.array = (uint32_t)c->held_count;
    c->held[c->held_count++] = (struct serial_held){data, exec_case_random(c, 2) == 0};
    return index;
}

// One source axis over loop axis `axis`, −1 for one that the loop does not have.
static void
random_rule(struct exec_case *c, const struct tsi_grid *loop, int axis, struct tsi_map_axis *rule,
            struct tsi_axis *source)
{
    const int64_t count = axis < 0 ? 1 : loop->axis[axis].size;
    const int64_t strides[] = {1, 1, 1, -1, 2, -2, 3};
    *rule = (struct tsi_map_axis){axis, 0, 1, 1};
    if (axis >= 0 && exec_case_random(c, 2) == 0) {
        *source = loop->axis[axis];
        return;
    }
    const int64_t stride = strides[exec_case_random(c, 7)];
    const int64_t step = stride < 0 ? -stride : stride;
    const int64_t reach = count == 0 ? 0 : step * (count - 1) + 1;
    const int64_t before = exec_case_random(c, 3);
    rule->stride = stride;
    rule->offset = stride < 0 && reach > 0 ? before + reach - 1 : before;
    *source = exec_case_axis(c, before + reach + exec_case_random(c, 3));
}

void
exec_case_map(struct exec_case *c, const struct tsi_grid *loop, struct tsi_index_map *map,
              struct tsi_grid *source)
{
    int axes[TESS_NDIM_MAX];
    int count = 0;
    const bool is_in_order = exec_case_random(c, 2) == 0;
    for (int i = 0; i < loop->ndim; i++) {
        if (exec_case_random(c, 5) == 0) {
            continue;
        }
        const int at = is_in_order ? count : (int)exec_case_random(c, count + 1);
        for (int k = count; k > at; k--) {
            axes[k] = axes[k - 1];
        }
        axes[at] = i;
        count++;
    }
    *map = (struct tsi_index_map){0};
    *source = (struct tsi_grid){0};
    for (int i = 0; i <= count; i++) {
        if (exec_case_random(c, 6) == 0) {
            random_rule(c, loop, -1, &map->axis[map->ndim], &source->axis[map->ndim]);
            map->ndim++;
        }
        if (i < count) {
            random_rule(c, loop, axes[i], &map->axis[map->ndim], &source->axis[map->ndim]);
            map->ndim++;
        }
    }
    source->ndim = map->ndim;
}

void
exec_case_run(struct exec_case *c)
{
    struct tsi_error error = {0};
    struct tsi_target target = {(uint16_t)(c->program->op_count - 1), TSI_TARGET_RUN};
    c->program->targets = &target;
    c->program->target_count = 1;
    tess_status status = tsi_program_number(c->program, &error);
    if (status == TESS_OK) {
        status = tsi_program_validate(c->program, &error);
    }
    if (status == TESS_OK) {
        c->serial = serial_new(c->program, c->held);
        status = c->serial == NULL ? TESS_ENOMEM : serial_run(c->serial, &error);
    }
    if (status != TESS_OK) {
        (void)fprintf(stderr, "%s: %s\n%s\n", tess_status_name(status), error.text,
                      exec_case_text(c));
    }
    TSI_CHECK(status == TESS_OK);
    c->program->targets = NULL;
    c->program->target_count = 0;
}

double *
exec_case_result(struct exec_case *c, int op)
{
    const struct tsi_chunk_op *const from = &c->program->ops[op];
    const int64_t count = tsi_grid_element_count(&from->array);
    void *const data = serial_gather(c->serial, op);
    double *const values = tsi_alloc((size_t)count * sizeof *values + 1);
    TSI_CHECK(data != NULL && values != NULL);
    for (int64_t i = 0; i < count; i++) {
        values[i] = exec_case_read((tess_dtype)from->dtype, data, i);
    }
    tsi_free(data);
    return values;
}

double
exec_case_value(const struct exec_case *c, int from, const struct tsi_index_map *map,
                const int64_t *index)
{
    const struct tsi_grid *const grid = &c->program->ops[from].array;
    int64_t at = 0;
    for (int i = 0; i < grid->ndim; i++) {
        const struct tsi_map_axis *const rule = &map->axis[i];
        const int64_t place =
            rule->offset + (rule->axis < 0 ? 0 : rule->stride * index[rule->axis]);
        TSI_CHECK(place >= 0 && place < grid->axis[i].size);
        at = at * grid->axis[i].size + place;
    }
    return c->values[from][at];
}

bool
exec_case_next(int ndim, const int64_t *size, int64_t *index)
{
    for (int i = ndim - 1; i >= 0; i--) {
        if (++index[i] < size[i]) {
            return true;
        }
        index[i] = 0;
    }
    return false;
}

static void
add_grid(struct tsi_text *text, const struct tsi_grid *grid)
{
    for (int i = 0; i < grid->ndim; i++) {
        const struct tsi_axis *const axis = &grid->axis[i];
        tsi_text_add(text, " %lld/", (long long)axis->size);
        for (int64_t k = 0; k < axis->count && k < 8; k++) {
            tsi_text_add(text, "%s%lld", k == 0 ? "" : "+",
                         (long long)tsi_axis_chunk_size(axis, k));
        }
    }
}

const char *
exec_case_text(const struct exec_case *c)
{
    static char out[4096];
    struct tsi_text text = {0};
    for (int i = 0; i < c->program->op_count; i++) {
        const struct tsi_chunk_op *const op = &c->program->ops[i];
        tsi_text_add(&text, "op %d, work %d, %s, loop", i, op->work,
                     tess_dtype_name((tess_dtype)op->dtype));
        add_grid(&text, &op->loop);
        for (int k = 0; k < op->input_count; k++) {
            const struct tsi_index_map *const map = &op->inputs[k].map;
            tsi_text_add(&text, "\n   input %d:", op->inputs[k].op);
            for (int a = 0; a < map->ndim; a++) {
                tsi_text_add(&text, " %lld+%lld·i%d", (long long)map->axis[a].offset,
                             (long long)map->axis[a].stride, map->axis[a].axis);
            }
        }
        tsi_text_add(&text, "\n");
    }
    (void)snprintf(out, sizeof out, "%s", tsi_text_chars(&text));
    tsi_text_fini(&text);
    return out;
}
