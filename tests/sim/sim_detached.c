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
//        than they may: then those go that nobody has had longest, the lowest numbers first among
//        equals, and not one more than has to. It goes when its lease is over. One that somebody
//        has is kept until it is given back. What is given up stays as long as a job reads it, but
//        nobody can have it any more.
//
// It judges when a step is over, as the core tells of jobs by their slots: the one that was pushed
// out may be told of before the one that pushed.

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
    static const uint32_t asks[] = {2, 10, 60};
    world->detach_asks = asks[sim_below(random, sizeof asks / sizeof *asks)];
    if (sim_chance(random, 600)) {
        // What a job keeps are few bytes as a rule.
        world->sched_config.result_bytes_max = UINT64_C(1) << sim_between(random, 5, 9);
    }
}

void
sim_detached_populate(struct sim_world *world)
{
    const uint64_t count = world->detaches ? sim_below(&world->detach_random, 4) : 0;
    for (uint64_t i = 0; i < count; i++) {
        sim_client_new(world, (int)sim_between(&world->detach_random, 1, 4));
    }
}

bool
sim_detached_wants(struct sim_world *world)
{
    return world->detaches && sim_chance(&world->detach_random, 600);
}

static struct sim_job *
job_of_core(const struct sim_world *world, uint32_t number)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        if (world->jobs.items[i]->core_number == number) {
            return world->jobs.items[i];
        }
    }
    return NULL;
}

bool
sim_detached_has_any(struct sim_world *world, const struct sim_kept *kept, int count)
{
    bool has_any = false;
    for (int i = 0; i < count; i++) {
        const struct sim_job *job = job_of_core(world, kept[i].job);
        has_any = has_any || (job != NULL && job->detached);
    }
    return has_any;
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
        job->cancelled = false; // what the one before wanted, and nobody heard
        job->released = false;
        client->jobs_open++;
        client->jobs_left += sim_chance(&client->world->detach_random, 500) ? 1 : 0; // to use it
    }
}

static bool
is_there(const struct sim_world *world, uint32_t peer)
{
    return peer != TSI_PEER_NONE && !world->links.items[peer].closed;
}

// Whether the client waits for a job that reads what a detached one keeps.
static bool
reads_detached(const struct sim_client *client)
{
    const struct sim_world *world = client->world;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        for (int k = 0; k < job->program->op_count && job->client == client && !job->ended; k++) {
            const struct tsi_chunk_op *op = &job->program->ops[k];
            const struct sim_job *maker =
                op->work == TSI_WORK_KEPT ? job_of_core(world, (uint32_t)op->kept.job) : NULL;
            if (maker != NULL && maker->detached) {
                return true;
            }
        }
    }
    return false;
}

// A client that has, or has submitted, detached jobs, and waits for no others, ends its session, so
// that they are nobody's, and begins another one. What else it keeps goes with the session.
static void
renew(struct sim_client *client)
{
    struct sim_world *world = client->world;
    bool has_any = false;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        has_any = has_any || (job->detached && !job->dropped &&
                              (job->client == client || job->submitter == client));
    }
    if (client->jobs_open > 0 || !has_any || !sim_chance(&world->detach_random, 200)) {
        return;
    }
    sim_trace(world, "client %d ends its session", client->id);
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (job->client == client) {
            job->released = job->released || !job->detached;
            sim_detached_leave(job);
        }
    }
    sim_link_kill(world, client->peer, true, true);
    client->joined = false;
}

// A client asks for a job that it has heard of, rarely for one that somebody has or that is gone.
// While one is read, clients vanish and the scheduler dies more often than otherwise, so that it is
// given up then, or somebody else comes for it.
void
sim_detached_act(struct sim_client *client)
{
    struct sim_world *world = client->world;
    for (size_t i = 0; world->detaches && i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        const bool is_away = world->rebirths > 0 && !is_there(world, job->attached);
        const bool is_free = job->client == NULL && !job->dropped;
        const uint32_t chance = is_free ? world->detach_asks : is_away ? 200 : 2;
        if (!job->named || job->client == client || !sim_chance(&world->detach_random, chance)) {
            continue;
        }
        sim_trace(world, "client %d asks for job %u", client->id, job->number);
        struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
        mail->to_sched.kind = TSI_SCHED_JOB_CLAIMED;
        mail->to_sched.job.job = job->number;
        mail->token = job->token;
        sim_mail_send(world, mail);
    }
    if (!world->detaches || (world->quiet && reads_detached(client))) {
        return;
    }
    if (!reads_detached(client)) {
        renew(client);
    } else if (world->faults.vanish && sim_chance(&world->detach_random, 100)) {
        sim_client_vanish(client);
    } else if (world->faults.rebirth && sim_chance(&world->detach_random, 100)) {
        sim_at(world, world->now, SIM_SCHED_CRASH);
    }
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
    tess_status why = TESS_OK;
    const bool is_given = is_known && !sim_detached_is_gone(world, job, &why);
    job->attached = is_given ? mail->peer : TSI_PEER_NONE;
    return false;
}

