// SPDX-License-Identifier: Apache-2.0
//
// The second life of a scheduler: jobs come from the journal, workers say what they still hold, and
// clients claim their jobs.
//
// A restored job is one of which everything is RELEASED but the targets that its client has. What a
// worker holds of it counts as done, as if it had been reported: the claims on its inputs are
// dropped, so that what was needed for it alone is not made again. Chunks may come in any order; a
// chunk on which there is no claim, since its users are there, is freed.
//
// Operations that write files are not believed: what was written may have been committed under the
// file's final name, and parts of a new temporary file would be missing. They run again.
//
// Workers that come when the jobs go on already are believed as far as nobody has begun with the
// same task; so are those that were given up and come back.

#include "engine/base/planted.h"
#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

// The client that stands for those that are not back yet; NULL when memory is out.
static struct tsi_sched_client *
find_absent(struct tsi_sched *sched, uint32_t peer)
{
    struct tsi_sched_client *client = tsi_sched_peer_client(sched, peer);
    if (client == NULL && tsi_map_get(&sched->peers, peer) == NULL) {
        client = tsi_sched_peer_add_client(sched, peer);
        if (client != NULL) {
            client->left = true;
            client->lease_ns = UINT64_MAX; // it begins with RESTORED
        }
    }
    return client;
}

void
tsi_sched_job_note_taken(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t task)
{
    const uint32_t op = tsi_sched_job_op(job, task);
    if (job->ops[op].target_mode != TSI_TARGET_DELIVER || tsi_sched_job_is_satisfied(job, task)) {
        return;
    }
    tsi_sched_bits_set(job->opened, task);
    tsi_sched_bits_set(job->satisfied, task);
    job->targets_done++;
    tsi_sched_hold_drop(sched, job, task);
}

// The end of a range, cut at the tasks that there are.
static uint32_t
range_end(const struct tsi_sched_job *job, const struct tsi_task_range *range)
{
    const uint64_t end = (uint64_t)range->first + range->count;
    return end < job->program->task_count ? (uint32_t)end : job->program->task_count;
}

void
tsi_sched_on_job_restored(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    const uint32_t number = event->job_restored.job;
    const bool is_new = number >= sched->next_job;
    const struct tsi_sched_client *client = is_new ? find_absent(sched, event->peer) : NULL;
    struct tsi_sched_job *job =
        client != NULL ? tsi_sched_job_new(event->job_restored.program) : NULL;
    if (job == NULL || !tsi_sched_job_add(sched, job, event->peer, number)) {
        if (job != NULL) {
            tsi_sched_job_free(job);
        }
        tsi_sched_job_turn_down(sched, event->peer, number, event->job_restored.token,
                                event->job_restored.program);
        return;
    }
    sched->restoring = true;
    job->token = event->job_restored.token;
    job->detached = event->job_restored.detached;
    job->ended = event->job_restored.ended;
    job->restored = true;
    job->away = !job->detached;
    job->disturbed = true; // what was done is not known, so claims are counted one by one
    for (size_t i = 0; i < event->job_restored.taken_count; i++) {
        const struct tsi_task_range *range = &event->job_restored.taken[i];
        for (uint32_t task = range->first; task < range_end(job, range); task++) {
            tsi_sched_job_note_taken(sched, job, task);
        }
    }
}

void
tsi_sched_on_restored(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    (void)event;
    sched->restoring = false;
    sched->policy_due = true;
    sched->drain_due = true;
    for (size_t i = 0; i < sched->clients.count; i++) {
        struct tsi_sched_client *client = &sched->clients.items[i];
        if (client->left && client->lease_ns == UINT64_MAX) {
            client->lease_ns = tsi_saturate_add(sched->now_ns, sched->config.client_lease_ns);
        }
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL && !TSI_PLANTED(unrestored_results)) {
            tsi_sched_result_wait(sched, sched->jobs.items[i]);
        }
    }
}

static bool
is_there(const struct tsi_sched *sched, uint32_t peer)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, peer);
    return client != NULL && !client->left && !TSI_PLANTED(stolen_result);
}

// Gives a job, and those whose kept chunks it uses, to a client. Those are older, so this ends. One
// that somebody else has come for meanwhile, as may be with a detached one, stays with that one:
// the job goes on with it all the same.
static void
give(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t peer)
{
    job->client = peer;
    job->away = false;
    job->expires_ns = TSI_PLANTED(lost_result) ? job->expires_ns : 0;
    for (int i = 0; i < job->program->op_count; i++) {
        const uint32_t slot = job->ops[i].kept_slot;
        if (slot != TSI_SLOT_NONE && sched->jobs.items[slot]->client != peer &&
            !is_there(sched, sched->jobs.items[slot]->client)) {
            give(sched, sched->jobs.items[slot], peer);
        }
    }
}

// All open targets that are there are told again.
static void
tell_targets(struct tsi_sched *sched, struct tsi_sched_job *job)
{
    tsi_vec_clear(&job->ready);
    job->ready_sent = 0;
    for (uint32_t i = 0; i < job->cursor_count; i++) {
        const struct tsi_sched_op *op = &job->ops[job->cursors[i].op];
        for (uint32_t k = 0; op->target_mode == TSI_TARGET_DELIVER && k < op->count; k++) {
            const uint32_t task = op->base + k;
            if (tsi_sched_task_is_there(&job->tasks[task]) && tsi_sched_job_is_opened(job, task) &&
                !tsi_sched_job_is_satisfied(job, task) && !tsi_vec_push(&job->ready, task)) {
                tsi_sched_job_doom_memory(sched, job);
                return;
            }
        }
    }
}

