// SPDX-License-Identifier: Apache-2.0
//
// What detached jobs have made and nobody has: their clients left, and no other one has come. It is
// kept for a while and up to a number of bytes of all together. What is over either is given up as
// if it had been released, the oldest first, and the driver hears which of the two it was, for
// whoever asks later. Of those that came to be nobody's at once, as all do when a scheduler is
// started again, the one with the lowest number is the oldest.
//
// What is given up or back while another job reads it stays until that one is gone, but nobody can
// have it any more.

#include <stdio.h>

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
            const uint64_t elements = (uint64_t)tsi_grid_element_count(&op->array);
            bytes = tsi_saturate_add(
                bytes, tsi_saturate_multiply(elements, tess_dtype_bytes((tess_dtype)op->dtype)));
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

// Whether its time runs. One that has failed since, as when a chunk of it could not be made again,
// goes for that, and takes no room from others.
static bool
waits(const struct tsi_sched_job *job)
{
    return job != NULL && job->expires_ns != 0 && !job->released && !job->doomed && !job->dropping;
}

const char *
tsi_sched_result_text(tess_status why)
{
    return why == TESS_ETIMEOUT
               ? "nobody came for the result of this compute in the time that the scheduler keeps "
                 "results (--result-lease)"
               : "the result of this compute was given up: those that nobody came for took more "
                 "than the scheduler keeps (--result-limit)";
}

bool
tsi_sched_result_is_gone(const struct tsi_sched *sched, uint32_t number, tess_status *why)
{
    const struct tsi_sched_job *job = tsi_sched_job_find(sched, number);
    const bool is_gone =
        job != NULL && job->detached && job->released && !TSI_PLANTED(undead_result);
    *why = is_gone ? job->status : TESS_OK;
    return is_gone;
}

static void
give_up(struct tsi_sched *sched, struct tsi_sched_job *job, tess_status why)
{
    snprintf(job->text, sizeof job->text, "%s", tsi_sched_result_text(why));
    job->status = why;
    job->released = true;
    job->expires_ns = 0;
    sched->settle_due = true;
}

static bool
is_older(const struct tsi_sched_job *job, const struct tsi_sched_job *other)
{
    if (job->expires_ns == other->expires_ns || TSI_PLANTED(unordered_results)) {
        return job->id < other->id;
    }
    return job->expires_ns < other->expires_ns;
}

// The result that would be given up first, or NULL.
static struct tsi_sched_job *
find_oldest(const struct tsi_sched *sched)
{
    struct tsi_sched_job *oldest = NULL;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (waits(job) && (oldest == NULL || is_older(job, oldest))) {
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
        bytes += waits(job) ? tsi_sched_result_bytes(job->program) : 0;
    }
    struct tsi_sched_job *job = find_oldest(sched);
    for (; job != NULL && bytes > sched->config.result_bytes_max; job = find_oldest(sched)) {
        bytes -= tsi_sched_result_bytes(job->program) / (TSI_PLANTED(greedy_results) ? 2 : 1);
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
        if (waits(job) && job->expires_ns <= sched->now_ns) {
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
        if (waits(job) && job->expires_ns < due) {
            due = job->expires_ns;
        }
    }
    return due;
}
