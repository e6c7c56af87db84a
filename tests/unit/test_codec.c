// SPDX-License-Identifier: Apache-2.0
//
// Programs to bytes and back, and bytes that are no programs.

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/program/codec.h"
#include "tests/support/program_build.h"
#include "tests/support/program_walk.h"

static const struct test_program_options everything = {
    .tasks_max = 200, .with_held = true, .with_kept = true, .with_file = true};

// What differs between two programs, field by field; NULL if nothing does.

static bool
same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool
same_rows(const struct tsi_map_rows *a, const struct tsi_map_rows *b, int64_t count)
{
    const size_t rows = (size_t)count;
    return memcmp(a->starts, b->starts, (rows + 1) * sizeof *a->starts) == 0 &&
           memcmp(a->items, b->items, a->starts[rows] * sizeof *a->items) == 0;
}

static bool
same_input(const struct tsi_program *program, const struct tsi_chunk_op *op,
           const struct tsi_input *a, const struct tsi_input *b)
{
    if (a->op != b->op || a->map.ndim != b->map.ndim || a->map.is_explicit != b->map.is_explicit) {
        return false;
    }
    if (a->map.is_explicit) {
        const int64_t loop = tsi_grid_chunk_count(&op->loop);
        const int64_t source = tsi_grid_chunk_count(&program->ops[a->op].array);
        return same_rows(&a->map.deps, &b->map.deps, loop) &&
               same_rows(&a->map.users, &b->map.users, source);
    }
    for (int i = 0; i < a->map.ndim; i++) {
        const struct tsi_map_axis *x = &a->map.axis[i];
        const struct tsi_map_axis *y = &b->map.axis[i];
        if (x->axis != y->axis || x->offset != y->offset || x->stride != y->stride ||
            x->extent != y->extent) {
            return false;
        }
    }
    return true;
}

static bool
same_source(const struct tsi_tile_source *a, const struct tsi_tile_source *b)
{
    return a->source == b->source && a->first == b->first &&
           memcmp(a->step, b->step, sizeof a->step) == 0 && a->params.a == b->params.a &&
           a->params.b == b->params.b && a->params.c == b->params.c &&
           a->params.ia == b->params.ia && a->params.ib == b->params.ib &&
           a->params.seed == b->params.seed && a->params.stream == b->params.stream;
}

static bool
same_instruction(const struct tsi_tile_instruction *a, const struct tsi_tile_instruction *b)
{
    return a->code == b->code && a->dtype == b->dtype && a->from == b->from && a->out == b->out &&
           memcmp(a->in, b->in, sizeof a->in) == 0 && a->operand == b->operand;
}

static const char *
tile_difference(const struct tsi_tile *a, const struct tsi_tile *b)
{
    if (a->instruction_count != b->instruction_count || a->constant_count != b->constant_count ||
        a->source_count != b->source_count || a->register_count != b->register_count ||
        a->sink != b->sink) {
        return "tile";
    }
    for (int i = 0; i < a->instruction_count; i++) {
        if (!same_instruction(&a->instructions[i], &b->instructions[i])) {
            return "instruction";
        }
    }
    for (int i = 0; i < a->constant_count; i++) {
        if (a->constants[i].bits != b->constants[i].bits) {
            return "constant";
        }
    }
    for (int i = 0; i < a->source_count; i++) {
        if (!same_source(&a->sources[i], &b->sources[i])) {
            return "source";
        }
    }
    const struct tsi_tile_reduce *x = &a->reduce;
    const struct tsi_tile_reduce *y = &b->reduce;
    return x->reduction == y->reduction && x->dtype == y->dtype && x->finish == y->finish &&
                   x->axes == y->axes && x->folded == y->folded && x->ddof == y->ddof &&
                   memcmp(x->order, y->order, sizeof x->order) == 0
               ? NULL
               : "reduce";
}

