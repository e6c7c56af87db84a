// SPDX-License-Identifier: Apache-2.0
//
// The driver of the scheduler core: every event is followed by taking all actions out, each of
// which becomes a message, and by checking the invariants.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"

enum { DEEP_EVERY = 32, DIGEST_EVERY = 64 };

static const char *const event_names[] = {
    "worker joined", "worker heard",  "worker draining", "worker left",  "client joined",
    "client left",   "job submitted", "job cancelled",   "job released", "targets taken",
    "tasks done",    "attempt ended", "job restored",    "restored",     "job claimed",
    "worker holds",  "copied",        "dropped",         "tick",
};

static const char *
name_of(enum tsi_sched_event_kind kind)
{
    return (size_t)kind < sizeof event_names / sizeof *event_names ? event_names[kind] : "?";
}

// Copies the bytes that records point to behind each other, so that the message owns them.
static unsigned char *
data_block(struct sim_mail *mail, size_t bytes)
{
    return sim_mail_copy(mail, NULL, bytes);
}

static struct tsi_location *
copy_locations(struct sim_mail *mail, const struct tsi_location *places, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += places[i].data != NULL ? places[i].bytes : 0;
    }
    struct tsi_location *copy = sim_mail_copy(mail, places, count * sizeof *places);
    unsigned char *data = data_block(mail, bytes);
    for (size_t i = 0; i < count; i++) {
        if (places[i].data != NULL) {
            memcpy(data, places[i].data, places[i].bytes);
            copy[i].data = data;
            data += places[i].bytes;
        }
    }
    return copy;
}

static struct tsi_sched_ready *
copy_ready(struct sim_mail *mail, const struct tsi_sched_ready *items, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += items[i].data != NULL ? items[i].bytes : 0;
    }
    struct tsi_sched_ready *copy = sim_mail_copy(mail, items, count * sizeof *items);
    unsigned char *data = data_block(mail, bytes);
    for (size_t i = 0; i < count; i++) {
        if (items[i].data != NULL) {
            memcpy(data, items[i].data, items[i].bytes);
            copy[i].data = data;
            data += items[i].bytes;
        }
    }
    return copy;
}

static void
trace_assign(struct sim_world *world, const struct tsi_sched_action *action)
{
    for (size_t i = 0; i < action->assign.count; i++) {
        const struct tsi_assignment *item = &action->assign.items[i];
        sim_trace(world, "  assign to %u: %u:%u, sequence %u, rank %u, %u places", action->peer,
                  item->job, item->task, item->sequence, item->rank, item->location_count);
    }
}

static void
to_worker(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_WORKER, action->peer);
    struct tsi_worker_event *event = &mail->to_worker;
    switch (action->kind) {
    case TSI_SCHED_SEND_PROGRAM: {
        struct sim_job *job = sim_job_by_program(world, action->program.program);
        TSI_CHECK(job != NULL);
        job->refs++;
        job->issued = action->job;
        event->kind = TSI_WORKER_PROGRAM;
        event->program.job = action->job;
        event->program.program = action->program.program;
        event->program.token = job->token;
        sim_trace(world, "  program of job %u to %u", action->job, action->peer);
        break;
    }
    case TSI_SCHED_ASSIGN:
        trace_assign(world, action);
        event->kind = TSI_WORKER_ASSIGNED;
        event->assigned.count = action->assign.count;
        event->assigned.items = sim_mail_copy(mail, action->assign.items,
                                              action->assign.count * sizeof *action->assign.items);
        event->assigned.locations =
            copy_locations(mail, action->assign.locations, action->assign.location_count);
        event->assigned.location_count = action->assign.location_count;
        break;
    case TSI_SCHED_RETRACT:
        sim_trace(world, "  retract from %u: %zu", action->peer, action->retract.count);
        event->kind = TSI_WORKER_RETRACT;
        event->retract.count = action->retract.count;
        event->retract.sequences = sim_mail_copy(mail, action->retract.sequences,
                                                 action->retract.count * sizeof(uint32_t));
        break;
    case TSI_SCHED_FREE:
        for (size_t i = 0; i < action->free.count; i++) {
            sim_trace(world, "  free at %u: %u:%u", action->peer, tsi_key_job(action->free.keys[i]),
                      tsi_key_task(action->free.keys[i]));
        }
        event->kind = TSI_WORKER_FREE;
        event->free.count = action->free.count;
        event->free.keys =
            sim_mail_copy(mail, action->free.keys, action->free.count * sizeof(tsi_key));
        break;
    case TSI_SCHED_COPY:
        for (size_t i = 0; i < action->copy.count; i++) {
            const tsi_key key = action->copy.locations[i].key;
            sim_trace(world, "  copy to %u: %u:%u from %u", action->peer, tsi_key_job(key),
                      tsi_key_task(key), action->copy.locations[i].peer);
        }
        event->kind = TSI_WORKER_COPY;
        event->copy.count = action->copy.count;
        event->copy.locations = copy_locations(mail, action->copy.locations, action->copy.count);
        break;
    default:
        sim_trace(world, "  drop job %u at %u", action->job, action->peer);
        event->kind = TSI_WORKER_DROP_JOB;
        event->drop_job.job = action->job;
        break;
    }
    sim_mail_send(world, mail);
}

