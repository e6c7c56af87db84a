// SPDX-License-Identifier: Apache-2.0
//
// Gives ready tasks to workers.
//
// First every worker with nothing gets one task, then all get as many as they have threads, then
// some more to have ready, as long as those would be used up soon. A task is given only if what it
// needs fits beside all that the worker holds and was promised; a worker with nothing to do is
// given one that does not fit as well, so that something always goes on.

#include "engine/base/check.h"
#include "engine/base/planted.h"
#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

enum {
    // How long the tasks that a worker has ready may take, for each thread.
    PREFETCH_US = 20000,
    // Tasks that it gets room for, or half of that time, before it is given more: so assignments of
    // tasks that take long travel several at a time, too.
    REFILL_TASKS = 4,
    // Shorter tasks end several at a time anyway.
    REFILL_US_MIN = 500,
    // What a task of an operation that was never run takes at least, for all that is known.
    UNKNOWN_US = 2000,
    // Locations of one task among which doubles are looked for.
    DOUBLES_LOOKED_FOR = 32,
    // Tasks shorter than this are not taken back from a worker.
    BALANCE_US_MIN = 2000,
};

static const uint64_t balance_pause_ns = 5000000;

enum outcome { GIVEN, NOTHING, NO_ROOM };

static bool
is_listed(const struct tsi_sched_worker *worker, size_t first, tsi_key key)
{
    if (worker->locations.count - first > DOUBLES_LOOKED_FOR) {
        first = worker->locations.count - DOUBLES_LOOKED_FOR;
    }
    for (size_t i = first; i < worker->locations.count; i++) {
        if (worker->locations.items[i].key == key) {
            return true;
        }
    }
    return false;
}

// The first holder from `slot` on, around the end, that is not suspect; if all are, the first one.
static uint32_t
next_holder(const struct tsi_sched *sched, const struct tsi_sched_task *record, uint32_t slot)
{
    const uint32_t first = tsi_sched_chunk_holder(sched, record, 0);
    uint32_t before = TSI_SLOT_NONE;
    uint32_t holder = first;
    for (; holder != TSI_SLOT_NONE; holder = tsi_sched_chunk_holder(sched, record, holder + 1)) {
        if (!sched->workers.items[holder]->suspect) {
            if (holder >= slot) {
                return holder;
            }
            before = before == TSI_SLOT_NONE ? holder : before;
        }
    }
    return before != TSI_SLOT_NONE ? before : first;
}

// A peer that has a chunk; which of several depends on who asks, so that they share the load.
static uint32_t
source_of(const struct tsi_sched *sched, const struct tsi_sched_chunk *chunk, uint32_t slot)
{
    const uint32_t holder = next_holder(sched, chunk->record, slot);
    if (holder != TSI_SLOT_NONE) {
        return sched->workers.items[holder]->peer;
    }
    return chunk->job->ops[chunk->op].work == TSI_WORK_HELD ? chunk->job->client : TSI_PEER_NONE;
}

// Bytes of inputs that a worker does not have, and of those of them that the assignment brings.
struct missing {
    uint64_t bytes;
    uint64_t inlined;
};

// Appends the locations of the inputs that the worker does not have, and adds up their bytes; false
// when memory is out.
static bool
list_locations(struct tsi_sched *sched, struct tsi_sched_worker *worker, struct tsi_sched_job *job,
               uint32_t op, uint32_t task, struct missing *missing)
{
    const size_t first = worker->locations.count;
    struct tsi_sched_walk walk;
    uint32_t dep = 0;
    tsi_sched_walk_deps(&walk, job, op, task);
    while (tsi_sched_walk_next_dep(&walk, &dep)) {
        const struct tsi_sched_chunk chunk = tsi_sched_chunk_of(sched, job, walk.op, dep);
        TSI_CHECK(tsi_sched_task_is_there(chunk.record));
        const tsi_key key = tsi_key_of(chunk.job->id, chunk.task);
        if (tsi_sched_chunk_is_at(sched, chunk.record, worker->slot) ||
            is_listed(worker, first, key)) {
            continue;
        }
        struct tsi_location location = {.key = key};
        location.data = tsi_sched_chunk_data(sched, chunk.record, &location.bytes);
        missing->inlined += location.data != NULL ? location.bytes : 0;
        location.peer = source_of(sched, &chunk, worker->slot);
        TSI_CHECK(location.peer != TSI_PEER_NONE || location.data != NULL);
        missing->bytes += tsi_sched_job_bytes(chunk.job, chunk.op, chunk.task);
        // What is fetched from another job's chunks is dropped with that job.
        if (!tsi_sched_worker_know(worker, chunk.job) ||
            !tsi_vec_push(&worker->locations, location)) {
            return false;
        }
    }
    return true;
}