bool
sim_detached_is_gone(struct sim_world *world, const struct sim_job *job, tess_status *why)
{
    const bool is_gone = tsi_sched_result_is_gone(world->sched, job->core_number, why);
    const bool is_right = job->is_returned || job->given_up != TESS_OK;
    if (job->detached && (is_gone != is_right || (is_gone && *why != job->given_up))) {
        sim_fail(world, "I15: job %u can %sbe claimed (%s), but it was given %s (%s)", job->number,
                 is_gone ? "not " : "", tess_status_name(*why), job->is_returned ? "back" : "up",
                 tess_status_name(job->given_up));
    }
    return is_gone;
}

// Whether its time runs, or ran until this step.
static bool
waits(const struct sim_job *job)
{
    return job->detached && (!job->dropped || job->went != TESS_OK) && job->unowned_ns != 0 &&
           job->given_up == TESS_OK;
}

static bool
is_older(const struct sim_job *job, const struct sim_job *other)
{
    return job->unowned_ns != other->unowned_ns ? job->unowned_ns < other->unowned_ns
                                                : job->core_number < other->core_number;
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
}

static void
look_at_all(struct sim_world *world)
{
    for (size_t i = 0; world->detaches && i < world->jobs.count; i++) {
        look(world, world->jobs.items[i]);
    }
}

// With a job its client gets those that it reads, unless somebody else has come for them.
static void
note_owner(struct sim_world *world, struct sim_job *job, uint32_t peer)
{
    job->owner = peer;
    job->unowned_ns = 0;
    for (int i = 0; i < job->program->op_count; i++) {
        const struct tsi_chunk_op *op = &job->program->ops[i];
        struct sim_job *maker =
            op->work == TSI_WORK_KEPT ? sim_job_by_number(world, (uint32_t)op->kept.job) : NULL;
        if (maker != NULL && maker->owner != peer && !is_there(world, maker->owner)) {
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
        job = job_of_core(world, event->job.job);
        if (job != NULL && is_there(world, event->peer)) {
            note_owner(world, job, event->peer);
        }
        break;
    case TSI_SCHED_JOB_RELEASED:
        job = job_of_core(world, event->job.job);
        if (job != NULL && job->owner == event->peer) {
            job->is_returned = true;
            job->unowned_ns = 0;
        }
        break;
    case TSI_SCHED_JOB_RESTORED:
        job = world->jobs.items[event->job_restored.token - 1];
        job->core_number = event->job_restored.job;
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
    bool is_right = job->is_returned || job->has_failed;
    if (status == TESS_ETIMEOUT || status == TESS_ELIMIT) {
        is_right = true; // what it had to make room for may be told of after it, so look later
        job->went = status;
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
    } else if (action->kind == TSI_SCHED_JOB_ACCEPTED) {
        world->jobs.items[action->accepted.token - 1]->core_number = action->job;
    } else if (action->kind == TSI_SCHED_JOB_ENDED) {
        job = job_of_core(world, action->job);
        if (job != NULL) {
            // One that is given up in the step in which it is made ends with the reason for that.
            const tess_status status = action->ended.status;
            job->is_made = status == TESS_OK || status == TESS_ELIMIT;
            job->has_failed = !job->is_made;
            look(world, job);
        }
    }
}

// A result has gone, or is given up, in this step.
static void
check_given_up(struct sim_world *world, const struct sim_job *gone)
{
    const uint64_t lease = world->sched_config.result_lease_ns;
    uint64_t bytes = 0; // of it, and of all that may stay longer
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        if (!waits(job)) {
            continue;
        }
        bytes += is_older(job, gone) ? 0 : tsi_sched_result_bytes(job->program);
        if (is_older(job, gone) && job->went == TESS_OK) {
            sim_fail(world, "I15: the result of job %u was given up, and not that of job %u",
                     gone->number, job->number);
        }
    }
    const bool is_right = gone->went == TESS_ETIMEOUT
                              ? world->sched_ns - gone->unowned_ns >= lease
                              : bytes > world->sched_config.result_bytes_max;
    if (!waits(gone) || !is_right) {
        sim_fail(world, "I15: the result of job %u was given up: %s", gone->number,
                 tess_status_name(gone->went));
    }
}

static void
check_kept(struct sim_world *world)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        if (!waits(job) || job->went != TESS_OK) {
            continue;
        }
        bytes += tsi_sched_result_bytes(job->program);
        // The core looks at the time once in a millisecond.
        if (world->sched_ns - job->unowned_ns >
            world->sched_config.result_lease_ns + TSI_MILLISECOND) {
            sim_fail(world, "I15: the result of job %u is kept though its lease is over",
                     job->number);
        }
    }
    if (bytes > world->sched_config.result_bytes_max) {
        sim_fail(world, "I15: results that nobody has take %" PRIu64 " bytes", bytes);
    }
}

void
sim_detached_check(struct sim_world *world)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (job->detached && job->went == TESS_OK && job->given_up == TESS_OK) {
            (void)tsi_sched_result_is_gone(world->sched, job->core_number, &job->went);
        } else if (job->given_up != TESS_OK) {
            job->went = TESS_OK; // it went for that, when nobody read it any more
        }
    }
    for (size_t i = 0; i < world->jobs.count; i++) {
        if (world->jobs.items[i]->went != TESS_OK) {
            check_given_up(world, world->jobs.items[i]);
        }
    }
    check_kept(world);
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        job->given_up = job->went != TESS_OK ? job->went : job->given_up;
        job->went = TESS_OK;
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
        job->went = TESS_OK;
        job->given_up = TESS_OK;
        job->is_made = false;
    }
}