static const char *
work_difference(const struct tsi_chunk_op *a, const struct tsi_chunk_op *b)
{
    if (a->held.array != b->held.array || a->kept.job != b->kept.job ||
        a->kept.base != b->kept.base) {
        return "held or kept";
    }
    if (!same_text(a->file.path, b->file.path) || a->file.swapped != b->file.swapped ||
        a->file.fortran_order != b->file.fortran_order ||
        a->file.data_offset != b->file.data_offset) {
        return "file";
    }
    if (a->fold.reduction != b->fold.reduction || a->fold.dtype != b->fold.dtype ||
        a->fold.finish != b->fold.finish || a->fold.axes != b->fold.axes ||
        a->fold.folded != b->fold.folded || a->fold.ddof != b->fold.ddof) {
        return "fold";
    }
    if (a->matmul.finish != b->matmul.finish) {
        return "matmul";
    }
    if (!same_text(a->target_file.path, b->target_file.path) ||
        !same_text(a->target_file.temporary, b->target_file.temporary)) {
        return "target file";
    }
    return tile_difference(&a->tile, &b->tile);
}

static const char *
op_difference(const struct tsi_program *program, const struct tsi_chunk_op *a,
              const struct tsi_chunk_op *b)
{
    if (a->work != b->work || a->dtype != b->dtype || a->is_planes != b->is_planes ||
        (a->is_planes && a->plane_reduction != b->plane_reduction)) {
        return "kind";
    }
    if (!tsi_grid_equal(&a->loop, &b->loop) || !tsi_grid_equal(&a->array, &b->array)) {
        return "grids";
    }
    if (a->task_base != b->task_base || a->task_count != b->task_count) {
        return "tasks";
    }
    if (!same_text(a->label, b->label) || !same_text(a->site, b->site)) {
        return "texts";
    }
    if (a->input_count != b->input_count) {
        return "inputs";
    }
    for (int i = 0; i < a->input_count; i++) {
        if (!same_input(program, a, &a->inputs[i], &b->inputs[i])) {
            return "input";
        }
    }
    return work_difference(a, b);
}

static const char *
difference(const struct tsi_program *a, const struct tsi_program *b)
{
    if (a->op_count != b->op_count || a->target_count != b->target_count ||
        a->task_count != b->task_count) {
        return "counts";
    }
    for (int i = 0; i < a->target_count; i++) {
        if (a->targets[i].op != b->targets[i].op || a->targets[i].mode != b->targets[i].mode) {
            return "target";
        }
    }
    const char *found = NULL;
    for (int i = 0; i < a->op_count && found == NULL; i++) {
        found = op_difference(a, &a->ops[i], &b->ops[i]);
    }
    return found;
}

struct bytes {
    unsigned char *data;
    size_t count;
};

static struct bytes
encode(const struct tsi_program *program)
{
    struct tsi_error error = {0};
    struct bytes bytes;
    cr_assert(tsi_program_encode(program, &bytes.data, &bytes.count, &error) == TESS_OK, "%s",
              error.text);
    return bytes;
}

static void
check_round_trip(const struct tsi_program *program, const char *name)
{
    struct tsi_error error = {0};
    struct tsi_program *copy = NULL;
    const struct bytes once = encode(program);
    cr_assert(tsi_program_decode(once.data, once.count, &copy, &error) == TESS_OK, "%s: %s", name,
              error.text);
    const char *found = difference(program, copy);
    cr_assert(found == NULL, "%s: %s", name, found);
    const struct bytes twice = encode(copy);
    cr_assert(once.count == twice.count && memcmp(once.data, twice.data, once.count) == 0,
              "%s: other bytes", name);
    found = test_program_walk(copy);
    cr_assert(found == NULL, "%s: %s", name, found);
    tsi_free(once.data);
    tsi_free(twice.data);
    tsi_program_free(copy);
}

