// SPDX-License-Identifier: Apache-2.0
//
// What detached jobs have made and nobody has: their clients left, and no other one has come. It is
// kept for a while and up to a number of bytes of all together. What is over either is given up as
// if it had been released, the oldest first, and the driver hears which of the two it was, for
// whoever asks later.

#include "engine/base/planted.h"
#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

uint64_t
tsi_sched_result_bytes(const struct tsi_program *program)
{
    uint64_t bytes = 0;
    for (int i = 0; i < program->target_count; i++) {
        const struct tsi_chunk_op *op = &program->ops[program->targets[i].op];
        if (program->targets[i].mode == TSI_TARGET_KEEP) {
            bytes += (uint64_t)tsi_grid_element_count(&op->array) *
                     tess_dtype_bytes((tess_dtype)op->dtype);
        }
    }
    return bytes;
}

static bool
is_unattended(const struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, job->client);
    return job->detached && job->ended && !job->released && !job->doomed && !job->dropping &&
           (client == NULL || client->left);
}

static void
give_up(struct tsi_sched *sched, struct tsi_sched_job *job, tess_status why)
{
    job->status = why;
    job->released = true;
    job->expires_ns = 0;
    sched->settle_due = true;
}

// The result that would be given up first, or NULL.
static struct tsi_sched_job *
find_oldest(const struct tsi_sched *sched)
{
    struct tsi_sched_job *oldest = NULL;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && job->expires_ns != 0 &&
            (oldest == NULL || job->expires_ns < oldest->expires_ns ||
             (job->expires_ns == oldest->expires_ns && job->id < oldest->id))) {
            oldest = job;
        }
    }
    return oldest;
}

// The oldest results go while all together take more than they may.
static void
keep_limit(struct tsi_sched *sched)
{
    uint64_t bytes = 0;
    for (size_t i = sched->jobs.count; i-- > 0;) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        bytes += job != NULL && job->expires_ns != 0 ? tsi_sched_result_bytes(job->program) : 0;
    }
    struct tsi_sched_job *job = find_oldest(sched);
    for (; job != NULL && bytes > sched->config.result_bytes_max; job = find_oldest(sched)) {
        bytes -= tsi_sched_result_bytes(job->program);
        give_up(sched, job, TESS_ELIMIT);
    }
}

void
tsi_sched_result_wait(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    const uint64_t lease = sched->config.result_lease_ns;
    if (sched->restoring || job->expires_ns != 0 || !is_unattended(sched, job) ||
        TSI_PLANTED(eternal_result)) {
        return;
    }
    job->expires_ns = tsi_saturate_add(sched->now_ns, lease);
    keep_limit(sched);
}

void
tsi_sched_result_timer(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && job->expires_ns != 0 && job->expires_ns <= sched->now_ns) {
            give_up(sched, job, TESS_ETIMEOUT);
        }
    }
}

uint64_t
tsi_sched_result_deadline(const struct tsi_sched *sched)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && job->expires_ns != 0 && job->expires_ns < due) {
            due = job->expires_ns;
        }
    }
    return due;
}
