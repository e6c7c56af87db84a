// SPDX-License-Identifier: Apache-2.0
//
// The scheduler dies and is started again with its journal.
//
// The journal is one of real bytes; of a program it has the place in the list of jobs. What was
// synced survives, of the rest a random part, cut anywhere. All that is under way is lost. Workers
// and clients see it after a while, in any order, and join the new scheduler; some before it goes
// on, some after. What a worker held and the scheduler took over is not made again, unless
// something that happened since explains it.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/check.h"
#include "scheduler/core/sched_state.h"
#include "tests/sim/sim_world.h"

enum { CRASHES_MAX = 4, INPUTS_MAX = 1 << 16 };

void
sim_restart_draw(struct sim_world *world)
{
    // A stream of its own, so that all other draws are as without this fault.
    struct sim_random random = {.state = sim_hash(world->config.seed, 4242)};
    world->restart_random = random;
    if (world->faults.none || !sim_chance(&world->restart_random, 400)) {
        return;
    }
    world->faults.rebirth = true;
    world->sched_config.client_lease_ns += 20 * TSI_SECOND;
    const uint64_t count = 1 + sim_below(&world->restart_random, CRASHES_MAX);
    for (uint64_t i = 0; i < count; i++) {
        sim_at(world, sim_below(&world->restart_random, world->fault_end), SIM_SCHED_CRASH);
    }
}

static bool
keeps_journal(const struct sim_world *world)
{
    return world->faults.rebirth;
}

static void
append(struct sim_world *world, const struct tsi_journal_record *record, bool sync)
{
    if (world->journal.count == 0) {
        tsi_journal_put_head(&world->journal);
    }
    tsi_journal_put(&world->journal, record);
    TSI_CHECK(!world->journal.failed);
    if (sync || sim_chance(&world->restart_random, 100)) {
        world->journal_synced = world->journal.count;
    }
}

static struct sim_job *
job_of_number(const struct sim_world *world, uint32_t number)
{
    for (size_t i = 0; i < world->jobs.count; i++) {
        if (world->jobs.items[i]->journalled == number) {
            return world->jobs.items[i];
        }
    }
    return NULL;
}

static void
note_taken(struct sim_world *world, const struct tsi_sched_event *event)
{
    const struct sim_job *job = job_of_number(world, event->targets_taken.job);
    for (size_t i = 0; job != NULL && i < event->targets_taken.count; i++) {
        const struct tsi_task_range range = {event->targets_taken.tasks[i], 1};
        const struct tsi_journal_record taken = {.type = TSI_JOURNAL_TAKEN,
                                                 .number = event->targets_taken.job,
                                                 .ranges = &range,
                                                 .range_count = 1};
        append(world, &taken, false);
    }
}

void
sim_restart_event(struct sim_world *world, struct tsi_sched_event *event)
{
    if (!keeps_journal(world)) {
        return;
    }
    if (event->kind == TSI_SCHED_JOB_SUBMITTED) {
        const size_t place = (size_t)event->job_submitted.token - 1;
        const uint64_t name = place;
        event->job_submitted.job = ++world->last_job;
        world->jobs.items[place]->journalled = world->last_job;
        append(world,
               &(struct tsi_journal_record){.type = TSI_JOURNAL_JOB,
                                            .number = world->last_job,
                                            .token = event->job_submitted.token,
                                            .detached = event->job_submitted.detached,
                                            .program = (const unsigned char *)&name,
                                            .program_bytes = sizeof name},
               true);
    } else if (event->kind == TSI_SCHED_TARGETS_TAKEN) {
        note_taken(world, event);
    }
}

void
sim_restart_action(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_job *job = keeps_journal(world) ? job_of_number(world, action->job) : NULL;
    if (job == NULL) {
        return;
    }
    if (action->kind == TSI_SCHED_JOB_ENDED && action->ended.status == TESS_OK && job->keeps) {
        append(world,
               &(struct tsi_journal_record){.type = TSI_JOURNAL_ENDED, .number = action->job},
               false);
    } else if (action->kind == TSI_SCHED_JOB_DROPPED) {
        job->last_status = action->program.status;
        append(world,
               &(struct tsi_journal_record){
                   .type = TSI_JOURNAL_DROPPED, .number = action->job, .status = job->last_status},
               false);
    }
}

