// SPDX-License-Identifier: Apache-2.0
//
// Whose turn it is to have tasks activated, and when enough is open.
//
// Enough tasks are ready when the workers' threads have work for RESERVE_US, by the average
// duration of tasks, within bounds for each thread; before anything is known of durations, a few
// for each. A client gets its share of that by the number of clients that have something to
// activate.
//
// A further target is opened if not too many tasks wait and if the workers have memory left; but as
// many as there are threads may always be open, since somebody has to go on. Chunks to be delivered
// wait until the client has taken earlier ones.

#include "scheduler/core/sched_state.h"

enum {
    RESERVE_US = 50000,
    RESERVE_OF_THREAD_MIN = 4,
    RESERVE_OF_THREAD_MAX = 1024,
    RESERVE_OF_THREAD_AT_FIRST = 16,
    WAITING_MAX = 65536,
    DELIVER_COUNT_MAX = 16384,
    CURSORS_IN_STEP_MAX = 64,
    CROWDED_STEP = 64, // workers for each time that an old answer is taken
};

// Chunks on their way to a client take at least this much.
static const uint64_t deliver_bytes_min = (uint64_t)64 << 20;

static uint64_t
reserve(const struct tsi_sched *sched)
{
    uint64_t of_thread = RESERVE_US / (sched->duration_us / 16 + 1);
    of_thread = of_thread < RESERVE_OF_THREAD_MIN ? RESERVE_OF_THREAD_MIN : of_thread;
    of_thread = of_thread > RESERVE_OF_THREAD_MAX ? RESERVE_OF_THREAD_MAX : of_thread;
    of_thread = sched->tasks_done == 0 ? RESERVE_OF_THREAD_AT_FIRST : of_thread;
    return of_thread * sched->threads;
}

// Whether the workers' memory is so full that nothing more should be begun. With many workers it is
// looked at now and then.
static bool
is_crowded(struct tsi_sched *sched)
{
    if (sched->crowded_age * CROWDED_STEP < sched->worker_count) {
        sched->crowded_age++;
        return sched->crowded;
    }
    sched->crowded_age = 0;
    uint64_t taken = 0;
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        taken += worker->peer == TSI_PEER_NONE ? 0 : worker->held_bytes + worker->reserved_bytes;
    }
    sched->crowded = taken / 7 > sched->memory_bytes / 10;
    return sched->crowded;
}

// The targets of which the smallest part is open; NULL if all are.
static struct tsi_sched_cursor *
next_cursor(const struct tsi_sched_job *job)
{
    struct tsi_sched_cursor *best = NULL;
    for (uint32_t i = 0; i < job->cursor_count && job->cursors_open > 0; i++) {
        struct tsi_sched_cursor *cursor = &job->cursors[i];
        if (cursor->next == cursor->count) {
            continue;
        }
        if (best == NULL ||
            (uint64_t)cursor->next * best->count < (uint64_t)best->next * cursor->count) {
            best = cursor;
        }
        if (job->cursor_count > CURSORS_IN_STEP_MAX) {
            break;
        }
    }
    return best;
}

static bool
may_deliver(const struct tsi_sched *sched, const struct tsi_sched_job *job, uint64_t bytes)
{
    const uint64_t quarter = sched->memory_bytes / 4;
    const uint64_t most = quarter > deliver_bytes_min ? quarter : deliver_bytes_min;
    return job->deliver_count == 0 ||
           (job->deliver_count < DELIVER_COUNT_MAX && job->deliver_bytes + bytes <= most);
}

