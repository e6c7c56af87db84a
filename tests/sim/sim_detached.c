// SPDX-License-Identifier: Apache-2.0
//
// Jobs that outlive their clients. Some of what clients submit is detached: once it is accepted it
// is nobody's, whatever becomes of who submitted it, until another client attaches to it, uses what
// it keeps, and gives it back or leaves it to others. What stands before the core here is the part
// of the daemon that lets one client at a time have a job.
//
// An observer keeps its own account of who has a job, and since when nobody has its result:
//
//   I15  a result that nobody has is kept while its lease runs, unless all such results take more
//        than they may: then the oldest goes; and one that somebody has is kept until it is given
//        back. It is given up when its lease is over and when they take too much, unless a job
//        reads it.

#include <inttypes.h>

#include "scheduler/core/sched_state.h"
#include "tests/sim/sim_world.h"

void
sim_detached_draw(struct sim_world *world)
{
    // A stream of its own, so that all other draws are as without.
    world->detach_random.state = sim_hash(world->config.seed, 2121);
    if (world->config.is_tiny || world->config.big_workers > 0 ||
        !sim_chance(&world->detach_random, 400)) {
        return;
    }
    world->detaches = true;
    struct sim_random *random = &world->detach_random;
    const uint64_t most = sim_chance(random, 500) ? TSI_SECOND / 2 : 20 * TSI_SECOND;
    world->sched_config.result_lease_ns = 1 + sim_below(random, most);
    if (sim_chance(random, 400)) {
        world->sched_config.result_bytes_max = UINT64_C(1) << sim_between(random, 10, 20);
    }
}

bool
sim_detached_wants(struct sim_world *world)
{
    return world->detaches && sim_chance(&world->detach_random, 400);
}

// As the library does: what goes with its client cannot be detached, nor what is too large.
void
sim_detached_submit(struct sim_world *world, struct sim_job *job)
{
    job->detached =
        job->keeps && tsi_sched_result_bytes(job->program) <= world->sched_config.result_bytes_max;
    for (int i = 0; i < job->program->op_count; i++) {
        const uint8_t work = job->program->ops[i].work;
        job->detached = job->detached && work != TSI_WORK_HELD && work != TSI_WORK_KEPT;
    }
}

void
sim_detached_leave(struct sim_job *job)
{
    struct sim_client *client = job->client;
    if (!job->detached || client == NULL) {
        return;
    }
    sim_trace(client->world, "client %d leaves job %u to others", client->id, job->number);
    client->jobs_open -= job->ended ? 0 : 1;
    job->client = NULL;
}

void
sim_detached_accepted(struct sim_client *client, struct sim_job *job)
{
    if (!job->named) {
        if (job->submitter != client) {
            sim_fail(client->world, "a detached job was accepted from client %d", client->id);
        }
        job->named = true;
        sim_detached_leave(job);
    } else if (job->client != client) {
        sim_detached_leave(job);
        sim_trace(client->world, "client %d has job %u", client->id, job->number);
        job->client = client;
        job->ended = false;
        client->jobs_open++;
    }
}

// A client asks for a job that it has heard of, rarely for one that somebody has or that is gone.
void
sim_detached_act(struct sim_client *client)
{
    struct sim_world *world = client->world;
    for (size_t i = 0; world->detaches && i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        const bool is_free = job->client == NULL && !job->dropped;
        if (!job->named || job->client == client ||
            !sim_chance(&world->detach_random, is_free ? 30 : 2)) {
            continue;
        }
        sim_trace(world, "client %d asks for job %u", client->id, job->number);
        struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
        mail->to_sched.kind = TSI_SCHED_JOB_CLAIMED;
        mail->to_sched.job.job = job->number;
        mail->token = job->token;
        sim_mail_send(world, mail);
    }
}

static bool
is_there(const struct sim_world *world, uint32_t peer)
{
    return peer != TSI_PEER_NONE && !world->links.items[peer].closed;
}

bool
sim_detached_is_refused(struct sim_world *world, const struct sim_mail *mail)
{
    struct sim_job *job = sim_job_by_number(world, mail->to_sched.job.job);
    if (job == NULL || !job->detached) {
        return false;
    }
    const bool is_known = tsi_map_get(&world->sched->job_slots, job->number) != NULL;
    if (!is_known && !job->dropped) {
        sim_fail(world, "I15: job %u is not there any more", job->number);
    }
    if (job->attached != mail->peer && is_there(world, job->attached)) {
        sim_trace(world, "peer %u has job %u", job->attached, job->number);
        return true;
    }
    job->attached = is_known ? mail->peer : TSI_PEER_NONE;
    return false;
}

// Whether a job is not over that reads what this one keeps.
static bool
is_read(const struct sim_world *world, const struct sim_job *maker)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        for (int k = 0; k < job->program->op_count && !job->dropped; k++) {
            const struct tsi_chunk_op *op = &job->program->ops[k];
            if (op->work == TSI_WORK_KEPT && op->kept.job == maker->number) {
                return true;
            }
        }
    }
    return false;
}

static bool
waits(const struct sim_job *job)
{
    return job->detached && (!job->dropped || job->is_given_up) && job->unowned_ns != 0;
}

static uint64_t
bytes_waiting(const struct sim_world *world)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        bytes += waits(job) ? tsi_sched_result_bytes(job->program) : 0;
    }
    return bytes;
}

// From when on nobody has the result.
static void
look(struct sim_world *world, struct sim_job *job)
{
    if (!job->detached || !job->is_made || job->is_returned || job->unowned_ns != 0 ||
        world->is_restoring || is_there(world, job->owner)) {
        return;
    }
    job->unowned_ns = world->sched_ns;
    const bool is_too_much = bytes_waiting(world) > world->sched_config.result_bytes_max;
    for (size_t i = 0; i < world->jobs.count && is_too_much; i++) {
        struct sim_job *other = world->jobs.items[i];
        other->was_too_much = other->was_too_much || waits(other);
    }
}