// Every link ends, and nothing that was sent arrives.
static void
cut_links(struct sim_world *world)
{
    for (uint32_t p = 1; p < world->links.count; p++) {
        struct sim_link *link = &world->links.items[p];
        link->dead = true;
        link->from_limit = 0;
        if (!link->closed) {
            link->closed = true;
            sim_book_closed(link);
            TSI_CHECK(tsi_vec_push(&world->gone, p));
        }
    }
}

static void
tell_members(struct sim_world *world)
{
    for (size_t i = 0; i < world->workers.count; i++) {
        struct sim_worker *worker = world->workers.items[i];
        if (worker->alive && worker->peer != TSI_PEER_NONE) {
            const uint64_t delay = sim_delay(world, TSI_SECOND / 10);
            struct sim_event *parted = sim_at(world, world->now + delay, SIM_PARTED);
            parted->worker = worker;
            parted->epoch = worker->epoch;
        }
    }
    for (size_t i = 0; i < world->clients.count; i++) {
        struct sim_client *client = world->clients.items[i];
        client->joined = false;
    }
}

// What of the journal is on the disk when the scheduler is started again.
static size_t
surviving_bytes(struct sim_world *world)
{
    const size_t loose = world->journal.count - world->journal_synced;
    const size_t cut = sim_chance(&world->restart_random, 500)
                           ? loose
                           : (size_t)sim_below(&world->restart_random, loose + 1);
    if (cut > 0 && cut < loose && sim_chance(&world->restart_random, 300)) {
        world->journal.bytes[world->journal_synced + cut - 1] ^= 0x40;
    }
    return world->journal_synced + cut;
}

static void
restore_job(struct sim_world *world, const struct tsi_journal_job *record, uint32_t ghost)
{
    uint64_t place;
    TSI_CHECK(record->program_bytes == sizeof place);
    memcpy(&place, record->program, sizeof place);
    struct sim_job *job = world->jobs.items[place];
    if (job->dropped) {
        job->dropped = false; // that it went is forgotten
        job->refs++;
    }
    memset(job->assigned_to, 0, sizeof *job->assigned_to * job->program->task_count);
    memset(job->paused_at, 0, sizeof *job->paused_at * job->program->task_count);
    const struct tsi_sched_event event = {.kind = TSI_SCHED_JOB_RESTORED,
                                          .peer = ghost,
                                          .job_restored = {.job = record->number,
                                                           .token = record->token,
                                                           .program = job->program,
                                                           .detached = record->detached,
                                                           .ended = record->ended,
                                                           .taken = record->taken.items,
                                                           .taken_count = record->taken.count}};
    sim_sched_feed(world, &event);
}

static void
replay(struct sim_world *world)
{
    struct tsi_journal journal;
    const size_t count = surviving_bytes(world);
    TSI_CHECK(tsi_journal_read(world->journal.bytes, count, &journal, NULL) == TESS_OK);
    if (journal.trusted < world->journal_synced) {
        sim_fail(world, "%zu bytes of the journal are trusted, %zu were synced", journal.trusted,
                 world->journal_synced);
    }
    const uint32_t ghost = sim_link_open(world, NULL, NULL);
    world->links.items[ghost].closed = true;
    for (size_t i = 0; i < journal.jobs.count; i++) {
        const struct tsi_journal_job *record = &journal.jobs.items[i];
        if (!record->dropped) {
            restore_job(world, record, ghost);
        }
    }
    tsi_journal_fini(&journal);
    world->journal.count = journal.trusted;
    world->journal_synced = journal.trusted;
}

