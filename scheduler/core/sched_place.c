// SPDX-License-Identifier: Apache-2.0
//
// Placement by bytes. An input with more holders than a few is no reason to go to any of them: it
// is soon everywhere, so it is left out.

#include "scheduler/core/sched_place.h"

#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

enum {
    HOLDERS_MAX = 8,
    // Among as many workers a task that finds no room goes around.
    ROOMIEST = 8,
};

// A guess of what the network moves, and of what a fetch takes besides.
static const uint64_t bytes_per_us = 1000;
static const uint64_t fetch_us = 200;

static uint64_t
chunk_bytes(const struct tsi_sched_chunk *chunk)
{
    const uint64_t bytes = tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
    return bytes > 0 ? bytes : 1;
}

// Whether worker `a` with `score` bytes is better than `b` with `best`.
static bool
is_better(const struct tsi_sched_worker *a, uint64_t score, const struct tsi_sched_worker *b,
          uint64_t best)
{
    if (score != best) {
        return score > best;
    }
    const uint64_t load_a =
        (uint64_t)(a->outstanding + a->heap.places.count) * (uint64_t)b->threads;
    const uint64_t load_b =
        (uint64_t)(b->outstanding + b->heap.places.count) * (uint64_t)a->threads;
    return load_a != load_b ? load_a < load_b : a->slot < b->slot;
}

uint32_t
tsi_sched_place_best(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    uint64_t *scores = sched->scores.items;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        if (chunk.record->link != 0 &&
            tsi_sched_chunk_holder_count(sched, chunk.record) > HOLDERS_MAX) {
            continue;
        }
        const uint64_t bytes = chunk_bytes(&chunk);
        uint32_t slot = tsi_sched_chunk_holder(sched, chunk.record, 0);
        for (; slot != TSI_SLOT_NONE;
             slot = tsi_sched_chunk_holder(sched, chunk.record, slot + 1)) {
            scores[slot] += bytes;
        }
    }
    const struct tsi_sched_worker *best = NULL;
    uint64_t most = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        uint32_t slot = tsi_sched_chunk_holder(sched, chunk.record, 0);
        for (; slot != TSI_SLOT_NONE;
             slot = tsi_sched_chunk_holder(sched, chunk.record, slot + 1)) {
            const struct tsi_sched_worker *worker = sched->workers.items[slot];
            const uint64_t score = scores[slot];
            scores[slot] = 0;
            if (score > 0 && tsi_sched_worker_is_open(sched, worker) &&
                (best == NULL || is_better(worker, score, best, most))) {
                best = worker;
                most = score;
            }
        }
    }
    return best == NULL ? TSI_SLOT_NONE : best->slot;
}

uint64_t
tsi_sched_place_missing(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                        uint32_t task, uint32_t slot)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    uint64_t missing = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        if (!tsi_sched_chunk_is_at(sched, chunk.record, slot)) {
            missing += tsi_sched_job_bytes(chunk.job, chunk.op, chunk.task);
        }
    }
    return missing;
}

// How far `whole` goes beyond `taken`, in order from least to most, and never 0.
static uint64_t
slack(uint64_t whole, uint64_t taken)
{
    const uint64_t middle = UINT64_C(1) << 63;
    const uint64_t most = middle - 1;
    const uint64_t apart = whole > taken ? whole - taken : taken - whole;
    const uint64_t bounded = apart < most ? apart : most;
    return whole > taken ? middle + bounded : middle - bounded;
}

// The room that a worker has for a task that needs `bytes` in memory: beside nothing else in
// memory, and beside all that it holds in memory and on disk.
static uint64_t
room_for(const struct tsi_sched_worker *worker, uint64_t bytes, uint64_t fresh)
{
    const uint64_t memory = slack(worker->memory_bytes, bytes);
    const uint64_t taken =
        tsi_saturate_add(tsi_saturate_add(worker->held_bytes, worker->reserved_bytes), fresh);
    const uint64_t all = slack(tsi_saturate_add(worker->memory_bytes, worker->spill_bytes), taken);
    return memory < all ? memory : all;
}

// Notes the room that every worker has that may get tasks, now or after a pause; how many those
// are.
static uint32_t
score_room(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    uint32_t count = 0;
    const uint64_t own = tsi_sched_job_bytes(job, op, task) + job->ops[op].workspace;
    uint64_t bytes = own;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        bytes = tsi_saturate_add(bytes, tsi_sched_job_bytes(chunk.job, chunk.op, chunk.task));
    }
    for (uint32_t slot = 0; slot < sched->workers.count; slot++) {
        const struct tsi_sched_worker *worker = sched->workers.items[slot];
        if (worker->peer != TSI_PEER_NONE && !worker->suspect && !worker->draining) {
            const uint64_t missing = tsi_sched_place_missing(sched, job, op, task, slot);
            const uint64_t room = room_for(worker, bytes, tsi_saturate_add(own, missing));
            // Of equals, rather one that has not just refused something.
            sched->scores.items[slot] = room - (worker->refused_until_ns > 0 && room > 1 ? 1 : 0);
            count++;
        }
    }
    return count;
}

uint32_t
tsi_sched_place_roomiest(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op,
                         uint32_t task, uint32_t squeezes)
{
    const uint32_t count = score_room(sched, job, op, task);
    const uint32_t among = count < ROOMIEST ? count : ROOMIEST;
    const uint32_t rounds = count == 0 ? 0 : (squeezes - 1) % among + 1;
    uint32_t best = TSI_SLOT_NONE;
    for (uint32_t i = 0; i < rounds; i++) {
        best = 0;
        for (uint32_t slot = 1; slot < sched->workers.count; slot++) {
            best = sched->scores.items[slot] > sched->scores.items[best] ? slot : best;
        }
        sched->scores.items[best] = 0;
    }
    for (uint32_t slot = 0; slot < sched->workers.count; slot++) {
        sched->scores.items[slot] = 0;
    }
    return best;
}

bool
tsi_sched_place_pays(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task,
                     const struct tsi_sched_worker *thief, const struct tsi_sched_worker *victim)
{
    if (!tsi_sched_worker_is_open(sched, victim)) {
        return true;
    }
    const uint32_t op = tsi_sched_job_op(job, task);
    const uint64_t missing = tsi_sched_place_missing(sched, job, op, task, thief->slot);
    const uint64_t there_us =
        victim->queued_us + (uint64_t)victim->heap.places.count * job->ops[op].duration_us;
    return fetch_us + missing / bytes_per_us < there_us / (uint64_t)victim->threads;
}
