// SPDX-License-Identifier: Apache-2.0
//
// The model of a client: submits programs, takes targets, cancels, releases what it kept, and goes.
// It holds every result against the oracle and every failure against what went wrong in this run.

#include <string.h>

#include "engine/base/check.h"
#include "tests/sim/sim_world.h"
#include "tests/support/program_build.h"

enum { KEPT_MAX = 32 };

static void
act_later(struct sim_client *client, uint64_t mean)
{
    struct sim_world *world = client->world;
    sim_at(world, world->now + sim_delay(world, mean), SIM_CLIENT_ACT)->client = client;
}

struct sim_client *
sim_client_new(struct sim_world *world, int jobs)
{
    struct sim_client *client = sim_alloc(sizeof *client);
    client->world = world;
    client->id = (int)world->clients.count;
    client->jobs_left = jobs;
    TSI_CHECK(tsi_vec_push(&world->clients, client));
    act_later(client, 50 * TSI_MILLISECOND);
    return client;
}

static void
join(struct sim_client *client)
{
    client->peer = sim_link_open(client->world, NULL, client);
    client->joined = true;
    struct sim_mail *mail = sim_mail_new(client->world, SIM_MAIL_TO_SCHED, client->peer);
    mail->to_sched.kind = TSI_SCHED_CLIENT_JOINED;
    sim_mail_send(client->world, mail);
    for (size_t i = 0; i < client->world->jobs.count; i++) {
        struct sim_job *job = client->world->jobs.items[i];
        const bool is_kept = job->keeps && job->status == TESS_OK && !job->released;
        if (job->client == client && !job->lost && (!job->ended || is_kept)) {
            sim_restart_claim(client, job);
        }
    }
}

// The arrays that earlier jobs of this client keep.
static int
find_kept(struct sim_client *client, struct sim_kept *kept)
{
    struct sim_world *world = client->world;
    int count = 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        const struct sim_job *job = world->jobs.items[i];
        // To cancel a job that has just ended well is to release it.
        const bool is_gone = job->released || job->cancelled || job->lost;
        if (job->client != client || !job->ended || job->status != TESS_OK || is_gone) {
            continue;
        }
        for (int k = 0; k < job->program->target_count && count < KEPT_MAX; k++) {
            if (job->program->targets[k].mode == TSI_TARGET_KEEP) {
                kept[count++] =
                    (struct sim_kept){job->number, job->program, job->program->targets[k].op};
            }
        }
    }
    return count;
}

static struct tsi_program *
make_program(struct sim_world *world, const struct sim_program_shape *shape)
{
    if (world->config.big_workers > 0) {
        return sim_program_big(world->config.big_tasks);
    }
    if (world->config.is_tiny) {
        return sim_program_tiny();
    }
    if (!shape->uses_kept && sim_chance(&world->random, 300)) {
        const struct test_program_options options = {
            .tasks_max = (uint32_t)sim_between(&world->random, 5, 300),
            .with_held = sim_chance(&world->random, 500),
            .with_file = sim_chance(&world->random, 300),
        };
        return test_program_random(sim_next(&world->random), &options);
    }
    return sim_program_random(&world->random, shape);
}

static void
submit(struct sim_client *client)
{
    struct sim_world *world = client->world;
    struct sim_kept kept[KEPT_MAX];
    struct sim_program_shape shape = {
        .kept = kept,
        .kept_count = find_kept(client, kept),
        .keeps = sim_chance(&world->random, 300),
    };
    shape.uses_kept = sim_detached_has_any(world, kept, shape.kept_count);
    const bool is_detached = !shape.uses_kept && sim_detached_wants(world);
    shape.keeps = shape.keeps || is_detached;
    shape.kept_count = is_detached ? 0 : shape.kept_count;
    struct tsi_program *program = make_program(world, &shape);
    struct sim_job *job = sim_job_new(world, client, program);
    if (is_detached) {
        sim_detached_submit(world, job);
    }
    client->jobs_left--;
    client->jobs_open++;
    job->refs++;
    sim_trace(world, "client %d submits a program of %d operations, %u tasks", client->id,
              program->op_count, program->task_count);
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
    mail->to_sched.kind = TSI_SCHED_JOB_SUBMITTED;
    mail->to_sched.job_submitted.token = job->token;
    mail->to_sched.job_submitted.program = program;
    mail->to_sched.job_submitted.detached = job->detached;
    sim_mail_send(world, mail);
}

