// SPDX-License-Identifier: Apache-2.0
//
// Workers that want to leave.
//
// Such a worker gets nothing new and gives back what it has not started. Chunks that it alone holds
// are copied to other workers, a batch at a time; when it is told of a copy, the worker's own is
// freed. Who else has a chunk but may go already does not count. When it has neither tasks nor such
// chunks, it may go. Where no worker stays there is nobody to copy to: then it goes when its tasks
// are done, and what it held is computed again if it is needed again.

#include "scheduler/core/sched_state.h"

enum { COPIES_MAX = 64 }; // under way from one worker

static const uint64_t copy_patience_ns = UINT64_C(20000000000);

// Before a copy that failed is tried again.
static const uint64_t copy_pause_ns = UINT64_C(200000000);

static struct tsi_sched_copy *
find_copy(const struct tsi_sched *sched, tsi_key key)
{
    for (size_t i = 0; i < sched->copies.count; i++) {
        if (sched->copies.items[i].key == key) {
            return &sched->copies.items[i];
        }
    }
    return NULL;
}

static uint32_t
copies_from(const struct tsi_sched *sched, uint32_t peer)
{
    uint32_t count = 0;
    for (size_t i = 0; i < sched->copies.count; i++) {
        count += sched->copies.items[i].from == peer ? 1 : 0;
    }
    return count;
}

// Forgets copy `i`, which is over for good.
static void
end_copy(struct tsi_sched *sched, size_t i)
{
    struct tsi_sched_worker *to = tsi_sched_peer_worker(sched, sched->copies.items[i].to);
    if (to != NULL) {
        to->reserved_bytes -= sched->copies.items[i].bytes;
        tsi_sched_wake(sched, to->slot);
    }
    for (; i + 1 < sched->copies.count; i++) {
        sched->copies.items[i] = sched->copies.items[i + 1];
    }
    sched->copies.count--;
    sched->drain_due = true;
}

// Forgets copy `i`, which may still be made.
static void
give_up_copy(struct tsi_sched *sched, size_t i)
{
    struct tsi_sched_worker *to = tsi_sched_peer_worker(sched, sched->copies.items[i].to);
    if (to != NULL) {
        tsi_sched_peak_doubt(to);
    }
    end_copy(sched, i);
}

void
tsi_sched_drain_forget(struct tsi_sched *sched, uint32_t peer)
{
    for (size_t i = 0; i < sched->copies.count;) {
        const struct tsi_sched_copy *copy = &sched->copies.items[i];
        if (copy->from == peer || copy->to == peer) {
            give_up_copy(sched, i);
        } else {
            i++;
        }
    }
}

void
tsi_sched_drain_forget_job(struct tsi_sched *sched, uint32_t job)
{
    for (size_t i = 0; i < sched->copies.count;) {
        if (tsi_key_job(sched->copies.items[i].key) == job) {
            give_up_copy(sched, i);
        } else {
            i++;
        }
    }
}

bool
tsi_sched_drain_failed(struct tsi_sched *sched, const struct tsi_sched_worker *worker,
                       const struct tsi_attempt *end)
{
    struct tsi_sched_copy *copy = find_copy(sched, end->input);
    if (end->sequence != 0 || end->end != TSI_ATTEMPT_FETCH_FAILED || copy == NULL ||
        copy->to != worker->peer) {
        return false;
    }
    copy->due_ns = sched->now_ns + copy_pause_ns;
    return true;
}

void
tsi_sched_drain_timeout(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->copies.count;) {
        if (sched->copies.items[i].due_ns <= sched->now_ns) {
            give_up_copy(sched, i);
        } else {
            i++;
        }
    }
}

// The worker with most memory left that may take a chunk; NULL if there is none.
static struct tsi_sched_worker *
choose_taker(const struct tsi_sched *sched)
{
    struct tsi_sched_worker *best = NULL;
    uint64_t most = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (!tsi_sched_worker_is_open(sched, worker)) {
            continue;
        }
        const uint64_t taken = worker->held_bytes + worker->reserved_bytes;
        const uint64_t left = taken < worker->memory_bytes ? worker->memory_bytes - taken : 0;
        if (best == NULL || left > most) {
            best = worker;
            most = left;
        }
    }
    return best;
}

// Starts a copy of a chunk; false if that cannot be now. Only by the program its taker knows how
// much room it has to make for it.
static bool
start_copy(struct tsi_sched *sched, const struct tsi_sched_worker *from,
           const struct tsi_sched_chunk *chunk)
{
    struct tsi_sched_worker *to = choose_taker(sched);
    const tsi_key key = tsi_key_of(chunk->job->id, chunk->task);
    const struct tsi_location location = {.key = key, .peer = from->peer};
    if (to == NULL || !tsi_vec_reserve(&sched->copies, 1) || !tsi_vec_reserve(&to->copies, 1) ||
        !tsi_sched_worker_give_program(sched, to, chunk->job)) {
        return false;
    }
    const uint64_t bytes = tsi_sched_job_bytes(chunk->job, chunk->op, chunk->task);
    sched->copies.items[sched->copies.count++] = (struct tsi_sched_copy){
        .key = key,
        .from = from->peer,
        .to = to->peer,
        .due_ns = sched->now_ns + copy_patience_ns,
        .bytes = bytes,
    };
    to->copies.items[to->copies.count++] = location;
    to->reserved_bytes += bytes;
    tsi_sched_peak_note(to);
    tsi_sched_bits_set(sched->outbox.items, to->slot);
    return true;
}

