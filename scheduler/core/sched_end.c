// SPDX-License-Identifier: Apache-2.0
//
// The end of jobs.
//
// A job ends well when all its targets are taken, kept or run, or badly when it was doomed. With
// kept chunks it stays after a good end until it is released, or given up; then, as after every
// other end, it is *dropping*: its tasks and chunks are taken off the books at once, the workers
// that know it are told one after the other, and last the driver gets the program back. A job whose
// kept chunks another job uses stays until that one is gone; if it fails, so do those that use it.

#include <string.h>

#include "engine/base/check.h"
#include "scheduler/core/sched_state.h"

// Takes the job's attempts from a worker.
static void
drop_attempts(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t job_slot)
{
    uint32_t at = worker->attempt_first;
    while (at != TSI_ATTEMPT_NONE) {
        const struct tsi_sched_attempt *attempt = &worker->attempts.items[at];
        const uint32_t next = attempt->next;
        if (attempt->job_slot == job_slot) {
            tsi_sched_worker_remove_attempt(worker, at);
            sched->tasks_assigned--;
            tsi_sched_wake(sched, worker->slot);
        }
        at = next;
    }
}

// Takes the chunks of the job from the workers' ledgers.
static void
drop_chunks(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    const uint32_t count = job->program->task_count;
    for (uint32_t block = 0; (uint64_t)block * TSI_SCHED_BLOCK < count; block++) {
        if (job->active[block] == 0) {
            continue;
        }
        const uint32_t first = block * TSI_SCHED_BLOCK;
        for (uint32_t task = first; task < count && task - first < TSI_SCHED_BLOCK; task++) {
            const uint32_t op = tsi_sched_task_is_there(&job->tasks[task])
                                    ? tsi_sched_job_op(job, task)
                                    : UINT32_MAX;
            if (op != UINT32_MAX && job->ops[op].work != TSI_WORK_KEPT) {
                const struct tsi_sched_chunk chunk = {job, op, task, &job->tasks[task]};
                tsi_sched_chunk_clear(sched, &chunk, false);
            }
        }
    }
}

static void
drop_waiters(struct tsi_sched_job *maker, uint32_t job)
{
    size_t kept = 0;
    for (size_t i = 0; i < maker->waiters.count; i++) {
        if (maker->waiters.items[i].job != job) {
            maker->waiters.items[kept++] = maker->waiters.items[i];
        }
    }
    maker->waiters.count = kept;
}

// Gives up the kept chunks of other jobs that this one used.
static void
drop_refs(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    for (int i = 0; i < job->program->op_count; i++) {
        const uint32_t slot = job->ops[i].kept_slot;
        if (slot != TSI_SLOT_NONE) {
            struct tsi_sched_job *maker = sched->jobs.items[slot];
            drop_waiters(maker, job->id);
            maker->refs--;
            job->ops[i].kept_slot = TSI_SLOT_NONE;
            sched->settle_due = true;
        }
    }
}

static void
drop_retries(struct tsi_sched *sched, uint32_t job)
{
    size_t kept = 0;
    for (size_t i = 0; i < sched->retries.count; i++) {
        if (sched->retries.items[i].job != job) {
            sched->retries.items[kept++] = sched->retries.items[i];
        }
    }
    sched->retries.count = kept;
}

static bool
uses(const struct tsi_sched_job *job, uint32_t slot)
{
    for (int i = 0; i < job->program->op_count; i++) {
        if (job->ops[i].kept_slot == slot) {
            return true;
        }
    }
    return false;
}

// Dooms the jobs that use kept chunks of this one.
static void
doom_users(struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    for (size_t i = 0; i < sched->jobs.count && job->refs > 0; i++) {
        struct tsi_sched_job *user = sched->jobs.items[i];
        if (user != NULL && !user->dropping && uses(user, job->slot)) {
            tsi_sched_job_doom(sched, user, job->status, "an input kept by job %u is gone: %s",
                               job->id, job->text);
        }
    }
}

// Takes the job off all books. What is left is to tell.
static void
drop(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    doom_users(sched, job);
    for (size_t i = 0; i < sched->workers.count; i++) {
        drop_attempts(sched, sched->workers.items[i], job->slot);
    }
    drop_chunks(sched, job);
    sched->queued -= job->counts[TSI_TASK_QUEUED];
    tsi_sched_ready_purge(sched, job->slot);
    drop_retries(sched, job->id);
    tsi_sched_drain_forget_job(sched, job->id);
    drop_refs(sched, job);
    job->dropping = true;
    job->drop_slot = 0;
    tsi_vec_clear(&job->ready);
    job->ready_sent = 0;
    sched->emit_due = true;
    sched->policy_due = true;
    sched->drain_due = true;
}