void
tsi_sched_on_job_claimed(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_job *job = tsi_sched_job_find(sched, event->job.job);
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, event->peer);
    tess_status why = TESS_OK;
    if (job == NULL || client == NULL || client->left ||
        tsi_sched_result_is_gone(sched, job->id, &why)) {
        sched->stale_reports++;
        return;
    }
    give(sched, job, event->peer);
    tell_targets(sched, job);
    job->accept_due = true;
    job->end_due = job->ended;
    job->progress_workers = -1;
    sched->emit_due = true;
    sched->settle_due = true;
    sched->policy_due = true;
}

// Whether what an operation made is believed to be there.
static bool
is_believed(const struct tsi_sched_job *job, uint32_t op)
{
    const struct tsi_chunk_op *chunk_op = &job->program->ops[op];
    const bool writes = chunk_op->work == TSI_WORK_TILE && chunk_op->tile.sink == TSI_SINK_WRITE;
    return tsi_sched_op_runs(&job->ops[op]) && chunk_op->work != TSI_WORK_JOIN && !writes;
}

// Takes a task that has not begun to where it is claimed and nothing else; false if nobody needs
// it.
static bool
withdraw(struct tsi_sched *sched, struct tsi_sched_job *job, uint32_t op, uint32_t task)
{
    struct tsi_sched_task *record = &job->tasks[task];
    const enum tsi_task_state state = tsi_sched_task_state(record);
    if (state == TSI_TASK_RELEASED) {
        return tsi_sched_activate_claim(sched, job, op, task);
    }
    const uint32_t users_left = record->users_left;
    sched->queued -= state == TSI_TASK_QUEUED ? 1 : 0;
    tsi_sched_job_move(job, op, task, TSI_TASK_RELEASED);
    record->users_left = users_left;
    return true;
}

// The chunk of a task that was not there is at the worker: the task counts as done.
static void
adopt(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
      uint32_t op, uint32_t task)
{
    struct tsi_sched_task *record = &job->tasks[task];
    if (!withdraw(sched, job, op, task)) {
        tsi_sched_chunk_tell_free(sched, worker->slot, tsi_key_of(job->id, task));
        return;
    }
    const bool is_durable = job->ops[op].bytes_max == 0;
    tsi_sched_job_move(job, op, task, is_durable ? TSI_TASK_DURABLE : TSI_TASK_MEMORY);
    record->where = TSI_SLOT_NONE;
    record->link = 0;
    const struct tsi_sched_chunk chunk = {job, op, task, record};
    tsi_sched_chunk_add(sched, &chunk, worker->slot); // the first holder takes no memory
    job->tasks_done++;
    tsi_sched_hold_drop_inputs(sched, job, op, task);
    if (!sched->restoring) {
        tsi_sched_activate_users(sched, job, op, task, job->next_rank);
    }
    if (job->ops[op].target_mode != TSI_SCHED_NO_TARGET) {
        tsi_sched_target_reached(sched, job, op, task);
    }
}

// One chunk that the worker says it holds.
static void
hold(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
     uint32_t task)
{
    const uint32_t op = tsi_sched_job_op(job, task);
    struct tsi_sched_task *record = &job->tasks[task];
    const struct tsi_sched_chunk chunk = {job, op, task, record};
    const enum tsi_task_state state = tsi_sched_task_state(record);
    if (state == TSI_TASK_ASSIGNED && record->where == worker->slot) {
        return; // it will report the same, or offer it again
    }
    if (!is_believed(job, op) || state == TSI_TASK_ASSIGNED) {
        tsi_sched_chunk_tell_free(sched, worker->slot, tsi_key_of(job->id, task));
    } else if (!tsi_sched_task_is_there(record)) {
        adopt(sched, worker, job, op, task);
    } else if (!tsi_sched_chunk_is_at(sched, record, worker->slot) &&
               !tsi_sched_chunk_add(sched, &chunk, worker->slot)) {
        tsi_sched_job_doom_memory(sched, job);
    }
}

// The job is about to go: the worker is told with the others.
static void
tell_late(struct tsi_sched *sched, struct tsi_sched_job *job, const struct tsi_sched_worker *worker)
{
    if (job->dropping && job->drop_slot > worker->slot) {
        job->drop_slot = worker->slot;
    }
    sched->emit_due = true;
}

void
tsi_sched_on_worker_holds(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    const uint64_t *slot = tsi_map_get(&sched->job_slots, event->holds.job);
    struct tsi_sched_job *job = slot != NULL ? sched->jobs.items[*slot] : NULL;
    if (worker == NULL || job == NULL) {
        sched->stale_reports++;
        return;
    }
    if (!tsi_sched_worker_know(worker, job)) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    tsi_sched_peak_doubt(worker);
    if (job->doomed || job->dropping) {
        tell_late(sched, job, worker);
        return;
    }
    for (size_t i = 0; i < event->holds.count && !job->doomed; i++) {
        const struct tsi_task_range *range = &event->holds.ranges[i];
        for (uint32_t task = range->first; task < range_end(job, range) && !job->doomed; task++) {
            hold(sched, worker, job, task);
        }
    }
    sched->drain_due = sched->drain_due || worker->draining;
    sched->policy_due = true;
}