static bool
has_room(uint64_t whole, uint64_t taken, uint64_t bytes)
{
    return taken <= whole && bytes <= whole - taken;
}

// What tasks need has to fit the memory; what the worker holds besides may be on its disk.
static bool
fits(const struct tsi_sched_worker *worker, uint64_t bytes)
{
    const uint64_t taken = worker->held_bytes + worker->reserved_bytes;
    const uint64_t all = tsi_saturate_add(worker->memory_bytes, worker->spill_bytes);
    return worker->outstanding == 0 ||
           (has_room(worker->memory_bytes, worker->reserved_bytes, bytes) &&
            has_room(all, taken, bytes));
}

// How long a task is taken to run. Before one of its operation was measured it may be anything, so
// few are given at once.
static uint32_t
estimate(const struct tsi_sched_op *op)
{
    return op->is_measured || op->duration_us > UNKNOWN_US ? op->duration_us : UNKNOWN_US;
}

// Writes the assignment down; false when memory is out, and nothing changed but spare memory.
static bool
record_assignment(struct tsi_sched *sched, struct tsi_sched_worker *worker,
                  struct tsi_sched_job *job, uint32_t task, size_t location_first, uint64_t bytes)
{
    if (!tsi_vec_reserve(&worker->assigns, 1) ||
        !tsi_sched_worker_give_program(sched, worker, job)) {
        return false;
    }
    const uint32_t op = tsi_sched_job_op(job, task);
    const struct tsi_sched_attempt attempt = {
        .sequence = worker->next_sequence,
        .job_slot = job->slot,
        .task = task,
        .rank = job->tasks[task].where,
        .estimate_us = estimate(&job->ops[op]),
        .bytes = bytes,
    };
    const uint32_t at = tsi_sched_worker_add_attempt(worker, &attempt);
    if (at == TSI_ATTEMPT_NONE) {
        return false;
    }
    worker->next_sequence += TSI_PLANTED(reused_sequence) ? 0 : 1;
    if (tsi_sched_rank_before(sched->rank_now, attempt.rank)) {
        sched->rank_now = attempt.rank;
    }
    worker->assigns.items[worker->assigns.count++] = (struct tsi_assignment){
        .job = job->id,
        .task = task,
        .sequence = attempt.sequence,
        .rank = attempt.rank,
        .location_count = (uint32_t)(worker->locations.count - location_first),
    };
    tsi_sched_job_move(job, op, task, TSI_TASK_ASSIGNED);
    job->tasks[task].where = worker->slot;
    job->tasks[task].link = at;
    sched->queued--;
    sched->tasks_assigned++;
    tsi_sched_bits_set(sched->outbox.items, worker->slot);
    return true;
}