// Of each worker, not only of the one that had most. A prediction is of one life of the scheduler.
// The lines are the core's, which goes on, so the mail has none.
static void
check_workers(struct sim_world *world, uint32_t job, struct tsi_job_costs *costs)
{
    for (size_t i = 0; i < costs->worker_count && world->rebirths == 0; i++) {
        const struct tsi_worker_peak *peak = &costs->workers[i];
        if (peak->measured > peak->predicted) {
            sim_fail(world, "job %u took %llu bytes of worker %u, predicted were %llu", job,
                     (unsigned long long)peak->measured, peak->peer,
                     (unsigned long long)peak->predicted);
        }
    }
    costs->workers = NULL;
    costs->worker_count = 0;
}

static void
to_client(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_CLIENT, action->peer);
    mail->to_client = *action;
    if (action->kind == TSI_SCHED_TARGETS_READY) {
        for (size_t i = 0; i < action->ready.count; i++) {
            sim_trace(world, "  target %u:%u ready at %u", action->job, action->ready.items[i].task,
                      action->ready.items[i].peer);
        }
        mail->to_client.ready.items = copy_ready(mail, action->ready.items, action->ready.count);
        check_workers(world, action->job, &mail->to_client.ready.costs);
    } else if (action->kind == TSI_SCHED_JOB_ENDED) {
        const char *text = action->ended.text != NULL ? action->ended.text : "";
        sim_trace(world, "  job %u ended: %s %s", action->job,
                  tess_status_name(action->ended.status), text);
        mail->to_client.ended.text = sim_mail_copy(mail, text, strlen(text) + 1);
        check_workers(world, action->job, &mail->to_client.ended.costs);
    } else if (action->kind == TSI_SCHED_JOB_ACCEPTED) {
        sim_trace(world, "  job %u accepted", action->job);
    }
    sim_mail_send(world, mail);
}

static void
job_dropped(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_job *job = sim_job_by_program(world, action->program.program);
    sim_trace(world, "  job %u dropped", action->job);
    if (job == NULL || job->dropped) {
        sim_fail(world, "job %u dropped twice", action->job);
    }
    job->dropped = true;
    job->last_status = action->program.status;
    sim_job_unref(world, job);
}

