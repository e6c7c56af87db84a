// SPDX-License-Identifier: Apache-2.0
//
// What an observer of the scheduler's messages can say without looking into it. The book is kept
// from the messages alone, so it does not share the mistakes of the core's own books.
//
//   I1   the sequences that a worker is sent rise
//   I2   a task has one attempt at a time
//   I4   a chunk is freed only where it may be, and once for each time that it came there; what a
//        worker holds that has nothing to do, the scheduler knows of
//   I9   no action refers to a peer that has left
//   I10  a worker has at most its threads and the prefetch to do, and no message is too long
//   I13  no worker is lost for a silence in which the scheduler did not listen, nor one that
//        was not silent
//   I14  no worker takes more memory or disk than it may; where the limit was lowered, what it
//   takes
//        beyond it becomes less only (sim_worker.c)
//   I12  without a loss nothing is made twice, and with losses no task more often than those
//   explain, and those of its readers that came back from a pause in which something was lost
//
// The other numbers are in scheduler/core/sched_verify.c (I1 to I5, I7, I8: the scheduler's own
// books), worker/core/worker_verify.c (W1 to W7), sim_worker.c (I6: a worker that has tasks does
// something; I11), sim_client.c (I11: results are the oracle's) and sim_run.c (I8: all ends).

#include <stdlib.h>

#include "engine/base/check.h"
#include "scheduler/core/sched_state.h"
#include "tests/sim/sim_world.h"
#include "worker/core/worker_state.h"

// More than any batch of the core, which has to fit a message.
enum { RECORDS_MAX = 2048, INPUTS_MAX = 1 << 16 };

// Below the step in which a chunk was last reported is how often.
#define REPORTS_MASK UINT64_C(0xFFFFFF)

static struct sim_job *
job_of(const struct sim_world *world, uint32_t number)
{
    for (size_t i = world->jobs.count; i > 0 && number != TSI_JOB_NONE; i--) {
        if (world->jobs.items[i - 1]->issued == number) {
            return world->jobs.items[i - 1];
        }
    }
    return NULL;
}

// What may take a chunk from where it was.
static uint64_t
count_mishaps(const struct sim_world *world)
{
    return world->losses + world->leaves + world->fetch_failures + world->drops;
}

static void
check_peer(struct sim_world *world, uint32_t peer)
{
    if (peer != TSI_PEER_NONE && world->links.items[peer].closed) {
        sim_fail(world, "I9: an action names peer %u, which has left", peer);
    }
}

static void
note_assignment(struct sim_world *world, struct sim_link *link, uint32_t peer,
                const struct tsi_assignment *item)
{
    struct sim_job *job = job_of(world, item->job);
    if (job == NULL || item->task >= job->program->task_count) {
        sim_fail(world, "I9: an assignment of %u:%u, which is no task", item->job, item->task);
    }
    if (item->sequence <= link->last_sequence) {
        sim_fail(world, "I1: peer %u: sequence %u after %u", peer, item->sequence,
                 link->last_sequence);
    }
    if (job->assigned_to[item->task] != TSI_PEER_NONE) {
        sim_fail(world, "I2: %u:%u is given to peer %u while peer %u has it", item->job, item->task,
                 peer, job->assigned_to[item->task]);
    }
    link->last_sequence = item->sequence;
    job->assigned_to[item->task] = peer;
    if (job->paused_at[item->task] != 0) {
        job->comebacks[item->task] += count_mishaps(world) >= job->paused_at[item->task] ? 1 : 0;
        job->paused_at[item->task] = 0;
    }
    TSI_CHECK(tsi_vec_push(&link->live, ((struct sim_attempt){job, item->task, item->sequence})));
}

static void
note_assign(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_link *link = &world->links.items[action->peer];
    for (size_t i = 0; i < action->assign.count; i++) {
        note_assignment(world, link, action->peer, &action->assign.items[i]);
    }
    for (size_t i = 0; i < action->assign.location_count; i++) {
        check_peer(world, action->assign.locations[i].peer);
    }
    if (action->assign.count > RECORDS_MAX) {
        sim_fail(world, "I10: a message of %zu records", action->assign.count);
    }
}

// A worker has, or is about to have, a chunk. It may be freed there once; but if one event tells of
// it several times, as often, for a chunk that is lost is freed at each mention of it.
static void
note_chunk(struct sim_world *world, struct sim_link *link, tsi_key key)
{
    const uint64_t *before = tsi_map_get(&link->may_hold, key);
    const uint64_t step = world->step * (REPORTS_MASK + 1);
    const bool is_same_step = before != NULL && *before > step;
    TSI_CHECK(tsi_map_put(&link->may_hold, key, (is_same_step ? *before : step) + 1));
}

