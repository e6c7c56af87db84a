// SPDX-License-Identifier: Apache-2.0
//
// The invariants of one job, task by task. sched_verify.c has the list.

#include "scheduler/core/sched_verify.h"
#include "scheduler/core/sched_want.h"

// What is added up while going through a job.
struct sums {
    uint64_t states[TSI_TASK_STATES];
    uint64_t targets_done;
    uint64_t targets_active;
    uint64_t deliver_bytes;
    uint64_t deliver_count;
    uint64_t tasks_done;
};

static struct tsi_sched *
unconst(const struct tsi_verify *verify)
{
    // The lookups take the core as it may be changed by others, and change nothing.
    return (struct tsi_sched *)(uintptr_t)verify->sched;
}

static bool
still_claims(struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[task]);
    return tsi_sched_task_is_pending(state) ||
           (state == TSI_TASK_RELEASED && !tsi_sched_job_is_retired(job, task) &&
            tsi_sched_want(job, op, task));
}

static void
check_claims(struct tsi_verify *verify, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    const bool wanted =
        job->ops[op].target_mode != TSI_SCHED_NO_TARGET && !tsi_sched_job_is_satisfied(job, task);
    uint64_t claims = wanted ? 1 : 0;
    struct tsi_sched_walk walk;
    uint32_t user = 0;
    tsi_sched_walk_users(&walk, job, op, task);
    while (tsi_sched_walk_next_user(&walk, &user)) {
        claims += still_claims(job, walk.op, user) ? 1 : 0;
    }
    tsi_verify_that(verify, claims == record->users_left, "I4: claims add up");
    tsi_verify_that(verify, claims > 0 || tsi_sched_task_state(record) == TSI_TASK_ASSIGNED,
                    "I4: claims add up");
    tsi_verify_that(verify, !tsi_sched_job_is_retired(job, task), "I4: claims add up");
}

static void
check_inputs(struct tsi_verify *verify, const struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[task]);
    uint32_t missing = 0;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_task *record = &job->tasks[dep];
        if (tsi_sched_task_is_there(record)) {
            continue;
        }
        missing++;
        const bool worked_for = tsi_sched_task_is_pending(tsi_sched_task_state(record)) ||
                                tsi_map_get(&verify->demanded, tsi_key_of(job->slot, dep)) != NULL;
        tsi_verify_that(verify, state != TSI_TASK_WAITING || worked_for,
                        "I8: waiting is worked for");
    }
    if (state == TSI_TASK_WAITING) {
        tsi_verify_that(verify, missing > 0 && missing == tsi_sched_task_count(&job->tasks[task]),
                        "I7: waiting counts its inputs");
    } else if (state == TSI_TASK_QUEUED) {
        tsi_verify_that(verify, missing == 0, "I7: ready has its inputs");
    }
}

// A kept chunk of another job is there if it is there, and waits for it otherwise.
static void
check_kept(struct tsi_verify *verify, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(unconst(verify), job, op, task);
    const struct tsi_sched_task *record = &job->tasks[task];
    const bool there = tsi_sched_task_is_there(record);
    tsi_verify_that(verify, there == tsi_sched_task_is_there(chunk.record),
                    "I3: memory has a holder");
    bool waits = false;
    for (size_t i = 0; i < chunk.job->waiters.count; i++) {
        const struct tsi_sched_waiter *waiter = &chunk.job->waiters.items[i];
        waits = waits ||
                (waiter->source == chunk.task && waiter->job == job->id && waiter->task == task);
    }
    const bool worked_for =
        tsi_sched_task_is_pending(tsi_sched_task_state(chunk.record)) ||
        tsi_map_get(&verify->demanded, tsi_key_of(chunk.job->slot, chunk.task)) != NULL;
    tsi_verify_that(verify, there || (waits && worked_for), "I8: waiting is worked for");
}

static void
check_holders(struct tsi_verify *verify, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched *sched = verify->sched;
    const struct tsi_sched_task *record = &job->tasks[task];
    uint32_t bytes = 0;
    uint32_t holders = 0;
    uint32_t slot = tsi_sched_chunk_holder(sched, record, 0);
    for (; slot != TSI_SLOT_NONE; slot = tsi_sched_chunk_holder(sched, record, slot + 1)) {
        tsi_verify_that(verify,
                        slot < sched->workers.count &&
                            sched->workers.items[slot]->peer != TSI_PEER_NONE &&
                            tsi_sched_worker_knows(sched->workers.items[slot], job),
                        "I3: holders are alive");
        if (verify->broken == NULL) {
            verify->held[slot] += tsi_sched_job_bytes(job, op, task);
        }
        holders++;
    }
    const bool has_data = tsi_sched_chunk_data(sched, record, &bytes) != NULL;
    tsi_verify_that(verify, holders > 0 || has_data || job->ops[op].work == TSI_WORK_HELD,
                    "I3: memory has a holder");
    tsi_verify_that(verify, record->link == 0 || holders > 1, "I5: sets are in use once");
    verify->sets += record->link != 0 ? 1 : 0;
    verify->cells += tsi_sched_task_count(record) > 0 ? 1 : 0;
}

