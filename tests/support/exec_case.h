// SPDX-License-Identifier: Apache-2.0
//
// Programs made by hand for tests of what tasks compute: random grids and index maps, client arrays
// with values that every element type holds exactly, and the same values as plain doubles for a
// naive loop to read.

#ifndef TSI_SUPPORT_EXEC_CASE_H
#define TSI_SUPPORT_EXEC_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/serial.h"

#define EXEC_CASE_OPS_MAX 256

struct exec_case {
    struct tsi_program *program;
    struct serial_held held[EXEC_CASE_OPS_MAX];
    double *values[EXEC_CASE_OPS_MAX]; // of the arrays of HELD operations, by operation
    int held_count;
    struct serial *serial;
    uint64_t random;
};

// Which values an array gets: small ones, or mostly ones, whose products stay small.
enum exec_case_fill { EXEC_CASE_SMALL, EXEC_CASE_UNIT };

void exec_case_init(struct exec_case *c, uint64_t seed);
void exec_case_fini(struct exec_case *c);

// A random number below `bound`, which is above 0.
int64_t exec_case_random(struct exec_case *c, int64_t bound);

// An axis of `size`, cut in a random way, empty chunks included.
struct tsi_axis exec_case_axis(struct exec_case *c, int64_t size);

// Adds an operation without inputs; `array` NULL: the same as `loop`.
int exec_case_op(struct exec_case *c, enum tsi_work work, tess_dtype dtype,
                 const struct tsi_grid *loop, const struct tsi_grid *array);
void exec_case_input(struct exec_case *c, int op, int from, const struct tsi_index_map *map);

// Adds a client's array with random values.
int exec_case_held(struct exec_case *c, tess_dtype dtype, const struct tsi_grid *grid,
                   enum exec_case_fill fill);

// A random map from `loop` to a source that does not exist yet, and the source's grid: some loop
// axes in some order, with slices, and dropped axes among them.
void exec_case_map(struct exec_case *c, const struct tsi_grid *loop, struct tsi_index_map *map,
                   struct tsi_grid *source);

// Appends an instruction to the tile of `op`.
void exec_case_step(struct exec_case *c, int op, struct tsi_tile_instruction instruction);

// Numbers, validates and runs the program; all of it must succeed.
void exec_case_run(struct exec_case *c);

// The result of `op`, once it has run, as doubles; freed with tsi_free().
double *exec_case_result(struct exec_case *c, int op);

// The value that input `map` of `from` has at a loop index.
double exec_case_value(const struct exec_case *c, int from, const struct tsi_index_map *map,
                       const int64_t *index);

// Steps `index` through a box in C order; false at its end, where it is at the start again.
bool exec_case_next(int ndim, const int64_t *size, int64_t *index);

double exec_case_read(tess_dtype dtype, const void *data, int64_t index);
void exec_case_write(tess_dtype dtype, void *data, int64_t index, double value);

// "loop (3, 4) in (2, 2) chunks, input 1: …" for messages.
const char *exec_case_text(const struct exec_case *c);

#endif