static void
look_at_all(struct sim_world *world)
{
    for (size_t i = 0; world->detaches && i < world->jobs.count; i++) {
        look(world, world->jobs.items[i]);
    }
}

// With a job its client gets those that it reads.
static void
note_owner(struct sim_world *world, struct sim_job *job, uint32_t peer)
{
    job->owner = peer;
    job->unowned_ns = 0;
    for (int i = 0; i < job->program->op_count; i++) {
        const struct tsi_chunk_op *op = &job->program->ops[i];
        struct sim_job *maker =
            op->work == TSI_WORK_KEPT ? sim_job_by_number(world, (uint32_t)op->kept.job) : NULL;
        if (maker != NULL && maker->owner != peer) {
            note_owner(world, maker, peer);
        }
    }
}

void
sim_detached_event(struct sim_world *world, const struct tsi_sched_event *event)
{
    struct sim_job *job = NULL;
    world->sched_ns = event->now_ns > world->sched_ns ? event->now_ns : world->sched_ns;
    switch (event->kind) {
    case TSI_SCHED_JOB_SUBMITTED:
        world->jobs.items[event->job_submitted.token - 1]->owner = event->peer;
        break;
    case TSI_SCHED_JOB_CLAIMED:
        job = sim_job_by_number(world, event->job.job);
        if (job != NULL && is_there(world, event->peer)) {
            note_owner(world, job, event->peer);
        }
        break;
    case TSI_SCHED_JOB_RELEASED:
        job = sim_job_by_number(world, event->job.job);
        if (job != NULL && job->owner == event->peer) {
            job->is_returned = true;
            job->unowned_ns = 0;
        }
        break;
    case TSI_SCHED_JOB_RESTORED:
        job = world->jobs.items[event->job_restored.token - 1];
        job->is_made = event->job_restored.ended;
        job->is_returned = false;
        world->is_restoring = true;
        break;
    case TSI_SCHED_RESTORED:
        world->is_restoring = false;
        break;
    default:
        break;
    }
    look_at_all(world);
}

static void
check_dropped(struct sim_world *world, struct sim_job *job, tess_status status)
{
    const uint64_t lease = world->sched_config.result_lease_ns;
    bool is_right = job->is_returned || job->has_failed;
    if (status == TESS_ETIMEOUT) {
        is_right = job->unowned_ns != 0 && world->sched_ns - job->unowned_ns >= lease;
    } else if (status == TESS_ELIMIT) {
        is_right = true; // what it had to make room for may be told of after it, so look later
        job->is_given_up = true;
    } else if (status != TESS_OK) {
        // What a scheduler that was started again makes once more may be given back meanwhile.
        is_right = sim_client_explains(world, job, status) ||
                   (status == TESS_ECANCELLED && job->is_returned);
    }
    if (!is_right) {
        sim_fail(world, "I15: the result of job %u is gone: %s", job->number,
                 tess_status_name(status));
    }
}

void
sim_detached_action(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_job *job = NULL;
    if (action->kind == TSI_SCHED_JOB_DROPPED) {
        job = sim_job_by_program(world, action->program.program);
        if (job != NULL && job->detached) {
            check_dropped(world, job, action->program.status);
        }
    } else if (action->kind == TSI_SCHED_JOB_ENDED) {
        job = sim_job_by_number(world, action->job);
        if (job != NULL) {
            // One that is given up in the step in which it is made ends with the reason for that.
            const tess_status status = action->ended.status;
            job->is_made = status == TESS_OK || status == TESS_ELIMIT;
            job->has_failed = !job->is_made;
            look(world, job);
        }
    }
}

// Of those that were given up in this step, whether all took too much, and since when the youngest
// was nobody's.
static uint64_t
check_given_up(struct sim_world *world)
{
    uint64_t youngest_ns = 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (!job->is_given_up) {
            continue;
        }
        if (job->unowned_ns == 0 || !job->was_too_much) {
            sim_fail(world, "I15: the result of job %u is gone: %s", job->number,
                     tess_status_name(TESS_ELIMIT));
        }
        job->is_given_up = false;
        youngest_ns = job->unowned_ns > youngest_ns ? job->unowned_ns : youngest_ns;
    }
    return youngest_ns;
}

void
sim_detached_check(struct sim_world *world)
{
    const uint64_t given_up_ns = check_given_up(world);
    const uint64_t lease = world->sched_config.result_lease_ns;
    uint64_t bytes = 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        if (!waits(job) || is_read(world, job)) {
            continue;
        }
        bytes += tsi_sched_result_bytes(job->program);
        // The core looks at the time once in a millisecond.
        if (world->sched_ns - job->unowned_ns > lease + TSI_MILLISECOND) {
            sim_fail(world, "I15: the result of job %u is kept though its lease is over",
                     job->number);
        }
        if (job->unowned_ns < given_up_ns) {
            sim_fail(world, "I15: a younger result was given up than that of job %u", job->number);
        }
    }
    if (bytes > world->sched_config.result_bytes_max) {
        sim_fail(world, "I15: results that nobody has take %" PRIu64 " bytes", bytes);
    }
}

void
sim_detached_restart(struct sim_world *world)
{
    world->sched_ns = 0;
    world->is_restoring = false;
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        job->owner = TSI_PEER_NONE;
        job->attached = TSI_PEER_NONE;
        job->unowned_ns = 0;
        job->was_too_much = false;
        job->is_made = false;
    }
}
