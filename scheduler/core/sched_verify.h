// SPDX-License-Identifier: Apache-2.0
//
// Checks of jobs, a part of tsi_sched_verify().

#ifndef TSI_SCHED_VERIFY_H
#define TSI_SCHED_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/map.h"
#include "scheduler/core/sched_state.h"

struct tsi_verify {
    const struct tsi_sched *sched;
    struct tsi_map demanded; // keys of slot and task that are on a stack or wait for a retry
    struct tsi_map places;   // keys of slot and task of ready tasks, with their tickets
    uint64_t *held;          // bytes by slot
    uint64_t cells;          // in use
    uint64_t sets;           // in use
    const char *broken;
};

// Notes that an invariant does not hold; the first one stays. Returns whether it holds.
bool tsi_verify_that(struct tsi_verify *verify, bool holds, const char *name);

// Checks one job task by task, and adds up what it holds.
void tsi_verify_job(struct tsi_verify *verify, struct tsi_sched_job *job);

#endif