static void
note_free(struct sim_world *world, const struct tsi_sched_action *action)
{
    struct sim_link *link = &world->links.items[action->peer];
    for (size_t i = 0; i < action->free.count; i++) {
        const tsi_key key = action->free.keys[i];
        uint64_t *reports = tsi_map_get(&link->may_hold, key);
        if (reports == NULL) {
            sim_fail(world, "I4: %u:%u is freed at peer %u, where it is not", tsi_key_job(key),
                     tsi_key_task(key), action->peer);
        }
        --*reports;
        if ((*reports & REPORTS_MASK) == 0) {
            tsi_map_remove(&link->may_hold, key);
        }
    }
}

// Attempts of a job that ended are over without a report.
static void
drop_job(struct sim_link *link, uint32_t job)
{
    size_t kept = 0;
    for (size_t i = 0; i < link->live.count; i++) {
        if (link->live.items[i].job->issued != job) {
            link->live.items[kept++] = link->live.items[i];
        }
    }
    link->live.count = kept;
}

void
sim_book_action(struct sim_world *world, const struct tsi_sched_action *action)
{
    if (action->kind != TSI_SCHED_JOB_DROPPED && action->kind != TSI_SCHED_DROP_WORKER) {
        check_peer(world, action->peer);
    }
    switch (action->kind) {
    case TSI_SCHED_ASSIGN:
        note_assign(world, action);
        break;
    case TSI_SCHED_FREE:
        note_free(world, action);
        break;
    case TSI_SCHED_DROP_JOB:
        drop_job(&world->links.items[action->peer], action->job);
        break;
    case TSI_SCHED_COPY:
        for (size_t i = 0; i < action->copy.count; i++) {
            check_peer(world, action->copy.locations[i].peer);
            note_chunk(world, &world->links.items[action->peer], action->copy.locations[i].key);
        }
        break;
    case TSI_SCHED_TARGETS_READY:
        for (size_t i = 0; i < action->ready.count; i++) {
            check_peer(world, action->ready.items[i].peer);
        }
        break;
    default:
        break;
    }
}

// A task that failed may come back after a pause.
static void
note_pause(const struct sim_world *world, const struct sim_link *link,
           const struct tsi_attempt *ended)
{
    for (size_t i = 0; ended->end == TSI_ATTEMPT_FAILED && i < link->live.count; i++) {
        const struct sim_attempt *attempt = &link->live.items[i];
        if (attempt->sequence == ended->sequence) {
            attempt->job->paused_at[attempt->task] = 1 + count_mishaps(world);
        }
    }
}

// The scheduler hears that an attempt is over, if it is one of this incarnation.
static void
end_attempt(struct sim_link *link, uint32_t sequence)
{
    for (size_t i = 0; i < link->live.count; i++) {
        const struct sim_attempt attempt = link->live.items[i];
        if (attempt.sequence == sequence) {
            attempt.job->assigned_to[attempt.task] = TSI_PEER_NONE;
            link->live.items[i] = tsi_vec_last(&link->live);
            link->live.count--;
            return;
        }
    }
}

// With a completion a worker has the output and all inputs.
static void
note_chunks(struct sim_world *world, struct sim_link *link, const struct tsi_completion *item)
{
    static tsi_key keys[INPUTS_MAX];
    const struct sim_job *job = job_of(world, item->job);
    note_chunk(world, link, tsi_key_of(item->job, item->task));
    if (job == NULL || item->task >= job->program->task_count) {
        return;
    }
    const int op = tsi_program_op_of(job->program, item->task);
    const int64_t chunk = (int64_t)item->task - job->program->ops[op].task_base;
    const size_t count = sim_job_inputs(job, op, chunk, keys, INPUTS_MAX);
    for (size_t i = 0; i < count; i++) {
        note_chunk(world, link, keys[i]);
    }
}

