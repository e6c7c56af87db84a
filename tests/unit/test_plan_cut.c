// SPDX-License-Identifier: Apache-2.0
//
// How arrays are cut for the tasks that write them: long runs of the file, in parts no larger than
// before, where there is room for what one task reads.

#include "engine/plan/plan.h"

#include "tests/support/graph.h"

#define MIB ((uint64_t)1 << 20)

static struct tess_session session;
static struct tsi_plan plan;

static void
set_up(void)
{
    cr_assert(tsi_session_init(&session, NULL));
    plan = (struct tsi_plan){0};
}

static void
tear_down(void)
{
    tsi_plan_fini(&plan);
    tsi_session_fini(&session);
}

TestSuite(plan_cut, .init = set_up, .fini = tear_down);

// The grid by which `x` is written if so many bytes may be gathered.
static const struct tsi_grid *
cut(tess_array *x, uint64_t gather_bytes)
{
    const struct tsi_plan_target target = {
        .array = x, .mode = TSI_TARGET_RUN, .path = "/a/x.npy", .temporary = "/a/x.part"};
    struct tsi_error error = {.status = TESS_OK};
    tsi_plan_fini(&plan);
    session.gather_bytes = gather_bytes;
    cr_assert_eq(tsi_plan_make(&target, 1, &plan, &error), TESS_OK, "%s", error.text);
    for (int i = 0; i < plan.program->op_count; i++) {
        const struct tsi_chunk_op *op = &plan.program->ops[i];
        if (op->work == TSI_WORK_TILE && op->tile.sink == TSI_SINK_WRITE) {
            cr_assert(tsi_grid_equal(&op->loop, &op->array));
            return &op->loop;
        }
    }
    cr_assert_fail("nothing writes");
    return NULL;
}

static void
expect_cut(const struct tsi_grid *grid, const int64_t *sizes)
{
    for (int i = 0; i < grid->ndim; i++) {
        cr_assert_eq(tsi_axis_chunk_size_max(&grid->axis[i]), sizes[i],
                     "axis %d: %" PRId64 ", not %" PRId64, i,
                     tsi_axis_chunk_size_max(&grid->axis[i]), sizes[i]);
    }
}

#define EXPECT(grid, ...) expect_cut(grid, (const int64_t[]){__VA_ARGS__})

static tess_array *
kept(tess_array *x)
{
    x->kept = true;
    x->kept_job = 7;
    return x;
}

static tess_array *
normal(tess_shape shape, tess_chunks chunks)
{
    return tess_random_normal(&session, shape, chunks, 0, 1);
}

Test(plan_cut, rows_of_chunks)
{
    tess_array *x = normal(TESS_SHAPE(8000, 8000), TESS_CHUNKS(800, 800));
    EXPECT(cut(x, 64 * MIB), 80, 8000);
    // What is made in place needs no room but that for the part.
    EXPECT(cut(x, 0), 80, 8000);
    // Ten chunks have 51.2 million bytes; with room for three, three are one.
    EXPECT(cut(kept(x), 64 * MIB), 80, 8000);
    EXPECT(cut(x, 16 * MIB), 200, 2400);
    EXPECT(cut(x, 8 * MIB), 800, 800);
    EXPECT(cut(x, 0), 800, 800);
}

// What is read where it is takes no memory; a worker would have to fetch it.
Test(plan_cut, arrays_in_memory)
{
    static const double data[1] = {0};
    tess_array *x = tess_from_memory(&session, data, TESS_F64, TESS_SHAPE(8000, 8000), NULL,
                                     TESS_CHUNKS(800, 800));
    EXPECT(cut(x, 1 * MIB), 800, 800);
    EXPECT(cut(x, 64 * MIB), 80, 8000);
    session.is_local = true;
    EXPECT(cut(x, 1 * MIB), 80, 8000);
}

// A small array that every task reads comes out of the room; of one that is cut otherwise and is
// large nothing is known.
Test(plan_cut, other_inputs)
{
    tess_array *x = kept(normal(TESS_SHAPE(8000, 8000), TESS_CHUNKS(800, 800)));
    tess_array *row = kept(normal(TESS_SHAPE(8000), TESS_CHUNKS(800)));
    tess_array *turned = kept(normal(TESS_SHAPE(8000, 8000), TESS_CHUNKS(80, 8000)));
    EXPECT(cut(tess_add(x, row), 64 * MIB), 80, 8000);
    EXPECT(cut(tess_add(x, row), 5 * 5120000), 200, 3200);
    EXPECT(cut(tess_add(x, turned), 64 * MIB), 800, 800);
}