// A tile program with all kinds of instructions that reads an int16, a bool and a float32 array.
static int
add_writer(struct test_build *build, const struct tsi_grid *grid, const int *from)
{
    struct tsi_arena *arena = &build->program->arena;
    const struct tsi_tile_instruction steps[] = {
        {.code = TSI_TILE_LOAD, .dtype = TESS_I16, .out = 0, .operand = 0},
        {.code = TSI_TILE_CAST, .dtype = TESS_F64, .from = TESS_I16, .out = 1, .in = {0}},
        {.code = TSI_TILE_LOAD, .dtype = TESS_F32, .out = 2, .operand = 2},
        {.code = TSI_TILE_CAST, .dtype = TESS_F64, .from = TESS_F32, .out = 3, .in = {2}},
        {.code = TSI_TILE_LOAD, .dtype = TESS_BOOL, .out = 4, .operand = 1},
        {.code = TSI_TILE_CONST, .dtype = TESS_F64, .out = 5, .operand = 1},
        {.code = TSI_TILE_MAP, .dtype = TESS_F64, .out = 3, .in = {3, 5}, .operand = TSI_OP_POWER},
        {.code = TSI_TILE_SOURCE, .dtype = TESS_F64, .out = 6, .operand = 0},
        {.code = TSI_TILE_MAP, .dtype = TESS_F64, .out = 6, .in = {1, 6}, .operand = TSI_OP_ADD},
        {.code = TSI_TILE_MAP,
         .dtype = TESS_F64,
         .out = 7,
         .in = {4, 6, 3},
         .operand = TSI_OP_WHERE},
    };
    const struct tsi_scalar constants[] = {{1}, {UINT64_C(0x4000000000000001)}};
    const struct tsi_tile_source source = {
        .source = TSI_SOURCE_LINSPACE,
        .first = -5,
        .step = {-7, 3},
        .params = {0.1, -2.5, 1e300, -77, INT64_MIN, UINT64_MAX, UINT32_MAX},
    };
    const struct tsi_index_map same = tsi_index_map_identity(grid);
    const int op = test_build_op(build, TSI_WORK_TILE, TESS_F64, grid, NULL);
    test_build_at(build, op)->tile = (struct tsi_tile){
        .instruction_count = 10,
        .constant_count = 2,
        .source_count = 1,
        .register_count = 8,
        .instructions = tsi_arena_copy(arena, steps, sizeof steps),
        .constants = tsi_arena_copy(arena, constants, sizeof constants),
        .sources = tsi_arena_copy(arena, &source, sizeof source),
        .sink = TSI_SINK_WRITE,
    };
    test_build_at(build, op)->target_file.temporary = "/data/.out.npy.part";
    for (int i = 0; i < 3; i++) {
        test_build_input(build, op, from[i], &same);
    }
    return op;
}