static bool
keeps(const struct tsi_sched_job *job)
{
    for (int i = 0; i < job->program->target_count; i++) {
        if (job->program->targets[i].mode == TSI_TARGET_KEEP) {
            return true;
        }
    }
    return false;
}

// One look at a job; true if something changed.
static bool
settle_one(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    if (job->dropping) {
        return false;
    }
    if (job->doomed) {
        tsi_sched_peak_of_job(sched, job);
        job->end_due = !job->ended;
        job->ended = true;
        drop(sched, job);
        return true;
    }
    if (job->detached && job->released && !job->ended && job->refs == 0) {
        tsi_sched_job_doom(sched, job, TESS_ECANCELLED, "released before it was computed");
        return true;
    }
    if (!job->ended && !job->away && job->targets_done == job->targets_total) {
        tsi_sched_peak_of_job(sched, job);
        job->ended = true;
        job->end_due = true;
        sched->emit_due = true;
        if (!keeps(job)) {
            job->released = true;
        }
        tsi_sched_result_wait(sched, job);
    }
    if (job->ended && job->released && job->refs == 0) {
        drop(sched, job);
        return true;
    }
    return false;
}

bool
tsi_sched_job_settle(struct tsi_sched *sched)
{
    bool dropped = false;
    while (sched->settle_due) {
        sched->settle_due = false;
        for (size_t i = 0; i < sched->jobs.count; i++) {
            if (sched->jobs.items[i] != NULL && settle_one(sched, sched->jobs.items[i])) {
                sched->settle_due = true;
                dropped = true;
            }
        }
    }
    return dropped;
}

// The job that `task` is a target of has one target less to wait for.
static void
count_done(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    job->targets_done++;
    if (job->targets_done == job->targets_total) {
        sched->settle_due = true;
    }
}

void
tsi_sched_target_satisfied(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                           uint32_t task)
{
    if (tsi_sched_job_is_satisfied(job, task)) {
        return;
    }
    if (job->ops[op].target_mode == TSI_TARGET_DELIVER) {
        TSI_CHECK(tsi_sched_job_is_opened(job, task));
        job->deliver_bytes -= tsi_sched_job_bytes(job, op, task);
        job->deliver_count--;
        sched->policy_due = true;
    }
    tsi_sched_bits_set(job->satisfied, task);
    count_done(sched, job);
    tsi_sched_hold_drop(sched, job, task);
}

// Whether the client of a job is there to take its targets.
static bool
has_client(const struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, job->client);
    return client != NULL && !client->left;
}

void
tsi_sched_target_reached(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                         uint32_t task)
{
    if (tsi_sched_job_is_satisfied(job, task)) {
        return;
    }
    switch (job->ops[op].target_mode) {
    case TSI_TARGET_DELIVER:
        if (job->detached && !has_client(sched, job)) {
            tsi_sched_target_satisfied(sched, job, op, task);
        } else if (!tsi_vec_push(&job->ready, task)) {
            tsi_sched_job_doom_memory(sched, job);
        }
        sched->emit_due = true;
        break;
    case TSI_TARGET_KEEP:
        count_done(sched, job);
        if (job->waiters.count > 0) {
            tsi_sched_activate_waiters(sched, job, task);
        }
        break;
    default:
        tsi_sched_target_satisfied(sched, job, op, task);
        break;
    }
}

// Tells the client again where an open target is.
static void
tell_again(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    if (job->ops[op].target_mode != TSI_TARGET_DELIVER || !tsi_sched_task_is_there(record) ||
        tsi_sched_job_is_satisfied(job, task) || !tsi_sched_job_is_opened(job, task) ||
        !has_client(sched, job)) {
        return;
    }
    if (!tsi_vec_push(&job->ready, task)) {
        tsi_sched_job_doom_memory(sched, job);
    }
    sched->emit_due = true;
}

void
tsi_sched_target_moved(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                       uint32_t task)
{
    tell_again(sched, job, op, task);
    for (size_t i = 0; i < sched->jobs.count && job->refs > 0; i++) {
        struct tsi_sched_job *user = sched->jobs.items[i];
        if (user == NULL || user->dropping) {
            continue;
        }
        for (int k = 0; k < user->program->op_count; k++) {
            const struct tsi_sched_op *info = &user->ops[k];
            const uint32_t chunk = task - user->program->ops[k].kept.base;
            if (info->kept_slot == job->slot && chunk < info->count) {
                tell_again(sched, user, (uint32_t)k, info->base + chunk);
            }
        }
    }
}