static void
check_target(struct tsi_verify *verify, const struct tsi_sched_job *job, uint32_t op, uint32_t task,
             struct sums *sums)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    const enum tsi_task_state state = tsi_sched_task_state(record);
    const bool satisfied = tsi_sched_job_is_satisfied(job, task);
    const bool opened = tsi_sched_job_is_opened(job, task);
    const bool kept = job->ops[op].target_mode == TSI_TARGET_KEEP;
    sums->targets_done += satisfied || (kept && tsi_sched_task_is_there(record)) ? 1 : 0;
    sums->targets_active += tsi_sched_task_is_pending(state) ? 1 : 0;
    if (job->ops[op].target_mode == TSI_TARGET_DELIVER && opened && !satisfied) {
        sums->deliver_bytes += tsi_sched_job_bytes(job, op, task);
        sums->deliver_count++;
    }
    if (opened && !satisfied && state == TSI_TASK_RELEASED) {
        tsi_verify_that(verify, tsi_map_get(&verify->demanded, tsi_key_of(job->slot, task)) != NULL,
                        "I8: open targets are worked for");
    }
}

static void
check_active(struct tsi_verify *verify, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    check_claims(verify, job, op, task);
    if (job->ops[op].work == TSI_WORK_KEPT) {
        check_kept(verify, job, op, task);
        return;
    }
    check_inputs(verify, job, op, task);
    if (tsi_sched_task_is_there(record)) {
        check_holders(verify, job, op, task);
    }
    if (tsi_sched_task_state(record) == TSI_TASK_QUEUED) {
        const uint64_t *ticket = tsi_map_get(&verify->places, tsi_key_of(job->slot, task));
        tsi_verify_that(verify, ticket != NULL && *ticket == record->link,
                        "I8: queued has a place");
    }
}

static void
check_task(struct tsi_verify *verify, struct tsi_sched_job *job, uint32_t op, uint32_t task,
           struct sums *sums)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    const enum tsi_task_state state = tsi_sched_task_state(record);
    const bool retired = tsi_sched_job_is_retired(job, task);
    sums->states[state]++;
    if (tsi_sched_op_runs(&job->ops[op])) {
        sums->tasks_done += retired || tsi_sched_task_is_there(record) ? 1 : 0;
    }
    if (job->ops[op].target_mode != TSI_SCHED_NO_TARGET) {
        check_target(verify, job, op, task, sums);
    }
    if (state != TSI_TASK_RELEASED) {
        check_active(verify, job, op, task);
    }
}

static void
check_blocks(struct tsi_verify *verify, const struct tsi_sched_job *job)
{
    const uint32_t count = job->program->task_count;
    for (uint32_t block = 0; (uint64_t)block * TSI_SCHED_BLOCK < count; block++) {
        const uint32_t first = block * TSI_SCHED_BLOCK;
        uint32_t active = 0;
        for (uint32_t i = 0; i < TSI_SCHED_BLOCK && i < count - first; i++) {
            const enum tsi_task_state state = tsi_sched_task_state(&job->tasks[first + i]);
            active += state != TSI_TASK_RELEASED ? 1 : 0;
        }
        tsi_verify_that(verify, active == job->active[block], "I5: states add up");
    }
}

void
tsi_verify_job(struct tsi_verify *verify, struct tsi_sched_job *job)
{
    struct sums sums = {0};
    check_blocks(verify, job);
    for (int op = 0; op < job->program->op_count; op++) {
        const struct tsi_sched_op *info = &job->ops[op];
        for (uint32_t i = 0; i < info->count && verify->broken == NULL; i++) {
            check_task(verify, job, (uint32_t)op, info->base + i, &sums);
        }
    }
    for (int state = 0; state < TSI_TASK_STATES; state++) {
        tsi_verify_that(verify, sums.states[state] == job->counts[state], "I5: states add up");
    }
    tsi_verify_that(
        verify,
        sums.targets_done == job->targets_done && sums.targets_active == job->targets_active &&
            sums.deliver_bytes == job->deliver_bytes && sums.deliver_count == job->deliver_count,
        "I5: targets add up");
    tsi_verify_that(verify, sums.tasks_done == job->tasks_done, "I5: done tasks add up");
}
