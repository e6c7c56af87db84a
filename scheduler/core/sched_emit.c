// SPDX-License-Identifier: Apache-2.0
//
// Gives actions out. What is to be told is not a queue but part of the state: batches of workers,
// flags of jobs. So telling needs no memory, and nobody is told what is not true any more.
//
// The order matters in three places: a worker gets a program before the first task of its job; it
// hears what to free before that and before what to do, since a chunk that was freed may be made
// again, and since the memory is promised to the new task; and a job's end comes after everything
// that its program is needed for, and before the next run of the policy.

#include "engine/base/check.h"
#include "scheduler/core/sched_state.h"

static size_t
batch(size_t left)
{
    return left < TSI_SCHED_BATCH ? left : TSI_SCHED_BATCH;
}

static void
emit_program(struct tsi_sched *sched, struct tsi_sched_worker *worker,
             struct tsi_sched_action *action)
{
    const uint32_t id = worker->programs.items[worker->programs_sent++];
    const uint64_t *slot = tsi_map_get(&sched->job_slots, id);
    TSI_CHECK(slot != NULL); // jobs go after all batches are told
    action->kind = TSI_SCHED_SEND_PROGRAM;
    action->job = id;
    action->program.program = sched->jobs.items[*slot]->program;
}

static void
emit_assign(struct tsi_sched_worker *worker, struct tsi_sched_action *action)
{
    const size_t count = batch(worker->assigns.count - worker->assigns_sent);
    action->kind = TSI_SCHED_ASSIGN;
    action->assign.items = worker->assigns.items + worker->assigns_sent;
    action->assign.count = count;
    action->assign.locations = worker->locations.items + worker->locations_sent;
    action->assign.location_count = 0;
    for (size_t i = 0; i < count; i++) {
        action->assign.location_count += action->assign.items[i].location_count;
    }
    worker->assigns_sent += count;
    worker->locations_sent += action->assign.location_count;
}

static bool
emit_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker,
            struct tsi_sched_action *action)
{
    action->peer = worker->peer;
    if (worker->frees_sent < worker->frees.count) {
        action->kind = TSI_SCHED_FREE;
        action->free.keys = worker->frees.items + worker->frees_sent;
        action->free.count = batch(worker->frees.count - worker->frees_sent);
        worker->frees_sent += action->free.count;
    } else if (worker->programs_sent < worker->programs.count) {
        emit_program(sched, worker, action);
    } else if (worker->assigns_sent < worker->assigns.count) {
        emit_assign(worker, action);
    } else if (worker->retracts_sent < worker->retracts.count) {
        action->kind = TSI_SCHED_RETRACT;
        action->retract.sequences = worker->retracts.items + worker->retracts_sent;
        action->retract.count = batch(worker->retracts.count - worker->retracts_sent);
        worker->retracts_sent += action->retract.count;
    } else if (worker->copies_sent < worker->copies.count) {
        action->kind = TSI_SCHED_COPY;
        action->copy.locations = worker->copies.items + worker->copies_sent;
        action->copy.count = batch(worker->copies.count - worker->copies_sent);
        worker->copies_sent += action->copy.count;
    } else {
        return false;
    }
    sched->told = (struct tsi_sched_told){true, worker->slot};
    return true;
}

static bool
emit_outbox(struct tsi_sched *sched, struct tsi_sched_action *action)
{
    uint32_t slot = tsi_sched_bits_next(sched->outbox.items, sched->outbox.count, 0);
    for (; slot != TSI_SLOT_NONE;
         slot = tsi_sched_bits_next(sched->outbox.items, sched->outbox.count, slot)) {
        if (emit_worker(sched, sched->workers.items[slot], action)) {
            return true;
        }
        tsi_sched_bits_clear(sched->outbox.items, slot);
    }
    return false;
}

void
tsi_sched_emit_done(struct tsi_sched *sched)
{
    if (sched->told.is_worker) {
        struct tsi_sched_worker *worker = sched->workers.items[sched->told.slot];
        if (!tsi_sched_worker_has_news(worker)) {
            tsi_sched_worker_clear_news(worker);
        }
    }
    sched->told.is_worker = false;
}

static bool
emit_drop_worker(struct tsi_sched *sched, struct tsi_sched_action *action)
{
    action->kind = TSI_SCHED_DROP_WORKER;
    if (sched->drops.count > 0) {
        const struct tsi_sched_drop drop = tsi_vec_pop(&sched->drops);
        action->peer = drop.peer;
        action->drop_worker.text = drop.text;
        return true;
    }
    if (sched->turned_away_count > 0) {
        action->peer = sched->turned_away[--sched->turned_away_count];
        action->drop_worker.text = "the scheduler is out of memory";
        return true;
    }
    return false;
}

// Tells of submissions that were turned down.
static bool
emit_refused(struct tsi_sched *sched, struct tsi_sched_action *action)
{
    if (sched->refused_count == 0) {
        return false;
    }
    struct tsi_sched_refused *refused = &sched->refused[sched->refused_count - 1];
    action->peer = refused->client;
    action->job = refused->job;
    switch (refused->steps_left--) {
    case 3:
        action->kind = TSI_SCHED_JOB_ACCEPTED;
        action->accepted.token = refused->token;
        break;
    case 2:
        action->kind = TSI_SCHED_JOB_ENDED;
        action->ended.status = TESS_ENOMEM;
        action->ended.text = "the scheduler is out of memory";
        break;
    default:
        action->kind = TSI_SCHED_JOB_DROPPED;
        action->program.program = refused->program;
        action->program.status = TESS_ENOMEM;
        sched->refused_count--;
        break;
    }
    return true;
}

