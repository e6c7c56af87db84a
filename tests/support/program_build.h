// SPDX-License-Identifier: Apache-2.0
//
// Small programs made by hand, without expressions and planner: for tests of the codec, of
// validation and of the scheduler. What cannot go on, such as a lack of memory, stops the test.

#ifndef TESS_TEST_PROGRAM_BUILD_H
#define TESS_TEST_PROGRAM_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/program/program.h"
#include "tests/support/random.h"

#define TEST_BUILD_OPS_MAX 512

// A program under construction. Functions that add an operation return its number.
struct test_build {
    struct tsi_program *program;
};

struct test_build test_build_start(void);

// Numbers the program and makes sure that it is valid; it is the caller's, for tsi_program_free().
struct tsi_program *test_build_finish(struct test_build *build);

// An operation of any kind; the caller sets what is particular to it. `array` NULL: as `loop`.
int test_build_op(struct test_build *build, enum tsi_work work, tess_dtype dtype,
                  const struct tsi_grid *loop, const struct tsi_grid *array);
struct tsi_chunk_op *test_build_at(struct test_build *build, int op);
void test_build_input(struct test_build *build, int op, int from, const struct tsi_index_map *map);
void test_build_target(struct test_build *build, int op, enum tsi_target_mode mode);

// A map that lists its chunks: row c of `deps` has `counts[c]` numbers, all rows one behind the
// other.
struct tsi_index_map test_build_rows(struct test_build *build, const struct tsi_grid *loop,
                                     const struct tsi_grid *source, const uint32_t *counts,
                                     const uint32_t *items);

// TILE: float64 normal variates, stored.
int test_build_normal(struct test_build *build, const struct tsi_grid *grid);

// TILE: the sum of `count` inputs of type float64, stored.
int test_build_sum(struct test_build *build, const struct tsi_grid *loop, int count,
                   const int *from, const struct tsi_index_map *maps);

// TILE: the square root of input `from`, or of normal variates if `from` is negative, reduced over
// `axes` of `loop`; to results if each of these is one chunk and `finish`, else to accumulators.
int test_build_reduce(struct test_build *build, const struct tsi_grid *loop, int from,
                      const struct tsi_index_map *map, enum tsi_reduction reduction, uint32_t axes,
                      bool finish);

// FOLD: levels over the accumulators of `from` until each axis in `axes` is one chunk; the last one
// finishes. Each level merges up to `fanin` chunks on each axis.
int test_build_folds(struct test_build *build, int from, uint32_t axes, int64_t fanin);

// MATMUL: a·b of matrices over the loop (i, j, k), and FOLDs if k has several chunks.
int test_build_matmul(struct test_build *build, const struct tsi_grid *loop, int a, int b,
                      int64_t fanin);

// JOIN: one task that waits for all chunks of `from`.
int test_build_join(struct test_build *build, int from);

// An axis of `size` in one of many cuts: regular, shifted, listed with empty chunks, one chunk.
struct tsi_axis test_random_axis(struct test_random *random, struct tsi_arena *arena, int64_t size);

// normal → mean of an array of one axis: the first level fused into the source, then a tree.
struct tsi_program *test_program_reduction(int64_t size, int64_t step, int64_t fanin);

// A rechunk of a matrix from rows to columns, delivered.
struct tsi_program *test_program_rechunk(int64_t rows, int64_t columns, int64_t step);

// A product of two stored matrices of n × n in blocks of `step`.
struct tsi_program *test_program_matmul(int64_t n, int64_t step, int64_t fanin);

struct test_program_options {
    uint32_t tasks_max; // about
    bool with_held;
    bool with_kept; // of job 1
    bool with_file; // names files that are not there
};

// A valid program that depends on the seed alone, with all kinds of maps, irregular grids, axes of
// no elements, and targets of all modes.
struct tsi_program *test_program_random(uint64_t seed, const struct test_program_options *options);

#endif