void
sim_restart_crash(struct sim_world *world)
{
    if (world->quiet) {
        return;
    }
    sim_trace(world, "the scheduler dies, %zu of %zu bytes of its journal are synced",
              world->journal_synced, world->journal.count);
    world->rebirths++;
    tsi_sched_free(world->sched);
    cut_links(world);
    tell_members(world);
    sim_detached_restart(world);
    world->tick_time = UINT64_MAX;
    world->sched = tsi_sched_new(&world->sched_config);
    TSI_CHECK(world->sched != NULL);
    if (world->journal.count > 0) {
        replay(world);
    }
    const uint64_t window = sim_delay(world, TSI_SECOND / 10);
    sim_at(world, world->now + window, SIM_SCHED_RESTORED)->epoch = (uint32_t)world->rebirths;
}

void
sim_restart_restored(struct sim_world *world, const struct sim_event *event)
{
    if (event->epoch == (uint32_t)world->rebirths) {
        sim_trace(world, "the scheduler goes on");
        sim_sched_feed(world, &(struct tsi_sched_event){.kind = TSI_SCHED_RESTORED});
    }
}

void
sim_restart_parted(const struct sim_event *event)
{
    struct sim_worker *worker = event->worker;
    if (worker->alive && worker->core != NULL && worker->epoch == event->epoch) {
        sim_worker_disconnected(worker);
    }
}

// All that would explain that a chunk is made again.
static uint64_t
mishaps(const struct sim_world *world)
{
    return world->losses + world->leaves + world->fetch_failures + world->rebirths;
}

// A task that is given to somebody when its chunk is offered may be begun all the same.
static void
note_assigned(struct sim_world *world, struct sim_job *job, const struct tsi_task_range *range)
{
    const struct tsi_sched_job *known = tsi_sched_job_find(world->sched, job->journalled);
    for (uint32_t i = 0; known != NULL && i < range->count; i++) {
        const struct tsi_sched_task *record = &known->tasks[range->first + i];
        const bool is_assigned = tsi_sched_task_state(record) == TSI_TASK_ASSIGNED;
        job->adopted[range->first + i] = is_assigned ? UINT64_MAX : 0;
    }
}

// The scheduler took chunks over that a worker offered: they must not be made again.
static void
note_adopted(struct sim_world *world, struct sim_job *job, const struct tsi_task_range *range)
{
    const struct tsi_sched_job *known = tsi_sched_job_find(world->sched, job->journalled);
    for (uint32_t i = 0; known != NULL && i < range->count; i++) {
        const uint32_t task = range->first + i;
        if (tsi_sched_task_is_there(&known->tasks[task]) && job->adopted[task] == 0) {
            job->adopted[task] = 1 + mishaps(world);
            world->adoptions++;
        }
    }
}

static bool
is_anywhere(const struct sim_world *world, const struct sim_job *job, uint32_t task)
{
    const tsi_key key = tsi_key_of(job->journalled, task);
    for (uint32_t p = 1; p < world->links.count; p++) {
        const struct sim_link *link = &world->links.items[p];
        if (!link->closed && tsi_map_get(&link->may_hold, key) != NULL) {
            return true;
        }
    }
    return false;
}

// Marks what the marked tasks of the job read, directly or not.
static void
mark_inputs(const struct sim_job *job, uint8_t *needs)
{
    static tsi_key keys[INPUTS_MAX];
    for (int i = job->program->op_count; i-- > 0;) {
        const struct tsi_chunk_op *op = &job->program->ops[i];
        for (uint32_t c = 0; c < op->task_count && op->work != TSI_WORK_KEPT; c++) {
            const bool is_needed = needs[op->task_base + c] != 0;
            const size_t count = is_needed ? sim_job_inputs(job, i, c, keys, INPUTS_MAX) : 0;
            for (size_t k = 0; k < count; k++) {
                if (tsi_key_job(keys[k]) == job->number) {
                    needs[tsi_key_task(keys[k])] = 1;
                }
            }
        }
    }
}

