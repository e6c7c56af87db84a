// SPDX-License-Identifier: Apache-2.0
//
// A hash of all that decides how a tiny case goes on: both cores, what is under way between them in
// its order, and the client.

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

enum { WAYS = 64 };

static uint64_t
hash_keys(uint64_t hash, const tsi_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = sim_hash(hash, keys[i]);
    }
    return hash;
}

static uint64_t
hash_places(uint64_t hash, const struct tsi_location *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = sim_hash(hash, places[i].key);
        hash = sim_hash(hash, (uint64_t)places[i].peer << 1 | (places[i].data != NULL));
    }
    return hash;
}

static uint64_t
hash_to_sched(const struct tsi_sched_event *event)
{
    uint64_t hash = sim_hash(2, event->kind);
    switch (event->kind) {
    case TSI_SCHED_TASKS_DONE:
        for (size_t i = 0; i < event->done.count; i++) {
            const struct tsi_completion *item = &event->done.items[i];
            hash = sim_hash(hash, tsi_key_of(item->job, item->task));
            hash = sim_hash(hash, (uint64_t)item->sequence << 1 | (item->data != NULL));
        }
        return hash;
    case TSI_SCHED_ATTEMPT_ENDED:
        hash = sim_hash(hash, tsi_key_of(event->attempt.job, event->attempt.task));
        hash = sim_hash(hash, (uint64_t)event->attempt.sequence << 8 | event->attempt.end);
        hash = sim_hash(hash, event->attempt.input);
        return sim_hash(hash, event->attempt.peer);
    case TSI_SCHED_TARGETS_TAKEN:
        for (size_t i = 0; i < event->targets_taken.count; i++) {
            hash = sim_hash(hash, event->targets_taken.tasks[i]);
        }
        return hash;
    case TSI_SCHED_COPIED:
        return hash_keys(hash, event->copied.keys, event->copied.count);
    case TSI_SCHED_DROPPED:
        return hash_keys(hash, event->dropped.keys, event->dropped.count);
    default:
        return hash;
    }
}

static uint64_t
hash_to_worker(const struct tsi_worker_event *event)
{
    uint64_t hash = sim_hash(3, event->kind);
    switch (event->kind) {
    case TSI_WORKER_ASSIGNED:
        for (size_t i = 0; i < event->assigned.count; i++) {
            const struct tsi_assignment *item = &event->assigned.items[i];
            hash = sim_hash(hash, tsi_key_of(item->job, item->task));
            hash = sim_hash(hash, tsi_key_of(item->sequence, item->rank));
        }
        return hash_places(hash, event->assigned.locations, event->assigned.location_count);
    case TSI_WORKER_RETRACT:
        for (size_t i = 0; i < event->retract.count; i++) {
            hash = sim_hash(hash, event->retract.sequences[i]);
        }
        return hash;
    case TSI_WORKER_FREE:
        return hash_keys(hash, event->free.keys, event->free.count);
    case TSI_WORKER_COPY:
        return hash_places(hash, event->copy.locations, event->copy.count);
    case TSI_WORKER_PEER_LEFT:
        return sim_hash(hash, event->peer_left.peer);
    default:
        return hash;
    }
}

static uint64_t
hash_mail(const struct sim_mail *mail)
{
    switch (mail->kind) {
    case SIM_MAIL_TO_SCHED:
        return hash_to_sched(&mail->to_sched);
    case SIM_MAIL_TO_WORKER:
        return hash_to_worker(&mail->to_worker);
    case SIM_MAIL_TO_CLIENT: {
        const struct tsi_sched_action *action = &mail->to_client;
        uint64_t hash = sim_hash(4, action->kind);
        for (size_t i = 0; action->kind == TSI_SCHED_TARGETS_READY && i < action->ready.count;
             i++) {
            hash = sim_hash(hash,
                            tsi_key_of(action->ready.items[i].task, action->ready.items[i].peer));
        }
        return hash;
    }
    default:
        return sim_hash(5, mail->kind);
    }
}

size_t
sim_state_way(const struct sim_mail *mail)
{
    const size_t way = (size_t)mail->peer * 2 + (mail->kind == SIM_MAIL_TO_SCHED);
    TSI_CHECK(way < WAYS);
    return way;
}

static bool
is_up(const struct sim_worker *worker)
{
    return worker->alive && worker->core != NULL;
}

bool
sim_state_is_void(const struct sim_world *world, const struct sim_event *event)
{
    const struct sim_worker *asker = event->fetch.worker;
    switch (event->kind) {
    case SIM_RUN_END:
        return !is_up(event->worker) || event->worker->runs[event->run].number != event->number;
    case SIM_FETCH_SERVE:
    case SIM_FETCH_ANSWER:
        return !is_up(asker) || asker->epoch != event->fetch.epoch;
    case SIM_MAIL:
        return event->mail->kind != SIM_MAIL_TO_SCHED && world->links.items[event->mail->peer].dead;
    case SIM_JOIN:
    case SIM_CLIENT_ACT:
    case SIM_CLIENT_FETCHED:
        return false;
    default:
        return true; // heartbeats and ticks
    }
}

static uint64_t
id_of(const struct sim_worker *worker)
{
    return worker != NULL ? (uint64_t)worker->id + 1 : 0;
}

static uint64_t
hash_events(const struct sim_world *world)
{
    uint64_t chains[WAYS] = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < world->heap.count; i++) {
        const struct sim_event *event = world->heap.items[i].event;
        if (sim_state_is_void(world, event)) {
            continue;
        }
        if (event->kind == SIM_MAIL) {
            uint64_t *chain = &chains[sim_state_way(event->mail)];
            *chain = sim_hash(*chain, hash_mail(event->mail));
            continue;
        }
        uint64_t hash = sim_hash(event->kind, id_of(event->worker));
        hash = sim_hash(hash, event->kind == SIM_RUN_END ? event->run : event->task);
        hash = sim_hash(hash, id_of(event->fetch.worker));
        hash = sim_hash(hash, event->fetch.key);
        sum += sim_hash(hash, (uint64_t)event->fetch.peer << 1 | event->fetch.found);
    }
    for (size_t i = 0; i < WAYS; i++) {
        sum = sim_hash(sum, chains[i]);
    }
    return sum;
}

uint64_t
sim_state_hash(const struct sim_world *world)
{
    uint64_t hash = sim_hash(tsi_sched_digest(world->sched), world->now);
    for (size_t i = 0; i < world->workers.count; i++) {
        const struct sim_worker *worker = world->workers.items[i];
        hash = sim_hash(hash, worker->core != NULL ? tsi_worker_digest(worker->core) : 0);
        hash = sim_hash(hash, worker->peer);
        for (uint32_t run = 0; run < worker->run_count; run++) {
            hash = sim_hash(hash, (uint64_t)worker->runs[run].task << 1 | worker->runs[run].busy);
        }
        for (size_t k = 0; k < worker->left.count; k++) {
            hash = sim_hash(hash, worker->left.items[k]);
        }
    }
    for (size_t i = 0; i < world->links.count; i++) {
        const struct sim_link *link = &world->links.items[i];
        const uint32_t arriving = link->dead ? link->from_limit - link->from_arrived : 0;
        hash = sim_hash(hash, (uint64_t)arriving << 2 | (uint64_t)link->dead << 1 | link->closed);
    }
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        hash =
            sim_hash(hash, (uint64_t)job->number << 2 | (uint64_t)job->ended << 1 | job->dropped);
        for (uint32_t task = 0; task < job->program->task_count; task++) {
            hash = sim_hash(hash, job->taken[task]);
        }
    }
    return sim_hash(hash, hash_events(world));
}