static void
tell_about(struct sim_client *client, enum tsi_sched_event_kind kind, const struct sim_job *job)
{
    struct sim_mail *mail = sim_mail_new(client->world, SIM_MAIL_TO_SCHED, client->peer);
    mail->to_sched.kind = kind;
    mail->to_sched.job.job = job->number;
    sim_mail_send(client->world, mail);
}

static void
cancel_some(struct sim_client *client)
{
    struct sim_world *world = client->world;
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (job->client == client && !job->ended && !job->cancelled &&
            job->number != TSI_JOB_NONE && sim_chance(&world->random, 20)) {
            sim_trace(world, "client %d cancels job %u", client->id, job->number);
            job->cancelled = true;
            // To give back what is detached and not made yet is to cancel it.
            const bool gives_back = job->detached && sim_chance(&world->detach_random, 500);
            tell_about(client, gives_back ? TSI_SCHED_JOB_RELEASED : TSI_SCHED_JOB_CANCELLED, job);
        }
    }
}

static bool
release_some(struct sim_client *client)
{
    struct sim_world *world = client->world;
    bool all_released = true;
    const bool is_done = client->jobs_left == 0 && client->jobs_open == 0;
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (job->client != client || !job->keeps || !job->ended || job->status != TESS_OK ||
            job->released || job->lost) {
            continue;
        }
        if (is_done && job->detached && sim_chance(&world->detach_random, 500)) {
            sim_detached_leave(job);
        } else if (is_done || sim_chance(&world->random, 50)) {
            sim_trace(world, "client %d releases job %u", client->id, job->number);
            job->released = true;
            tell_about(client, TSI_SCHED_JOB_RELEASED, job);
        } else {
            all_released = false;
        }
    }
    return is_done && all_released;
}

void
sim_client_act(struct sim_client *client)
{
    struct sim_world *world = client->world;
    if (client->vanished || client->left) {
        return;
    }
    if (!client->joined) {
        join(client);
    }
    const int most = world->config.big_workers > 0 ? 1 : 3;
    if (client->jobs_left > 0 && client->jobs_open < most &&
        (world->config.is_tiny || sim_chance(&world->random, 700))) {
        submit(client);
    }
    sim_detached_act(client);
    if (!client->joined) {
        act_later(client, 20 * TSI_MILLISECOND);
    }
    if (client->vanished || !client->joined) {
        return;
    }
    if (world->faults.cancel && !world->quiet) {
        cancel_some(client);
    }
    if (release_some(client)) {
        sim_trace(world, "client %d leaves", client->id);
        client->left = true;
        sim_link_kill(world, client->peer, true, true);
        return;
    }
    act_later(client, 20 * TSI_MILLISECOND);
}

void
sim_client_vanish(struct sim_client *client)
{
    struct sim_world *world = client->world;
    sim_trace(world, "client %d vanishes", client->id);
    client->vanished = true;
    for (size_t i = 0; i < world->jobs.count; i++) {
        struct sim_job *job = world->jobs.items[i];
        if (job->client == client && job->detached) {
            sim_detached_leave(job);
        } else if (job->client == client && !job->ended) {
            job->ended = true;
            job->status = TESS_ECANCELLED;
            // The submission itself may be what is lost.
            job->cancelled = true;
        }
    }
    sim_link_kill(world, client->peer, true, false);
}

static struct sim_job *
job_by_token(struct sim_world *world, uint64_t token)
{
    return token > 0 && token <= world->jobs.count ? world->jobs.items[token - 1] : NULL;
}

static void
accepted(struct sim_client *client, const struct tsi_sched_action *action)
{
    struct sim_world *world = client->world;
    struct sim_job *job = job_by_token(world, action->accepted.token);
    const bool is_other = job != NULL && job->client != client && !job->detached;
    if (job == NULL || is_other || (job->number != TSI_JOB_NONE && job->number != action->job)) {
        sim_fail(world, "job %u was accepted, which client %d did not submit", action->job,
                 client->id);
    }
    job->number = action->job;
    if (job->detached) {
        sim_detached_accepted(client, job);
    }
}

static void
check_complete(struct sim_world *world, const struct sim_job *job)
{
    if (job->is_hurt) {
        sim_fail(world, "I11: job %u ended well with a task that cannot succeed", job->number);
    }
    for (uint32_t task = 0; task < job->program->task_count; task++) {
        // What nobody is there to take counts as taken.
        if (sim_job_is_target(job, task, TSI_TARGET_DELIVER) && !job->taken[task] &&
            !job->detached) {
            sim_fail(world, "I11: job %u ended well without target %u", job->number, task);
        }
        if (sim_job_is_target(job, task, TSI_TARGET_RUN) && !job->executed[task]) {
            sim_fail(world, "I11: job %u ended well and did not run task %u", job->number, task);
        }
    }
}