// Gives a worker the best task there is for it.
static enum outcome
give_next(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    struct tsi_sched_pick pick;
    const bool may_steal = worker->outstanding < (uint32_t)worker->threads;
    if (!tsi_sched_ready_peek(sched, worker, may_steal, &pick)) {
        return NOTHING;
    }
    struct tsi_sched_job *job = pick.job;
    const uint32_t op = tsi_sched_job_op(job, pick.task);
    const size_t location_first = worker->locations.count;
    struct missing missing = {0};
    const bool listed = !tsi_sched_walk_has_deps(job, op) ||
                        list_locations(sched, worker, job, op, pick.task, &missing);
    const uint64_t bytes =
        missing.bytes + tsi_sched_job_bytes(job, op, pick.task) + job->ops[op].workspace;
    if (!listed || !fits(worker, bytes)) {
        worker->locations.count = location_first;
        if (listed) {
            return NO_ROOM;
        }
    }
    tsi_sched_ready_take(sched, worker, &pick);
    worker->inlined_bytes += missing.inlined;
    if (!listed || !record_assignment(sched, worker, job, pick.task, location_first, bytes)) {
        worker->locations.count = location_first;
        tsi_sched_job_doom_memory(sched, job);
    }
    return GIVEN;
}

// How many tasks a worker may have after its threads have theirs.
static uint32_t
prefetch_of(const struct tsi_sched *sched)
{
    const uint64_t share = sched->queued / sched->worker_count + 1;
    const uint64_t most = (uint64_t)sched->config.prefetch;
    return (uint32_t)(share < most ? share : most);
}

static bool
is_busy_for_long(const struct tsi_sched_worker *worker)
{
    return worker->outstanding > (uint32_t)worker->threads &&
           worker->queued_us > (uint64_t)PREFETCH_US * (uint64_t)worker->threads;
}

// Whether so little is missing that it is not worth a message yet.
static bool
is_nearly_full(const struct tsi_sched_worker *worker)
{
    const uint64_t most = (uint64_t)PREFETCH_US * (uint64_t)worker->threads;
    if (worker->outstanding <= (uint32_t)worker->threads || worker->queued_us < most / 2) {
        return false;
    }
    const uint64_t each = worker->queued_us / worker->outstanding;
    return each >= REFILL_US_MIN && worker->queued_us + REFILL_TASKS * each > most;
}

// Fills one worker up to `most` tasks; false if it got none.
static bool
fill(struct tsi_sched *sched, struct tsi_sched_worker *worker, uint32_t most, bool *looked)
{
    bool any = false;
    while (worker->outstanding < most && !is_busy_for_long(worker)) {
        const enum outcome outcome = give_next(sched, worker);
        if (outcome == GIVEN) {
            any = true;
            continue;
        }
        tsi_sched_bits_clear(sched->hungry.items, worker->slot);
        if (outcome == NOTHING) {
            tsi_sched_bits_set(sched->starving.items, worker->slot);
        }
        *looked = true;
        break;
    }
    return any;
}

enum level { ONE_TASK, THREADS, PREFETCH, LEVELS };

static uint32_t
most_at(const struct tsi_sched *sched, const struct tsi_sched_worker *worker, enum level level)
{
    switch (level) {
    case ONE_TASK:
        return 1;
    case THREADS:
        return (uint32_t)worker->threads;
    default:
        return TSI_PLANTED(overfull_worker) ? UINT32_MAX
                                            : (uint32_t)worker->threads + prefetch_of(sched);
    }
}

bool
tsi_sched_assign_run(struct tsi_sched *sched)
{
    bool any = false;
    sched->steals_pay = true;
    const uint64_t *hungry = sched->hungry.items;
    const size_t words = sched->hungry.count;
    for (enum level level = ONE_TASK; level < LEVELS; level++) {
        uint32_t slot = tsi_sched_bits_next(hungry, words, 0);
        for (; slot != TSI_SLOT_NONE; slot = tsi_sched_bits_next(hungry, words, slot + 1)) {
            struct tsi_sched_worker *worker = sched->workers.items[slot];
            bool looked = false;
            if (!tsi_sched_worker_is_open(sched, worker)) {
                tsi_sched_bits_clear(sched->hungry.items, slot);
                continue;
            }
            if (level < PREFETCH || !is_nearly_full(worker)) {
                any = fill(sched, worker, most_at(sched, worker, level), &looked) || any;
            }
            if (level == PREFETCH && !looked) {
                tsi_sched_bits_clear(sched->hungry.items, slot);
            }
        }
    }
    return any;
}

