// SPDX-License-Identifier: Apache-2.0
//
// Random programs for the simulator: all shapes of dependencies that a planner makes, small. Their
// tile programs are empty, since nothing runs them; grids, maps, targets and sizes are as in real
// ones.

#ifndef TSI_SIM_PROGRAM_H
#define TSI_SIM_PROGRAM_H

#include "engine/program/program.h"
#include "tests/sim/sim_random.h"

// An array that an earlier job keeps.
struct sim_kept {
    uint32_t job;
    const struct tsi_program *program;
    int op;
};

struct sim_program_shape {
    const struct sim_kept *kept; // what the program may read
    int kept_count;
    bool uses_kept; // wherever it can
    bool keeps;     // its last array is kept, not delivered
};

// Never NULL: it aborts when memory is out.
struct tsi_program *sim_program_random(struct sim_random *random,
                                       const struct sim_program_shape *shape);

// Four tasks: two chunks, their sum, and one of it.
struct tsi_program *sim_program_tiny(void);

// About `tasks` tasks: a source, a blockwise operation on it, and the tree of a sum.
struct tsi_program *sim_program_big(int64_t tasks);

#endif
