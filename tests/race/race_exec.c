// SPDX-License-Identifier: Apache-2.0
//
// Threads that run tasks side by side: each with its own scratch, all with the same program, the
// same chunks and the same mapped files, of which there are more than are kept open.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/check.h"
#include "engine/base/memory.h"
#include "engine/io/npy.h"
#include "tests/support/exec_case.h"

enum { THREADS = 4, FILES = 70, ROUNDS = 300, ROWS = 40, COLUMNS = 30 };

struct shared {
    struct exec_case *c;
    struct tsi_files *files;
    int first_op; // of FILES operations that each add a file and the array to itself
    const double *expected;
    const void *array;
};

struct thread {
    pthread_t id;
    struct shared *shared;
    uint64_t seed;
};

static void
run_one(const struct shared *shared, int op)
{
    double out[ROWS * COLUMNS];
    struct tsi_error error;
    const struct tsi_exec_chunk chunk = {.data = shared->array};
    const struct tsi_exec_task task = {shared->c->program, op, 0, &chunk, 1, out, NULL, NULL,
                                       shared->files};
    const tess_status status = tsi_exec_run(&task, &error);
    if (status != TESS_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    TSI_CHECK(status == TESS_OK);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        TSI_CHECK(out[i] == shared->expected[i]);
    }
}

static void *
run_thread(void *argument)
{
    const struct thread *const thread = argument;
    uint64_t random = thread->seed;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        run_one(thread->shared, thread->shared->first_op + (int)((random >> 33) % FILES));
    }
    return NULL;
}

// Returns the bytes before the first element.
static int64_t
write_file(const struct tsi_grid *grid, const double *values, const char *path)
{
    unsigned char header[TSI_NPY_FORMAT_BYTES_MAX];
    const tess_shape shape = tsi_grid_shape(grid);
    const size_t lead = tsi_npy_format_header(TESS_F64, &shape, header, sizeof header);
    FILE *const file = fopen(path, "wb");
    TSI_CHECK(file != NULL && fwrite(header, lead, 1, file) == 1);
    TSI_CHECK(fwrite(values, sizeof *values, ROWS * COLUMNS, file) == ROWS * COLUMNS);
    TSI_CHECK(fclose(file) == 0);
    return (int64_t)lead;
}

// One more file, and the operation that adds it to the array.
static void
add_sum(struct exec_case *c, const struct tsi_grid *grid, int array, int file)
{
    const struct tsi_index_map map = tsi_index_map_identity(grid);
    const struct tsi_tile_instruction steps[] = {
        {TSI_TILE_LOAD, TESS_F64, 0, 0, {0}, 0},
        {TSI_TILE_LOAD, TESS_F64, 0, 1, {0}, 1},
        {TSI_TILE_MAP, TESS_F64, 0, 0, {0, 1}, TSI_OP_ADD},
    };
    const int op = exec_case_op(c, TSI_WORK_TILE, TESS_F64, grid, NULL);
    exec_case_input(c, op, array, &map);
    exec_case_input(c, op, file, &map);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        exec_case_step(c, op, steps[i]);
    }
}

int
main(void)
{
    char folder[] = "/tmp/tessera-race-XXXXXX";
    char path[FILES][64];
    double expected[ROWS * COLUMNS];
    struct exec_case c;
    const struct tsi_grid grid = {2, {tsi_axis_regular(ROWS, 0), tsi_axis_regular(COLUMNS, 0)}};
    TSI_CHECK(mkdtemp(folder) != NULL);
    exec_case_init(&c, 1);
    const int array = exec_case_held(&c, TESS_F64, &grid, EXEC_CASE_SMALL);
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
        const int64_t lead = write_file(&grid, c.values[array], path[i]);
        const int file = exec_case_op(&c, TSI_WORK_FILE, TESS_F64, &grid, NULL);
        c.program->ops[file].file = (struct tsi_work_file){path[i], false, false, lead};
    }
    for (int i = 0; i < FILES; i++) {
        add_sum(&c, &grid, array, 1 + i);
    }
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        expected[i] = 2 * c.values[array][i];
    }
    struct shared shared = {&c, tsi_files_new(NULL, 0), 1 + FILES, expected, c.held[0].data};
    struct thread threads[THREADS];
    TSI_CHECK(shared.files != NULL);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.shared = &shared, .seed = (uint64_t)i + 1};
        TSI_CHECK(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        TSI_CHECK(pthread_join(threads[i].id, NULL) == 0);
    }
    tsi_files_free(shared.files);
    exec_case_fini(&c);
    for (int i = 0; i < FILES; i++) {
        TSI_CHECK(remove(path[i]) == 0);
    }
    TSI_CHECK(rmdir(folder) == 0);
    return 0;
}
