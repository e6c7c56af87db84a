// SPDX-License-Identifier: Apache-2.0
//
// Workers have slots, small numbers that sets of holders can have a bit for. A slot is used again
// when nothing refers to it any more, which is when its worker was taken care of as lost; the peer
// number is what tells an old incarnation from a new one. The record of a slot stays, with the
// memory of its lists.
//
// The map of peers has the slot of a worker, or the complement of the place of a client.

#include "scheduler/core/sched_peer.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

struct tsi_sched_worker *
tsi_sched_peer_worker(const struct tsi_sched *sched, uint32_t peer)
{
    const uint64_t *slot = tsi_map_get(&sched->peers, peer);
    return slot != NULL && *slot < sched->workers.count ? sched->workers.items[*slot] : NULL;
}

struct tsi_sched_client *
tsi_sched_peer_client(const struct tsi_sched *sched, uint32_t peer)
{
    const uint64_t *place = tsi_map_get(&sched->peers, peer);
    return place != NULL && ~*place < sched->clients.count ? &sched->clients.items[~*place] : NULL;
}

void
tsi_sched_worker_free(struct tsi_sched_worker *worker)
{
    tsi_free(worker->name);
    tsi_vec_fini(&worker->attempts);
    tsi_vec_fini(&worker->heap.places);
    tsi_vec_fini(&worker->steered.places);
    tsi_vec_fini(&worker->known);
    tsi_vec_fini(&worker->programs);
    tsi_vec_fini(&worker->frees);
    tsi_vec_fini(&worker->assigns);
    tsi_vec_fini(&worker->locations);
    tsi_vec_fini(&worker->retracts);
    tsi_vec_fini(&worker->copies);
    tsi_free(worker);
}

// Room for one more slot in everything that has a place for each; false when memory is out.
static bool
reserve_slot(struct tsi_sched *sched)
{
    const size_t slots = sched->workers.count + 1;
    const size_t words = (slots + 63) / 64;
    if (!tsi_vec_reserve(&sched->workers, 1) || !tsi_vec_reserve(&sched->scores, 1) ||
        !tsi_vec_reserve(&sched->hungry, 1) || !tsi_vec_reserve(&sched->starving, 1) ||
        !tsi_vec_reserve(&sched->outbox, 1) || !tsi_sched_chunk_widen(sched, (uint32_t)slots)) {
        return false;
    }
    if (words > sched->hungry.count) {
        sched->hungry.items[sched->hungry.count++] = 0;
        sched->starving.items[sched->starving.count++] = 0;
        sched->outbox.items[sched->outbox.count++] = 0;
    }
    return true;
}

static struct tsi_sched_worker *
free_slot(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->workers.count; i++) {
        if (sched->workers.items[i]->peer == TSI_PEER_NONE) {
            return sched->workers.items[i];
        }
    }
    struct tsi_sched_worker *worker = tsi_calloc(1, sizeof *worker);
    if (worker == NULL || !reserve_slot(sched)) {
        tsi_free(worker);
        return NULL;
    }
    worker->slot = (uint32_t)sched->workers.count;
    sched->workers.items[sched->workers.count++] = worker;
    sched->scores.items[sched->scores.count++] = 0;
    return worker;
}

// Makes the record as it is for a new incarnation, with the memory of its lists.
static void
reset_worker(struct tsi_sched_worker *worker)
{
    struct tsi_sched_worker fresh = {.slot = worker->slot};
    fresh.attempts = worker->attempts;
    fresh.heap = worker->heap;
    fresh.steered = worker->steered;
    fresh.known = worker->known;
    fresh.programs = worker->programs;
    fresh.frees = worker->frees;
    fresh.assigns = worker->assigns;
    fresh.locations = worker->locations;
    fresh.retracts = worker->retracts;
    fresh.copies = worker->copies;
    tsi_free(worker->name);
    *worker = fresh;
    worker->attempts.count = 0;
    worker->attempt_unused = TSI_ATTEMPT_NONE;
    worker->attempt_first = TSI_ATTEMPT_NONE;
    worker->attempt_last = TSI_ATTEMPT_NONE;
    worker->stripe = TSI_STRIPE_NONE;
    worker->heap.places.count = 0;
    worker->steered.places.count = 0;
    worker->known.count = 0;
    worker->next_sequence = 1;
    tsi_sched_worker_clear_news(worker);
}