// Asks for the newest attempt of a worker that is not running and was not asked for; false if there
// is none.
static bool
retract_one(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    uint32_t at = worker->attempt_last;
    while (at != TSI_ATTEMPT_NONE && worker->attempts.items[at].retracting) {
        at = worker->attempts.items[at].previous;
    }
    if (at == TSI_ATTEMPT_NONE || tsi_sched_worker_may_run(worker, at) ||
        !tsi_vec_push(&worker->retracts, worker->attempts.items[at].sequence)) {
        return false;
    }
    worker->attempts.items[at].retracting = true;
    worker->retracting++;
    tsi_sched_bits_set(sched->outbox.items, worker->slot);
    return true;
}

// How long the newest task of a worker takes, by what is known now.
static uint64_t
newest_us(const struct tsi_sched *sched, const struct tsi_sched_worker *worker)
{
    const struct tsi_sched_attempt *newest = &worker->attempts.items[worker->attempt_last];
    struct tsi_sched_job *job = sched->jobs.items[newest->job_slot];
    return job->ops[tsi_sched_job_op(job, newest->task)].duration_us;
}

// The worker with most waiting tasks for each thread, of those that have some for a while.
static struct tsi_sched_worker *
most_loaded(const struct tsi_sched *sched)
{
    struct tsi_sched_worker *most = NULL;
    uint64_t most_us = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer == TSI_PEER_NONE ||
            worker->outstanding - worker->retracting <= (uint32_t)worker->threads) {
            continue;
        }
        const uint64_t waiting = worker->outstanding - worker->retracting;
        const uint64_t each_us = newest_us(sched, worker);
        const uint64_t us = waiting * each_us / (uint64_t)worker->threads;
        if (each_us >= BALANCE_US_MIN && us > most_us) {
            most = worker;
            most_us = us;
        }
    }
    return most;
}

// How many tasks workers that found nothing could run, and how many others were asked for already.
static void
count_idle(const struct tsi_sched *sched, uint32_t *idle, uint32_t *asked)
{
    *idle = 0;
    *asked = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        const bool starves = (sched->starving.items[i / 64] >> (i % 64) & 1) != 0;
        if (worker->peer != TSI_PEER_NONE) {
            *asked += worker->retracting;
        }
        if (starves && tsi_sched_worker_is_open(sched, worker) &&
            worker->outstanding < (uint32_t)worker->threads) {
            *idle += (uint32_t)worker->threads - worker->outstanding;
        }
    }
}

void
tsi_sched_assign_balance(struct tsi_sched *sched)
{
    const uint32_t starving = tsi_sched_bits_next(sched->starving.items, sched->starving.count, 0);
    if (starving == TSI_SLOT_NONE || sched->worker_count < 2 || sched->tasks_assigned == 0) {
        return;
    }
    if (sched->now_ns - sched->balance_looked_ns < balance_pause_ns) {
        sched->balance_due_ns = sched->balance_looked_ns + balance_pause_ns;
        return;
    }
    sched->balance_looked_ns = sched->now_ns;
    sched->balance_due_ns = 0;
    uint32_t idle = 0;
    uint32_t asked = 0;
    count_idle(sched, &idle, &asked);
    for (; asked < idle; asked++) {
        struct tsi_sched_worker *worker = most_loaded(sched);
        if (worker == NULL || !retract_one(sched, worker)) {
            return;
        }
    }
}

void
tsi_sched_assign_retract_all(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    uint32_t at = worker->attempt_first;
    for (; at != TSI_ATTEMPT_NONE; at = worker->attempts.items[at].next) {
        struct tsi_sched_attempt *attempt = &worker->attempts.items[at];
        if (attempt->retracting || !tsi_vec_push(&worker->retracts, attempt->sequence)) {
            continue;
        }
        attempt->retracting = true;
        worker->retracting++;
        tsi_sched_bits_set(sched->outbox.items, worker->slot);
    }
}