void
sim_book_event(struct sim_world *world, const struct tsi_sched_event *event)
{
    struct sim_link *link = &world->links.items[event->peer];
    if (link->closed) {
        return;
    }
    switch (event->kind) {
    case TSI_SCHED_TASKS_DONE:
        for (size_t i = 0; i < event->done.count; i++) {
            end_attempt(link, event->done.items[i].sequence);
            note_chunks(world, link, &event->done.items[i]);
        }
        break;
    case TSI_SCHED_ATTEMPT_ENDED:
        note_pause(world, link, &event->attempt);
        end_attempt(link, event->attempt.sequence);
        world->fetch_failures += event->attempt.end == TSI_ATTEMPT_FETCH_FAILED ? 1 : 0;
        break;
    case TSI_SCHED_WORKER_HOLDS:
        for (size_t i = 0; i < event->holds.count; i++) {
            const struct tsi_task_range *range = &event->holds.ranges[i];
            for (uint32_t k = 0; k < range->count; k++) {
                note_chunk(world, link, tsi_key_of(event->holds.job, range->first + k));
            }
        }
        break;
    case TSI_SCHED_COPIED:
        for (size_t i = 0; i < event->copied.count; i++) {
            note_chunk(world, link, event->copied.keys[i]);
        }
        break;
    case TSI_SCHED_DROPPED:
        for (size_t i = 0; i < event->dropped.count; i++) {
            tsi_map_remove(&link->may_hold, event->dropped.keys[i]);
            sim_restart_dropped(world, event->dropped.keys[i]);
        }
        break;
    default:
        break;
    }
}

void
sim_book_check(struct sim_world *world)
{
    for (uint32_t p = 1; p < world->links.count; p++) {
        const struct sim_link *link = &world->links.items[p];
        const int threads = link->worker != NULL ? link->worker->threads : 0;
        const size_t most = (size_t)threads + (size_t)world->sched_config.prefetch;
        if (link->live.count > most) {
            sim_fail(world, "I10: peer %u has %zu tasks, at most %zu", p, link->live.count, most);
        }
    }
}

static void
compare_chunk(const struct sim_worker *worker, tsi_key key)
{
    struct sim_world *world = worker->world;
    const struct tsi_sched_worker *known = tsi_sched_peer_worker(world->sched, worker->peer);
    const struct tsi_sched_job *job = tsi_sched_job_find(world->sched, tsi_key_job(key));
    const uint32_t task = tsi_key_task(key);
    if (job == NULL || task >= job->program->task_count ||
        !tsi_sched_task_is_there(&job->tasks[task]) ||
        !tsi_sched_chunk_is_at(world->sched, &job->tasks[task], known->slot)) {
        sim_fail(world, "I4: worker %d, peer %u, holds %u:%u, which the scheduler will not free",
                 worker->id, worker->peer, tsi_key_job(key), task);
    }
}

void
sim_book_compare(const struct sim_worker *worker)
{
    const struct tsi_worker_stats stats = tsi_worker_stats(worker->core);
    const struct sim_link *link = &worker->world->links.items[worker->peer];
    if (worker->peer == TSI_PEER_NONE || link->closed || stats.assignments > 0 ||
        stats.running > 0 || stats.fetches > 0 || stats.spills > 0 ||
        link->from_sent != link->from_arrived || link->to_sent != link->to_arrived) {
        return;
    }
    const struct tsi_worker_job *job = worker->core->job_list;
    for (; job != NULL; job = job->next) {
        for (const struct tsi_worker_chunk *chunk = job->chunks; chunk != NULL;
             chunk = chunk->next) {
            compare_chunk(worker, chunk->key);
        }
    }
}

uint64_t
sim_book_grain(const struct sim_world *world)
{
    return 2 * world->sched_config.suspect_ns / 5; // two of the times after which it looks
}

// A worker that moves, whose messages come through, and that the scheduler thinks connected.
static bool
is_audible(const struct sim_world *world, uint32_t peer)
{
    // A second from one sign of life to the next, and two for messages that are held up.
    const uint64_t latest = world->now > 3 * TSI_SECOND ? world->now - 3 * TSI_SECOND : 0;
    const struct sim_link *link = &world->links.items[peer];
    const struct sim_worker *worker = link->worker;
    return worker->alive && worker->peer == peer && !link->dead && link->opened_ns < latest &&
           worker->frozen_until < latest && link->from_cut < latest;
}

void
sim_book_lost(struct sim_world *world, uint32_t peer)
{
    const uint64_t awake = world->now - world->stalled_ns;
    const uint64_t silence = awake - world->links.items[peer].heard_ns;
    if (silence < world->sched_config.lost_ns) {
        sim_fail(world, "I13: peer %u is lost after a silence of %llu ms", peer,
                 (unsigned long long)(silence / TSI_MILLISECOND));
    }
    if (is_audible(world, peer)) {
        sim_fail(world, "I13: peer %u is lost, and was not silent", peer);
    }
}

