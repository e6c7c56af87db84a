// SPDX-License-Identifier: Apache-2.0
//
// Mirror images that are run at once, and chunks of the diagonal, against the same tasks of a
// program that reads an equal array in the second place: there nobody knows that they are mirror
// images, and each chunk is swept from first to last. The values are such that sums round, so equal
// bits mean that each accumulator got its elements in the same order.

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/program/mirror.h"
#include "tests/support/exec_case.h"

struct mirror_case {
    uint64_t seed;
    enum tsi_reduction reduction;
    tess_dtype dtype;
    uint32_t axes;
    int low; // the axes that are swapped
    int high;
    bool is_copied; // chunks are in C order, not windows of one array
    bool is_recut;  // the source is cut in another way than the loop
};

static int
add_values(struct exec_case *c, const struct mirror_case *m, const struct tsi_grid *source)
{
    const int op = exec_case_held(c, m->dtype, source, EXEC_CASE_SMALL);
    void *data = NULL;
    memcpy(&data, &c->held[c->held_count - 1].data, sizeof data);
    for (int64_t i = 0; i < tsi_grid_element_count(source); i++) {
        const double value = (double)((i * 7919 + 13) % 1009) / 7.0 - 70.0;
        exec_case_write(m->dtype, data, i, value);
    }
    c->held[c->held_count - 1].is_copied = m->is_copied;
    return op;
}

// x − x.T or, of what has no difference, the greater one; folded over the axes to accumulators.
static int
add_fold(struct exec_case *c, const struct mirror_case *m, const struct tsi_grid *loop,
         const int from[2])
{
    struct tsi_index_map map = tsi_index_map_identity(loop);
    struct tsi_grid partial = *loop;
    for (int i = 0; i < loop->ndim; i++) {
        if ((m->axes >> i & 1) != 0) {
            partial.axis[i] = tsi_axis_regular(loop->axis[i].count, 1);
        }
    }
    const int op = exec_case_op(c, TSI_WORK_TILE, m->dtype, loop, &partial);
    exec_case_input(c, op, from[0], &map);
    map.axis[m->low].axis = m->high;
    map.axis[m->high].axis = m->low;
    exec_case_input(c, op, from[1], &map);
    const uint8_t dtype = (uint8_t)m->dtype;
    const uint8_t map_op = m->seed % 3 == 0   ? TSI_OP_ADD
                           : m->seed % 3 == 1 ? TSI_OP_SUBTRACT
                                              : TSI_OP_MAXIMUM;
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, dtype, 0, 0, {0}, 0});
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_LOAD, dtype, 0, 1, {0}, 1});
    exec_case_step(c, op, (struct tsi_tile_instruction){TSI_TILE_MAP, dtype, 0, 0, {0, 1}, map_op});
    struct tsi_chunk_op *const to = &c->program->ops[op];
    to->is_planes = true;
    to->plane_reduction = m->reduction;
    to->dtype = dtype;
    to->tile.sink = TSI_SINK_REDUCE;
    to->tile.reduce = (struct tsi_tile_reduce){
        .reduction = (uint8_t)m->reduction, .dtype = dtype, .axes = m->axes, .folded = 1000};
    int64_t order = 1;
    for (int i = loop->ndim - 1; i >= 0; i--) {
        if ((m->axes >> i & 1) != 0) {
            to->tile.reduce.order[i] = order;
            order *= loop->axis[i].size;
        }
    }
    return op;
}

static int
make_case(struct exec_case *c, const struct mirror_case *m, const struct tsi_grid *loop,
          bool is_mirrored)
{
    struct tsi_grid source = *loop;
    exec_case_init(c, m->seed);
    for (int i = 0; i < loop->ndim && m->is_recut; i++) {
        source.axis[i] = tsi_axis_regular(loop->axis[i].size, 50);
    }
    int from[2] = {add_values(c, m, &source), 0};
    from[1] = is_mirrored ? from[0] : add_values(c, m, &source);
    const int op = add_fold(c, m, loop, from);
    exec_case_run(c);
    cr_assert_eq(tsi_mirror_find(&c->program->ops[op]).low >= 0, is_mirrored);
    return op;
}