void
sim_restart_dropped(struct sim_world *world, tsi_key key)
{
    struct sim_job *job = keeps_journal(world) ? job_of_number(world, tsi_key_job(key)) : NULL;
    const uint32_t dropped = tsi_key_task(key);
    if (job == NULL || dropped >= job->program->task_count || is_anywhere(world, job, dropped)) {
        return;
    }
    uint8_t *needs = sim_alloc(job->program->task_count);
    needs[dropped] = 1;
    mark_inputs(job, needs);
    for (uint32_t task = 0; task < job->program->task_count; task++) {
        if (needs[task] != 0 && !is_anywhere(world, job, task)) {
            job->adopted[task] = 0;
        }
    }
    free(needs);
}

void
sim_restart_executed(struct sim_world *world, const struct sim_job *job, uint32_t task,
                     uint64_t started)
{
    // A run that had begun before the offer came is nobody's fault.
    if (job->adopted[task] == 1 + mishaps(world) && started > job->adopted_at) {
        sim_fail(world, "I12: %u:%u was made again, but a worker had offered it", job->journalled,
                 task);
    }
}

// A worker that joins says what it holds, before the scheduler says anything.
void
sim_restart_offer(struct sim_worker *worker, struct sim_mail *mail)
{
    TSI_CHECK(tsi_worker_offer(worker->core, &mail->offer));
    mail->offer.holdings =
        sim_mail_copy(mail, mail->offer.holdings, mail->offer.count * sizeof *mail->offer.holdings);
    mail->offer.ranges = sim_mail_copy(mail, mail->offer.ranges,
                                       mail->offer.range_count * sizeof *mail->offer.ranges);
}

void
sim_restart_send_held(struct sim_worker *worker, const struct tsi_holding *holding,
                      const struct tsi_task_range *ranges)
{
    struct sim_world *world = worker->world;
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, worker->peer);
    sim_trace(world, "worker %d offers %zu ranges of job %u", worker->id, holding->range_count,
              holding->job);
    mail->to_sched.kind = TSI_SCHED_WORKER_HOLDS;
    mail->to_sched.holds.job = holding->job;
    mail->to_sched.holds.count = holding->range_count;
    mail->to_sched.holds.ranges =
        sim_mail_copy(mail, ranges, holding->range_count * sizeof *ranges);
    mail->token = holding->token;
    sim_mail_send(world, mail);
}

static void
hold(struct sim_world *world, const struct tsi_sched_event *event, uint64_t token)
{
    struct sim_job *job = job_of_number(world, event->holds.job);
    const uint64_t *slot = tsi_map_get(&world->sched->job_slots, event->holds.job);
    if (slot == NULL || job == NULL || job->token != token) {
        struct sim_mail *drop = sim_mail_new(world, SIM_MAIL_TO_WORKER, event->peer);
        sim_trace(world, "  job %u is not known", event->holds.job);
        drop->to_worker.kind = TSI_WORKER_DROP_JOB;
        drop->to_worker.drop_job.job = event->holds.job;
        sim_mail_send(world, drop);
        return;
    }
    for (size_t i = 0; i < event->holds.count; i++) {
        note_assigned(world, job, &event->holds.ranges[i]);
    }
    sim_sched_feed(world, event);
    if (world->links.items[event->peer].dead) {
        return; // it died after it had offered
    }
    job->adopted_at = world->step;
    for (size_t i = 0; i < event->holds.count; i++) {
        note_adopted(world, job, &event->holds.ranges[i]);
    }
}

static void
take_joined(struct sim_world *world, const struct sim_mail *mail)
{
    size_t at = 0;
    world->is_mute = true;
    sim_sched_feed(world, &mail->to_sched);
    for (size_t i = 0; i < mail->offer.count; i++) {
        const struct tsi_holding *holding = &mail->offer.holdings[i];
        sim_trace(world, "  peer %u offers %zu ranges of job %u", mail->peer, holding->range_count,
                  holding->job);
        const struct tsi_sched_event holds = {.kind = TSI_SCHED_WORKER_HOLDS,
                                              .peer = mail->peer,
                                              .holds = {.job = holding->job,
                                                        .ranges = mail->offer.ranges + at,
                                                        .count = holding->range_count}};
        hold(world, &holds, holding->token);
        at += holding->range_count;
    }
    world->is_mute = false;
    sim_sched_feed(world, &(struct tsi_sched_event){.kind = TSI_SCHED_TICK});
}

