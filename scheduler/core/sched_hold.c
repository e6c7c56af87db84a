// SPDX-License-Identifier: Apache-2.0
//
// Claims: why a chunk is still needed.
//
// A task that will be demanded has a claim on each input, once for each use, from the beginning
// until it is done or it turns out that nobody needs it. A target has one claim more until it is
// satisfied: run, taken, or, if it is kept, for ever. A chunk is freed when the last claim on it is
// gone; the task is then *retired*, which means that it has no claims itself.
//
// A chunk that is lost gets its claims on its inputs back, for it may have to be made again. Where
// an input is RELEASED there is no counter to give them back to, and none is needed: the counter is
// made anew, by looking at all users, when the input is demanded.

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "scheduler/core/sched_state.h"
#include "scheduler/core/sched_want.h"

static bool
has_claim(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[task]);
    if (state != TSI_TASK_RELEASED) {
        return tsi_sched_task_is_pending(state);
    }
    return !tsi_sched_job_is_retired(job, task) && tsi_sched_want(job, op, task);
}

// Whether all users of an operation will be demanded.
static bool
are_users_wanted(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_sched_op *info = &job->ops[op];
    for (uint32_t i = 0; i < info->edge_count && job->answers != NULL; i++) {
        if (!job->ops[job->edges[info->edge_first + i].op].all_wanted) {
            return false;
        }
    }
    return true;
}

uint64_t
tsi_sched_hold_claims(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const bool wanted =
        job->ops[op].target_mode != TSI_SCHED_NO_TARGET && !tsi_sched_job_is_satisfied(job, task);
    uint64_t claims = wanted ? 1 : 0;
    if (!job->disturbed && tsi_sched_job_is_retired(job, task)) {
        // A target that was made as an input before its turn came is not made again.
        return 0;
    }
    if (!tsi_sched_walk_has_users(job, op)) {
        return claims;
    }
    if (!job->disturbed && are_users_wanted(job, op)) {
        // No user can be done before the first time that its input is made.
        return claims + tsi_sched_walk_user_count(job, op, task);
    }
    struct tsi_sched_walk walk;
    uint32_t user = 0;
    tsi_sched_walk_users(&walk, job, op, task);
    while (tsi_sched_walk_next_user(&walk, &user)) {
        claims += has_claim(job, walk.op, user) ? 1 : 0;
    }
    return claims;
}

// The last claim on a chunk that is there is gone.
static void
free_chunk(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    if (job->ops[op].work != TSI_WORK_KEPT) {
        const struct tsi_sched_chunk chunk = {job, op, task, &job->tasks[task]};
        tsi_sched_chunk_clear(sched, &chunk, !TSI_PLANTED(forgotten_free));
    }
    tsi_sched_job_move(job, op, task, TSI_TASK_RELEASED);
    tsi_sched_job_set_retired(job, task, true);
}

// Retires a task that is not there. What its claims were on goes to the stack.
static void
retire(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[task]);
    if (state != TSI_TASK_RELEASED) {
        sched->queued -= state == TSI_TASK_QUEUED ? 1 : 0;
        tsi_sched_job_move(job, op, task, TSI_TASK_RELEASED);
    }
    tsi_sched_job_set_retired(job, task, true);
    job->tasks_done += tsi_sched_op_runs(&job->ops[op]) ? 1 : 0;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        if (!tsi_vec_push(&sched->release_stack, tsi_key_of(job->slot, dep))) {
            tsi_sched_job_doom_memory(sched, job);
            return;
        }
    }
}

static void
drop_claim(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    struct tsi_sched_task *record = &job->tasks[task];
    switch (tsi_sched_task_state(record)) {
    case TSI_TASK_RELEASED:
        if (!tsi_sched_job_is_retired(job, task) && tsi_sched_hold_claims(job, op, task) == 0) {
            retire(sched, job, op, task);
        }
        return;
    case TSI_TASK_WAITING:
    case TSI_TASK_QUEUED:
        TSI_CHECK(record->users_left > 0);
        if (--record->users_left == 0) {
            retire(sched, job, op, task);
        }
        return;
    case TSI_TASK_ASSIGNED:
        // It runs to its end; then nobody wants its chunk.
        TSI_CHECK(record->users_left > 0);
        record->users_left--;
        return;
    default:
        TSI_CHECK(record->users_left > 0);
        if (--record->users_left == 0) {
            free_chunk(sched, job, op, task);
        }
        return;
    }
}

static void
drop_stacked(struct tsi_sched *sched)
{
    while (sched->release_stack.count > 0) {
        const uint64_t key = tsi_vec_pop(&sched->release_stack);
        struct tsi_sched_job *job = sched->jobs.items[tsi_key_job(key)];
        const uint32_t task = tsi_key_task(key);
        drop_claim(sched, job, tsi_sched_job_op(job, task), task);
    }
}

void
tsi_sched_hold_drop(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task)
{
    drop_claim(sched, job, tsi_sched_job_op(job, task), task);
    drop_stacked(sched);
}

void
tsi_sched_hold_retire(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                      uint32_t task)
{
    retire(sched, job, op, task);
    drop_stacked(sched);
}

void
tsi_sched_hold_drop_inputs(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                           uint32_t task)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        drop_claim(sched, job, walk.op, dep);
    }
    drop_stacked(sched);
}

void
tsi_sched_hold_restore_inputs(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        struct tsi_sched_task *record = &job->tasks[dep];
        if (tsi_sched_task_state(record) != TSI_TASK_RELEASED) {
            record->users_left++;
        }
    }
}

void
tsi_sched_hold_unwanted(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                        uint32_t task)
{
    free_chunk(sched, job, op, task);
}
