// SPDX-License-Identifier: Apache-2.0
//
// Clients come and go. The jobs of one that went wait for somebody to claim them, with all that is
// there but begin nothing, and are cancelled after a while. Those that it detached go on: what they
// were to deliver is not delivered to anybody, and counts as taken; what they keep is kept, see
// sched_result.c.

#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

void
tsi_sched_on_client_joined(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    if (event->peer == TSI_PEER_NONE || tsi_map_get(&sched->peers, event->peer) != NULL) {
        sched->stale_reports++;
        return;
    }
    if (tsi_sched_peer_add_client(sched, event->peer) == NULL) {
        // Its jobs will be refused as those of a client that is not known.
        sched->stale_reports++;
    }
}

static bool
reads_held(const struct tsi_sched_job *job)
{
    for (int i = 0; i < job->program->op_count; i++) {
        if (job->ops[i].work == TSI_WORK_HELD) {
            return true;
        }
    }
    return false;
}

// Takes the targets of a job that nobody else will take.
static void
take_targets(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    tsi_vec_clear(&job->ready);
    job->ready_sent = 0;
    for (uint32_t i = 0; i < job->cursor_count; i++) {
        const uint32_t op = job->cursors[i].op;
        const uint32_t base = job->ops[op].base;
        if (job->ops[op].target_mode != TSI_TARGET_DELIVER) {
            continue;
        }
        for (uint32_t task = base; task - base < job->ops[op].count; task++) {
            if (tsi_sched_task_is_there(&job->tasks[task])) {
                tsi_sched_target_satisfied(sched, job, op, task);
            }
        }
    }
}

// Ends a job for want of its client, unless it goes on without one.
static void
leave_job(struct tsi_sched *sched, struct tsi_sched_job *job, bool lease_over)
{
    if (job->detached && !reads_held(job)) {
        if (!lease_over && !job->ended) {
            take_targets(sched, job);
        }
        tsi_sched_result_wait(sched, job);
    } else if (job->ended && lease_over) {
        job->released = true;
        sched->settle_due = true;
    } else if (lease_over || reads_held(job)) {
        tsi_sched_job_doom(sched, job, TESS_ECANCELLED, "the client of the job left");
    } else {
        job->away = true;
    }
}

static void
leave_jobs(struct tsi_sched *sched, uint32_t client, bool lease_over)
{
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && job->client == client && !job->dropping && !job->doomed) {
            leave_job(sched, job, lease_over);
        }
    }
}

void
tsi_sched_on_client_left(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_client *client = tsi_sched_peer_client(sched, event->peer);
    if (client == NULL || client->left) {
        sched->stale_reports++;
        return;
    }
    client->left = true;
    client->lease_ns = tsi_saturate_add(sched->now_ns, sched->config.client_lease_ns);
    leave_jobs(sched, event->peer, false);
    if (sched->config.client_lease_ns == 0 || event->client_left.clean) {
        tsi_sched_on_lease_over(sched, event->peer);
    }
}

void
tsi_sched_on_lease_over(struct tsi_sched *sched, uint32_t peer)
{
    leave_jobs(sched, peer, true);
    tsi_sched_peer_remove_client(sched, peer);
}
