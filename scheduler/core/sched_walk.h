// SPDX-License-Identifier: Apache-2.0
//
// Steps through the tasks that a task reads, and through those that read it.

#ifndef TSI_SCHED_WALK_H
#define TSI_SCHED_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/core/sched_job.h"

struct tsi_sched_walk {
    const struct tsi_sched_job *job;
    uint32_t from;  // operation of the task that the walk started at
    uint32_t chunk; // of that task
    uint32_t at;    // input or edge to come
    uint32_t end;
    uint32_t op; // of the tasks that are being given
    bool in_set;
    struct tsi_chunk_set set;
};

// The parts of the calls below that are not in every walk.
bool tsi_sched_walk_step_dep(struct tsi_sched_walk *walk, uint32_t *task);
bool tsi_sched_walk_step_user(struct tsi_sched_walk *walk, uint32_t *task);

static inline void
tsi_sched_walk_start(struct tsi_sched_walk *walk, const struct tsi_sched_job *job, uint32_t op,
                     uint32_t task)
{
    walk->job = job;
    walk->from = op;
    walk->chunk = task - job->ops[op].base;
    walk->in_set = false;
}

// Whether nothing is left to be given; most tasks of a large job read nothing, or nobody reads
// them.
static inline bool
tsi_sched_walk_is_over(const struct tsi_sched_walk *walk)
{
    return !walk->in_set && walk->at == walk->end;
}

// The tasks that `task` of operation `op` reads, once for each input that does. Files are no tasks.
static inline void
tsi_sched_walk_deps(struct tsi_sched_walk *walk, const struct tsi_sched_job *job, uint32_t op,
                    uint32_t task)
{
    tsi_sched_walk_start(walk, job, op, task);
    walk->at = 0;
    walk->end = (uint32_t)job->program->ops[op].input_count;
}

static inline bool
tsi_sched_walk_next_dep(struct tsi_sched_walk *walk, uint32_t *task)
{
    return !tsi_sched_walk_is_over(walk) && tsi_sched_walk_step_dep(walk, task);
}

// Whether the tasks of an operation read none, or are read by none; what would walk need not begin.
static inline bool
tsi_sched_walk_has_deps(const struct tsi_sched_job *job, uint32_t op)
{
    return job->program->ops[op].input_count > 0;
}

static inline bool
tsi_sched_walk_has_users(const struct tsi_sched_job *job, uint32_t op)
{
    return job->ops[op].edge_count > 0;
}

// The tasks that read `task` of operation `op`, once for each input that does.
static inline void
tsi_sched_walk_users(struct tsi_sched_walk *walk, const struct tsi_sched_job *job, uint32_t op,
                     uint32_t task)
{
    tsi_sched_walk_start(walk, job, op, task);
    walk->at = job->ops[op].edge_first;
    walk->end = walk->at + job->ops[op].edge_count;
}

static inline bool
tsi_sched_walk_next_user(struct tsi_sched_walk *walk, uint32_t *task)
{
    return !tsi_sched_walk_is_over(walk) && tsi_sched_walk_step_user(walk, task);
}

// How many uses there are, without stepping through them where there is a closed form.
uint64_t tsi_sched_walk_user_count(const struct tsi_sched_job *job, uint32_t op, uint32_t task);

#endif
