// SPDX-License-Identifier: Apache-2.0
//
// Tasks that only pass a chunk on are not run: what is found for them is what running them gives.

#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/buf.h"
#include "tests/support/exec_case.h"

// The chunk of `source` that chunk `chunk` of `op` reads, if it is one, as a worker holds it.
static struct tsi_buf *
find_source(const struct exec_case *c, int op, int64_t chunk, int from)
{
    const struct tsi_chunk_op *const to = &c->program->ops[op];
    const struct tsi_chunk_op *const source = &c->program->ops[from];
    struct tsi_chunk_set set =
        tsi_index_map_deps(&to->inputs[0].map, &to->loop, &source->array, chunk);
    int64_t found = 0;
    int64_t other = 0;
    if (!tsi_chunk_set_next(&set, &found) || tsi_chunk_set_next(&set, &other)) {
        return NULL;
    }
    struct tsi_buf *buf = tsi_buf_new(tsi_chunk_op_bytes(source, found));
    cr_assert(buf != NULL);
    memcpy(buf->data, serial_chunk(c->serial, source->task_base + (uint32_t)found), buf->bytes);
    return buf;
}

// An operation that loads what an operation with the values of a client's array stored.
static int
make_load(struct exec_case *c, const struct tsi_grid *loop, const struct tsi_index_map *map,
          const struct tsi_grid *grid, int *from)
{
    const struct tsi_index_map same = tsi_index_map_identity(grid);
    const int held = exec_case_held(c, TESS_F32, grid, EXEC_CASE_SMALL);
    *from = exec_case_op(c, TSI_WORK_TILE, TESS_F32, grid, NULL);
    exec_case_input(c, *from, held, &same);
    exec_case_step(c, *from, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F32, 0, 0, {0}, 0});
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F32, loop, NULL);
    exec_case_input(c, op, *from, map);
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, TESS_F32, 0, 0, {0}, 0});
    return op;
}

// How many tasks of `op` need not run; of those the chunk is the one that running gives.
static int64_t
count_made(struct exec_case *c, int op, int from)
{
    const struct tsi_chunk_op *const to = &c->program->ops[op];
    int64_t made = 0;
    for (int64_t chunk = 0; chunk < tsi_grid_chunk_count(&to->loop); chunk++) {
        struct tsi_buf *buf = find_source(c, op, chunk, from);
        if (buf == NULL) {
            continue;
        }
        struct tsi_exec_chunk part = {.data = buf->data, .own = buf};
        const struct tsi_exec_task task = {
            .program = c->program, .op = op, .chunk = chunk, .chunks = &part, .chunk_count = 1};
        if (tsi_exec_find_made(&task) != NULL) {
            cr_assert(tsi_exec_find_made(&task) == buf);
            cr_assert(memcmp(buf->data, serial_chunk(c->serial, to->task_base + (uint32_t)chunk),
                             buf->bytes) == 0,
                      "chunk %lld: %s", (long long)chunk, exec_case_text(c));
            made++;
        }
        part.own = NULL;
        cr_assert(tsi_exec_find_made(&task) == NULL, "memory of others is handed on");
        tsi_buf_unref(buf);
    }
    return made;
}

Test(exec_made, a_chunk_that_is_passed_on_is_not_made_again)
{
    struct exec_case c;
    struct tsi_index_map map;
    int from;
    const struct tsi_grid grid = {.ndim = 2,
                                  .axis = {tsi_axis_regular(7, 3), tsi_axis_regular(9, 4)}};
    exec_case_init(&c, 1);
    map = tsi_index_map_identity(&grid);
    const int op = make_load(&c, &grid, &map, &grid, &from);
    exec_case_run(&c);
    cr_assert(count_made(&c, op, from) == 9);
    exec_case_fini(&c);
}

Test(exec_made, a_part_of_a_chunk_is_made)
{
    struct exec_case c;
    struct tsi_index_map map;
    int from;
    const struct tsi_grid loop = {.ndim = 1, .axis = {tsi_axis_regular(8, 4)}};
    const struct tsi_grid grid = {.ndim = 1, .axis = {tsi_axis_regular(8, 8)}};
    exec_case_init(&c, 1);
    map = tsi_index_map_identity(&loop);
    const int op = make_load(&c, &loop, &map, &grid, &from);
    exec_case_run(&c);
    cr_assert(count_made(&c, op, from) == 0);
    exec_case_fini(&c);
}

Test(exec_made, what_is_found_is_what_running_gives)
{
    int64_t made = 0;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct exec_case c;
        struct tsi_grid loop = {.ndim = 0};
        struct tsi_grid grid;
        struct tsi_index_map map;
        int from;
        exec_case_init(&c, seed);
        loop.ndim = (int)exec_case_random(&c, 4);
        for (int i = 0; i < loop.ndim; i++) {
            loop.axis[i] = exec_case_axis(&c, 1 + exec_case_random(&c, 6));
        }
        exec_case_map(&c, &loop, &map, &grid);
        const int op = make_load(&c, &loop, &map, &grid, &from);
        exec_case_run(&c);
        made += count_made(&c, op, from);
        exec_case_fini(&c);
    }
    cr_assert(made > 50, "%lld tasks of random programs pass a chunk on", (long long)made);
}