// A program with all kinds of work, and every field different from zero where it may be.
static struct tsi_program *
make_rich_program(void)
{
    static const int64_t sizes[] = {2, 0, 3, 2, 4};
    struct test_build build = test_build_start();
    struct tsi_axis uneven;
    cr_assert(tsi_axis_from_sizes(&build.program->arena, 11, sizes, 5, &uneven, NULL) == TESS_OK);
    const struct tsi_grid grid = {2, {uneven, tsi_axis_shifted(7, 2, 3)}};
    const struct tsi_grid whole = {2, {tsi_axis_regular(11, -1), tsi_axis_regular(7, -1)}};

    const int held = test_build_op(&build, TSI_WORK_HELD, TESS_I16, &grid, NULL);
    test_build_at(&build, held)->held.array = 77;
    const int kept = test_build_op(&build, TSI_WORK_KEPT, TESS_BOOL, &grid, NULL);
    test_build_at(&build, kept)->kept =
        (struct tsi_work_kept){.job = UINT64_C(0x123456789A), .base = 4000000000};
    const int file = test_build_op(&build, TSI_WORK_FILE, TESS_F32, &whole, NULL);
    test_build_at(&build, file)->file = (struct tsi_work_file){
        .path = "/data/x y.npy", .swapped = true, .fortran_order = true, .data_offset = 128};
    test_build_at(&build, file)->site = "sub/dir/main.c:4711";

    const int leaves[] = {held, kept, file};
    const int join = test_build_join(&build, add_writer(&build, &grid, leaves));
    test_build_at(&build, join)->target_file =
        (struct tsi_work_target_file){"/data/out.npy", "/data/.out.npy.part"};

    const struct tsi_index_map turned = {.ndim = 2, .axis = {{1, 10, -1, 1}, {0, 1, 2, 1}}};
    const struct tsi_grid part = {2, {tsi_axis_regular(3, 2), tsi_axis_regular(11, 5)}};
    const int normal = test_build_normal(&build, &grid);
    int variance = test_build_reduce(&build, &part, normal, &turned, TSI_REDUCE_VAR, 3, false);
    test_build_at(&build, variance)->tile.reduce.ddof = 1.5;
    variance = test_build_folds(&build, variance, 3, 2);
    test_build_at(&build, variance)->fold.ddof = 1.5;

    const struct tsi_grid square = {2, {tsi_axis_regular(6, 2), tsi_axis_regular(6, 4)}};
    const struct tsi_grid block = {3, {square.axis[0], square.axis[1], tsi_axis_regular(6, 3)}};
    const int a = test_build_normal(&build, &square);
    const int product = test_build_matmul(&build, &block, a, a, 4);

    test_build_target(&build, join, TSI_TARGET_RUN);
    test_build_target(&build, product, TSI_TARGET_KEEP);
    test_build_target(&build, variance, TSI_TARGET_DELIVER);
    return test_build_finish(&build);
}

Test(codec, a_rich_program_comes_back)
{
    struct tsi_program *program = make_rich_program();
    check_round_trip(program, "rich");
    tsi_program_free(program);
}

Test(codec, random_programs_come_back, .timeout = 120)
{
    uint32_t works = 0;
    bool has_lists = false;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct tsi_program *program = test_program_random(seed, &everything);
        char name[32];
        snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
        check_round_trip(program, name);
        for (int i = 0; i < program->op_count; i++) {
            works |= UINT32_C(1) << program->ops[i].work;
            has_lists = has_lists || (program->ops[i].input_count > 0 &&
                                      program->ops[i].inputs[0].map.is_explicit);
        }
        tsi_program_free(program);
    }
    cr_assert(works == (UINT32_C(1) << TSI_WORK_COUNT) - 1 && has_lists,
              "the programs have all kinds of work: %x", (unsigned)works);
}

Test(codec, typical_programs_are_small)
{
    struct tsi_program *mean = test_program_reduction(INT64_C(10000000000), 1000000, 16);
    struct tsi_program *product = test_program_matmul(100000, 1000, 16);
    struct bytes bytes = encode(mean);
    cr_assert(mean->task_count > 10000);
    cr_assert(bytes.count <= 300, "normal, mean and its folds: %zu bytes", bytes.count);
    tsi_free(bytes.data);
    bytes = encode(product);
    cr_assert(product->task_count > 1000000);
    cr_assert(bytes.count <= 400, "a product: %zu bytes", bytes.count);
    tsi_free(bytes.data);
    tsi_program_free(mean);
    tsi_program_free(product);
}

Test(codec, equal_axes_are_written_once)
{
    // A listed axis, in the loops and arrays of many operations.
    struct test_build build = test_build_start();
    int64_t sizes[1000];
    for (int i = 0; i < 1000; i++) {
        sizes[i] = 1 + i % 2;
    }
    struct tsi_grid grid = {.ndim = 1};
    cr_assert(tsi_axis_from_sizes(&build.program->arena, 1500, sizes, 1000, &grid.axis[0], NULL) ==
              TESS_OK);
    const struct tsi_index_map map = tsi_index_map_identity(&grid);
    int op = test_build_normal(&build, &grid);
    for (int i = 0; i < 10; i++) {
        // Every operation with a list of its own.
        struct tsi_grid copy;
        cr_assert(tsi_grid_copy(&build.program->arena, &grid, &copy));
        op = test_build_sum(&build, &copy, 1, &op, &map);
    }
    test_build_target(&build, op, TSI_TARGET_DELIVER);
    struct tsi_program *program = test_build_finish(&build);
    const struct bytes bytes = encode(program);
    cr_assert(bytes.count < 1500, "%zu bytes", bytes.count);
    check_round_trip(program, "listed");
    tsi_free(bytes.data);
    tsi_program_free(program);
}