static void
act(struct sim_world *world, const struct tsi_sched_action *action)
{
    if (world->config.big_workers == 0) {
        sim_book_action(world, action);
    }
    sim_restart_action(world, action);
    sim_detached_action(world, action);
    switch (action->kind) {
    case TSI_SCHED_SEND_PROGRAM:
    case TSI_SCHED_ASSIGN:
    case TSI_SCHED_RETRACT:
    case TSI_SCHED_FREE:
    case TSI_SCHED_COPY:
    case TSI_SCHED_DROP_JOB:
        to_worker(world, action);
        break;
    case TSI_SCHED_DROP_WORKER:
        sim_trace(world, "  worker %u dropped: %s", action->peer,
                  action->drop_worker.text != NULL ? action->drop_worker.text : "");
        world->losses++;
        sim_book_lost(world, action->peer);
        sim_link_close(world, action->peer);
        break;
    case TSI_SCHED_WORKER_DRAINED:
        sim_trace(world, "  worker %u drained", action->peer);
        sim_book_drained(world, action->peer);
        sim_mail_send(world, sim_mail_new(world, SIM_MAIL_GO, action->peer));
        break;
    case TSI_SCHED_JOB_ACCEPTED:
    case TSI_SCHED_TARGETS_READY:
    case TSI_SCHED_JOB_PROGRESS:
    case TSI_SCHED_JOB_ENDED:
        if (action->peer != TSI_PEER_NONE && !world->links.items[action->peer].closed) {
            to_client(world, action);
        }
        break;
    case TSI_SCHED_JOB_DROPPED:
        job_dropped(world, action);
        break;
    }
}

static void
check(struct sim_world *world)
{
    const char *broken = NULL;
    if (world->is_replay) {
        return;
    }
    const bool deep = world->config.is_tiny || world->steps_sched % DEEP_EVERY == 0;
    if (world->config.big_workers == 0 && !tsi_sched_verify(world->sched, deep, &broken)) {
        sim_fail(world, "the scheduler's invariant is broken: %s", broken);
    }
    if (world->steps_sched % DIGEST_EVERY == 0 && world->config.big_workers == 0) {
        world->digest = sim_hash(world->digest, tsi_sched_digest(world->sched));
    }
}

static void
arm_tick(struct sim_world *world)
{
    uint64_t deadline = tsi_sched_deadline(world->sched);
    if (deadline < INT64_MAX) {
        const int64_t time = (int64_t)deadline - world->skew_ns;
        deadline = time > 0 ? (uint64_t)time : 0;
    }
    if (deadline < world->tick_time) {
        world->tick_time = deadline > world->now ? deadline : world->now;
        sim_at(world, world->tick_time, SIM_TICK);
    }
}

void
sim_sched_feed(struct sim_world *world, const struct tsi_sched_event *event)
{
    struct tsi_sched_event stamped = *event;
    stamped.now_ns = world->now + (uint64_t)world->skew_ns;
    sim_restart_event(world, &stamped);
    if (event->kind != TSI_SCHED_WORKER_HEARD && event->kind != TSI_SCHED_TICK) {
        sim_trace(world, "scheduler: %s, peer %u", name_of(event->kind), event->peer);
    }
    for (size_t i = 0; event->kind == TSI_SCHED_DROPPED && i < event->dropped.count; i++) {
        sim_trace(world, "  dropped: %u:%u", tsi_key_job(event->dropped.keys[i]),
                  tsi_key_task(event->dropped.keys[i]));
    }
    world->is_jump_unseen = false;
    world->steps_sched++;
    if (world->config.big_workers == 0) {
        sim_book_event(world, event);
        sim_detached_event(world, &stamped);
    }
    tsi_sched_step(world->sched, &stamped);
    check(world);
    struct tsi_sched_action action;
    while (!world->is_mute && tsi_sched_poll(world->sched, stamped.now_ns, &action)) {
        act(world, &action);
    }
    check(world);
    if (world->config.big_workers == 0) {
        sim_book_check(world);
    }
    if (world->detaches && !world->is_mute) {
        sim_detached_check(world);
    }
    arm_tick(world);
}

void
sim_sched_tick(struct sim_world *world)
{
    if (world->now < world->tick_time) {
        return;
    }
    world->tick_time = UINT64_MAX;
    sim_sched_feed(world, &(struct tsi_sched_event){.kind = TSI_SCHED_TICK});
}