// Runs all pairs of mirror images again, at once; the one with the higher number first, or last.
static void
run_pairs(struct exec_case *c, int index, bool is_turned)
{
    const struct tsi_chunk_op *const op = &c->program->ops[index];
    const struct tsi_mirror mirror = tsi_mirror_find(op);
    for (uint32_t chunk = 0; chunk < op->task_count; chunk++) {
        const uint32_t image = (uint32_t)tsi_mirror_chunk(&mirror, &op->loop, chunk);
        const bool is_first = is_turned ? chunk > image : chunk < image;
        if (is_first) {
            struct tsi_error errors[2] = {{0}, {0}};
            struct tsi_error *const both[2] = {&errors[0], &errors[1]};
            const uint32_t tasks[2] = {op->task_base + chunk, op->task_base + image};
            const atomic_bool *const cancelled[2] = {NULL, NULL};
            tess_status statuses[2];
            serial_run_both(c->serial, tasks, cancelled, both, statuses);
            cr_assert(statuses[0] == TESS_OK && statuses[1] == TESS_OK, "%s%s", errors[0].text,
                      errors[1].text);
        }
    }
}

// Whether two chunks of accumulators are the same; what lies between their planes is not looked at.
static bool
are_equal(const struct mirror_case *m, const struct tsi_chunk_op *op, uint32_t chunk,
          const unsigned char *have, const unsigned char *want)
{
    const struct tsi_acc_layout layout = tsi_acc_layout(m->reduction, m->dtype);
    int64_t start[TESS_NDIM_MAX];
    int64_t size[TESS_NDIM_MAX];
    const int64_t count = tsi_grid_box(&op->array, chunk, start, size);
    bool is_equal = true;
    for (int i = 0; i < layout.planes; i++) {
        const size_t at = tsi_acc_offset(&layout, i, count);
        const size_t bytes = (size_t)count * tess_dtype_bytes(layout.dtype[i]);
        is_equal = is_equal && memcmp(have + at, want + at, bytes) == 0;
    }
    return is_equal;
}

static void
check_equal(struct exec_case *a, struct exec_case *b, const struct mirror_case *m, int op_a,
            int op_b)
{
    const struct tsi_chunk_op *const x = &a->program->ops[op_a];
    const struct tsi_chunk_op *const y = &b->program->ops[op_b];
    for (uint32_t chunk = 0; chunk < x->task_count; chunk++) {
        const void *const have = serial_chunk(a->serial, x->task_base + chunk);
        const void *const want = serial_chunk(b->serial, y->task_base + chunk);
        cr_assert(are_equal(m, x, chunk, have, want),
                  "seed %lu, reduction %d, dtype %d, axes %x: chunk %u", (unsigned long)m->seed,
                  (int)m->reduction, (int)m->dtype, m->axes, chunk);
    }
}

static void
run_case(const struct mirror_case *m, const struct tsi_grid *loop)
{
    struct exec_case plain;
    struct exec_case mirrored;
    const int want = make_case(&plain, m, loop, false);
    const int have = make_case(&mirrored, m, loop, true);
    check_equal(&mirrored, &plain, m, have, want);
    for (int is_turned = 0; is_turned < 2; is_turned++) {
        run_pairs(&mirrored, have, is_turned != 0);
        check_equal(&mirrored, &plain, m, have, want);
    }
    exec_case_fini(&mirrored);
    exec_case_fini(&plain);
}

static const enum tsi_reduction reductions[] = {TSI_REDUCE_SUM, TSI_REDUCE_MEAN, TSI_REDUCE_VAR,
                                                TSI_REDUCE_MAX, TSI_REDUCE_ARGMIN};
enum { REDUCTIONS = sizeof reductions / sizeof *reductions };

Test(exec_mirror, matrices_of_every_type_in_ragged_chunks)
{
    const tess_dtype dtypes[] = {TESS_F64, TESS_F32, TESS_I8, TESS_U16, TESS_I32, TESS_I64};
    const int64_t cuts[] = {150, 1, 64, 70, 299, 300};
    for (uint64_t seed = 0; seed < 6 * 6 * REDUCTIONS; seed++) {
        const struct mirror_case m = {.seed = seed,
                                      .reduction = reductions[seed / 36],
                                      .dtype = dtypes[seed % 6],
                                      .axes = 1 + (uint32_t)(seed / 3 % 2),
                                      .low = 0,
                                      .high = 1,
                                      .is_copied = seed / 2 % 2 != 0,
                                      .is_recut = seed / 5 % 3 == 0};
        const int64_t cut = cuts[seed / 6 % 6];
        const int64_t size = cut == 1 ? 5 : 300;
        const struct tsi_grid loop = {2,
                                      {tsi_axis_shifted(size, (cut + 1) / 2, cut),
                                       tsi_axis_shifted(size, (cut + 1) / 2, cut)}};
        run_case(&m, &loop);
    }
}