// Reads a copy of exactly the size, so that a sanitizer sees a read beyond the end.
static tess_status
decode_exact(const unsigned char *data, size_t count, struct tsi_error *error)
{
    unsigned char *copy = tsi_alloc(count);
    cr_assert(copy != NULL);
    memcpy(copy, data, count);
    struct tsi_program *program = NULL;
    const tess_status status = tsi_program_decode(copy, count, &program, error);
    cr_assert((program != NULL) == (status == TESS_OK));
    if (program != NULL) {
        const char *wrong = test_program_walk(program);
        cr_assert(wrong == NULL, "%s", wrong);
    }
    tsi_program_free(program);
    tsi_free(copy);
    return status;
}

Test(codec, cut_bytes_are_refused)
{
    struct tsi_program *program = make_rich_program();
    const struct bytes bytes = encode(program);
    for (size_t count = 0; count < bytes.count; count++) {
        struct tsi_error error = {0};
        cr_assert(decode_exact(bytes.data, count, &error) == TESS_EPROTOCOL, "%zu bytes: %s", count,
                  error.text);
        cr_assert(error.text[0] != '\0');
    }
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, more_bytes_are_refused)
{
    struct tsi_program *program = make_rich_program();
    struct bytes bytes = encode(program);
    bytes.data = tsi_realloc(bytes.data, bytes.count + 1, 1);
    cr_assert(bytes.data != NULL);
    bytes.data[bytes.count] = 0;
    cr_assert(decode_exact(bytes.data, bytes.count + 1, NULL) == TESS_EPROTOCOL);
    cr_assert(decode_exact(bytes.data, bytes.count, NULL) == TESS_OK);
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, other_formats_are_refused)
{
    struct tsi_program *program = test_program_reduction(100, 10, 4);
    const struct bytes bytes = encode(program);
    struct tsi_error error = {0};
    cr_assert(bytes.data[0] == TSI_PROGRAM_FORMAT);
    bytes.data[0]++;
    cr_assert(decode_exact(bytes.data, bytes.count, &error) == TESS_EVERSION);
    cr_assert(strstr(error.text, "format 2") != NULL, "%s", error.text);
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, changed_bytes_do_no_harm, .timeout = 120)
{
    // Every byte of a rich program, changed in every bit and to the extremes.
    struct tsi_program *program = make_rich_program();
    const struct bytes bytes = encode(program);
    int good = 0;
    int bad = 0;
    for (size_t i = 0; i < bytes.count; i++) {
        const unsigned char right = bytes.data[i];
        for (int change = 0; change < 11; change++) {
            const int changed[] = {right ^ 1 << change % 8, 0xff, 0, right + 1};
            bytes.data[i] = (unsigned char)changed[change < 8 ? 0 : change - 7];
            struct tsi_error error = {0};
            const tess_status status = decode_exact(bytes.data, bytes.count, &error);
            cr_assert(status == TESS_OK || error.text[0] != '\0', "byte %zu", i);
            *(status == TESS_OK ? &good : &bad) += 1;
        }
        bytes.data[i] = right;
    }
    cr_assert(good > 100 && bad > 1000, "%d accepted, %d refused", good, bad);
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, random_changes_do_no_harm, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct tsi_program *program = test_program_random(seed, &everything);
        const struct bytes bytes = encode(program);
        struct test_random random = {seed};
        for (int round = 0; round < 20; round++) {
            unsigned char *copy = tsi_alloc(bytes.count);
            cr_assert(copy != NULL);
            memcpy(copy, bytes.data, bytes.count);
            for (int64_t left = test_random_between(&random, 1, 4); left > 0; left--) {
                const int64_t at = test_random_between(&random, 0, (int64_t)bytes.count - 1);
                copy[at] = (unsigned char)test_random_bits(&random);
            }
            (void)decode_exact(copy, bytes.count, NULL);
            tsi_free(copy);
        }
        tsi_free(bytes.data);
        tsi_program_free(program);
    }
}

