// SPDX-License-Identifier: Apache-2.0
//
// Task records: what the scheduler knows of one task, in 16 bytes. All zero is a task that nobody
// asked for yet, or that nobody will ask for again, so that the records of a job are pages that
// cost nothing until they are touched, and that go back when all their tasks are done.
//
//     state      where                      link                  count
//     RELEASED   –                          –                     –
//     WAITING    rank                       –                     inputs that are not there
//     QUEUED     rank                       ticket of its place   0
//     ASSIGNED   slot of the worker         its attempt           0
//     MEMORY     slot of a worker that      set of holders, or 0  inline cell + 1, or 0
//     DURABLE    holds it, or SLOT_NONE
//     ERRED      slot of the worker         –                     –
//
// `users_left` counts the claims on an active task: its users that have still to run, one for each
// use, and one while it is an unsatisfied target. A RELEASED task counts none.

#ifndef TSI_SCHED_TASK_H
#define TSI_SCHED_TASK_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum tsi_task_state {
    TSI_TASK_RELEASED,
    TSI_TASK_WAITING,  // for inputs
    TSI_TASK_QUEUED,   // ready, held by the scheduler
    TSI_TASK_ASSIGNED, // a worker has it
    TSI_TASK_MEMORY,   // its chunk is there
    TSI_TASK_DURABLE,  // its chunk has no bytes: it stays when its holders are lost
    TSI_TASK_ERRED,
    TSI_TASK_STATES
};

#define TSI_SLOT_NONE UINT32_C(0xFFFFFFFF)

// The largest number of inputs of one task.
#define TSI_TASK_DEPS_MAX UINT32_C(0xFFFFFF)

struct tsi_sched_task {
    uint32_t where;
    uint32_t link;
    uint32_t users_left;
    uint32_t bits; // count << 8 | state
};

static_assert(sizeof(struct tsi_sched_task) == 16, "a task record has 16 bytes");

static inline enum tsi_task_state
tsi_sched_task_state(const struct tsi_sched_task *task)
{
    return (enum tsi_task_state)(task->bits & 7);
}

// Whether the task is on its way to its chunk.
static inline bool
tsi_sched_task_is_pending(enum tsi_task_state state)
{
    return state == TSI_TASK_WAITING || state == TSI_TASK_QUEUED || state == TSI_TASK_ASSIGNED;
}

// Whether the chunk is there.
static inline bool
tsi_sched_task_is_there(const struct tsi_sched_task *task)
{
    const enum tsi_task_state state = tsi_sched_task_state(task);
    return state == TSI_TASK_MEMORY || state == TSI_TASK_DURABLE;
}

static inline uint32_t
tsi_sched_task_count(const struct tsi_sched_task *task)
{
    return task->bits >> 8;
}

static inline void
tsi_sched_task_set_count(struct tsi_sched_task *task, uint32_t count)
{
    task->bits = (task->bits & 0xFF) | count << 8;
}

// Whether a task may go from one state to another.
static inline bool
tsi_sched_task_may_move(enum tsi_task_state from, enum tsi_task_state to)
{
    enum {
        RELEASED = 1 << TSI_TASK_RELEASED,
        WAITING = 1 << TSI_TASK_WAITING,
        QUEUED = 1 << TSI_TASK_QUEUED,
        ASSIGNED = 1 << TSI_TASK_ASSIGNED,
        MEMORY = 1 << TSI_TASK_MEMORY,
        DURABLE = 1 << TSI_TASK_DURABLE,
        ERRED = 1 << TSI_TASK_ERRED,
    };
    static const uint8_t allowed[TSI_TASK_STATES] = {
        [TSI_TASK_RELEASED] = WAITING | QUEUED | MEMORY | DURABLE,
        [TSI_TASK_WAITING] = QUEUED | MEMORY | RELEASED,
        [TSI_TASK_QUEUED] = WAITING | ASSIGNED | RELEASED,
        [TSI_TASK_ASSIGNED] = MEMORY | DURABLE | RELEASED | ERRED,
        [TSI_TASK_MEMORY] = RELEASED,
        [TSI_TASK_DURABLE] = RELEASED,
        [TSI_TASK_ERRED] = 0,
    };
    return (allowed[from] >> to & 1) != 0;
}

const char *tsi_sched_task_state_name(enum tsi_task_state state);

#endif
