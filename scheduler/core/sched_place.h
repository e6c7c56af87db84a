// SPDX-License-Identifier: Apache-2.0
//
// Where a ready task runs best. Decisions and no effects; integers only, so that they are the same
// everywhere.

#ifndef TSI_SCHED_PLACE_H
#define TSI_SCHED_PLACE_H

#include <stdbool.h>
#include <stdint.h>

struct tsi_sched;
struct tsi_sched_job;
struct tsi_sched_worker;

// The worker that holds most bytes of the task's inputs, the one with less to do if several do,
// then the one in the lowest slot; TSI_SLOT_NONE if no worker that may get tasks holds any of them.
uint32_t tsi_sched_place_best(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                              uint32_t task);

// The worker with most room for a task that found none `squeezes` times before. After the first
// time it is the second, and so on around a few: the books may be wrong about any of them, as when
// a disk is full. TSI_SLOT_NONE if no worker may get tasks.
uint32_t tsi_sched_place_roomiest(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                                  uint32_t task, uint32_t squeezes);

// Whether a worker with nothing to do should take a task from the heap of `victim`: it does if
// fetching the inputs takes less time than the task would wait there.
bool tsi_sched_place_pays(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                          const struct tsi_sched_worker *thief,
                          const struct tsi_sched_worker *victim);

// Bytes of the inputs of a task that the worker does not have.
uint64_t tsi_sched_place_missing(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                                 uint32_t task, uint32_t slot);

#endif
