// SPDX-License-Identifier: Apache-2.0
//
// A hash of the state. Everything that decides what happens next goes in, in an order that follows
// from the state alone: slots, lists, active tasks. Addresses and spare memory do not.

#include "scheduler/core/sched_state.h"

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash ^= value + UINT64_C(0x9E3779B97F4A7C15) + (hash << 6) + (hash >> 2);
    hash *= UINT64_C(0xFF51AFD7ED558CCD);
    return hash ^ hash >> 32;
}

static uint64_t
mix_heap(uint64_t hash, const struct tsi_sched_heap *heap)
{
    hash = mix(hash, heap->places.count);
    for (size_t i = 0; i < heap->places.count; i++) {
        const struct tsi_sched_place *place = &heap->places.items[i];
        hash = mix(hash, (uint64_t)place->rank << 32 | place->ticket);
        hash = mix(hash, (uint64_t)place->job_slot << 32 | place->task);
    }
    return hash;
}

static uint64_t
mix_worker(uint64_t hash, const struct tsi_sched_worker *worker)
{
    hash = mix(hash, worker->peer);
    if (worker->peer == TSI_PEER_NONE) {
        return hash;
    }
    hash = mix(hash, worker->heard_ns);
    hash = mix(hash, worker->refused_until_ns);
    hash = mix(hash, (worker->suspect ? 1U : 0U) | (worker->draining ? 2U : 0U) |
                         (worker->drained_told ? 4U : 0U) | (worker->drained_due ? 8U : 0U));
    hash = mix(hash, worker->next_sequence);
    hash = mix(hash, worker->held_bytes);
    hash = mix(hash, worker->reserved_bytes);
    hash = mix(hash, worker->queued_us);
    hash = mix(hash, worker->stripe);
    uint32_t at = worker->attempt_first;
    while (at != TSI_ATTEMPT_NONE) {
        const struct tsi_sched_attempt *attempt = &worker->attempts.items[at];
        hash = mix(hash, (uint64_t)attempt->sequence << 32 | attempt->task);
        hash = mix(hash, (uint64_t)attempt->job_slot << 32 | attempt->rank);
        hash = mix(hash, (attempt->retracting ? 1U : 0U) | (attempt->has_copy ? 2U : 0U));
        at = attempt->next;
    }
    hash = mix(hash, worker->frees.count - worker->frees_sent);
    hash = mix(hash, worker->assigns.count - worker->assigns_sent);
    return mix_heap(mix_heap(hash, &worker->heap), &worker->steered);
}

static uint64_t
mix_tasks(uint64_t hash, const struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    const uint32_t count = job->program->task_count;
    for (uint32_t block = 0; (uint64_t)block * TSI_SCHED_BLOCK < count; block++) {
        const uint32_t first = block * TSI_SCHED_BLOCK;
        for (uint32_t i = 0; job->active[block] > 0 && i < TSI_SCHED_BLOCK && i < count - first;
             i++) {
            const struct tsi_sched_task *record = &job->tasks[first + i];
            if (tsi_sched_task_state(record) == TSI_TASK_RELEASED) {
                continue;
            }
            hash = mix(hash, (uint64_t)(first + i) << 32 | record->bits);
            hash = mix(hash, (tsi_sched_job_is_opened(job, first + i) ? 1U : 0U) |
                                 (tsi_sched_job_is_satisfied(job, first + i) ? 2U : 0U));
            hash = mix(hash, (uint64_t)record->where << 32 | record->users_left);
            if (!tsi_sched_task_is_there(record)) {
                hash = mix(hash, record->link);
                continue;
            }
            uint32_t slot = tsi_sched_chunk_holder(sched, record, 0);
            for (; slot != TSI_SLOT_NONE; slot = tsi_sched_chunk_holder(sched, record, slot + 1)) {
                hash = mix(hash, slot);
            }
        }
    }
    return hash;
}

static uint64_t
mix_job(uint64_t hash, const struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    hash = mix(hash, job->id);
    hash = mix(hash, job->client);
    hash = mix(hash, (uint64_t)job->next_rank << 32 | job->open_stripe);
    hash = mix(hash, (uint64_t)job->placed_task << 32 | job->placed_slot);
    hash = mix(hash, job->tasks_done);
    hash = mix(hash, job->tasks_run);
    hash = mix(hash, job->targets_done);
    hash = mix(hash, job->deliver_bytes);
    hash = mix(hash, (job->doomed ? 1U : 0U) | (job->ended ? 2U : 0U) | (job->released ? 4U : 0U) |
                         (job->dropping ? 8U : 0U) | (job->disturbed ? 16U : 0U) |
                         (job->end_due ? 32U : 0U));
    hash = mix(hash, (uint64_t)job->status);
    hash = mix(hash, job->expires_ns);
    for (size_t i = 0; i < job->stack.count; i++) {
        hash = mix(hash, (uint64_t)job->stack.items[i].task << 32 | job->stack.items[i].rank);
    }
    for (uint32_t i = 0; i < job->cursor_count; i++) {
        hash = mix(hash, job->cursors[i].next);
    }
    for (int i = 0; i < job->program->op_count; i++) {
        hash = mix(hash, (uint64_t)job->ops[i].duration_us << 1 | job->ops[i].is_measured);
    }
    for (size_t i = 0; !job->dropping && i < ((size_t)job->program->task_count + 63) / 64; i++) {
        hash = mix(hash, job->retired[i]);
    }
    return job->dropping ? hash : mix_tasks(hash, sched, job);
}

uint64_t
tsi_sched_digest(const struct tsi_sched *sched)
{
    uint64_t hash = mix(sched->config.seed, sched->now_ns);
    hash = mix(hash, sched->next_job);
    hash = mix(hash, sched->rank_now);
    hash = mix(hash, sched->next_ticket);
    hash = mix(hash, sched->tasks_done);
    hash = mix(hash, sched->stale_reports);
    hash = mix(hash, sched->turn);
    hash = mix(hash, sched->duration_us);
    for (size_t i = 0; i < sched->workers.count; i++) {
        hash = mix_worker(hash, sched->workers.items[i]);
    }
    for (size_t i = 0; i < sched->clients.count; i++) {
        hash = mix(hash, (uint64_t)sched->clients.items[i].peer << 1 |
                             (sched->clients.items[i].left ? 1 : 0));
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL) {
            hash = mix_job(hash, sched, sched->jobs.items[i]);
        }
    }
    for (size_t i = 0; i < sched->hungry.count; i++) {
        hash = mix(mix(hash, sched->hungry.items[i]), sched->starving.items[i]);
    }
    for (size_t i = 0; i < sched->stripes.items.count; i++) {
        const struct tsi_sched_stripe *stripe = &sched->stripes.items.items[i];
        hash = mix(hash, (uint64_t)stripe->ticket << 32 | stripe->owner);
        hash = mix(hash, stripe->ticket == 0 ? 0 : stripe->tasks.count - stripe->first);
    }
    hash = mix_heap(hash, &sched->loose);
    for (size_t i = 0; i < sched->retries.count; i++) {
        hash = mix(hash, sched->retries.items[i].due_ns);
        hash = mix(hash, sched->retries.items[i].task);
    }
    for (size_t i = 0; i < sched->copies.count; i++) {
        hash = mix(hash, sched->copies.items[i].key);
        hash = mix(hash, sched->copies.items[i].to);
    }
    return hash;
}
