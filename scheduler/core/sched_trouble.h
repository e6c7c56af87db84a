// SPDX-License-Identifier: Apache-2.0
//
// What went wrong with a task so far. Few tasks have any of it, so it is kept beside their records.

#ifndef TSI_SCHED_TROUBLE_H
#define TSI_SCHED_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

struct tsi_sched_job;

struct tsi_sched_trouble {
    uint16_t kills;   // workers lost while they may have run it
    uint16_t retries; // after errors of input or output
    uint8_t fetches;  // attempts that ended since an input could not be had
    uint8_t refusals; // attempts that a worker with nothing else to do had no memory for
    uint8_t drops;    // how often its chunk was lost, since its holder gave it up
};

struct tsi_sched_trouble tsi_sched_trouble_get(const struct tsi_sched_job *job, uint32_t task);

// False when memory is out.
bool tsi_sched_trouble_put(struct tsi_sched_job *job, uint32_t task,
                           struct tsi_sched_trouble trouble);

// How often the task, or its chunk, has found no room at a worker: from the first time on it goes
// to a worker that is chosen for its room. A chunk may be given up once without that: what is made
// again in no time is not even written to disk.
uint32_t tsi_sched_trouble_squeezes(const struct tsi_sched_job *job, uint32_t task);

#endif
