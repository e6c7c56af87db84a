// SPDX-License-Identifier: Apache-2.0
//
// The outside of the core: events come in one by one and change the state mechanically; the policy
// runs when an action is asked for and something changed, so that it sees many events at once.

#include "scheduler/core/sched.h"

#include "scheduler/core/sched_state.h"

// Rounds of activating and assigning for one action asked for.
enum { POLICY_ROUNDS_MAX = 1000 };

struct tsi_sched_config
tsi_sched_config_default(void)
{
    return (struct tsi_sched_config){
        .suspect_ns = UINT64_C(5000000000),
        .lost_ns = UINT64_C(15000000000),
        .kills_max = 3,
        .retries_max = 2,
        .retry_pause_ns = UINT64_C(100000000),
        .prefetch = 512,
        .client_lease_ns = UINT64_C(30000000000),
        .result_lease_ns = UINT64_C(3600000000000),
        .result_bytes_max = UINT64_MAX,
    };
}

struct tsi_sched *
tsi_sched_new(const struct tsi_sched_config *config)
{
    struct tsi_sched *sched = tsi_calloc(1, sizeof *sched);
    if (sched == NULL || !tsi_vec_reserve(&sched->ready_items, TSI_SCHED_BATCH)) {
        tsi_free(sched);
        return NULL;
    }
    sched->config = *config;
    sched->config.prefetch = config->prefetch < 0 ? 0 : config->prefetch;
    sched->next_job = 1;
    sched->retry_due_ns = UINT64_MAX;
    sched->refused_due_ns = UINT64_MAX;
    sched->stripes.unused = TSI_STRIPE_NONE;
    sched->stripes.first = TSI_STRIPE_NONE;
    sched->stripes.last = TSI_STRIPE_NONE;
    return sched;
}

void
tsi_sched_free(struct tsi_sched *sched)
{
    if (sched == NULL) {
        return;
    }
    for (size_t i = 0; i < sched->workers.count; i++) {
        tsi_sched_worker_free(sched->workers.items[i]);
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        if (sched->jobs.items[i] != NULL) {
            tsi_sched_job_free(sched->jobs.items[i]);
        }
    }
    tsi_sched_ready_fini(sched);
    tsi_sched_chunk_fini(sched);
    tsi_map_fini(&sched->peers);
    tsi_map_fini(&sched->job_slots);
    tsi_vec_fini(&sched->workers);
    tsi_vec_fini(&sched->clients);
    tsi_vec_fini(&sched->jobs);
    tsi_vec_fini(&sched->scores);
    tsi_vec_fini(&sched->hungry);
    tsi_vec_fini(&sched->starving);
    tsi_vec_fini(&sched->outbox);
    tsi_vec_fini(&sched->retries);
    tsi_vec_fini(&sched->copies);
    tsi_vec_fini(&sched->drops);
    tsi_vec_fini(&sched->release_stack);
    tsi_vec_fini(&sched->ready_items);
    tsi_free(sched);
}

static void
on_worker_heard(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    if (tsi_sched_peer_worker(sched, event->peer) == NULL) {
        sched->stale_reports++;
    }
}

// Any event from a worker is a sign of life.
static void
hear(struct tsi_sched *sched, uint32_t peer)
{
    struct tsi_sched_worker *worker = tsi_sched_peer_worker(sched, peer);
    if (worker != NULL) {
        worker->heard_ns = sched->now_ns;
        if (worker->suspect) {
            worker->suspect = false;
            tsi_sched_wake(sched, worker->slot);
        }
    }
}