Test(codec, little_bytes_take_little_memory)
{
    // A join over all of 2^24 − 1 chunks. In closed form that is: the form, an axis byte that says
    // that stride and extent follow, stride 0, and the extent in four bytes.
    static const unsigned char closed[] = {1, 64 | 128, 0, 0xff, 0xff, 0xff, 0x07};
    // Written as a list of one row with chunk 0, it has users to be listed for each of the chunks.
    static const unsigned char listed[] = {2, 1, 0};
    struct test_build build = test_build_start();
    const struct tsi_grid large = {1, {tsi_axis_regular((1 << 24) - 1, 1)}};
    const int join = test_build_join(&build, test_build_normal(&build, &large));
    test_build_target(&build, join, TSI_TARGET_RUN);
    struct tsi_program *program = test_build_finish(&build);
    const struct bytes bytes = encode(program);
    const unsigned char *map = memmem(bytes.data, bytes.count, closed, sizeof closed);
    cr_assert(map != NULL);

    const size_t before = (size_t)(map - bytes.data);
    const size_t after = bytes.count - before - sizeof closed;
    unsigned char *hostile = tsi_alloc(bytes.count);
    cr_assert(hostile != NULL);
    memcpy(hostile, bytes.data, before);
    memcpy(hostile + before, listed, sizeof listed);
    memcpy(hostile + before + sizeof listed, map + sizeof closed, after);
    struct tsi_error error = {0};
    cr_assert(decode_exact(hostile, before + sizeof listed + after, &error) == TESS_ELIMIT, "%s",
              error.text);
    cr_assert(strstr(error.text, "memory") != NULL, "%s", error.text);
    tsi_free(hostile);
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, memory_runs_out)
{
    struct tsi_program *program = make_rich_program();
    const struct bytes bytes = encode(program);
    struct tsi_error error = {0};
    tess_status status = TESS_ENOMEM;
    int64_t successes = 0;
    for (; status == TESS_ENOMEM && successes < 1000; successes++) {
        unsigned char *data = NULL;
        size_t count = 0;
        tsi_memory_fail_after(successes);
        status = tsi_program_encode(program, &data, &count, &error);
        tsi_memory_fail_after(-1);
        cr_assert((data != NULL) == (status == TESS_OK));
        tsi_free(data);
    }
    cr_assert(status == TESS_OK && successes > 3);
    status = TESS_ENOMEM;
    for (successes = 0; status == TESS_ENOMEM && successes < 1000; successes++) {
        struct tsi_program *copy = NULL;
        tsi_memory_fail_after(successes);
        status = tsi_program_decode(bytes.data, bytes.count, &copy, &error);
        tsi_memory_fail_after(-1);
        cr_assert((copy != NULL) == (status == TESS_OK));
        tsi_program_free(copy);
    }
    cr_assert(status == TESS_OK && successes > 3);
    tsi_free(bytes.data);
    tsi_program_free(program);
}

Test(codec, invalid_programs_are_not_written)
{
    struct tsi_program *program = test_program_reduction(100, 10, 4);
    unsigned char *data = NULL;
    size_t count = 0;
    program->ops[0].dtype = TESS_DTYPE_COUNT;
    cr_assert(tsi_program_encode(program, &data, &count, NULL) == TESS_EPROTOCOL);
    cr_assert(data == NULL && count == 0);
    tsi_program_free(program);
}