struct tsi_sched_worker *
tsi_sched_peer_add_worker(struct tsi_sched *sched, uint32_t peer, const char *name)
{
    char *copy = tsi_strdup(name == NULL ? "" : name);
    struct tsi_sched_worker *worker = copy == NULL ? NULL : free_slot(sched);
    if (worker == NULL || !tsi_vec_reserve(&sched->drops, sched->workers.count) ||
        !tsi_map_put(&sched->peers, peer, worker->slot)) {
        tsi_free(copy);
        return NULL;
    }
    reset_worker(worker);
    worker->name = copy;
    worker->peer = peer;
    sched->worker_count++;
    return worker;
}

void
tsi_sched_peer_remove_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    if (!TSI_PLANTED(stale_report)) {
        tsi_map_remove(&sched->peers, worker->peer);
    }
    tsi_sched_bits_clear(sched->hungry.items, worker->slot);
    tsi_sched_bits_clear(sched->starving.items, worker->slot);
    tsi_sched_bits_clear(sched->outbox.items, worker->slot);
    tsi_sched_worker_clear_news(worker);
    worker->peer = TSI_PEER_NONE;
    sched->worker_count--;
}

struct tsi_sched_client *
tsi_sched_peer_add_client(struct tsi_sched *sched, uint32_t peer)
{
    if (!tsi_vec_reserve(&sched->clients, 1) ||
        !tsi_map_put(&sched->peers, peer, ~(uint64_t)sched->clients.count)) {
        return NULL;
    }
    struct tsi_sched_client *client = &sched->clients.items[sched->clients.count++];
    *client = (struct tsi_sched_client){.peer = peer};
    return client;
}

void
tsi_sched_peer_remove_client(struct tsi_sched *sched, uint32_t peer)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, peer);
    size_t place = (size_t)(client - sched->clients.items);
    tsi_map_remove(&sched->peers, peer);
    for (; place + 1 < sched->clients.count; place++) {
        sched->clients.items[place] = sched->clients.items[place + 1];
        *tsi_map_get(&sched->peers, sched->clients.items[place].peer) = ~(uint64_t)place;
    }
    sched->clients.count--;
}

void
tsi_sched_peer_sum(struct tsi_sched *sched)
{
    sched->threads = 0;
    sched->memory_bytes = 0;
    sched->memory_max = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer == TSI_PEER_NONE) {
            continue;
        }
        sched->threads += (uint32_t)worker->threads;
        sched->memory_bytes = tsi_saturate_add(sched->memory_bytes, worker->memory_bytes);
        if (worker->memory_bytes > sched->memory_max) {
            sched->memory_max = worker->memory_bytes;
        }
    }
}

bool
tsi_sched_worker_is_open(const struct tsi_sched *sched, const struct tsi_sched_worker *worker)
{
    return worker->peer != TSI_PEER_NONE && !worker->suspect && !worker->draining &&
           worker->refused_until_ns <= sched->now_ns;
}

uint32_t
tsi_sched_worker_add_attempt(struct tsi_sched_worker *worker,
                             const struct tsi_sched_attempt *attempt)
{
    uint32_t at = worker->attempt_unused;
    if (at != TSI_ATTEMPT_NONE) {
        worker->attempt_unused = worker->attempts.items[at].next;
    } else {
        at = (uint32_t)worker->attempts.count;
        if (!tsi_vec_reserve(&worker->attempts, 1)) {
            return TSI_ATTEMPT_NONE;
        }
        worker->attempts.count++;
    }
    struct tsi_sched_attempt *added = &worker->attempts.items[at];
    *added = *attempt;
    added->previous = worker->attempt_last;
    added->next = TSI_ATTEMPT_NONE;
    if (worker->attempt_last == TSI_ATTEMPT_NONE) {
        worker->attempt_first = at;
    } else {
        worker->attempts.items[worker->attempt_last].next = at;
    }
    worker->attempt_last = at;
    worker->outstanding++;
    worker->queued_us += attempt->estimate_us;
    worker->reserved_bytes += attempt->bytes;
    tsi_sched_peak_note(worker);
    return at;
}

