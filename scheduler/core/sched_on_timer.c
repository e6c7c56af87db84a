// SPDX-License-Identifier: Apache-2.0
//
// What happens because time passed: silent workers, pauses that are over, leases, progress.
//
// A worker is judged by its silence only while the core itself was awake, and so is a client that
// is expected back. If the core was not called for longer than it asked to be, nobody could be
// heard, and all get that time as a present.

#include "engine/base/planted.h"
#include "engine/base/saturate.h"
#include "scheduler/core/sched_state.h"

// How many times within suspect_ns silence is looked for.
enum { LOOKS = 5 };

static const uint64_t progress_pause_ns = 100000000;

// The clock is looked at no more often than this.
static const uint64_t grain_ns = 1000000;

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
interval_ns(const struct tsi_sched *sched)
{
    const uint64_t least =
        sched->config.suspect_ns > 0 ? sched->config.suspect_ns : sched->config.lost_ns;
    return least / LOOKS;
}

static bool
watches(const struct tsi_sched *sched)
{
    return sched->config.suspect_ns > 0 || sched->config.lost_ns > 0;
}

void
tsi_sched_timer_advance(struct tsi_sched *sched, uint64_t now_ns)
{
    const uint64_t now = now_ns > sched->now_ns ? now_ns : sched->now_ns;
    const uint64_t gap = now - sched->now_ns;
    const bool was_called = sched->was_called;
    sched->was_called = true;
    sched->now_ns = now;
    if (!was_called || !watches(sched) || gap <= 2 * interval_ns(sched)) {
        return;
    }
    for (size_t i = 0; i < sched->workers.count; i++) {
        sched->workers.items[i]->heard_ns += TSI_PLANTED(blamed_silence) ? 0 : gap;
    }
    for (size_t i = 0; i < sched->clients.count; i++) {
        struct tsi_sched_client *client = &sched->clients.items[i];
        client->lease_ns = tsi_saturate_add(client->lease_ns, gap);
    }
}

static void
suspect(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    if (!worker->suspect) {
        worker->suspect = true;
        tsi_sched_ready_disown(sched, worker);
    }
}

static void
lose_worker(struct tsi_sched *sched, struct tsi_sched_worker *worker)
{
    static const char text[] = "gave no sign of life";
    // There is room: it was made when the worker joined.
    sched->drops.items[sched->drops.count++] = (struct tsi_sched_drop){worker->peer, text};
    sched->workers_lost++;
    tsi_sched_lost_worker(sched, worker, text);
}

static void
look_for_silence(struct tsi_sched *sched)
{
    if (!watches(sched) || sched->now_ns < sched->liveness_due_ns) {
        return;
    }
    sched->liveness_due_ns = sched->now_ns + interval_ns(sched);
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer == TSI_PEER_NONE || worker->heard_ns > sched->now_ns) {
            continue;
        }
        const uint64_t silence = sched->now_ns - worker->heard_ns;
        if (sched->config.lost_ns > 0 && silence >= sched->config.lost_ns) {
            lose_worker(sched, worker);
        } else if (sched->config.suspect_ns > 0 && silence >= sched->config.suspect_ns) {
            suspect(sched, worker);
        }
    }
}

static void
retry(struct tsi_sched *sched)
{
    if (sched->now_ns < sched->retry_due_ns) {
        return;
    }
    sched->retry_due_ns = UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < sched->retries.count; i++) {
        const struct tsi_sched_retry item = sched->retries.items[i];
        if (item.due_ns > sched->now_ns) {
            sched->retries.items[kept++] = item;
            if (item.due_ns < sched->retry_due_ns) {
                sched->retry_due_ns = item.due_ns;
            }
            continue;
        }
        struct tsi_sched_job *job = tsi_sched_job_find(sched, item.job);
        if (job != NULL && !TSI_PLANTED(lost_retry)) {
            tsi_sched_activate_demand(sched, job, item.task, item.rank, true);
        }
    }
    sched->retries.count = kept;
}

static void
end_leases(struct tsi_sched *sched)
{
    for (size_t i = 0; i < sched->clients.count;) {
        const struct tsi_sched_client *client = &sched->clients.items[i];
        if (client->left && client->lease_ns <= sched->now_ns) {
            tsi_sched_on_lease_over(sched, client->peer);
        } else {
            i++;
        }
    }
}

// Lets workers that had no memory try again.
static void
end_refusals(struct tsi_sched *sched)
{
    if (sched->now_ns < sched->refused_due_ns) {
        return;
    }
    sched->refused_due_ns = UINT64_MAX;
    for (size_t i = 0; i < sched->workers.count; i++) {
        struct tsi_sched_worker *worker = sched->workers.items[i];
        if (worker->peer == TSI_PEER_NONE || worker->refused_until_ns == 0) {
            continue;
        }
        if (worker->refused_until_ns <= sched->now_ns) {
            worker->refused_until_ns = 0;
            if (!TSI_PLANTED(missed_wakeup)) {
                tsi_sched_wake(sched, worker->slot);
            }
        } else {
            sched->refused_due_ns = earlier(sched->refused_due_ns, worker->refused_until_ns);
        }
    }
}

bool
tsi_sched_timer_has_progress(const struct tsi_sched *sched, const struct tsi_sched_job *job)
{
    const struct tsi_sched_client *client = tsi_sched_peer_client(sched, job->client);
    return client != NULL && !client->left && !job->dropping && !job->doomed && !job->ended &&
           (job->progress_done != job->tasks_done ||
            job->progress_workers != (int)sched->worker_count);
}

uint64_t
tsi_sched_timer_progress_ns(const struct tsi_sched_job *job)
{
    return job->progress_ns + progress_pause_ns;
}

void
tsi_sched_on_timer(struct tsi_sched *sched)
{
    if (sched->now_ns < sched->timer_due_ns) {
        return;
    }
    sched->timer_due_ns = sched->now_ns + grain_ns;
    look_for_silence(sched);
    retry(sched);
    end_leases(sched);
    end_refusals(sched);
    tsi_sched_result_timer(sched);
    tsi_sched_drain_timeout(sched);
    if (sched->balance_due_ns > 0 && sched->balance_due_ns <= sched->now_ns) {
        sched->policy_due = true;
        sched->balance_due_ns = 0;
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && tsi_sched_timer_has_progress(sched, job) &&
            tsi_sched_timer_progress_ns(job) <= sched->now_ns) {
            sched->emit_due = true;
        }
    }
}

uint64_t
tsi_sched_timer_deadline(const struct tsi_sched *sched)
{
    uint64_t due = earlier(sched->retry_due_ns, sched->refused_due_ns);
    due = earlier(due, tsi_sched_result_deadline(sched));
    if (watches(sched) && sched->worker_count > 0) {
        due = earlier(due, sched->liveness_due_ns);
    }
    for (size_t i = 0; i < sched->clients.count; i++) {
        if (sched->clients.items[i].left) {
            due = earlier(due, sched->clients.items[i].lease_ns);
        }
    }
    for (size_t i = 0; i < sched->copies.count; i++) {
        due = earlier(due, sched->copies.items[i].due_ns);
    }
    if (sched->balance_due_ns > 0) {
        due = earlier(due, sched->balance_due_ns);
    }
    for (size_t i = 0; i < sched->jobs.count; i++) {
        const struct tsi_sched_job *job = sched->jobs.items[i];
        if (job != NULL && tsi_sched_timer_has_progress(sched, job)) {
            due = earlier(due, tsi_sched_timer_progress_ns(job));
        }
    }
    return due > sched->timer_due_ns ? due : sched->timer_due_ns;
}
