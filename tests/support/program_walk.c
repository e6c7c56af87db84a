// SPDX-License-Identifier: Apache-2.0
//
// Walks through programs that may be hostile: nothing here may take longer because a number is
// large.

#include "tests/support/program_walk.h"

// Chunks of an operation, and members of a set, that are looked at.
enum { SAMPLES = 4, STEPS = 16 };

// Whether `chunk` is among the first members of `set`, or the set has more than are looked at.
static bool
may_have(struct tsi_chunk_set set, int64_t chunk)
{
    int64_t member = -1;
    for (int i = 0; i < 4 * STEPS; i++) {
        if (!tsi_chunk_set_next(&set, &member)) {
            return false;
        }
        if (member >= chunk) {
            return member == chunk;
        }
    }
    return true;
}

// One set in one direction; `from` is the number of chunks of the grid that `chunk` is of.
static const char *
walk_set(const struct tsi_index_map *map, const struct tsi_grid *loop,
         const struct tsi_grid *source, int64_t chunk, bool of_deps)
{
    struct tsi_chunk_set set = of_deps ? tsi_index_map_deps(map, loop, source, chunk)
                                       : tsi_index_map_users(map, loop, source, chunk);
    const int64_t count = tsi_grid_chunk_count(of_deps ? source : loop);
    int64_t last = -1;
    int64_t member = -1;
    int steps = 0;
    while (steps < STEPS && tsi_chunk_set_next(&set, &member)) {
        if (member <= last || member >= count) {
            return "the members of a set do not rise, or are no chunks";
        }
        if (!may_have(of_deps ? tsi_index_map_users(map, loop, source, member)
                              : tsi_index_map_deps(map, loop, source, member),
                      chunk)) {
            return "dependencies and users do not agree";
        }
        last = member;
        steps++;
    }
    return NULL;
}

// The chunks to look at: the first, the last and some in between.
static int64_t
sample(int64_t count, int which)
{
    return which == 0 ? 0 : count - 1 - (count - 1) / SAMPLES * (SAMPLES - 1 - which);
}

static const char *
walk_input(const struct tsi_program *program, const struct tsi_chunk_op *op,
           const struct tsi_input *input)
{
    const struct tsi_grid *source = &program->ops[input->op].array;
    const char *wrong = NULL;
    for (int i = 0; i < SAMPLES && wrong == NULL; i++) {
        const int64_t reader = sample(tsi_grid_chunk_count(&op->loop), i);
        const int64_t read = sample(tsi_grid_chunk_count(source), i);
        wrong = walk_set(&input->map, &op->loop, source, reader, true);
        if (wrong == NULL) {
            wrong = walk_set(&input->map, &op->loop, source, read, false);
        }
    }
    if (tsi_index_map_name(&input->map, &op->loop, source) == NULL) {
        return "a map without a name";
    }
    return wrong;
}

static const char *
walk_op(const struct tsi_program *program, int index)
{
    const struct tsi_chunk_op *op = &program->ops[index];
    const size_t bytes_max = tsi_chunk_op_bytes_max(op);
    char place[TSI_PLACE_TEXT_MAX];
    for (int i = 0; i < SAMPLES; i++) {
        const int64_t chunk = sample(tsi_grid_chunk_count(&op->array), i);
        if (tsi_chunk_op_bytes(op, chunk) > bytes_max) {
            return "a chunk is larger than the largest";
        }
        if (op->task_count > 0 &&
            tsi_program_op_of(program, op->task_base + (uint32_t)chunk) != index) {
            return "a task is of another operation";
        }
    }
    tsi_chunk_op_place(op, place, sizeof place);
    (void)tsi_chunk_op_workspace_max(program, op);
    if (tsi_chunk_op_cost_ns(program, op) == 0) {
        return "a task costs nothing";
    }
    const char *wrong = NULL;
    for (int i = 0; i < op->input_count && wrong == NULL; i++) {
        wrong = walk_input(program, op, &op->inputs[i]);
    }
    return wrong;
}

const char *
test_program_walk(const struct tsi_program *program)
{
    const char *wrong = NULL;
    for (int i = 0; i < program->op_count && wrong == NULL; i++) {
        wrong = walk_op(program, i);
    }
    return wrong;
}
