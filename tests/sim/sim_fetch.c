// SPDX-License-Identifier: Apache-2.0
//
// Fetches of chunks between workers, and from clients. What a peer that died does not answer is
// answered by the news that it left, or never if that news came first.

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

static bool
knows_it_left(const struct sim_worker *worker, uint32_t peer)
{
    for (size_t i = 0; i < worker->left.count; i++) {
        if (worker->left.items[i] == peer) {
            return true;
        }
    }
    return false;
}

static struct sim_event *
answer_later(struct sim_world *world, const struct sim_fetch *fetch, bool found, uint64_t delay)
{
    struct sim_event *event = sim_at(world, world->now + delay, SIM_FETCH_ANSWER);
    event->worker = fetch->worker;
    event->fetch = *fetch;
    event->fetch.found = found;
    return event;
}

void
sim_fetch_start(struct sim_worker *worker, tsi_key key, uint32_t peer)
{
    struct sim_world *world = worker->world;
    const struct sim_fetch fetch = {worker, worker->epoch, key, peer, false};
    sim_trace(world, "worker %d: fetch %u:%u from %u", worker->id, tsi_key_job(key),
              tsi_key_task(key), peer);
    if (peer == TSI_PEER_NONE || peer >= world->links.count) {
        sim_fail(world, "a fetch from peer %u, which never was", peer);
    }
    if (knows_it_left(worker, peer)) {
        answer_later(world, &fetch, false, 0);
        return;
    }
    sim_at(world, world->now + sim_delay(world, world->net_ns), SIM_FETCH_SERVE)->fetch = fetch;
}

// Whether the holder has the chunk; it must be alive.
static bool
has_chunk(struct sim_world *world, const struct sim_link *link, tsi_key key)
{
    if (link->client != NULL) {
        const struct sim_job *job = sim_job_by_number(world, tsi_key_job(key));
        world->early = world->early || job == NULL;
        const int op = job != NULL ? tsi_program_op_of(job->program, tsi_key_task(key)) : 0;
        return job != NULL && job->client == link->client &&
               job->program->ops[op].work == TSI_WORK_HELD;
    }
    uint64_t bytes = UINT64_MAX;
    const struct sim_handle *handle = tsi_worker_chunk(link->worker->core, key, &bytes);
    if (handle != NULL && handle->value != sim_job_value(world, key)) {
        sim_fail(world, "I11: worker %d serves a wrong chunk", link->worker->id);
    }
    return bytes != UINT64_MAX;
}

void
sim_fetch_serve(struct sim_world *world, struct sim_event *event)
{
    const struct sim_fetch *fetch = &event->fetch;
    const struct sim_link *link = &world->links.items[fetch->peer];
    const struct sim_worker *holder = link->worker;
    const bool is_alive = holder != NULL ? holder->alive && holder->peer == fetch->peer
                                         : !link->client->vanished && !link->client->left;
    const uint64_t frozen = holder != NULL ? holder->frozen_until : 0;
    const uint64_t cut = holder != NULL ? holder->cut_until : 0;
    const uint64_t until = frozen > cut ? frozen : cut;
    if (is_alive && until > world->now) {
        sim_postpone(world, event, until);
        return;
    }
    if (!is_alive) {
        // Refused, or no answer at all.
        if (sim_choose(world, 2) == 0) {
            answer_later(world, fetch, false, sim_delay(world, world->net_ns));
        }
        return;
    }
    uint64_t bytes = UINT64_MAX;
    if (is_alive && holder != NULL) {
        tsi_worker_chunk(holder->core, fetch->key, &bytes);
        if (bytes == UINT64_MAX && sim_worker_demand(link->worker, fetch->key)) {
            sim_postpone(world, event, world->now + sim_delay(world, world->task_ns));
            return;
        }
    }
    const bool is_refused = world->faults.fetch && !world->quiet && sim_chance(&world->random, 50);
    const bool found = !is_refused && has_chunk(world, link, fetch->key);
    if (found && holder != NULL) {
        tsi_worker_chunk_served(holder->core, fetch->key);
    }
    const uint64_t slow = holder == NULL ? 10 : 2;
    answer_later(world, fetch, found, sim_delay(world, slow * world->net_ns));
}

void
sim_fetch_answer(struct sim_world *world, const struct sim_event *event)
{
    const struct sim_fetch *fetch = &event->fetch;
    struct sim_worker *worker = fetch->worker;
    if (!worker->alive || worker->core == NULL || worker->epoch != fetch->epoch) {
        return;
    }
    struct tsi_worker_event answer = {.kind = TSI_WORKER_FETCH_FAILED};
    if (!fetch->found) {
        sim_trace(world, "worker %d: cannot have %u:%u from %u", worker->id,
                  tsi_key_job(fetch->key), tsi_key_task(fetch->key), fetch->peer);
        answer.fetch_failed.key = fetch->key;
        answer.fetch_failed.peer = fetch->peer;
        answer.fetch_failed.text = "as drawn";
        sim_worker_feed(worker, &answer);
        return;
    }
    const struct sim_job *job = sim_job_by_number(world, tsi_key_job(fetch->key));
    const uint32_t task = tsi_key_task(fetch->key);
    const struct tsi_chunk_op *op = &job->program->ops[tsi_program_op_of(job->program, task)];
    struct sim_handle *handle = sim_alloc(sizeof *handle);
    *handle = (struct sim_handle){
        .owner = worker,
        .key = fetch->key,
        .value = job->values[task],
        .bytes = tsi_chunk_op_bytes(op, (int64_t)(task - op->task_base)),
    };
    world->handles++;
    answer.kind = TSI_WORKER_FETCHED;
    answer.fetched.key = fetch->key;
    answer.fetched.peer = fetch->peer;
    answer.fetched.handle = handle;
    answer.fetched.bytes = handle->bytes;
    sim_worker_feed(worker, &answer);
}
