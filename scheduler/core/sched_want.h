// SPDX-License-Identifier: Apache-2.0
//
// Which tasks will ever be demanded. A program may make more chunks than its targets need; a task
// that nobody will demand has no claims, or the chunks it reads would be kept for it in vain.

#ifndef TSI_SCHED_WANT_H
#define TSI_SCHED_WANT_H

#include <stdbool.h>
#include <stdint.h>

struct tsi_sched_job;

// Finds the operations of which every task is wanted; false when memory is out.
bool tsi_sched_want_init(struct tsi_sched_job *job);
void tsi_sched_want_fini(struct tsi_sched_job *job);

// Whether a target needs `task` of operation `op`.
bool tsi_sched_want(struct tsi_sched_job *job, uint32_t op, uint32_t task);

#endif