void
tsi_sched_worker_remove_attempt(struct tsi_sched_worker *worker, uint32_t attempt)
{
    struct tsi_sched_attempt *items = worker->attempts.items;
    struct tsi_sched_attempt *gone = &items[attempt];
    if (gone->previous == TSI_ATTEMPT_NONE) {
        worker->attempt_first = gone->next;
    } else {
        items[gone->previous].next = gone->next;
    }
    if (gone->next == TSI_ATTEMPT_NONE) {
        worker->attempt_last = gone->previous;
    } else {
        items[gone->next].previous = gone->previous;
    }
    worker->outstanding--;
    worker->retracting -= gone->retracting ? 1 : 0;
    worker->queued_us -= gone->estimate_us;
    worker->reserved_bytes -= TSI_PLANTED(leaked_reservation) ? 0 : gone->bytes;
    gone->sequence = 0;
    gone->next = worker->attempt_unused;
    worker->attempt_unused = attempt;
}

bool
tsi_sched_worker_may_run(const struct tsi_sched_worker *worker, uint32_t attempt)
{
    uint32_t at = worker->attempt_first;
    for (int i = 0; i < worker->threads && at != TSI_ATTEMPT_NONE; i++) {
        if (at == attempt) {
            return true;
        }
        at = worker->attempts.items[at].next;
    }
    return false;
}

bool
tsi_sched_worker_know(struct tsi_sched_worker *worker, const struct tsi_sched_job *job)
{
    if (job->slot >= worker->known.count) {
        const size_t extra = job->slot + 1 - worker->known.count;
        if (!tsi_vec_reserve(&worker->known, extra)) {
            return false;
        }
        memset(worker->known.items + worker->known.count, 0, extra * sizeof *worker->known.items);
        worker->known.count += extra;
    }
    struct tsi_sched_known *known = &worker->known.items[job->slot];
    if (known->job != job->id) {
        tsi_sched_peak_fold(worker);
        *known = (struct tsi_sched_known){.job = job->id};
    }
    return true;
}

bool
tsi_sched_worker_give_program(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                              const struct tsi_sched_job *job)
{
    if (!tsi_vec_reserve(&worker->programs, 1) || !tsi_sched_worker_know(worker, job)) {
        return false;
    }
    struct tsi_sched_known *known = &worker->known.items[job->slot];
    if (!known->has_program) {
        known->has_program = true;
        worker->programs.items[worker->programs.count++] = job->id;
        tsi_sched_bits_set(sched->outbox.items, worker->slot);
    }
    return true;
}

bool
tsi_sched_worker_knows(const struct tsi_sched_worker *worker, const struct tsi_sched_job *job)
{
    return job->slot < worker->known.count && worker->known.items[job->slot].job == job->id;
}

bool
tsi_sched_worker_has_news(const struct tsi_sched_worker *worker)
{
    return worker->programs_sent < worker->programs.count ||
           worker->frees_sent < worker->frees.count ||
           worker->assigns_sent < worker->assigns.count ||
           worker->retracts_sent < worker->retracts.count ||
           worker->copies_sent < worker->copies.count;
}

void
tsi_sched_worker_clear_news(struct tsi_sched_worker *worker)
{
    tsi_vec_clear(&worker->programs);
    tsi_vec_clear(&worker->frees);
    tsi_vec_clear(&worker->assigns);
    tsi_vec_clear(&worker->locations);
    tsi_vec_clear(&worker->retracts);
    tsi_vec_clear(&worker->copies);
    worker->programs_sent = 0;
    worker->frees_sent = 0;
    worker->assigns_sent = 0;
    worker->locations_sent = 0;
    worker->retracts_sent = 0;
    worker->copies_sent = 0;
}