Test(plan_cut, runs_that_are_long_enough)
{
    EXPECT(cut(normal(TESS_SHAPE(100, 100000), TESS_CHUNKS(10, 50000)), 64 * MIB), 10, 50000);
    EXPECT(cut(normal(TESS_SHAPE(8000, 8000), TESS_CHUNKS(80, 8000)), 64 * MIB), 80, 8000);
    EXPECT(cut(normal(TESS_SHAPE(10, 10), TESS_CHUNKS(10, 10)), 64 * MIB), 10, 10);
    // One chunk cannot be wider than the array.
    EXPECT(cut(normal(TESS_SHAPE(500, 2), TESS_CHUNKS(500, 1)), 64 * MIB), 500, 2);
}

Test(plan_cut, other_ranks)
{
    EXPECT(cut(normal(TESS_SHAPE(1000000), TESS_CHUNKS(1000)), 64 * MIB), 33000);
    EXPECT(cut(normal(TESS_SHAPE(100, 800, 800), TESS_CHUNKS(10, 100, 100)), 64 * MIB), 1, 100,
           800);
    EXPECT(cut(normal(TESS_SHAPE(40, 40, 40, 40), TESS_CHUNKS(4, 4, 4, 4)), 64 * MIB), 2, 24, 40,
           40);
    tess_array *scalar = normal((tess_shape){0}, TESS_CHUNKS_NONE);
    cr_assert_eq(cut(scalar, 64 * MIB)->ndim, 0);
    EXPECT(cut(normal(TESS_SHAPE(5, 0, 3), TESS_CHUNKS(2, 1, 1)), 64 * MIB), 5, 0, 3);
}

static uint64_t
run_bytes(const struct tsi_grid *grid)
{
    uint64_t run = sizeof(double);
    for (int i = grid->ndim - 1; i >= 0; i--) {
        run *= (uint64_t)tsi_axis_chunk_size_max(&grid->axis[i]);
        if (grid->axis[i].count > 1) {
            break;
        }
    }
    return run;
}

static uint64_t
chunk_bytes(const struct tsi_grid *grid)
{
    return (uint64_t)tsi_grid_chunk_elements_max(grid) * sizeof(double);
}

static uint32_t state = 1;

static int64_t
draw(int64_t count)
{
    state = state * 1664525 + 1013904223;
    return (int64_t)(state >> 8) % count;
}

// Irregular chunks as well: parts do not grow, runs do not shrink, and nothing is left out.
Test(plan_cut, any_grid)
{
    for (int round = 0; round < 2000; round++) {
        tess_shape shape = {.ndim = 1 + (int)draw(4)};
        tess_chunks chunks = TESS_CHUNKS_AUTO;
        int64_t list[3] = {0};
        for (int i = 0; i < shape.ndim; i++) {
            shape.size[i] = 1 + draw(60);
        }
        chunks = TESS_CHUNKS(1 + draw(20), 1 + draw(20), 1 + draw(20), 1 + draw(20));
        chunks.ndim = shape.ndim;
        if (draw(3) == 0) {
            const int axis = (int)draw(shape.ndim);
            list[0] = draw(shape.size[axis] + 1);
            list[1] = draw(shape.size[axis] - list[0] + 1);
            list[2] = shape.size[axis] - list[0] - list[1];
            chunks = tess_chunks_list(chunks, axis, list, 3);
        }
        tess_array *x = normal(shape, chunks);
        cr_assert_eq(tess_array_status(x), TESS_OK, "%s", tess_array_error(x));
        x->kept = draw(2) == 0;
        const uint64_t room = (uint64_t)draw(100000);
        const struct tsi_grid *grid = cut(x, room);
        const uint64_t own = chunk_bytes(&x->grid);
        REQUIRE(chunk_bytes(grid) <= (own > room ? own : room));
        REQUIRE(run_bytes(grid) >= run_bytes(&x->grid));
        for (int i = 0; i < shape.ndim; i++) {
            int64_t sum = 0;
            for (int64_t k = 0; k < grid->axis[i].count; k++) {
                REQUIRE(tsi_axis_chunk_size(&grid->axis[i], k) > 0);
                sum += tsi_axis_chunk_size(&grid->axis[i], k);
            }
            REQUIRE(sum == shape.size[i]);
        }
    }
}