// A prediction is of one life of the scheduler; what a worker held in the one before is not in it.
static void
check_costs(struct sim_world *world, const struct sim_job *job, const struct tsi_job_costs *costs)
{
    if (world->rebirths == 0 && costs->peak_bytes_measured > costs->peak_bytes_predicted) {
        sim_fail(world, "job %u took %llu bytes of a worker, predicted were %llu", job->number,
                 (unsigned long long)costs->peak_bytes_measured,
                 (unsigned long long)costs->peak_bytes_predicted);
    }
}

// A client that has all it wanted, and was told what the job took, does not wait for its end.
static void
end_if_complete(struct sim_client *client, struct sim_job *job)
{
    bool has_all = job->is_told && !job->ended;
    for (int i = 0; i < job->program->target_count && has_all; i++) {
        has_all = job->program->targets[i].mode == TSI_TARGET_DELIVER;
    }
    for (uint32_t task = 0; task < job->program->task_count && has_all; task++) {
        has_all = job->taken[task] || !sim_job_is_target(job, task, TSI_TARGET_DELIVER);
    }
    if (has_all) {
        sim_trace(client->world, "client %d has all of job %u", client->id, job->number);
        job->ended = true;
        job->ended_early = true;
        job->status = TESS_OK;
        client->jobs_open--;
        check_complete(client->world, job);
        check_costs(client->world, job, &job->costs);
    }
}

static void
take(struct sim_client *client, struct sim_job *job, uint32_t task)
{
    struct sim_world *world = client->world;
    job->taken[task] = true;
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
    mail->to_sched.kind = TSI_SCHED_TARGETS_TAKEN;
    mail->to_sched.targets_taken.job = job->number;
    mail->to_sched.targets_taken.count = 1;
    mail->to_sched.targets_taken.tasks = sim_mail_copy(mail, &task, sizeof task);
    sim_mail_send(world, mail);
    end_if_complete(client, job);
}

static void
fetch_later(struct sim_client *client, struct sim_job *job, uint32_t task, uint32_t peer)
{
    struct sim_world *world = client->world;
    struct sim_event *event =
        sim_at(world, world->now + sim_delay(world, 4 * world->net_ns), SIM_CLIENT_FETCHED);
    event->client = client;
    event->job = job;
    event->task = task;
    event->fetch.peer = peer;
}

void
sim_client_fetched(struct sim_world *world, const struct sim_event *event)
{
    struct sim_job *job = event->job;
    struct sim_client *client = event->client;
    if (client->vanished || client->left || job->ended || job->cancelled || job->client != client) {
        return;
    }
    struct sim_worker *worker = world->links.items[event->fetch.peer].worker;
    if (worker == NULL || !worker->alive || worker->peer != event->fetch.peer) {
        return; // the scheduler will name another place
    }
    const bool is_refused = world->faults.fetch && !world->quiet && sim_chance(&world->random, 50);
    if (worker->frozen_until > world->now || is_refused) {
        fetch_later(client, job, event->task, event->fetch.peer);
        return;
    }
    const tsi_key key = sim_job_key(job, event->task);
    uint64_t bytes = UINT64_MAX;
    const struct sim_handle *handle = tsi_worker_chunk(worker->core, key, &bytes);
    if (bytes == UINT64_MAX && sim_worker_demand(worker, key)) {
        fetch_later(client, job, event->task, event->fetch.peer);
        return;
    }
    if (bytes == UINT64_MAX) {
        return; // taken before, or the job has failed meanwhile
    }
    if (handle != NULL && handle->value != job->values[event->task]) {
        sim_fail(world, "I11: target %u:%u is wrong", job->number, event->task);
    }
    tsi_worker_chunk_served(worker->core, key);
    take(client, job, event->task);
}

