// SPDX-License-Identifier: Apache-2.0
//
// Jobs are submitted, cancelled and released, and their targets taken.
//
// A program that was submitted is the core's until JOB_DROPPED gives it back, whatever comes of it;
// so a job that is refused is one that ends at once.

#include "scheduler/core/sched_state.h"

// A place in the list of jobs, TSI_SLOT_NONE when memory is out.
static uint32_t
free_job_slot(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] == NULL) {
            return (uint32_t)i;
        }
    }
    if (!tsi_vec_push(&sched->jobs, NULL)) {
        return TSI_SLOT_NONE;
    }
    return (uint32_t)(sched->jobs.count - 1);
}

// The operation of `maker` that has the chunks from task `base` on; −1 if there is none.
static int
kept_op(const struct tsi_sched_job *maker, uint32_t base, uint32_t count)
{
    for (int i = 0; i < maker->program->target_count; i++) {
        const struct tsi_target *target = &maker->program->targets[i];
        const struct tsi_sched_op *op = &maker->ops[target->op];
        if (target->mode == TSI_TARGET_KEEP && op->base == base && op->count == count &&
            tsi_sched_op_runs(op)) {
            return target->op;
        }
    }
    return -1;
}

// Finds the job that made the chunks of a KEPT operation.
static void
join_kept(struct tsi_sched *sched, struct tsi_sched_job *job, int i)
{
    const struct tsi_chunk_op *op = &job->program->ops[i];
    struct tsi_sched_job *maker =
        op->kept.job <= UINT32_MAX ? tsi_sched_job_find(sched, (uint32_t)op->kept.job) : NULL;
    if (maker == NULL || maker->client != job->client || maker->released) {
        tsi_sched_job_doom(sched, job, TESS_EINVAL,
                           "an input is kept by job %llu, which is no job "
                           "of this client that keeps anything",
                           (unsigned long long)op->kept.job);
        return;
    }
    if (kept_op(maker, op->kept.base, op->task_count) < 0) {
        tsi_sched_job_doom(sched, job, TESS_EINVAL,
                           "an input of %u chunks from task %u on is not what job %u keeps",
                           op->task_count, op->kept.base, maker->id);
        return;
    }
    job->ops[i].kept_slot = maker->slot;
    maker->refs++;
}

bool
tsi_sched_job_add(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t client,
                  uint32_t number)
{
    const uint32_t slot = free_job_slot(sched);
    const uint32_t id = number >= sched->next_job ? number : sched->next_job;
    sched->next_job = id + 1;
    if (slot == TSI_SLOT_NONE || !tsi_map_put(&sched->job_slots, id, slot)) {
        return false;
    }
    job->id = id;
    job->slot = slot;
    job->client = client;
    job->progress_ns = sched->now_ns;
    sched->jobs.items[slot] = job;
    sched->emit_due = true;
    sched->settle_due = true;
    sched->policy_due = true;
    for (int i = 0; i < job->program->op_count && !job->doomed; i++) {
        if (job->ops[i].work == TSI_WORK_KEPT && job->ops[i].count > 0) {
            join_kept(sched, job, i);
        }
    }
    return true;
}

void
tsi_sched_job_turn_down(struct tsi_sched *sched, uint32_t client, uint32_t job, uint64_t token,
                        const struct tsi_program *program)
{
    if (sched->refused_count == TSI_SCHED_REFUSED_MAX) {
        return; // the driver takes no actions out, so it cannot miss this one
    }
    sched->refused[sched->refused_count++] = (struct tsi_sched_refused){
        .client = client,
        .job = job,
        .token = token,
        .program = program,
        .steps_left = tsi_sched_peer_client(sched, client) != NULL ? 3 : 1,
    };
}

void
tsi_sched_on_job_submitted(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_client *client = tsi_sched_peer_client(sched, event->peer);
    struct tsi_sched_job *job =
        client == NULL || client->left ? NULL : tsi_sched_job_new(event->job_submitted.program);
    const uint32_t number = event->job_submitted.job;
    const uint32_t refused = number >= sched->next_job ? number : sched->next_job;
    if (job == NULL || !tsi_sched_job_add(sched, job, event->peer, number)) {
        if (job != NULL) {
            tsi_sched_job_free(job);
        }
        sched->next_job = refused + 1;
        tsi_sched_job_turn_down(sched, event->peer, refused, event->job_submitted.token,
                                event->job_submitted.program);
        return;
    }
    job->token = event->job_submitted.token;
    job->detached = event->job_submitted.detached;
    job->accept_due = true;
}

// The job of an event, if it is one of the client that the event is from.
static struct tsi_sched_job *
job_of_event(struct tsi_sched *sched, const struct tsi_sched_event *event, uint32_t id)
{
    struct tsi_sched_job *job = tsi_sched_job_find(sched, id);
    if (job == NULL || job->client != event->peer) {
        sched->stale_reports++;
        return NULL;
    }
    return job;
}

void
tsi_sched_on_job_cancelled(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_job *job = job_of_event(sched, event, event->job.job);
    if (job != NULL) {
        tsi_sched_job_doom(sched, job, TESS_ECANCELLED, "cancelled");
    }
}

void
tsi_sched_on_job_released(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_job *job = job_of_event(sched, event, event->job.job);
    if (job != NULL) {
        job->released = true;
        sched->settle_due = true;
    }
}

void
tsi_sched_on_targets_taken(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_job *job = job_of_event(sched, event, event->targets_taken.job);
    for (size_t i = 0; job != NULL && i < event->targets_taken.count; i++) {
        const uint32_t task = event->targets_taken.tasks[i];
        const uint32_t op = task < job->program->task_count ? tsi_sched_job_op(job, task) : 0;
        if (job->restored && task < job->program->task_count &&
            !tsi_sched_job_is_opened(job, task)) {
            tsi_sched_job_note_taken(sched, job, task);
            sched->settle_due = true;
            continue;
        }
        if (task >= job->program->task_count || job->ops[op].target_mode != TSI_TARGET_DELIVER ||
            !tsi_sched_job_is_opened(job, task) || tsi_sched_job_is_satisfied(job, task)) {
            sched->stale_reports++;
            continue;
        }
        tsi_sched_target_satisfied(sched, job, op, task);
    }
}