// Whether nobody but the worker in `slot` has a chunk, and who was told before that it may leave.
static bool
is_left_to(const struct sim_world *world, const struct tsi_sched_task *record, uint32_t slot)
{
    for (uint32_t i = 0; i < world->sched->workers.count; i++) {
        const uint32_t peer = world->sched->workers.items[i]->peer;
        if (i != slot && peer != TSI_PEER_NONE && !world->links.items[peer].drained &&
            tsi_sched_chunk_is_at(world->sched, record, i)) {
            return false;
        }
    }
    return tsi_sched_chunk_is_at(world->sched, record, slot);
}

// Whether a chunk that is needed leaves with the worker in `slot`.
static bool
is_only_at(const struct sim_world *world, const struct tsi_sched_job *job, uint32_t task,
           uint32_t slot)
{
    const struct tsi_sched *sched = world->sched;
    const struct tsi_sched_task *record = &job->tasks[task];
    uint32_t bytes = 0;
    return tsi_sched_task_state(record) == TSI_TASK_MEMORY &&
           tsi_sched_op_runs(&job->ops[tsi_program_op_of(job->program, task)]) &&
           is_left_to(world, record, slot) && tsi_sched_chunk_data(sched, record, &bytes) == NULL;
}

void
sim_book_drained(struct sim_world *world, uint32_t peer)
{
    const struct tsi_sched *sched = world->sched;
    const struct tsi_sched_worker *leaving = tsi_sched_peer_worker(sched, peer);
    bool has_takers = false;
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        has_takers = has_takers || (worker->peer != TSI_PEER_NONE && !worker->draining);
    }
    bool leaves_some = false;
    for (size_t i = 0; leaving != NULL && i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        const bool is_live = job != NULL && !job->dropping && !job->doomed;
        for (uint32_t task = 0; is_live && task < job->program->task_count; task++) {
            leaves_some = leaves_some || is_only_at(world, job, task, leaving->slot);
        }
    }
    if (leaves_some && has_takers) {
        sim_fail(world, "I12: peer %u may leave with what others could take", peer);
    }
    world->leaves += leaves_some ? 1 : 0;
    world->links.items[peer].drained = true;
}

void
sim_book_closed(struct sim_link *link)
{
    while (link->live.count > 0) {
        end_attempt(link, tsi_vec_last(&link->live).sequence);
    }
    tsi_vec_fini(&link->live);
    tsi_map_fini(&link->may_hold);
}

// Whether the task reads, directly or not, what `maker` makes.
static void
mark_readers(const struct sim_job *job, uint32_t maker, uint8_t *reads)
{
    static tsi_key keys[INPUTS_MAX];
    for (int i = 0; i < job->program->op_count; i++) {
        const struct tsi_chunk_op *op = &job->program->ops[i];
        for (uint32_t c = 0; c < op->task_count && op->work != TSI_WORK_KEPT; c++) {
            const size_t count = sim_job_inputs(job, i, c, keys, INPUTS_MAX);
            uint8_t *const mine = &reads[op->task_base + c];
            for (size_t k = 0; k < count && *mine == 0; k++) {
                const bool is_own = tsi_key_job(keys[k]) == job->number;
                const uint32_t input = tsi_key_task(keys[k]);
                *mine = is_own && (input == maker || reads[input] != 0);
            }
        }
    }
}

// A task that comes back after a pause may find that what it needs was lost meanwhile, and made
// for others, and freed. How often that can have been with what `task` makes; what it needs is made
// before it is given to anybody, so it may be on its way back.
static uint64_t
count_comebacks(const struct sim_world *world, const struct sim_job *job, uint32_t task)
{
    const uint64_t mishaps = count_mishaps(world);
    uint8_t *reads = sim_alloc(job->program->task_count);
    uint64_t comebacks = 0;
    mark_readers(job, task, reads);
    for (uint32_t i = 0; i < job->program->task_count; i++) {
        const bool comes_back = job->paused_at[i] != 0 && mishaps >= job->paused_at[i];
        comebacks += reads[i] != 0 ? job->comebacks[i] + (comes_back ? 1 : 0) : 0;
    }
    free(reads);
    return comebacks;
}

void
sim_book_executed(struct sim_world *world, struct sim_job *job, uint32_t task)
{
    const uint64_t explained = 1 + count_mishaps(world) + world->rebirths * (world->rebirths + 1);
    const uint64_t most = world->faults.none ? 1 : explained;
    if (++job->executed[task] > most &&
        job->executed[task] > most + count_comebacks(world, job, task)) {
        sim_fail(world, "I12: %u:%u was made %u times, for no reason", job->number, task,
                 job->executed[task]);
    }
}
