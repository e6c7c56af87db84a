// SPDX-License-Identifier: Apache-2.0
//
// From expressions to a program.

#ifndef TSI_PLAN_PLAN_H
#define TSI_PLAN_PLAN_H

#include "engine/graph/node.h"
#include "engine/program/program.h"

// What is wanted of one array.
struct tsi_plan_target {
    struct tess_array *array;
    enum tsi_target_mode mode;
    const char *path;      // TSI_TARGET_RUN: write it to this NPY file,
    const char *temporary; // under this name until it is whole
};

// A program and what the runtime must know beside it.
struct tsi_plan {
    struct tsi_program *program;
    // For each target in turn, its operation.
    uint16_t *target_ops;
    // For each held array of the program (tsi_work_held.array): the node with the caller's memory.
    struct tess_array **held;
    int held_count;
};

// Plans `count` targets of one session, all sound. Fails with TESS_ENOMEM, or TESS_ELIMIT if the
// program exceeds a bound of limits.h; the message names the operation.
tess_status tsi_plan_make(const struct tsi_plan_target *targets, int count, struct tsi_plan *plan,
                          struct tsi_error *error);
void tsi_plan_fini(struct tsi_plan *plan);

#endif