static void
targets_ready(struct sim_client *client, const struct tsi_sched_action *action)
{
    struct sim_world *world = client->world;
    struct sim_job *job = sim_job_by_number(world, action->job);
    if (job != NULL && job->detached && job->client != client) {
        return; // it was left to others
    }
    if (job == NULL || job->client != client) {
        sim_fail(world, "targets of job %u for another client", action->job);
    }
    if (job->ended_early) {
        return;
    }
    job->is_told = action->ready.is_last;
    job->costs = action->ready.costs;
    for (size_t i = 0; i < action->ready.count; i++) {
        const struct tsi_sched_ready *item = &action->ready.items[i];
        if (item->task >= job->program->task_count ||
            !sim_job_is_target(job, item->task, TSI_TARGET_DELIVER)) {
            sim_fail(world, "task %u:%u is no target to deliver", action->job, item->task);
        }
        if (item->data == NULL) {
            fetch_later(client, job, item->task, item->peer);
            continue;
        }
        if (!sim_value_matches(job->values[item->task], item->data, item->bytes)) {
            sim_fail(world, "I11: target %u:%u is wrong", action->job, item->task);
        }
        take(client, job, item->task);
    }
}

// Whether an earlier job whose chunks this one reads was dropped: some of them were lost after its
// end, and could not be made again.
static bool
reads_lost_job(const struct sim_world *world, const struct sim_job *job)
{
    for (int i = 0; i < job->program->op_count; i++) {
        const struct tsi_chunk_op *op = &job->program->ops[i];
        const struct sim_job *maker =
            op->work == TSI_WORK_KEPT ? sim_job_by_number(world, (uint32_t)op->kept.job) : NULL;
        // A client that released it after the submission does not claim it after a restart.
        const bool is_unclaimed = maker != NULL && world->rebirths > 0 && maker->released;
        // Nor can it, if somebody else came for it before it was back.
        const bool is_taken = maker != NULL && world->rebirths > 0 && maker->detached &&
                              job->client != NULL && maker->attached != job->client->peer;
        if (is_unclaimed || is_taken ||
            (maker != NULL && maker->dropped &&
             (!maker->released || maker->lost || maker->last_status != TESS_OK))) {
            return true;
        }
    }
    return false;
}

bool
sim_client_explains(const struct sim_world *world, const struct sim_job *job, tess_status status)
{
    switch (status) {
    case TESS_ECANCELLED:
        return job->cancelled;
    case TESS_EFORMAT:
        return job->is_poisoned;
    case TESS_ELOST:
        // One that was given back, as a way to cancel it, may have ended well just before.
        return world->losses >= (uint64_t)world->sched_config.kills_max ||
               (job->detached && job->cancelled && world->rebirths > 0);
    case TESS_ENOMEM:
        return world->faults.kernel_memory;
    case TESS_EIO:
        return world->faults.disk;
    case TESS_EMEMLIMIT:
        return world->faults.tight || world->faults.squeeze || world->faults.kernel_memory;
    case TESS_EINVAL:
        return reads_lost_job(world, job);
    case TESS_ETIMEOUT:
    case TESS_ELIMIT:
        return job->detached && world->rebirths > 0; // before its client came back
    default:
        return false;
    }
}

static void
ended(struct sim_client *client, const struct tsi_sched_action *action)
{
    struct sim_world *world = client->world;
    struct sim_job *job = sim_job_by_number(world, action->job);
    if (job != NULL && job->detached && job->client != client) {
        return; // it was left to others
    }
    if (job != NULL && job->client == client && job->ended_early) {
        if (action->ended.status != TESS_OK &&
            !sim_client_explains(world, job, action->ended.status)) {
            sim_fail(world, "I11: job %u failed for no reason after its targets were taken",
                     job->number);
        }
        return;
    }
    const bool was_claimed =
        job != NULL && job->client == client && (world->rebirths > 0 || job->detached);
    if (was_claimed && job->ended) {
        // A kept job that is gone after all was lost by the scheduler, or its end is told again.
        job->lost = job->lost || action->ended.status != TESS_OK;
        return;
    }
    if (job == NULL || job->client != client || job->ended) {
        sim_fail(world, "job %u ended for a client that does not wait for it", action->job);
    }
    job->ended = true;
    job->status = action->ended.status;
    client->jobs_open--;
    check_costs(world, job, &action->ended.costs);
    if (job->status == TESS_OK) {
        check_complete(world, job);
    } else if (!sim_client_explains(world, job, job->status)) {
        sim_fail(world, "I11: job %u failed for no reason: %s: %s", job->number,
                 tess_status_name(job->status), action->ended.text);
    }
}

void
sim_client_receive(struct sim_client *client, const struct tsi_sched_action *action)
{
    switch (action->kind) {
    case TSI_SCHED_JOB_ACCEPTED:
        accepted(client, action);
        break;
    case TSI_SCHED_TARGETS_READY:
        targets_ready(client, action);
        break;
    case TSI_SCHED_JOB_ENDED:
        ended(client, action);
        break;
    default:
        break;
    }
}