// Whether the worker in `slot` alone has the chunk of a task, but for those that may go already.
static bool
is_alone(const struct tsi_sched *sched, const struct tsi_sched_job *job, uint32_t op, uint32_t task,
         uint32_t slot)
{
    const struct tsi_sched_task *record = &job->tasks[task];
    if (tsi_sched_task_count(record) != 0 || !tsi_sched_op_runs(&job->ops[op]) ||
        !tsi_sched_chunk_is_at(sched, record, slot)) {
        return false;
    }
    uint32_t holder = tsi_sched_chunk_holder(sched, record, 0);
    while (holder == slot ||
           (holder != TSI_SLOT_NONE && sched->workers.items[holder]->drained_told)) {
        holder = tsi_sched_chunk_holder(sched, record, holder + 1);
    }
    return holder == TSI_SLOT_NONE;
}

// Copies what the worker alone has of one job, as far as may be now; false if that was not all.
static bool
copy_job(struct tsi_sched *sched, const struct tsi_sched_worker *worker, struct tsi_sched_job *job)
{
    bool all = true;
    uint32_t under_way = copies_from(sched, worker->peer);
    const uint32_t count = job->program->task_count;
    for (uint32_t block = 0; (uint64_t)block * TSI_SCHED_BLOCK < count; block++) {
        const uint32_t first = block * TSI_SCHED_BLOCK;
        for (uint32_t i = 0; job->active[block] > 0 && i < TSI_SCHED_BLOCK && i < count - first;
             i++) {
            const struct tsi_sched_task *record = &job->tasks[first + i];
            if (tsi_sched_task_state(record) != TSI_TASK_MEMORY) {
                continue;
            }
            const uint32_t op = tsi_sched_job_op(job, first + i);
            if (!is_alone(sched, job, op, first + i, worker->slot)) {
                continue;
            }
            all = false;
            const struct tsi_sched_chunk chunk = {job, op, first + i, &job->tasks[first + i]};
            if (find_copy(sched, tsi_key_of(job->id, first + i)) != NULL) {
                continue;
            }
            if (under_way >= COPIES_MAX || !start_copy(sched, worker, &chunk)) {
                return false;
            }
            under_way++;
        }
    }
    return all;
}

static bool
somebody_stays(const struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer != TSI_PEER_NONE && !worker->draining) {
            return true;
        }
    }
    return false;
}

static void
drain(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    bool all = true;
    const bool has_takers = somebody_stays(sched);
    for (size_t i = 0; has_takers && i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && !job->dropping && !job->doomed) {
            all = copy_job(sched, worker, job) && all;
        }
    }
    if (all && worker->outstanding == 0 && !worker->drained_told) {
        worker->drained_told = true;
        worker->drained_due = true;
        sched->emit_due = true;
    }
}

void
tsi_sched_drain_run(struct tsi_sched *sched)
{
    if (!sched->drain_due) {
        return;
    }
    sched->drain_due = false;
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer != TSI_PEER_NONE && worker->draining && !worker->drained_told) {
            drain(sched, worker);
        }
    }
}

// A worker has a copy of one chunk.
static void
on_copy(struct tsi_sched *sched, struct tsi_sched_worker *worker, tsi_key key)
{
    const struct tsi_sched_copy *copy = find_copy(sched, key);
    struct tsi_sched_worker *from = NULL;
    if (copy != NULL && copy->to == worker->peer) {
        from = tsi_sched_peer_worker(sched, copy->from);
        end_copy(sched, (size_t)(copy - sched->copies.items));
    }
    struct tsi_sched_job *job = tsi_sched_job_find(sched, tsi_key_job(key));
    const uint32_t task = tsi_key_task(key);
    const bool exists = job != NULL && task < job->program->task_count;
    struct tsi_sched_task *record = exists ? &job->tasks[task] : NULL;
    const uint32_t op = exists ? tsi_sched_job_op(job, task) : 0;
    const struct tsi_sched_chunk chunk = {job, op, task, record};
    if (!exists || !tsi_sched_task_is_there(record) || !tsi_sched_op_runs(&job->ops[op])) {
        sched->stale_reports++;
        if (exists) {
            tsi_sched_chunk_stray(sched, &chunk, worker->slot);
        } else {
            tsi_sched_chunk_tell_free(sched, worker->slot, key);
        }
        return;
    }
    if (!tsi_sched_chunk_is_at(sched, record, worker->slot) &&
        (!tsi_sched_worker_know(worker, job) ||
         !tsi_sched_chunk_add(sched, &chunk, worker->slot))) {
        tsi_sched_job_doom_memory(sched, job);
        return;
    }
    // One that was told meanwhile that it may go takes nothing over.
    if (from != NULL && from != worker && !worker->drained_told &&
        tsi_sched_chunk_is_at(sched, record, from->slot)) {
        tsi_sched_chunk_remove(sched, &chunk, from->slot);
        tsi_sched_chunk_tell_free(sched, from->slot, key);
    }
}

void
tsi_sched_on_copied(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, event->peer);
    if (worker == NULL) {
        sched->stale_reports++;
        return;
    }
    for (size_t i = 0; i < event->copied.count; i++) {
        on_copy(sched, worker, event->copied.keys[i]);
    }
}