// Opens the next target; false if none may be opened now.
static bool
open_next(struct tsi_sched *sched, struct tsi_sched_job *job, bool crowded)
{
    struct tsi_sched_cursor *cursor = next_cursor(job);
    if (cursor == NULL) {
        return false;
    }
    if (job->targets_active >= sched->threads &&
        (crowded || job->counts[TSI_TASK_WAITING] >= WAITING_MAX)) {
        return false;
    }
    const uint32_t task = job->ops[cursor->op].base + cursor->next;
    if (job->ops[cursor->op].target_mode == TSI_TARGET_DELIVER &&
        !may_deliver(sched, job, tsi_sched_job_bytes(job, cursor->op, task))) {
        return false;
    }
    cursor->next++;
    job->cursors_open -= cursor->next == cursor->count ? 1 : 0;
    return tsi_sched_activate_demand(sched, job, task, 0, false);
}

// Activates for one job, at most as much as one turn is; false if there was nothing to do.
static bool
run_job(struct tsi_sched *sched, struct tsi_sched_job *job, uint64_t queued_max, bool crowded)
{
    if (job->doomed || job->dropping || job->counts[TSI_TASK_QUEUED] >= queued_max ||
        (!job->fits_checked && !tsi_sched_fit_check(sched, job))) {
        return false;
    }
    if (job->stack.count == 0 && !open_next(sched, job, crowded)) {
        return false;
    }
    return tsi_sched_activate_visit_some(sched, job, queued_max);
}

static bool
may_want(const struct tsi_sched_job *job)
{
    return job != NULL && !job->doomed && !job->dropping && !job->away &&
           (job->stack.count > 0 || job->cursors_open > 0);
}

// The client that comes after `turn` and has a job that may want something; TSI_PEER_NONE if none
// has. Counts those clients.
static uint32_t
next_client(const struct tsi_sched *sched, uint32_t turn, uint32_t *count)
{
    uint32_t after = TSI_PEER_NONE;
    uint32_t first = TSI_PEER_NONE;
    *count = 0;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        if (!may_want(job)) {
            continue;
        }
        const uint32_t client = job->client;
        ++*count;
        first = first == TSI_PEER_NONE || client < first ? client : first;
        if (client > turn && (after == TSI_PEER_NONE || client < after)) {
            after = client;
        }
    }
    return after != TSI_PEER_NONE ? after : first;
}

// The oldest job of a client after job `after` that may want something.
static struct tsi_sched_job *
next_job(const struct tsi_sched *sched, uint32_t client, uint32_t after)
{
    struct tsi_sched_job *oldest = NULL;
    for (size_t i = 0; i < sched->jobs.count; i++) {
        struct tsi_sched_job *job = sched->jobs.items[i];
        if (may_want(job) && job->client == client && job->id > after &&
            (oldest == NULL || job->id < oldest->id)) {
            oldest = job;
        }
    }
    return oldest;
}

// One turn of one client, or all that come one after the other if there is no other client; false
// if none of its jobs had anything to do.
static bool
run_client(struct tsi_sched *sched, uint32_t client, uint64_t queued_max, bool crowded, bool alone)
{
    uint32_t after = TSI_JOB_NONE;
    for (;;) {
        struct tsi_sched_job *job = next_job(sched, client, after);
        if (job == NULL) {
            return false;
        }
        const bool any = run_job(sched, job, queued_max, crowded);
        if (any) {
            while (alone && run_job(sched, job, queued_max, crowded)) {
            }
            return true;
        }
        after = job->id;
    }
}

bool
tsi_sched_turn_run(struct tsi_sched *sched)
{
    if (sched->threads == 0) {
        return false;
    }
    bool any = false;
    const uint64_t whole = reserve(sched);
    const bool crowded = is_crowded(sched);
    uint32_t idle_turns = 0;
    uint32_t clients = 0;
    for (;;) {
        const uint32_t client = next_client(sched, sched->turn, &clients);
        if (client == TSI_PEER_NONE || idle_turns >= clients) {
            return any;
        }
        sched->turn = client;
        const uint64_t share = whole / clients > 0 ? whole / clients : 1;
        if (run_client(sched, client, share, crowded, clients == 1)) {
            any = true;
            idle_turns = 0;
        } else {
            idle_turns++;
        }
    }
}