static void
dispatch(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    static void (*const handlers[])(struct tsi_sched *, const struct tsi_sched_event *) = {
        [TSI_SCHED_WORKER_JOINED] = tsi_sched_on_worker_joined,
        [TSI_SCHED_WORKER_HEARD] = on_worker_heard,
        [TSI_SCHED_WORKER_DRAINING] = tsi_sched_on_worker_draining,
        [TSI_SCHED_WORKER_LEFT] = tsi_sched_on_worker_left,
        [TSI_SCHED_CLIENT_JOINED] = tsi_sched_on_client_joined,
        [TSI_SCHED_CLIENT_LEFT] = tsi_sched_on_client_left,
        [TSI_SCHED_JOB_SUBMITTED] = tsi_sched_on_job_submitted,
        [TSI_SCHED_JOB_CANCELLED] = tsi_sched_on_job_cancelled,
        [TSI_SCHED_JOB_RELEASED] = tsi_sched_on_job_released,
        [TSI_SCHED_TARGETS_TAKEN] = tsi_sched_on_targets_taken,
        [TSI_SCHED_TASKS_DONE] = tsi_sched_on_tasks_done,
        [TSI_SCHED_ATTEMPT_ENDED] = tsi_sched_on_attempt_ended,
        [TSI_SCHED_JOB_RESTORED] = tsi_sched_on_job_restored,
        [TSI_SCHED_RESTORED] = tsi_sched_on_restored,
        [TSI_SCHED_JOB_CLAIMED] = tsi_sched_on_job_claimed,
        [TSI_SCHED_WORKER_HOLDS] = tsi_sched_on_worker_holds,
        [TSI_SCHED_COPIED] = tsi_sched_on_copied,
        [TSI_SCHED_DROPPED] = tsi_sched_on_dropped,
        [TSI_SCHED_TICK] = NULL,
    };
    if ((unsigned)event->kind < sizeof handlers / sizeof handlers[0] &&
        handlers[event->kind] != NULL) {
        handlers[event->kind](sched, event);
    }
}

void
tsi_sched_step(struct tsi_sched *sched, const struct tsi_sched_event *event)
{
    tsi_sched_emit_done(sched);
    tsi_sched_timer_advance(sched, event->now_ns);
    hear(sched, event->peer);
    dispatch(sched, event);
    tsi_sched_on_timer(sched);
    tsi_sched_job_settle(sched);
}

static void
run_policy(struct tsi_sched *sched)
{
    for (int i = 0; i < POLICY_ROUNDS_MAX; i++) {
        sched->policy_due = false;
        tsi_sched_drain_run(sched);
        const bool activated = tsi_sched_turn_run(sched);
        const bool assigned = tsi_sched_assign_run(sched);
        // What a job had is given to others only when the workers have been told of its end.
        const bool dropped = tsi_sched_job_settle(sched);
        if (dropped || (!activated && !assigned)) {
            break;
        }
    }
    tsi_sched_assign_balance(sched);
}

bool
tsi_sched_poll(struct tsi_sched *sched, uint64_t now_ns, struct tsi_sched_action *action)
{
    tsi_sched_emit_done(sched);
    tsi_sched_timer_advance(sched, now_ns);
    tsi_sched_on_timer(sched);
    tsi_sched_job_settle(sched);
    if (tsi_sched_emit(sched, action)) {
        return true;
    }
    if (sched->restoring || (!sched->policy_due && !sched->drain_due)) {
        return false;
    }
    // Nothing that was told points into cells any more.
    tsi_sched_chunk_recycle(sched);
    run_policy(sched);
    return tsi_sched_emit(sched, action);
}

uint64_t
tsi_sched_deadline(const struct tsi_sched *sched)
{
    return tsi_sched_timer_deadline(sched);
}

struct tsi_sched_stats
tsi_sched_stats(const struct tsi_sched *sched)
{
    struct tsi_sched_stats stats = {
        .workers = (int)sched->worker_count,
        .threads = (int)sched->threads,
        .tasks_done = sched->tasks_done,
        .tasks_assigned = sched->tasks_assigned,
        .stale_reports = sched->stale_reports,
        .workers_lost = sched->workers_lost,
    };
    for (size_t i = 0; i < sched->clients.count; i++) {
        stats.clients += sched->clients.items[i].left ? 0 : 1;
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        stats.jobs += job != NULL && !job->dropping ? 1 : 0;
    }
    for (size_t i = 0; i < sched->workers.count; i++) {
        const struct tsi_sched_worker *worker = sched->workers.items[i];
        stats.bytes_held += worker->peer != TSI_PEER_NONE ? worker->held_bytes : 0;
    }
    return stats;
}