static bool
emit_drained(struct tsi_sched *sched, struct tsi_sched_action *action)
{
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer != TSI_PEER_NONE && worker->drained_due) {
            worker->drained_due = false;
            action->kind = TSI_SCHED_WORKER_DRAINED;
            action->peer = worker->peer;
            return true;
        }
    }
    return false;
}

static struct tsi_job_costs
costs_of(const struct tsi_sched_job *job)
{
    return (struct tsi_job_costs){job->tasks_run, job->peak_bytes, job->peak_bytes_measured,
                                  job->peaks.items, job->peaks.count};
}

// Fills a batch of targets that are still there; false if there is none.
static bool
emit_targets(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    tsi_vec_clear(&sched->ready_items);
    while (job->ready_sent < job->ready.count && sched->ready_items.count < TSI_SCHED_BATCH) {
        const uint32_t task = job->ready.items[job->ready_sent++];
        const uint32_t op = tsi_sched_job_op(job, task);
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, op, task);
        if (!tsi_sched_task_is_there(&job->tasks[task]) || tsi_sched_job_is_satisfied(job, task)) {
            continue;
        }
        uint32_t bytes = 0;
        const uint32_t holder = tsi_sched_chunk_holder(sched, chunk.record, 0);
        struct tsi_sched_ready item = {.task = task};
        item.data = tsi_sched_chunk_data(sched, chunk.record, &bytes);
        item.peer = holder != TSI_SLOT_NONE ? sched->workers.items[holder]->peer : TSI_PEER_NONE;
        if (holder == TSI_SLOT_NONE && chunk.job->ops[chunk.op].work == TSI_WORK_HELD) {
            item.peer = job->client;
        }
        item.bytes = tsi_chunk_op_bytes(&job->program->ops[op], task - job->ops[op].base);
        sched->ready_items.items[sched->ready_items.count++] = item;
    }
    if (job->ready_sent == job->ready.count) {
        tsi_vec_clear(&job->ready);
        job->ready_sent = 0;
    }
    action->kind = TSI_SCHED_TARGETS_READY;
    action->ready.items = sched->ready_items.items;
    action->ready.count = sched->ready_items.count;
    action->ready.is_last = job->ready.count == 0 && job->targets_active == 0 &&
                            job->cursors_open == 0 && job->stack.count == 0;
    if (action->ready.is_last) {
        tsi_sched_peak_of_job(sched, job);
        action->ready.costs = costs_of(job);
    }
    return sched->ready_items.count > 0;
}

static void
emit_progress(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    job->progress_ns = sched->now_ns;
    job->progress_done = job->tasks_done;
    job->progress_workers = (int)sched->worker_count;
    action->kind = TSI_SCHED_JOB_PROGRESS;
    action->progress.tasks_done = job->tasks_done;
    action->progress.tasks_total = job->tasks_total;
    action->progress.workers = (int)sched->worker_count;
}

static void
emit_end(struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    job->end_due = false;
    action->kind = TSI_SCHED_JOB_ENDED;
    action->ended.status = job->status;
    action->ended.text = job->text;
    action->ended.costs = costs_of(job);
}

// The next worker that has to drop the job; false if there is none left.
static bool
emit_drop_job(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    while (job->drop_slot < sched->workers.count) {
        struct tsi_sched_worker *worker = sched->workers.items[job->drop_slot++];
        if (worker->peer != TSI_PEER_NONE && tsi_sched_worker_knows(worker, job)) {
            worker->known.items[job->slot] = (struct tsi_sched_known){0};
            action->kind = TSI_SCHED_DROP_JOB;
            action->peer = worker->peer;
            return true;
        }
    }
    return false;
}

static void
emit_dropped(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    action->kind = TSI_SCHED_JOB_DROPPED;
    action->program.program = job->program;
    action->program.status = job->status;
    tsi_map_remove(&sched->job_slots, job->id);
    sched->jobs.items[job->slot] = NULL;
    tsi_sched_job_free(job);
}

static bool
emit_to_client(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    if (job->accept_due) {
        job->accept_due = false;
        action->kind = TSI_SCHED_JOB_ACCEPTED;
        action->accepted.token = job->token;
        return true;
    }
    if (!job->doomed && job->ready.count > 0 && emit_targets(sched, job, action)) {
        return true;
    }
    if (tsi_sched_timer_has_progress(sched, job) &&
        tsi_sched_timer_progress_ns(job) <= sched->now_ns) {
        emit_progress(sched, job, action);
        return true;
    }
    if (job->end_due) {
        emit_end(job, action);
        return true;
    }
    return false;
}

static bool
emit_job(struct tsi_sched *sched, struct tsi_sched_job *job, struct tsi_sched_action *action)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, job->client);
    action->peer = job->client;
    action->job = job->id;
    if (client != NULL && !client->left && emit_to_client(sched, job, action)) {
        return true;
    }
    if (job->detached && job->end_due) {
        emit_end(job, action); // the driver takes it down, for whoever asks
        action->peer = TSI_PEER_NONE;
        return true;
    }
    if (!job->dropping) {
        return false;
    }
    if (emit_drop_job(sched, job, action)) {
        return true;
    }
    if (job->refs > 0) {
        return false;
    }
    emit_dropped(sched, job, action);
    return true;
}

bool
tsi_sched_emit(struct tsi_sched *sched, struct tsi_sched_action *action)
{
    *action = (struct tsi_sched_action){0};
    if (emit_drop_worker(sched, action) || emit_refused(sched, action) ||
        emit_outbox(sched, action)) {
        return true;
    }
    if (!sched->emit_due) {
        return false;
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL && emit_job(sched, sched->jobs.items[i], action)) {
            return true;
        }
    }
    if (emit_drained(sched, action)) {
        return true;
    }
    sched->emit_due = false;
    return false;
}