Test(exec_mirror, transposes_of_three_axes)
{
    const int swaps[3][2] = {{0, 1}, {1, 2}, {0, 2}};
    const int64_t others[] = {1, 3, 700};
    for (uint64_t seed = 0; seed < 3 * 3 * 8; seed++) {
        const int *const swap = swaps[seed % 3];
        struct mirror_case m = {.seed = seed,
                                .reduction = reductions[seed % 2 == 0 ? 0 : 4],
                                .dtype = TESS_F64,
                                .axes = (uint32_t)(seed / 9),
                                .low = swap[0],
                                .high = swap[1],
                                .is_copied = seed % 4 == 0};
        const int other = 3 - swap[0] - swap[1];
        const int64_t size = seed / 3 % 3 == 2 ? 20 : 150;
        struct tsi_grid loop = {.ndim = 3};
        loop.axis[swap[0]] = tsi_axis_regular(size, size * 2 / 3);
        loop.axis[swap[1]] = loop.axis[swap[0]];
        loop.axis[other] = tsi_axis_regular(others[seed / 3 % 3], 600);
        struct tsi_chunk_op op = {.work = TSI_WORK_TILE, .loop = loop};
        const bool both = (m.axes >> swap[0] & 1) != 0 && (m.axes >> swap[1] & 1) != 0;
        const bool after = (m.axes >> other & 1) != 0 && op.loop.axis[other].size > 1 &&
                           ((m.axes >> swap[0] & 1) != 0   ? other > swap[0]
                            : (m.axes >> swap[1] & 1) != 0 ? other > swap[1]
                                                           : false);
        if (m.axes != 0 && !both && !after) {
            run_case(&m, &loop);
        }
    }
}

// One that is cancelled does not stop the other, whose result is as ever.
Test(exec_mirror, each_ends_by_itself)
{
    const struct mirror_case m = {
        .seed = 3, .reduction = TSI_REDUCE_SUM, .dtype = TESS_F64, .axes = 2, .low = 0, .high = 1};
    const struct tsi_grid loop = {2, {tsi_axis_regular(300, 150), tsi_axis_regular(300, 150)}};
    for (int i = 0; i < 2; i++) {
        struct exec_case c;
        struct exec_case plain;
        const int op = make_case(&c, &m, &loop, true);
        const int want = make_case(&plain, &m, &loop, false);
        const uint32_t base = c.program->ops[op].task_base;
        const uint32_t tasks[2] = {base + 1, base + 2};
        const atomic_bool yes = true;
        const atomic_bool *const cancelled[2] = {i == 0 ? &yes : NULL, i == 1 ? &yes : NULL};
        struct tsi_error errors[2] = {{0}, {0}};
        struct tsi_error *const both[2] = {&errors[0], &errors[1]};
        tess_status statuses[2];
        serial_run_both(c.serial, tasks, cancelled, both, statuses);
        cr_assert_eq(statuses[i], TESS_ECANCELLED);
        cr_assert_eq(statuses[1 - i], TESS_OK);
        cr_assert(strstr(errors[i].text, i == 0 ? "(0, 1)" : "(1, 0)") != NULL, "%s",
                  errors[i].text);
        check_equal(&c, &plain, &m, op, want);
        exec_case_fini(&c);
        exec_case_fini(&plain);
    }
}

// Two tasks that are not mirror images run as by themselves.
Test(exec_mirror, others_run_one_after_the_other)
{
    const struct mirror_case m = {
        .seed = 3, .reduction = TSI_REDUCE_SUM, .dtype = TESS_F64, .axes = 2, .low = 0, .high = 1};
    const struct tsi_grid loop = {2, {tsi_axis_regular(300, 150), tsi_axis_regular(300, 150)}};
    struct exec_case c;
    struct exec_case plain;
    const int op = make_case(&c, &m, &loop, true);
    const int want = make_case(&plain, &m, &loop, false);
    const uint32_t base = c.program->ops[op].task_base;
    const uint32_t pairs[][2] = {{base, base + 3}, {base + 1, base + 3}, {base + 2, base}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct tsi_error errors[2] = {{0}, {0}};
        struct tsi_error *const both[2] = {&errors[0], &errors[1]};
        const atomic_bool *const cancelled[2] = {NULL, NULL};
        tess_status statuses[2];
        serial_run_both(c.serial, pairs[i], cancelled, both, statuses);
        cr_assert(statuses[0] == TESS_OK && statuses[1] == TESS_OK);
        check_equal(&c, &plain, &m, op, want);
    }
    exec_case_fini(&c);
    exec_case_fini(&plain);
}