// What a client that comes back says about a job: submits it again, or claims it and tells what it
// has of it.
void
sim_restart_claim(struct sim_client *client, struct sim_job *job)
{
    struct sim_world *world = client->world;
    struct sim_mail *mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
    if (job->number == TSI_JOB_NONE) {
        mail->to_sched.kind = TSI_SCHED_JOB_SUBMITTED;
        mail->to_sched.job_submitted.token = job->token;
        mail->to_sched.job_submitted.program = job->program;
        mail->to_sched.job_submitted.detached = job->detached;
        sim_mail_send(world, mail);
        return;
    }
    sim_trace(world, "client %d claims job %u", client->id, job->number);
    mail->to_sched.kind = TSI_SCHED_JOB_CLAIMED;
    mail->to_sched.job.job = job->number;
    sim_mail_send(world, mail);
    if (job->cancelled) {
        // The scheduler may have forgotten it.
        mail = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
        mail->to_sched.kind = TSI_SCHED_JOB_CANCELLED;
        mail->to_sched.job.job = job->number;
        sim_mail_send(world, mail);
    }
    for (uint32_t task = 0; task < job->program->task_count; task++) {
        if (job->taken[task]) {
            struct sim_mail *taken = sim_mail_new(world, SIM_MAIL_TO_SCHED, client->peer);
            taken->to_sched.kind = TSI_SCHED_TARGETS_TAKEN;
            taken->to_sched.targets_taken.job = job->number;
            taken->to_sched.targets_taken.count = 1;
            taken->to_sched.targets_taken.tasks = sim_mail_copy(taken, &task, sizeof task);
            sim_mail_send(world, taken);
        }
    }
}

// An offer is taken in with its joining. A job that was submitted twice is claimed the second time;
// one that is gone ended somehow.
bool
sim_restart_arrives(struct sim_world *world, struct sim_mail *mail)
{
    struct tsi_sched_event *event = &mail->to_sched;
    struct sim_job *job = NULL;
    if (event->kind == TSI_SCHED_WORKER_JOINED && mail->offer.count > 0) {
        take_joined(world, mail);
        return false;
    }
    if (event->kind == TSI_SCHED_WORKER_HOLDS) {
        hold(world, event, mail->token);
        return false;
    }
    if (event->kind == TSI_SCHED_JOB_SUBMITTED) {
        job = world->jobs.items[event->job_submitted.token - 1];
        if (!keeps_journal(world) || job->journalled == TSI_JOB_NONE) {
            return true;
        }
        event->kind = TSI_SCHED_JOB_CLAIMED;
        event->job.job = job->journalled;
    } else if (event->kind == TSI_SCHED_JOB_CLAIMED) {
        job = sim_job_by_number(world, event->job.job);
    } else {
        return true;
    }
    if (sim_detached_is_refused(world, mail)) {
        return false;
    }
    const bool is_known = tsi_map_get(&world->sched->job_slots, event->job.job) != NULL;
    tess_status why = job->last_status;
    if (is_known && !sim_detached_is_gone(world, job, &why)) {
        return true;
    }
    if (job->detached && job->named && job->client != world->links.items[mail->peer].client) {
        sim_trace(world, "job %u is gone", event->job.job);
        return false;
    }
    struct sim_mail *ended = sim_mail_new(world, SIM_MAIL_TO_CLIENT, mail->peer);
    ended->to_client.kind = TSI_SCHED_JOB_ENDED;
    ended->to_client.job = event->job.job;
    ended->to_client.ended.status = job->keeps && why == TESS_OK ? TESS_ELOST : why;
    ended->to_client.ended.text = "";
    job->number = event->job.job;
    sim_mail_send(world, ended);
    return false;
}
