// SPDX-License-Identifier: Apache-2.0
//
// Records with broken fields, handed to the cores beside the right ones: of jobs, tasks, attempts
// and peers that never were, with numbers out of any range. They must be dropped or refused, and
// nothing else may come of them. What a core must believe of a peer that lies, such as a wrong
// completion of a task that it has, is not among them.

#include "scheduler/core/sched_state.h"
#include "tests/sim/sim_world.h"

enum { RECORDS_MAX = 4 };

// Numbers of jobs, attempts and peers from here on are nobody's.
#define NOBODY UINT32_C(0x40000000)

static uint32_t
nobody(struct sim_world *world)
{
    return NOBODY + (uint32_t)sim_below(&world->random, NOBODY);
}

// A chunk that is none: of no job, or beyond the tasks of one.
static tsi_key
no_key(struct sim_world *world)
{
    const bool is_no_job = world->jobs.count == 0 || sim_chance(&world->random, 500);
    const uint32_t job =
        is_no_job ? nobody(world)
                  : world->jobs.items[sim_below(&world->random, world->jobs.count)]->number;
    return tsi_key_of(job, nobody(world));
}

static uint32_t
any_peer(struct sim_world *world)
{
    const bool is_nobody = sim_chance(&world->random, 200);
    return is_nobody ? TSI_PEER_NONE : (uint32_t)sim_below(&world->random, world->links.count);
}

static void
break_done(struct sim_world *world, struct tsi_sched_event *event,
           struct tsi_completion items[RECORDS_MAX])
{
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        const tsi_key key = no_key(world);
        items[i] = (struct tsi_completion){.job = tsi_key_job(key),
                                           .task = tsi_key_task(key),
                                           .sequence = nobody(world),
                                           .duration_us = UINT32_MAX,
                                           .bytes = sim_next(&world->random)};
    }
    event->kind = TSI_SCHED_TASKS_DONE;
    event->done.items = items;
    event->done.count = RECORDS_MAX;
}

static void
break_attempt(struct sim_world *world, struct tsi_sched_event *event)
{
    const tsi_key key = no_key(world);
    event->kind = TSI_SCHED_ATTEMPT_ENDED;
    event->attempt = (struct tsi_attempt){
        .job = tsi_key_job(key),
        .task = sim_chance(&world->random, 500) ? 0 : tsi_key_task(key),
        .sequence = nobody(world),
        .end = (enum tsi_attempt_end)sim_below(&world->random, 300),
        .status = (tess_status)sim_below(&world->random, 1000),
        .input = no_key(world),
        .peer = any_peer(world),
    };
}

// Feeds the scheduler something that nobody meant.
void
sim_corrupt_sched(struct sim_world *world)
{
    struct tsi_completion completions[RECORDS_MAX];
    tsi_key keys[RECORDS_MAX];
    uint32_t tasks[RECORDS_MAX];
    struct tsi_task_range ranges[RECORDS_MAX];
    struct tsi_sched_event event = {.peer = any_peer(world)};
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        keys[i] = no_key(world);
        tasks[i] = nobody(world);
        ranges[i] = (struct tsi_task_range){UINT32_MAX - nobody(world), 2};
    }
    switch (sim_below(&world->random, 8)) {
    case 0:
        break_done(world, &event, completions);
        break;
    case 1:
        break_attempt(world, &event);
        break;
    case 2:
        event.kind = TSI_SCHED_COPIED;
        event.copied.keys = keys;
        event.copied.count = RECORDS_MAX;
        break;
    case 3:
        event.kind = TSI_SCHED_TARGETS_TAKEN;
        event.targets_taken.job = tsi_key_job(no_key(world));
        event.targets_taken.tasks = tasks;
        event.targets_taken.count = RECORDS_MAX;
        break;
    case 4:
        event.kind =
            sim_chance(&world->random, 500) ? TSI_SCHED_JOB_CANCELLED : TSI_SCHED_JOB_RELEASED;
        event.job.job = nobody(world);
        break;
    case 5:
        event.kind = TSI_SCHED_WORKER_HOLDS;
        event.holds.job = tsi_key_job(no_key(world));
        event.holds.ranges = ranges;
        event.holds.count = RECORDS_MAX;
        break;
    case 6:
        event.kind = (enum tsi_sched_event_kind)(100 + sim_below(&world->random, 100));
        break;
    default:
        // A second HELLO of one that is there, or was.
        event.kind = TSI_SCHED_CLIENT_JOINED;
        event.peer = (uint32_t)sim_below(&world->random, world->links.count);
        event.peer =
            tsi_map_get(&world->sched->peers, event.peer) == NULL ? TSI_PEER_NONE : event.peer;
        break;
    }
    // What is due by the time alone comes before.
    sim_sched_feed(world, &(struct tsi_sched_event){.kind = TSI_SCHED_TICK});
    const struct tsi_sched_stats before = tsi_sched_stats(world->sched);
    sim_trace(world, "a corrupt record, kind %d, peer %u", (int)event.kind, event.peer);
    sim_sched_feed(world, &event);
    const struct tsi_sched_stats after = tsi_sched_stats(world->sched);
    if (before.tasks_done != after.tasks_done || before.bytes_held > after.bytes_held) {
        sim_fail(world, "I4: a corrupt record was believed");
    }
}

// Feeds a worker something that no scheduler sends.
void
sim_corrupt_worker(struct sim_worker *worker)
{
    struct sim_world *world = worker->world;
    struct tsi_assignment items[RECORDS_MAX];
    struct tsi_location places[RECORDS_MAX];
    uint32_t sequences[RECORDS_MAX];
    tsi_key keys[RECORDS_MAX];
    for (size_t i = 0; i < RECORDS_MAX; i++) {
        const tsi_key key = no_key(world);
        items[i] = (struct tsi_assignment){.job = tsi_key_job(key),
                                           .task = tsi_key_task(key),
                                           .sequence = nobody(world),
                                           .rank = nobody(world),
                                           .location_count = UINT32_MAX};
        places[i] = (struct tsi_location){.key = no_key(world), .peer = nobody(world)};
        sequences[i] = nobody(world);
        keys[i] = no_key(world);
    }
    struct tsi_worker_event event = {.kind = TSI_WORKER_ASSIGNED};
    switch (sim_below(&world->random, 5)) {
    case 0:
        event.assigned.items = items;
        event.assigned.count = RECORDS_MAX;
        event.assigned.locations = places;
        event.assigned.location_count = RECORDS_MAX;
        break;
    case 1:
        event.kind = TSI_WORKER_RETRACT;
        event.retract.sequences = sequences;
        event.retract.count = RECORDS_MAX;
        break;
    case 2:
        event.kind = TSI_WORKER_FREE;
        event.free.keys = keys;
        event.free.count = RECORDS_MAX;
        break;
    case 3:
        event.kind = TSI_WORKER_DROP_JOB;
        event.drop_job.job = nobody(world);
        break;
    default:
        event.kind = TSI_WORKER_FETCH_FAILED;
        event.fetch_failed.key = no_key(world);
        event.fetch_failed.peer = any_peer(world);
        event.fetch_failed.text = "corrupt";
        break;
    }
    sim_trace(world, "worker %d: a corrupt record, kind %d", worker->id, (int)event.kind);
    sim_worker_feed(worker, &event);
}
